// Addresses and ports of sockets of the internet.

#include <errno.h>
#include <string.h>

#include "sim/socket.h"

enum { PORT_LEAST = 32768, PORT_MOST = 60999 };

static bool overlap(const struct socket_file *one, const struct socket_file *other)
{
    const struct place *a = &one->local, *b = &other->local;
    if (place_same_ip(a, b))
        return true;
    bool same_family = place_is_ipv4(a) == place_is_ipv4(b);
    if (same_family)
        return place_is_any(a) || place_is_any(b);
    // An IPv6 socket of every interface has the IPv4 ones, too.
    const struct socket_file *six = place_is_ipv4(a) ? other : one;
    return place_is_any(&six->local) && !six->only_ipv6;
}

// socket(7): SO_REUSEADDR lets it have an address "except when there is an active listening socket
// bound to the address".
static bool may_share(const struct socket_file *one, const struct socket_file *other)
{
    if (one->reuse_port && other->reuse_port)
        return true;
    bool both = one->reuse_address && other->reuse_address;
    return both && (one->type == SOCK_DGRAM || (!one->listening && !other->listening));
}

static bool is_taken(const struct socket_file *socket)
{
    const struct host *host = socket->host;
    for (struct list *node = host->sockets.next; node != &host->sockets; node = node->next) {
        const struct socket_file *other = LIST_ENTRY(node, struct socket_file, bound);
        if (other->type == socket->type && other->local.port == socket->local.port &&
            overlap(socket, other) && !may_share(socket, other))
            return true;
    }
    return false;
}

static int choose_port(struct socket_file *socket)
{
    struct host *host = socket->host;
    for (int tries = PORT_LEAST; tries <= PORT_MOST; tries++) {
        if (++host->next_port > PORT_MOST)
            host->next_port = PORT_LEAST;
        socket->local.port = host->next_port;
        if (!is_taken(socket))
            return 0;
    }
    return -EADDRINUSE;
}

int inet_bind(struct socket_file *socket, const struct sockaddr *address, socklen_t size)
{
    if (socket->is_bound)
        return -EINVAL;
    struct place place;
    int rc = place_read(address, size, socket->family, &place);
    if (rc < 0)
        return rc;
    bool group = socket->type == SOCK_DGRAM && place_is_group(&place);
    if (!place_is_any(&place) && !host_has(socket->host, &place) && !group)
        return -EADDRNOTAVAIL;
    socket->local = place;
    if (place.port == 0)
        rc = choose_port(socket);
    else if (is_taken(socket))
        rc = -EADDRINUSE;
    if (rc < 0)
        return rc;
    socket->is_bound = true;
    list_append(&socket->host->sockets, &socket->bound);
    return 0;
}

int inet_choose_local(struct socket_file *socket, const struct place *peer)
{
    if (socket->is_bound && !place_is_any(&socket->local))
        return 0;
    uint16_t port = socket->local.port;
    socket->local = *peer;
    if (!place_is_loopback(peer) && !place_is_any(peer))
        host_address(socket->host, peer, &socket->local);
    if (place_is_any(peer)) { // it means this machine: ip(7), ipv6(7)
        memset(socket->local.ip, 0, sizeof socket->local.ip);
        memcpy(socket->local.ip, peer->ip, 12);
        if (place_is_ipv4(peer))
            socket->local.ip[12] = 127;
        socket->local.ip[15] = 1;
    }
    socket->local.port = port;
    if (socket->is_bound)
        return 0;
    int rc = choose_port(socket);
    if (rc < 0)
        return -EADDRNOTAVAIL;
    socket->is_bound = true;
    list_append(&socket->host->sockets, &socket->bound);
    return 0;
}

void inet_unbind(struct socket_file *socket)
{
    list_remove(&socket->bound);
}

int inet_name_of(struct socket_file *socket, bool peer, struct sockaddr *ret_address,
                 socklen_t *size)
{
    struct place any = {.port = 0};
    if (peer && !socket->is_connected)
        return -ENOTCONN;
    if (!peer && !socket->is_bound && socket->family == AF_INET)
        any.ip[10] = any.ip[11] = 0xff;
    const struct place *place = peer ? &socket->peer : socket->is_bound ? &socket->local : &any;
    place_write(place, socket->family, ret_address, size);
    return 0;
}

bool inet_takes(const struct socket_file *socket, const struct place *place)
{
    if (!socket->is_bound || socket->local.port != place->port)
        return false;
    if (place_same_ip(&socket->local, place))
        return true;
    if (!place_is_any(&socket->local))
        return false;
    if (place_is_ipv4(&socket->local) || !place_is_ipv4(place))
        return place_is_ipv4(&socket->local) == place_is_ipv4(place);
    return !socket->only_ipv6;
}
