// The helpers that the lectures call and leave to be written, on ordinary descriptors. This header is
// all there is of them: nothing runs besides your program, and nothing has to be linked.
//
//     #include <doorbell/textbook.h>
//
//     int main(void)
//     {
//         int listenfd = open_listenfd(5000), connfd;
//         while ((connfd = get_connection(listenfd)) >= 0) {
//             echo(connfd);
//             close(connfd);
//         }
//         error("accept() failed");
//     }
//
// It brings the system's headers that the programs of the slides use. As "nethelp.h" and "Practical.h",
// the names on the slides, it lies in the folder doorbell/textbook: cc -I .../doorbell/textbook.
// Calls that fail return -1 and leave errno; textbook_reason() has the whole sentence.
//
// For a server that is to be trusted there is <doorbell.h>. Here, as on the slides, time is unlimited,
// and a plain write() to a caller who has left ends the program by SIGPIPE; writen() does not.
//
// Three names are also those of others. Include their headers first: then this one leaves its own out,
// and it stays there as textbook_error, textbook_readline, textbook_echo. (The other way round the
// compiler refuses theirs.) A program that writes one of these itself defines the word on the right
// before it includes this header:
//
//     error       glibc's <error.h>                  TEXTBOOK_NO_ERROR
//     readline    GNU's <readline/readline.h>        TEXTBOOK_NO_READLINE
//     echo        <curses.h>                         TEXTBOOK_NO_ECHO
//     capitalize  the exercise of lecture 2          TEXTBOOK_NO_CAPITALIZE
//
// As all functions are static, the libraries that define those names are not disturbed.

#ifndef DOORBELL_TEXTBOOK_H
#define DOORBELL_TEXTBOOK_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1 // or a strict -std=c11 would hide getaddrinfo and bzero
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef AI_PASSIVE
#error "with -std=c11, <doorbell/textbook.h> must be the first header, or add -D_DEFAULT_SOURCE"
#endif

typedef struct sockaddr SA;

#define MAXLINE 8192  // bytes of a line, with its newline and a NUL after it
#define MAX_LINE 8192 // the same, as lecture 2 writes it
#define BUFSIZE 512   // bytes read at once where lines do not matter
#define LISTENQ 1024  // callers that may wait at the door; the system may allow fewer

#define TEXTBOOK_HELPER static inline __attribute__((unused))

// ---- Failures -----------------------------------------------------------------------------------

// Room for the sentence about the last failure of establish, open_listenfd, open_clientfd or
// call_socket in this thread.
TEXTBOOK_HELPER char *textbook_reason_text(void)
{
    static __thread char text[256];
    return text;
}

// That sentence: "connect() failed: Connection refused (127.0.0.1:5000)".
TEXTBOOK_HELPER const char *textbook_reason(void)
{
    return textbook_reason_text();
}

// perror(msg), exit(1). (On one of the slides the client's has exit(0), which is a slip.)
TEXTBOOK_HELPER void textbook_error(const char *msg)
{
    perror(msg);
    exit(1);
}

// Prints "msg: detail" and exits with 1.
TEXTBOOK_HELPER void DieWithUserMessage(const char *msg, const char *detail)
{
    fprintf(stderr, "%s: %s\n", msg, detail);
    exit(1);
}

// Prints "msg: Connection refused", or whatever errno says, and exits with 1.
TEXTBOOK_HELPER void DieWithSystemMessage(const char *msg)
{
    textbook_error(msg);
}

// ---- Listening and calling ----------------------------------------------------------------------

// Puts the address into the sentence of a failed call. Returns -1.
TEXTBOOK_HELPER int textbook_failed(const char *call, const struct addrinfo *at)
{
    char host[64], port[8];
    const int error = errno;
    if (getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        host[0] = port[0] = '\0';
    snprintf(textbook_reason_text(), 256,
             strchr(host, ':') ? "%s failed: %s ([%s]:%s)" : "%s failed: %s (%s:%s)", call,
             strerror(error), host, port);
    errno = error;
    return -1;
}

// The addresses of a host, as getaddrinfo has them; to be freed. NULL: no such name.
TEXTBOOK_HELPER struct addrinfo *textbook_find(const char *host, int port)
{
    struct addrinfo hints, *found = NULL;
    char service[16];
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    snprintf(service, sizeof service, "%d", port);
    int rc = port < 0 || port > 65535 ? EAI_SERVICE : getaddrinfo(host, service, &hints, &found);
    if (rc == 0)
        return found;
    snprintf(textbook_reason_text(), 256, "getaddrinfo() failed: %s (%s:%d)",
             rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc), host, port);
    errno = rc == EAI_SERVICE ? EINVAL : ENXIO;
    return NULL;
}

