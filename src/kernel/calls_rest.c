// The calls that are in no book: what the library asks of a socket, and its own waiting. Clock,
// chance and memory are not among them: they would drown all others.

#include <string.h>
#include <sys/epoll.h>

#include "kernel/calls_line.h"

static int tell_getsockname(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->getsockname(fd, ret_address, size);
    calls_line_tell(&line, rc, "getsockname(%d)", fd);
    return rc;
}

static int tell_getpeername(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->getpeername(fd, ret_address, size);
    calls_line_tell(&line, rc, "getpeername(%d)", fd);
    return rc;
}

static int tell_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *size)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->getsockopt(fd, level, name, ret_value, size);
    calls_line_tell(&line, rc, "getsockopt(%d, %d:%d)", fd, level, name);
    return rc;
}

static int tell_dup(int fd)
{
    struct call_line line;
    calls_line_begin(&line);
    int copy = calls_behind->dup(fd);
    calls_line_yield(copy);
    calls_line_tell(&line, copy, "dup(%d)", fd);
    return copy;
}

static ssize_t tell_read(int fd, void *into, size_t size)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->read(fd, into, size);
    calls_line_tell(&line, n, "read(%d)", fd);
    return n;
}

static ssize_t tell_write(int fd, const void *from, size_t size)
{
    struct call_line line;
    calls_line_begin(&line);
    ssize_t n = calls_behind->write(fd, from, size);
    calls_line_tell(&line, n, "write(%d, %zu)", fd, size);
    return n;
}

static int tell_unlink(const char *path)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->unlink(path);
    calls_line_end(&line);
    text_add(&line.text, "unlink(");
    text_escape(&line.text, path, strlen(path));
    text_add(&line.text, ")");
    calls_line_result(&line, rc);
    calls_line_write(&line);
    return rc;
}

// ---- Waiting ----------------------------------------------------------------------------------

// For waits, whose 0 is a number, too: nothing has happened.
static void tell_events(struct call_line *line, int count, const char *name, int about)
{
    calls_line_end(line);
    text_addf(&line->text, "%s(%d)", name, about);
    calls_line_count(line, count);
    calls_line_write(line);
}

static int tell_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    struct call_line line;
    calls_line_begin(&line);
    int n = calls_behind->ppoll(fds, count, deadline);
    calls_line_end(&line);
    text_add(&line.text, "poll(");
    for (nfds_t i = 0; i < count; i++)
        text_addf(&line.text, i ? ", %d" : "%d", fds[i].fd);
    text_add(&line.text, ")");
    calls_line_count(&line, n);
    calls_line_write(&line);
    return n;
}

static int tell_epoll_create(void)
{
    struct call_line line;
    calls_line_begin(&line);
    int fd = calls_behind->epoll_create();
    calls_line_tell(&line, fd, "epoll_create()");
    return fd;
}

static int tell_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    static const char *const words[] = {
        [EPOLL_CTL_ADD] = "ADD", [EPOLL_CTL_DEL] = "DEL", [EPOLL_CTL_MOD] = "MOD"};
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->epoll_ctl(epoll, operation, fd, event);
    calls_line_tell(&line, rc, "epoll_ctl(%d, EPOLL_CTL_%s, %d)", epoll, words[operation], fd);
    return rc;
}

static int tell_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t deadline)
{
    struct call_line line;
    calls_line_begin(&line);
    int n = calls_behind->epoll_wait(epoll, events, count, deadline);
    tell_events(&line, n, "epoll_wait", epoll);
    return n;
}

static int tell_ring_open(unsigned entries, struct ring **ret_ring)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->ring_open(entries, ret_ring);
    calls_line_tell(&line, rc < 0 ? rc : (*ret_ring)->fd, "io_uring_setup(%u)", entries);
    return rc;
}

static void tell_ring_close(struct ring *ring, bool abandon)
{
    struct call_line line;
    int fd = ring ? ring->fd : -1;
    calls_line_begin(&line);
    calls_behind->ring_close(ring, abandon);
    calls_line_tell(&line, 0, "close(%d)", fd);
}

static int tell_ring_enter(struct ring *ring, int64_t deadline)
{
    struct call_line line;
    calls_line_begin(&line);
    int n = calls_behind->ring_enter(ring, deadline);
    tell_events(&line, n, "io_uring_enter", ring->fd);
    return n;
}

static int tell_ring_descriptor(struct ring *ring)
{
    struct call_line line;
    calls_line_begin(&line);
    int fd = calls_behind->ring_descriptor(ring);
    calls_line_tell(&line, fd, "io_uring_register(%d, EVENTFD)", ring->fd);
    return fd;
}

static int tell_ring_buffers(struct ring *ring, unsigned group, unsigned count)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->ring_buffers(ring, group, count);
    calls_line_tell(&line, rc, "io_uring_register(%d, PBUF_RING %u, %u)", ring->fd, group, count);
    return rc;
}

static int tell_eventfd(void)
{
    struct call_line line;
    calls_line_begin(&line);
    int fd = calls_behind->eventfd();
    calls_line_tell(&line, fd, "eventfd()");
    return fd;
}

static int tell_timerfd(void)
{
    struct call_line line;
    calls_line_begin(&line);
    int fd = calls_behind->timerfd();
    calls_line_tell(&line, fd, "timerfd_create()");
    return fd;
}

static int tell_timerfd_set(int fd, int64_t deadline)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->timerfd_set(fd, deadline);
    calls_line_tell(&line, rc, "timerfd_settime(%d)", fd);
    return rc;
}

static int tell_pidfd_open(int pid)
{
    struct call_line line;
    calls_line_begin(&line);
    int fd = calls_behind->pidfd_open(pid);
    calls_line_tell(&line, fd, "pidfd_open(%d)", pid);
    return fd;
}

static int tell_kill(int pidfd, int signal)
{
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->kill(pidfd, signal);
    calls_line_tell(&line, rc, "pidfd_send_signal(%d, %d)", pidfd, signal);
    return rc;
}

void calls_show_rest(struct kernel_ops *table)
{
    table->getsockname = tell_getsockname;
    table->getpeername = tell_getpeername;
    table->getsockopt = tell_getsockopt;
    table->dup = tell_dup;
    table->read = tell_read;
    table->write = tell_write;
    table->unlink = tell_unlink;
    table->ppoll = tell_ppoll;
    table->epoll_create = tell_epoll_create;
    table->epoll_ctl = tell_epoll_ctl;
    table->epoll_wait = tell_epoll_wait;
    table->ring_open = tell_ring_open;
    table->ring_close = tell_ring_close;
    table->ring_enter = tell_ring_enter;
    table->ring_descriptor = tell_ring_descriptor;
    table->ring_buffers = tell_ring_buffers;
    table->eventfd = tell_eventfd;
    table->timerfd = tell_timerfd;
    table->timerfd_set = tell_timerfd_set;
    table->pidfd_open = tell_pidfd_open;
    table->kill = tell_kill;
}
