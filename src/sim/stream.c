// The calls on TCP sockets.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/tcp.h"

static bool is_there(const struct socket_file *socket)
{
    return socket->tcp && socket->tcp->state != TCP_SIM_DEAD;
}

static bool is_connecting(const struct socket_file *socket)
{
    return socket->tcp && socket->tcp->state == TCP_SIM_SYN_SENT;
}

// tcp_poll of Linux.
static unsigned poll_stream(struct socket_file *socket)
{
    const struct tcp *tcp = socket->tcp;
    if (socket->listening)
        return list_is_empty(&socket->queue) ? 0 : EPOLLIN;
    if (is_connecting(socket))
        return 0;
    unsigned events = 0;
    if (!is_there(socket) || (socket->shut_read && socket->shut_write))
        events |= EPOLLHUP;
    if (socket->shut_read)
        events |= EPOLLIN | EPOLLRDHUP;
    if (tcp && tcp->in.size)
        events |= EPOLLIN;
    if (socket->shut_write || !tcp || tcp_is_writable(tcp, socket))
        events |= EPOLLOUT;
    return events;
}

// ---- The end ----------------------------------------------------------------------------------

static void abort_stream(struct tcp *tcp)
{
    tcp->socket = NULL;
    if (tcp->state == TCP_SIM_OPEN)
        tcp_reset(tcp);
    tcp_free(tcp);
}

// tcp(7), and RFC 1122 4.2.2.13: with unread bytes, or with SO_LINGER and no time, it is a reset.
static void close_connection(struct socket_file *socket)
{
    struct tcp *tcp = socket->tcp;
    bool at_once = socket->lingers && socket->linger == 0;
    if (tcp->state == TCP_SIM_DEAD || tcp->state == TCP_SIM_SYN_SENT) {
        tcp->socket = NULL;
        tcp_free(tcp);
        return;
    }
    if (tcp->in.size > 0 || at_once) {
        abort_stream(tcp);
        return;
    }
    tcp->socket = NULL;
    tcp->ends = true;
    if (tcp->state == TCP_SIM_TIME_WAIT)
        timers_add(&world.timers, &tcp->timer);
    else
        tcp_push(tcp);
}

static void end_queue(struct socket_file *socket)
{
    struct list *node;
    while ((node = list_take(&socket->queue))) {
        struct socket_file *caller = LIST_ENTRY(node, struct socket_file, in_queue);
        if (caller->tcp->state == TCP_SIM_DEAD)
            tcp_free(caller->tcp);
        else
            abort_stream(caller->tcp);
        option_forget_all(caller);
        world_release(caller);
    }
    socket->queued = 0;
    for (size_t i = 0; i < sizeof world.tcps / sizeof *world.tcps; i++) {
        struct list *next;
        for (node = world.tcps[i].next; node != &world.tcps[i]; node = next) {
            next = node->next;
            struct tcp *tcp = LIST_ENTRY(node, struct tcp, node);
            if (tcp->listener != socket)
                continue;
            tcp_reset(tcp);
            tcp_free(tcp);
        }
    }
}

static void stop_listening(struct socket_file *socket)
{
    socket->listening = false;
    end_queue(socket);
    inet_unbind(socket);
}

static void close_stream(struct socket_file *socket)
{
    if (socket->listening)
        stop_listening(socket);
    else if (socket->tcp)
        close_connection(socket);
    inet_unbind(socket);
    world_release(socket);
}

static int shut_stream(struct socket_file *socket, int how)
{
    if (socket->listening) {
        if (how == SHUT_WR)
            return 0;
        stop_listening(socket);
        file_wake(&socket->file, EPOLLIN | EPOLLHUP);
        return 0;
    }
    if (!is_there(socket) || is_connecting(socket))
        return -ENOTCONN;
    if (how != SHUT_WR)
        socket->shut_read = true;
    if (how != SHUT_RD && !socket->shut_write) {
        socket->shut_write = true;
        socket->tcp->ends = true;
        tcp_push(socket->tcp);
    }
    file_wake(&socket->file, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    return 0;
}

// ---- The beginning ----------------------------------------------------------------------------

static int connect_again(struct socket_file *socket)
{
    struct tcp *tcp = socket->tcp;
    if (tcp->state == TCP_SIM_SYN_SENT)
        return -EALREADY;
    if (socket->is_connected) {
        bool told = socket->told_connected;
        socket->told_connected = true; // who asks first hears of the success
        return told ? -EISCONN : 0;
    }
    int rc = socket_take_error(socket);
    // It is a fresh socket now.
    tcp->socket = NULL;
    tcp_free(tcp);
    socket->tcp = NULL;
    socket->shut_read = socket->shut_write = false;
    return rc < 0 ? rc : -ECONNABORTED;
}

static int connect_stream(struct socket_file *socket, const struct sockaddr *address,
                          socklen_t size)
{
    struct place peer;
    if (socket->listening)
        return -EISCONN;
    if (socket->tcp)
        return connect_again(socket);
    int rc = place_read(address, size, socket->family, &peer);
    if (rc == 0)
        rc = inet_choose_local(socket, &peer);
    if (rc < 0)
        return rc;
    if (place_is_any(&peer)) {
        uint16_t port = peer.port;
        peer = socket->local;
        peer.port = port;
    }
    if (tcp_find(&socket->local, &peer))
        return -EADDRNOTAVAIL;
    socket->peer = peer;
    socket->tcp = tcp_new(socket->host, &socket->local, &peer);
    socket->tcp->socket = socket;
    tcp_connect(socket->tcp);
    return -EINPROGRESS;
}

static int listen_stream(struct socket_file *socket, int backlog)
{
    if (socket->tcp)
        return -EINVAL;
    if (!socket->is_bound) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6};
        struct sockaddr_in any4 = {.sin_family = AF_INET};
        int rc = socket->family == AF_INET6
                     ? inet_bind(socket, (struct sockaddr *)&any, sizeof any)
                     : inet_bind(socket, (struct sockaddr *)&any4, sizeof any4);
        if (rc < 0)
            return rc;
    }
    for (struct list *node = socket->host->sockets.next; node != &socket->host->sockets;
         node = node->next) {
        const struct socket_file *other = LIST_ENTRY(node, struct socket_file, bound);
        if (other != socket && other->listening && other->type == SOCK_STREAM &&
            place_same(&other->local, &socket->local) && !(other->reuse_port && socket->reuse_port))
            return -EADDRINUSE;
    }
    socket->listening = true;
    socket->backlog = backlog;
    return 0;
}

