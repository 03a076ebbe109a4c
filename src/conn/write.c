// Writing: always all of it.

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "conn/conn.h"
#include "kernel/kernel.h"
#include "wait/failure.h"

// ---- One writer at a time ---------------------------------------------------------------------

static int begin_writing(bell_conn *conn)
{
    if (conn->endpoint.fd < 0)
        return -EBADF;
    if (conn->writing)
        return -EBUSY;
    if (conn->shut_out || conn->write_broken)
        return -EPIPE;
    conn->writing = true;
    return 0;
}

// Ends it. A write that stopped half-way has broken the framing for good.
static int end_writing(bell_conn *conn, const char *call, ssize_t error, size_t done)
{
    conn->writing = false;
    if (error >= 0)
        return 0;
    if (done > 0)
        conn->write_broken = true;
    failure_note_done(done);
    return conn_failed(conn, call, error);
}

static int refuse(bell_conn *conn, int error)
{
    failure_note_done(0);
    return conn_failed(conn, "write", error);
}

// ---- The public calls -------------------------------------------------------------------------

int conn_send_all(bell_conn *conn, const void *data, size_t size, size_t *ret_done)
{
    const char *from = data;
    size_t done = 0;
    ssize_t n = 0;
    while (done < size) {
        struct wait_call call = {.kind = WAIT_SEND, .from = from + done, .size = size - done};
        n = conn_wait(conn, &call);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    conn->bytes_out += done;
    *ret_done = done;
    return n < 0 ? (int)n : 0;
}

ssize_t bell_write(bell_conn *conn, const void *data, size_t size)
{
    int rc = begin_writing(conn);
    if (rc < 0)
        return refuse(conn, rc);
    size_t done;
    rc = conn_send_all(conn, data, size, &done);
    return end_writing(conn, "write", rc, done) < 0 ? -1 : (ssize_t)size;
}

// Where several pieces stand: `skip` bytes of the first one are sent.
struct pieces {
    const struct iovec *first;
    int count;
    size_t skip;
};

static void advance(struct pieces *pieces, size_t bytes)
{
    pieces->skip += bytes;
    while (pieces->count && pieces->skip >= pieces->first->iov_len) {
        pieces->skip -= pieces->first->iov_len;
        pieces->first++;
        pieces->count--;
    }
}

static ssize_t send_some(bell_conn *conn, const struct pieces *pieces)
{
    enum { AT_ONCE = 16 }; // the array is the caller's, and our stack is small
    struct iovec part[AT_ONCE];
    int count = pieces->count < AT_ONCE ? pieces->count : AT_ONCE;
    memcpy(part, pieces->first, (size_t)count * sizeof *part);
    part[0].iov_base = (char *)part[0].iov_base + pieces->skip;
    part[0].iov_len -= pieces->skip;
    struct msghdr message = {.msg_iov = part, .msg_iovlen = (size_t)count};
    struct wait_call call = {.kind = WAIT_SENDMSG, .from = &message};
    return conn_wait(conn, &call);
}

static int sum_of(const struct iovec *pieces, int count, size_t *ret_sum)
{
    size_t sum = 0;
    if (count < 1 || count > 1024)
        return -EINVAL;
    for (int i = 0; i < count; i++)
        if (__builtin_add_overflow(sum, pieces[i].iov_len, &sum) || sum > SSIZE_MAX)
            return -EINVAL;
    *ret_sum = sum;
    return 0;
}

ssize_t bell_writev(bell_conn *conn, const struct iovec *array, int count)
{
    size_t sum = 0, done = 0;
    int rc = sum_of(array, count, &sum);
    if (rc == 0)
        rc = begin_writing(conn);
    if (rc < 0)
        return refuse(conn, rc);
    struct pieces pieces = {.first = array, .count = count};
    advance(&pieces, 0); // past empty ones
    ssize_t n = 0;
    while (pieces.count) {
        n = send_some(conn, &pieces);
        if (n < 0)
            break;
        done += (size_t)n;
        advance(&pieces, (size_t)n);
    }
    conn->bytes_out += done;
    return end_writing(conn, "write", n, done) < 0 ? -1 : (ssize_t)sum;
}

static int print_long(bell_conn *conn, size_t length, const char *format, va_list arguments)
{
    char *text = kernel->allocate(length + 1);
    if (!text)
        return refuse(conn, -ENOMEM);
    (void)vsnprintf(text, length + 1, format, arguments);
    ssize_t n = bell_write(conn, text, length);
    int error = errno;
    kernel->release(text);
    errno = error;
    return (int)n;
}

int bell_vprintf(bell_conn *conn, const char *format, va_list arguments)
{
    char text[256];
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(text, sizeof text, format, arguments);
    int rc;
    if (length < 0)
        rc = refuse(conn, -EILSEQ);
    else if ((size_t)length < sizeof text)
        rc = (int)bell_write(conn, text, (size_t)length);
    else
        rc = print_long(conn, (size_t)length, format, again);
    va_end(again);
    return rc;
}

int bell_printf(bell_conn *conn, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int rc = bell_vprintf(conn, format, arguments);
    va_end(arguments);
    return rc;
}

ssize_t bell_sendfile(bell_conn *conn, int file, off_t offset, size_t count)
{
    int rc = begin_writing(conn);
    if (rc < 0)
        return refuse(conn, rc);
    size_t done = 0;
    ssize_t n = 1;
    while (done < count && n > 0) {
        struct wait_call call = {.kind = WAIT_SENDFILE, .file = file, .offset = &offset};
        call.size = count - done;
        n = conn_wait(conn, &call);
        if (n > 0)
            done += (size_t)n;
    }
    conn->bytes_out += done;
    return end_writing(conn, "send a file to", n, done) < 0 ? -1 : (ssize_t)done;
}
