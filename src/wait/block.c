// The backend `block`: poll(2), for loops with a handful of descriptors.

#include <errno.h>
#include <string.h>

#include "kernel/kernel.h"
#include "wait/backend.h"

struct block {
    struct endpoint **armed; // those on which a call waits; endpoint->slot is the index
    struct pollfd *fds;      // one more: the wake descriptor comes first
    unsigned count, capacity;
};

static int block_open(struct loop *loop)
{
    loop->private = kernel->allocate(sizeof(struct block));
    return loop->private ? 0 : -ENOMEM;
}

static void block_close(struct loop *loop, bool abandon)
{
    (void)abandon; // nothing is shared with the parent
    struct block *block = loop->private;
    kernel->release(block->armed);
    kernel->release(block->fds);
    kernel->release(block);
}

static int grow(struct block *block)
{
    unsigned capacity = block->capacity ? block->capacity * 2 : 4;
    struct endpoint **armed = kernel->reallocate(block->armed, capacity * sizeof(void *));
    if (!armed)
        return -ENOMEM;
    block->armed = armed;
    struct pollfd *fds = kernel->reallocate(block->fds, (capacity + 1) * sizeof *fds);
    if (!fds)
        return -ENOMEM;
    block->fds = fds;
    block->capacity = capacity;
    return 0;
}

static ssize_t block_start(struct loop *loop, struct wait_call *call)
{
    ssize_t n = ready_try(loop, call);
    if (n != -EAGAIN)
        return n;

    struct block *block = loop->private;
    struct endpoint *endpoint = call->endpoint;
    if (endpoint->slot < block->count && block->armed[endpoint->slot] == endpoint)
        return BACKEND_WAITS; // the other side waits already
    if (block->count == block->capacity) {
        int rc = grow(block);
        if (rc < 0)
            return rc;
    }
    endpoint->slot = block->count;
    block->armed[block->count++] = endpoint;
    return BACKEND_WAITS;
}

static void disarm(struct block *block, struct endpoint *endpoint)
{
    if (endpoint->slot >= block->count || block->armed[endpoint->slot] != endpoint)
        return;
    struct endpoint *last = block->armed[--block->count];
    block->armed[endpoint->slot] = last;
    last->slot = endpoint->slot;
}

static void disarm_if_idle(struct loop *loop, struct endpoint *endpoint)
{
    if (!endpoint->calls[WAIT_IN] && !endpoint->calls[WAIT_OUT])
        disarm(loop->private, endpoint);
}

static void block_cancel(struct loop *loop, struct wait_call *call, int why)
{
    struct endpoint *endpoint = call->endpoint;
    endpoint->calls[wait_side_of(call)] = NULL;
    disarm_if_idle(loop, endpoint);
    wait_complete(call, why);
}

static nfds_t list_descriptors(struct block *block, int wake_fd)
{
    block->fds[0] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
    for (unsigned i = 0; i < block->count; i++) {
        const struct endpoint *endpoint = block->armed[i];
        int events =
            (endpoint->calls[WAIT_IN] ? POLLIN : 0) | (endpoint->calls[WAIT_OUT] ? POLLOUT : 0);
        block->fds[i + 1] = (struct pollfd){.fd = endpoint->fd, .events = (short)events};
    }
    return block->count + 1;
}

// An error or a hang-up is for both sides: the try will tell.
static void signal_sides(struct loop *loop, struct endpoint *endpoint, int events)
{
    uint32_t generation = endpoint->generation;
    bool both = events & (POLLERR | POLLHUP | POLLNVAL);
    // The list must not name an endpoint when its calls are told: they may end it.
    struct wait_call *in = both || (events & POLLIN) ? endpoint->calls[WAIT_IN] : NULL;
    struct wait_call *out = both || (events & POLLOUT) ? endpoint->calls[WAIT_OUT] : NULL;
    if (endpoint->calls[WAIT_IN] == in && endpoint->calls[WAIT_OUT] == out)
        disarm(loop->private, endpoint);
    if (in)
        (void)ready_signal(endpoint, WAIT_IN);
    if (out && wait_is_waiting(out) && endpoint->generation == generation)
        (void)ready_signal(endpoint, WAIT_OUT);
}

static void hear_wake(const struct loop *loop)
{
    uint64_t number;
    (void)kernel->read(loop->wake_fd, &number, sizeof number);
}

static void block_poll(struct loop *loop, int64_t deadline)
{
    struct block *block = loop->private;
    if (block->capacity == 0 && grow(block) < 0) {
        // Not even room for one: look at the wake descriptor alone, so that nothing is lost.
        struct pollfd wake = {.fd = loop->wake_fd, .events = POLLIN};
        if (kernel->ppoll(&wake, 1, deadline) > 0)
            hear_wake(loop);
        return;
    }
    nfds_t count = list_descriptors(block, loop->wake_fd);
    int ready = kernel->ppoll(block->fds, count, deadline);
    if (ready <= 0)
        return; // the deadline, a signal, or no memory in the kernel: look again

    if (block->fds[0].revents)
        hear_wake(loop);
    // From the last to the first: disarming moves the last one into the gap.
    for (nfds_t i = count - 1; i > 0; i--) {
        int events = block->fds[i].revents;
        // What an earlier event ended has left its place to another, or to nobody.
        if (events && i <= block->count && block->armed[i - 1]->fd == block->fds[i].fd)
            signal_sides(loop, block->armed[i - 1], events);
    }
}

static void block_release(struct loop *loop, struct endpoint *endpoint, bool closes)
{
    (void)closes;
    disarm(loop->private, endpoint);
}

static int block_descriptor(struct loop *loop)
{
    (void)loop;
    return -ENOTSUP;
}

const struct backend_ops backend_block = {
    .name = "block",
    .open = block_open,
    .close = block_close,
    .start = block_start,
    .cancel = block_cancel,
    .poll = block_poll,
    .release = block_release,
    .descriptor = block_descriptor,
};