static int accept_stream(struct socket_file *listener, struct socket_file **ret_socket)
{
    if (list_is_empty(&listener->queue))
        return -EAGAIN;
    struct socket_file *first = LIST_ENTRY(listener->queue.next, struct socket_file, in_queue);
    *ret_socket = first;
    if (!world_chance(world.faults.aborted))
        return 0;
    list_remove(&first->in_queue);
    listener->queued--;
    if (first->tcp->state == TCP_SIM_DEAD)
        tcp_free(first->tcp);
    else
        abort_stream(first->tcp);
    option_forget_all(first);
    world_release(first);
    return -ECONNABORTED;
}

// ---- Bytes ------------------------------------------------------------------------------------

static void open_window(struct tcp *tcp)
{
    size_t window = tcp_window(tcp), least = world.faults.segment;
    if (tcp->state != TCP_SIM_OPEN || tcp->fin_received)
        return;
    if (least > (size_t)tcp->socket->receive_room / 2)
        least = (size_t)tcp->socket->receive_room / 2;
    if (tcp->told < least && window >= least)
        tcp_acknowledge(tcp);
}

static ssize_t receive_nothing(struct socket_file *socket)
{
    const struct tcp *tcp = socket->tcp;
    if (tcp && tcp->fin_received)
        return 0;
    if (socket->error)
        return socket_take_error(socket);
    if (socket->shut_read)
        return 0;
    return tcp && tcp->state != TCP_SIM_DEAD ? -EAGAIN : -ENOTCONN;
}

static ssize_t receive_stream(struct socket_file *socket, struct msghdr *message, int flags)
{
    struct tcp *tcp = socket->tcp;
    if (socket->listening)
        return -ENOTCONN;
    if (flags & MSG_OOB)
        return -EINVAL;
    message->msg_namelen = 0;
    if (!tcp || tcp->in.size == 0)
        return receive_nothing(socket);
    size_t size = message_size(message);
    if (size > tcp->in.size)
        size =
            tcp->in.size; // never less: tcp(7) promises it to no one, and Linux has always done it
    if (!(flags & MSG_TRUNC)) // tcp(7): the bytes are thrown away
        message_scatter(message, bytes_at(&tcp->in, 0), size);
    if (flags & MSG_PEEK)
        return (ssize_t)size;
    bytes_skip(&tcp->in, size);
    open_window(tcp);
    return (ssize_t)size;
}

static ssize_t send_stream(struct socket_file *socket, const struct msghdr *message, int flags)
{
    (void)flags;
    struct tcp *tcp = socket->tcp;
    if (socket->error)
        return socket_take_error(socket);
    if (socket->shut_write || !tcp || socket->listening)
        return -EPIPE;
    if (tcp->state == TCP_SIM_SYN_SENT)
        return -EAGAIN;
    size_t size = message_size(message);
    if (size == 0)
        return 0;
    size = socket_take_room(socket, size, tcp->out.size, tcp_is_writable(tcp, socket));
    if (size == 0)
        return -EAGAIN;
    char few[2048];
    char *whole = message->msg_iovlen == 1 ? message->msg_iov->iov_base
                  : size <= sizeof few     ? few
                                           : world_take(size);
    if (message->msg_iovlen != 1)
        message_gather(message, whole, size);
    bytes_add(&tcp->out, whole, size);
    if (message->msg_iovlen != 1 && whole != few)
        world_release(whole);
    tcp_push(tcp);
    return (ssize_t)size;
}

static int name_of_stream(struct socket_file *socket, bool peer, struct sockaddr *ret_address,
                          socklen_t *size)
{
    if (peer && !is_there(socket))
        return -ENOTCONN;
    return inet_name_of(socket, peer, ret_address, size);
}

const struct socket_ops tcp_socket_ops = {
    .name = "tcp",
    .poll = poll_stream,
    .close = close_stream,
    .bind = inet_bind,
    .connect = connect_stream,
    .listen = listen_stream,
    .accept = accept_stream,
    .receive = receive_stream,
    .send = send_stream,
    .shutdown = shut_stream,
    .name_of = name_of_stream,
};
