// Socket options: those that mean something here, and those that are only kept.

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

#include "sim/tcp.h"

// One that means nothing here, as it was set.
struct option {
    struct list node;
    int level, name;
    socklen_t size;
    char value[64];
};

void option_forget_all(struct socket_file *socket)
{
    struct list *node;
    while ((node = list_take(&socket->options)))
        world_release(LIST_ENTRY(node, struct option, node));
}

static struct option *find(const struct socket_file *socket, int level, int name)
{
    for (struct list *node = socket->options.next; node != &socket->options; node = node->next) {
        struct option *option = LIST_ENTRY(node, struct option, node);
        if (option->level == level && option->name == name)
            return option;
    }
    return NULL;
}

static int keep(struct socket_file *socket, int level, int name, const void *value, socklen_t size)
{
    struct option *option = find(socket, level, name);
    if (size > sizeof option->value)
        return -EINVAL;
    if (!option) {
        option = world_take(sizeof *option);
        option->level = level;
        option->name = name;
        list_append(&socket->options, &option->node);
    }
    memcpy(option->value, value, size);
    option->size = size;
    return 0;
}

void option_inherit(struct socket_file *socket, const struct socket_file *from)
{
    socket->send_room = from->send_room;
    socket->receive_room = from->receive_room;
    socket->nodelay = from->nodelay;
    socket->keepalive = from->keepalive;
    socket->keep_idle = from->keep_idle;
    socket->keep_interval = from->keep_interval;
    socket->keep_count = from->keep_count;
    socket->user_timeout = from->user_timeout;
    socket->lingers = from->lingers;
    socket->linger = from->linger;
    for (struct list *node = from->options.next; node != &from->options; node = node->next) {
        const struct option *option = LIST_ENTRY(node, struct option, node);
        (void)keep(socket, option->level, option->name, option->value, option->size);
    }
}

// socket(7): "The kernel doubles this value", and there is a least one.
static int room_of(int value, int least)
{
    return value < least / 2 ? least : value > 1 << 22 ? 1 << 23 : 2 * value;
}

static int set_of_socket(struct socket_file *socket, int name, int value)
{
    switch (name) {
    case SO_REUSEADDR:
        socket->reuse_address = value != 0;
        return 0;
    case SO_REUSEPORT:
        socket->reuse_port = value != 0;
        return 0;
    case SO_BROADCAST:
        socket->broadcast = value != 0;
        return 0;
    case SO_TIMESTAMPNS:
        socket->timestamps = value != 0;
        return 0;
    case SO_SNDBUF:
        socket->send_room = room_of(value, 4608);
        return 0;
    case SO_RCVBUF:
        socket->receive_room = room_of(value, 2304);
        return 0;
    case SO_KEEPALIVE:
        socket->keepalive = value != 0;
        if (socket->tcp)
            tcp_watch_alive(socket->tcp);
        return 0;
    case SO_TYPE:
    case SO_PROTOCOL:
    case SO_DOMAIN:
    case SO_ERROR:
    case SO_ACCEPTCONN:
        return -ENOPROTOOPT;
    default:
        return -ENODATA;
    }
}

static int set_of_tcp(struct socket_file *socket, int name, int value)
{
    switch (name) {
    case TCP_NODELAY:
        socket->nodelay = value != 0;
        return 0;
    case TCP_USER_TIMEOUT:
        socket->user_timeout = value * SIM_MS;
        return value < 0 ? -EINVAL : 0;
    case TCP_KEEPIDLE:
        if (value < 1 || value > 32767)
            return -EINVAL;
        socket->keep_idle = value * SIM_SECOND;
        if (socket->tcp)
            tcp_watch_alive(socket->tcp);
        return 0;
    case TCP_KEEPINTVL:
        if (value < 1 || value > 32767)
            return -EINVAL;
        socket->keep_interval = value * SIM_SECOND;
        return 0;
    case TCP_KEEPCNT:
        if (value < 1 || value > 127)
            return -EINVAL;
        socket->keep_count = value;
        return 0;
    default:
        return -ENODATA;
    }
}

static int set_number(struct socket_file *socket, int level, int name, int value)
{
    bool inet = socket->family != AF_UNIX;
    if (level == SOL_SOCKET)
        return set_of_socket(socket, name, value);
    if (!inet)
        return -EOPNOTSUPP;
    if (level == IPPROTO_TCP)
        return socket->type == SOCK_STREAM ? set_of_tcp(socket, name, value) : -ENOPROTOOPT;
    if (level == IPPROTO_IPV6 && socket->family != AF_INET6)
        return -ENOPROTOOPT;
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY) {
        if (socket->is_bound)
            return -EINVAL;
        socket->only_ipv6 = value != 0;
        return 0;
    }
    bool local = (level == IPPROTO_IP && name == IP_PKTINFO) ||
                 (level == IPPROTO_IPV6 && name == IPV6_RECVPKTINFO);
    if (local)
        socket->tells_local = value != 0;
    return local ? 0 : -ENODATA;
}

