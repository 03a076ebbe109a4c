// What people get to read: addresses, errors, usage. Part of nethelp.h.

#pragma once

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "127.0.0.1:5000" or "[::1]:5000".
static inline void address_text(const SA *address, socklen_t size, char text[ADDRESS_TEXT])
{
    char host[64], port[8];
    if (getnameinfo(address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(text, ADDRESS_TEXT, "unknown address");
    else if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.')) // IPv4, met at an IPv6 socket
        snprintf(text, ADDRESS_TEXT, "%s:%s", host + 7, port);
    else
        snprintf(text, ADDRESS_TEXT, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

// The address of the other side, to be asked for while it is there: a reset makes it unknown.
static inline void peer_text(int fd, char text[ADDRESS_TEXT])
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getpeername(fd, (SA *)&address, &size) == 0)
        address_text((SA *)&address, size, text);
    else
        snprintf(text, ADDRESS_TEXT, "gone already");
}

// One line about a call that failed, with the peer it failed with. Returns -1.
static inline int complain(const char *call, const char *peer)
{
    fprintf(stderr, "%s failed: %s (%s)\n", call, strerror(errno), peer);
    return -1;
}

static inline void DieWithUserMessage(const char *message, const char *detail)
{
    fprintf(stderr, "%s: %s\n", message, detail);
    exit(1);
}

static inline void DieWithSystemMessage(const char *message)
{
    perror(message);
    exit(1);
}

static inline void usage(const char *program, const char *arguments)
{
    fprintf(stderr, "usage: %s %s\n", program, arguments);
    exit(2);
}

// printf() only fills a buffer. A full disk or a closed standard output shows here.
static inline void flush_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        DieWithSystemMessage("standard output");
}
