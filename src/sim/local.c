// Unix sockets: streams, messages with connections, and datagrams. Nothing is lost on them, and
// nothing takes time.

#include <errno.h>
#include <string.h>

#include "sim/local.h"

enum { MESSAGES_MOST = 10 };

static bool is_stream(const struct socket_file *socket)
{
    return socket->type == SOCK_STREAM;
}

static size_t unread(const struct socket_file *socket)
{
    return is_stream(socket) ? socket->in.size : socket->messages_size;
}

static bool has_input(const struct socket_file *socket)
{
    return is_stream(socket) ? socket->in.size > 0 : !list_is_empty(&socket->messages);
}

// unix_writable of Linux: a quarter of the room is enough.
static bool is_writable(const struct socket_file *socket)
{
    size_t used = socket->other ? unread(socket->other) : 0;
    if (socket->type == SOCK_DGRAM)
        return true;
    return 4 * used <= socket_send_room(socket);
}

static unsigned poll_local(struct socket_file *socket)
{
    unsigned events = 0;
    if (socket->listening)
        return list_is_empty(&socket->queue) ? 0 : EPOLLIN;
    bool ends = socket->type != SOCK_DGRAM;
    if ((ends && !socket->had_other) || (socket->shut_read && socket->shut_write))
        events |= EPOLLHUP;
    if (socket->shut_read)
        events |= EPOLLIN | EPOLLRDHUP;
    if (has_input(socket))
        events |= EPOLLIN;
    return events | (is_writable(socket) ? EPOLLOUT : 0);
}

// ---- The end ----------------------------------------------------------------------------------

static void forget_messages(struct socket_file *socket)
{
    struct list *node;
    while ((node = list_take(&socket->messages)))
        world_release(LIST_ENTRY(node, struct message, node));
    socket->messages_size = 0;
}

