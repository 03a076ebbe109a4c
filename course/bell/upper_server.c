// The sentence server: what comes in goes back in capitals.
//
//     upper_server [ADDRESS]     localhost:6789

#include <doorbell.h>
#include <stdio.h>

static int upper(bell_conn *caller, void *arg)
{
    char text[1024];
    ssize_t n;
    (void)arg;
    while ((n = bell_read(caller, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (text[i] >= 'a' && text[i] <= 'z')
                text[i] = (char)(text[i] - 'a' + 'A');
        if (bell_write(caller, text, (size_t)n) < 0)
            return -1;
    }
    return (int)n;
}

static void say(const struct bell_event *event, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s\n", event->text);
}

int main(int argc, char **argv)
{
    struct bell_server_options options = {
        .size = sizeof options, .flags = BELL_STOP_ON_SIGNALS, .log = say};
    if (bell_serve(argc > 1 ? argv[1] : "localhost:6789", upper, NULL, &options) == 0)
        return 0;
    return fprintf(stderr, "%s: %s\n", argv[0], bell_error()), 1;
}
