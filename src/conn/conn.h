// What a handler holds: one end of a stream.
//
// This layer turns waiting calls on one endpoint into reads, lines and writes, keeps the bytes that
// were received but not read, and ends a connection so that what was written arrives. It knows no
// models and no listeners; a server's limits are fields that the layer above sets.
//
// While nothing is unread a connection has no buffer: a silent one costs this struct and no more.

#pragma once

#include <doorbell.h>
#include <netinet/in.h>
#include <stdatomic.h>

#include "wait/wait.h"

struct bell_conn {
    struct endpoint endpoint;
    struct bell_server *server; // whose handler has it; NULL for one of the program's own
    int64_t deadline;           // of every call that begins

    // Bytes that were received but not read: storage[begin..end). The storage is a lent buffer's, or
    // the heap's when a line or a peek needs more; NULL while there are none.
    char *storage;
    struct buffer *buffer;
    size_t capacity, begin, end;
    size_t scanned; // of these, how many are known to have no newline

    // The server's limits; looked at only if has_limits.
    int64_t idle_timeout; // 0: none
    int64_t ends_at;      // a point in time
    int64_t rate_from;    // when the grace of rate_min began to end
    uint64_t rate_min;    // bytes per second; 0: none
    int64_t last_moved;   // when bytes last moved
    int64_t linger_time;
    size_t linger_bytes;
    uint64_t bytes_in, bytes_out;

    bool has_limits;
    bool limited;    // one of them ended it
    bool peer_ended; // the end of his stream was read
    bool shut_in, shut_out;
    bool write_broken; // a write failed half-way
    bool reading, writing;

    _Atomic(struct loop *) home; // where its tasks are, for bell_cancel
    atomic_int cancel;           // enum conn_cancel
    struct post cancel_post;

    char *peer_text, *local_text; // made when they are asked for
    socklen_t peer_size;          // 0: not known yet
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } peer;
};

enum conn_cancel { CONN_NOT_CANCELLED, CONN_CANCEL_POSTED, CONN_CANCELLED };

// Makes a connection of a connected, non-blocking stream socket, which it takes over on success.
int conn_new(int fd, bell_conn **ret_conn);

// Frees it; what is still open is reset. Waits for a bell_cancel of another thread that is under way.
void conn_free(bell_conn *conn);

// The address that accept or connect had. (Others are asked of the kernel when they are wanted.)
void conn_set_peer(bell_conn *conn, const struct sockaddr *peer, socklen_t size);

// Its tasks run on this loop.
void conn_set_home(bell_conn *conn, struct loop *loop);

// Lets go of the descriptor, which is another process's now, without touching it.
void conn_forget(bell_conn *conn);

// Ends it, if that was not done already: politely (lingering beside the loop), or by a reset.
void conn_finish(bell_conn *conn, bool polite);

// ---- For the files of this folder -------------------------------------------------------------

// Carries out a call of the connection, with its deadline and the server's limits. Call as wait_for,
// and -ECONNABORTED after a limit.
ssize_t conn_wait(bell_conn *conn, struct wait_call *call);

// Receives at least one more unread byte. Returns how many, 0 at the end of the stream, or a negative
// errno. `wanted`: how many unread bytes the caller needs to have together.
ssize_t conn_fill(bell_conn *conn, size_t wanted);

static inline size_t conn_unread(const bell_conn *conn)
{
    return conn->end - conn->begin;
}

// Goes past unread bytes, and gives the storage back with the last one.
void conn_consume(bell_conn *conn, size_t count);

// Throws all unread bytes away.
void conn_drop_unread(bell_conn *conn);

// Sends all of it. 0 or a negative errno; *ret_done counts in both cases.
int conn_send_all(bell_conn *conn, const void *data, size_t size, size_t *ret_done);

// Makes the failure of a public call: "read tcp:127.0.0.1:4000: connection reset by peer".
int conn_failed(bell_conn *conn, const char *call, ssize_t error);
