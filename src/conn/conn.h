// What a handler holds: one end of a stream.
//
// This layer turns waiting calls on one endpoint into reads, lines and writes, keeps the bytes that
// were received but not read, and ends a connection so that what was written arrives. It knows no
// models and no listeners; a server's limits are fields that the layer above sets.
//
// What it promises: while nothing is unread a connection has no buffer, so a silent one costs this
// struct and its handler's stack; bytes that came before a deadline are kept; the end of the stream
// and a reset never look alike, however often and by whom they are asked for.

#pragma once

#include <doorbell.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>

#include "wait/wait.h"

// What it carries. Streams come first: they are asked for nothing.
enum conn_kind { CONN_STREAM, CONN_SEQPACKET, CONN_DATAGRAM };

enum conn_cancel { CONN_NOT_CANCELLED, CONN_CANCEL_POSTED, CONN_CANCELLED };

struct bell_conn {
    struct endpoint endpoint;
    struct bell_server *server; // whose handler has it; NULL for one of the program's own
    bell_conn *partner;         // which bell_relay joins it with: what ends one ends both
    int64_t deadline;           // of every call that begins
    int64_t deadlines[2]; // of the calls under way, by side: they keep the one they began with

    // Bytes that were received but not read: storage[begin..end). The storage is a lent buffer's,
    // or the heap's when a line or a peek needs more; NULL while there are none.
    char *storage;
    struct buffer *buffer;
    size_t capacity, begin, end;
    size_t scanned; // of these, how many are known to have no newline

    // The server's limits; looked at only if has_limits.
    int64_t idle_timeout; // 0: none
    int64_t ends_at;      // a point in time
    int64_t rate_from;    // a point in time: when the grace of rate_min is over
    uint64_t rate_min;    // bytes per second; 0: none
    int64_t last_moved;   // when bytes last moved, put off by the time in which nobody waited
    int64_t rested_at;    // since when nobody waits; 0: nobody has yet
    int64_t linger_time;
    size_t linger_bytes;
    uint64_t bytes_in, bytes_out;

    int broken;      // 0, or the negative errno with which the kernel gave it up
    uint8_t waiting; // calls under way; counted only if has_limits
    bool has_limits;
    bool limited;    // one of them ended it
    bool ending;     // a call that closes it is under way
    bool peer_ended; // the end of his stream was read
    bool shut_in, shut_out;
    bool write_broken; // a write failed half-way
    // A task reads (writes) bytes. Of a message connection always true, so that the calls for streams
    // need no look at the kind to refuse it; `receiving` and `sending` are in their place.
    bool reading, writing;
    uint8_t kind; // enum conn_kind
    bool receiving, sending;
    bool has_called; // bell_call: answers to earlier requests may come late, or twice

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

// ---- For the layer above ----------------------------------------------------------------------

// Makes a connection of a connected, non-blocking stream socket, which it takes over on success.
int conn_new(int fd, bell_conn **ret_conn);

// Frees it; what is still open is reset. Takes NULL. Waits for a bell_cancel of another thread that
// is under way.
void conn_free(bell_conn *conn);

// It carries messages: of a connected datagram socket, or seqpacket. 0 or a negative errno.
int conn_carry_messages(bell_conn *conn, enum conn_kind kind);

// The address that accept or connect had. (Others are asked of the kernel when they are wanted.)
void conn_set_peer(bell_conn *conn, const struct sockaddr *peer, socklen_t size);

// Its tasks run on this loop. (Else the first call that waits finds out.)
void conn_set_home(bell_conn *conn, struct loop *loop);

// Lets go of the descriptor, which is another process's now, without touching it.
void conn_forget(bell_conn *conn);

// Ends it, if that was not done already: politely (lingering beside the loop), or by a reset. Calls
// of other tasks end with -ECANCELED before; afterwards the connection needs its loop no more.
void conn_finish(bell_conn *conn, bool polite);

// ---- For the files of this folder -------------------------------------------------------------

// Why no call can be made on it any more, or 0.
static inline int conn_check(const bell_conn *conn)
{
    if (conn->endpoint.fd < 0 || conn->ending)
        return -EBADF;
    if (conn->limited)
        return -ECONNABORTED;
    return atomic_load(&conn->cancel) ? -ECANCELED : 0;
}

// Why a call for bytes is not possible now: another task is in one, or it carries messages.
static inline int conn_busy(const bell_conn *conn)
{
    return conn->kind == CONN_STREAM ? -EBUSY : -EPROTOTYPE;
}

// Carry out a call, with the deadline that its side began with and the server's limits, and count
// its bytes. They return what wait_for does, and -ECONNABORTED after a limit.
ssize_t conn_receive(bell_conn *conn, struct wait_call *call);
ssize_t conn_send(bell_conn *conn, struct wait_call *call);

// The same without counting, and with a deadline of its own.
ssize_t conn_carry_out(bell_conn *conn, struct wait_call *call, int64_t deadline);

// Receives at least one more unread byte. Returns how many, 0 at the end of the stream, or a
// negative errno. `wanted`: how many unread bytes the caller needs together; more than there are.
ssize_t conn_fill(bell_conn *conn, size_t wanted);

static inline size_t conn_unread(const bell_conn *conn)
{
    return conn->end - conn->begin;
}

// Goes past unread bytes, and gives the storage back with the last one.
void conn_consume(bell_conn *conn, size_t count);

// Makes unread what a completion backend has received already. 0 or -ENOMEM.
int conn_collect_early(bell_conn *conn);

// Throws away all bytes that were received and not read.
void conn_drop_unread(bell_conn *conn);

// Sends all of it. 0 or a negative errno; *ret_done counts in both cases.
int conn_send_all(bell_conn *conn, const void *data, size_t size, size_t *ret_done);

// bell_shutdown, but returns a negative errno.
int conn_shut(bell_conn *conn, int how);

// Ends the calls that wait on it, and on its partner, with -ECANCELED.
void conn_cancel_calls(bell_conn *conn);

// Makes the failure of a public call that had moved `done` bytes, and returns -1: "read
// tcp:127.0.0.1:4000: connection reset by peer".
int conn_failed(bell_conn *conn, const char *call, ssize_t error, size_t done);
