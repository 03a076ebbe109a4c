// Waiting for a descriptor that is not the library's.

#include <doorbell.h>
#include <errno.h>
#include <poll.h>

#include "base/list.h"
#include "kernel/kernel.h"
#include "wait/failure.h"
#include "wait/wait.h"

// A wait for one or both sides: whichever is ready first wakes the task.
struct readiness {
    struct endpoint endpoint;
    struct wait_call sides[2];
    struct wait_call news;
};

static void side_is_ready(struct wait_call *call)
{
    struct readiness *readiness = LIST_ENTRY(call->endpoint, struct readiness, endpoint);
    if (wait_is_waiting(&readiness->news))
        wait_complete(&readiness->news, call->result < 0 ? call->result : 0);
}

static void start_side(struct readiness *readiness, enum wait_side side, struct loop *loop)
{
    readiness->sides[side] = (struct wait_call){
        .kind = side == WAIT_IN ? WAIT_READABLE : WAIT_WRITABLE,
        .endpoint = &readiness->endpoint,
        .deadline = INT64_MAX,
        .done = side_is_ready,
    };
    wait_start(loop, &readiness->sides[side]);
}

// 0 when one of the events may hold now.
static int await_readiness(struct task *self, int fd, short events, int64_t deadline)
{
    struct readiness readiness = {.news = {.kind = WAIT_WAKE, .deadline = deadline}};
    wait_open(&readiness.endpoint, fd);
    if (events & POLLIN)
        start_side(&readiness, WAIT_IN, self->loop);
    if (events & POLLOUT)
        start_side(&readiness, WAIT_OUT, self->loop);
    int rc = (int)wait_for(&readiness.news);
    for (int side = WAIT_IN; side <= WAIT_OUT; side++)
        wait_cancel(&readiness.sides[side], -ECANCELED);
    wait_release(&readiness.endpoint);
    return rc;
}

// The events that hold now, 0 for none.
static int look(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    int count;
    do
        count = kernel->ppoll(&one, 1, 0);
    while (count == -EINTR);
    if (count > 0 && (one.revents & POLLNVAL))
        return -EBADF;
    return count > 0 ? one.revents : count;
}

// The loop may know the descriptor already, as a connection's or another task's, and knows each number
// once: so it waits for a second one of the same file.
static int wait_for_events(struct task *self, int fd, short events, int64_t deadline)
{
    int copy = kernel->dup(fd);
    if (copy < 0)
        return copy;
    int found = 0;
    while (found == 0) {
        found = await_readiness(self, copy, events, deadline);
        if (found == 0)
            found = look(copy, events);
    }
    (void)kernel->close(copy);
    return found;
}

static int wait_fd(int fd, short events, int64_t deadline)
{
    int rc = 0;
    struct task *self = task_here(&rc);
    if (!self)
        return rc;
    if (!events || (events & ~(POLLIN | POLLOUT)))
        return -EINVAL;
    task_take_turn(self);
    if (self->cancelled)
        return self->cancelled;
    int found = look(fd, events);
    if (found != 0)
        return found;
    return deadline == 0 ? -ETIMEDOUT : wait_for_events(self, fd, events, deadline);
}

int bell_wait_fd(int fd, short events, int64_t deadline)
{
    int found = wait_fd(fd, events, deadline);
    return found < 0 ? failure_set(found, "wait for descriptor %d", fd) : found;
}
