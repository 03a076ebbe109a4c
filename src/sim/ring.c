// The queues of a simulated ring.

#include "sim/ring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

// An end for which there was no room.
struct late_end {
    struct list node;
    struct io_uring_cqe cqe;
};

static struct ring_file *ring_of(struct ring *ring)
{
    struct ring_file *file = LIST_ENTRY(ring, struct ring_file, ring);
    if (world.running && file->file.owner != world.running)
        world_fail("%s uses the ring of %s: a ring belongs to the thread that made it",
                   world.running->name, file->file.owner->name);
    return file;
}

static struct ring_file *ring_of_file(const struct file *file)
{
    return LIST_ENTRY((struct file *)(uintptr_t)file, struct ring_file, file);
}

// ---- The file ---------------------------------------------------------------------------------

static unsigned poll_ring(struct file *file)
{
    const struct ring_file *ring = ring_of_file(file);
    return ring->cq_count || !list_is_empty(&ring->due) ? EPOLLIN : 0;
}

static void close_ring(struct file *file)
{
    struct ring_file *ring = ring_of_file(file);
    struct list *node;
    while (!list_is_empty(&ring->operations))
        operation_drop(LIST_ENTRY(ring->operations.next, struct operation, node));
    while ((node = list_take(&ring->overflow)))
        world_release(LIST_ENTRY(node, struct late_end, node));
    for (int i = 0; i < RING_GROUPS; i++)
        world_release(ring->groups[i].buffers);
    world_release(ring->sqes);
    world_release(ring->cqes);
    world_release(ring);
}

static void describe_ring(const struct file *file, char *ret_text, size_t size)
{
    (void)file;
    (void)snprintf(ret_text, size, "io_uring");
}

static const struct file_ops ring_ops = {"io_uring", poll_ring, close_ring, describe_ring};

void ring_describe_wait(const struct file *file, char *ret_text, size_t size)
{
    const struct ring_file *ring = ring_of_file(file);
    struct text text;
    text_init(&text, ret_text, size);
    for (struct list *node = ring->operations.next; node != &ring->operations; node = node->next) {
        const struct operation *operation = LIST_ENTRY(node, struct operation, node);
        char what[200] = "";
        if (operation->file && operation->sqe.fd >= SIM_FILES_MAX)
            continue;
        if (operation->file)
            operation->file->ops->describe(operation->file, what, sizeof what);
        text_addf(&text, "%s%s %d (%s)", text.length ? ", " : "", operation_name(operation),
                  operation->sqe.fd, what);
    }
    if (text.length == 0)
        text_add(&text, "another task");
}

int ring_make(unsigned entries, struct ring **ret_ring)
{
    if (entries == 0 || (entries & (entries - 1)) != 0 || entries > 4096)
        world_fail("a ring of %u operations, which is no power of two", entries);
    if (world.running->bears_faults && world_chance(world.faults.no_memory))
        return -ENOMEM;
    struct ring_file *ring = world_take(sizeof *ring);
    int fd = file_open(&ring->file, &ring_ops, true);
    if (fd < 0) {
        world_release(ring);
        return fd;
    }
    ring->ring.fd = fd;
    ring->entries = entries;
    ring->cq_room = RING_ENDS_PER_ENTRY * entries;
    ring->sqes = world_take(entries * sizeof *ring->sqes);
    ring->cqes = world_take(ring->cq_room * sizeof *ring->cqes);
    list_init(&ring->overflow);
    list_init(&ring->operations);
    list_init(&ring->due);
    *ret_ring = &ring->ring;
    return 0;
}

void ring_end(struct ring *ring, bool abandon)
{
    (void)abandon; // there are no processes
    if (ring)
        (void)file_close(ring_of(ring)->file.fd);
}

// At the end of the run, before the files that are held open.
void ring_end_all(void)
{
    for (struct list *node = world.all_files.next; node != &world.all_files; node = node->next) {
        struct file *file = LIST_ENTRY(node, struct file, node);
        if (file->ops != &ring_ops)
            continue;
        struct ring_file *ring = ring_of_file(file);
        while (!list_is_empty(&ring->operations)) {
            struct operation *operation = LIST_ENTRY(ring->operations.next, struct operation, node);
            list_remove(&operation->watch.node);
            operation->file = NULL; // it goes with all the others
            operation_drop(operation);
        }
    }
}

