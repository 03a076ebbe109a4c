// Waiting calls and endpoints: what all backends have in common.

#include "wait/wait.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

#include "kernel/kernel.h"
#include "wait/backend.h"

// A task that never has to wait lets others run, and looks at the clock, after so many calls.
enum { STREAK_MAX = 32 };

// ---- Endpoints --------------------------------------------------------------------------------

void wait_open(struct endpoint *endpoint, int fd)
{
    memset(endpoint, 0, sizeof *endpoint);
    endpoint->fd = fd;
}

// ---- Bytes that arrived before anyone asked ---------------------------------------------------

void endpoint_add_early(struct endpoint *endpoint, struct buffer *buffer)
{
    struct buffer **end = &endpoint->early;
    while (*end)
        end = &(*end)->next;
    buffer->next = NULL;
    *end = buffer;
}

struct buffer *wait_take_early(struct endpoint *endpoint)
{
    struct buffer *buffer = endpoint->early;
    if (buffer)
        endpoint->early = buffer->next;
    return buffer;
}

// A recv that need not trouble the backend.
static ssize_t recv_early(struct loop *loop, struct wait_call *call)
{
    struct buffer *buffer = call->endpoint->early;
    size_t size = buffer->size;
    if (call->kind == WAIT_RECV_LENT) {
        call->buffer = wait_take_early(call->endpoint);
        return (ssize_t)size;
    }
    if (size > call->size)
        size = call->size;
    memcpy(call->into, buffer->data, size);
    buffer->size -= size;
    memmove(buffer->data, buffer->data + size, buffer->size);
    if (buffer->size == 0)
        buffer_give(loop, wait_take_early(call->endpoint));
    return (ssize_t)size;
}

bool wait_is_tcp(int fd)
{
    int protocol = 0;
    socklen_t size = sizeof protocol;
    int rc = kernel->getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
    return rc == 0 && protocol == IPPROTO_TCP;
}

// Makes the endpoint one of this loop's. Descriptors that are registered nowhere move freely.
static int join_loop(struct endpoint *endpoint, struct loop *loop)
{
    if (endpoint->interest || endpoint->calls[WAIT_IN] || endpoint->calls[WAIT_OUT])
        return -EXDEV;
    endpoint->loop = loop;
    endpoint->generation = ++loop->generation;
    endpoint->drained = false;
    endpoint->marked = false;
    return 0;
}

static void cancel_calls(struct endpoint *endpoint, int why)
{
    for (int side = WAIT_IN; side <= WAIT_OUT; side++)
        if (endpoint->calls[side])
            wait_cancel(endpoint->calls[side], why);
}

static void release(struct endpoint *endpoint, bool closes)
{
    cancel_calls(endpoint, -ECANCELED);
    while (endpoint->calls[WAIT_IN] || endpoint->calls[WAIT_OUT]) {
        endpoint->releaser = endpoint->loop->current;
        task_pause(endpoint->releaser);
    }
    endpoint->releaser = NULL;
    if (endpoint->loop && endpoint->loop == loop_here())
        endpoint->loop->backend->release(endpoint->loop, endpoint, closes);
    endpoint->loop = NULL;
    endpoint->generation = 0;
    endpoint->interest = 0;
    endpoint->drained = false;
    endpoint->marked = false;
}

void wait_release(struct endpoint *endpoint)
{
    release(endpoint, false);
}

void wait_close(struct endpoint *endpoint)
{
    if (endpoint->fd < 0)
        return;
    release(endpoint, true);
    while (endpoint->early)
        kernel->release(wait_take_early(endpoint));
    (void)kernel->close(endpoint->fd); // nothing can be done about an error here
    endpoint->fd = -1;
}

void wait_cancel_endpoint(struct endpoint *endpoint, int why)
{
    endpoint->cancelled = why;
    cancel_calls(endpoint, why);
}

// ---- Calls ------------------------------------------------------------------------------------

static void call_timed_out(struct timer *timer)
{
    wait_cancel(LIST_ENTRY(timer, struct wait_call, timer), -ETIMEDOUT);
}

// From now on the call waits, until wait_complete.
static void begin_waiting(struct loop *loop, struct wait_call *call)
{
    call->loop = loop;
    if (call->endpoint)
        call->endpoint->calls[wait_side_of(call)] = call;
    if (call->deadline == INT64_MAX)
        return;
    call->timer.at = call->deadline;
    call->timer.expired = call_timed_out;
    timers_add(&loop->timers, &call->timer);
}

static void end_waiting(struct wait_call *call)
{
    struct endpoint *endpoint = call->endpoint;
    if (timer_is_set(&call->timer))
        timers_remove(&call->loop->timers, &call->timer);
    call->loop = NULL;
    if (!endpoint)
        return;
    if (endpoint->calls[wait_side_of(call)] == call)
        endpoint->calls[wait_side_of(call)] = NULL;
    if (endpoint->releaser)
        task_wake(endpoint->releaser);
}

