// For servers and clients that speak UDP: a door for datagrams, and a question that survives loss.

#pragma once

#include "nethelp.h"

#define DATAGRAM_MAX 65507 // bytes of a datagram over IPv4: 65,535 less 20 for IP and 8 for UDP
#define TRIES 5            // times that a question is sent until it is given up
#define FIRST_WAIT_MS 1000 // for the answer to the first one; doubled each time, 31 s in all

// ---- Serving ------------------------------------------------------------------------------------

static inline const char *bind_at(int fd, const struct addrinfo *at)
{
    const int off = 0;
    // No SO_REUSEADDR: UDP has no old connections, and another server could take the port as well.
    if (at->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        return "setsockopt()";
    return bind(fd, at->ai_addr, at->ai_addrlen) < 0 ? "bind()" : NULL;
}

// A socket that gets datagrams of IPv6 and IPv4. HOST is as for listen_on().
static inline int receive_on(const char *host, int port)
{
    answers_everyone = host != NULL;
    int fd = try_addresses(host ? host : "::", port, SOCK_DGRAM, bind_at);
    if (fd == -1 && !host && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) // no IPv6 here
        fd = try_addresses("0.0.0.0", port, SOCK_DGRAM, bind_at);
    return fd;
}

// Who sent a datagram, to be answered.
struct sender {
    struct sockaddr_storage address;
    socklen_t size;
    char text[ADDRESS_TEXT];
};

// Whether it is safe to answer: a server that answers other servers can be made to talk with them
// for ever, by one datagram with a false sender. These have ports below 1024.
static inline int may_answer(const struct sender *sender)
{
    const char *port = strrchr(sender->text, ':');
    return port && atoi(port + 1) >= 1024 && is_welcome(sender->text);
}

// The next datagram that may be answered; 0 is an empty one. -1 at the end, as get_connection().
static inline ssize_t next_datagram(int s, void *data, size_t size, struct sender *ret_sender)
{
    for (;;) {
        ret_sender->size = sizeof ret_sender->address; // anew each time: recvfrom() changes it
        ssize_t n = recvfrom(s, data, size, 0, (SA *)&ret_sender->address, &ret_sender->size);
        if (n < 0 && stopping)
            return -1;
        if (n < 0 && errno != EINTR && errno != ECONNREFUSED) { // that is about an earlier answer
            perror("recvfrom() failed");
            poll(NULL, 0, 100);
        }
        if (n < 0)
            continue;
        address_text((SA *)&ret_sender->address, ret_sender->size, ret_sender->text);
        if (may_answer(ret_sender))
            return n;
        fprintf(stderr, "not answered: %s\n", ret_sender->text);
    }
}

// ---- Asking -------------------------------------------------------------------------------------

// A socket that talks with one address only: others are not heard, and it is told that nobody is
// there. It has a port of its own: own_port, if that is not 0. Returns it, or -1 with net_error.
static inline int open_datagrams(const struct addrinfo *at, int own_port)
{
    struct sockaddr_storage own = {.ss_family = (sa_family_t)at->ai_family};
    ((struct sockaddr_in *)&own)->sin_port =
        htons((in_port_t)own_port); // sin6_port is in its place
    int fd = socket(at->ai_family, SOCK_DGRAM, 0);
    const char *failed = NULL;
    if (fd < 0)
        failed = "socket()";
    else if (own_port && bind(fd, (SA *)&own, at->ai_addrlen) < 0)
        failed = "bind()";
    else if (connect(fd, at->ai_addr, at->ai_addrlen) < 0)
        failed = "connect()";
    if (!failed)
        return fd;
    snprintf(net_error, sizeof net_error, "%s failed: %s", failed, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

// Sends a question until it is answered. Returns the size of the answer, which may be 0, or -1.
static inline ssize_t ask_until_answered(int fd, const void *question, size_t size, void *answer,
                                         size_t answer_size)
{
    struct pollfd server = {.fd = fd, .events = POLLIN};
    for (int try = 0, wait_ms = FIRST_WAIT_MS; try < TRIES; try++, wait_ms *= 2) {
        if (send(fd, question, size, 0) < 0)
            return -1;
        if (wait_for(&server, 1, wait_ms) == 0)
            return recv(fd, answer, answer_size, 0);
        if (errno != ETIMEDOUT)
            return -1;
    }
    return -1;
}
