// The calls of the book that are about sockets, each made by the table behind and shown.

#include <errno.h>

#include "kernel/calls_line.h"
#include "kernel/calls_print.h"

// ---- Connecting -------------------------------------------------------------------------------

// Connections that are being made by this thread: the call of the book began when the first try
// did. When there are more at once than this, one of them counts from its last try.
enum { CONNECTING_MAX = 8 };

static _Thread_local struct {
    int fd;
    int64_t began; // 0: a free place
} connecting[CONNECTING_MAX];

static void note_connecting(int fd, int64_t began)
{
    unsigned place = (unsigned)fd % CONNECTING_MAX;
    for (unsigned i = 0; i < CONNECTING_MAX; i++)
        if (!connecting[i].began)
            place = i;
    connecting[place].fd = fd;
    connecting[place].began = began;
}

// When the first try began, 0 if there was none; and forgets it.
static int64_t take_connecting(int fd)
{
    for (unsigned i = 0; i < CONNECTING_MAX; i++)
        if (connecting[i].began && connecting[i].fd == fd) {
            int64_t began = connecting[i].began;
            connecting[i].began = 0;
            return began;
        }
    return 0;
}

int calls_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    struct call_line line;
    calls_line_begin(&line);
    int64_t first = take_connecting(fd);
    if (first)
        line.began = first;
    int rc = calls_behind->connect(fd, address, size);
    bool has_ended = calls_line_has_ended(&line, rc);
    if (line.waits)
        note_connecting(fd, line.began);
    if (!has_ended)
        return rc;
    text_addf(&line.text, "connect(%d, ", fd);
    calls_print_address(&line.text, address, size);
    text_add(&line.text, ")");
    // A later try says so of a connection that the first one began.
    calls_line_result(&line, first && rc == -EISCONN ? 0 : rc);
    calls_line_write(&line);
    return rc;
}

// ---- Making sockets, and servers' calls --------------------------------------------------------

int calls_socket(int family, int type, int protocol)
{
    struct call_line line;
    calls_line_begin(&line);
    int fd = calls_behind->socket(family, type, protocol);
    calls_line_yield(fd);
    (void)take_connecting(fd); // one that was closed before it was connected
    calls_line_end(&line);
    text_add(&line.text, "socket(");
    calls_print_kind(&line.text, family, type);
    text_addf(&line.text, ", %d)", protocol);
    calls_line_count(&line, fd);
    calls_line_write(&line);
    return fd;
}

int calls_socketpair(int family, int type, int ret_fds[2])
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->socketpair(family, type, ret_fds);
    calls_line_end(&line);
    text_add(&line.text, "socketpair(");
    calls_print_kind(&line.text, family, type);
    text_add(&line.text, ", 0");
    if (rc >= 0) {
        calls_line_yield(ret_fds[0]);
        calls_line_yield(ret_fds[1]);
        text_addf(&line.text, ", {%d, %d}", ret_fds[0], ret_fds[1]);
    }
    text_add(&line.text, ")");
    calls_line_result(&line, rc);
    calls_line_write(&line);
    return rc;
}

int calls_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->bind(fd, address, size);
    calls_line_end(&line);
    text_addf(&line.text, "bind(%d, ", fd);
    calls_print_address(&line.text, address, size);
    text_add(&line.text, ")");
    calls_line_result(&line, rc);
    calls_line_write(&line);
    return rc;
}

int calls_listen(int fd, int backlog)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->listen(fd, backlog);
    calls_line_tell(&line, rc, "listen(%d, %d)", fd, backlog);
    return rc;
}

// A Unix socket that calls or sends has no name, most of the time: then only its family is told, or
// nothing.
static bool has_name(socklen_t size)
{
    return size > sizeof(sa_family_t);
}

int calls_accept(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    struct call_line line;
    calls_line_begin(&line);
    int accepted = calls_behind->accept(fd, ret_peer, size);
    calls_line_yield(accepted);
    if (!calls_line_has_ended(&line, accepted))
        return accepted;
    text_addf(&line.text, "accept(%d)", fd);
    calls_line_count(&line, accepted);
    if (accepted >= 0 && ret_peer && has_name(*size)) {
        calls_line_remark(&line, "from ");
        calls_print_address(&line.text, ret_peer, *size);
    }
    calls_line_write(&line);
    return accepted;
}

// ---- Receiving and sending --------------------------------------------------------------------

// Of a datagram that was cut `n` is the whole.
static void print_received(struct text *text, const void *into, size_t size, ssize_t n)
{
    calls_print_data(text, into, (size_t)n < size ? (size_t)n : size);
}

