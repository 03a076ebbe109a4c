// What the backends that report readiness have in common: trying a call.

#include <errno.h>

#include "kernel/kernel.h"
#include "wait/backend.h"

// One accept. A caller who left while waiting in line is no reason to stop: the next one may be
// there (accept(2): treat these like EAGAIN by retrying).
static int try_accept(struct wait_call *call)
{
    int fd = -EAGAIN;
    for (int tries = 0; tries < 16; tries++) {
        socklen_t size = (socklen_t)call->size;
        fd = kernel->accept(call->endpoint->fd, call->into, call->into ? &size : NULL);
        switch (fd) {
        case -ECONNABORTED:
        case -EPROTO:
        case -EINTR:
        case -ENETDOWN:
        case -ENOPROTOOPT:
        case -EHOSTDOWN:
        case -ENONET:
        case -EHOSTUNREACH:
        case -ENETUNREACH:
        case -EPERM:
            continue;
        default:
            // More callers make the listener ready again; to look for them now would most often
            // be in vain.
            call->endpoint->drained = fd >= 0;
            if (fd >= 0 && call->size_used)
                *call->size_used = size;
            return fd;
        }
    }
    // After so many others should have their turn. But what a rule forbids may wait in line still, and would be
    // there at once again.
    return fd == -EPERM ? fd : -EAGAIN;
}

// The first connect(2) begins the handshake; the later ones ask how it went.
static int try_connect(struct wait_call *call)
{
    int rc = kernel->connect(call->endpoint->fd, call->from, (socklen_t)call->size);
    if (rc == -EINPROGRESS || rc == -EALREADY || rc == -EINTR) {
        call->begun = true;
        return -EAGAIN;
    }
    if (rc == -EISCONN && call->begun)
        return 0;
    // A Unix socket whose listener's queue is full says EAGAIN, and no event tells when to try
    // again: that is for the caller to know.
    return rc == -EAGAIN ? -ENOBUFS : rc;
}

// After connecting, ETIMEDOUT is the kernel's own giving up: the other end has vanished. Ours means
// that a deadline passed and nothing is lost, so the two must not look alike.
static ssize_t vanished(ssize_t n)
{
    return n == -ETIMEDOUT ? -EHOSTUNREACH : n;
}

static ssize_t try_recv(struct wait_call *call, void *into, size_t size)
{
    ssize_t n = vanished(kernel->recv(call->endpoint->fd, into, size, 0));
    // After less than was asked for the next try would find nothing, most of the time. (Where events
    // tell changes only it must be true always: see epoll.c.)
    if (n >= 0)
        call->endpoint->drained = n > 0 && (size_t)n < size && !call->endpoint->marked;
    return n;
}

static ssize_t try_recv_lent(struct loop *loop, struct wait_call *call)
{
    struct buffer *buffer = buffer_take(loop);
    if (!buffer)
        return -ENOMEM;
    ssize_t n = try_recv(call, buffer->data, BUFFER_SIZE);
    if (n > 0) {
        buffer->size = (size_t)n;
        call->buffer = buffer;
        return n;
    }
    buffer_give(loop, buffer);
    call->buffer = NULL;
    return n;
}

// The calls of the book where they do: they cost the kernel less than the general ones.
static ssize_t try_recvmsg(const struct wait_call *call)
{
    struct msghdr *message = call->into;
    const struct iovec *piece = message->msg_iov;
    int fd = call->endpoint->fd;
    if (message->msg_control || message->msg_iovlen != 1)
        return kernel->recvmsg(fd, message, MSG_TRUNC);
    if (!message->msg_name)
        return kernel->recv(fd, piece->iov_base, piece->iov_len, MSG_TRUNC);
    return kernel->recvfrom(fd, piece->iov_base, piece->iov_len, MSG_TRUNC, message->msg_name,
                            &message->msg_namelen);
}

static ssize_t send_message(int fd, const struct msghdr *message)
{
    const struct iovec *piece = message->msg_iov;
    if (message->msg_control || message->msg_iovlen != 1)
        return kernel->sendmsg(fd, message, 0);
    if (!message->msg_name)
        return kernel->send(fd, piece->iov_base, piece->iov_len, 0);
    return kernel->sendto(fd, piece->iov_base, piece->iov_len, 0, message->msg_name,
                          message->msg_namelen);
}

static ssize_t try_sendmsg(const struct wait_call *call)
{
    ssize_t n = vanished(send_message(call->endpoint->fd, call->from));
    return n == -EAGAIN && call->endpoint->is_unixgram ? -ENOBUFS : n;
}

static int try_ready(const struct wait_call *call, short events)
{
    struct pollfd fd = {.fd = call->endpoint->fd, .events = events};
    int n = kernel->ppoll(&fd, 1, 0);
    return n == 0 ? -EAGAIN : n < 0 ? n : 0;
}

static ssize_t try_once(struct loop *loop, struct wait_call *call)
{
    int fd = call->endpoint->fd;
    switch (call->kind) {
    case WAIT_ACCEPT:
        return try_accept(call);
    case WAIT_CONNECT:
        return try_connect(call);
    case WAIT_RECV:
        return try_recv(call, call->into, call->size);
    case WAIT_RECV_LENT:
        return try_recv_lent(loop, call);
    case WAIT_RECVMSG:
        return vanished(try_recvmsg(call));
    case WAIT_SEND:
        return vanished(kernel->send(fd, call->from, call->size, 0));
    case WAIT_SENDMSG:
        return try_sendmsg(call);
    case WAIT_SENDFILE:
        return vanished(kernel->sendfile(fd, call->file, call->offset, call->size));
    case WAIT_READABLE:
        return try_ready(call, POLLIN);
    case WAIT_WRITABLE:
        return try_ready(call, POLLOUT);
    case WAIT_WAKE:
        break;
    }
    return -EINVAL;
}

ssize_t ready_try(struct loop *loop, struct wait_call *call)
{
    // Who does not wait has to look: no event would tell him better.
    if (call->endpoint->drained && wait_side_of(call) == WAIT_IN && call->deadline != WAIT_NOT)
        return -EAGAIN;
    ssize_t n;
    do
        n = try_once(loop, call);
    while (n == -EINTR);
    return n;
}

bool ready_signal(struct endpoint *endpoint, enum wait_side side)
{
    if (side == WAIT_IN)
        endpoint->drained = false;
    struct wait_call *call = endpoint->calls[side];
    if (!call)
        return false;
    wait_complete(call, -EAGAIN);
    return true;
}
