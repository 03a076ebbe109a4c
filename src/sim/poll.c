// ppoll: those who wait are told by a watch on each descriptor.

#include <errno.h>

#include "sim/file.h"

enum { WATCHES_FEW = 16 };

static int look(struct pollfd *fds, nfds_t count)
{
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        struct file *file = file_of(fds[i].fd);
        unsigned wanted = (unsigned)fds[i].events | POLLERR | POLLHUP;
        unsigned events = file ? file_poll(file) & wanted : POLLNVAL;
        if (fds[i].fd < 0)
            events = 0;
        fds[i].revents = (short)events;
        ready += events != 0;
    }
    return ready;
}

static void add_watches(struct watch *watches, const struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        struct file *file = file_of(fds[i].fd);
        watches[i] = (struct watch){.program = world.running, .events = (unsigned)fds[i].events};
        if (file)
            list_append(&file->watches, &watches[i].node);
    }
}

// Waits until one of them may be ready. False at the deadline.
static bool wait_for_any(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    struct watch few[WATCHES_FEW];
    struct watch *watches = count <= WATCHES_FEW ? few : world_give(count * sizeof *watches);
    struct program *self = world.running;
    add_watches(watches, fds, count);
    self->fds = fds;
    self->fd_count = count;
    bool in_time = program_wait("ppoll", deadline);
    self->fds = NULL;
    self->fd_count = 0;
    for (nfds_t i = 0; i < count; i++)
        list_remove(&watches[i].node);
    if (watches != few)
        world_take_back(watches);
    return in_time;
}

// An event that is none: poll(2) says that there may be such.
static int invent(struct pollfd *fds, nfds_t count)
{
    struct pollfd *fd = &fds[world_below(count)];
    if (!world_chance(world.faults.spurious) || !file_of(fd->fd) || !(fd->events & POLLIN))
        return 0;
    fd->revents = POLLIN;
    return 1;
}

int poll_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    bool waits = deadline > world.now;
    if (waits && world_chance(world.faults.interrupt))
        return -EINTR;
    int ready = look(fds, count);
    if (ready || !waits) {
        program_look();
        return look(fds, count);
    }
    ready = invent(fds, count);
    bool in_time = true;
    while (!ready && in_time) {
        in_time = wait_for_any(fds, count, deadline);
        ready = look(fds, count);
        if (!ready && world.running->interrupted)
            return -EINTR;
    }
    return ready;
}
