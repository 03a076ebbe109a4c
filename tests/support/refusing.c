// With MATRIX_REFUSE="CALL FILE" in the environment: a kernel that refuses a call when it is told to.
//
// As long as FILE is there, CALL (a member of the table) fails with the error whose name is the file's
// first line. A dot is added to the file for each refusal, so that a test can wait for one, and see
// that nobody asks again and again. A caller who was to be accepted is lost only by ECONNABORTED.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/kernel.h"

static struct kernel_ops table;
static const struct kernel_ops *behind;
static char path[512];

static int error_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } errors[] = {
        {"EMFILE", EMFILE},   {"ENFILE", ENFILE},     {"ENOMEM", ENOMEM},
        {"ENOBUFS", ENOBUFS}, {"EAGAIN", EAGAIN},     {"ECONNABORTED", ECONNABORTED},
        {"EPROTO", EPROTO},   {"EPERM", EPERM},       {"EINTR", EINTR},
        {"ENOSPC", ENOSPC},   {"ENETDOWN", ENETDOWN}, {"ENOSYS", ENOSYS},
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strncmp(name, errors[i].name, strlen(errors[i].name)))
            return errors[i].number;
    abort();
}

// 0, or the negative errno to fail with.
static int find_refusal(void)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    return n > 0 ? -error_number(text) : 0;
}

static void count_refusal(void)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, ".", 1);
    (void)close(fd);
}

static int refusal(void)
{
    int rc = find_refusal();
    if (rc < 0)
        count_refusal();
    return rc;
}

static int refuse_accept(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    int rc = find_refusal();
    if (rc == 0)
        return behind->accept(fd, ret_peer, size);
    if (rc == -ECONNABORTED) {
        int gone = behind->accept(fd, ret_peer, size);
        if (gone < 0)
            return gone;
        (void)close(gone);
    }
    count_refusal();
    return rc;
}

static ssize_t refuse_recv(int fd, void *into, size_t size, int flags)
{
    int rc = refusal();
    return rc < 0 ? rc : behind->recv(fd, into, size, flags);
}

static ssize_t refuse_send(int fd, const void *from, size_t size, int flags)
{
    int rc = refusal();
    return rc < 0 ? rc : behind->send(fd, from, size, flags);
}

static int refuse_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    int rc = operation == EPOLL_CTL_ADD ? refusal() : 0;
    return rc < 0 ? rc : behind->epoll_ctl(epoll, operation, fd, event);
}

static int refuse_eventfd(void)
{
    int rc = refusal();
    return rc < 0 ? rc : behind->eventfd();
}

static int refuse_ring_open(unsigned entries, struct ring **ret_ring)
{
    int rc = refusal();
    return rc < 0 ? rc : behind->ring_open(entries, ret_ring);
}

static int refuse_ring_enter(struct ring *ring, int64_t deadline)
{
    int rc = refusal();
    return rc < 0 ? rc : behind->ring_enter(ring, deadline);
}

static int refuse_fork(void)
{
    int rc = refusal();
    return rc < 0 ? rc : behind->fork();
}

static int refuse_pidfd_open(int pid)
{
    int rc = refusal();
    return rc < 0 ? rc : behind->pidfd_open(pid);
}

static int refuse_thread_start(void (*run)(void *arg), void *arg, size_t stack_size)
{
    int rc = refusal();
    return rc < 0 ? rc : behind->thread_start(run, arg, stack_size);
}

static void *refuse_allocate(size_t size)
{
    return refusal() < 0 ? NULL : behind->allocate(size);
}

static int take_call(const char *name, size_t length)
{
    if (!strncmp(name, "accept", length))
        table.accept = refuse_accept;
    else if (!strncmp(name, "recv", length))
        table.recv = refuse_recv;
    else if (!strncmp(name, "send", length))
        table.send = refuse_send;
    else if (!strncmp(name, "epoll_ctl", length))
        table.epoll_ctl = refuse_epoll_ctl;
    else if (!strncmp(name, "eventfd", length))
        table.eventfd = refuse_eventfd;
    else if (!strncmp(name, "ring_open", length))
        table.ring_open = refuse_ring_open;
    else if (!strncmp(name, "ring_enter", length))
        table.ring_enter = refuse_ring_enter;
    else if (!strncmp(name, "fork", length))
        table.fork = refuse_fork;
    else if (!strncmp(name, "pidfd_open", length))
        table.pidfd_open = refuse_pidfd_open;
    else if (!strncmp(name, "thread_start", length))
        table.thread_start = refuse_thread_start;
    else if (!strncmp(name, "allocate", length))
        table.allocate = refuse_allocate;
    else
        return -1;
    return 0;
}

__attribute__((constructor)) static void put_in_front(void)
{
    const char *call = getenv("MATRIX_REFUSE");
    const char *blank = call ? strchr(call, ' ') : NULL;
    if (!blank)
        return;
    behind = kernel;
    table = *kernel;
    (void)snprintf(path, sizeof path, "%s", blank + 1);
    if (take_call(call, (size_t)(blank - call)) < 0)
        abort();
    kernel = &table;
}
