// io_uring. Of liburing this takes the header, for the layout that it shares with the kernel; the three
// system calls are made here. So nobody who links this library needs liburing, whose library of
// Debian 12 leaves out two calls that a restricted ring must make.

#include "kernel/real.h"

#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kernel/trap.h"

enum { GROUPS = 4, ENDS_PER_ENTRY = 4 };

struct group {
    struct io_uring_buf_ring *buffers; // shared with the kernel
    size_t size;                       // of that memory
    unsigned count;
};

struct real_ring {
    struct ring ring;
    void *memory; // of both queues
    size_t memory_size;
    // Operations.
    struct io_uring_sqe *sqes;
    size_t sqes_size;
    unsigned entries;
    unsigned filled;   // the number of the next one
    unsigned *sq_head; // moved by the kernel
    unsigned *sq_tail, *flags;
    // Their ends.
    struct io_uring_cqe *cqes;
    unsigned cq_mask;
    unsigned *cq_head;
    unsigned *cq_tail; // moved by the kernel
    struct group groups[GROUPS];
    int event_fd; // -1: nobody has asked for it
};

static struct real_ring *real_of(struct ring *ring)
{
    return (struct real_ring *)ring;
}

static int do_register(int fd, unsigned operation, void *what, unsigned count)
{
    return (int)kernel_trap(SYS_io_uring_register, fd, operation, (long)what, count, 0, 0);
}

// ---- Opening ----------------------------------------------------------------------------------

// SINGLE_ISSUER came with 6.0, together with the last of the operations that are used: a kernel that
// does not take it is too old. DEFER_TASKRUN, one version younger, saves 2 % of an echo.
static int set_up(unsigned entries, struct io_uring_params *ret_params)
{
    const unsigned usual = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
                           IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    const unsigned ways[] = {usual | IORING_SETUP_DEFER_TASKRUN, usual | IORING_SETUP_COOP_TASKRUN};
    int fd = -EINVAL;
    for (size_t i = 0; i < 2 && fd == -EINVAL; i++) {
        *ret_params =
            (struct io_uring_params){.flags = ways[i], .cq_entries = ENDS_PER_ENTRY * entries};
        fd = (int)kernel_trap(SYS_io_uring_setup, entries, (long)ret_params, 0, 0, 0, 0);
    }
    if (fd == -EINVAL)
        return -ENOSYS;
    return fd < 0 ? fd : real_lift(fd);
}

// The child of a fork must not write into it: it has its own memory, or none, at that place.
static void *map_shared(size_t size, int fd, off_t offset)
{
    int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, offset);
    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, size, MADV_DONTFORK);
    return memory;
}

static unsigned *word_at(const struct real_ring *ring, unsigned offset)
{
    return (unsigned *)((char *)ring->memory + offset);
}

static size_t larger(size_t one, size_t other)
{
    return one > other ? one : other;
}

static int map_queues(struct real_ring *ring, const struct io_uring_params *params)
{
    const struct io_sqring_offsets *sq = &params->sq_off;
    const struct io_cqring_offsets *cq = &params->cq_off;
    ring->memory_size = larger(sq->array + params->sq_entries * sizeof(unsigned),
                               cq->cqes + params->cq_entries * sizeof(struct io_uring_cqe));
    ring->memory = map_shared(ring->memory_size, ring->ring.fd, (off_t)IORING_OFF_SQ_RING);
    ring->sqes_size = params->sq_entries * sizeof(struct io_uring_sqe);
    ring->sqes = map_shared(ring->sqes_size, ring->ring.fd, (off_t)IORING_OFF_SQES);
    if (!ring->memory || !ring->sqes)
        return -ENOMEM;
    ring->entries = params->sq_entries;
    ring->sq_head = word_at(ring, sq->head);
    ring->sq_tail = word_at(ring, sq->tail);
    ring->cq_head = word_at(ring, cq->head);
    ring->cq_tail = word_at(ring, cq->tail);
    ring->cq_mask = params->cq_entries - 1;
    ring->cqes = (struct io_uring_cqe *)(void *)word_at(ring, cq->cqes);
    // The kernel is told numbers of operations; ours come in their order.
    for (unsigned i = 0; i < params->sq_entries; i++)
        word_at(ring, sq->array)[i] = i;
    return 0;
}

