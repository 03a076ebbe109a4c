// The backend `epoll`: one registration per endpoint, made at its first wait.
//
// TCP connections are edge-triggered: the kernel need not look again, after each event, whether it
// still holds. A call is always tried before it waits, but for one: a recv after one that got less
// than it asked for. For TCP that means that all was taken, unless an end or an urgent byte follows;
// of these events tell (EPOLLRDHUP, EPOLLPRI), and the endpoint is marked. Nothing else promises as
// much (a recv on a Unix socket stops where descriptors were passed) and is level-triggered.
//
// A registration stays as long as its events find somebody who waits; an event that finds nobody
// takes it back. So a handler that reads, writes and reads costs no epoll_ctl at all.
//
// Events carry the slot and the generation of their endpoint, never a pointer: they may be stale.
// Mostly that is harmless (the endpoint was closed while its event lay in the same batch). But when
// another process holds a copy of a closed descriptor, its registration lives on, can no longer be
// removed, and fires for ever. Then the whole epoll instance is made anew.

#include <errno.h>

#include "kernel/kernel.h"
#include "wait/backend.h"

enum { EVENTS_MAX = 256, UNCLAIMED_MAX = 4 };

#define WAKE_MARK UINT64_MAX
#define TIMER_MARK (UINT64_MAX - 1)
#define NO_SLOT UINT32_MAX

struct epoll {
    int fd;
    int timer_fd;            // for foreign loops, as is the next; -1 until asked for
    int outer_fd;            // an epoll instance with just this one, since `fd` may change
    unsigned stale_polls;    // polls in a row that found a stale event
    struct endpoint **slots; // NULL: free
    uint32_t slot_count;
    uint32_t next_free; // where to look for a free slot first
    struct epoll_event events[EVENTS_MAX];
};

static int add_mark(int epoll_fd, int fd, uint64_t mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = mark};
    return kernel->epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int epoll_open(struct loop *loop)
{
    struct epoll *epoll = kernel->allocate(sizeof *epoll);
    if (!epoll)
        return -ENOMEM;
    epoll->timer_fd = epoll->outer_fd = -1;
    epoll->fd = kernel->epoll_create();
    int rc = epoll->fd;
    if (rc < 0)
        goto release;
    rc = add_mark(epoll->fd, loop->wake_fd, WAKE_MARK);
    if (rc < 0)
        goto close;
    loop->private = epoll;
    return 0;

close:
    (void)kernel->close(epoll->fd);
release:
    kernel->release(epoll);
    return rc;
}

static void epoll_close(struct loop *loop, bool abandon)
{
    (void)abandon; // closing our copies changes nothing for the parent
    struct epoll *epoll = loop->private;
    (void)kernel->close(epoll->fd);
    if (epoll->timer_fd >= 0)
        (void)kernel->close(epoll->timer_fd);
    if (epoll->outer_fd >= 0)
        (void)kernel->close(epoll->outer_fd);
    kernel->release(epoll->slots);
    kernel->release(epoll);
}

// ---- Registrations ----------------------------------------------------------------------------

static int grow_slots(struct epoll *epoll)
{
    uint32_t count = epoll->slot_count ? epoll->slot_count * 2 : 16;
    struct endpoint **slots = kernel->reallocate(epoll->slots, count * sizeof(void *));
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = epoll->slot_count; i < count; i++)
        slots[i] = NULL;
    epoll->next_free = epoll->slot_count;
    epoll->slots = slots;
    epoll->slot_count = count;
    return 0;
}

// The slot that was freed last most often is the one; else the next one that is free.
static uint32_t find_free_slot(const struct epoll *epoll)
{
    for (uint32_t tries = 0; tries < epoll->slot_count; tries++) {
        uint32_t slot = (epoll->next_free + tries) % epoll->slot_count;
        if (!epoll->slots[slot])
            return slot;
    }
    return NO_SLOT;
}

static int take_slot(struct epoll *epoll, struct endpoint *endpoint)
{
    uint32_t slot = find_free_slot(epoll);
    if (slot == NO_SLOT) {
        int rc = grow_slots(epoll);
        if (rc < 0)
            return rc;
        slot = epoll->next_free;
    }
    epoll->slots[slot] = endpoint;
    epoll->next_free = slot + 1;
    endpoint->slot = slot;
    return 0;
}

static struct epoll_event event_of(const struct endpoint *endpoint, uint32_t interest)
{
    uint64_t mark = (uint64_t)endpoint->generation << 32 | endpoint->slot;
    if (endpoint->shared)
        interest |= EPOLLEXCLUSIVE;
    if (endpoint->is_tcp)
        interest |= EPOLLET | EPOLLRDHUP | EPOLLPRI;
    return (struct epoll_event){.events = interest, .data.u64 = mark};
}

