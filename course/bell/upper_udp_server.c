// The sentence server by datagram: each one goes back in capitals to whoever sent it.
//
//     upper_udp_server [ADDRESS]     udp:localhost:9876

#include <doorbell.h>
#include <stdio.h>
#include <stdlib.h>

static int upper(bell_dgram *door, void *arg)
{
    const size_t most = 65507; // bytes of a datagram
    char *text = malloc(most);
    struct bell_datagram about;
    ssize_t n;
    (void)arg;
    while (text && (n = bell_recvfrom(door, text, most, &about)) >= 0) {
        for (ssize_t i = 0; i < n; i++)
            if (text[i] >= 'a' && text[i] <= 'z')
                text[i] = (char)(text[i] - 'a' + 'A');
        (void)bell_sendto(door, text, (size_t)n, &about); // who has gone by now has gone
    }
    free(text);
    return 0;
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
    if (bell_serve_dgram(argc > 1 ? argv[1] : "udp:localhost:9876", upper, NULL, &options) == 0)
        return 0;
    return fprintf(stderr, "%s: %s\n", argv[0], bell_error()), 1;
}
