// Reading: what is there, so many bytes, a line.

#include <errno.h>
#include <string.h>

#include "conn/conn.h"
#include "kernel/kernel.h"
#include "wait/failure.h"

// What is asked for in one piece of at least this size goes straight into the caller's memory; for
// less, what comes behind it is received with it.
enum { DIRECT_MIN = 4096 };

// ---- Unread bytes -----------------------------------------------------------------------------

static void give_back(struct buffer *buffer)
{
    struct loop *loop = loop_here();
    if (loop)
        buffer_give(loop, buffer);
    else
        kernel->release(buffer);
}

static void release_storage(bell_conn *conn)
{
    if (conn->buffer)
        give_back(conn->buffer);
    else
        kernel->release(conn->storage);
    conn->buffer = NULL;
    conn->storage = NULL;
    conn->capacity = conn->begin = conn->end = conn->scanned = 0;
}

void conn_drop_unread(bell_conn *conn)
{
    release_storage(conn);
    while (conn->endpoint.early)
        give_back(wait_take_early(&conn->endpoint));
}

void conn_consume(bell_conn *conn, size_t count)
{
    conn->begin += count;
    conn->scanned = conn->scanned > count ? conn->scanned - count : 0;
    if (conn->begin == conn->end)
        release_storage(conn);
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
    release_storage(conn);
    conn->storage = heap;
    conn->capacity = capacity;
    conn->end = unread;
    conn->scanned = scanned;
    return 0;
}

// Room behind the unread bytes. No byte is moved more than a few times, however slowly they come: a
// move makes room for half the storage, or for all that is wanted.
static int make_room(bell_conn *conn, size_t wanted)
{
    if (conn->end < conn->capacity)
        return 0;
    if (conn->begin > 0 && (wanted <= conn->capacity || conn->begin >= conn->capacity / 2)) {
        memmove(conn->storage, conn->storage + conn->begin, conn_unread(conn));
        conn->end -= conn->begin;
        conn->begin = 0;
        return 0;
    }
    size_t twice = conn->capacity * 2;
    return move_to_heap(conn, twice < wanted ? twice : wanted);
}

static void adopt(bell_conn *conn, struct buffer *lent)
{
    conn->buffer = lent;
    conn->storage = lent->data;
    conn->capacity = BUFFER_SIZE;
}

// Whoever has to wait for the first bytes has no buffer while waiting: he is lent one with them.
ssize_t conn_fill(bell_conn *conn, size_t wanted)
{
    struct wait_call call = {.kind = WAIT_RECV_LENT};
    if (conn->begin < conn->end) {
        int rc = make_room(conn, wanted);
        if (rc < 0)
            return rc;
        call.kind = WAIT_RECV;
        call.into = conn->storage + conn->end;
        call.size = conn->capacity - conn->end;
    }
    ssize_t n = conn_receive(conn, &call);
    if (n <= 0)
        return n;
    if (call.kind == WAIT_RECV_LENT)
        adopt(conn, call.buffer);
    conn->end += (size_t)n;
    return n;
}

int conn_collect_early(bell_conn *conn)
{
    size_t unread = conn_unread(conn), size = unread;
    for (const struct buffer *early = conn->endpoint.early; early; early = early->next)
        size += early->size;
    if (size == unread)
        return 0;
    int rc = move_to_heap(conn, size);
    if (rc < 0)
        return rc;
    while (conn->endpoint.early) {
        struct buffer *early = wait_take_early(&conn->endpoint);
        memcpy(conn->storage + conn->end, early->data, early->size);
        conn->end += early->size;
        conn->bytes_in += early->size;
        give_back(early);
    }
    return 0;
}

// ---- One reader at a time ---------------------------------------------------------------------

static int begin_reading(bell_conn *conn)
{
    int rc = conn_check(conn);
    if (rc < 0)
        return rc;
    if (conn->reading)
        return conn_busy(conn);
    conn->reading = true;
    conn->deadlines[WAIT_IN] = conn->deadline;
    if (conn->shut_in) // what came before that is not read any more
        conn_drop_unread(conn);
    return 0;
}

// Ends it, and gives the result of the public call.
static ssize_t end_reading(bell_conn *conn, const char *call, ssize_t result, size_t done)
{
    conn->reading = false;
    return result >= 0 ? result : conn_failed(conn, call, result, done);
}

// ---- What is there, and so many bytes ---------------------------------------------------------

static size_t take_unread(bell_conn *conn, void *into, size_t size)
{
    size_t count = conn_unread(conn) < size ? conn_unread(conn) : size;
    if (count == 0)
        return 0;
    memcpy(into, conn->storage + conn->begin, count);
    conn_consume(conn, count);
    return count;
}

static ssize_t receive(bell_conn *conn, void *into, size_t size)
{
    struct wait_call call = {.kind = WAIT_RECV, .into = into, .size = size};
    return conn_receive(conn, &call);
}

