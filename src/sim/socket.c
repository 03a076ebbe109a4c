// What all sockets share: from a descriptor to the kind of socket behind it.

#include "sim/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/sim.h"

// ---- Bytes ------------------------------------------------------------------------------------

void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->begin + bytes->size + size > bytes->room) {
        size_t room = bytes->room ? bytes->room : 512;
        while (room < bytes->size + size)
            room *= 2;
        char *moved = room > bytes->room ? world_take(room) : bytes->data;
        if (bytes->size)
            memmove(moved, bytes->data + bytes->begin, bytes->size);
        if (moved != bytes->data)
            world_release(bytes->data);
        bytes->data = moved;
        bytes->room = room;
        bytes->begin = 0;
    }
    if (size)
        memcpy(bytes->data + bytes->begin + bytes->size, data, size);
    bytes->size += size;
}

void bytes_skip(struct bytes *bytes, size_t size)
{
    bytes->size -= size;
    bytes->begin = bytes->size ? bytes->begin + size : 0;
}

void bytes_free(struct bytes *bytes)
{
    world_release(bytes->data);
    *bytes = (struct bytes){0};
}

// ---- Messages ---------------------------------------------------------------------------------

size_t message_size(const struct msghdr *message)
{
    size_t sum = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        sum += message->msg_iov[i].iov_len;
    return sum;
}

void message_gather(const struct msghdr *message, void *into, size_t size)
{
    char *at = into;
    for (size_t i = 0; size > 0; i++) {
        size_t part = message->msg_iov[i].iov_len < size ? message->msg_iov[i].iov_len : size;
        if (part)
            memcpy(at, message->msg_iov[i].iov_base, part);
        at += part;
        size -= part;
    }
}

void message_scatter(const struct msghdr *message, const void *data, size_t size)
{
    const char *at = data;
    for (size_t i = 0; i < message->msg_iovlen && size > 0; i++) {
        size_t part = message->msg_iov[i].iov_len < size ? message->msg_iov[i].iov_len : size;
        if (part)
            memcpy(message->msg_iov[i].iov_base, at, part);
        at += part;
        size -= part;
    }
}

// ---- The file ---------------------------------------------------------------------------------

static struct socket_file *socket_of_file(struct file *file)
{
    return (struct socket_file *)(void *)file;
}

static unsigned poll_socket(struct file *file)
{
    struct socket_file *socket = socket_of_file(file);
    return socket->ops->poll(socket) | (socket->error ? EPOLLERR : 0);
}

static void close_socket(struct file *file)
{
    struct socket_file *socket = socket_of_file(file);
    option_forget_all(socket);
    socket->ops->close(socket);
}

static void describe_socket(const struct file *file, char *ret_text, size_t size)
{
    const struct socket_file *socket = (const struct socket_file *)(const void *)file;
    char local[64] = "", peer[64] = "";
    if (socket->family != AF_UNIX && socket->is_bound)
        (void)place_print(&socket->local, local, sizeof local);
    if (socket->family != AF_UNIX && socket->is_connected)
        (void)place_print(&socket->peer, peer, sizeof peer);
    (void)snprintf(ret_text, size, "%s%s%s%s%s%s", socket->ops->name,
                   socket->listening ? " listening" : "", *local ? " " : "", local,
                   *peer ? " > " : "", peer);
}

const struct file_ops socket_file_ops = {"socket", poll_socket, close_socket, describe_socket};

struct socket_file *socket_new(struct host *host, int family, int type, int protocol)
{
    struct socket_file *socket = world_take(sizeof *socket);
    socket->host = host;
    socket->family = family;
    socket->type = type;
    socket->protocol = protocol;
    socket->send_room = socket->receive_room = (int)world.faults.buffer;
    socket->keep_idle = 7200 * SIM_SECOND;
    socket->keep_interval = 75 * SIM_SECOND;
    socket->keep_count = 9;
    list_init(&socket->queue);
    list_init(&socket->messages);
    list_init(&socket->options);
    socket->ops = family == AF_UNIX     ? &local_socket_ops
                  : type == SOCK_STREAM ? &tcp_socket_ops
                                        : &udp_socket_ops;
    return socket;
}

static int choose_protocol(int family, int type, int protocol)
{
    int usual = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    if (family == AF_UNIX)
        return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET
                   ? 0
                   : -ESOCKTNOSUPPORT;
    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    return protocol == 0 || protocol == usual ? usual : -EPROTONOSUPPORT;
}

