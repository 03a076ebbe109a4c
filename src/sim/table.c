// The kernel table of the simulated kernel. Each call that a book has is a line of the trace.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "kernel/calls_print.h"
#include "sim/file.h"
#include "sim/ring.h"
#include "sim/socket.h"

// ---- The trace --------------------------------------------------------------------------------

static void tell(int64_t result, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(int64_t result, const char *format, ...)
{
    char call[200], outcome[40];
    va_list arguments;
    if (!world.trace)
        return;
    va_start(arguments, format);
    (void)vsnprintf(call, sizeof call, format, arguments);
    va_end(arguments);
    if (result < 0)
        (void)snprintf(outcome, sizeof outcome, "%s", strerrorname_np((int)-result));
    else
        (void)snprintf(outcome, sizeof outcome, "%d", (int)result);
    world_trace("%-12s %s = %s", world.running ? world.running->name : "", call, outcome);
}

// The same with the bytes that were moved.
static void tell_bytes(const char *call, int fd, const struct msghdr *message, ssize_t n)
{
    char bytes[120];
    struct text text;
    if (!world.trace)
        return;
    if (n < 0) {
        tell(n, "%s(%d, %zu)", call, fd, message_size(message));
        return;
    }
    text_init(&text, bytes, sizeof bytes);
    calls_print_pieces(&text, message, (size_t)n);
    world_trace("%-12s %s(%d, %zu) = %zd%s%s", world.running ? world.running->name : "", call, fd,
                message_size(message), n, n ? "  " : "", n ? bytes : "");
}

static const char *print(const struct sockaddr *address, socklen_t size, char *text, size_t room)
{
    struct place place;
    text[0] = '\0';
    if (address && place_read(address, size, address->sa_family, &place) == 0 &&
        (address->sa_family == AF_INET || address->sa_family == AF_INET6))
        return place_print(&place, text, room);
    return "unix";
}

// ---- Sockets ----------------------------------------------------------------------------------

static int sim_socket(int family, int type, int protocol)
{
    int fd = socket_open(family, type, protocol);
    tell(fd, "socket(%d, %d)", family, type);
    return fd;
}

static int sim_socketpair(int family, int type, int ret_fds[2])
{
    int rc = socket_pair(family, type, ret_fds);
    tell(rc, "socketpair(%d, %d)", family, type);
    return rc;
}

static int sim_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    char text[64];
    int rc = socket_bind(fd, address, size);
    tell(rc, "bind(%d, %s)", fd, print(address, size, text, sizeof text));
    return rc;
}

static int sim_listen(int fd, int backlog)
{
    int rc = socket_listen(fd, backlog);
    tell(rc, "listen(%d, %d)", fd, backlog);
    return rc;
}

static int sim_accept(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    int rc = socket_accept(fd, ret_peer, size);
    if (rc != -EAGAIN)
        tell(rc, "accept(%d)", fd);
    return rc;
}

static int sim_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    char text[64];
    int rc = socket_connect(fd, address, size);
    tell(rc, "connect(%d, %s)", fd, print(address, size, text, sizeof text));
    return rc;
}

static int sim_getsockname(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    return socket_name(fd, false, ret_address, size);
}

static int sim_getpeername(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    return socket_name(fd, true, ret_address, size);
}

static bool is_interrupted(void)
{
    return world.running && world.running->bears_faults && world_chance(world.faults.interrupt);
}

static ssize_t sim_recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t n = is_interrupted() ? -EINTR : socket_receive(fd, message, flags);
    if (n != -EAGAIN)
        tell_bytes("recv", fd, message, n);
    return n;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of recvfrom(2)
static ssize_t sim_recvfrom(int fd, void *into, size_t size, int flags, struct sockaddr *ret_peer,
                            socklen_t *peer_size)
{
    struct iovec piece = {.iov_base = into, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    message.msg_name = ret_peer;
    message.msg_namelen = ret_peer ? *peer_size : 0;
    ssize_t n = sim_recvmsg(fd, &message, flags);
    if (n >= 0 && ret_peer)
        *peer_size = message.msg_namelen;
    return n;
}

static ssize_t sim_recv(int fd, void *into, size_t size, int flags)
{
    return sim_recvfrom(fd, into, size, flags, NULL, NULL);
}

static ssize_t sim_sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t n = is_interrupted() ? -EINTR : socket_send(fd, message, flags);
    tell_bytes("send", fd, message, n);
    return n;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of sendto(2)
static ssize_t sim_sendto(int fd, const void *from, size_t size, int flags,
                          const struct sockaddr *peer, socklen_t peer_size)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)from, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    message.msg_name = (void *)(uintptr_t)peer;
    message.msg_namelen = peer_size;
    return sim_sendmsg(fd, &message, flags);
}

static ssize_t sim_send(int fd, const void *from, size_t size, int flags)
{
    return sim_sendto(fd, from, size, flags, NULL, 0);
}

static ssize_t sim_sendfile(int fd, int file, off_t *offset, size_t count)
{
    ssize_t n = socket_sendfile(fd, file, offset, count);
    tell(n, "sendfile(%d, %zu)", fd, count);
    return n;
}

static int sim_shutdown(int fd, int how)
{
    static const char *const names[] = {"SHUT_RD", "SHUT_WR", "SHUT_RDWR"};
    int rc = socket_shutdown(fd, how);
    tell(rc, "shutdown(%d, %s)", fd, how >= 0 && how <= 2 ? names[how] : "?");
    return rc;
}

