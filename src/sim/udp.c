// UDP sockets.

#include <errno.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <time.h>

#include "sim/socket.h"

enum { DATAGRAM_MOST = 65507 };

static unsigned poll_udp(struct socket_file *socket)
{
    unsigned events = list_is_empty(&socket->messages) ? 0 : EPOLLIN;
    if (socket->shut_read)
        events |= EPOLLIN | EPOLLRDHUP | (socket->shut_write ? EPOLLHUP : 0);
    return events | EPOLLOUT;
}

static void forget_messages(struct socket_file *socket)
{
    struct list *node;
    while ((node = list_take(&socket->messages)))
        world_release(LIST_ENTRY(node, struct message, node));
    socket->messages_size = 0;
}

static void close_udp(struct socket_file *socket)
{
    forget_messages(socket);
    inet_unbind(socket);
    world_release(socket);
}

// connect(2): AF_UNSPEC dissolves it; then, as udp(7) says, any peer's datagrams are seen again.
static int disconnect(struct socket_file *socket)
{
    socket->is_connected = false;
    inet_unbind(socket);
    socket->is_bound = false;
    socket->local = (struct place){.port = 0};
    return 0;
}

static int connect_udp(struct socket_file *socket, const struct sockaddr *address, socklen_t size)
{
    struct place peer;
    if (size >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC)
        return disconnect(socket);
    int rc = place_read(address, size, socket->family, &peer);
    if (rc == 0)
        rc = inet_choose_local(socket, &peer);
    if (rc < 0)
        return rc;
    if (place_is_any(&peer))
        memcpy(peer.ip, socket->local.ip, sizeof peer.ip);
    socket->peer = peer;
    socket->is_connected = true;
    return 0;
}

static int listen_udp(struct socket_file *socket, int backlog)
{
    (void)socket;
    (void)backlog;
    return -EOPNOTSUPP;
}

static int accept_udp(struct socket_file *listener, struct socket_file **ret_socket)
{
    (void)listener;
    (void)ret_socket;
    return -EOPNOTSUPP;
}

static int shut_udp(struct socket_file *socket, int how)
{
    if (!socket->is_connected)
        return -ENOTCONN;
    if (how != SHUT_WR)
        socket->shut_read = true;
    if (how != SHUT_RD)
        socket->shut_write = true;
    file_wake(&socket->file, EPOLLIN | EPOLLOUT | EPOLLHUP);
    return 0;
}

// ---- Receiving --------------------------------------------------------------------------------

static void tell_local(const struct socket_file *socket, const struct message *message,
                       struct msghdr *header)
{
    struct in6_pktinfo six = {.ipi6_ifindex = 1};
    struct in_pktinfo four = {.ipi_ifindex = 1};
    bool is_six = socket->family == AF_INET6;
    size_t size = is_six ? sizeof six : sizeof four;
    if (!socket->tells_local || header->msg_controllen < CMSG_SPACE(size)) {
        header->msg_controllen = 0;
        return;
    }
    memcpy(&six.ipi6_addr, message->to.ip, sizeof six.ipi6_addr);
    memcpy(&four.ipi_addr, message->to.ip + 12, sizeof four.ipi_addr);
    four.ipi_spec_dst = four.ipi_addr;
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    control->cmsg_level = is_six ? IPPROTO_IPV6 : IPPROTO_IP;
    control->cmsg_type = is_six ? IPV6_PKTINFO : IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(control), is_six ? (void *)&six : (void *)&four, size);
    header->msg_controllen = CMSG_SPACE(size);
}

static ssize_t receive_udp(struct socket_file *socket, struct msghdr *header, int flags)
{
    if (socket->error)
        return socket_take_error(socket);
    if (list_is_empty(&socket->messages))
        return -EAGAIN; // after SHUT_RD, too
    struct message *message = LIST_ENTRY(socket->messages.next, struct message, node);
    size_t room = message_size(header), size = message->size;
    message_scatter(header, message->data, size < room ? size : room);
    header->msg_flags = size > room ? MSG_TRUNC : 0;
    if (header->msg_name)
        place_write(&message->from, socket->family, header->msg_name, &header->msg_namelen);
    tell_local(socket, message, header);
    if (!(flags & MSG_PEEK)) {
        list_remove(&message->node);
        socket->messages_size -= size + 256;
        world_release(message);
    }
    return (ssize_t)(size > room && !(flags & MSG_TRUNC) ? room : size);
}

static bool takes_from(const struct socket_file *socket, const struct packet *packet)
{
    return socket->type == SOCK_DGRAM && inet_takes(socket, &packet->to) &&
           (!socket->is_connected || place_same(&socket->peer, &packet->from));
}

// A connected socket is nearer than one for everybody.
static struct socket_file *find_receiver(const struct host *host, const struct packet *packet)
{
    struct socket_file *best = NULL;
    for (struct list *node = host->sockets.next; node != &host->sockets; node = node->next) {
        struct socket_file *socket = LIST_ENTRY(node, struct socket_file, bound);
        if (takes_from(socket, packet) && (!best || socket->is_connected))
            best = socket;
    }
    return best;
}