static int restrict_and_enable(int fd)
{
    static const uint8_t operations[] = {
        IORING_OP_NOP,         IORING_OP_ACCEPT,       IORING_OP_RECV,    IORING_OP_RECVMSG,
        IORING_OP_SEND,        IORING_OP_SENDMSG,      IORING_OP_CONNECT, IORING_OP_POLL_ADD,
        IORING_OP_POLL_REMOVE, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE};
    struct io_uring_restriction all[sizeof operations + 4] = {
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
         .sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_PBUF_RING},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_SYNC_CANCEL},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_EVENTFD}};
    for (size_t i = 0; i < sizeof operations; i++) {
        all[4 + i].opcode = IORING_RESTRICTION_SQE_OP;
        all[4 + i].sqe_op = operations[i];
    }
    int rc = do_register(fd, IORING_REGISTER_RESTRICTIONS, all, sizeof operations + 4);
    return rc < 0 ? rc : do_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

// A ring that was made may be refused its use: by a filter of system calls, or by a security module.
static int try_it(struct ring *ring)
{
    struct io_uring_cqe end;
    io_uring_prep_nop(real_ring_next(ring));
    int rc;
    do
        rc = real_ring_enter(ring, INT64_MAX);
    while (rc == -EINTR);
    return rc < 0 ? rc : real_ring_take(ring, &end, 1) == 1 ? end.res : -EIO;
}

static void free_ring(struct real_ring *ring, bool is_mapped)
{
    for (size_t i = 0; is_mapped && i < GROUPS; i++)
        if (ring->groups[i].buffers)
            (void)munmap(ring->groups[i].buffers, ring->groups[i].size);
    if (is_mapped && ring->memory)
        (void)munmap(ring->memory, ring->memory_size);
    if (is_mapped && ring->sqes)
        (void)munmap(ring->sqes, ring->sqes_size);
    if (ring->event_fd >= 0)
        (void)real_close(ring->event_fd);
    (void)real_close(ring->ring.fd);
    real_release(ring);
}

int real_ring_open(unsigned entries, struct ring **ret_ring)
{
    struct io_uring_params params;
    struct real_ring *ring = real_allocate(sizeof *ring);
    if (!ring)
        return -ENOMEM;
    ring->event_fd = -1;
    int rc = ring->ring.fd = set_up(entries, &params);
    if (rc < 0) {
        real_release(ring);
        return rc;
    }
    rc = map_queues(ring, &params);
    if (rc == 0)
        rc = restrict_and_enable(ring->ring.fd);
    if (rc == 0)
        rc = try_it(&ring->ring);
    if (rc < 0)
        free_ring(ring, true);
    else
        *ret_ring = &ring->ring;
    return rc;
}

// The close(2) of a ring returns before its operations have ended; so they are cancelled first. Those
// that wait for a descriptor end in the next call that enters.
static void cancel_all(const struct real_ring *ring)
{
    struct io_uring_sync_cancel_reg all = {
        .fd = -1,
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = {.tv_sec = -1, .tv_nsec = -1},
    };
    (void)do_register(ring->ring.fd, IORING_REGISTER_SYNC_CANCEL, &all, 1);
    (void)kernel_trap(SYS_io_uring_enter, ring->ring.fd, 0, 0, IORING_ENTER_GETEVENTS, 0, 0);
}

void real_ring_close(struct ring *self, bool abandon)
{
    struct real_ring *ring = real_of(self);
    if (!ring)
        return;
    if (!abandon)
        cancel_all(ring);
    free_ring(ring, !abandon);
}

// ---- Operations and their ends ----------------------------------------------------------------

struct io_uring_sqe *real_ring_next(struct ring *self)
{
    struct real_ring *ring = real_of(self);
    unsigned head = io_uring_smp_load_acquire(ring->sq_head);
    if (ring->filled - head == ring->entries)
        return NULL;
    return &ring->sqes[ring->filled++ & (ring->entries - 1)];
}

