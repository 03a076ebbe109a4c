// The echo server of the textbook on doorbell.
//
//     bell_echo [--model NAME] [--backend NAME] [--workers N] [--lend | --udp]
//
// Listens on a free port of 127.0.0.1 and prints "port N". --lend: the handler reads without copying
// (bell_peek and bell_skip). --udp: datagrams.

#include "loopback.h"

#include <doorbell.h>
#include <getopt.h>
#include <string.h>

static int echo(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[1500]; // a packet's worth; 16 messages at once do not fill it
    ssize_t n;
    while ((n = bell_read(conn, text, sizeof text)) > 0)
        if (bell_write(conn, text, (size_t)n) < 0)
            return -1;
    return (int)n;
}

static int echo_lent(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *text;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &text)) > 0)
        if (bell_write(conn, text, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

static int echo_datagrams(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[1500];
    struct bell_datagram about;
    ssize_t n;
    while ((n = bell_recvfrom(dgram, text, sizeof text, &about)) >= 0)
        if (bell_sendto(dgram, text, (size_t)n, &about) < 0)
            return -1;
    return (int)n;
}

// NULL as a handler: datagrams.
static int serve(bell_handler *handler, const struct bell_server_options *options)
{
    bell_server *server = handler ? bell_server_open(handler, NULL, options)
                                  : bell_server_open_dgram(echo_datagrams, NULL, options);
    if (!server ||
        bell_server_listen(server, handler ? "tcp:127.0.0.1:0" : "udp:127.0.0.1:0") < 0) {
        bell_server_close(server);
        return -1;
    }
    const char *address = bell_server_address(server, 0);
    printf("port %s\n", strrchr(address, ':') + 1);
    (void)fflush(stdout);
    int rc = bell_server_run(server);
    bell_server_close(server);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"model", required_argument, NULL, 'm'},   {"backend", required_argument, NULL, 'b'},
        {"workers", required_argument, NULL, 'w'}, {"lend", no_argument, NULL, 'l'},
        {"udp", no_argument, NULL, 'u'},           {0},
    };
    struct bell_server_options options = {.size = sizeof options, .name = "echo"};
    bell_handler *handler = echo;

    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'm':
            options.model = optarg;
            break;
        case 'b':
            options.backend = optarg;
            break;
        case 'w':
            options.workers = (int)strtol(optarg, NULL, 10);
            break;
        case 'l':
            handler = echo_lent;
            break;
        case 'u':
            handler = NULL;
            break;
        default:
            return 2;
        }
    }
    raise_descriptor_limit();
    if (serve(handler, &options) == 0)
        return 0;
    fprintf(stderr, "bell_echo: %s\n", bell_error());
    return 1;
}
