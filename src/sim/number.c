// Descriptors that are a number: eventfd and timerfd.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/file.h"

struct number_file {
    struct file file;
    uint64_t value;
    struct timer timer;
};

static unsigned poll_number(struct file *file)
{
    const struct number_file *number = (const struct number_file *)(const void *)file;
    return (number->value ? EPOLLIN : 0) | EPOLLOUT;
}

static void close_number(struct file *file)
{
    struct number_file *number = (struct number_file *)(void *)file;
    timers_remove(&world.timers, &number->timer);
    world_release(number);
}

static void describe_number(const struct file *file, char *ret_text, size_t size)
{
    (void)snprintf(ret_text, size, "%s", file->ops->name);
}

static const struct file_ops event_ops = {"eventfd", poll_number, close_number, describe_number};
static const struct file_ops timer_ops = {"timerfd", poll_number, close_number, describe_number};

static int open_number(const struct file_ops *ops)
{
    struct number_file *number = world_take(sizeof *number);
    int fd = file_open(&number->file, ops, true);
    if (fd < 0)
        world_release(number);
    return fd;
}

int number_eventfd(void)
{
    return open_number(&event_ops);
}

int number_timerfd(void)
{
    return open_number(&timer_ops);
}

static struct number_file *number_of(int fd)
{
    struct file *file = file_of(fd);
    if (!file || (file->ops != &event_ops && file->ops != &timer_ops))
        return NULL;
    return (struct number_file *)(void *)file;
}

static void timer_fires(struct timer *timer)
{
    struct number_file *number = LIST_ENTRY(timer, struct number_file, timer);
    number->value++;
    file_wake(&number->file, EPOLLIN);
}

int number_timerfd_set(int fd, int64_t deadline)
{
    struct number_file *number = number_of(fd);
    if (!number)
        return -EBADF;
    timers_remove(&world.timers, &number->timer);
    number->value = 0;
    number->timer.at = deadline;
    number->timer.expired = timer_fires;
    if (deadline <= world.now)
        timer_fires(&number->timer);
    else if (deadline != INT64_MAX)
        timers_add(&world.timers, &number->timer);
    return 0;
}

ssize_t number_read(int fd, void *into, size_t size)
{
    struct number_file *number = number_of(fd);
    if (!number)
        return -EBADF;
    if (size < sizeof number->value)
        return -EINVAL;
    if (number->value == 0)
        return -EAGAIN;
    memcpy(into, &number->value, sizeof number->value);
    number->value = 0;
    return (ssize_t)sizeof number->value;
}

ssize_t number_write(int fd, const void *from, size_t size)
{
    struct number_file *number = number_of(fd);
    uint64_t more;
    if (!number)
        return -EBADF;
    if (size < sizeof more || number->file.ops != &event_ops)
        return -EINVAL;
    memcpy(&more, from, sizeof more);
    if (more > UINT64_MAX - 1 - number->value)
        return more == UINT64_MAX ? -EINVAL : -EAGAIN;
    number->value += more;
    file_wake(&number->file, EPOLLIN);
    return (ssize_t)sizeof more;
}