static int set_linger(struct socket_file *socket, const void *value, socklen_t size)
{
    struct linger linger;
    if (size < sizeof linger)
        return -EINVAL;
    memcpy(&linger, value, sizeof linger);
    socket->lingers = linger.l_onoff != 0;
    socket->linger = linger.l_linger;
    return 0;
}

int option_set(int fd, int level, int name, const void *value, socklen_t size)
{
    int number = 0, error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    if (!socket)
        return error;
    if (level == SOL_SOCKET && name == SO_LINGER)
        return set_linger(socket, value, size);
    if (size >= sizeof number) {
        memcpy(&number, value, sizeof number);
        int rc = set_number(socket, level, name, number);
        if (rc != -ENODATA)
            return rc;
    } else if (level == SOL_SOCKET) {
        return -EINVAL;
    }
    return keep(socket, level, name, value, size);
}

// ---- Asking -----------------------------------------------------------------------------------

static int64_t get_of_socket(struct socket_file *socket, int name)
{
    switch (name) {
    case SO_TYPE:
        return socket->type;
    case SO_PROTOCOL:
        return socket->protocol;
    case SO_DOMAIN:
        return socket->family;
    case SO_ACCEPTCONN:
        return socket->listening;
    case SO_ERROR:
        return -socket_take_error(socket);
    case SO_REUSEADDR:
        return socket->reuse_address;
    case SO_REUSEPORT:
        return socket->reuse_port;
    case SO_BROADCAST:
        return socket->broadcast;
    case SO_KEEPALIVE:
        return socket->keepalive;
    case SO_SNDBUF:
        return socket->send_room;
    case SO_RCVBUF:
        return socket->receive_room;
    case SO_TIMESTAMPNS:
        return socket->timestamps;
    default:
        return -1;
    }
}

static int64_t get_number(struct socket_file *socket, int level, int name)
{
    if (level == SOL_SOCKET)
        return get_of_socket(socket, name);
    if (level == IPPROTO_TCP && name == TCP_NODELAY)
        return socket->nodelay;
    if (level == IPPROTO_TCP && name == TCP_KEEPIDLE)
        return socket->keep_idle / SIM_SECOND;
    if (level == IPPROTO_TCP && name == TCP_KEEPINTVL)
        return socket->keep_interval / SIM_SECOND;
    if (level == IPPROTO_TCP && name == TCP_KEEPCNT)
        return socket->keep_count;
    if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT)
        return socket->user_timeout / SIM_MS;
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        return socket->only_ipv6;
    if ((level == IPPROTO_IPV6 && name == IPV6_RECVPKTINFO) ||
        (level == IPPROTO_IP && name == IP_PKTINFO))
        return socket->tells_local;
    return -1;
}

static int give(const void *value, size_t have, void *ret_value, socklen_t *size)
{
    if (*size > have)
        *size = (socklen_t)have;
    memcpy(ret_value, value, *size);
    return 0;
}

int option_get(int fd, int level, int name, void *ret_value, socklen_t *size)
{
    int error = 0;
    struct socket_file *socket = socket_of(fd, &error);
    if (!socket)
        return error;
    if (level == SOL_SOCKET && name == SO_LINGER) {
        struct linger linger = {.l_onoff = socket->lingers, .l_linger = socket->linger};
        return give(&linger, sizeof linger, ret_value, size);
    }
    if (level == SOL_SOCKET && name == SO_MEMINFO) {
        uint32_t numbers[SK_MEMINFO_VARS] = {[SK_MEMINFO_DROPS] = (uint32_t)socket->dropped};
        return give(numbers, sizeof numbers, ret_value, size);
    }
    bool tcp_only = level == IPPROTO_TCP && socket->protocol != IPPROTO_TCP;
    if ((level != SOL_SOCKET && socket->family == AF_UNIX) || tcp_only)
        return -EOPNOTSUPP;
    int number = (int)get_number(socket, level, name);
    if (number >= 0)
        return give(&number, sizeof number, ret_value, size);
    const struct option *option = find(socket, level, name);
    number = 0;
    return option ? give(option->value, option->size, ret_value, size)
                  : give(&number, sizeof number, ret_value, size);
}