// ICMP, port unreachable. It carries the addresses of what could not be delivered.
static void say_unreachable(struct host *host, const struct packet *packet)
{
    struct packet *icmp = packet_new(IPPROTO_UDP, &packet->to, &packet->from, 0);
    icmp->flags = PACKET_ICMP;
    icmp->error = ECONNREFUSED;
    int64_t last = 0;
    packet_send(host, icmp, &last);
}

// udp(7): only a connected socket is told.
static void hear_unreachable(struct socket_file *socket, const struct packet *packet)
{
    if (!socket || !socket->is_connected)
        return;
    socket->error = packet->error;
    file_wake(&socket->file, EPOLLIN | EPOLLOUT | EPOLLERR);
}

void udp_arrive(struct host *host, struct packet *packet)
{
    struct socket_file *socket = find_receiver(host, packet);
    if (packet->flags & PACKET_ICMP) {
        hear_unreachable(socket, packet);
        return;
    }
    if (!socket) {
        say_unreachable(host, packet);
        return;
    }
    if (socket->messages_size + packet->size + 256 > 4 * (size_t)socket->receive_room &&
        !list_is_empty(&socket->messages)) {
        socket->dropped++;
        return;
    }
    struct message *message = world_take(sizeof *message + packet->size);
    message->from = packet->from;
    message->to = packet->to;
    message->size = packet->size;
    memcpy(message->data, packet->data, packet->size);
    list_append(&socket->messages, &message->node);
    socket->messages_size += packet->size + 256;
    file_wake(&socket->file, EPOLLIN);
}

// ---- Sending ----------------------------------------------------------------------------------

// From which address: what the caller says of it, or the socket's own.
static int choose_from(struct socket_file *socket, const struct msghdr *header,
                       const struct place *to, struct place *ret_from)
{
    *ret_from = socket->local;
    if (!socket->is_bound || place_is_any(&socket->local)) {
        struct socket_file asking = *socket;
        asking.is_bound = true; // its port stays open until it is bound below
        int rc = inet_choose_local(&asking, to);
        if (rc < 0)
            return rc;
        memcpy(ret_from->ip, asking.local.ip, sizeof ret_from->ip);
        if (asking.local.ip[0] == 0 && place_is_any(&socket->local) && socket->is_bound)
            host_address(socket->host, to, ret_from);
        if (place_is_loopback(to))
            memcpy(ret_from->ip, to->ip, sizeof ret_from->ip);
        ret_from->port = socket->local.port;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); header->msg_control && c;
         c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            memcpy(ret_from->ip + 12, CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_spec_dst), 4);
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
            memcpy(ret_from->ip, CMSG_DATA(c), 16);
    }
    return place_is_any(ret_from) || host_has(socket->host, ret_from) ? 0 : -EINVAL;
}

static int find_peer(struct socket_file *socket, const struct msghdr *header, struct place *ret_to)
{
    if (!header->msg_name) {
        *ret_to = socket->peer;
        return socket->is_connected ? 0 : -EDESTADDRREQ;
    }
    int rc = place_read(header->msg_name, header->msg_namelen, socket->family, ret_to);
    if (rc == 0 && ret_to->port == 0)
        rc = -EINVAL;
    return rc;
}

// The first datagram gives it a port: udp(7).
static int bind_to_any(struct socket_file *socket)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    struct sockaddr_in any4 = {.sin_family = AF_INET};
    if (socket->is_bound)
        return 0;
    return socket->family == AF_INET6 ? inet_bind(socket, (struct sockaddr *)&any6, sizeof any6)
                                      : inet_bind(socket, (struct sockaddr *)&any4, sizeof any4);
}

static ssize_t send_udp(struct socket_file *socket, const struct msghdr *header, int flags)
{
    (void)flags;
    size_t size = message_size(header);
    struct place from, to;
    if (socket->error)
        return socket_take_error(socket);
    if (socket->shut_write)
        return -EPIPE;
    if (size > DATAGRAM_MOST)
        return -EMSGSIZE;
    int rc = find_peer(socket, header, &to);
    if (rc == 0)
        rc = bind_to_any(socket);
    if (rc == 0)
        rc = choose_from(socket, header, &to, &from);
    if (rc < 0)
        return rc;
    struct packet *packet = packet_new(IPPROTO_UDP, &from, &to, size);
    message_gather(header, packet->data, size);
    packet_send(socket->host, packet, &socket->last_arrival);
    return (ssize_t)size;
}

const struct socket_ops udp_socket_ops = {
    .name = "udp",
    .poll = poll_udp,
    .close = close_udp,
    .bind = inet_bind,
    .connect = connect_udp,
    .listen = listen_udp,
    .accept = accept_udp,
    .receive = receive_udp,
    .send = send_udp,
    .shutdown = shut_udp,
    .name_of = inet_name_of,
};
