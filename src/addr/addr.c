// Reading addresses. Each parse function gets a part of the text and either fills in its fields of
// the address or refuses with a sentence; all but addr_parse write into an address that nobody sees
// if they fail.

#include "addr/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

// A part of the text.
struct part {
    const char *at;
    size_t size;
};

// A part as it is shown in a sentence. Strangers' texts may be long and hold anything.
struct shown {
    char text[48];
};

static struct shown show(struct part part)
{
    struct shown shown = {.text = ""};
    struct text text;
    text_init(&text, shown.text, sizeof shown.text);
    text_escape(&text, part.at, part.size);
    return shown;
}

__attribute__((format(printf, 3, 4))) static int refuse(struct text *why, int error,
                                                        const char *format, ...)
{
    char sentence[256];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    text_add(why, sentence);
    return error;
}

static struct part skip(struct part part, size_t count)
{
    return (struct part){part.at + count, part.size - count};
}

static const char *find(struct part part, char c)
{
    return part.size > 0 ? memchr(part.at, c, part.size) : NULL;
}

static const char *find_last(struct part part, char c)
{
    return memrchr(part.at, c, part.size);
}

static struct part before(struct part part, const char *end)
{
    return (struct part){part.at, (size_t)(end - part.at)};
}

static struct part after(struct part part, const char *end)
{
    return skip(part, (size_t)(end + 1 - part.at));
}

static bool is(struct part part, const char *word)
{
    return strlen(word) == part.size && strncasecmp(part.at, word, part.size) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool has_only(struct part part, const char *others)
{
    for (size_t i = 0; i < part.size; i++) {
        char c = part.at[i];
        if (!is_letter(c) && !is_digit(c) && !strchr(others, c))
            return false;
    }
    return true;
}

static bool is_number(struct part part)
{
    for (size_t i = 0; i < part.size; i++)
        if (!is_digit(part.at[i]))
            return false;
    return part.size > 0;
}

// The number without the zeroes before it.
static struct part trim_zeroes(struct part number)
{
    while (number.size > 1 && number.at[0] == '0')
        number = skip(number, 1);
    return number;
}

// ---- ports ------------------------------------------------------------------------------------

int addr_port_number(const char *port)
{
    struct part number = {port, strlen(port)};
    if (!is_number(number))
        return -EINVAL;
    number = trim_zeroes(number);
    if (number.size > 5)
        return -EINVAL;
    int value = 0;
    for (size_t i = 0; i < number.size; i++)
        value = value * 10 + (number.at[i] - '0');
    return value <= UINT16_MAX ? value : -EINVAL;
}

// RFC 6335, 5.1: a service name has letters, digits and hyphens, and at least one letter; some in
// /etc/services have dots, underscores and plus signs, too. Here it begins with a letter, so that
// 5000x is taken for what it is: a mistyped number.
static int parse_port(struct part port, struct addr *addr, struct text *why)
{
    bool number = is_number(port);
    if (number)
        port = trim_zeroes(port);
    if (port.size == 0)
        return refuse(why, -EINVAL, "the port is missing");
    if (!number && (!is_letter(port.at[0]) || !has_only(port, "-._+")))
        return refuse(why, -EINVAL,
                      "port %s is neither a number from 0 to 65535 nor a service name",
                      show(port).text);
    if (!number && port.size >= sizeof addr->port)
        return refuse(why, -ENAMETOOLONG, "the name of the service has %zu bytes, more than %zu",
                      port.size, sizeof addr->port - 1);
    if (port.size >= sizeof addr->port)
        return refuse(why, -EINVAL, "port %s is above 65535", show(port).text);
    memcpy(addr->port, port.at, port.size);
    if (number && addr_port_number(addr->port) < 0)
        return refuse(why, -EINVAL, "port %s is above 65535", show(port).text);
    return 0;
}

// ---- hosts ------------------------------------------------------------------------------------

static bool is_ipv4(struct part host)
{
    char text[INET_ADDRSTRLEN] = "";
    struct in_addr number;
    if (host.size >= sizeof text)
        return false;
    memcpy(text, host.at, host.size);
    return inet_pton(AF_INET, text, &number) == 1;
}

static bool is_ipv6(struct part host)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr number;
    if (host.size >= sizeof text)
        return false;
    memcpy(text, host.at, host.size);
    return inet_pton(AF_INET6, text, &number) == 1;
}