// Returns NULL, or the call that failed.
TEXTBOOK_HELPER const char *textbook_listen_at(int fd, const struct addrinfo *at, int backlog)
{
    const int on = 1;
    // Without it a server could not be started again while its old connections are remembered.
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return "setsockopt()";
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0)
        return "bind()";
    return listen(fd, backlog) < 0 ? "listen()" : NULL;
}

// A listening socket at the first address of a host, or -1.
TEXTBOOK_HELPER int textbook_listen(const char *host, int port, int backlog)
{
    struct addrinfo *at = textbook_find(host, port);
    if (!at)
        return -1;
    int fd = socket(at->ai_family, SOCK_STREAM, 0);
    const char *failed = fd < 0 ? "socket()" : textbook_listen_at(fd, at, backlog);
    if (failed) {
        textbook_failed(failed, at);
        const int error = errno;
        if (fd >= 0)
            close(fd);
        fd = -1;
        errno = error;
    } else
        fcntl(fd, F_SETFD, FD_CLOEXEC); // a program that this one starts has no business with it
    freeaddrinfo(at);
    return fd;
}

// Where doors are. This machine's callers only; on the slides all the world may call: define
// TEXTBOOK_EVERYONE before this header, or with -D, for that.
//
// It is IPv4 alone, as on the slides, and has to be: their accept() has a struct sockaddr for the caller,
// which has no room for an IPv6 address. From the second IPv6 caller on it would be written past its end.
#ifdef TEXTBOOK_EVERYONE
#define TEXTBOOK_DOOR "0.0.0.0"
#else
#define TEXTBOOK_DOOR "127.0.0.1"
#endif

// The telephone of lecture 1: a listening socket. Three callers may wait, as there. Port 0 is any free one.
TEXTBOOK_HELPER int establish(unsigned short portnum)
{
    return textbook_listen(TEXTBOOK_DOOR, portnum, 3);
}

// The same, of lecture 4.
TEXTBOOK_HELPER int open_listenfd(int port)
{
    return textbook_listen(TEXTBOOK_DOOR, port, LISTENQ);
}

// After a failed accept(): is it one caller's fault, or will it pass?
TEXTBOOK_HELPER int textbook_will_pass(void)
{
    switch (errno) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
        return 1;
    case EMFILE: // out of something: to try again at once would only burn the processor
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        poll(NULL, 0, 100);
        return 1;
    default:
        return 0;
    }
}

// The next caller of a socket made by establish(): a descriptor, or -1.
TEXTBOOK_HELPER int get_connection(int s)
{
    int t;
    do
        t = accept(s, NULL, NULL);
    while (t < 0 && textbook_will_pass());
    if (t >= 0)
        fcntl(t, F_SETFD, FD_CLOEXEC);
    return t;
}

// connect() that a signal does not disturb: an interrupted one goes on by itself.
TEXTBOOK_HELPER int textbook_connect(int fd, const struct addrinfo *at)
{
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
        return 0;
    if (errno != EINTR)
        return -1;
    struct pollfd peer = {fd, POLLOUT, 0};
    while (poll(&peer, 1, -1) < 0)
        if (errno != EINTR)
            return -1;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -1;
    errno = error;
    return error ? -1 : 0;
}

// A connection to the first address of host that answers, of all its addresses. -1 and errno; -2 when
// there is no such name or port.
TEXTBOOK_HELPER int open_clientfd(const char *host, int port)
{
    struct addrinfo *all = textbook_find(host, port);
    int fd = -1;
    if (!all)
        return -2;
    for (struct addrinfo *at = all; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && textbook_connect(fd, at) == 0)
            break;
        textbook_failed(fd < 0 ? "socket()" : "connect()", at);
        const int error = errno;
        if (fd >= 0)
            close(fd);
        fd = -1;
        errno = error;
    }
    const int error = errno;
    freeaddrinfo(all);
    errno = error;
    return fd;
}

