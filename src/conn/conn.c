// Making a connection, its addresses, its deadline and limits, and how it ends.

#include "conn/conn.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "addr/addr.h"
#include "kernel/kernel.h"
#include "wait/closing.h"
#include "wait/failure.h"

#define DEFAULT_LINGER_TIME (2 * BELL_SECOND)
#define DEFAULT_LINGER_BYTES ((size_t)64 * 1024)

// ---- Making and freeing -----------------------------------------------------------------------

int conn_new(int fd, bell_conn **ret_conn)
{
    bell_conn *conn = kernel->allocate(sizeof *conn);
    if (!conn)
        return -ENOMEM;
    wait_open(&conn->endpoint, fd);
    conn->deadline = BELL_NEVER;
    conn->ends_at = BELL_NEVER;
    conn->linger_time = DEFAULT_LINGER_TIME;
    conn->linger_bytes = DEFAULT_LINGER_BYTES;
    *ret_conn = conn;
    return 0;
}

void conn_free(bell_conn *conn)
{
    if (!conn)
        return;
    conn_finish(conn, false);
    conn_drop_unread(conn); // what a call that was cut short put back
    kernel->release(conn->peer_text);
    kernel->release(conn->local_text);
    kernel->release(conn);
}

void conn_set_home(bell_conn *conn, struct loop *loop)
{
    atomic_store(&conn->home, loop);
}

void conn_set_peer(bell_conn *conn, const struct sockaddr *peer, socklen_t size)
{
    if (size > sizeof conn->peer)
        return; // a Unix socket's
    memcpy(&conn->peer, peer, size);
    conn->peer_size = size;
}

// The kernel forgets who was at the other end of a connection that was reset, and that is when
// somebody wants to know.
__attribute__((noinline)) static void remember_peer(bell_conn *conn)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (!conn->peer_size && kernel->getpeername(conn->endpoint.fd, (void *)&peer, &size) == 0)
        conn_set_peer(conn, (const struct sockaddr *)&peer, size);
}

void conn_forget(bell_conn *conn)
{
    conn->endpoint.fd = -1;
}

// 0 when the socket has another end, else -ENOTCONN or what is wrong with it.
static int check_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int rc = kernel->getpeername(fd, (struct sockaddr *)&peer, &size);
    return rc < 0 ? rc : 0;
}