ssize_t bell_read(bell_conn *conn, void *buf, size_t size)
{
    int rc = begin_reading(conn);
    if (rc < 0)
        return conn_failed(conn, "read", rc, 0);
    ssize_t n = 0;
    if (size > 0)
        n = conn->begin < conn->end ? (ssize_t)take_unread(conn, buf, size)
                                    : receive(conn, buf, size);
    return end_reading(conn, "read", n, 0);
}

// Bytes that were read already become unread again, so that the next call begins with them. Nothing
// else is unread: these were received last.
static int put_back(bell_conn *conn, const void *bytes, size_t count)
{
    if (count == 0)
        return 0;
    int rc = move_to_heap(conn, count);
    if (rc < 0)
        return rc;
    memcpy(conn->storage, bytes, count);
    conn->end = count;
    return 0;
}

static ssize_t read_directly(bell_conn *conn, char *to, size_t size)
{
    size_t done = take_unread(conn, to, size);
    ssize_t n = 1;
    while (done < size && (n = receive(conn, to + done, size - done)) > 0)
        done += (size_t)n;
    if (n >= 0)
        return end_reading(conn, "read", (ssize_t)done, 0);
    int rc = put_back(conn, to, done);
    return end_reading(conn, "read", rc < 0 ? rc : n, done);
}

ssize_t bell_readn(bell_conn *conn, void *buf, size_t size)
{
    int rc = begin_reading(conn);
    if (rc < 0)
        return conn_failed(conn, "read", rc, 0);
    if (size >= DIRECT_MIN)
        return read_directly(conn, buf, size);
    ssize_t n = 1;
    while (n > 0 && conn_unread(conn) < size)
        n = conn_fill(conn, size);
    if (n < 0)
        return end_reading(conn, "read", n, conn_unread(conn));
    return end_reading(conn, "read", (ssize_t)take_unread(conn, buf, size), 0);
}

// ---- Lines ------------------------------------------------------------------------------------

// The length of the line at the beginning of the unread bytes, with its newline; 0 when no newline
// is among the first `room`. No byte is looked at twice.
static size_t find_line(bell_conn *conn, size_t room)
{
    size_t size = conn_unread(conn) < room ? conn_unread(conn) : room;
    if (conn->scanned >= size)
        return 0;
    const char *from = conn->storage + conn->begin;
    const char *newline = memchr(from + conn->scanned, '\n', size - conn->scanned);
    if (newline)
        return (size_t)(newline - from) + 1;
    conn->scanned = size;
    return 0;
}

static size_t copy_line(bell_conn *conn, char *line, size_t length)
{
    length = take_unread(conn, line, length);
    line[length] = 0;
    return length;
}

static ssize_t read_line(bell_conn *conn, char *line, size_t room)
{
    static const char call[] = "read a line from";
    for (;;) {
        size_t length = find_line(conn, room);
        if (length > 0)
            return end_reading(conn, call, (ssize_t)copy_line(conn, line, length), 0);
        // One byte more than there is room for: the stream may end right behind a line that fits.
        if (conn_unread(conn) > room)
            return end_reading(conn, call, -EMSGSIZE, copy_line(conn, line, room));
        ssize_t n = conn_fill(conn, room + 1);
        if (n < 0)
            return end_reading(conn, call, n, conn_unread(conn));
        if (n == 0) // the last line, without a newline, or nothing
            return end_reading(conn, call, (ssize_t)copy_line(conn, line, room), 0);
    }
}

ssize_t bell_readline(bell_conn *conn, char *line, size_t size)
{
    int rc = size < 2 ? -EINVAL : begin_reading(conn);
    if (rc < 0)
        return conn_failed(conn, "read a line from", rc, 0);
    return read_line(conn, line, size - 1);
}

// ---- Bytes that stay where they are -----------------------------------------------------------

ssize_t bell_peek(bell_conn *conn, size_t count_min, const void **ret_data)
{
    int rc = count_min < 1 || count_min > BUFFER_SIZE ? -EINVAL : begin_reading(conn);
    if (rc < 0)
        return conn_failed(conn, "peek at", rc, 0);
    ssize_t n = 1;
    while (n > 0 && conn_unread(conn) < count_min)
        n = conn_fill(conn, BUFFER_SIZE);
    if (n < 0)
        return end_reading(conn, "peek at", n, conn_unread(conn));
    *ret_data = conn->storage ? conn->storage + conn->begin : "";
    return end_reading(conn, "peek at", (ssize_t)conn_unread(conn), 0);
}

int bell_skip(bell_conn *conn, size_t count)
{
    int rc = conn_check(conn);
    if (rc == 0 && conn->reading)
        rc = conn_busy(conn);
    if (rc < 0)
        return conn_failed(conn, "skip bytes of", rc, 0);
    failure_note_done(0);
    if (count > conn_unread(conn))
        return failure_say(-EINVAL, "skip %zu bytes of %s: only %zu are unread", count,
                           bell_peer(conn), conn_unread(conn));
    if (count)
        conn_consume(conn, count);
    return 0;
}
