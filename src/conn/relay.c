// Copying between two connections, both ways: the calling task copies there, one more task back.

#include <errno.h>

#include "conn/conn.h"
#include "wait/failure.h"

struct direction {
    bell_conn *from, *to;
    uint64_t bytes;
    int error;
    bool over;
};

struct relay {
    struct direction there, back;
    struct wait_call joining; // while `there` is over, and `back` is not
    struct task *joiner;      // the same, when it cannot be cancelled any more
};

static int copy(struct direction *way)
{
    for (;;) {
        if (conn_unread(way->from) == 0) {
            ssize_t n = conn_fill(way->from, BUFFER_SIZE);
            if (n < 0)
                return (int)n;
            if (n == 0)
                break;
        }
        size_t done, count = conn_unread(way->from);
        int rc = conn_send_all(way->to, way->from->storage + way->from->begin, count, &done);
        if (done)
            conn_consume(way->from, done);
        way->bytes += done;
        if (rc < 0)
            return rc;
    }
    int rc = way->to->shut_out ? 0 : conn_shut(way->to, SHUT_WR);
    return rc == -ENOTCONN ? -ECONNRESET : rc; // it was connected
}

// Without one direction the other makes no sense: its calls end, too.
static void copy_to_the_end(struct relay *relay, struct direction *way)
{
    way->error = copy(way);
    way->over = true;
    if (way->error && !(relay->there.over && relay->back.over))
        conn_cancel_calls(relay->there.from);
}

static void copy_back(void *arg)
{
    struct relay *relay = arg;
    copy_to_the_end(relay, &relay->back);
    if (wait_is_waiting(&relay->joining))
        wait_complete(&relay->joining, 0);
    else if (relay->joiner)
        task_wake(relay->joiner);
}

// Waits for the way back, which may be a long one: cancelling this task must end it.
static void join(struct relay *relay, struct task *self)
{
    if (relay->back.over)
        return;
    relay->joining = (struct wait_call){.kind = WAIT_WAKE, .deadline = BELL_NEVER};
    if (wait_for(&relay->joining) < 0 && !relay->back.over)
        conn_cancel_calls(relay->there.from);
    relay->joiner = self;
    while (!relay->back.over)
        task_pause(self);
}

static int check(bell_conn *a, bell_conn *b)
{
    int rc = a == b ? -EINVAL : conn_check(a);
    if (rc == 0)
        rc = conn_check(b);
    if (rc < 0)
        return rc;
    if (a->kind != CONN_STREAM || b->kind != CONN_STREAM)
        return -EPROTOTYPE;
    if (a->reading || a->writing || b->reading || b->writing)
        return -EBUSY;
    return a->write_broken || b->write_broken ? -EPIPE : 0;
}

static void occupy(bell_conn *conn, bell_conn *partner)
{
    int64_t deadline = conn->deadline < partner->deadline ? conn->deadline : partner->deadline;
    conn->reading = conn->writing = true;
    conn->deadlines[WAIT_IN] = conn->deadlines[WAIT_OUT] = deadline;
    conn->partner = partner;
}

static void leave(bell_conn *conn)
{
    conn->reading = conn->writing = false;
    conn->partner = NULL;
}

static int run(struct relay *relay)
{
    int rc = 0;
    struct task *self = task_here(&rc);
    if (!self)
        return rc;
    const char *name = self->coro.name ? self->coro.name : "bell_relay";
    rc = task_start(self->loop, name, copy_back, relay, NULL);
    if (rc < 0)
        return rc;
    copy_to_the_end(relay, &relay->there);
    join(relay, self);
    return 0;
}

// The one that failed by itself says why; the other was cancelled.
static const struct direction *failed_one(const struct relay *relay)
{
    const struct direction *there = &relay->there, *back = &relay->back;
    if (there->error && there->error != -ECANCELED)
        return there;
    return back->error ? back : there;
}

int bell_relay(bell_conn *a, bell_conn *b, uint64_t ret_bytes[2])
{
    int rc = check(a, b);
    if (rc < 0)
        return conn_failed(a, "relay", rc, 0);
    struct relay relay = {.there = {.from = a, .to = b}, .back = {.from = b, .to = a}};
    occupy(a, b);
    occupy(b, a);
    rc = run(&relay);
    leave(a);
    leave(b);
    if (ret_bytes) {
        ret_bytes[0] = relay.there.bytes;
        ret_bytes[1] = relay.back.bytes;
    }
    const struct direction *failed = failed_one(&relay);
    if (rc == 0)
        rc = failed->error;
    if (rc == 0)
        return 0;
    failure_note_done((size_t)(relay.there.bytes + relay.back.bytes));
    return failure_set(rc, "relay %s to %s", bell_peer(failed->from), bell_peer(failed->to));
}
