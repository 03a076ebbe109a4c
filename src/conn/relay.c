// Copying between two connections, both ways.

#include <errno.h>

#include "conn/conn.h"
#include "wait/failure.h"

struct direction {
    bell_conn *from, *to;
    uint64_t bytes;
    int error;
    bool over;
    struct task *waiter;
    struct direction *other;
};

static int copy(struct direction *way)
{
    for (;;) {
        if (conn_unread(way->from) == 0) {
            ssize_t n = conn_fill(way->from, BUFFER_SIZE);
            if (n < 0)
                return (int)n;
            if (n == 0)
                return bell_shutdown(way->to, SHUT_WR) < 0 ? -errno : 0;
        }
        size_t done, count = conn_unread(way->from);
        int rc = conn_send_all(way->to, way->from->storage + way->from->begin, count, &done);
        conn_consume(way->from, done);
        way->bytes += done;
        if (rc < 0)
            return rc;
    }
}

static void copy_to_the_end(struct direction *way)
{
    way->error = copy(way);
    // Without one direction the other makes no sense: its calls end, too.
    if (way->error && !way->other->over) {
        wait_cancel_endpoint(&way->from->endpoint, -ECANCELED);
        wait_cancel_endpoint(&way->to->endpoint, -ECANCELED);
    }
    way->over = true;
}

static void copy_back(void *arg)
{
    struct direction *way = arg;
    copy_to_the_end(way);
    task_wake(way->waiter);
}

static int check(bell_conn *a, bell_conn *b)
{
    if (a == b)
        return -EINVAL;
    if (a->endpoint.fd < 0 || b->endpoint.fd < 0)
        return -EBADF;
    if (a->reading || a->writing || b->reading || b->writing)
        return -EBUSY;
    return 0;
}

static void occupy(bell_conn *conn, bool busy)
{
    conn->reading = conn->writing = busy;
}

int bell_relay(bell_conn *a, bell_conn *b, uint64_t ret_bytes[2])
{
    int rc = check(a, b);
    struct task *task = rc == 0 ? task_here(&rc) : NULL;
    if (!task)
        return conn_failed(a, "relay", rc);
    struct direction there = {.from = a, .to = b}, back = {.from = b, .to = a, .waiter = task};
    there.other = &back;
    back.other = &there;
    occupy(a, true);
    occupy(b, true);
    rc = task_start(task->loop, task->coro.name ? task->coro.name : "bell_relay", copy_back, &back,
                    NULL);
    if (rc == 0) {
        copy_to_the_end(&there);
        while (!back.over)
            task_pause(task);
    }
    occupy(a, false);
    occupy(b, false);
    if (ret_bytes) {
        ret_bytes[0] = there.bytes;
        ret_bytes[1] = back.bytes;
    }
    // The one that failed first says why; the other was cancelled.
    struct direction *failed = there.error && there.error != -ECANCELED ? &there : &back;
    if (!failed->error)
        failed = &there;
    if (rc == 0 && !failed->error)
        return 0;
    return failure_set(rc < 0 ? rc : failed->error, "relay %s to %s", bell_peer(failed->from),
                       bell_peer(failed->to));
}