ssize_t calls_recv(int fd, void *into, size_t size, int flags)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->recv(fd, into, size, flags);
    if (!calls_line_has_ended(&line, n))
        return n;
    text_addf(&line.text, "recv(%d)", fd);
    calls_line_count(&line, n);
    bool is_message = flags & MSG_TRUNC;
    if (n > 0 || (n == 0 && is_message)) {
        calls_line_remark(&line, "");
        print_received(&line.text, into, size, n);
    } else if (n == 0) {
        calls_line_remark(&line, "the other end has finished");
    }
    calls_line_write(&line);
    return n;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of recvfrom(2)
ssize_t calls_recvfrom(int fd, void *into, size_t size, int flags, struct sockaddr *ret_peer,
                       socklen_t *peer_size)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->recvfrom(fd, into, size, flags, ret_peer, peer_size);
    if (!calls_line_has_ended(&line, n))
        return n;
    text_addf(&line.text, "recvfrom(%d)", fd);
    calls_line_count(&line, n);
    if (n >= 0) {
        calls_line_remark(&line, "");
        print_received(&line.text, into, size, n);
    }
    if (n >= 0 && has_name(*peer_size)) {
        text_add(&line.text, " from ");
        calls_print_address(&line.text, ret_peer, *peer_size);
    }
    calls_line_write(&line);
    return n;
}

ssize_t calls_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->recvmsg(fd, message, flags);
    if (!calls_line_has_ended(&line, n))
        return n;
    text_addf(&line.text, "recvmsg(%d)", fd);
    calls_line_count(&line, n);
    bool has_peer = n >= 0 && message->msg_name && has_name(message->msg_namelen);
    if (n > 0 || has_peer)
        calls_line_remark(&line, "");
    if (n > 0)
        calls_print_pieces(&line.text, message, (size_t)n);
    if (has_peer) {
        text_add(&line.text, n > 0 ? " from " : "from ");
        calls_print_address(&line.text, message->msg_name, message->msg_namelen);
    }
    calls_line_write(&line);
    return n;
}

ssize_t calls_send(int fd, const void *from, size_t size, int flags)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->send(fd, from, size, flags);
    if (!calls_line_has_ended(&line, n))
        return n;
    text_addf(&line.text, "send(%d, ", fd);
    calls_print_data(&line.text, from, size);
    text_addf(&line.text, ", %zu)", size);
    calls_line_count(&line, n);
    calls_line_write(&line);
    return n;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of sendto(2)
ssize_t calls_sendto(int fd, const void *from, size_t size, int flags, const struct sockaddr *peer,
                     socklen_t peer_size)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->sendto(fd, from, size, flags, peer, peer_size);
    if (!calls_line_has_ended(&line, n))
        return n;
    text_addf(&line.text, "sendto(%d, ", fd);
    calls_print_data(&line.text, from, size);
    text_addf(&line.text, ", %zu, ", size);
    calls_print_address(&line.text, peer, peer_size);
    text_add(&line.text, ")");
    calls_line_count(&line, n);
    calls_line_write(&line);
    return n;
}

ssize_t calls_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->sendmsg(fd, message, flags);
    if (!calls_line_has_ended(&line, n))
        return n;
    size_t size = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        size += message->msg_iov[i].iov_len;
    text_addf(&line.text, "sendmsg(%d, ", fd);
    calls_print_pieces(&line.text, message, size);
    text_addf(&line.text, ", %zu", size);
    if (message->msg_name) {
        text_add(&line.text, ", ");
        calls_print_address(&line.text, message->msg_name, message->msg_namelen);
    }
    text_add(&line.text, ")");
    calls_line_count(&line, n);
    calls_line_write(&line);
    return n;
}

ssize_t calls_sendfile(int fd, int file, off_t *offset, size_t count)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->sendfile(fd, file, offset, count);
    if (!calls_line_has_ended(&line, n))
        return n;
    text_addf(&line.text, "sendfile(%d, %d, %zu)", fd, file, count);
    calls_line_count(&line, n);
    calls_line_write(&line);
    return n;
}

// ---- Options and the end ----------------------------------------------------------------------

int calls_shutdown(int fd, int how)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->shutdown(fd, how);
    calls_line_end(&line);
    text_addf(&line.text, "shutdown(%d, ", fd);
    calls_print_direction(&line.text, how);
    text_add(&line.text, ")");
    calls_line_result(&line, rc);
    calls_line_write(&line);
    return rc;
}

int calls_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->setsockopt(fd, level, name, value, size);
    calls_line_end(&line);
    text_addf(&line.text, "setsockopt(%d, ", fd);
    calls_print_option(&line.text, level, name, value, size);
    text_add(&line.text, ")");
    calls_line_result(&line, rc);
    calls_line_write(&line);
    return rc;
}
