// Making a connection, its addresses, its deadline, and how it ends.

#include "conn/conn.h"

#include <errno.h>
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
    // The post of another thread's bell_cancel lies in this struct.
    while (atomic_load(&conn->cancel) == CONN_CANCEL_POSTED)
        task_yield(loop_here()->current);
    conn_finish(conn, false);
    kernel->release(conn->peer_text);
    kernel->release(conn->local_text);
    kernel->release(conn);
}

void conn_set_home(bell_conn *conn, struct loop *loop)
{
    atomic_store_explicit(&conn->home, loop, memory_order_release);
}

void conn_forget(bell_conn *conn)
{
    conn->endpoint.fd = -1;
}

static int check_stream(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    int rc = kernel->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (rc < 0)
        return rc;
    if (type != SOCK_STREAM)
        return -EPROTOTYPE;
    struct sockaddr_storage peer;
    size = sizeof peer;
    rc = kernel->getpeername(fd, (struct sockaddr *)&peer, &size);
    return rc < 0 ? rc : kernel->set_flags(fd);
}

bell_conn *bell_attach(int fd)
{
    bell_conn *conn = NULL;
    int rc = check_stream(fd);
    if (rc == 0)
        rc = conn_new(fd, &conn);
    if (rc < 0)
        failure_set(rc, "attach descriptor %d", fd);
    return conn;
}

int bell_pair(bell_conn *ret_pair[2])
{
    int fds[2];
    bell_conn *one = NULL, *other = NULL;
    int rc = kernel->socketpair(AF_UNIX, SOCK_STREAM, fds);
    if (rc < 0)
        return failure_set(rc, "bell_pair");
    rc = conn_new(fds[0], &one);
    if (rc == 0)
        rc = conn_new(fds[1], &other);
    if (rc < 0) {
        if (!one)
            (void)kernel->close(fds[0]);
        conn_free(one);
        (void)kernel->close(fds[1]);
        return failure_set(rc, "bell_pair");
    }
    ret_pair[0] = one;
    ret_pair[1] = other;
    return 0;
}

// ---- Waiting ----------------------------------------------------------------------------------

// When the server's limits end the conversation, if nothing moves until then.
static int64_t limit_of(const bell_conn *conn)
{
    int64_t limit = conn->ends_at;
    if (conn->idle_timeout && conn->last_moved + conn->idle_timeout < limit)
        limit = conn->last_moved + conn->idle_timeout;
    if (conn->rate_min) {
        double earned = (double)(conn->bytes_in + conn->bytes_out) / (double)conn->rate_min;
        double until = (double)conn->rate_from + earned * 1e9;
        if (until < (double)limit)
            limit = (int64_t)until;
    }
    return limit;
}

// The same call, with the limits. Returns -ETIMEDOUT only for the connection's own deadline.
static ssize_t wait_within_limits(bell_conn *conn, struct wait_call *call)
{
    struct loop *loop = loop_here();
    for (;;) {
        int64_t limit = limit_of(conn);
        call->deadline = conn->deadline < limit ? conn->deadline : limit;
        ssize_t n = wait_for(call);
        if (n > 0)
            conn->last_moved = loop->now;
        if (n != -ETIMEDOUT || conn->deadline <= limit)
            return n;
        // Another task may have moved bytes meanwhile, which puts the limit off.
        if (limit_of(conn) <= loop->now) {
            conn->limited = true;
            return -ECONNABORTED;
        }
    }
}

ssize_t conn_wait(bell_conn *conn, struct wait_call *call)
{
    call->endpoint = &conn->endpoint;
    if (conn->endpoint.fd < 0)
        return -EBADF;
    if (conn->limited)
        return -ECONNABORTED;
    if (atomic_load_explicit(&conn->cancel, memory_order_relaxed))
        return -ECANCELED;
    if (!atomic_load_explicit(&conn->home, memory_order_relaxed)) {
        struct task *task = task_here(NULL);
        if (task)
            conn_set_home(conn, task->loop);
    }
    if (conn->has_limits)
        return wait_within_limits(conn, call);
    call->deadline = conn->deadline;
    return wait_for(call);
}

__attribute__((cold, noinline)) int conn_failed(bell_conn *conn, const char *call, ssize_t error)
{
    return failure_set((int)error, "%s %s", call, bell_peer(conn));
}

int bell_deadline(bell_conn *conn, int64_t deadline)
{
    conn->deadline = deadline;
    return 0;
}

// ---- Cancelling -------------------------------------------------------------------------------

static void cancel_posted(struct post *post)
{
    bell_conn *conn = LIST_ENTRY(post, bell_conn, cancel_post);
    wait_cancel_endpoint(&conn->endpoint, -ECANCELED);
    atomic_store(&conn->cancel, CONN_CANCELLED);
}

void bell_cancel(bell_conn *conn)
{
    struct loop *home = atomic_load_explicit(&conn->home, memory_order_acquire);
    bool here = !home || home == loop_here();
    int none = CONN_NOT_CANCELLED;
    int next = here ? CONN_CANCELLED : CONN_CANCEL_POSTED;
    if (!atomic_compare_exchange_strong(&conn->cancel, &none, next))
        return;
    if (here) {
        wait_cancel_endpoint(&conn->endpoint, -ECANCELED);
        return;
    }
    conn->cancel_post.run = cancel_posted;
    loop_post(home, &conn->cancel_post);
}

// ---- Addresses --------------------------------------------------------------------------------

