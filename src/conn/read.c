// Reading: what is there, so many bytes, a line.

#include <errno.h>
#include <string.h>

#include "conn/conn.h"
#include "kernel/kernel.h"
#include "wait/failure.h"

// ---- Unread bytes -----------------------------------------------------------------------------

void conn_drop_unread(bell_conn *conn)
{
    if (conn->buffer) {
        struct loop *loop = loop_here();
        if (loop)
            buffer_give(loop, conn->buffer);
        else
            kernel->release(conn->buffer);
    } else {
        kernel->release(conn->storage);
    }
    conn->buffer = NULL;
    conn->storage = NULL;
    conn->capacity = conn->begin = conn->end = conn->scanned = 0;
}

void conn_consume(bell_conn *conn, size_t count)
{
    conn->begin += count;
    conn->scanned = conn->scanned > count ? conn->scanned - count : 0;
    if (conn->begin == conn->end)
        conn_drop_unread(conn);
}

// Moves what is unread to the beginning of a storage of `capacity` bytes on the heap.
static int move_to_heap(bell_conn *conn, size_t capacity)
{
    char *heap = kernel->allocate(capacity);
    if (!heap)
        return -ENOMEM;
    size_t unread = conn_unread(conn), scanned = conn->scanned;
    if (unread)
        memcpy(heap, conn->storage + conn->begin, unread);
    conn_drop_unread(conn);
    conn->storage = heap;
    conn->capacity = capacity;
    conn->end = unread;
    conn->scanned = scanned;
    return 0;
}

// Room behind the unread bytes.
static int make_room(bell_conn *conn, size_t wanted)
{
    if (conn->end < conn->capacity)
        return 0;
    if (conn->begin > 0 && wanted <= conn->capacity) {
        memmove(conn->storage, conn->storage + conn->begin, conn_unread(conn));
        conn->end -= conn->begin;
        conn->begin = 0;
        return 0;
    }
    size_t twice = conn->capacity * 2;
    return move_to_heap(conn, twice < wanted ? twice : wanted);
}

// The first bytes: whoever has to wait for them has no buffer while waiting.
static ssize_t fill_empty(bell_conn *conn)
{
    struct wait_call call = {.kind = WAIT_RECV_LENT};
    ssize_t n = conn_wait(conn, &call);
    if (n > 0) {
        conn->buffer = call.buffer;
        conn->storage = call.buffer->data;
        conn->capacity = BUFFER_SIZE;
        conn->end = (size_t)n;
    }
    return n;
}

ssize_t conn_fill(bell_conn *conn, size_t wanted)
{
    if (conn->shut_in)
        return 0;
    ssize_t n;
    if (conn->begin == conn->end) {
        n = fill_empty(conn);
    } else {
        int rc = make_room(conn, wanted);
        if (rc < 0)
            return rc;
        struct wait_call call = {.kind = WAIT_RECV};
        call.into = conn->storage + conn->end;
        call.size = conn->capacity - conn->end;
        n = conn_wait(conn, &call);
        if (n > 0)
            conn->end += (size_t)n;
    }
    if (n > 0)
        conn->bytes_in += (uint64_t)n;
    else if (n == 0)
        conn->peer_ended = true;
    return n;
}

// ---- One reader at a time ---------------------------------------------------------------------

static int begin_reading(bell_conn *conn)
{
    if (conn->endpoint.fd < 0)
        return -EBADF;
    if (conn->reading)
        return -EBUSY;
    conn->reading = true;
    return 0;
}

// Ends it, and gives the result of the public call.
static ssize_t end_reading(bell_conn *conn, const char *call, ssize_t result, size_t done)
{
    conn->reading = false;
    if (result >= 0)
        return result;
    failure_note_done(done);
    return conn_failed(conn, call, result);
}

// ---- The public calls -------------------------------------------------------------------------

static size_t take_unread(bell_conn *conn, void *into, size_t size)
{
    size_t count = conn_unread(conn) < size ? conn_unread(conn) : size;
    memcpy(into, conn->storage + conn->begin, count);
    conn_consume(conn, count);
    return count;
}

