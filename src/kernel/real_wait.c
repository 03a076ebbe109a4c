// Clock and waiting. Deadlines are points of CLOCK_MONOTONIC; the system wants spans.

#include "kernel/real.h"

#include <errno.h>
#include <limits.h>
#include <linux/time_types.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "kernel/trap.h"

#define SECOND 1000000000
#define MILLISECOND 1000000

// Linux before 5.11, and containers whose filter does not know the call, have no epoll_pwait2.
static atomic_bool no_epoll_pwait2;

int64_t real_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

// Nanoseconds from now to the deadline, at least 0. Most waits of a busy loop have the deadline 0
// ("look, do not wait"), which costs no look at the clock.
int64_t real_span_until(int64_t deadline)
{
    if (deadline <= 0)
        return 0;
    int64_t now = real_now();
    return deadline > now ? deadline - now : 0;
}

int real_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    struct timespec span, *timeout = NULL;
    if (deadline != INT64_MAX) {
        int64_t left = real_span_until(deadline);
        span = (struct timespec){.tv_sec = left / SECOND, .tv_nsec = left % SECOND};
        timeout = &span;
    }
    int n = ppoll(fds, count, timeout, NULL);
    return n >= 0 ? n : -errno;
}

int real_epoll_create(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd >= 0 ? real_lift(fd) : -errno;
}

int real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    return (int)kernel_trap(SYS_epoll_ctl, epoll, operation, fd, (long)event, 0, 0);
}

// Rounded up, so that nobody wakes before the deadline and turns in circles until it.
static int wait_in_milliseconds(int epoll, struct epoll_event *events, int count, int64_t deadline)
{
    int timeout = -1;
    if (deadline != INT64_MAX) {
        int64_t left = real_span_until(deadline);
        int64_t ms = left / MILLISECOND + (left % MILLISECOND != 0);
        timeout = ms < INT_MAX ? (int)ms : INT_MAX;
    }
    int n = epoll_wait(epoll, events, count, timeout);
    return n >= 0 ? n : -errno;
}

int real_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t deadline)
{
    if (atomic_load_explicit(&no_epoll_pwait2, memory_order_relaxed))
        return wait_in_milliseconds(epoll, events, count, deadline);

    struct __kernel_timespec span, *timeout = NULL;
    if (deadline != INT64_MAX) {
        int64_t left = real_span_until(deadline);
        span = (struct __kernel_timespec){.tv_sec = left / SECOND, .tv_nsec = left % SECOND};
        timeout = &span;
    }
    long n = kernel_trap(SYS_epoll_pwait2, epoll, (long)events, count, (long)timeout, 0, 0);
    if (n != -ENOSYS && n != -EPERM)
        return (int)n;
    atomic_store_explicit(&no_epoll_pwait2, true, memory_order_relaxed);
    return wait_in_milliseconds(epoll, events, count, deadline);
}

int real_eventfd(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd >= 0 ? real_lift(fd) : -errno;
}

int real_timerfd(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return fd >= 0 ? real_lift(fd) : -errno;
}

// All zeroes disarm a timer, so a deadline in the far past becomes the first nanosecond.
int real_timerfd_set(int fd, int64_t deadline)
{
    struct itimerspec timer = {0};
    if (deadline != INT64_MAX) {
        if (deadline < 1)
            deadline = 1;
        timer.it_value.tv_sec = deadline / SECOND;
        timer.it_value.tv_nsec = deadline % SECOND;
    }
    int n = timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL);
    return n >= 0 ? n : -errno;
}

int64_t real_now_coarse(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