// ---- Ends -------------------------------------------------------------------------------------

static void trace_end(const struct operation *operation, int result, unsigned flags)
{
    char outcome[40];
    if (!world.trace)
        return;
    if (result < 0)
        (void)snprintf(outcome, sizeof outcome, "%s", strerrorname_np(-result));
    else
        (void)snprintf(outcome, sizeof outcome, "%d", result);
    world_trace("%-12s ring: %s(%d) = %s%s", operation->ring->file.owner->name,
                operation_name(operation), operation->sqe.fd, outcome,
                flags & IORING_CQE_F_MORE ? ", and more" : "");
}

static void put_end(struct ring_file *ring, const struct io_uring_cqe *cqe)
{
    ring->cqes[(ring->cq_first + ring->cq_count++) % ring->cq_room] = *cqe;
}

// Linux keeps ends that find no room, but tells no more of an operation that has many.
bool operation_tell(struct operation *operation, int result, unsigned flags)
{
    struct ring_file *ring = operation->ring;
    const struct io_uring_cqe cqe = {
        .user_data = operation->sqe.user_data, .res = result, .flags = flags};
    bool is_full = ring->cq_count == ring->cq_room || !list_is_empty(&ring->overflow);
    if (is_full && flags & IORING_CQE_F_MORE)
        return false;
    trace_end(operation, result, flags);
    if (is_full) {
        struct late_end *late = world_take(sizeof *late);
        late->cqe = cqe;
        list_append(&ring->overflow, &late->node);
    } else {
        put_end(ring, &cqe);
    }
    return true;
}

void operation_end(struct operation *operation, int result, unsigned flags)
{
    if (result < 0 || !(operation->sqe.flags & IOSQE_CQE_SKIP_SUCCESS))
        (void)operation_tell(operation, result, flags);
    operation_drop(operation);
}

void operation_drop(struct operation *operation)
{
    list_remove(&operation->node);
    list_remove(&operation->due);
    list_remove(&operation->watch.node);
    timers_remove(&world.timers, &operation->timer);
    if (operation->file)
        file_release(operation->file);
    if (operation->message)
        world_release(operation->message);
    world_release(operation);
}

// ---- When an operation is carried out -----------------------------------------------------------

static void become_due(struct operation *operation)
{
    struct ring_file *ring = operation->ring;
    list_append(&ring->due, &operation->due);
    if (ring->waiter)
        program_wake(ring->waiter);
    file_wake(&ring->file, EPOLLIN);
}

static void is_due_now(struct timer *timer)
{
    become_due(LIST_ENTRY(timer, struct operation, timer));
}

void operation_is_due(struct operation *operation, int64_t delay)
{
    if (list_is_linked(&operation->due) || timer_is_set(&operation->timer))
        return;
    if (delay == 0) {
        become_due(operation);
        return;
    }
    operation->timer.at = world.now + delay;
    operation->timer.expired = is_due_now;
    timers_add(&world.timers, &operation->timer);
}

static int64_t draw_delay(void)
{
    return world_chance(world.faults.ring_late) ? world_between(1000, 2 * SIM_MS) : 0;
}

void operation_wake(struct operation *operation)
{
    operation_is_due(operation, draw_delay());
}

static struct operation *draw_due(struct ring_file *ring)
{
    uint64_t count = 0, index;
    struct list *node;
    for (node = ring->due.next; node != &ring->due; node = node->next)
        count++;
    index = world.faults.ring_late ? world_below(count) : 0;
    for (node = ring->due.next; index > 0; index--)
        node = node->next;
    return LIST_ENTRY(node, struct operation, due);
}

static void carry_out_due(struct ring_file *ring)
{
    while (!list_is_empty(&ring->due)) {
        struct operation *operation = draw_due(ring);
        list_remove(&operation->due);
        (void)operation_carry_out(operation);
    }
}

static void begin_operation(struct ring_file *ring, const struct io_uring_sqe *sqe)
{
    struct operation *operation = world_take(sizeof *operation);
    operation->ring = ring;
    operation->sqe = *sqe;
    operation->watch.operation = operation;
    list_append(&ring->operations, &operation->node);
    int rc = operation_begin(operation);
    if (rc < 0)
        operation_end(operation, rc, 0);
    else
        operation_is_due(operation, draw_delay());
}

