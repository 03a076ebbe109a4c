// What the C programs in this folder have in common. They are the programs of the lectures as others
// would write them down: their faults are kept wherever somebody on the other side can see them.
// IPv4 only, no SO_REUSEADDR, and a caller who resets ends most of them by SIGPIPE.

#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// As atoi() reads it: abc is port 0, and 70000 is 4464.
static inline in_port_t port_of(const char *text)
{
    return (in_port_t)strtol(text, NULL, 10);
}

static inline void die(const char *call)
{
    perror(call);
    exit(1);
}

// All addresses of this machine.
static inline struct sockaddr_in here(in_port_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
}

// Says what port 0 has become. The slides have no such line, and no port 0; it is on stderr because
// some of them print on stdout.
static inline void tell_port(int door, in_port_t asked)
{
    struct sockaddr_in address = here(0);
    socklen_t size = sizeof address;
    if (asked == 0 && getsockname(door, (struct sockaddr *)&address, &size) == 0)
        fprintf(stderr, "listening on *:%d\n", ntohs(address.sin_port));
}

// A listening socket, or -1.
static inline int listen_at(in_port_t port, int backlog)
{
    struct sockaddr_in address = here(port);
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (door < 0)
        return -1;
    if (bind(door, (struct sockaddr *)&address, sizeof address) < 0 || listen(door, backlog) < 0) {
        close(door);
        return -1;
    }
    tell_port(door, port);
    return door;
}

// A connected socket, or -1, whatever went wrong.
static inline int call(const char *host, in_port_t port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return -1;
    struct sockaddr_in address;
    memcpy(&address, found->ai_addr, sizeof address);
    freeaddrinfo(found);
    address.sin_port = htons(port);
    int line = socket(AF_INET, SOCK_STREAM, 0);
    if (line < 0)
        return -1;
    if (connect(line, (struct sockaddr *)&address, sizeof address) < 0) {
        close(line);
        return -1;
    }
    return line;
}

// a to z only, whatever the locale.
static inline void capitalize(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)(text[i] - 'a' + 'A');
}
