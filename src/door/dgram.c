// Datagram sockets of the program's own: one address text to one socket.

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "conn/dgram.h"
#include "door/door.h"
#include "door/udp.h"
#include "kernel/kernel.h"
#include "name/name.h"
#include "wait/failure.h"

#define LOOKUP_TIMEOUT (30 * BELL_SECOND)

static int refuse(const char *address, const char *why)
{
    return failure_say(-EINVAL, "open %.200s: %s", address, why);
}

// ---- What is asked for --------------------------------------------------------------------------

static int check_options(const char *address, const struct bell_options *o)
{
    const unsigned families = BELL_IPV4_ONLY | BELL_IPV6_ONLY;
    if (o->size != sizeof *o)
        return refuse(address, "the size of the options is not that of this version");
    if (o->timeout < 0)
        return refuse(address, "a duration is negative");
    if (o->bind)
        return refuse(address, "the address is the one to bind to already");
    if ((o->flags & ~(families | BELL_REUSEPORT)) || (o->flags & families) == families)
        return refuse(address, "the flags make no sense");
    return sockopts_check(o->sockopts, "bell_dgram_open");
}

static enum addr_family family_of(const struct addr *addr, unsigned flags)
{
    if (flags & BELL_IPV4_ONLY)
        return ADDR_V4;
    if (flags & BELL_IPV6_ONLY)
        return ADDR_V6;
    // One socket has one address: on loopback that is the one of the course.
    return addr->family == ADDR_ANY && addr->loopback_default ? ADDR_V4 : addr->family;
}

static int look_up(const struct addr *addr, enum addr_family family, int64_t deadline,
                   struct name_list *ret_list)
{
    const char *reason = NULL;
    int rc = name_resolve(addr, family, deadline, ret_list, &reason);
    if (rc >= 0)
        return 0;
    const char *what = rc == -EINVAL ? addr->port : addr->host;
    (void)failure_say(rc, "%.100s: %s", what, reason ? reason : failure_word(rc));
    return rc;
}

// ---- Sockets ------------------------------------------------------------------------------------

// The first address that can be had. Every interface is one socket for both families, where there is
// IPv6.
static int open_udp(const char *address, const struct addr *addr, const struct bell_options *o)
{
    struct name_list list;
    enum addr_family family = family_of(addr, o->flags);
    int rc = look_up(addr, family, bell_in(o->timeout ? o->timeout : LOOKUP_TIMEOUT), &list);
    if (rc < 0)
        return rc;
    char refused[SOCKOPT_NAME_SIZE] = "";
    const struct udp_wish wish = {.sockopts = o->sockopts,
                                  .flags = o->flags,
                                  .both_families = addr->wildcard && family == ADDR_ANY,
                                  .addr = addr};
    rc = -EADDRNOTAVAIL;
    for (int i = 0; i < list.count; i++) {
        const union name_address *one = &list.addresses[i];
        rc = udp_open(&one->any, name_address_size(one), &wish, refused);
        if (rc >= 0 || (rc != -EAFNOSUPPORT && rc != -EADDRNOTAVAIL))
            break;
    }
    if (rc < 0)
        (void)failure_set(rc, "open %.200s%s%s", address, refused[0] ? ": socket option " : "",
                          refused);
    return rc;
}

// As a server does it: with the file of a Unix socket, which is taken away at the end.
static int open_as_server(const char *address, const struct bell_options *o,
                          struct listener **ret_listener)
{
    const struct bell_server_options options = {
        .size = sizeof options, .sockopts = o->sockopts, .flags = o->flags};
    int rc = listener_open(address, &options, true, ret_listener);
    return rc < 0 ? rc : (*ret_listener)->fd;
}

static void close_all(int fd, struct listener *listener)
{
    if (listener)
        listener_close(listener, true);
    else
        (void)kernel->close(fd);
    kernel->release(listener);
}

// Takes over both.
static bell_dgram *make_dgram(const char *address, int fd, struct listener *listener)
{
    bell_dgram *dgram = kernel->allocate(sizeof *dgram);
    int rc = dgram ? dgram_init(dgram, fd) : -ENOMEM;
    if (rc == 0) {
        dgram->listener = listener;
        return dgram;
    }
    close_all(fd, listener);
    kernel->release(dgram);
    failure_set(rc, "open %.200s", address);
    return NULL;
}