static void part(struct socket_file *socket)
{
    struct socket_file *other = socket->other;
    if (!other)
        return;
    socket->other = NULL;
    if (socket->type == SOCK_DGRAM)
        return;
    other->other = NULL;
    // unix(7), connection reset: the other end closed with unread data.
    if (has_input(socket))
        other->error = ECONNRESET;
    other->shut_read = other->shut_write = true;
    file_wake(&other->file, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
}

static void free_local(struct socket_file *socket)
{
    part(socket);
    local_unname(socket);
    forget_messages(socket);
    bytes_free(&socket->in);
    world_release(socket);
}

static void end_queue(struct socket_file *socket)
{
    struct list *node;
    while ((node = list_take(&socket->queue))) {
        struct socket_file *caller = LIST_ENTRY(node, struct socket_file, in_queue);
        if (caller->other)
            caller->other->error = ECONNRESET;
        free_local(caller);
    }
    socket->queued = 0;
}

static void close_local(struct socket_file *socket)
{
    end_queue(socket);
    free_local(socket);
}

static int shut_local(struct socket_file *socket, int how)
{
    if (socket->listening) {
        if (how == SHUT_WR)
            return 0;
        socket->shut_read = true; // nobody can connect any more, and accept says EINVAL
        socket->listening = false;
        end_queue(socket);
        file_wake(&socket->file, EPOLLIN | EPOLLHUP);
        return 0;
    }
    struct socket_file *other = socket->other;
    if (how != SHUT_WR) {
        socket->shut_read = true;
        if (other && socket->type != SOCK_DGRAM)
            other->shut_write = true;
    }
    if (how != SHUT_RD) {
        socket->shut_write = true;
        if (other && socket->type != SOCK_DGRAM)
            other->shut_read = true;
    }
    file_wake(&socket->file, EPOLLIN | EPOLLOUT | EPOLLHUP);
    if (other)
        file_wake(&other->file, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    return 0;
}

// ---- The beginning ----------------------------------------------------------------------------

static void join(struct socket_file *one, struct socket_file *other)
{
    one->other = other;
    other->other = one;
    one->had_other = other->had_other = true;
    one->is_connected = other->is_connected = true;
}

int local_pair(struct socket_file *one, struct socket_file *other)
{
    join(one, other);
    return 0;
}

static int connect_local(struct socket_file *socket, const struct sockaddr *address, socklen_t size)
{
    if (socket->type == SOCK_DGRAM && size >= sizeof(sa_family_t) &&
        address->sa_family == AF_UNSPEC) {
        socket->other = NULL;
        socket->is_connected = false;
        return 0;
    }
    if (socket->had_other && socket->type != SOCK_DGRAM)
        return -EISCONN;
    struct socket_file *target;
    int rc = local_find(socket->host, address, size, &target);
    if (rc < 0)
        return rc;
    if (target->type != socket->type)
        return -EPROTOTYPE;
    if (socket->type == SOCK_DGRAM) {
        socket->other = target;
        socket->peer_name = target->name;
        socket->is_connected = true;
        return 0;
    }
    if (!target->listening)
        return -ECONNREFUSED;
    if (target->queued > target->backlog)
        return -EAGAIN;
    struct socket_file *caller = socket_new(target->host, AF_UNIX, socket->type, 0);
    list_init(&caller->file.watches);
    caller->name = target->name;
    caller->peer_name = socket->name;
    socket->peer_name = target->name;
    join(socket, caller);
    list_append(&target->queue, &caller->in_queue);
    target->queued++;
    file_wake(&target->file, EPOLLIN);
    return 0;
}

static int listen_local(struct socket_file *socket, int backlog)
{
    if (socket->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (socket->name.size == 0 || socket->had_other)
        return -EINVAL;
    socket->listening = true;
    socket->backlog = backlog;
    return 0;
}

static int accept_local(struct socket_file *listener, struct socket_file **ret_socket)
{
    if (listener->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (list_is_empty(&listener->queue))
        return -EAGAIN;
    *ret_socket = LIST_ENTRY(listener->queue.next, struct socket_file, in_queue);
    return 0;
}

// ---- Streams ----------------------------------------------------------------------------------

static ssize_t receive_nothing(struct socket_file *socket)
{
    if (socket->type != SOCK_DGRAM && !socket->had_other)
        return is_stream(socket) ? -EINVAL : -ENOTCONN;
    if (socket->error)
        return socket_take_error(socket);
    return socket->shut_read ? 0 : -EAGAIN;
}

static void tell_room(struct socket_file *socket)
{
    if (socket->other && is_writable(socket->other))
        file_wake(&socket->other->file, EPOLLOUT);
}

static ssize_t receive_stream(struct socket_file *socket, struct msghdr *header, int flags)
{
    if (socket->in.size == 0)
        return receive_nothing(socket);
    size_t size = message_size(header);
    if (size > socket->in.size)
        size = socket->in.size;
    size = socket_part(size);
    message_scatter(header, bytes_at(&socket->in, 0), size);
    if (!(flags & MSG_PEEK)) {
        bytes_skip(&socket->in, size);
        tell_room(socket);
    }
    return (ssize_t)size;
}

static ssize_t send_stream(struct socket_file *socket, const struct msghdr *header)
{
    struct socket_file *other = socket->other;
    size_t size = message_size(header);
    if (size == 0)
        return 0;
    size = socket_take_room(socket, size, other->in.size, is_writable(socket));
    if (size == 0)
        return -EAGAIN;
    char *whole = world_take(size);
    message_gather(header, whole, size);
    bytes_add(&other->in, whole, size);
    world_release(whole);
    file_wake(&other->file, EPOLLIN);
    return (ssize_t)size;
}

// ---- Messages ---------------------------------------------------------------------------------

static void give_name(const struct local_name *name, struct sockaddr *ret_address, socklen_t *size)
{
    struct sockaddr_un whole = {.sun_family = AF_UNIX};
    memcpy(whole.sun_path, name->path, name->size);
    socklen_t needed = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name->size);
    memcpy(ret_address, &whole, *size < needed ? *size : needed);
    *size = needed;
}

// Only a message has a time: the library tells an empty one from the end by it.
static void tell_time(const struct socket_file *socket, struct msghdr *header)
{
    struct timespec now = {.tv_sec = world.now / SIM_SECOND, .tv_nsec = world.now % SIM_SECOND};
    if (!socket->timestamps || header->msg_controllen < CMSG_SPACE(sizeof now)) {
        header->msg_controllen = 0;
        return;
    }
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SO_TIMESTAMPNS;
    control->cmsg_len = CMSG_LEN(sizeof now);
    memcpy(CMSG_DATA(control), &now, sizeof now);
    header->msg_controllen = CMSG_SPACE(sizeof now);
}

static ssize_t receive_message(struct socket_file *socket, struct msghdr *header, int flags)
{
    header->msg_flags = 0;
    if (list_is_empty(&socket->messages)) {
        header->msg_controllen = 0;
        return receive_nothing(socket);
    }
    struct message *message = LIST_ENTRY(socket->messages.next, struct message, node);
    size_t room = message_size(header), size = message->size;
    message_scatter(header, message->data, size < room ? size : room);
    header->msg_flags = size > room ? MSG_TRUNC : 0;
    if (header->msg_name && message->name.size)
        give_name(&message->name, header->msg_name, &header->msg_namelen);
    else
        header->msg_namelen = 0;
    tell_time(socket, header);
    if (!(flags & MSG_PEEK)) {
        list_remove(&message->node);
        socket->messages_size -= size + 1;
        world_release(message);
        tell_room(socket);
    }
    return (ssize_t)(size > room && !(flags & MSG_TRUNC) ? room : size);
}

static int find_target(const struct socket_file *socket, const struct msghdr *header,
                       struct socket_file **ret_target)
{
    *ret_target = socket->other;
    if (socket->type != SOCK_DGRAM || !header->msg_name)
        return *ret_target ? 0 : socket->is_connected ? -ECONNREFUSED : -ENOTCONN;
    int rc = local_find(socket->host, header->msg_name, header->msg_namelen, ret_target);
    return rc == 0 && (*ret_target)->type != SOCK_DGRAM ? -EPROTOTYPE : rc;
}

static ssize_t send_message(struct socket_file *socket, const struct msghdr *header)
{
    size_t size = message_size(header);
    struct socket_file *target;
    int rc = find_target(socket, header, &target);
    if (rc < 0)
        return rc;
    if (size + 32 > (size_t)socket->send_room && size > 65536)
        return -EMSGSIZE;
    int waiting = 0;
    for (struct list *node = target->messages.next; node != &target->messages; node = node->next)
        waiting++;
    // unix_dgram_sendmsg of Linux: net.unix.max_dgram_qlen.
    if (waiting > MESSAGES_MOST)
        return -EAGAIN;
    struct message *message = world_take(sizeof *message + size);
    message->size = size;
    message->name = socket->name;
    message_gather(header, message->data, size);
    list_append(&target->messages, &message->node);
    target->messages_size += size + 1;
    file_wake(&target->file, EPOLLIN);
    return (ssize_t)size;
}

// ---- Both -------------------------------------------------------------------------------------

static ssize_t receive_local(struct socket_file *socket, struct msghdr *header, int flags)
{
    return is_stream(socket) ? receive_stream(socket, header, flags)
                             : receive_message(socket, header, flags);
}

static ssize_t send_local(struct socket_file *socket, const struct msghdr *header, int flags)
{
    (void)flags;
    if (socket->type != SOCK_DGRAM && !socket->had_other)
        return -ENOTCONN;
    if (socket->shut_write || (socket->type != SOCK_DGRAM && !socket->other))
        return -EPIPE; // the error is for who receives
    if (socket->error)
        return socket_take_error(socket);
    return is_stream(socket) ? send_stream(socket, header) : send_message(socket, header);
}

static int name_of_local(struct socket_file *socket, bool peer, struct sockaddr *ret_address,
                         socklen_t *size)
{
    if (peer && !socket->is_connected)
        return -ENOTCONN;
    give_name(peer ? &socket->peer_name : &socket->name, ret_address, size);
    return 0;
}

const struct socket_ops local_socket_ops = {
    .name = "unix",
    .poll = poll_local,
    .close = close_local,
    .bind = local_bind,
    .connect = connect_local,
    .listen = listen_local,
    .accept = accept_local,
    .receive = receive_local,
    .send = send_local,
    .shutdown = shut_local,
    .name_of = name_of_local,
};
