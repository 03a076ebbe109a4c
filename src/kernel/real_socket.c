// Sockets. Every new one is non-blocking and close-on-exec, no send raises SIGPIPE, and none of
// the calls that are made for each message waits.

#include "kernel/real.h"

#include <errno.h>
#include <net/if.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#include "kernel/trap.h"

// A program that was given a copy of a socket can make it block for us, too: O_NONBLOCK belongs to
// the open file, which both have. So each call says it for itself (recv(2), send(2)).
enum { RECEIVE = MSG_DONTWAIT, SEND = MSG_DONTWAIT | MSG_NOSIGNAL };

int real_socket(int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    return fd >= 0 ? fd : -errno;
}

int real_socketpair(int family, int type, int ret_fds[2])
{
    int n = socketpair(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_fds);
    return n >= 0 ? n : -errno;
}

int real_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int n = bind(fd, address, size);
    return n >= 0 ? n : -errno;
}

int real_listen(int fd, int backlog)
{
    int n = listen(fd, backlog);
    return n >= 0 ? n : -errno;
}

int real_accept(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    return (int)kernel_trap(SYS_accept4, fd, (long)ret_peer, (long)size,
                            SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0);
}

int real_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int n = connect(fd, address, size);
    return n >= 0 ? n : -errno;
}

int real_getsockname(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    int n = getsockname(fd, ret_address, size);
    return n >= 0 ? n : -errno;
}

int real_getpeername(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    int n = getpeername(fd, ret_address, size);
    return n >= 0 ? n : -errno;
}

ssize_t real_recv(int fd, void *into, size_t size, int flags)
{
    return kernel_trap(SYS_recvfrom, fd, (long)into, (long)size, flags | RECEIVE, 0, 0);
}

// NOLINTNEXTLINE(readability-function-size): the parameters of recvfrom(2)
ssize_t real_recvfrom(int fd, void *into, size_t size, int flags, struct sockaddr *ret_peer,
                      socklen_t *peer_size)
{
    return kernel_trap(SYS_recvfrom, fd, (long)into, (long)size, flags | RECEIVE, (long)ret_peer,
                       (long)peer_size);
}

ssize_t real_recvmsg(int fd, struct msghdr *message, int flags)
{
    return kernel_trap(SYS_recvmsg, fd, (long)message, flags | MSG_CMSG_CLOEXEC | RECEIVE, 0, 0, 0);
}

ssize_t real_send(int fd, const void *from, size_t size, int flags)
{
    return kernel_trap(SYS_sendto, fd, (long)from, (long)size, flags | SEND, 0, 0);
}

// NOLINTNEXTLINE(readability-function-size): the parameters of sendto(2)
ssize_t real_sendto(int fd, const void *from, size_t size, int flags, const struct sockaddr *peer,
                    socklen_t peer_size)
{
    return kernel_trap(SYS_sendto, fd, (long)from, (long)size, flags | SEND, (long)peer, peer_size);
}

ssize_t real_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return kernel_trap(SYS_sendmsg, fd, (long)message, flags | SEND, 0, 0, 0);
}

ssize_t real_sendfile(int fd, int file, off_t *offset, size_t count)
{
    struct sigpipe_guard guard;
    real_hold_sigpipe(&guard);
    ssize_t n = sendfile(fd, file, offset, count);
    n = n >= 0 ? n : -errno;
    real_release_sigpipe(&guard, n == -EPIPE);
    return n;
}

int real_shutdown(int fd, int how)
{
    int n = shutdown(fd, how);
    return n >= 0 ? n : -errno;
}

int real_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    int n = setsockopt(fd, level, name, value, size);
    return n >= 0 ? n : -errno;
}

int real_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *size)
{
    int n = getsockopt(fd, level, name, ret_value, size);
    return n >= 0 ? n : -errno;
}

int real_interface(const char *name)
{
    unsigned number = if_nametoindex(name);
    return number > 0 ? (int)number : -ENODEV;
}
