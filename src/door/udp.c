// Sockets for UDP.

#include "door/udp.h"

#include <doorbell.h>
#include <errno.h>
#include <netinet/in.h>

#include "conn/dgram.h"
#include "kernel/kernel.h"

int udp_interface(const struct addr *addr)
{
    const char *name = addr_interface(addr);
    if (!name[0])
        return 0;
    int number = addr_port_number(name); // interfaces may be told by number, too
    return number > 0 ? number : kernel->interface(name);
}

int udp_send_by(int fd, const struct addr *addr)
{
    int number = udp_interface(addr);
    if (number <= 0)
        return number;
    if (addr->family == ADDR_V6)
        return kernel->setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &number, sizeof number);
    struct ip_mreqn by = {.imr_ifindex = number};
    return kernel->setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by);
}

static int join(int fd, const struct sockaddr *address, const struct addr *addr)
{
    int number = udp_interface(addr);
    if (number < 0)
        return number;
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)address;
        struct ipv6_mreq group = {.ipv6mr_multiaddr = ipv6->sin6_addr,
                                  .ipv6mr_interface = (unsigned)number};
        return kernel->setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof group);
    }
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)address;
    struct ip_mreqn group = {.imr_multiaddr = ipv4->sin_addr, .imr_ifindex = number};
    return kernel->setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
}

static int set_flag(int fd, int level, int name, int value)
{
    return kernel->setsockopt(fd, level, name, &value, sizeof value);
}

// SO_REUSEADDR would let two servers of one port take each other's datagrams; but every member of a group is
// given all of them.
static int set_options(int fd, const struct sockaddr *address, bool is_group,
                       const struct udp_wish *wish, char refused[SOCKOPT_NAME_SIZE])
{
    int rc = is_group ? set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) : 0;
    if (rc == 0 && (wish->flags & BELL_REUSEPORT))
        rc = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && address->sa_family == AF_INET6)
        rc = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, !wish->both_families);
    return rc == 0 ? sockopts_set(fd, wish->sockopts, refused) : rc;
}

int udp_open(const struct sockaddr *address, socklen_t size, const struct udp_wish *wish,
             char refused[SOCKOPT_NAME_SIZE])
{
    int fd = kernel->socket(address->sa_family, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    bool is_group = addr_is_group(address, size);
    int rc = set_options(fd, address, is_group, wish, refused);
    if (rc == 0)
        rc = dgram_ask_for_local(fd, address);
    if (rc == 0)
        rc = kernel->bind(fd, address, size);
    if (rc == 0 && is_group)
        rc = join(fd, address, wish->addr);
    if (rc == 0 && is_group)
        rc = udp_send_by(fd, wish->addr);
    if (rc == 0)
        return fd;
    (void)kernel->close(fd);
    return rc;
}
