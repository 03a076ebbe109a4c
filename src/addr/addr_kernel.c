// Addresses as the kernel has them, and writing both kinds.

#include "addr/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/text.h"

// An address of any family that the library knows. Copied out of what a caller has, whose alignment
// and size are not ours to trust.
union any_address {
    sa_family_t family;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un unix_path;
};

// What is missing is 0, so a family without its address is of no family.
static union any_address copy_address(const struct sockaddr *address, size_t size)
{
    union any_address any;
    memset(&any, 0, sizeof any);
    if (address)
        memcpy(&any, address, size < sizeof any ? size : sizeof any);
    bool whole = any.family == AF_INET    ? size >= sizeof any.ipv4
                 : any.family == AF_INET6 ? size >= sizeof any.ipv6
                                          : size >= sizeof any.family;
    if (!whole)
        any.family = AF_UNSPEC;
    return any;
}

static uint32_t last_word(const struct in6_addr *address)
{
    uint32_t word;
    memcpy(&word, &address->s6_addr[12], sizeof word);
    return ntohl(word);
}

// ---- to the kernel ----------------------------------------------------------------------------

static int make_unix(const struct addr *addr, struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, addr->path, addr->path_size);
    return (int)(offsetof(struct sockaddr_un, sun_path) + addr->path_size);
}

// A number, perhaps with an interface behind it.
static bool read_ipv4(const char *host, struct in_addr *ret_address)
{
    char number[INET_ADDRSTRLEN] = "";
    size_t size = strcspn(host, "%");
    if (size >= sizeof number)
        return false;
    memcpy(number, host, size);
    return inet_pton(AF_INET, number, ret_address) == 1;
}

static int make_ipv4(const struct addr *addr, in_port_t port, struct sockaddr_in *ret_address)
{
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    if (addr->wildcard || addr->loopback_default)
        ret_address->sin_addr.s_addr = htonl(addr->wildcard ? INADDR_ANY : INADDR_LOOPBACK);
    else if (!read_ipv4(addr->host, &ret_address->sin_addr))
        return -EINVAL;
    return sizeof *ret_address;
}

// The number of an interface; names of interfaces have to be looked up.
static int parse_scope(const char *scope, uint32_t *ret_scope)
{
    uint64_t value = 0;
    for (const char *c = scope; *c; c++) {
        if (*c < '0' || *c > '9')
            return -EINVAL;
        value = value * 10 + (uint64_t)(*c - '0');
        if (value > UINT32_MAX)
            return -EINVAL;
    }
    *ret_scope = (uint32_t)value;
    return 0;
}

static int make_ipv6(const struct addr *addr, in_port_t port, struct sockaddr_in6 *ret_address)
{
    *ret_address = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    if (addr->wildcard || addr->loopback_default) {
        ret_address->sin6_addr = addr->wildcard ? in6addr_any : in6addr_loopback;
        return sizeof *ret_address;
    }
    char number[INET6_ADDRSTRLEN] = "";
    size_t size = strcspn(addr->host, "%");
    if (size >= sizeof number)
        return -EINVAL;
    memcpy(number, addr->host, size);
    if (inet_pton(AF_INET6, number, &ret_address->sin6_addr) != 1)
        return -EINVAL;
    if (addr->host[size] == '%') {
        int rc = parse_scope(addr->host + size + 1, &ret_address->sin6_scope_id);
        if (rc < 0)
            return rc;
    }
    return sizeof *ret_address;
}

int addr_to_sockaddr(const struct addr *addr, enum addr_family family,
                     struct sockaddr_storage *ret_address)
{
    union any_address any;
    memset(&any, 0, sizeof any);
    int size = -EINVAL;
    if (addr->scheme == ADDR_UNIX) {
        size = make_unix(addr, &any.unix_path);
    } else if (addr->scheme == ADDR_INET) {
        int port = addr_port_number(addr->port);
        if (port < 0)
            return port;
        if (family != ADDR_ANY && addr->family != ADDR_ANY && family != addr->family)
            return -EAFNOSUPPORT;
        in_port_t net_port = htons((uint16_t)port);
        if (family == ADDR_V6 || addr->family == ADDR_V6)
            size = make_ipv6(addr, net_port, &any.ipv6);
        else
            size = make_ipv4(addr, net_port, &any.ipv4);
    }
    if (size < 0)
        return size;
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, &any, (size_t)size);
    return size;
}

// ---- to people --------------------------------------------------------------------------------

// Two slashes at the beginning of a path would be taken for those of a URL; so they get them. A
// file whose name begins with @ is not to be taken for an abstract name.
static void add_unix(struct text *text, const char *path, size_t size)
{
    if (size >= 2 && memcmp(path, "//", 2) == 0)
        text_add(text, "//");
    bool abstract = size > 0 && path[0] == '\0';
    bool at_sign = size > 0 && path[0] == '@';
    if (abstract)
        text_add(text, "@");
    if (at_sign)
        text_add(text, "\\x40");
    size_t first = abstract || at_sign;
    text_escape(text, path + first, size - first);
}

static const char *inet_word(int type)
{
    return type == SOCK_DGRAM ? "udp" : "tcp";
}

static const char *unix_word(int type)
{
    return type == SOCK_DGRAM ? "unixgram:" : type == SOCK_SEQPACKET ? "unixpacket:" : "unix:";
}

