#include "addr/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

// No address that can be used is longer; what is, is not even looked through.
enum { TEXT_MAX = 2048, SHOWN = 60 };

// ---- Reading ----------------------------------------------------------------------------------

struct reason {
    char *text;
    size_t size;
};

static int refuse(const struct reason *why, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(const struct reason *why, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why->text, why->size, format, arguments);
    va_end(arguments);
    return error;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_number(const char *text)
{
    const char *c = text;
    while (is_digit(*c))
        c++;
    return c > text && !*c;
}

// RFC 6335, 5.1: a service name has letters, digits and hyphens, and at least one letter; those of
// /etc/services have dots, underscores and plus signs, too. It must begin with a letter here, so that
// 5000x is taken for what it is: a mistyped number.
static bool is_service_name(const char *text)
{
    if (!is_letter(text[0]))
        return false;
    for (const char *c = text; *c; c++)
        if (!is_letter(*c) && !is_digit(*c) && !strchr("-._+", *c))
            return false;
    return true;
}

static int parse_port(const char *text, struct addr *ret, const struct reason *why)
{
    size_t length = strlen(text);
    if (length == 0)
        return refuse(why, -EINVAL, "the port is missing");
    if (length >= sizeof ret->port)
        return refuse(why, -EINVAL, "port %.*s... is too long", SHOWN, text);
    if (is_number(text)) {
        const char *digits = text + strspn(text, "0");
        if (strlen(digits) > 5 || (strlen(digits) == 5 && strcmp(digits, "65535") > 0))
            return refuse(why, -EINVAL, "port %s is above 65535", text);
        (void)snprintf(ret->port, sizeof ret->port, "%s", *digits ? digits : "0");
        return 0;
    }
    if (!is_service_name(text))
        return refuse(why, -EINVAL, "port %s is neither a number from 0 to 65535 nor a service name",
                      text);
    memcpy(ret->port, text, length + 1);
    return 0;
}

static int parse_host(const char *text, size_t length, struct addr *ret, const struct reason *why)
{
    if (length >= sizeof ret->host)
        return refuse(why, -EINVAL, "host %.*s... is too long", SHOWN, text);
    memcpy(ret->host, text, length);
    ret->host[length] = 0;
    if (!strcmp(ret->host, "*")) {
        ret->wildcard = true;
        ret->host[0] = 0;
    }
    ret->loopback_default = !strcmp(ret->host, "localhost") || (length == 0 && !ret->wildcard);
    for (const char *c = ret->host; *c; c++)
        if (!is_letter(*c) && !is_digit(*c) && !strchr("-._:%", *c))
            return refuse(why, -EINVAL, "host %.*s has a %c in it, which no host name has", SHOWN,
                          ret->host, *c);
    if (ret->host[0] == '-')
        return refuse(why, -EINVAL, "host %.*s begins with a hyphen", SHOWN, ret->host);
    return 0;
}

static int parse_bracketed(const char *text, struct addr *ret, const struct reason *why)
{
    const char *end = strchr(text, ']');
    if (!end)
        return refuse(why, -EINVAL, "the ] after the IPv6 address is missing");
    int rc = parse_host(text + 1, (size_t)(end - text) - 1, ret, why);
    if (rc < 0)
        return rc;
    struct in6_addr address;
    char digits[ADDR_HOST_SIZE];
    (void)snprintf(digits, sizeof digits, "%.*s", (int)strcspn(ret->host, "%"), ret->host);
    if (inet_pton(AF_INET6, digits, &address) != 1)
        return refuse(why, -EINVAL, "%.*s is not an IPv6 address", SHOWN, ret->host);
    ret->family = ADDR_V6;
    if (end[1] != ':')
        return refuse(why, -EINVAL, "after ] a colon and a port are wanted");
    return parse_port(end + 2, ret, why);
}

static int parse_tcp(const char *text, struct addr *ret, const struct reason *why)
{
    ret->scheme = ADDR_TCP;
    if (text[0] == '[')
        return parse_bracketed(text, ret, why);
    const char *colon = strrchr(text, ':');
    if (!colon) {
        ret->loopback_default = true;
        if (!is_number(text))
            return refuse(why, -EINVAL, "%.*s: a port is missing (HOST:PORT), or a number alone is wanted",
                          SHOWN, text);
        return parse_port(text, ret, why);
    }
    if (memchr(text, ':', (size_t)(colon - text)))
        return refuse(why, -EINVAL, "%.*s is ambiguous: put the IPv6 address in brackets, [%.*s]:%.*s",
                      SHOWN, text, (int)(colon - text < SHOWN ? colon - text : SHOWN), text, SHOWN,
                      colon + 1);
    int rc = parse_host(text, (size_t)(colon - text), ret, why);
    return rc < 0 ? rc : parse_port(colon + 1, ret, why);
}

static int parse_unix(const char *text, struct addr *ret, const struct reason *why)
{
    ret->scheme = ADDR_UNIX;
    size_t length = strlen(text);
    bool abstract = text[0] == '@';
    if (length == 0 || (abstract && length == 1))
        return refuse(why, -EINVAL, "the name of the Unix socket is missing");
    // An abstract name has a NUL before it, in place of the @; a path has one behind it.
    ret->path_size = abstract ? length : length + 1;
    if (ret->path_size > sizeof ret->path)
        return refuse(why, -ENAMETOOLONG, "the path of a Unix socket has %zu bytes, and may have 107",
                      length);
    memcpy(ret->path, text, length);
    if (abstract)
        ret->path[0] = 0;
    return 0;
}

static int parse_fd(const char *text, struct addr *ret, const struct reason *why)
{
    ret->scheme = ADDR_FD;
    if (!is_number(text) || strlen(text) > 7)
        return refuse(why, -EINVAL, "fd:%.*s: the number of a descriptor is wanted", SHOWN, text);
    ret->fd = 0;
    for (; *text; text++)
        ret->fd = ret->fd * 10 + (*text - '0');
    return 0;
}

// The text behind "SCHEME:" or "SCHEME://"; NULL when it does not begin so.
static const char *after_scheme(const char *text, const char *scheme)
{
    size_t length = strlen(scheme);
    if (strncmp(text, scheme, length) != 0 || text[length] != ':')
        return NULL;
    text += length + 1;
    return strncmp(text, "//", 2) == 0 ? text + 2 : text;
}

static int parse_scheme(const char *text, struct addr *ret, const struct reason *why)
{
    static const char *const later[] = {"udp", "tls", "unixgram", "unixpacket", "sctp", "raw"};
    static const char *const tcp[] = {"tcp", "tcp4", "tcp6"};
    const char *rest;
    for (size_t i = 0; i < sizeof tcp / sizeof *tcp; i++)
        if ((rest = after_scheme(text, tcp[i]))) {
            ret->family = (enum addr_family)i;
            int rc = parse_tcp(rest, ret, why);
            if (rc == 0 && i && ret->family != (enum addr_family)i)
                return refuse(why, -EINVAL, "%s: and an IPv6 address", tcp[i]);
            return rc;
        }
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (after_scheme(text, later[i]))
            return refuse(why, -EPROTONOSUPPORT, "%s: is not there yet", later[i]);
    if ((rest = after_scheme(text, "unix")))
        return parse_unix(rest, ret, why);
    if ((rest = after_scheme(text, "fd")))
        return parse_fd(rest, ret, why);
    if (text[0] == '@' || strchr(text, '/'))
        return parse_unix(text, ret, why);
    return parse_tcp(text, ret, why);
}

int addr_parse(const char *text, struct addr *ret_addr, char *why_text, size_t why_size)
{
    const struct reason why = {why_text, why_size};
    size_t length = strnlen(text, TEXT_MAX);
    if (length == 0)
        return refuse(&why, -EINVAL, "the address is empty");
    if (length == TEXT_MAX)
        return refuse(&why, -EINVAL, "the address is longer than %d bytes", TEXT_MAX - 1);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return refuse(&why, -EINVAL, "the address has a control character (0x%02x) in it",
                          (unsigned)(unsigned char)*c);
    struct addr addr = {.fd = -1};
    int rc = parse_scheme(text, &addr, &why);
    if (rc == 0)
        *ret_addr = addr;
    return rc;
}

// ---- Writing ----------------------------------------------------------------------------------

static void print_ipv4(const void *address, in_port_t port, char *text, size_t size)
{
    char digits[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, address, digits, sizeof digits);
    (void)snprintf(text, size, "tcp:%s:%u", digits, ntohs(port));
}

static void print_ipv6(const struct sockaddr_in6 *address, char *text, size_t size)
{
    if (IN6_IS_ADDR_V4MAPPED(&address->sin6_addr)) {
        print_ipv4(&address->sin6_addr.s6_addr[12], address->sin6_port, text, size);
        return;
    }
    char digits[INET6_ADDRSTRLEN], scope[16] = "";
    (void)inet_ntop(AF_INET6, &address->sin6_addr, digits, sizeof digits);
    if (address->sin6_scope_id)
        (void)snprintf(scope, sizeof scope, "%%%u", address->sin6_scope_id);
    (void)snprintf(text, size, "tcp:[%s%s]:%u", digits, scope, ntohs(address->sin6_port));
}

static void print_unix(const struct sockaddr_un *address, size_t size, char *text, size_t text_size)
{
    size_t begin = offsetof(struct sockaddr_un, sun_path);
    size_t count = size > begin ? size - begin : 0;
    bool abstract = count > 0 && address->sun_path[0] == 0;
    if (!abstract)
        count = strnlen(address->sun_path, count);
    size_t at = (size_t)snprintf(text, text_size, "unix:%s", abstract ? "@" : "");
    for (size_t i = abstract; i < count && at < text_size; i++) {
        unsigned char c = (unsigned char)address->sun_path[i];
        const char *format = c >= 0x20 && c < 0x7f && c != '\\' ? "%c" : "\\x%02x";
        at += (size_t)snprintf(text + at, text_size - at, format, c);
    }
}

void addr_print(const struct sockaddr *address, socklen_t size, char *text, size_t text_size)
{
    if (text_size == 0)
        return;
    const void *any = address;
    if (size >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET) {
        const struct sockaddr_in *ipv4 = any;
        print_ipv4(&ipv4->sin_addr, ipv4->sin_port, text, text_size);
    } else if (size >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6) {
        print_ipv6(any, text, text_size);
    } else if (size >= sizeof(sa_family_t) && address->sa_family == AF_UNIX) {
        print_unix(any, size, text, text_size);
    } else {
        (void)snprintf(text, text_size, "an unknown address");
    }
}

// ---- Limits -----------------------------------------------------------------------------------

static bool key_of_ipv4(uint32_t address, uint64_t *ret_key)
{
    if (address >> 24 == 127)
        return false;
    *ret_key = (uint64_t)1 << 32 | address;
    return true;
}

bool addr_key(const struct sockaddr *address, socklen_t size, uint64_t *ret_key)
{
    const void *any = address;
    if (size >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET)
        return key_of_ipv4(ntohl(((const struct sockaddr_in *)any)->sin_addr.s_addr), ret_key);
    if (size < sizeof(struct sockaddr_in6) || address->sa_family != AF_INET6)
        return false;
    const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)any)->sin6_addr;
    if (IN6_IS_ADDR_LOOPBACK(ipv6))
        return false;
    uint32_t last;
    memcpy(&last, &ipv6->s6_addr[12], sizeof last);
    if (IN6_IS_ADDR_V4MAPPED(ipv6))
        return key_of_ipv4(ntohl(last), ret_key);
    uint64_t prefix;
    memcpy(&prefix, ipv6->s6_addr, sizeof prefix);
    *ret_key = prefix ? prefix : 1;
    return true;
}