static int register_endpoint(struct epoll *epoll, struct endpoint *endpoint, uint32_t interest)
{
    int rc = take_slot(epoll, endpoint);
    if (rc < 0)
        return rc;
    struct epoll_event event = event_of(endpoint, interest);
    rc = kernel->epoll_ctl(epoll->fd, EPOLL_CTL_ADD, endpoint->fd, &event);
    if (rc == -EEXIST) { // left behind by a copy of an earlier descriptor of this number
        // One that is shared cannot be modified (epoll_ctl(2), EINVAL).
        (void)kernel->epoll_ctl(epoll->fd, EPOLL_CTL_DEL, endpoint->fd, &event);
        rc = kernel->epoll_ctl(epoll->fd, EPOLL_CTL_ADD, endpoint->fd, &event);
    }
    if (rc < 0) {
        epoll->slots[endpoint->slot] = NULL;
        return rc;
    }
    endpoint->interest = (uint8_t)interest;
    return 0;
}

static void forget_slot(struct epoll *epoll, struct endpoint *endpoint)
{
    epoll->slots[endpoint->slot] = NULL;
    epoll->next_free = endpoint->slot;
    endpoint->interest = 0;
}

static void unregister_endpoint(struct epoll *epoll, struct endpoint *endpoint)
{
    struct epoll_event event = {0};
    (void)kernel->epoll_ctl(epoll->fd, EPOLL_CTL_DEL, endpoint->fd, &event);
    forget_slot(epoll, endpoint);
}

static int set_interest(struct epoll *epoll, struct endpoint *endpoint, uint32_t interest)
{
    if (endpoint->interest == interest)
        return 0;
    if (!endpoint->interest)
        return register_endpoint(epoll, endpoint, interest);
    struct epoll_event event = event_of(endpoint, interest);
    int rc = kernel->epoll_ctl(epoll->fd, EPOLL_CTL_MOD, endpoint->fd, &event);
    if (rc == 0)
        endpoint->interest = (uint8_t)interest;
    return rc;
}

static uint32_t interest_of_calls(const struct endpoint *endpoint)
{
    return (endpoint->calls[WAIT_IN] ? (uint32_t)EPOLLIN : 0) |
           (endpoint->calls[WAIT_OUT] ? (uint32_t)EPOLLOUT : 0);
}

static ssize_t epoll_start(struct loop *loop, struct wait_call *call)
{
    ssize_t n = ready_try(loop, call);
    if (n != -EAGAIN)
        return n;
    call->endpoint->unclaimed = 0;
    uint32_t side = wait_side_of(call) == WAIT_IN ? EPOLLIN : EPOLLOUT;
    int rc = set_interest(loop->private, call->endpoint, call->endpoint->interest | side);
    return rc < 0 ? rc : BACKEND_WAITS;
}

static void epoll_cancel(struct loop *loop, struct wait_call *call, int why)
{
    // A shared listener must not take away the wake-ups of those who still wait for callers.
    if (call->endpoint->shared && call->endpoint->interest)
        unregister_endpoint(loop->private, call->endpoint);
    wait_complete(call, why);
}

static void epoll_release(struct loop *loop, struct endpoint *endpoint, bool closes)
{
    struct epoll *epoll = loop->private;
    if (!endpoint->interest)
        return;
    // close(2) takes the registration along, unless somebody has a copy: then it is stale, see renew.
    if (closes)
        forget_slot(epoll, endpoint);
    else
        unregister_endpoint(epoll, endpoint);
}

// ---- Events -----------------------------------------------------------------------------------

// Registers everything that lives with another epoll instance. 0, or a negative errno: not now.
static int copy_registrations(const struct loop *loop, const struct epoll *epoll, int to)
{
    int rc = add_mark(to, loop->wake_fd, WAKE_MARK);
    if (rc == 0 && epoll->timer_fd >= 0)
        rc = add_mark(to, epoll->timer_fd, TIMER_MARK);
    for (uint32_t slot = 0; slot < epoll->slot_count && rc == 0; slot++) {
        struct endpoint *endpoint = epoll->slots[slot];
        if (!endpoint)
            continue;
        struct epoll_event event = event_of(endpoint, endpoint->interest);
        rc = kernel->epoll_ctl(to, EPOLL_CTL_ADD, endpoint->fd, &event);
        if (rc < 0 && rc != -ENOSPC && rc != -ENOMEM) {
            endpoint->interest = 0; // its descriptor is gone: see end_lost
            rc = 0;
        }
    }
    return rc;
}

// Who waits on a descriptor that somebody else closed gets an error: better than to hang.
static void end_lost(struct epoll *epoll)
{
    for (uint32_t slot = 0; slot < epoll->slot_count; slot++) {
        struct endpoint *endpoint = epoll->slots[slot];
        if (!endpoint || endpoint->interest)
            continue;
        forget_slot(epoll, endpoint);
        wait_cancel_endpoint(endpoint, -EBADF);
    }
}