// The same, of lecture 1: -1 for every failure.
TEXTBOOK_HELPER int call_socket(const char *hostname, unsigned short portnum)
{
    int s = open_clientfd(hostname, portnum);
    return s < 0 ? -1 : s;
}

// ---- Reading and writing ------------------------------------------------------------------------

// Up to size bytes, as soon as there are some; 0 is the end. Unlike read() it is not interrupted.
TEXTBOOK_HELPER ssize_t textbook_read(int fd, void *data, size_t size)
{
    ssize_t n;
    do
        n = read(fd, data, size);
    while (n < 0 && errno == EINTR);
    return n;
}

// Writes all of data: size, or -1. That the peer has left is an error (EPIPE) and no signal.
TEXTBOOK_HELPER ssize_t writen(int fd, const void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const char *rest = (const char *)data + done;
        ssize_t n = send(fd, rest, size - done, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK) // a file or a pipe
            n = write(fd, rest, size - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)size;
}

// Takes what has come up to a newline, and leaves what is behind it: a socket is looked into first,
// other things are read byte by byte.
TEXTBOOK_HELPER ssize_t textbook_take(int fd, char *text, size_t size)
{
    ssize_t n;
    do
        n = recv(fd, text, size, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == ENOTSOCK)
        return textbook_read(fd, text, 1);
    if (n <= 0)
        return n;
    const char *newline = (const char *)memchr(text, '\n', (size_t)n);
    return textbook_read(fd, text, newline ? (size_t)(newline - text) + 1 : (size_t)n);
}

// A line with its newline and a NUL after it; or the first maxlen - 1 bytes of a longer one; or what came
// before the end. Returns its length, as the line may hold NULs; 0 is the end, -1 an error (EINVAL: maxlen
// is below 2). It takes nothing that comes after the newline: a read() may follow.
TEXTBOOK_HELPER ssize_t textbook_readline(int fd, void *buf, size_t maxlen)
{
    char *line = (char *)buf;
    size_t length = 0;
    if (maxlen < 2) {
        errno = EINVAL;
        return -1;
    }
    while (length < maxlen - 1 && (length == 0 || line[length - 1] != '\n')) {
        ssize_t n = textbook_take(fd, line + length, maxlen - 1 - length);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    line[length] = '\0';
    return (ssize_t)length;
}

// Sends back what comes until the end, and prints "server received N bytes" for each line. It does not
// wait for newlines: there are clients that send a word without one, and wait for their echo.
TEXTBOOK_HELPER void textbook_echo(int connfd)
{
    char text[MAXLINE];
    size_t line = 0;
    ssize_t n;
    while ((n = textbook_read(connfd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (++line, text[i] == '\n') {
                printf("server received %zu bytes\n", line);
                line = 0;
            }
        if (writen(connfd, text, (size_t)n) < 0)
            break;
    }
    if (line > 0)
        printf("server received %zu bytes\n", line);
    fflush(stdout);
}

// a-z to A-Z, and nothing else, in size bytes: no locale, no NUL ends it, the length stays.
TEXTBOOK_HELPER void textbook_capitalize(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)(text[i] - 'a' + 'A');
}

// ---- Names that others have, too ----------------------------------------------------------------

#if !defined TEXTBOOK_NO_ERROR && !defined _ERROR_H
TEXTBOOK_HELPER void error(const char *msg)
{
    textbook_error(msg);
}
#endif

#if !defined TEXTBOOK_NO_READLINE && !defined _READLINE_H_
TEXTBOOK_HELPER ssize_t readline(int fd, void *buf, size_t maxlen)
{
    return textbook_readline(fd, buf, maxlen);
}
#endif

#if !defined TEXTBOOK_NO_ECHO && !defined __NCURSES_H
TEXTBOOK_HELPER void echo(int connfd)
{
    textbook_echo(connfd);
}
#endif

// capitalize(text, size), or capitalize(text) as on the slide, up to the NUL; if text is an array, also
// not past its end, for nothing on that slide puts a NUL there.
#ifndef TEXTBOOK_NO_CAPITALIZE
#define capitalize(...) \
    TEXTBOOK_THIRD(__VA_ARGS__, textbook_capitalize, textbook_capitalize_string, 0)(__VA_ARGS__)
#define TEXTBOOK_THIRD(first, second, third, ...) third
#define textbook_capitalize_string(text) \
    textbook_capitalize((text), strnlen((text), __builtin_object_size((text), 1)))
#endif

#endif