static int sim_interface(const char *name)
{
    return !strcmp(name, "lo") || !strcmp(name, "eth0") ? 1 : -ENODEV;
}

// ---- Descriptors and files --------------------------------------------------------------------

static int sim_close(int fd)
{
    int rc = file_close(fd);
    if (fd < SIM_FILES_MAX)
        tell(rc, "close(%d)", fd);
    return rc;
}

static int sim_set_flags(int fd)
{
    return file_of(fd) ? 0 : -EBADF;
}

static int64_t sim_descriptor_limit(void)
{
    return 1024;
}

static int64_t sim_process_limit(void)
{
    return INT32_MAX;
}

static int sim_ring_open(unsigned entries, struct ring **ret_ring)
{
    int rc = ring_make(entries, ret_ring);
    if (rc < 0)
        tell(rc, "io_uring_setup(%u)", entries);
    return rc;
}

// ---- Processes --------------------------------------------------------------------------------

// There is only one: what needs another is told so, in words that the caller knows.
static int sim_fork(void)
{
    return -ENOSYS;
}

static int sim_pidfd_open(int pid)
{
    (void)pid;
    return -ENOSYS;
}

static int sim_reap(int pidfd, int *ret_status)
{
    (void)pidfd;
    *ret_status = 0;
    return -ECHILD;
}

static int sim_kill(int pidfd, int signal)
{
    (void)pidfd;
    (void)signal;
    return -ESRCH;
}

static void sim_kill_and_reap(int pid)
{
    (void)pid;
}

static void sim_exit_child(int status)
{
    world_fail("a child process ends with %d, and there are none", status);
}

static int sim_getpid(void)
{
    return world.running ? world.running->pid : 1;
}

static int sim_getppid(void)
{
    return 1;
}

static int sim_processors(void)
{
    return 1;
}

static int sim_sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    (void)how;
    (void)set;
    if (ret_old)
        (void)sigemptyset(ret_old);
    return 0;
}

// ---- Time -------------------------------------------------------------------------------------

static int64_t sim_now(void)
{
    return world.now;
}

// ---- Stacks are the machine's own, and so is how their overflow is told ------------------------

static void *sim_map(size_t size, bool shared)
{
    return kernel_real.map(size, shared);
}

static void sim_unmap(void *memory, size_t size)
{
    kernel_real.unmap(memory, size);
}

static int sim_guard(void *memory, size_t size)
{
    return kernel_real.guard(memory, size);
}

static int sim_protect(void *memory, size_t size)
{
    return kernel_real.protect(memory, size);
}

static int sim_give_back(void *memory, size_t size)
{
    return kernel_real.give_back(memory, size);
}

static ssize_t sim_write(int fd, const void *from, size_t size)
{
    return fd == 2 ? kernel_real.write(fd, from, size) : number_write(fd, from, size);
}

const struct kernel_ops sim_table = {
    .socket = sim_socket,
    .socketpair = sim_socketpair,
    .bind = sim_bind,
    .listen = sim_listen,
    .accept = sim_accept,
    .connect = sim_connect,
    .getsockname = sim_getsockname,
    .getpeername = sim_getpeername,
    .recv = sim_recv,
    .recvfrom = sim_recvfrom,
    .recvmsg = sim_recvmsg,
    .send = sim_send,
    .sendto = sim_sendto,
    .sendmsg = sim_sendmsg,
    .sendfile = sim_sendfile,
    .shutdown = sim_shutdown,
    .setsockopt = option_set,
    .getsockopt = option_get,
    .interface = sim_interface,
    .close = sim_close,
    .dup = file_dup,
    .read = number_read,
    .write = sim_write,
    .set_flags = sim_set_flags,
    .lock_file = local_lock_file,
    .same_file = local_same_file,
    .socket_file = local_socket_file,
    .unlink = local_unlink,
    .descriptor_limit = sim_descriptor_limit,
    .process_limit = sim_process_limit,
    .ppoll = poll_ppoll,
    .epoll_create = epoll_make,
    .epoll_ctl = epoll_control,
    .epoll_wait = epoll_look,
    .eventfd = number_eventfd,
    .timerfd = number_timerfd,
    .timerfd_set = number_timerfd_set,
    .ring_open = sim_ring_open,
    .ring_close = ring_end,
    .ring_next = ring_next_entry,
    .ring_enter = ring_hand_over,
    .ring_take = ring_take_ends,
    .ring_descriptor = ring_descriptor,
    .ring_buffers = ring_make_group,
    .ring_give = ring_give_buffer,
    .fork = sim_fork,
    .pidfd_open = sim_pidfd_open,
    .reap = sim_reap,
    .kill = sim_kill,
    .kill_and_reap = sim_kill_and_reap,
    .getpid = sim_getpid,
    .getppid = sim_getppid,
    .exit_child = sim_exit_child,
    .processors = sim_processors,
    .thread_start = program_thread_start,
    .cond_wait = program_cond_wait,
    .cond_signal = program_cond_signal,
    .sigaction = program_sigaction,
    .sigprocmask = sim_sigprocmask,
    .now = sim_now,
    .now_coarse = sim_now,
    .random = world_random,
    .allocate = world_allocate,
    .reallocate = world_reallocate,
    .release = world_free,
    .map = sim_map,
    .unmap = sim_unmap,
    .guard = sim_guard,
    .protect = sim_protect,
    .give_back = sim_give_back,
    .resolve = name_lookup,
    .resolve_free = name_free,
};