// Straight into the caller's memory.
static ssize_t receive(bell_conn *conn, void *into, size_t size)
{
    if (conn->shut_in)
        return 0;
    struct wait_call call = {.kind = WAIT_RECV, .into = into, .size = size};
    ssize_t n = conn_wait(conn, &call);
    if (n > 0)
        conn->bytes_in += (uint64_t)n;
    else if (n == 0)
        conn->peer_ended = true;
    return n;
}

ssize_t bell_read(bell_conn *conn, void *buf, size_t size)
{
    int rc = begin_reading(conn);
    if (rc < 0)
        return conn_failed(conn, "read", rc);
    ssize_t n = 0;
    if (size > 0)
        n = conn->begin < conn->end ? (ssize_t)take_unread(conn, buf, size)
                                    : receive(conn, buf, size);
    return end_reading(conn, "read", n, 0);
}

// Bytes that were read already become unread again, so that the next call begins with them.
static int put_back(bell_conn *conn, const void *bytes, size_t count)
{
    if (count == 0)
        return 0;
    // Nothing can be unread: these were received last.
    int rc = move_to_heap(conn, count);
    if (rc < 0)
        return rc;
    memcpy(conn->storage, bytes, count);
    conn->end = count;
    return 0;
}

ssize_t bell_readn(bell_conn *conn, void *buf, size_t size)
{
    int rc = begin_reading(conn);
    if (rc < 0)
        return conn_failed(conn, "read", rc);
    char *to = buf;
    size_t done = conn->begin < conn->end ? take_unread(conn, to, size) : 0;
    ssize_t n = 1;
    while (done < size && (n = receive(conn, to + done, size - done)) > 0)
        done += (size_t)n;
    if (n >= 0)
        return end_reading(conn, "read", (ssize_t)done, 0);
    rc = put_back(conn, buf, done);
    return end_reading(conn, "read", rc < 0 ? rc : n, done);
}

// The length of the line among the unread bytes, with its newline; 0 when it is not whole.
static size_t find_line(bell_conn *conn)
{
    if (conn->begin == conn->end)
        return 0;
    const char *from = conn->storage + conn->begin + conn->scanned;
    const char *newline = memchr(from, '\n', conn_unread(conn) - conn->scanned);
    if (newline)
        return (size_t)(newline - (conn->storage + conn->begin)) + 1;
    conn->scanned = conn_unread(conn);
    return 0;
}

static size_t copy_line(bell_conn *conn, char *line, size_t length)
{
    length = take_unread(conn, line, length);
    line[length] = 0;
    return length;
}

ssize_t bell_readline(bell_conn *conn, char *line, size_t size)
{
    int rc = size < 2 ? -EINVAL : begin_reading(conn);
    if (rc < 0)
        return conn_failed(conn, "read a line from", rc);
    static const char call[] = "read a line from";
    size_t room = size - 1;
    for (;;) {
        size_t length = find_line(conn);
        if (length > 0 && length <= room)
            return end_reading(conn, call, (ssize_t)copy_line(conn, line, length), 0);
        if (conn_unread(conn) >= room)
            return end_reading(conn, call, -EMSGSIZE, copy_line(conn, line, room));
        ssize_t n = conn_fill(conn, room);
        if (n < 0)
            return end_reading(conn, call, n, conn_unread(conn));
        if (n == 0) // the last line, without a newline, or nothing
            return end_reading(conn, call,
                               conn_unread(conn) ? (ssize_t)copy_line(conn, line, room) : 0, 0);
    }
}

ssize_t bell_peek(bell_conn *conn, size_t count_min, const void **ret_data)
{
    int rc = count_min < 1 || count_min > BUFFER_SIZE ? -EINVAL : begin_reading(conn);
    if (rc < 0)
        return conn_failed(conn, "peek at", rc);
    ssize_t n = 1;
    while (n > 0 && conn_unread(conn) < count_min)
        n = conn_fill(conn, BUFFER_SIZE);
    if (n < 0)
        return end_reading(conn, "peek at", n, conn_unread(conn));
    *ret_data = conn->storage + conn->begin;
    return end_reading(conn, "peek at", (ssize_t)conn_unread(conn), 0);
}

int bell_skip(bell_conn *conn, size_t count)
{
    if (count > conn_unread(conn))
        return failure_say(-EINVAL, "skip %zu bytes of %s: only %zu are unread", count,
                           bell_peer(conn), conn_unread(conn));
    if (count)
        conn_consume(conn, count);
    return 0;
}
