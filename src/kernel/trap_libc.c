// A system call by the C library: on other processors, and where sanitizers want to know of it.

#include "kernel/trap.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Sanitizers look at functions, not at numbers: who does not see that a descriptor was closed and is
// another one now takes two threads that use it for a race.
// NOLINTNEXTLINE(readability-function-size): as many parameters as a system call has
static long call_by_name(long number, long a, long b, long c, long d, long e, long f)
{
    int fd = (int)a;
    switch (number) {
    case SYS_close:
        return close(fd);
    case SYS_accept4:
        return accept4(fd, (struct sockaddr *)b, (socklen_t *)c, (int)d);
    case SYS_recvfrom:
        return recvfrom(fd, (void *)b, (size_t)c, (int)d, (struct sockaddr *)e, (socklen_t *)f);
    case SYS_sendto:
        return sendto(fd, (const void *)b, (size_t)c, (int)d, (const struct sockaddr *)e,
                      (socklen_t)f);
    case SYS_recvmsg:
        return recvmsg(fd, (struct msghdr *)b, (int)c);
    case SYS_sendmsg:
        return sendmsg(fd, (const struct msghdr *)b, (int)c);
    case SYS_epoll_ctl:
        return epoll_ctl(fd, (int)b, (int)c, (struct epoll_event *)d);
    default:
        return syscall(number, a, b, c, d, e, f);
    }
}

// NOLINTNEXTLINE(readability-function-size): as many parameters as a system call has
long kernel_trap(long number, long a, long b, long c, long d, long e, long f)
{
    long result = call_by_name(number, a, b, c, d, e, f);
    return result >= 0 ? result : -errno;
}