int socket_open(int family, int type, int protocol)
{
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    protocol = choose_protocol(family, type, protocol);
    if (protocol < 0)
        return protocol;
    struct socket_file *socket = socket_new(world.running->host, family, type, protocol);
    int fd = file_open(&socket->file, &socket_file_ops, false);
    if (fd < 0)
        world_release(socket);
    return fd;
}

int socket_pair(int family, int type, int ret_fds[2])
{
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (family != AF_UNIX)
        return family == AF_INET || family == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
    int one = socket_open(family, type, 0);
    if (one < 0)
        return one;
    int other = socket_open(family, type, 0);
    if (other < 0) {
        (void)file_close(one);
        return other;
    }
    ret_fds[0] = one;
    ret_fds[1] = other;
    return local_pair(socket_of(one, NULL), socket_of(other, NULL));
}

struct socket_file *socket_of(int fd, int *ret_error)
{
    struct file *file = file_of(fd);
    if (file && file->ops == &socket_file_ops)
        return socket_of_file(file);
    if (ret_error)
        *ret_error = file ? -ENOTSOCK : -EBADF;
    return NULL;
}

int socket_take_error(struct socket_file *socket)
{
    int error = socket->error;
    socket->error = 0;
    return -error;
}

// ---- The calls --------------------------------------------------------------------------------

int socket_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    return socket ? socket->ops->bind(socket, address, size) : error;
}

int socket_listen(int fd, int backlog)
{
    int error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    if (!socket)
        return error;
    if (world.faults.backlog && backlog > world.faults.backlog)
        backlog = world.faults.backlog;
    return socket->ops->listen(socket, backlog < 0 ? 4096 : backlog);
}

// Descriptors that run out do not harm who waits: accept(2) needs one before it takes him.
static int accept_one(struct socket_file *listener, struct socket_file **ret_socket)
{
    if (!listener->listening && listener->type != SOCK_DGRAM)
        return -EINVAL;
    return listener->ops->accept(listener, ret_socket);
}

int socket_accept_caller(struct socket_file *listener, struct sockaddr *ret_peer, socklen_t *size)
{
    struct socket_file *accepted;
    int rc = accept_one(listener, &accepted);
    if (rc < 0)
        return rc;
    int new_fd = file_open(&accepted->file, &socket_file_ops, false);
    if (new_fd < 0)
        return new_fd; // it stays in the queue: see those that accept
    list_remove(&accepted->in_queue);
    listener->queued--;
    if (ret_peer)
        (void)accepted->ops->name_of(accepted, true, ret_peer, size);
    return new_fd;
}

int socket_accept(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    int error = 0;
    struct socket_file *listener = socket_of(fd, &error);
    return listener ? socket_accept_caller(listener, ret_peer, size) : error;
}

int socket_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    return socket ? socket->ops->connect(socket, address, size) : error;
}

int socket_shutdown(int fd, int how)
{
    int error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    if (!socket)
        return error;
    return how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : socket->ops->shutdown(socket, how);
}

int socket_name(int fd, bool peer, struct sockaddr *ret_address, socklen_t *size)
{
    int error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    return socket ? socket->ops->name_of(socket, peer, ret_address, size) : error;
}

size_t socket_part(size_t size)
{
    return size > 1 && world_chance(world.faults.partial) ? 1 + world_below(size) : size;
}

size_t socket_take_room(struct socket_file *socket, size_t size, size_t unsent, bool is_writable)
{
    if (socket->squeezed && !is_writable)
        return 0;
    socket->squeezed = 0;
    size_t room = (size_t)socket->send_room;
    if (unsent >= room)
        return 0;
    if (size > room - unsent)
        size = room - unsent;
    size_t part = socket_part(size);
    if (part < size)
        socket->squeezed = unsent + part;
    return part;
}

ssize_t socket_receive(int fd, struct msghdr *message, int flags)
{
    int error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    return socket ? socket->ops->receive(socket, message, flags) : error;
}

ssize_t socket_send(int fd, const struct msghdr *message, int flags)
{
    int error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    return socket ? socket->ops->send(socket, message, flags) : error;
}

// The file is a real one.
ssize_t socket_sendfile(int fd, int file, off_t *offset, size_t count)
{
    char part[4096];
    ssize_t n = pread(file, part, count < sizeof part ? count : sizeof part, *offset);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    struct iovec piece = {.iov_base = part, .iov_len = (size_t)n};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    n = socket_send(fd, &message, 0);
    if (n > 0)
        *offset += n;
    return n;
}