// Linux tries what is handed over first, and then what was woken meanwhile.
static void begin_all(struct ring_file *ring)
{
    struct list woken, *node;
    list_init(&woken);
    while ((node = list_take(&ring->due)))
        list_append(&woken, node);
    for (unsigned i = 0; i < ring->filled; i++)
        begin_operation(ring, &ring->sqes[i]);
    ring->filled = 0;
    while ((node = list_take(&woken)))
        list_append(&ring->due, node);
}

// ---- Entering ---------------------------------------------------------------------------------

struct io_uring_sqe *ring_next_entry(struct ring *self)
{
    struct ring_file *ring = ring_of(self);
    if (ring->filled == ring->entries)
        return NULL;
    struct io_uring_sqe *sqe = &ring->sqes[ring->filled++];
    memset(sqe, 0xa5, sizeof *sqe); // what was there before is nobody's
    return sqe;
}

static void make_room(struct ring_file *ring)
{
    while (ring->cq_count < ring->cq_room && !list_is_empty(&ring->overflow)) {
        struct late_end *late = LIST_ENTRY(list_take(&ring->overflow), struct late_end, node);
        put_end(ring, &late->cqe);
        world_release(late);
    }
}

static void wait_for_ends(struct ring_file *ring, int64_t deadline)
{
    bool in_time = true;
    while (ring->cq_count == 0 && in_time) {
        ring->waiter = world.running;
        world.running->epoll = ring->file.fd;
        in_time = program_wait("io_uring_enter", deadline);
        world.running->epoll = -1;
        ring->waiter = NULL;
        carry_out_due(ring);
    }
}

int ring_hand_over(struct ring *self, int64_t deadline)
{
    struct ring_file *ring = ring_of(self);
    if (ring->cq_count > 0 && ring->filled == 0)
        return (int)ring->cq_count; // no call at all
    make_room(ring);
    begin_all(ring);
    carry_out_due(ring);
    bool waits = deadline > world.now && ring->cq_count == 0;
    if (waits && world_chance(world.faults.interrupt))
        return -EINTR;
    if (waits) {
        wait_for_ends(ring, deadline);
    } else {
        program_look();
        carry_out_due(ring);
    }
    return (int)ring->cq_count;
}

unsigned ring_take_ends(struct ring *self, struct io_uring_cqe *ret_ends, unsigned count)
{
    struct ring_file *ring = ring_of(self);
    if (count > ring->cq_count)
        count = ring->cq_count;
    for (unsigned i = 0; i < count; i++)
        ret_ends[i] = ring->cqes[(ring->cq_first + i) % ring->cq_room];
    ring->cq_first = (ring->cq_first + count) % ring->cq_room;
    ring->cq_count -= count;
    return count;
}

int ring_descriptor(struct ring *self)
{
    return ring_of(self)->file.fd;
}

// ---- Buffers ----------------------------------------------------------------------------------

int ring_make_group(struct ring *self, unsigned number, unsigned count)
{
    struct ring_file *ring = ring_of(self);
    bool is_power = count > 0 && (count & (count - 1)) == 0 && count <= 32768;
    if (number >= RING_GROUPS || ring->groups[number].buffers || !is_power)
        return -EINVAL;
    ring->groups[number].buffers = world_take(count * sizeof(struct ring_buffer));
    ring->groups[number].count = count;
    return 0;
}

void ring_give_buffer(struct ring *self, unsigned number, unsigned id, void *buffer, size_t size)
{
    struct ring_file *ring = ring_of(self);
    struct ring_group *group = &ring->groups[number];
    if (number >= RING_GROUPS || group->filled == group->count)
        world_fail("%s gives a buffer to group %u, where there is no room", ring->file.owner->name,
                   number);
    for (unsigned i = 0; i < group->filled; i++)
        if (group->buffers[(group->first + i) % group->count].id == id)
            world_fail("%s gives buffer %u to group %u, where it is already",
                       ring->file.owner->name, id, number);
    group->buffers[(group->first + group->filled++) % group->count] =
        (struct ring_buffer){buffer, (unsigned)size, id};
}