// The C library reads 127.1, 0x7f.1 and 2130706433 as IPv4 addresses, which surprises people and
// gets around filters. No name ends in a number: the top-level domains are alphabetic (RFC 1123,
// 2.1).
static bool looks_like_ipv4(struct part host)
{
    if (host.at[host.size - 1] == '.')
        host.size--;
    const char *dot = find_last(host, '.');
    struct part label = dot ? after(host, dot) : host;
    bool hex = label.size >= 2 && label.at[0] == '0' && (label.at[1] == 'x' || label.at[1] == 'X');
    return is_number(label) ||
           (hex && strspn(label.at + 2, "0123456789abcdefABCDEF") >= label.size - 2);
}

// Labels have 1 to 63 bytes and do not begin with a hyphen. One dot may stand at the end.
static bool has_good_labels(struct part name)
{
    if (name.at[name.size - 1] == '.')
        name.size--;
    for (;;) {
        const char *dot = find(name, '.');
        struct part label = dot ? before(name, dot) : name;
        if (label.size == 0 || label.size > 63 || label.at[0] == '-')
            return false;
        if (!dot)
            return true;
        name = after(name, dot);
    }
}

static int check_name(struct part host, struct text *why)
{
    const size_t size_max = 253;
    size_t size = host.size - (host.at[host.size - 1] == '.');
    for (size_t i = 0; i < host.size; i++)
        if ((unsigned char)host.at[i] >= 0x80)
            return refuse(why, -EINVAL,
                          "host %s is not ASCII: write the form that begins with xn--",
                          show(host).text);
    if (!has_only(host, "-._"))
        return refuse(why, -EINVAL, "host %s has characters that no name has", show(host).text);
    if (size > size_max)
        return refuse(why, -ENAMETOOLONG, "the name of the host has %zu bytes, more than %zu", size,
                      size_max);
    if (!has_good_labels(host))
        return refuse(why, -EINVAL,
                      "host %s is not a name: between dots are 1 to 63 bytes, not "
                      "beginning with a hyphen",
                      show(host).text);
    return 0;
}

static int set_family(enum addr_family family, struct addr *addr, struct text *why)
{
    if (addr->family != ADDR_ANY && addr->family != family)
        return refuse(why, -EINVAL, "%s%c: stands before an IPv%c address",
                      addr->type == SOCK_DGRAM ? "udp" : "tcp", addr->family == ADDR_V4 ? '4' : '6',
                      family == ADDR_V4 ? '4' : '6');
    addr->family = family;
    return 0;
}

static bool is_interface(struct part name)
{
    const size_t size_max = 15; // IFNAMSIZ - 1
    return name.size > 0 && name.size <= size_max && has_only(name, "-._");
}

static int refuse_interface(struct part name, struct text *why)
{
    return refuse(why, -EINVAL, "%s is not the name or number of an interface", show(name).text);
}

// An IPv4 multicast group and the interface on which it is meant.
static int parse_group(struct part host, const char *percent, struct addr *addr, struct text *why)
{
    struct part number = before(host, percent), interface = after(host, percent);
    struct in_addr group = {0};
    if (is_ipv4(number)) {
        memcpy(addr->host, number.at, number.size);
        (void)inet_pton(AF_INET, addr->host, &group);
    }
    if (!IN_MULTICAST(ntohl(group.s_addr)))
        return refuse(why, -EINVAL, "%s is no multicast group: only those have an interface",
                      show(number).text);
    if (!is_interface(interface))
        return refuse_interface(interface, why);
    memcpy(addr->host, host.at, host.size);
    return set_family(ADDR_V4, addr, why);
}

static int parse_host(struct part host, struct addr *addr, struct text *why)
{
    const char *percent = addr->type == SOCK_DGRAM ? find(host, '%') : NULL;
    if (percent)
        return parse_group(host, percent, addr, why);
    addr->wildcard = is(host, "*");
    addr->loopback_default = host.size == 0 || is(host, "localhost") || is(host, "localhost.");
    if (host.size == 0 || addr->wildcard)
        return 0;
    int rc = check_name(host, why);
    if (rc < 0)
        return rc;
    bool ipv4 = is_ipv4(host);
    if (!ipv4 && looks_like_ipv4(host))
        return refuse(why, -EINVAL,
                      "%s is not an IPv4 address: four numbers from 0 to 255, without "
                      "zeroes before them",
                      show(host).text);
    memcpy(addr->host, host.at, host.size);
    return ipv4 ? set_family(ADDR_V4, addr, why) : 0;
}