// What kind of connection the descriptor makes, or why it makes none.
static int kind_of(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    int rc = kernel->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (rc == 0 && type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        rc = -EPROTOTYPE;
    if (rc == 0)
        rc = check_connected(fd);
    if (rc < 0)
        return rc;
    return type == SOCK_STREAM ? CONN_STREAM : type == SOCK_DGRAM ? CONN_DATAGRAM : CONN_SEQPACKET;
}

int conn_carry_messages(bell_conn *conn, enum conn_kind kind)
{
    static const int one = 1;
    conn->kind = (uint8_t)kind;
    conn->reading = conn->writing = true;
    conn->peer_ended = kind == CONN_DATAGRAM; // there is no end to wait for
    // An empty message and the end of all look alike, but for the time that only a message has.
    return kind == CONN_SEQPACKET
               ? kernel->setsockopt(conn->endpoint.fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one)
               : 0;
}

bell_conn *bell_attach(int fd)
{
    bell_conn *conn = NULL;
    int kind = kind_of(fd);
    int rc = kind < 0 ? kind : conn_new(fd, &conn);
    if (rc == 0)
        rc = kernel->set_flags(fd);
    if (rc == 0 && kind != CONN_STREAM)
        rc = conn_carry_messages(conn, (enum conn_kind)kind);
    if (rc == 0) {
        conn->endpoint.is_tcp = wait_is_tcp(fd);
        remember_peer(conn);
        return conn;
    }
    if (conn)
        conn_forget(conn);
    conn_free(conn);
    if (rc == -EBADF)
        failure_say(rc, "attach descriptor %d: no such descriptor is open", fd);
    else
        failure_set(rc, "attach descriptor %d", fd);
    return NULL;
}

int bell_pair(bell_conn *ret_pair[2])
{
    int fds[2];
    bell_conn *one = NULL, *other = NULL;
    int rc = kernel->socketpair(AF_UNIX, SOCK_STREAM, fds);
    if (rc < 0)
        goto fail;
    rc = conn_new(fds[0], &one);
    if (rc < 0)
        goto close;
    rc = conn_new(fds[1], &other);
    if (rc < 0)
        goto release;
    ret_pair[0] = one;
    ret_pair[1] = other;
    return 0;

release:
    conn_forget(one);
    conn_free(one);
close:
    (void)kernel->close(fds[0]);
    (void)kernel->close(fds[1]);
fail:
    return failure_set(rc, "bell_pair");
}

// ---- The server's limits ----------------------------------------------------------------------

// When they end the conversation, if nothing moves until then.
static int64_t limit_of(const bell_conn *conn)
{
    int64_t limit = conn->ends_at;
    if (conn->idle_timeout && conn->idle_timeout < limit - conn->last_moved)
        limit = conn->last_moved + conn->idle_timeout;
    if (conn->rate_min) {
        double earned = (double)(conn->bytes_in + conn->bytes_out) / (double)conn->rate_min;
        double until = (double)conn->rate_from + earned * 1e9;
        if (until < (double)limit)
            limit = (int64_t)until;
    }
    return limit;
}

// The idle time runs only while a task waits for the connection: the other end is not to blame for
// a handler that computes, or sleeps.
static void begin_idling(bell_conn *conn, int64_t now)
{
    if (conn->waiting++ == 0)
        conn->last_moved = conn->rested_at ? conn->last_moved + (now - conn->rested_at) : now;
}

static void end_idling(bell_conn *conn, ssize_t moved, int64_t now)
{
    if (moved > 0)
        conn->last_moved = now;
    if (--conn->waiting == 0)
        conn->rested_at = now;
}

static bool has_expired(bell_conn *conn, int64_t now)
{
    if (conn && limit_of(conn) <= now)
        conn->limited = true;
    return conn && conn->limited;
}

// Returns -ETIMEDOUT only for the deadline of the connection's own. Whoever waits for one of two
// that are relayed waits for both.
static ssize_t wait_within_limits(bell_conn *conn, struct wait_call *call, int64_t deadline)
{
    const struct loop *loop = loop_here();
    bell_conn *partner = conn->partner;
    begin_idling(conn, loop->now);
    if (partner)
        begin_idling(partner, loop->now);
    ssize_t n;
    for (;;) {
        int64_t limit = limit_of(conn);
        if (partner && limit_of(partner) < limit)
            limit = limit_of(partner);
        call->deadline = deadline < limit ? deadline : limit;
        n = wait_for(call);
        if (n != -ETIMEDOUT || deadline <= limit)
            break;
        // Another task may have moved bytes meanwhile, which puts the limit off.
        if (has_expired(conn, loop->now) || has_expired(partner, loop->now)) {
            n = -ECONNABORTED;
            break;
        }
    }
    end_idling(conn, n, loop->now);
    if (partner)
        end_idling(partner, 0, loop->now);
    return n;
}

// ---- Waiting calls ----------------------------------------------------------------------------

// It is on another loop than the last call was, or the first one is made. For bell_cancel the loop
// must be known before the call waits; whether the call is possible there turns out later.
__attribute__((noinline)) static int come_home(bell_conn *conn)
{
    int rc = 0;
    const struct task *task = task_here(&rc);
    if (!task)
        return rc;
    if (conn->endpoint.calls[WAIT_IN] || conn->endpoint.calls[WAIT_OUT])
        return -EXDEV;
    conn_set_home(conn, task->loop);
    remember_peer(conn);
    return 0;
}

__attribute__((cold, noinline)) static void note_failure(bell_conn *conn, ssize_t error)
{
    if (error == -EXDEV)
        conn_set_home(conn, conn->endpoint.loop);
    // The kernel says so once; the next one who asks is told that the stream has ended, or that
    // nobody reads any more.
    if (error == -ECONNRESET || error == -EHOSTUNREACH)
        conn->broken = (int)error;
}

ssize_t conn_carry_out(bell_conn *conn, struct wait_call *call, int64_t deadline)
{
    call->endpoint = &conn->endpoint;
    call->deadline = deadline;
    const struct loop *home = atomic_load_explicit(&conn->home, memory_order_relaxed);
    int rc = home && home == loop_here() ? 0 : come_home(conn);
    if (rc == 0)
        rc = conn_check(conn); // after the home is known: bell_cancel looks the other way round
    if (rc < 0)
        return rc;
    bool limits = conn->has_limits || conn->partner;
    ssize_t n = limits ? wait_within_limits(conn, call, deadline) : wait_for(call);
    if (n < 0)
        note_failure(conn, n);
    return n;
}

ssize_t conn_receive(bell_conn *conn, struct wait_call *call)
{
    if (conn->shut_in)
        return 0;
    ssize_t n = conn_carry_out(conn, call, conn->deadlines[WAIT_IN]);
    if (n > 0) {
        conn->bytes_in += (uint64_t)n;
        return n;
    }
    if (conn->shut_in && (n == 0 || n == -ESHUTDOWN)) // by another task, meanwhile
        return 0;
    if (n != 0)
        return n;
    if (conn->broken)
        return conn->broken;
    conn->peer_ended = true;
    return 0;
}

ssize_t conn_send(bell_conn *conn, struct wait_call *call)
{
    ssize_t n = conn_carry_out(conn, call, conn->deadlines[WAIT_OUT]);
    if (n > 0)
        conn->bytes_out += (uint64_t)n;
    return n == -EPIPE && conn->broken && !conn->shut_out ? conn->broken : n;
}

__attribute__((cold, noinline)) int conn_failed(bell_conn *conn, const char *call, ssize_t error,
                                                size_t done)
{
    failure_note_done(done);
    return failure_set((int)error, "%s %s", call, bell_peer(conn));
}

int bell_deadline(bell_conn *conn, int64_t deadline)
{
    conn->deadline = deadline;
    return 0;
}

// ---- Cancelling -------------------------------------------------------------------------------

void conn_cancel_calls(bell_conn *conn)
{
    wait_cancel_endpoint(&conn->endpoint, -ECANCELED);
    if (conn->partner)
        wait_cancel_endpoint(&conn->partner->endpoint, -ECANCELED);
}

static void cancel_posted(struct post *post)
{
    bell_conn *conn = LIST_ENTRY(post, bell_conn, cancel_post);
    conn_cancel_calls(conn);
    atomic_store(&conn->cancel, CONN_CANCELLED); // from here on it may be freed
}

void bell_cancel(bell_conn *conn)
{
    int none = CONN_NOT_CANCELLED;
    if (!conn || !atomic_compare_exchange_strong(&conn->cancel, &none, CONN_CANCEL_POSTED))
        return;
    // No call begins any more. Who was faster has made his home known before he looked.
    struct loop *home = atomic_load(&conn->home);
    conn->cancel_post.run = cancel_posted;
    if (home && home != loop_here())
        loop_post(home, &conn->cancel_post);
    else if (home)
        cancel_posted(&conn->cancel_post);
    else
        atomic_store(&conn->cancel, CONN_CANCELLED);
}

// Waits until the loop has run the post of another thread, which lies in the connection.
static void await_cancel(const bell_conn *conn)
{
    while (atomic_load(&conn->cancel) == CONN_CANCEL_POSTED) {
        struct loop *loop = loop_here();
        if (loop)
            task_yield(loop->current);
        else
            (void)sched_yield();
    }
}

// ---- Addresses --------------------------------------------------------------------------------

static char *text_of(const bell_conn *conn, const struct sockaddr *address, socklen_t size)
{
    static const int types[] = {[CONN_STREAM] = SOCK_STREAM,
                                [CONN_SEQPACKET] = SOCK_SEQPACKET,
                                [CONN_DATAGRAM] = SOCK_DGRAM};
    char text[ADDR_TEXT_SIZE];
    size_t length = addr_print_of(types[conn->kind], address, size, text, sizeof text);
    char *copy = kernel->allocate(length + 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

typedef int ask_name(int fd, struct sockaddr *ret_address, socklen_t *size);

static char *ask_text(const bell_conn *conn, ask_name *ask)
{
    int fd = conn->endpoint.fd;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (fd < 0 || ask(fd, (struct sockaddr *)&address, &size) < 0)
        return NULL;
    return text_of(conn, (struct sockaddr *)&address, size);
}

const char *bell_peer(bell_conn *conn)
{
    if (!conn)
        return "no connection";
    if (!conn->peer_text && conn->peer_size)
        conn->peer_text = text_of(conn, &conn->peer.any, conn->peer_size);
    if (!conn->peer_text)
        conn->peer_text = ask_text(conn, kernel->getpeername);
    return conn->peer_text ? conn->peer_text : "a connection that has ended";
}

const char *bell_local(bell_conn *conn)
{
    if (!conn)
        return "no connection";
    if (!conn->local_text)
        conn->local_text = ask_text(conn, kernel->getsockname);
    return conn->local_text ? conn->local_text : "a connection that has ended";
}

bell_server *bell_conn_server(bell_conn *conn)
{
    return conn ? conn->server : NULL;
}

// ---- The descriptor ---------------------------------------------------------------------------

static bool is_in_use(const bell_conn *conn)
{
    if (conn->kind != CONN_STREAM)
        return conn->receiving || conn->sending;
    return conn->reading || conn->writing;
}

static bool is_open(const bell_conn *conn)
{
    return conn && conn->endpoint.fd >= 0 && !conn->ending;
}

// A loop of another thread has it in its books, and only that thread can take it out.
static bool is_elsewhere(const bell_conn *conn)
{
    const struct endpoint *endpoint = &conn->endpoint;
    bool registered = endpoint->interest || endpoint->calls[WAIT_IN] || endpoint->calls[WAIT_OUT];
    return registered && endpoint->loop && endpoint->loop != loop_here();
}

int bell_fd(bell_conn *conn)
{
    if (!is_open(conn))
        return conn_failed(conn, "descriptor of", -EBADF, 0);
    // Whoever asks may look at the socket itself, so no backend should go on receiving from it.
    // While a task waits that cannot be helped.
    if (!is_in_use(conn) && conn->endpoint.loop && conn->endpoint.loop == loop_here())
        wait_release(&conn->endpoint);
    return conn->endpoint.fd;
}

int bell_detach(bell_conn *conn, void *unread, size_t size, size_t *ret_unread)
{
    int rc = is_open(conn) ? 0 : -EBADF;
    if (rc == 0 && is_elsewhere(conn))
        rc = -EXDEV;
    else if (rc == 0 && is_in_use(conn))
        rc = -EBUSY;
    if (rc < 0)
        return conn_failed(conn, "detach", rc, 0);
    wait_release(&conn->endpoint);
    rc = conn_collect_early(conn);
    if (rc < 0)
        return conn_failed(conn, "detach", rc, 0);
    size_t count = conn_unread(conn);
    if (ret_unread)
        *ret_unread = count;
    if (count > (unread ? size : 0))
        return failure_say(-ENOBUFS, "detach %s: %zu bytes are unread, and there is room for %zu",
                           bell_peer(conn), count, unread ? size : 0);
    if (count)
        memcpy(unread, conn->storage + conn->begin, count);
    int fd = conn->endpoint.fd;
    conn_forget(conn);
    if (conn->server)
        conn_drop_unread(conn);
    else
        conn_free(conn);
    return fd;
}

// ---- Ending a direction -----------------------------------------------------------------------

// Our own reads are ended by `shut_in`. TCP has nothing to tell the other end, and the kernel would
// take the stream for ended: a connection that is closed could not linger any more, and what still
// comes would reset it. A Unix socket's other end is told not to write.
static int shut_in_kernel(int fd, int how)
{
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    if (how == SHUT_WR || kernel->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0 ||
        family == AF_UNIX)
        return kernel->shutdown(fd, how);
    if (how == SHUT_RDWR)
        return kernel->shutdown(fd, SHUT_WR);
    return how == SHUT_RD ? check_connected(fd) : -EINVAL;
}

int conn_shut(bell_conn *conn, int how)
{
    if (!is_open(conn))
        return -EBADF;
    int rc = shut_in_kernel(conn->endpoint.fd, how);
    if (rc < 0)
        return rc;
    if (how != SHUT_RD)
        conn->shut_out = true;
    if (how == SHUT_WR)
        return 0;
    conn->shut_in = true;
    if (conn->endpoint.calls[WAIT_IN])
        wait_cancel(conn->endpoint.calls[WAIT_IN], -ESHUTDOWN);
    return 0;
}

int bell_shutdown(bell_conn *conn, int how)
{
    int rc = conn_shut(conn, how);
    return rc < 0 ? conn_failed(conn, "shut down", rc, 0) : 0;
}

// ---- The end ----------------------------------------------------------------------------------

// Ends the calls of other tasks: they use what will be freed.
static void end_calls(bell_conn *conn)
{
    conn->ending = true;
    if (!is_in_use(conn))
        return;
    conn_cancel_calls(conn);
    while (is_in_use(conn))
        task_yield(loop_here()->current);
}

// Takes the descriptor out; the caller closes it.
static int take_descriptor(bell_conn *conn)
{
    int fd = conn->endpoint.fd;
    wait_release(&conn->endpoint);
    conn_drop_unread(conn);
    conn->endpoint.fd = -1;
    return fd;
}

// Sends the end of our stream. A negative errno: it was reset, and nobody is there to wait for.
static int send_end(const bell_conn *conn)
{
    if (conn->broken)
        return conn->broken;
    if (conn->kind == CONN_DATAGRAM)
        return 0;
    // What both ends have ended is not connected any more, which is no failure then.
    return conn->shut_out || kernel->shutdown(conn->endpoint.fd, SHUT_WR) == 0 ? 0 : -ECONNRESET;
}

static void end(bell_conn *conn, bool polite)
{
    const struct task *task = polite ? task_here(NULL) : NULL;
    end_calls(conn);
    if (task && (send_end(conn) < 0 || conn->peer_ended)) {
        conn_drop_unread(conn);
        wait_close(&conn->endpoint);
        return;
    }
    int fd = take_descriptor(conn);
    if (!task)
        closing_reset(fd);
    else
        closing_begin(task->loop, fd, bell_in(conn->linger_time), conn->linger_bytes);
}

void conn_finish(bell_conn *conn, bool polite)
{
    if (conn->endpoint.fd >= 0 && !conn->ending)
        end(conn, polite);
    await_cancel(conn);
}

// Reads and throws away until the other end's end, for a connection of the program's own. 0, or why
// it has to be reset.
//
// Unix sockets, too: closed while bytes are unread, they leave what was written to the other end,
// but tell it ECONNRESET in place of the end (Linux, unix_release_sock).
static int linger(bell_conn *conn)
{
    struct wait_call call = {.kind = WAIT_RECV_LENT, .endpoint = &conn->endpoint};
    call.deadline = bell_in(conn->linger_time);
    size_t left = conn->linger_bytes;
    for (;;) {
        ssize_t n = wait_for(&call);
        if (n <= 0)
            return (int)n;
        buffer_give(loop_here(), call.buffer);
        if ((size_t)n >= left)
            return -ETIMEDOUT;
        left -= (size_t)n;
    }
}

static int close_own(bell_conn *conn)
{
    end_calls(conn);
    conn->endpoint.cancelled = 0; // what that was for is done
    conn_drop_unread(conn);
    int rc = send_end(conn);
    if (rc == 0 && !conn->peer_ended)
        rc = linger(conn);
    if (rc == -ECANCELED) { // the task cannot wait any more; the loop can
        end(conn, true);
        return 0;
    }
    int fd = take_descriptor(conn);
    if (rc < 0)
        closing_reset(fd);
    else
        (void)kernel->close(fd);
    return rc;
}

int bell_close(bell_conn *conn)
{
    if (!conn)
        return 0;
    if (!is_open(conn))
        return conn_failed(conn, "close", -EBADF, 0);
    if (is_elsewhere(conn))
        return conn_failed(conn, "close", -EXDEV, 0);
    if (conn->server || atomic_load(&conn->cancel)) { // who cancelled does not want to wait
        conn_finish(conn, true);
        if (!conn->server)
            conn_free(conn);
        return 0;
    }
    remember_peer(conn);
    int rc = close_own(conn);
    if (rc < 0)
        (void)conn_failed(conn, "close", rc, 0);
    int error = errno;
    conn_free(conn);
    errno = error;
    return rc < 0 ? -1 : 0;
}

void bell_abort(bell_conn *conn)
{
    if (!conn)
        return;
    if (is_elsewhere(conn)) {
        bell_cancel(conn);
        return;
    }
    conn_finish(conn, false);
    if (!conn->server)
        conn_free(conn);
}

// ---- Time and failures ------------------------------------------------------------------------

int64_t bell_now(void)
{
    return kernel->now();
}

int64_t bell_in(int64_t duration)
{
    int64_t now = kernel->now();
    return duration >= BELL_NEVER - now ? BELL_NEVER : now + duration;
}

const char *bell_error(void)
{
    return failure_text();
}

size_t bell_done(void)
{
    return failure_done();
}
