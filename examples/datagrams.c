// Capital letters by datagram, and a client for it that survives loss.
//
//     datagrams serve ADDRESS         udp:7464, udp:*:7464, unixgram:/tmp/x
//     datagrams ask ADDRESS TEXT...   asks for each text, and repeats itself until it is answered
//
// The server answers any client that sends it a datagram, and the client asks any server that answers by
// one: nc -u localhost 7464 is another.

#include <ctype.h>
#include <doorbell.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int capitalize(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[2048];
    struct bell_datagram about;
    for (;;) {
        ssize_t n = bell_recvfrom(dgram, text, sizeof text, &about);
        if (n < 0 && errno == EMSGSIZE)
            continue; // it does not fit: better no answer than a wrong one
        if (n < 0)
            return 0; // the server stops
        for (ssize_t i = 0; i < n; i++)
            text[i] = (char)toupper((unsigned char)text[i]);
        (void)bell_sendto(dgram, text, (size_t)n, &about); // who is gone is gone
    }
}

static void print_event(const struct bell_event *event, void *arg)
{
    (void)arg;
    fprintf(stderr, "datagrams: %s\n", event->text);
}

static int serve(const char *address)
{
    struct bell_server_options options = {
        .size = sizeof options,
        .name = "capitalize",
        .flags = BELL_STOP_ON_SIGNALS,
        .log = print_event,
    };
    return bell_serve_dgram(address, capitalize, NULL, &options);
}

static int ask(const char *address, char **texts)
{
    bell_conn *conn = bell_connect(address, NULL);
    char answer[2048];
    if (!conn)
        return -1;
    ssize_t n = 0;
    for (; *texts && n >= 0; texts++) {
        n = bell_call(conn, *texts, strlen(*texts), answer, sizeof answer, NULL);
        if (n >= 0)
            printf("%.*s\n", (int)n, answer);
    }
    bell_close(conn);
    return n < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    int rc = -1;
    if (argc == 3 && !strcmp(argv[1], "serve"))
        rc = serve(argv[2]);
    else if (argc > 3 && !strcmp(argv[1], "ask"))
        rc = ask(argv[2], argv + 3);
    else
        return fprintf(stderr, "datagrams serve ADDRESS | ask ADDRESS TEXT...\n"), 2;
    if (rc == 0)
        return 0;
    fprintf(stderr, "datagrams: %s\n", bell_error());
    return 1;
}
