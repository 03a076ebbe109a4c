// Without liburing's header there is no ring.

#include <errno.h>

#include "kernel/real.h"

int real_ring_open(unsigned entries, struct ring **ret_ring)
{
    (void)entries;
    (void)ret_ring;
    return -ENOSYS;
}

void real_ring_close(struct ring *ring, bool abandon)
{
    (void)ring;
    (void)abandon;
}

struct io_uring_sqe *real_ring_next(struct ring *ring)
{
    (void)ring;
    return NULL;
}

int real_ring_enter(struct ring *ring, int64_t deadline)
{
    (void)ring;
    (void)deadline;
    return -ENOSYS;
}

unsigned real_ring_take(struct ring *ring, struct io_uring_cqe *ret_ends, unsigned count)
{
    (void)ring;
    (void)ret_ends;
    (void)count;
    return 0;
}

int real_ring_descriptor(struct ring *ring)
{
    (void)ring;
    return -ENOSYS;
}

int real_ring_buffers(struct ring *ring, unsigned group, unsigned count)
{
    (void)ring;
    (void)group;
    (void)count;
    return -ENOSYS;
}

void real_ring_give(struct ring *ring, unsigned group, unsigned id, void *buffer, size_t size)
{
    (void)ring;
    (void)group;
    (void)id;
    (void)buffer;
    (void)size;
}
