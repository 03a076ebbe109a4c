// Hosts and addresses.

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim/net.h"

static const unsigned char ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

// ---- Places -----------------------------------------------------------------------------------

bool place_is_ipv4(const struct place *place)
{
    return !memcmp(place->ip, ipv4_prefix, sizeof ipv4_prefix);
}

static bool is_zero(const unsigned char *bytes, int count)
{
    while (count > 0 && bytes[count - 1] == 0)
        count--;
    return count == 0;
}

bool place_is_any(const struct place *place)
{
    return place_is_ipv4(place) ? is_zero(place->ip + 12, 4) : is_zero(place->ip, 16);
}

bool place_is_loopback(const struct place *place)
{
    return place_is_ipv4(place) ? place->ip[12] == 127
                                : is_zero(place->ip, 15) && place->ip[15] == 1;
}

bool place_is_group(const struct place *place)
{
    return place_is_ipv4(place) ? place->ip[12] >= 224 && place->ip[12] < 240
                                : place->ip[0] == 0xff;
}

bool place_same_ip(const struct place *one, const struct place *other)
{
    return !memcmp(one->ip, other->ip, sizeof one->ip);
}

bool place_same(const struct place *one, const struct place *other)
{
    return one->port == other->port && place_same_ip(one, other);
}

static int read_ipv6(const struct sockaddr *address, socklen_t size, struct place *place)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    if (size < sizeof *in6)
        return -EINVAL;
    memcpy(place->ip, &in6->sin6_addr, 16);
    place->port = ntohs(in6->sin6_port);
    return 0;
}

static int read_ipv4(const struct sockaddr *address, socklen_t size, struct place *place)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
    if (size < sizeof *in)
        return -EINVAL;
    memcpy(place->ip, ipv4_prefix, sizeof ipv4_prefix);
    memcpy(place->ip + 12, &in->sin_addr, 4);
    place->port = ntohs(in->sin_port);
    return 0;
}

int place_read(const struct sockaddr *address, socklen_t size, int family, struct place *ret_place)
{
    if (size < sizeof(sa_family_t))
        return -EINVAL;
    if (family == AF_INET6 && size < 24) // SIN6_LEN_RFC2133 of Linux; looked at before the family
        return -EINVAL;
    if (address->sa_family != family)
        return -EAFNOSUPPORT;
    return family == AF_INET6 ? read_ipv6(address, size, ret_place)
                              : read_ipv4(address, size, ret_place);
}

void place_write(const struct place *place, int family, struct sockaddr *ret_address,
                 socklen_t *size)
{
    union {
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } whole = {0};
    socklen_t needed = family == AF_INET6 ? sizeof whole.in6 : sizeof whole.in;
    if (family == AF_INET6) {
        whole.in6.sin6_family = AF_INET6;
        whole.in6.sin6_port = htons(place->port);
        memcpy(&whole.in6.sin6_addr, place->ip, 16);
    } else {
        whole.in.sin_family = AF_INET;
        whole.in.sin_port = htons(place->port);
        memcpy(&whole.in.sin_addr, place->ip + 12, 4);
    }
    memcpy(ret_address, &whole, *size < needed ? *size : needed);
    *size = needed;
}

const char *place_print(const struct place *place, char *ret_text, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "";
    if (place_is_ipv4(place)) {
        (void)inet_ntop(AF_INET, place->ip + 12, ip, sizeof ip);
        (void)snprintf(ret_text, size, "%s:%u", ip, place->port);
    } else {
        (void)inet_ntop(AF_INET6, place->ip, ip, sizeof ip);
        (void)snprintf(ret_text, size, "[%s]:%u", ip, place->port);
    }
    return ret_text;
}

// ---- Hosts ------------------------------------------------------------------------------------

struct host *host_by_name(const char *name)
{
    for (int i = 0; i < world.host_count; i++)
        if (!strcmp(world.hosts[i]->name, name))
            return world.hosts[i];
    return NULL;
}

struct host *host_add(const char *name)
{
    struct host *host = host_by_name(name);
    if (host || world.host_count == SIM_HOSTS_MAX)
        return host;
    host = world_take(sizeof *host);
    host->number = world.host_count + 1;
    host->next_port = (uint16_t)(32768 + world_below(20000));
    (void)snprintf(host->name, sizeof host->name, "%s", name);
    list_init(&host->sockets);
    list_init(&host->paths);
    world.hosts[world.host_count++] = host;
    return host;
}

void host_address(const struct host *host, const struct place *like, struct place *ret_place)
{
    memset(ret_place->ip, 0, sizeof ret_place->ip);
    if (place_is_ipv4(like)) {
        memcpy(ret_place->ip, ipv4_prefix, sizeof ipv4_prefix);
        ret_place->ip[12] = 10;
    } else {
        ret_place->ip[0] = 0xfd;
    }
    ret_place->ip[15] = (unsigned char)host->number;
}

bool host_has(const struct host *host, const struct place *place)
{
    struct place own;
    host_address(host, place, &own);
    return place_is_loopback(place) || place_same_ip(&own, place);
}

struct host *host_at(const struct host *from, const struct place *place)
{
    int number = place->ip[15];
    if (place_is_loopback(place))
        return world.hosts[from->number - 1];
    if (number < 1 || number > world.host_count)
        return NULL;
    struct host *host = world.hosts[number - 1];
    return host_has(host, place) ? host : NULL;
}

void net_forget_hosts(void)
{
    for (int i = 0; i < world.host_count; i++)
        world_release(world.hosts[i]);
    world.host_count = 0;
}
