// The echo server: what comes in goes back as it is, and each line is reported.
//
//     echo_server [ADDRESS]     localhost:5000

#include <doorbell.h>
#include <stdio.h>

static int echo(bell_conn *caller, void *arg)
{
    char text[1024];
    ssize_t n, line = 0;
    (void)arg;
    while ((n = bell_read(caller, text, sizeof text)) > 0 &&
           bell_write(caller, text, (size_t)n) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (line++, text[i] == '\n') {
                printf("server received %zd bytes\n", line);
                line = 0;
            }
    return n == 0 ? 0 : -1;
}

static void say(const struct bell_event *event, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s\n", event->text);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct bell_server_options options = {
        .size = sizeof options, .flags = BELL_STOP_ON_SIGNALS, .log = say};
    if (bell_serve(argc > 1 ? argv[1] : "localhost:5000", echo, NULL, &options) == 0)
        return 0;
    return fprintf(stderr, "%s: %s\n", argv[0], bell_error()), 1;
}
