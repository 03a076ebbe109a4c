// Listening and calling: from a name and a port to a socket, with everything checked.

#define _POSIX_C_SOURCE 200809L

#include "nethelp.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char net_error[256];
int answers_everyone;
volatile sig_atomic_t stopping;
volatile sig_atomic_t doorbell = -1;

// Both attempts below return NULL, or the name of the call that failed.
static const char *listen_at(int fd, const struct addrinfo *at)
{
    const int on = 1, off = 0;
    // Without it a server could not be started again while its old connections are remembered.
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return "setsockopt()";
    // IPv4 callers come to an IPv6 socket too, if it is told to let them.
    if (at->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        return "setsockopt()";
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0)
        return "bind()";
    return listen(fd, LISTENQ) < 0 ? "listen()" : NULL;
}

static const char *connect_to(int fd, const struct addrinfo *at)
{
    if (limit_silence(fd) < 0)
        return "setsockopt()";
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
        return NULL;
    if (errno == EINTR) { // the call goes on by itself; a second connect() would only be refused
        struct pollfd peer = {.fd = fd, .events = POLLOUT};
        int error = 0;
        socklen_t size = sizeof error;
        if (wait_for(&peer, 1, SILENCE_SECONDS * 1000) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            return "connect()";
        if (error == 0)
            return NULL;
        errno = error;
    }
    if (errno == EINPROGRESS) // so Linux says that SO_SNDTIMEO has run out
        errno = ETIMEDOUT;
    return "connect()";
}

struct addrinfo *find_addresses(const char *host, int port, int type)
{
    struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICSERV}, *all = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int rc = port < 0 || port > 65535 ? EAI_SERVICE : getaddrinfo(host, service, &hints, &all);
    if (rc == 0)
        return all;
    const char *reason = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
    snprintf(net_error, sizeof net_error, "getaddrinfo() failed: %s (%s:%d)", reason, host, port);
    return NULL;
}

int try_addresses(const char *host, int port, int type, attempt_function *attempt)
{
    struct addrinfo *all = find_addresses(host, port, type);
    if (!all)
        return -2;
    int fd = -1, error = 0;
    for (const struct addrinfo *at = all; at && fd < 0; at = at->ai_next) {
        const char *failed = "socket()";
        fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd >= 0) // a program that this one starts has no business with the socket
            failed = fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? "fcntl()" : attempt(fd, at);
        if (!failed)
            break;

        error = errno;
        char where[ADDRESS_TEXT];
        address_text(at->ai_addr, at->ai_addrlen, where);
        const char *hint = attempt == listen_at && error == EACCES
                               ? ": ports below 1024 are for root, take a higher one"
                               : "";
        snprintf(net_error, sizeof net_error, "%s failed: %s (%s)%s", failed, strerror(error),
                 where, hint);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(all);
    errno = error;
    return fd;
}

int listen_on(const char *host, int port)
{
    answers_everyone = host != NULL;
    int fd = try_addresses(host ? host : "::", port, SOCK_STREAM, listen_at);
    if (fd == -1 && !host && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) // no IPv6 here
        fd = try_addresses("0.0.0.0", port, SOCK_STREAM, listen_at);
    return fd;
}

int open_clientfd(const char *host, int port)
{
    return try_addresses(host, port, SOCK_STREAM, connect_to);
}
