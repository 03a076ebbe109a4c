// For clients that talk while they listen. A client that first writes everything and then reads
// can wait for ever: the server answers as it goes, the client does not read it, all the
// buffers between them fill up, and both only want to write.

#pragma once

#include "nethelp.h"

// send() of what fits now, which may be nothing. When the server has stopped reading, the data
// counts as sent: it may have answered all the same, and what is heard tells the rest.
static inline ssize_t send_now(int fd, const void *data, size_t size)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    int error = n < 0 ? errno : 0;
    if (fcntl(fd, F_SETFL, flags) < 0)
        return -1;
    if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR)
        return 0;
    if (error == EPIPE || error == ECONNRESET)
        return (ssize_t)size;
    errno = error;
    return n;
}

// One step of such a conversation. Returns how many bytes of data were sent, or 0 when there is
// something to receive, or -1. size is 0 when there is no more to say.
static inline ssize_t say_or_hear(int server, const void *data, size_t size)
{
    for (;;) {
        struct pollfd peer = {.fd = server, .events = size > 0 ? POLLIN | POLLOUT : POLLIN};
        if (wait_for(&peer, 1, SILENCE_SECONDS * 1000) < 0)
            return -1;
        if (peer.revents != POLLOUT) // data, the end, or an error that receive() will tell
            return 0;
        ssize_t sent = send_now(server, data, size);
        if (sent != 0)
            return sent;
    }
}

// Standard input on its way to the server.
struct mouth {
    char data[BUFSIZE];
    size_t start, end; // data[start] to data[end - 1] are still to be sent
    int input;         // -1 after its end
};

static inline int read_input(struct mouth *mouth, int server)
{
    ssize_t n = receive(mouth->input, mouth->data, sizeof mouth->data);
    if (n < 0)
        return complain("read()", "standard input");
    if (n == 0) {
        shutdown(server, SHUT_WR); // fails if the server has gone, as we are about to hear
        mouth->input = -1;
    }
    mouth->start = 0;
    mouth->end = (size_t)n;
    return 0;
}

// Shows what has come. Returns 1, 0 at the end, or -1 after telling why.
static inline int hear(int server, const char *peer, size_t *heard)
{
    char data[BUFSIZE];
    ssize_t n = receive(server, data, sizeof data);
    if (n < 0)
        return complain("recv()", peer);
    *heard += (size_t)n;
    if (writen(STDOUT_FILENO, data, (size_t)n) < 0)
        return complain("write()", "standard output");
    return n > 0;
}

// Copies standard input to server and server to standard output, each when it can, until the
// server ends. The end of the input is passed on as a half-close. Returns 0, or -1 after
// telling why; in both cases also how many bytes there were to say, and how many were heard.
static inline int converse(int server, size_t *ret_said, size_t *ret_heard)
{
    struct mouth mouth = {.input = STDIN_FILENO};
    char peer[ADDRESS_TEXT];
    int more = 1;
    peer_text(server, peer);
    *ret_said = *ret_heard = 0;

    while (more > 0) {
        int busy = mouth.start < mouth.end; // then no more input is read
        struct pollfd ends[] = {{.fd = busy ? -1 : mouth.input, .events = POLLIN},
                                {.fd = server, .events = busy ? POLLIN | POLLOUT : POLLIN}};
        int patient = mouth.input >= 0 && !busy; // a person may think as long as he likes
        if (wait_for(ends, 2, patient ? -1 : SILENCE_SECONDS * 1000) < 0)
            return complain("poll()", peer);

        // The input comes first: when the server hangs up, it is known what was to be said.
        if (ends[0].revents) {
            if (read_input(&mouth, server) < 0)
                return -1;
            *ret_said += mouth.end;
        }
        if (ends[1].revents & POLLOUT) {
            ssize_t n = send_now(server, mouth.data + mouth.start, mouth.end - mouth.start);
            if (n < 0)
                return complain("send()", peer);
            mouth.start += (size_t)n;
        }
        if (ends[1].revents & ~POLLOUT)
            more = hear(server, peer, ret_heard);
    }
    return more;
}