// Whether the call may be tried now. Asked before each try, so that a peer who always has
// something for us cannot outrun a deadline.
static int check_call(struct loop *loop, const struct wait_call *call)
{
    struct endpoint *endpoint = call->endpoint;
    if (endpoint->fd < 0)
        return -EBADF;
    if (endpoint->cancelled)
        return endpoint->cancelled;
    if (call->deadline != WAIT_NOT && call->deadline <= loop->now)
        return -ETIMEDOUT;
    if (endpoint->calls[wait_side_of(call)])
        return -EBUSY;
    if (endpoint->loop != loop)
        return join_loop(endpoint, loop);
    return 0;
}

static ssize_t start_call(struct loop *loop, struct wait_call *call)
{
    if (call->kind == WAIT_WAKE)
        return BACKEND_WAITS;
    int rc = check_call(loop, call);
    if (rc < 0)
        return rc;
    if (call->endpoint->early && (call->kind == WAIT_RECV || call->kind == WAIT_RECV_LENT))
        return recv_early(loop, call);
    return loop->backend->start(loop, call);
}

void task_take_turn(struct task *self)
{
    if (++self->streak >= STREAK_MAX)
        task_yield(self);
}

ssize_t wait_for(struct wait_call *call)
{
    int error = 0;
    struct task *task = task_here(&error);
    if (!task)
        return error;
    // A WAIT_WAKE waits anyway; and who is to complete it may do so from now on, not in a yield.
    if (call->kind != WAIT_WAKE)
        task_take_turn(task);

    call->task = task;
    call->done = NULL;
    call->begun = false;
    for (;;) {
        if (task->cancelled)
            return task->cancelled;
        ssize_t result = start_call(task->loop, call);
        if (result != BACKEND_WAITS)
            return result;

        begin_waiting(task->loop, call);
        task->parked = call;
        task_pause(task);
        if (call->result != -EAGAIN)
            return call->result;
    }
}

// ---- Calls that no task waits for -------------------------------------------------------------

static void tell_result(struct timer *timer)
{
    struct wait_call *call = LIST_ENTRY(timer, struct wait_call, timer);
    call->loop = NULL;
    call->done(call);
}

// The result is there already, but `done` is never called from within wait_start: the next look
// for events does it.
static void tell_soon(struct loop *loop, struct wait_call *call, ssize_t result)
{
    call->result = result;
    call->loop = loop;
    call->timer.at = INT64_MIN;
    call->timer.expired = tell_result;
    timers_add(&loop->timers, &call->timer);
}

void wait_start(struct loop *loop, struct wait_call *call)
{
    call->task = NULL;
    call->begun = false;
    memset(&call->timer, 0, sizeof call->timer);
    ssize_t result = start_call(loop, call);
    if (result == BACKEND_WAITS)
        begin_waiting(loop, call);
    else
        tell_soon(loop, call, result);
}

// A readiness backend said that the call can be made now.
static void try_again(struct loop *loop, struct wait_call *call)
{
    ssize_t result = start_call(loop, call);
    if (result == BACKEND_WAITS) {
        begin_waiting(loop, call);
        return;
    }
    call->result = result;
    call->done(call);
}

void wait_complete(struct wait_call *call, ssize_t result)
{
    struct loop *loop = call->loop;
    end_waiting(call);
    call->result = result;
    if (call->task) {
        call->task->parked = NULL;
        task_wake(call->task);
    } else if (result == -EAGAIN) {
        try_again(loop, call);
    } else {
        call->done(call);
    }
}

void wait_cancel(struct wait_call *call, int why)
{
    struct loop *loop = call->loop;
    if (!loop)
        return;
    if (call->timer.expired == tell_result && timer_is_set(&call->timer)) {
        timers_remove(&loop->timers, &call->timer);
        call->loop = NULL;
        call->done(call); // with the result that it had already
        return;
    }
    if (call->kind == WAIT_WAKE)
        wait_complete(call, why);
    else
        loop->backend->cancel(loop, call, why);
}

// ---- The usual calls --------------------------------------------------------------------------

ssize_t wait_recv(struct endpoint *endpoint, void *into, size_t size, int64_t deadline)
{
    struct wait_call call = {
        .kind = WAIT_RECV,
        .endpoint = endpoint,
        .into = into,
        .size = size,
        .deadline = deadline,
    };
    return wait_for(&call);
}

ssize_t wait_send(struct endpoint *endpoint, const void *from, size_t size, int64_t deadline)
{
    struct wait_call call = {
        .kind = WAIT_SEND,
        .endpoint = endpoint,
        .from = from,
        .size = size,
        .deadline = deadline,
    };
    return wait_for(&call);
}

int wait_connect(struct endpoint *endpoint, const struct sockaddr *address, socklen_t size,
                 int64_t deadline)
{
    struct wait_call call = {
        .kind = WAIT_CONNECT,
        .endpoint = endpoint,
        .from = address,
        .size = size,
        .deadline = deadline,
    };
    return (int)wait_for(&call);
}

int wait_sleep(int64_t deadline)
{
    struct wait_call call = {.kind = WAIT_WAKE, .deadline = deadline};
    ssize_t result = wait_for(&call);
    return result == -ETIMEDOUT ? 0 : (int)result;
}
