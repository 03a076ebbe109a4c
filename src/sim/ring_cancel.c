// Cancelling what is under way, with all that may happen at the same time.

#include <errno.h>

#include "sim/ring.h"

static bool is_named(const struct operation *operation, const struct operation *canceller)
{
    const struct io_uring_sqe *how = &canceller->sqe;
    if (operation == canceller)
        return false;
    if (how->opcode == IORING_OP_POLL_REMOVE)
        return operation->sqe.opcode == IORING_OP_POLL_ADD && operation->sqe.user_data == how->addr;
    if (how->cancel_flags & IORING_ASYNC_CANCEL_ANY)
        return true;
    if (how->cancel_flags & IORING_ASYNC_CANCEL_FD)
        return operation->file && operation->file == file_of(how->fd);
    return operation->sqe.user_data == how->addr;
}

// Bytes that were moved before are told.
void operation_die(struct operation *operation)
{
    operation_end(operation, operation->done ? (int)operation->done : -ECANCELED, 0);
}

static void die(struct operation *operation, bool is_late)
{
    operation->dies = true;
    list_remove(&operation->due);
    timers_remove(&world.timers, &operation->timer);
    operation_is_due(operation, is_late ? world_between(1000, 2 * SIM_MS) : 0);
}

// 0: it ends with ECANCELED, now or soon. ENOENT: it has ended just now. EALREADY: nobody knows.
static int cancel(struct operation *operation)
{
    if (operation->dies)
        return -EALREADY;
    if (world_chance(world.faults.ring_race)) {
        operation->tries_once = true;
        list_remove(&operation->due);
        return operation_carry_out(operation) ? -ENOENT : 0;
    }
    if (world_chance(world.faults.ring_race)) {
        operation->tries_once = true;
        die(operation, true);
        return -EALREADY;
    }
    // Who cancels is told first.
    die(operation, world_chance(world.faults.ring_late));
    return 0;
}

static bool cancels_all(const struct io_uring_sqe *how)
{
    return how->opcode == IORING_OP_ASYNC_CANCEL &&
           how->cancel_flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
}

static void refuse_unknown(const struct operation *canceller)
{
    const unsigned known =
        IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ANY;
    if (canceller->sqe.opcode == IORING_OP_ASYNC_CANCEL && canceller->sqe.cancel_flags & ~known)
        world_fail("%s: cancel with flags %#x: not simulated", canceller->ring->file.owner->name,
                   canceller->sqe.cancel_flags);
}

int operation_cancel_others(struct operation *canceller)
{
    struct list *all = &canceller->ring->operations, *node, *next;
    const struct io_uring_sqe *how = &canceller->sqe;
    int count = 0;
    refuse_unknown(canceller);
    if (how->opcode == IORING_OP_ASYNC_CANCEL && how->cancel_flags & IORING_ASYNC_CANCEL_FD &&
        !file_of(how->fd))
        return -EBADF;
    for (node = all->next; node != all; node = next) {
        next = node->next;
        struct operation *operation = LIST_ENTRY(node, struct operation, node);
        if (!is_named(operation, canceller))
            continue;
        int rc = cancel(operation);
        if (!cancels_all(how))
            return rc;
        count += rc != -ENOENT;
    }
    return cancels_all(how) ? count : -ENOENT;
}