// What stands between brackets, perhaps with an interface after a %. A URL has %25 for that (RFC
// 6874).
static int parse_ipv6(struct part host, bool url, struct addr *addr, struct text *why)
{
    const char *percent = find(host, '%');
    struct part number = percent ? before(host, percent) : host;
    if (host.size == 0)
        return refuse(why, -EINVAL, "there is no IPv6 address between the brackets");
    if (!is_ipv6(number))
        return refuse(why, -EINVAL, "%s is not an IPv6 address", show(host).text);
    memcpy(addr->host, number.at, number.size);
    if (percent) {
        struct part interface = after(host, percent);
        if (url && interface.size > 2 && strncmp(interface.at, "25", 2) == 0)
            interface = skip(interface, 2);
        if (!is_interface(interface))
            return refuse_interface(interface, why);
        addr->host[number.size] = '%';
        memcpy(addr->host + number.size + 1, interface.at, interface.size);
    }
    return set_family(ADDR_V6, addr, why);
}

// ---- tcp, udp ---------------------------------------------------------------------------------

static int parse_bracketed(struct part text, bool url, struct addr *addr, struct text *why)
{
    const char *end = find(text, ']');
    if (!end)
        return refuse(why, -EINVAL, "%s has no closing bracket", show(text).text);
    int rc = parse_ipv6(skip(before(text, end), 1), url, addr, why);
    if (rc < 0)
        return rc;
    struct part rest = after(text, end);
    if (rest.size == 0)
        return refuse(why, -EINVAL, "the port is missing: write %s:PORT", show(text).text);
    if (rest.at[0] != ':')
        return refuse(why, -EINVAL, "after the bracket stands %s, not a colon and a port",
                      show(rest).text);
    return parse_port(skip(rest, 1), addr, why);
}

// One word: a number is a port, and a text that begins as one was meant to be.
static int parse_word(struct part word, struct addr *addr, struct text *why)
{
    bool meant_as_port = is_digit(word.at[0]) || word.at[0] == '-' || word.at[0] == '+';
    if (!meant_as_port || find(word, '.'))
        return refuse(why, -EINVAL, "the port is missing: write %s:PORT", show(word).text);
    addr->loopback_default = true;
    return parse_port(word, addr, why);
}

static int refuse_colons(struct part text, const char *last, struct text *why)
{
    struct part host = before(text, last), port = after(text, last);
    if (is_ipv6(host) && port.size > 0)
        return refuse(why, -EINVAL, "%s is ambiguous: put the IPv6 address in brackets, [%s]:%s",
                      show(text).text, show(host).text, show(port).text);
    if (is_ipv6(text))
        return refuse(why, -EINVAL, "the port is missing: write [%s]:PORT", show(text).text);
    return refuse(why, -EINVAL, "%s has too many colons: HOST:PORT, or tcp: udp: unix: in front",
                  show(text).text);
}

static int parse_inet(struct part text, bool url, struct addr *addr, struct text *why)
{
    if (url && text.size > 0 && text.at[text.size - 1] == '/')
        text.size--;
    if (text.size == 0)
        return refuse(why, -EINVAL, "the host and the port are missing");
    for (size_t i = 0; url && i < text.size; i++)
        if (strchr("/?#@", text.at[i]))
            return refuse(why, -EINVAL, "%s has more in it than a host and a port",
                          show(text).text);
    if (text.at[0] == '[')
        return parse_bracketed(text, url, addr, why);
    const char *colon = find_last(text, ':');
    if (!colon)
        return parse_word(text, addr, why);
    if (find(text, ':') != colon)
        return refuse_colons(text, colon, why);
    int rc = parse_host(before(text, colon), addr, why);
    return rc < 0 ? rc : parse_port(after(text, colon), addr, why);
}

// ---- unix, fd ---------------------------------------------------------------------------------

static int parse_unix(struct part text, bool url, struct addr *addr, struct text *why)
{
    bool abstract = text.size > 0 && text.at[0] == '@';
    bool any_name = abstract && text.size == 1 && addr->type == SOCK_DGRAM;
    if (any_name)
        return 0;
    if (text.size <= abstract)
        return refuse(why, -EINVAL, "the path of the unix socket is missing");
    if (url && !abstract && text.at[0] != '/')
        return refuse(why, -EINVAL, "after unix:// stands %s, not a path from the root on",
                      show(text).text);
    size_t room = sizeof addr->path - !abstract; // a NUL behind a path, and in place of the @
    if (text.size > room)
        return refuse(why, -ENAMETOOLONG, "the path has %zu bytes; a unix socket's has at most %zu",
                      text.size, room);
    memcpy(addr->path, text.at, text.size);
    addr->path_size = text.size + !abstract;
    if (abstract)
        addr->path[0] = '\0';
    return 0;
}

