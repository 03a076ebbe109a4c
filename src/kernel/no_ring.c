// Without liburing's header there is no ring.

#include <errno.h>

#include "kernel/real.h"

int real_ring_open(unsigned entries, struct ring **ret_ring)
{
    (void)entries;
    (void)ret_ring;
    return -ENOSYS;
}

void real_ring_close(struct ring *self, bool abandon)
{
    (void)self;
    (void)abandon;
}

struct io_uring_sqe *real_ring_next(struct ring *self)
{
    (void)self;
    return NULL;
}

int real_ring_enter(struct ring *self, int64_t deadline)
{
    (void)self;
    (void)deadline;
    return -ENOSYS;
}

unsigned real_ring_take(struct ring *self, struct io_uring_cqe *ret_ends, unsigned count)
{
    (void)self;
    (void)ret_ends;
    (void)count;
    return 0;
}

int real_ring_descriptor(struct ring *self)
{
    (void)self;
    return -ENOSYS;
}

int real_ring_buffers(struct ring *self, unsigned number, unsigned count)
{
    (void)self;
    (void)number;
    (void)count;
    return -ENOSYS;
}

void real_ring_give(struct ring *self, unsigned number, unsigned id, void *buffer, size_t size)
{
    (void)self;
    (void)number;
    (void)id;
    (void)buffer;
    (void)size;
}
