// The table of the system itself. Each member is the system call of its name; what differs is said
// in kernel.h. The members live in real_socket.c, real_file.c, real_wait.c, real_process.c,
// real_limits.c, real_memory.c and real_ring.c; the shortest are here.

#include "kernel/real.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

// Without getrandom (a strict seccomp filter), the 16 random bytes that the kernel gives every
// process at its start have to do, turned over by the clock. They lie anywhere.
static uint64_t weak_random(void)
{
    uint64_t start[2];
    // NOLINTNEXTLINE(performance-no-int-to-ptr): that is how the kernel hands it over.
    const void *given = (const void *)getauxval(AT_RANDOM); // it is there: the C library needs it
    memcpy(start, given, sizeof start);
    uint64_t x = (uint64_t)real_now() * 0x9e3779b97f4a7c15u;
    x = (x ^ start[0]) * 0xbf58476d1ce4e5b9u ^ start[1];
    x = (x ^ x >> 30) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t real_random(void)
{
    uint64_t x;
    ssize_t n;
    do
        n = getrandom(&x, sizeof x, 0);
    while (n < 0 && errno == EINTR); // unreached: only before the system has gathered any chance
    return n == (ssize_t)sizeof x ? x : weak_random();
}

static int real_resolve(const char *name, const char *service, const struct addrinfo *hints,
                        struct addrinfo **ret_list)
{
    return getaddrinfo(name, service, hints, ret_list);
}

static void real_resolve_free(struct addrinfo *list)
{
    if (list)
        freeaddrinfo(list);
}

static int real_name_of(const struct sockaddr *address, socklen_t size, char *ret_name,
                        size_t name_size)
{
    return getnameinfo(address, size, ret_name, (socklen_t)name_size, NULL, 0, NI_NAMEREQD);
}

const struct kernel_ops kernel_real = {
    .socket = real_socket,
    .socketpair = real_socketpair,
    .bind = real_bind,
    .listen = real_listen,
    .accept = real_accept,
    .connect = real_connect,
    .getsockname = real_getsockname,
    .getpeername = real_getpeername,
    .recv = real_recv,
    .recvfrom = real_recvfrom,
    .recvmsg = real_recvmsg,
    .send = real_send,
    .sendto = real_sendto,
    .sendmsg = real_sendmsg,
    .sendfile = real_sendfile,
    .shutdown = real_shutdown,
    .setsockopt = real_setsockopt,
    .getsockopt = real_getsockopt,
    .interface = real_interface,

    .close = real_close,
    .dup = real_dup,
    .read = real_read,
    .write = real_write,
    .set_flags = real_set_flags,
    .lock_file = real_lock_file,
    .same_file = real_same_file,
    .socket_file = real_socket_file,
    .unlink = real_unlink,
    .descriptor_limit = real_descriptor_limit,
    .process_limit = real_process_limit,

    .ppoll = real_ppoll,
    .epoll_create = real_epoll_create,
    .epoll_ctl = real_epoll_ctl,
    .epoll_wait = real_epoll_wait,
    .eventfd = real_eventfd,
    .timerfd = real_timerfd,
    .timerfd_set = real_timerfd_set,

    .ring_open = real_ring_open,
    .ring_close = real_ring_close,
    .ring_next = real_ring_next,
    .ring_enter = real_ring_enter,
    .ring_take = real_ring_take,
    .ring_descriptor = real_ring_descriptor,
    .ring_buffers = real_ring_buffers,
    .ring_give = real_ring_give,

    .fork = real_fork,
    .pidfd_open = real_pidfd_open,
    .reap = real_reap,
    .kill = real_kill,
    .kill_and_reap = real_kill_and_reap,
    .getpid = real_getpid,
    .getppid = real_getppid,
    .exit_child = real_exit_child,
    .processors = real_processors,
    .thread_start = real_thread_start,
    .cond_wait = real_cond_wait,
    .cond_signal = real_cond_signal,
    .sigaction = real_sigaction,
    .sigprocmask = real_sigprocmask,

    .now = real_now,
    .now_coarse = real_now_coarse,
    .random = real_random,
    .allocate = real_allocate,
    .reallocate = real_reallocate,
    .release = real_release,
    .map = real_map,
    .unmap = real_unmap,
    .guard = real_guard,
    .protect = real_protect,
    .give_back = real_give_back,

    .resolve = real_resolve,
    .resolve_free = real_resolve_free,
    .name_of = real_name_of,
};