bell_dgram *bell_dgram_open(const char *address, const struct bell_options *options)
{
    static const struct bell_options none = {.size = sizeof none};
    const struct bell_options *o = options ? options : &none;
    if (!address)
        address = "udp:*:0";
    struct addr addr;
    char why[256];
    int rc = addr_parse(address, &addr, why, sizeof why);
    if (rc < 0) {
        failure_say(rc, "open %.200s: %s", address, why);
        return NULL;
    }
    if (check_options(address, o) < 0)
        return NULL;
    if (addr.scheme != ADDR_FD && addr.type != SOCK_DGRAM) {
        (void)refuse(address, "for datagrams it is udp:, unixgram: or fd:");
        return NULL;
    }
    struct listener *listener = NULL;
    int fd = addr.scheme == ADDR_INET ? open_udp(address, &addr, o)
                                      : open_as_server(address, o, &listener);
    return fd < 0 ? NULL : make_dgram(address, fd, listener);
}

int bell_dgram_close(bell_dgram *dgram)
{
    if (!dgram)
        return 0;
    const struct endpoint *endpoint = &dgram->endpoint;
    if (dgram->server)
        return failure_say(-EBUSY, "close %s: it is the server's", bell_dgram_local(dgram));
    bool registered = endpoint->interest || endpoint->calls[WAIT_IN] || endpoint->calls[WAIT_OUT];
    if (registered && endpoint->loop != loop_here())
        return failure_set(-EXDEV, "close %s", bell_dgram_local(dgram));
    int fd = endpoint->fd;
    dgram_finish(dgram);
    close_all(fd, dgram->listener);
    kernel->release(dgram);
    return 0;
}

// ---- Whom an address means ----------------------------------------------------------------------

static void put_address(struct bell_datagram *about, const void *address, size_t size)
{
    memcpy(&about->peer, address, size);
    about->peer_size = (socklen_t)size;
}

// A socket of IPv6 has IPv4 addresses in a form of its own, if it takes them at all.
static void put_mapped(struct bell_datagram *about, const struct sockaddr_in *ipv4)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = ipv4->sin_port};
    memset(&mapped.sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&mapped.sin6_addr.s6_addr[12], &ipv4->sin_addr, sizeof ipv4->sin_addr);
    put_address(about, &mapped, sizeof mapped);
}

static bool takes_ipv4(const bell_dgram *dgram)
{
    int only = 0;
    socklen_t size = sizeof only;
    int rc = kernel->getsockopt(dgram->endpoint.fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size);
    return rc == 0 && !only;
}

// The first one that the socket can send to.
static int choose(const bell_dgram *dgram, const struct name_list *list, bool ipv4_first,
                  struct bell_datagram *about)
{
    int family = dgram->bound.ss_family;
    bool ipv4 = family == AF_INET6 && takes_ipv4(dgram);
    for (int turn = ipv4_first ? 0 : 1; turn < 2; turn++)
        for (int i = 0; i < list->count; i++) {
            const union name_address *one = &list->addresses[i];
            if (turn == 0 && one->any.sa_family != AF_INET)
                continue;
            if (one->any.sa_family == family)
                put_address(about, one, name_address_size(one));
            else if (one->any.sa_family == AF_INET && ipv4)
                put_mapped(about, &one->ipv4);
            else
                continue;
            return 0;
        }
    return -EAFNOSUPPORT;
}

static int find_inet(bell_dgram *dgram, const struct addr *addr, struct bell_datagram *about)
{
    struct name_list list;
    int interface = udp_interface(addr);
    int rc = interface < 0 ? interface : look_up(addr, ADDR_ANY, dgram->deadline, &list);
    if (rc == 0)
        rc = choose(dgram, &list, addr->loopback_default, about);
    about->interface = interface < 0 ? 0 : (unsigned)interface;
    return rc;
}

int bell_dgram_find(bell_dgram *dgram, const char *address, struct bell_datagram *about)
{
    struct addr addr;
    char why[256];
    int rc = addr_parse(address, &addr, why, sizeof why);
    if (rc < 0)
        return failure_say(rc, "find %.200s: %s", address, why);
    bool is_one = addr.type == SOCK_DGRAM && !addr.wildcard && addr.scheme != ADDR_FD;
    if (!is_one || (addr.scheme == ADDR_UNIX) != dgram->is_unix)
        return failure_say(-EINVAL, "find %.200s: %s cannot send there", address,
                           bell_dgram_local(dgram));
    memset(about, 0, sizeof *about);
    if (addr.scheme == ADDR_INET)
        rc = find_inet(dgram, &addr, about);
    else
        about->peer_size = (socklen_t)addr_to_sockaddr(&addr, ADDR_ANY, &about->peer);
    return rc < 0 ? failure_set(rc, "find %.200s", address) : 0;
}