static int parse_fd(struct part text, struct addr *addr, struct text *why)
{
    const int fd_max = 1 << 30; // no system has so many, and no sum here overflows
    struct part number = trim_zeroes(text);
    if (!is_number(text) || number.size > 10)
        return refuse(why, -EINVAL, "fd:%s is not the number of a descriptor", show(text).text);
    int64_t fd = 0;
    for (size_t i = 0; i < number.size; i++)
        fd = fd * 10 + (number.at[i] - '0');
    if (fd > fd_max)
        return refuse(why, -EINVAL, "fd:%s is not the number of a descriptor", show(text).text);
    addr->fd = (int)fd;
    return 0;
}

// ---- all of them ------------------------------------------------------------------------------

static const struct scheme {
    const char *name;
    enum addr_scheme scheme;
    int type;
    enum addr_family family;
    int error; // 0, or why it is not to be had
} schemes[] = {
    {"tcp", ADDR_INET, SOCK_STREAM, ADDR_ANY, 0},
    {"tcp4", ADDR_INET, SOCK_STREAM, ADDR_V4, 0},
    {"tcp6", ADDR_INET, SOCK_STREAM, ADDR_V6, 0},
    {"udp", ADDR_INET, SOCK_DGRAM, ADDR_ANY, 0},
    {"udp4", ADDR_INET, SOCK_DGRAM, ADDR_V4, 0},
    {"udp6", ADDR_INET, SOCK_DGRAM, ADDR_V6, 0},
    {"unix", ADDR_UNIX, SOCK_STREAM, ADDR_ANY, 0},
    {"unixgram", ADDR_UNIX, SOCK_DGRAM, ADDR_ANY, 0},
    {"unixpacket", ADDR_UNIX, SOCK_SEQPACKET, ADDR_ANY, 0},
    {"fd", ADDR_FD, 0, ADDR_ANY, 0},
    {"tls", ADDR_INET, SOCK_STREAM, ADDR_ANY, -EPROTONOSUPPORT},
    {"tls4", ADDR_INET, SOCK_STREAM, ADDR_V4, -EPROTONOSUPPORT},
    {"tls6", ADDR_INET, SOCK_STREAM, ADDR_V6, -EPROTONOSUPPORT},
    {"sctp", ADDR_INET, SOCK_SEQPACKET, ADDR_ANY, -ESOCKTNOSUPPORT},
};

static const struct scheme *find_scheme(struct part name)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (is(name, schemes[i].name))
            return &schemes[i];
    return NULL;
}

static bool begins_with_slashes(struct part text)
{
    return text.size >= 2 && text.at[0] == '/' && text.at[1] == '/';
}

static int parse_rest(struct part text, bool url, struct addr *addr, struct text *why)
{
    switch (addr->scheme) {
    case ADDR_UNIX:
        return parse_unix(text, url, addr, why);
    case ADDR_FD:
        return parse_fd(text, addr, why);
    case ADDR_INET:
        break;
    }
    return parse_inet(text, url, addr, why);
}

static int parse_scheme(struct part text, struct addr *addr, struct text *why)
{
    const char *colon = find(text, ':');
    struct part name = colon ? before(text, colon) : (struct part){text.at, 0};
    struct part rest = colon ? after(text, colon) : text;
    bool url = colon && begins_with_slashes(rest);
    const struct scheme *scheme = find_scheme(name);

    if (scheme && scheme->error)
        return refuse(why, scheme->error, "%s: is not supported yet", scheme->name);
    if (scheme) {
        addr->scheme = scheme->scheme;
        addr->type = scheme->type;
        addr->family = scheme->family;
        return parse_rest(url ? skip(rest, 2) : rest, url, addr, why);
    }
    if (url && name.size > 0 && is_letter(name.at[0]) && has_only(name, "+-."))
        return refuse(why, -EPROTONOSUPPORT,
                      "%s:// is not a kind of address; tcp, udp, unix and fd are", show(name).text);
    addr->scheme = text.at[0] == '@' || find(text, '/') ? ADDR_UNIX : ADDR_INET;
    addr->type = SOCK_STREAM;
    return parse_rest(text, false, addr, why);
}

const char *addr_interface(const struct addr *addr)
{
    const char *percent = strchr(addr->host, '%');
    return percent ? percent + 1 : "";
}

int addr_parse(const char *text, struct addr *ret_addr, char *why, size_t why_size)
{
    struct text reason;
    text_init(&reason, why, why_size);
    struct part whole = {text, strlen(text)};
    if (whole.size == 0)
        return refuse(&reason, -EINVAL, "the address is empty");
    for (size_t i = 0; i < whole.size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return refuse(&reason, -EINVAL, "the address has a control character in it: %s",
                          show(whole).text);
    struct addr addr = {.fd = -1};
    int rc = parse_scheme(whole, &addr, &reason);
    if (rc == 0)
        *ret_addr = addr;
    return rc;
}
