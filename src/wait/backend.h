// How a loop waits: what a backend must do. Only this folder and the tests of it include this.
//
// A backend may try calls when they are started and report readiness (block, epoll), or hand them
// to the kernel and report completion (io_uring, and the scripted one of the tests).

#pragma once

#include <errno.h>

#include "wait/wait.h"

enum { BACKEND_WAITS = -EINPROGRESS };

struct backend_ops {
    const char *name;

    // Makes loop->private. Returns 0 or a negative errno.
    int (*open)(struct loop *loop);

    // Closes it. `abandon`: in the child of a fork, where the parent goes on using what is shared.
    void (*close)(struct loop *loop, bool abandon);

    // Begins the call: returns its result, or -EINPROGRESS after which wait_complete ends it, from
    // poll() or cancel(). A result of -EAGAIN in wait_complete means "start it again": a readiness
    // backend leaves the transfer to the task itself, whose buffers are then in its cache.
    // call->endpoint->calls[side] is set by the caller around the time that it waits.
    ssize_t (*start)(struct loop *loop, struct wait_call *call);

    // Gives up a call that waits, and completes it with `why` as soon as its buffer is not in use
    // any more: at once, or from a later poll().
    void (*cancel)(struct loop *loop, struct wait_call *call, int why);

    // Waits for events until the deadline (0: not at all) and completes the calls they end.
    void (*poll)(struct loop *loop, int64_t deadline);

    // Forgets an endpoint none of whose calls waits. What a completion backend has received for it
    // already must be in endpoint->early afterwards.
    // `closes`: the descriptor is closed next.
    void (*release)(struct loop *loop, struct endpoint *endpoint, bool closes);

    // A descriptor that is readable when poll() has something to do, for foreign loops; -ENOTSUP.
    int (*descriptor)(struct loop *loop);
};

extern const struct backend_ops backend_block;
extern const struct backend_ops backend_epoll;

// By name; NULL when there is none. "auto" and NULL are the best one that this system has.
const struct backend_ops *backend_find(const char *name);

static inline enum wait_side wait_side_of(const struct wait_call *call)
{
    return call->kind >= WAIT_WRITABLE ? WAIT_OUT : WAIT_IN;
}

// For completion backends: these bytes arrived before anyone asked. At most 64 KiB of them may lie
// there; a backend that has delivered so many stops receiving until the next call. Takes the buffer.
void endpoint_add_early(struct endpoint *endpoint, struct buffer *buffer);

// For readiness backends: one try, without waiting. -EAGAIN when it cannot be done now; what
// depends on the address being connected (`resumed`) is known by the backend.
ssize_t ready_try(struct loop *loop, struct wait_call *call);

// For readiness backends: this side of the endpoint is ready. Completes the call that waits there
// (with -EAGAIN) and returns true; false when none does.
bool ready_signal(struct endpoint *endpoint, enum wait_side side);
