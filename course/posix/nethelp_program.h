// How the programs begin and end: the command line and the signals. Part of nethelp.h.

#pragma once

#include <fcntl.h>
#include <netinet/in.h>

#include "nethelp_tell.h"

// 0 to 65535 in digits, or the name of a service. (atoi() makes 0 of abc and 4464 of 70000.)
static inline int port_or_exit(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0') {
        long port = strtol(text, NULL, 10); // of too many digits it makes LONG_MAX
        if (port <= 65535)
            return (int)port;
    } else {
        const struct servent *service = getservbyname(text, "tcp");
        if (service)
            return ntohs((in_port_t)service->s_port);
    }
    fprintf(stderr, "'%s' is not a port: 0 to 65535, or the name of a service\n", text);
    exit(2);
}

// A port alone would be an address: 5000 is 0.0.19.136 for getaddrinfo().
static inline const char *host_or_exit(const char *text)
{
    if (text[0] != '-' && text[strspn(text, "0123456789")] != '\0')
        return text;
    fprintf(stderr, "'%s' is not a host: the host comes first, then the port\n", text);
    exit(2);
}

// If standard output is closed, the next socket gets its number, and printf() talks to the
// peer. So the free places are taken, by what can be read only: writing there fails, as it should.
static inline void fill_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        DieWithSystemMessage("/dev/null");
    close(fd);
}

// Runs in the middle of anything: only calls that are allowed in a signal handler.
static inline void on_stop_signal(int number)
{
    (void)number;
    if (stopping)
        _exit(1);
    int saved = errno;
    stopping = 1;
    if (doorbell >= 0)
        close(doorbell);
    errno = saved;
}

// A server's beginning, with the arguments [PORT [HOST]]: opens its socket, minds the stop signals,
// prints "listening on PORT" (the true one if PORT was 0). Returns the socket.
static inline int open_door(int argc, char **argv, int default_port,
                            int (*open_socket)(const char *host, int port))
{
    if (argc > 3)
        usage(argv[0], "[PORT [HOST]]");
    fill_standard_streams();
    int s = open_socket(argc > 2 ? argv[2] : NULL, argc > 1 ? port_or_exit(argv[1]) : default_port);
    if (s < 0)
        DieWithUserMessage(argv[0], net_error);

    struct sigaction action = {.sa_handler = on_stop_signal}; // no SA_RESTART: wakes accept()
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGINT);
    doorbell = s;
    if (sigaction(SIGTERM, &action, NULL) < 0 || sigaction(SIGINT, &action, NULL) < 0)
        DieWithSystemMessage("sigaction() failed");

    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char text[ADDRESS_TEXT];
    if (getsockname(s, (SA *)&address, &size) < 0)
        DieWithSystemMessage("getsockname() failed");
    address_text((SA *)&address, size, text);
    // By lines, even into a file or a pipe: each one is to be seen when it happens.
    if (setvbuf(stdout, NULL, _IOLBF, 0) != 0 ||
        printf("listening on %s\n", strrchr(text, ':') + 1) < 0)
        DieWithSystemMessage("standard output");
    return s;
}

static inline int open_doorbell(int argc, char **argv, int default_port)
{
    return open_door(argc, argv, default_port, listen_on);
}

static inline int call_or_exit(const char *program, const char *host, int port)
{
    fill_standard_streams();
    int fd = open_clientfd(host, port);
    if (fd < 0)
        DieWithUserMessage(program, net_error);
    return fd;
}

// A client's beginning, with the arguments [HOST [PORT]]; without HOST it calls this machine.
static inline int call_from(int argc, char **argv, int default_port)
{
    if (argc > 3)
        usage(argv[0], "[HOST [PORT]]");
    int port = argc > 2 ? port_or_exit(argv[2]) : default_port;
    return call_or_exit(argv[0], argc > 1 ? host_or_exit(argv[1]) : "localhost", port);
}