void conn_set_peer(bell_conn *conn, const struct sockaddr *peer, socklen_t size)
{
    if (size > sizeof conn->peer)
        return; // a Unix socket's
    memcpy(&conn->peer, peer, size);
    conn->peer_size = size;
}

static char *text_of(const struct sockaddr *address, socklen_t size)
{
    char text[ADDR_TEXT_SIZE];
    addr_print(address, size, text, sizeof text);
    size_t length = strlen(text);
    char *copy = kernel->allocate(length + 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

typedef int ask_name(int fd, struct sockaddr *ret_address, socklen_t *size);

static char *ask_text(int fd, ask_name *ask)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (fd < 0 || ask(fd, (struct sockaddr *)&address, &size) < 0)
        return NULL;
    return text_of((struct sockaddr *)&address, size);
}

const char *bell_peer(bell_conn *conn)
{
    if (!conn->peer_text && conn->peer_size)
        conn->peer_text = text_of(&conn->peer.any, conn->peer_size);
    if (!conn->peer_text)
        conn->peer_text = ask_text(conn->endpoint.fd, kernel->getpeername);
    return conn->peer_text ? conn->peer_text : "a connection that has ended";
}

const char *bell_local(bell_conn *conn)
{
    if (!conn->local_text)
        conn->local_text = ask_text(conn->endpoint.fd, kernel->getsockname);
    return conn->local_text ? conn->local_text : "a connection that has ended";
}

bell_server *bell_conn_server(bell_conn *conn)
{
    return conn->server;
}

// ---- The descriptor ---------------------------------------------------------------------------

int bell_fd(bell_conn *conn)
{
    if (conn->endpoint.fd < 0)
        return conn_failed(conn, "descriptor of", -EBADF);
    return conn->endpoint.fd;
}

// What a completion backend has received already is unread, too.
static void collect_early(bell_conn *conn)
{
    wait_release(&conn->endpoint);
    while (conn->endpoint.early)
        if (conn_fill(conn, conn_unread(conn) + BUFFER_SIZE) <= 0)
            return;
}

int bell_detach(bell_conn *conn, void *unread, size_t size, size_t *ret_unread)
{
    if (conn->endpoint.fd < 0)
        return conn_failed(conn, "detach", -EBADF);
    collect_early(conn);
    size_t count = conn_unread(conn);
    if (ret_unread)
        *ret_unread = count;
    if (count > (unread ? size : 0))
        return failure_say(-ENOBUFS, "detach %s: %zu bytes are unread, and there is room for %zu",
                           bell_peer(conn), count, unread ? size : 0);
    if (count)
        memcpy(unread, conn->storage + conn->begin, count);
    conn_drop_unread(conn);
    int fd = conn->endpoint.fd;
    conn->endpoint.fd = -1;
    if (!conn->server)
        conn_free(conn);
    return fd;
}

// ---- The end ----------------------------------------------------------------------------------

int bell_shutdown(bell_conn *conn, int how)
{
    if (conn->endpoint.fd < 0)
        return conn_failed(conn, "shut down", -EBADF);
    int rc = kernel->shutdown(conn->endpoint.fd, how);
    if (rc < 0)
        return conn_failed(conn, "shut down", rc);
    if (how == SHUT_WR || how == SHUT_RDWR)
        conn->shut_out = true;
    if (how == SHUT_RD || how == SHUT_RDWR) {
        conn->shut_in = true;
        if (!conn->reading)
            conn_drop_unread(conn);
    }
    return 0;
}

// Takes the descriptor out; the caller closes it.
static int take_descriptor(bell_conn *conn)
{
    int fd = conn->endpoint.fd;
    wait_release(&conn->endpoint);
    conn_drop_unread(conn);
    while (conn->endpoint.early)
        buffer_give(loop_here(), wait_take_early(&conn->endpoint));
    conn->endpoint.fd = -1;
    return fd;
}

void conn_finish(bell_conn *conn, bool polite)
{
    if (conn->endpoint.fd < 0)
        return;
    struct task *task = task_here(NULL);
    int fd = take_descriptor(conn);
    if (!polite || !task) {
        closing_reset(fd);
        return;
    }
    // -ENOTCONN: it was reset already, there is nobody to wait for.
    bool over = kernel->shutdown(fd, SHUT_WR) < 0 || conn->peer_ended;
    if (over)
        (void)kernel->close(fd);
    else
        closing_begin(task->loop, fd, kernel->now() + conn->linger_time, conn->linger_bytes);
}

// Reads and throws away until the other end's end, for a connection of the program's own. 0, or why
// it has to be reset.
static int linger(bell_conn *conn)
{
    struct wait_call call = {.kind = WAIT_RECV_LENT, .endpoint = &conn->endpoint};
    call.deadline = kernel->now() + conn->linger_time;
    size_t left = conn->linger_bytes;
    conn_drop_unread(conn);
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
    int rc = 0;
    if (kernel->shutdown(conn->endpoint.fd, SHUT_WR) == 0 && !conn->peer_ended)
        rc = linger(conn);
    if (rc == -ECANCELED) { // the task cannot wait any more; the loop can
        conn_finish(conn, true);
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
    if (conn->endpoint.fd < 0)
        return conn_failed(conn, "close", -EBADF);
    if (conn->server) {
        conn_finish(conn, true);
        return 0;
    }
    (void)bell_peer(conn); // as long as the kernel knows
    int rc = close_own(conn);
    if (rc < 0)
        (void)conn_failed(conn, "close", rc);
    conn_free(conn);
    return rc < 0 ? -1 : 0;
}

void bell_abort(bell_conn *conn)
{
    if (!conn)
        return;
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
