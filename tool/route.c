// The way to an address: what rtnetlink(7) knows. No other call tells the link address of a neighbour, and
// ip(8) need not be installed.

#include "route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 2048, ADDRESS_MAX = 16 };

// A question, and later its answer.
union message {
    struct nlmsghdr header;
    char bytes[MESSAGE_SIZE];
};

// An address as netlink has them: bytes of a family.
struct place {
    int family;
    size_t size;
    unsigned char bytes[ADDRESS_MAX];
};

static void begin(union message *message, int type, const void *body, size_t size)
{
    memset(message, 0, sizeof *message);
    message->header = (struct nlmsghdr){
        .nlmsg_len = (unsigned)NLMSG_LENGTH(size),
        .nlmsg_type = (unsigned short)type,
        .nlmsg_flags = NLM_F_REQUEST,
    };
    memcpy(NLMSG_DATA(&message->header), body, size);
}

static void add(union message *message, int type, const void *data, size_t size)
{
    char *end = message->bytes + NLMSG_ALIGN(message->header.nlmsg_len);
    const struct rtattr head = {
        .rta_len = (unsigned short)RTA_LENGTH(size),
        .rta_type = (unsigned short)type,
    };
    memcpy(end, &head, sizeof head);
    memcpy(end + RTA_LENGTH(0), data, size);
    message->header.nlmsg_len =
        (unsigned)(NLMSG_ALIGN(message->header.nlmsg_len) + RTA_ALIGN(head.rta_len));
}

// Puts the answer in place of the question. The kernel answers before send returns.
static int ask(int fd, union message *message)
{
    if (send(fd, message, message->header.nlmsg_len, 0) < 0)
        return -errno;
    ssize_t size = recv(fd, message, sizeof *message, 0);
    if (size < 0)
        return -errno;
    if (!NLMSG_OK(&message->header, (size_t)size))
        return -EBADMSG;
    if (message->header.nlmsg_type != NLMSG_ERROR)
        return 0;
    const struct nlmsgerr *error = NLMSG_DATA(&message->header);
    return error->error < 0 ? error->error : -EBADMSG;
}

// The macros of netlink(3) and rtnetlink(3) know no const.

// Where attributes are that follow a body of this size; `ret_rest` are the bytes of them.
static struct rtattr *attributes(union message *message, size_t body, size_t *ret_rest)
{
    *ret_rest = message->header.nlmsg_len - NLMSG_SPACE(body);
    return (struct rtattr *)(void *)(message->bytes + NLMSG_SPACE(body));
}

static struct rtattr *find(union message *message, size_t body, int type)
{
    size_t rest;
    struct rtattr *at = attributes(message, body, &rest);
    for (; RTA_OK(at, rest); at = RTA_NEXT(at, rest))
        if (at->rta_type == type)
            return at;
    return NULL;
}

static bool take_place(struct rtattr *attribute, int family, struct place *ret)
{
    size_t size = family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
    if (!attribute || RTA_PAYLOAD(attribute) < size)
        return false;
    *ret = (struct place){.family = family, .size = size};
    memcpy(ret->bytes, RTA_DATA(attribute), size);
    return true;
}

static void print_place(const struct place *place, char *text, size_t size)
{
    (void)inet_ntop(place->family, place->bytes, text, (socklen_t)size);
}

// As many bytes as the interface has; Ethernet has six.
static void print_link(struct rtattr *attribute, char *text, size_t size)
{
    const unsigned char *bytes = RTA_DATA(attribute);
    size_t used = 0;
    for (size_t i = 0; i < RTA_PAYLOAD(attribute) && used + 4 < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%02X", i ? "-" : "", bytes[i]);
}

static struct place place_of(const struct sockaddr_storage *to, unsigned *ret_interface)
{
    struct place place = {.family = to->ss_family};
    *ret_interface = 0;
    if (to->ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)to;
        place.size = sizeof ipv6->sin6_addr;
        memcpy(place.bytes, &ipv6->sin6_addr, place.size);
        *ret_interface = ipv6->sin6_scope_id;
    } else {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)to;
        place.size = sizeof ipv4->sin_addr;
        memcpy(place.bytes, &ipv4->sin_addr, place.size);
    }
    return place;
}