// Makes a new epoll instance with the registrations of all endpoints that live. When that cannot be
// done now, the next stale event tries it again: nobody may lose his registration by it.
static void renew(struct loop *loop, struct epoll *epoll)
{
    int fd = kernel->epoll_create();
    if (fd < 0)
        return;
    int rc = copy_registrations(loop, epoll, fd);
    if (rc == 0 && epoll->outer_fd >= 0)
        rc = add_mark(epoll->outer_fd, fd, 0);
    end_lost(epoll);
    if (rc < 0) {
        (void)kernel->close(fd);
        return;
    }
    struct epoll_event none = {0};
    if (epoll->outer_fd >= 0) // a copy of it in another process would keep it there
        (void)kernel->epoll_ctl(epoll->outer_fd, EPOLL_CTL_DEL, epoll->fd, &none);
    (void)kernel->close(epoll->fd);
    epoll->fd = fd;
}

static void dispatch(struct loop *loop, struct epoll *epoll, const struct epoll_event *event,
                     bool *ret_stale)
{
    uint64_t number;
    if (event->data.u64 == WAKE_MARK) {
        (void)kernel->read(loop->wake_fd, &number, sizeof number);
        return;
    }
    if (event->data.u64 == TIMER_MARK) {
        (void)kernel->read(epoll->timer_fd, &number, sizeof number);
        return;
    }
    uint32_t slot = (uint32_t)event->data.u64;
    uint32_t generation = (uint32_t)(event->data.u64 >> 32);
    struct endpoint *endpoint = slot < epoll->slot_count ? epoll->slots[slot] : NULL;
    if (!endpoint || endpoint->generation != generation) {
        *ret_stale = true;
        return;
    }

    if (event->events & (EPOLLRDHUP | EPOLLPRI | EPOLLERR | EPOLLHUP))
        endpoint->marked = true;
    // An error or a hang-up is for both sides: the try will tell.
    bool both = event->events & (EPOLLERR | EPOLLHUP);
    bool found = true;
    struct wait_call *out = both || (event->events & EPOLLOUT) ? endpoint->calls[WAIT_OUT] : NULL;
    if (event->events & EPOLLOUT && !out)
        found = false;
    if (out)
        (void)ready_signal(endpoint, WAIT_OUT);
    if (both || (event->events & EPOLLIN))
        found &= ready_signal(endpoint, WAIT_IN) || (both && out);
    // Nobody waits for this any more: without this the event would come again and again. (A call
    // with `done` may have ended the endpoint meanwhile; then its slot is another's or free.)
    if (found || epoll->slots[slot] != endpoint || endpoint->generation != generation)
        return;
    // Mostly somebody is about to: a few looks in vain cost less than two epoll_ctl.
    if (endpoint->is_tcp || ++endpoint->unclaimed < UNCLAIMED_MAX)
        return;
    uint32_t interest = interest_of_calls(endpoint);
    if (interest && !both)
        (void)set_interest(epoll, endpoint, interest);
    else if (!interest)
        unregister_endpoint(epoll, endpoint);
}

static void epoll_poll(struct loop *loop, int64_t deadline)
{
    struct epoll *epoll = loop->private;
    int count = kernel->epoll_wait(epoll->fd, epoll->events, EVENTS_MAX, deadline);
    bool stale = false;
    for (int i = 0; i < count; i++)
        dispatch(loop, epoll, &epoll->events[i], &stale);
    if (!stale) {
        epoll->stale_polls = 0;
        return;
    }
    // Once is the batch's own doing; twice in a row is a registration that outlived its endpoint.
    if (++epoll->stale_polls >= 2)
        renew(loop, epoll);
}

// Keeps a new descriptor if it could be registered; closes it otherwise.
static int keep_if(int rc, int fd, int *ret_fd)
{
    if (rc < 0)
        (void)kernel->close(fd);
    else
        *ret_fd = fd;
    return rc;
}

static int open_outer(struct epoll *epoll)
{
    int fd = kernel->epoll_create();
    return fd < 0 ? fd : keep_if(add_mark(fd, epoll->fd, 0), fd, &epoll->outer_fd);
}

static int open_timer(struct epoll *epoll)
{
    int fd = kernel->timerfd();
    return fd < 0 ? fd : keep_if(add_mark(epoll->fd, fd, TIMER_MARK), fd, &epoll->timer_fd);
}

static int epoll_descriptor(struct loop *loop)
{
    struct epoll *epoll = loop->private;
    int rc = epoll->timer_fd < 0 ? open_timer(epoll) : 0;
    if (rc == 0 && epoll->outer_fd < 0)
        rc = open_outer(epoll);
    if (rc == 0)
        rc = kernel->timerfd_set(epoll->timer_fd,
                                 loop->ready_count ? 0 : timers_next(&loop->timers));
    return rc < 0 ? rc : epoll->outer_fd;
}

const struct backend_ops backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .start = epoll_start,
    .cancel = epoll_cancel,
    .poll = epoll_poll,
    .release = epoll_release,
    .descriptor = epoll_descriptor,
};
