// Calls: a request that is repeated until it is answered.

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "conn/conn.h"
#include "conn/message.h"
#include "kernel/kernel.h"
#include "wait/failure.h"

// A peer that sends without end must not keep a call from being made; nor a kernel that has one port only.
enum { DEFAULT_TRIES = 5, TRIES_MAX = 1000, LATE_MAX = 10000, CHANGES_MAX = 8 };

// RFC 8085, 3.1.1: without a knowledge of the round trip time an application SHOULD start with 1 s.
#define DEFAULT_FIRST_WAIT BELL_SECOND
#define DEFAULT_WAIT_MAX (30 * BELL_SECOND)

struct call {
    bell_conn *conn;
    const void *request;
    size_t size;
    void *answer;
    size_t answer_size;
    struct bell_call_options options; // with the defaults
    int64_t begin;
    int64_t wait; // for the next answer, before chance makes it longer
    int tries;    // so far
};

// ---- Answers to earlier calls -----------------------------------------------------------------

static void throw_away_what_came(const struct call *call)
{
    char byte;
    ssize_t n = 0; // errors that earlier requests ran into go, too
    for (int i = 0; i < LATE_MAX && (n >= 0 || n == -ECONNREFUSED); i++)
        n = message_receive(call->conn, &byte, sizeof byte, WAIT_NOT);
}

// 0: none.
static in_port_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } here;
    socklen_t size = sizeof here;
    if (kernel->getsockname(fd, &here.any, &size) < 0)
        return 0;
    return here.any.sa_family == AF_INET6 ? here.ipv6.sin6_port : here.ipv4.sin_port;
}

// Dissolves the association and makes it anew, which takes another port of ours, if the kernel chose that.
// What comes to the old one reaches nobody. One in 28,000 times the kernel chooses the same one again.
static int change_port(const struct call *call)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    bell_conn *conn = call->conn;
    int fd = conn->endpoint.fd;
    in_port_t before = port_of(fd);
    for (int i = 0; i < CHANGES_MAX; i++) {
        int rc = kernel->connect(fd, &nobody, sizeof nobody);
        if (rc < 0)
            return rc;
        bool is_ours = i > 0 && port_of(fd) == before; // we chose it, and it stays
        throw_away_what_came(call);
        rc = kernel->connect(fd, &conn->peer.any, conn->peer_size);
        if (rc < 0)
            return rc;
        if (is_ours || port_of(fd) != before)
            break;
    }
    kernel->release(conn->local_text);
    conn->local_text = NULL;
    return 0;
}

static int prepare(const struct call *call)
{
    bell_conn *conn = call->conn;
    bool change = conn->has_called && !call->options.matches && conn->peer_size > 0;
    conn->has_called = true;
    throw_away_what_came(call);
    return change ? change_port(call) : 0;
}

// ---- One try ----------------------------------------------------------------------------------

// Up to a half longer.
static int64_t lengthened(int64_t wait)
{
    return wait + (int64_t)(kernel->random() % (uint64_t)(wait / 2 + 1));
}

static bool is_the_answer(const struct call *call, ssize_t n)
{
    const struct bell_call_options *o = &call->options;
    size_t size = (size_t)n < call->answer_size ? (size_t)n : call->answer_size;
    return !o->matches || o->matches(call->request, call->size, call->answer, size, o->arg);
}

static ssize_t await_answer(const struct call *call, int64_t until)
{
    ssize_t n;
    do
        n = message_receive(call->conn, call->answer, call->answer_size, until);
    while (n >= 0 && !is_the_answer(call, n));
    return n;
}

static ssize_t ask(struct call *call)
{
    const struct bell_call_options *o = &call->options;
    ssize_t n = -ETIMEDOUT;
    while (n == -ETIMEDOUT && call->tries < o->tries && kernel->now() < call->conn->deadline) {
        n = message_send(call->conn, call->request, call->size, call->conn->deadline);
        if (n < 0)
            break;
        call->tries++;
        int64_t until = bell_in(lengthened(call->wait));
        if (until > call->conn->deadline)
            until = call->conn->deadline;
        call->wait = call->wait < o->wait_max / 2 ? call->wait * 2 : o->wait_max;
        n = await_answer(call, until);
    }
    return n;
}

// ---- The public call --------------------------------------------------------------------------

static int set_options(struct call *call, const struct bell_call_options *options)
{
    static const struct bell_call_options none = {.size = sizeof none};
    struct bell_call_options *o = &call->options;
    *o = options ? *options : none;
    if (o->size != sizeof *o || o->tries < 0 || o->tries > TRIES_MAX || o->first_wait < 0 ||
        o->wait_max < 0)
        return -EINVAL;
    if (!o->tries)
        o->tries = DEFAULT_TRIES;
    if (!o->first_wait)
        o->first_wait = DEFAULT_FIRST_WAIT;
    if (!o->wait_max)
        o->wait_max = DEFAULT_WAIT_MAX;
    if (o->wait_max > BELL_NEVER / 4)
        o->wait_max = BELL_NEVER / 4;
    call->wait = o->first_wait < o->wait_max ? o->first_wait : o->wait_max;
    return 0;
}

static int occupy(bell_conn *conn)
{
    if (conn_check(conn) == 0 && conn->kind != CONN_DATAGRAM)
        return -EPROTOTYPE;
    int rc = message_begin_receiving(conn);
    if (rc < 0)
        return rc;
    rc = message_begin_sending(conn);
    if (rc < 0)
        conn->receiving = false;
    return rc;
}

static ssize_t tell(const struct call *call, ssize_t n)
{
    const char *peer = bell_peer(call->conn);
    failure_note_done(n > 0 ? call->answer_size : 0);
    if (n == -ETIMEDOUT)
        return failure_say(-ETIMEDOUT, "call %s: no answer, asked %d time%s in %lld ms", peer,
                           call->tries, call->tries == 1 ? "" : "s",
                           (long long)((kernel->now() - call->begin) / BELL_MS));
    if (n < 0)
        return failure_set((int)n, "call %s", peer);
    return failure_say(-EMSGSIZE, "call %s: an answer of %zd bytes, and there is room for %zu",
                       peer, n, call->answer_size);
}

// NOLINTNEXTLINE(readability-function-size): two buffers with their sizes
ssize_t bell_call(bell_conn *conn, const void *request, size_t size, void *answer,
                  size_t answer_size, const struct bell_call_options *options)
{
    struct call call = {.conn = conn,
                        .request = request,
                        .size = size,
                        .answer = answer,
                        .answer_size = answer_size,
                        .begin = kernel->now()};
    ssize_t n = set_options(&call, options);
    if (n == 0)
        n = occupy(conn);
    if (n < 0)
        return tell(&call, n);
    n = prepare(&call);
    if (n == 0)
        n = ask(&call);
    conn->receiving = conn->sending = false;
    return n < 0 || (size_t)n > answer_size ? tell(&call, n) : n;
}