static unsigned count_ends(const struct real_ring *ring)
{
    return io_uring_smp_load_acquire(ring->cq_tail) - *ring->cq_head;
}

static int enter(struct real_ring *ring, unsigned handed, bool waits, int64_t left)
{
    struct __kernel_timespec span = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    struct io_uring_getevents_arg more = {.ts = left < INT64_MAX ? (uintptr_t)&span : 0};
    unsigned flags = IORING_ENTER_GETEVENTS | (waits ? IORING_ENTER_EXT_ARG : 0);
    return (int)kernel_trap(SYS_io_uring_enter, ring->ring.fd, handed, waits, flags,
                            waits ? (long)&more : 0, waits ? (long)sizeof more : 0);
}

static void forget_event(const struct real_ring *ring)
{
    uint64_t count;
    if (ring->event_fd >= 0)
        (void)real_read(ring->event_fd, &count, sizeof count);
}

int real_ring_enter(struct ring *self, int64_t deadline)
{
    struct real_ring *ring = real_of(self);
    unsigned handed = ring->filled - *ring->sq_head, ends = count_ends(ring);
    int64_t left = deadline == INT64_MAX ? INT64_MAX : real_span_until(deadline);
    bool waits = ends == 0 && left > 0;
    if (ends > 0 && handed == 0)
        return (int)ends;
    io_uring_smp_store_release(ring->sq_tail, ring->filled);
    forget_event(ring); // before: what happens from now on is another one
    int n = enter(ring, handed, waits, left);
    ends = count_ends(ring);
    if (ends > 0)
        return (int)ends;
    if (n < 0)
        return n == -ETIME ? 0 : n;
    // It tells how many it has taken, and not why it waited no longer.
    return !waits || (deadline != INT64_MAX && real_span_until(deadline) == 0) ? 0 : -EINTR;
}

unsigned real_ring_take(struct ring *self, struct io_uring_cqe *ret_ends, unsigned count)
{
    struct real_ring *ring = real_of(self);
    unsigned head = *ring->cq_head, there = count_ends(ring);
    if (count > there)
        count = there;
    for (unsigned i = 0; i < count; i++)
        ret_ends[i] = ring->cqes[(head + i) & ring->cq_mask];
    io_uring_smp_store_release(ring->cq_head, head + count);
    return count;
}

// The kernel writes to it when an operation has ended, and when there is something that was deferred. What
// happened before it was made is told by a write of our own.
int real_ring_descriptor(struct ring *self)
{
    const uint64_t one = 1;
    struct real_ring *ring = real_of(self);
    if (ring->event_fd >= 0)
        return ring->event_fd;
    int fd = real_eventfd();
    if (fd < 0)
        return fd;
    int rc = do_register(ring->ring.fd, IORING_REGISTER_EVENTFD, &fd, 1);
    if (rc < 0) {
        (void)real_close(fd);
        return rc;
    }
    (void)real_write(fd, &one, sizeof one);
    return ring->event_fd = fd;
}

// ---- Buffers ----------------------------------------------------------------------------------

int real_ring_buffers(struct ring *self, unsigned number, unsigned count)
{
    struct real_ring *ring = real_of(self);
    if (number >= GROUPS || ring->groups[number].buffers)
        return -EINVAL;
    struct group group = {.count = count, .size = count * sizeof(struct io_uring_buf)};
    group.buffers = map_shared(group.size, -1, 0);
    if (!group.buffers)
        return -ENOMEM;
    struct io_uring_buf_reg all = {
        .ring_addr = (uintptr_t)group.buffers, .ring_entries = count, .bgid = (uint16_t)number};
    int rc = do_register(ring->ring.fd, IORING_REGISTER_PBUF_RING, &all, 1);
    if (rc < 0)
        (void)munmap(group.buffers, group.size);
    else
        ring->groups[number] = group;
    return rc;
}

void real_ring_give(struct ring *self, unsigned number, unsigned id, void *buffer, size_t size)
{
    const struct group *group = &real_of(self)->groups[number];
    io_uring_buf_ring_add(group->buffers, buffer, (unsigned)size, (unsigned short)id,
                          (int)group->count - 1, 0);
    io_uring_buf_ring_advance(group->buffers, 1);
}
