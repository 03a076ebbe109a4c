// Reading and writing, for servers and clients. Part of nethelp.h.

#pragma once

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

// A peer that says nothing, or reads nothing, for SILENCE_SECONDS makes the calls on fd fail.
static inline int limit_silence(int fd)
{
    struct timeval limit = {.tv_sec = SILENCE_SECONDS};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
        return -1;
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

// After a failed call: is it to be repeated? A signal came, then. The silence limit shows up as
// EAGAIN, "Resource temporarily unavailable", which would tell nobody what happened.
static inline int interrupted(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        errno = ETIMEDOUT;
    return errno == EINTR;
}

// poll() that takes up to limit_ms, or for ever if that is -1. Returns 0 when something is
// ready, or -1.
static inline int wait_for(struct pollfd *ends, nfds_t count, int limit_ms)
{
    int n;
    do
        n = poll(ends, count, limit_ms);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = ETIMEDOUT;
    return n > 0 ? 0 : -1;
}

// Up to size bytes, as soon as there are some; 0 is the end.
static inline ssize_t receive(int fd, void *data, size_t size)
{
    ssize_t n;
    do
        n = read(fd, data, size);
    while (n < 0 && interrupted());
    return n;
}

// All of data: returns size, or -1. That the peer has left is an error (EPIPE), not a signal.
static inline ssize_t writen(int fd, const void *data, size_t size)
{
    const char *rest = data;
    size_t left = size;
    while (left > 0) {
        ssize_t n = send(fd, rest, left, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
            n = write(fd, rest, left);
        if (n < 0 && !interrupted())
            return -1;
        rest += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)size;
}

// How many bytes of fd may be read without passing a newline. A socket is looked into; of a
// pipe or a file, which cannot be, it is one byte at a time.
static inline ssize_t count_to_newline(int fd, char *room, size_t size)
{
    ssize_t n;
    do
        n = recv(fd, room, size, MSG_PEEK);
    while (n < 0 && errno != ENOTSOCK && interrupted());
    if (n < 0 && errno == ENOTSOCK)
        return 1;
    const char *newline = n > 0 ? memchr(room, '\n', (size_t)n) : NULL;
    return newline ? newline - room + 1 : n;
}

// A line with its newline, or size - 1 bytes of a longer one, or what came before the end; a
// NUL after it. Returns the count, as there may be NULs in the line too; 0 is the end. Takes
// nothing that comes after the newline, so that whoever reads next finds it. size is 2 or more.
static inline ssize_t readline(int fd, char *line, size_t size)
{
    size_t length = 0;
    char last = '\0';
    if (size < 2) {
        errno = EINVAL;
        return -1;
    }
    while (length < size - 1 && last != '\n') {
        ssize_t n = count_to_newline(fd, line + length, size - 1 - length);
        if (n > 0)
            n = receive(fd, line + length, (size_t)n);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        length += (size_t)n;
        last = line[length - 1];
    }
    line[length] = '\0';
    return (ssize_t)length;
}

// a-z to A-Z and nothing else: no locale, no NUL ends it, and the length stays.
static inline void capitalize(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)(text[i] - 'a' + 'A');
}