// IPv4 by way of an IPv6 neighbour (RFC 5549) has an attribute of its own.
static bool take_gateway(union message *message, int family, struct place *ret)
{
    struct rtattr *via = find(message, sizeof(struct rtmsg), RTA_VIA);
    if (!via || RTA_PAYLOAD(via) < sizeof(struct rtvia) + sizeof(struct in6_addr))
        return take_place(find(message, sizeof(struct rtmsg), RTA_GATEWAY), family, ret);
    const struct rtvia *there = RTA_DATA(via);
    *ret = (struct place){.family = AF_INET6, .size = sizeof(struct in6_addr)};
    memcpy(ret->bytes, there->rtvia_addr, ret->size);
    return true;
}

static int ask_for_route(int fd, const struct sockaddr_storage *to, union message *message)
{
    unsigned interface;
    struct place place = place_of(to, &interface);
    const struct rtmsg question = {
        .rtm_family = (unsigned char)place.family,
        .rtm_dst_len = (unsigned char)(8 * place.size),
    };
    begin(message, RTM_GETROUTE, &question, sizeof question);
    add(message, RTA_DST, place.bytes, place.size);
    if (interface)
        add(message, RTA_OIF, &interface, sizeof interface);
    return ask(fd, message);
}

static enum neighbour neighbour_in(union message *message, struct route *route)
{
    const struct ndmsg *answer = NLMSG_DATA(&message->header);
    struct rtattr *link = find(message, sizeof *answer, NDA_LLADDR);
    if (answer->ndm_state & NUD_NOARP)
        return NEIGHBOUR_NONE;
    if (answer->ndm_state & (NUD_INCOMPLETE | NUD_FAILED))
        return NEIGHBOUR_SILENT;
    if (!link)
        return NEIGHBOUR_UNKNOWN;
    print_link(link, route->link, sizeof route->link);
    return NEIGHBOUR_KNOWN;
}

static bool has_neighbours(int fd, const char *interface)
{
    struct ifreq request = {.ifr_flags = 0};
    memcpy(request.ifr_name, interface, IF_NAMESIZE);
    return ioctl(fd, SIOCGIFFLAGS, &request) < 0 ||
           !(request.ifr_flags & (IFF_LOOPBACK | IFF_NOARP | IFF_POINTOPOINT));
}

static void find_neighbour(int fd, const struct place *next, unsigned interface,
                           struct route *route)
{
    union message message;
    const struct ndmsg question = {
        .ndm_family = (unsigned char)next->family,
        .ndm_ifindex = (int)interface,
    };
    if (route->this_machine || !has_neighbours(fd, route->interface))
        return;
    begin(&message, RTM_GETNEIGH, &question, sizeof question);
    add(&message, NDA_DST, next->bytes, next->size);
    route->neighbour = ask(fd, &message) < 0 ? NEIGHBOUR_UNKNOWN : neighbour_in(&message, route);
}

static void read_route(int fd, const struct sockaddr_storage *to, union message *message,
                       struct route *route)
{
    const struct rtmsg *answer = NLMSG_DATA(&message->header);
    struct rtattr *out = find(message, sizeof *answer, RTA_OIF);
    unsigned interface = 0;
    struct place next = place_of(to, &interface), local;
    if (out && RTA_PAYLOAD(out) >= sizeof interface)
        memcpy(&interface, RTA_DATA(out), sizeof interface);
    (void)if_indextoname(interface, route->interface);
    route->this_machine = answer->rtm_type == RTN_LOCAL;
    if (take_place(find(message, sizeof *answer, RTA_PREFSRC), to->ss_family, &local))
        print_place(&local, route->local, sizeof route->local);
    route->is_gateway = take_gateway(message, to->ss_family, &next);
    print_place(&next, route->next, sizeof route->next);
    find_neighbour(fd, &next, interface, route);
}

int route_find(const struct sockaddr_storage *to, struct route *ret_route)
{
    union message message;
    struct route route = {.neighbour = NEIGHBOUR_NONE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    int rc = ask_for_route(fd, to, &message);
    if (rc == 0) {
        read_route(fd, to, &message, &route);
        *ret_route = route;
    }
    (void)close(fd);
    return rc;
}
