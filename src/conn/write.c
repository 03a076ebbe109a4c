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
    int rc = conn_check(conn);
    if (rc < 0)
        return rc;
    if (conn->writing)
        return conn_busy(conn);
    if (conn->shut_out || conn->write_broken)
        return -EPIPE;
    conn->writing = true;
    conn->deadlines[WAIT_OUT] = conn->deadline;
    return 0;
}

// Ends it. A write that stopped half-way has broken the framing for good.
static void end_writing(bell_conn *conn, ssize_t error, size_t done)
{
    conn->writing = false;
    if (error < 0 && done > 0)
        conn->write_broken = true;
}

// ---- Bytes ------------------------------------------------------------------------------------

int conn_send_all(bell_conn *conn, const void *data, size_t size, size_t *ret_done)
{
    const char *from = data;
    size_t done = 0;
    ssize_t n = 0;
    while (done < size) {
        struct wait_call call = {.kind = WAIT_SEND, .from = from + done, .size = size - done};
        n = conn_send(conn, &call);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    *ret_done = done;
    return n < 0 ? (int)n : 0;
}

ssize_t bell_write(bell_conn *conn, const void *data, size_t size)
{
    size_t done = 0;
    int rc = begin_writing(conn);
    if (rc == 0) {
        rc = conn_send_all(conn, data, size, &done);
        end_writing(conn, rc, done);
    }
    return rc < 0 ? conn_failed(conn, "write", rc, done) : (ssize_t)size;
}

// ---- Pieces -----------------------------------------------------------------------------------

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
    return conn_send(conn, &call);
}

static ssize_t send_all_pieces(bell_conn *conn, struct pieces *pieces, size_t *ret_done)
{
    size_t done = 0;
    ssize_t n = 0;
    advance(pieces, 0); // past empty ones
    while (pieces->count) {
        n = send_some(conn, pieces);
        if (n < 0)
            break;
        done += (size_t)n;
        advance(pieces, (size_t)n);
    }
    *ret_done = done;
    return n < 0 ? n : 0;
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
    ssize_t rc = sum_of(array, count, &sum);
    if (rc == 0)
        rc = begin_writing(conn);
    if (rc == 0) {
        struct pieces pieces = {.first = array, .count = count};
        rc = send_all_pieces(conn, &pieces, &done);
        end_writing(conn, rc, done);
    }
    return rc < 0 ? conn_failed(conn, "write", rc, done) : (ssize_t)sum;
}

// ---- Text -------------------------------------------------------------------------------------

// Where the text was too long for the stack.
__attribute__((noinline, format(printf, 3, 0))) static int
print_long(bell_conn *conn, size_t length, const char *format, va_list arguments)
{
    char *text = kernel->allocate(length + 1);
    if (!text)
        return conn_failed(conn, "write", -ENOMEM, 0);
    // An argument that changed meanwhile may have made it longer: what is there is what is written.
    int again = vsnprintf(text, length + 1, format, arguments);
    ssize_t n = -1;
    if (again < 0)
        (void)conn_failed(conn, "write", -EILSEQ, 0);
    else
        n = bell_write(conn, text, (size_t)again < length ? (size_t)again : length);
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
        rc = conn_failed(conn, "write", -EILSEQ, 0);
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

// ---- Files ------------------------------------------------------------------------------------

// What sendfile says of the file, the socket being known to be good.
static bool blames_file(int error, size_t done)
{
    return done == 0 && (error == -EBADF || error == -EINVAL || error == -ESPIPE);
}

static ssize_t send_file(bell_conn *conn, struct wait_call *call, size_t *ret_done)
{
    size_t left = call->size, done = 0;
    ssize_t n = 1;
    while (left > 0 && n > 0) {
        call->size = left;
        n = conn_send(conn, call);
        if (n < 0)
            break;
        done += (size_t)n;
        left -= (size_t)n;
    }
    *ret_done = done;
    return n < 0 ? n : 0;
}

ssize_t bell_sendfile(bell_conn *conn, int file, off_t offset, size_t count)
{
    static const char what[] = "send a file to";
    int rc = begin_writing(conn);
    if (rc < 0)
        return conn_failed(conn, what, rc, 0);
    struct wait_call call = {.kind = WAIT_SENDFILE, .file = file, .offset = &offset};
    call.size = count;
    size_t done;
    rc = (int)send_file(conn, &call, &done);
    end_writing(conn, rc, done);
    if (rc == 0)
        return (ssize_t)done;
    if (conn_check(conn) < 0 || !blames_file(rc, done))
        return conn_failed(conn, what, rc, done);
    failure_note_done(0);
    return failure_say(rc == -ESPIPE ? -EINVAL : rc,
                       "send a file to %s: descriptor %d is not a file that can be sent from there",
                       bell_peer(conn), file);
}
