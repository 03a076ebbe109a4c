// Answering the door: the next caller, the end of a call, the echo. Part of nethelp.h.

#pragma once

#include <fcntl.h>
#include <time.h>

#include "nethelp_talk.h"
#include "nethelp_tell.h"

#define LINGER_MS 1000     // hang_up() waits at most so long for the last words of a caller,
#define LINGER_BYTES 65536 // and throws away at most so many of them

// After a failed accept(): is it the fault of one caller, or something that will pass?
static inline int can_go_on(void)
{
    switch (errno) {
    case EINTR: // if that signal was to stop, the next accept() finds the doorbell closed
    case ECONNABORTED:
    case EPROTO:
        return 1;
    case EMFILE: // out of descriptors or memory: to try again at once would only burn the processor
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        perror("accept() failed for now");
        poll(NULL, 0, 100);
        return 1;
    default:
        return 0;
    }
}

// Whether one at this address is answered: see listen_on().
static inline int is_welcome(const char *address)
{
    return answers_everyone || strncmp(address, "127.", 4) == 0 ||
           strncmp(address, "[::1]:", 6) == 0;
}

// The next caller. Callers that fail are passed over, so that -1 is the end of the doorbell:
// closed by a signal if `stopping` is set, broken if not.
static inline int get_connection(int s)
{
    for (;;) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address; // set anew each time, as accept() changes it
        char caller[ADDRESS_TEXT];
        int t = accept(s, (SA *)&address, &size);
        if (t < 0 && can_go_on())
            continue;
        if (t < 0)
            return -1;

        address_text((SA *)&address, size, caller);
        if (!is_welcome(caller))
            fprintf(stderr, "turned away: %s, as no HOST was given (`::` lets all in)\n", caller);
        else if (fcntl(t, F_SETFD, FD_CLOEXEC) < 0 || limit_silence(t) < 0)
            fprintf(stderr, "lost a caller: %s (%s)\n", strerror(errno), caller);
        else
            return t;
        close(t);
    }
}

static inline long long now_ms(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// Ends a call so that all that was written arrives. If the caller has said something that nobody
// read, close() alone would send a reset, and a reset destroys what is on its way to him.
static inline void hang_up(int fd)
{
    char unread[4096];
    const long long end = now_ms() + LINGER_MS;
    ssize_t budget = LINGER_BYTES;

    shutdown(fd, SHUT_WR); // fails if the caller has gone; so will recv()
    for (long long left = LINGER_MS; left > 0 && budget > 0; left = end - now_ms()) {
        struct pollfd caller = {.fd = fd, .events = POLLIN};
        if (poll(&caller, 1, (int)left) <= 0)
            continue; // a signal, or the time is over
        ssize_t n = recv(fd, unread, sizeof unread, 0);
        if (n <= 0)
            break;
        budget -= n;
    }
    close(fd);
}

// The echo service: sends everything back until the end, and reports each line. It does not
// wait for lines: there are clients that send a word without a newline, and wait for the echo.
static inline void echo(int connfd)
{
    char text[MAXLINE], caller[ADDRESS_TEXT];
    ssize_t n, line = 0; // line: bytes of the line that is under way
    peer_text(connfd, caller);
    while ((n = receive(connfd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            line++;
            if (text[i] == '\n') {
                printf("server received %zd bytes\n", line);
                line = 0;
            }
        }
        if (writen(connfd, text, (size_t)n) < 0) {
            complain("send()", caller);
            return;
        }
    }
    if (n < 0) // a size_t could not be, and -1 would count as a very long line
        complain("recv()", caller);
    if (line > 0)
        printf("server received %zd bytes\n", line);
}