size_t addr_describe(const struct addr *addr, char *ret_text, size_t text_size)
{
    struct text text;
    text_init(&text, ret_text, text_size);
    switch (addr->scheme) {
    case ADDR_UNIX:
        text_add(&text, unix_word(addr->type));
        if (addr->path_size == 0)
            text_add(&text, "@");
        else
            add_unix(&text, addr->path, addr->path[0] ? addr->path_size - 1 : addr->path_size);
        return text.length;
    case ADDR_FD:
        text_addf(&text, "fd:%d", addr->fd);
        return text.length;
    case ADDR_INET:
        break;
    }
    struct in_addr number;
    bool ipv6 = strchr(addr->host, ':') != NULL;
    bool shows_family = ipv6 || read_ipv4(addr->host, &number);
    text_add(&text, inet_word(addr->type));
    if (shows_family || addr->family == ADDR_ANY)
        text_add(&text, ":");
    else
        text_addf(&text, "%c:", addr->family == ADDR_V4 ? '4' : '6');
    if (addr->wildcard)
        text_add(&text, "*:");
    else if (addr->host[0])
        text_addf(&text, ipv6 ? "[%s]:" : "%s:", addr->host);
    else if (addr_port_number(addr->port) < 0)
        text_add(&text, ":"); // a service alone would be taken for a host
    text_add(&text, addr->port);
    return text.length;
}

static void add_ipv4(struct text *text, uint32_t address, in_port_t port)
{
    text_addf(text, "%u.%u.%u.%u:%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
              address & 255, ntohs(port));
}

static void add_ipv6(struct text *text, const struct sockaddr_in6 *address)
{
    if (IN6_IS_ADDR_V4MAPPED(&address->sin6_addr)) {
        add_ipv4(text, last_word(&address->sin6_addr), address->sin6_port);
        return;
    }
    char number[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET6, &address->sin6_addr, number, sizeof number); // there is room
    text_addf(text, "[%s", number);
    if (address->sin6_scope_id != 0)
        text_addf(text, "%%%u", address->sin6_scope_id);
    text_addf(text, "]:%u", ntohs(address->sin6_port));
}

size_t addr_print_of(int type, const struct sockaddr *address, socklen_t size, char *ret_text,
                     size_t text_size)
{
    struct text text;
    text_init(&text, ret_text, text_size);
    const union any_address any = copy_address(address, size);
    const size_t begin = offsetof(struct sockaddr_un, sun_path);
    size_t path_size = size > begin ? size - begin : 0;
    if (path_size > sizeof any.unix_path.sun_path)
        path_size = sizeof any.unix_path.sun_path;

    if (any.family == AF_INET || any.family == AF_INET6)
        text_addf(&text, "%s:", inet_word(type));
    switch (any.family) {
    case AF_INET:
        add_ipv4(&text, ntohl(any.ipv4.sin_addr.s_addr), any.ipv4.sin_port);
        break;
    case AF_INET6:
        add_ipv6(&text, &any.ipv6);
        break;
    case AF_UNIX:
        if (any.unix_path.sun_path[0])
            path_size = strnlen(any.unix_path.sun_path, path_size);
        text_add(&text, unix_word(type));
        add_unix(&text, any.unix_path.sun_path, path_size);
        break;
    default:
        text_add(&text, "an unknown address");
    }
    return text.length;
}

size_t addr_print(const struct sockaddr *address, socklen_t size, char *ret_text, size_t text_size)
{
    return addr_print_of(SOCK_STREAM, address, size, ret_text, text_size);
}

bool addr_is_group(const struct sockaddr *address, socklen_t size)
{
    const union any_address any = copy_address(address, size);
    const struct in6_addr *ipv6 = &any.ipv6.sin6_addr;
    uint32_t ipv4;
    if (any.family == AF_INET)
        ipv4 = ntohl(any.ipv4.sin_addr.s_addr);
    else if (any.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(ipv6))
        ipv4 = last_word(ipv6);
    else
        return any.family == AF_INET6 && IN6_IS_ADDR_MULTICAST(ipv6);
    return IN_MULTICAST(ipv4) || ipv4 == INADDR_BROADCAST;
}

// ---- limits -----------------------------------------------------------------------------------

bool addr_is_loopback(const struct sockaddr *address, socklen_t size)
{
    const union any_address any = copy_address(address, size);
    const struct in6_addr *ipv6 = &any.ipv6.sin6_addr;
    switch (any.family) {
    case AF_INET:
        return ntohl(any.ipv4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(ipv6) ||
               (IN6_IS_ADDR_V4MAPPED(ipv6) && last_word(ipv6) >> 24 == 127);
    default:
        return any.family == AF_UNIX;
    }
}

// An IPv4 address is marked by a bit above it. No IPv6 address begins so: 0:1::/32 is reserved, as
// all of ::/8 is (RFC 4291, 2.4).
static uint64_t key_of_ipv4(uint32_t address)
{
    return (uint64_t)1 << 32 | address;
}

static uint64_t key_of_ipv6(const struct in6_addr *address)
{
    static const uint8_t translated[12] = {0, 0x64, 0xff, 0x9b}; // RFC 6052, 2.1
    if (IN6_IS_ADDR_V4MAPPED(address) || memcmp(address, translated, sizeof translated) == 0)
        return key_of_ipv4(last_word(address));
    uint64_t prefix = 0;
    for (size_t i = 0; i < sizeof prefix; i++)
        prefix = prefix << 8 | address->s6_addr[i];
    return prefix ? prefix : 1;
}

bool addr_key(const struct sockaddr *address, socklen_t size, uint64_t *ret_key)
{
    const union any_address any = copy_address(address, size);
    if (addr_is_loopback(address, size))
        return false;
    if (any.family == AF_INET)
        *ret_key = key_of_ipv4(ntohl(any.ipv4.sin_addr.s_addr));
    else if (any.family == AF_INET6)
        *ret_key = key_of_ipv6(&any.ipv6.sin6_addr);
    else
        return false;
    return true;
}
