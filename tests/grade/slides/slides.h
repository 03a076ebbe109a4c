// What several of these programs need: the echo of lecture 4, readline, which the slides leave to be implemented, and
// the port.

#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAXLINE 512

typedef struct sockaddr SA;

// Where the slide has a fixed port, here it may be an argument, and is looked at.
static inline unsigned short port_of(int argc, char **argv, int usual)
{
    char *end = "";
    long port = argc > 1 ? strtol(argv[1], &end, 10) : usual;
    if (*end || port < 0 || port > 65535)
        exit(2);
    return port;
}

static inline ssize_t readline(int fd, char *line, size_t size)
{
    size_t n = 0;
    while (n < size - 1) {
        ssize_t got = read(fd, line + n, 1);
        if (got < 0)
            return -1;
        if (got == 0 || line[n++] == '\n')
            break;
    }
    line[n] = 0;
    return n;
}

static inline void echo(int connfd)
{
    size_t n;
    char buf[MAXLINE];

    while ((n = readline(connfd, buf, MAXLINE)) > 0) {
        printf("server received %d bytes\n", (int)n);
        write(connfd, buf, n);
    }
}
