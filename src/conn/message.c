// Messages: one bell_send is one bell_recv.

#include <errno.h>
#include <time.h>

#include "conn/conn.h"
#include "conn/message.h"
#include "kernel/kernel.h"
#include "wait/failure.h"

// Of seqpacket: the time that tells an empty message from the end.
union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(struct timespec))];
};

// ---- One task a side --------------------------------------------------------------------------

static int begin(const bell_conn *conn, bool busy)
{
    int rc = conn_check(conn);
    if (rc < 0)
        return rc;
    if (conn->kind == CONN_STREAM)
        return -EPROTOTYPE;
    return busy ? -EBUSY : 0;
}

int message_begin_receiving(bell_conn *conn)
{
    int rc = begin(conn, conn->receiving);
    if (rc == 0)
        conn->receiving = true;
    return rc;
}

int message_begin_sending(bell_conn *conn)
{
    int rc = begin(conn, conn->sending);
    if (rc == 0)
        conn->sending = true;
    return rc;
}

// ---- Receiving --------------------------------------------------------------------------------

ssize_t message_receive(bell_conn *conn, void *into, size_t size, int64_t deadline)
{
    if (conn->shut_in)
        return -ESHUTDOWN;
    struct iovec piece = {.iov_base = into, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union control control;
    if (conn->kind == CONN_SEQPACKET) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    struct wait_call call = {.kind = WAIT_RECVMSG, .into = &message};
    ssize_t n = conn_carry_out(conn, &call, deadline);
    if (n == 0 && conn->kind == CONN_SEQPACKET && message.msg_controllen == 0) {
        if (conn->broken)
            return conn->broken;
        conn->peer_ended = true;
        return -ESHUTDOWN;
    }
    if (n > 0)
        conn->bytes_in += (uint64_t)n;
    return n;
}

// The result of the public call: a message that was cut is a failure.
static ssize_t tell(bell_conn *conn, const char *call, ssize_t n, size_t size)
{
    if (n < 0)
        return conn_failed(conn, call, n, 0);
    if ((size_t)n <= size)
        return n;
    failure_note_done(size);
    return failure_say(-EMSGSIZE, "%s %s: a message of %zd bytes, and there is room for %zu", call,
                       bell_peer(conn), n, size);
}

ssize_t bell_recv(bell_conn *conn, void *buf, size_t size)
{
    int rc = message_begin_receiving(conn);
    if (rc < 0)
        return conn_failed(conn, "receive from", rc, 0);
    ssize_t n = message_receive(conn, buf, size, conn->deadline);
    conn->receiving = false;
    return tell(conn, "receive from", n, size);
}

// ---- Sending ----------------------------------------------------------------------------------

ssize_t message_send(bell_conn *conn, const void *data, size_t size, int64_t deadline)
{
    union { // sendmsg only reads it
        const void *constant;
        void *base;
    } bytes = {.constant = data};
    struct iovec piece = {.iov_base = bytes.base, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    struct wait_call call = {.kind = WAIT_SENDMSG, .from = &message};
    ssize_t n = conn_carry_out(conn, &call, deadline);
    if (n > 0)
        conn->bytes_out += (uint64_t)n;
    return n == -EPIPE && conn->broken && !conn->shut_out ? conn->broken : n;
}

ssize_t bell_send(bell_conn *conn, const void *data, size_t size)
{
    int rc = message_begin_sending(conn);
    if (rc < 0)
        return conn_failed(conn, "send to", rc, 0);
    ssize_t n = message_send(conn, data, size, conn->deadline);
    conn->sending = false;
    return n < 0 ? conn_failed(conn, "send to", n, 0) : n;
}
