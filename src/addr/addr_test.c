#include "addr/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct addr parse(const char *text)
{
    struct addr addr;
    char why[160] = "";
    int rc = addr_parse(text, &addr, why, sizeof why);
    if (rc != 0)
        fail_msg("%s: %d, %s", text, rc, why);
    return addr;
}

static void assert_same(const struct addr *a, const struct addr *b)
{
    assert_int_equal(a->scheme, b->scheme);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->family, b->family);
    assert_int_equal(a->wildcard, b->wildcard);
    assert_int_equal(a->loopback_default, b->loopback_default);
    assert_string_equal(a->host, b->host);
    assert_string_equal(a->port, b->port);
    assert_memory_equal(a->path, b->path, sizeof a->path);
    assert_int_equal(a->path_size, b->path_size);
    assert_int_equal(a->fd, b->fd);
}

// ---- reading ----------------------------------------------------------------------------------

static void an_address_says_the_same_when_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
        enum addr_family family;
    } cases[] = {
        {"7464", "tcp:7464", ADDR_ANY},
        {":7464", "tcp:7464", ADDR_ANY},
        {"0", "tcp:0", ADDR_ANY},
        {"65535", "tcp:65535", ADDR_ANY},
        {"0007464", "tcp:7464", ADDR_ANY},
        {":http", "tcp::http", ADDR_ANY},
        {"tcp:7464", "tcp:7464", ADDR_ANY},
        {"TCP4:7464", "tcp4:7464", ADDR_V4},
        {"tcp6::7464", "tcp6:7464", ADDR_V6},
        {"example.net:80", "tcp:example.net:80", ADDR_ANY},
        {"example.net.:http", "tcp:example.net.:http", ADDR_ANY},
        {"db_1:microsoft-ds", "tcp:db_1:microsoft-ds", ADDR_ANY},
        {"3com:7", "tcp:3com:7", ADDR_ANY},
        {"tcp6:db:5432", "tcp6:db:5432", ADDR_V6},
        {"tcp:tcp:80", "tcp:tcp:80", ADDR_ANY},
        {"localhost:7", "tcp:localhost:7", ADDR_ANY},
        {"127.0.0.1:7464", "tcp:127.0.0.1:7464", ADDR_V4},
        {"tcp4:10.0.0.1:7", "tcp:10.0.0.1:7", ADDR_V4},
        {"[::1]:7464", "tcp:[::1]:7464", ADDR_V6},
        {"tcp6:[::1]:7464", "tcp:[::1]:7464", ADDR_V6},
        {"[fe80::1%lo]:7", "tcp:[fe80::1%lo]:7", ADDR_V6},
        {"[::ffff:127.0.0.1]:7", "tcp:[::ffff:127.0.0.1]:7", ADDR_V6},
        {"*:7464", "tcp:*:7464", ADDR_ANY},
        {"tcp4:*:0", "tcp4:*:0", ADDR_V4},
        {"tcp://example.net:80", "tcp:example.net:80", ADDR_ANY},
        {"tcp://example.net:80/", "tcp:example.net:80", ADDR_ANY},
        {"tcp://[fe80::1%25lo]:7", "tcp:[fe80::1%lo]:7", ADDR_V6},
        {"tcp://[fe80::1%25]:7", "tcp:[fe80::1%25]:7", ADDR_V6},
        {"tcp6://:7", "tcp6:7", ADDR_V6},
        {"/tmp/x.sock", "unix:/tmp/x.sock", ADDR_ANY},
        {"./x.sock", "unix:./x.sock", ADDR_ANY},
        {"a/b:7", "unix:a/b:7", ADDR_ANY},
        {"unix:x.sock", "unix:x.sock", ADDR_ANY},
        {"unix:///tmp/x", "unix:/tmp/x", ADDR_ANY},
        {"//tmp/x", "unix:////tmp/x", ADDR_ANY},
        {"@name", "unix:@name", ADDR_ANY},
        {"@a/b", "unix:@a/b", ADDR_ANY},
        {"unix:@name", "unix:@name", ADDR_ANY},
        {"udp:7464", "udp:7464", ADDR_ANY},
        {"UDP4:7464", "udp4:7464", ADDR_V4},
        {"udp6:db:domain", "udp6:db:domain", ADDR_V6},
        {"udp:*:0", "udp:*:0", ADDR_ANY},
        {"udp://127.0.0.1:53/", "udp:127.0.0.1:53", ADDR_V4},
        {"udp:[ff02::1%eth0]:7", "udp:[ff02::1%eth0]:7", ADDR_V6},
        {"udp:239.1.2.3%eth0:7", "udp:239.1.2.3%eth0:7", ADDR_V4},
        {"udp4:224.0.0.1%2:7", "udp:224.0.0.1%2:7", ADDR_V4},
        {"unixgram:/tmp/x", "unixgram:/tmp/x", ADDR_ANY},
        {"unixgram:@name", "unixgram:@name", ADDR_ANY},
        {"unixgram:@", "unixgram:@", ADDR_ANY},
        {"unixpacket://@name", "unixpacket:@name", ADDR_ANY},
        {"unixpacket:///tmp/x", "unixpacket:/tmp/x", ADDR_ANY},
        {"fd:3", "fd:3", ADDR_ANY},
        {"fd://0", "fd:0", ADDR_ANY},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct addr addr = parse(cases[i].text);
        char written[ADDR_TEXT_SIZE];
        size_t length = addr_describe(&addr, written, sizeof written);
        assert_int_equal(length, strlen(written));
        assert_string_equal(written, cases[i].written);
        assert_int_equal(addr.family, cases[i].family);
        struct addr again = parse(written);
        assert_same(&addr, &again);
    }
}

// Not a number, not an escaped percent sign.
static void what_only_looks_like_something_else_is_what_it_is(void **state)
{
    (void)state;
    struct addr addr = parse("0xyz:7");
    assert_string_equal(addr.host, "0xyz");
    addr = parse("localhost.:7");
    assert_true(addr.loopback_default);
    assert_string_equal(addr.host, "localhost.");
    addr = parse("tcp://[fe80::1%2]:7");
    assert_string_equal(addr.host, "fe80::1%2");
    addr = parse("tcp://[fe80::1%eth0]:7");
    assert_string_equal(addr.host, "fe80::1%eth0");
}

static void the_fields_have_the_parts(void **state)
{
    (void)state;
    struct addr addr = parse("7464");
    assert_true(addr.loopback_default);
    assert_false(addr.wildcard);
    assert_string_equal(addr.host, "");
    assert_string_equal(addr.port, "7464");
    assert_int_equal(addr.fd, -1);

    addr = parse("*:echo");
    assert_true(addr.wildcard);
    assert_false(addr.loopback_default);
    assert_string_equal(addr.host, "");
    assert_string_equal(addr.port, "echo");

    addr = parse("LocalHost:7");
    assert_true(addr.loopback_default);
    assert_string_equal(addr.host, "LocalHost");
    assert_false(parse("127.0.0.1:7").loopback_default);
    assert_false(parse("0.0.0.0:7").wildcard);

    addr = parse("[fe80::1%eth0.5]:7");
    assert_string_equal(addr.host, "fe80::1%eth0.5");

    addr = parse("udp:239.1.2.3%eth0:7");
    assert_int_equal(addr.scheme, ADDR_INET);
    assert_int_equal(addr.type, SOCK_DGRAM);
    assert_string_equal(addr_interface(&addr), "eth0");
    addr = parse("udp:239.1.2.3:7");
    assert_string_equal(addr_interface(&addr), "");
    assert_int_equal(parse("unixpacket:/x").type, SOCK_SEQPACKET);
    assert_int_equal(parse("unixgram:@").path_size, 0);

    addr = parse("/x");
    assert_int_equal(addr.scheme, ADDR_UNIX);
    assert_int_equal(addr.type, SOCK_STREAM);
    assert_int_equal(addr.path_size, 3);
    assert_string_equal(addr.path, "/x");
    addr = parse("@x");
    assert_int_equal(addr.path_size, 2);
    assert_memory_equal(addr.path, "\0x", 3);
    addr = parse("fd:12");
    assert_int_equal(addr.scheme, ADDR_FD);
    assert_int_equal(addr.fd, 12);
}

static const struct {
    const char *text;
    int error;
    const char *why;
} refused[] = {
    {"", -EINVAL, "the address is empty"},
    {"abc", -EINVAL, "the port is missing: write abc:PORT"},
    {"127.0.0.1", -EINVAL, "the port is missing: write 127.0.0.1:PORT"},
    {"*", -EINVAL, "the port is missing: write *:PORT"},
    {"[::1]", -EINVAL, "the port is missing: write [::1]:PORT"},
    {"::1", -EINVAL, "the port is missing: write [::1]:PORT"},
    {"h:", -EINVAL, "the port is missing"},
    {":", -EINVAL, "the port is missing"},
    {"[::1]:", -EINVAL, "the port is missing"},
    {"tcp:", -EINVAL, "the host and the port are missing"},
    {"tcp:///", -EINVAL, "the host and the port are missing"},
    {"-1", -EINVAL, "port -1 is neither a number from 0 to 65535 nor a service name"},
    {"h:-1", -EINVAL, "port -1 is neither a number from 0 to 65535 nor a service name"},
    {"h:+1", -EINVAL, "port +1 is neither a number from 0 to 65535 nor a service name"},
    {"5000x", -EINVAL, "port 5000x is neither a number from 0 to 65535 nor a service name"},
    {"h:5000x", -EINVAL, "port 5000x is neither a number from 0 to 65535 nor a service name"},
    {"h:0x50", -EINVAL, "port 0x50 is neither a number from 0 to 65535 nor a service name"},
    {"h: 80", -EINVAL, "port  80 is neither a number from 0 to 65535 nor a service name"},
    {"h:a b", -EINVAL, "port a b is neither a number from 0 to 65535 nor a service name"},
    {"70000", -EINVAL, "port 70000 is above 65535"},
    {"h:65536", -EINVAL, "port 65536 is above 65535"},
    {"h:4294967376", -EINVAL, "port 4294967376 is above 65535"},
    {"::1:7464", -EINVAL, "::1:7464 is ambiguous: put the IPv6 address in brackets, [::1]:7464"},
    {"fe80::1:http", -EINVAL,
     "fe80::1:http is ambiguous: put the IPv6 address in brackets, [fe80::1]:http"},
    {"a:b:c", -EINVAL, "a:b:c has too many colons: HOST:PORT, or tcp: udp: unix: in front"},
    {"[::1", -EINVAL, "[::1 has no closing bracket"},
    {"[::1]7", -EINVAL, "after the bracket stands 7, not a colon and a port"},
    {"[]:7", -EINVAL, "there is no IPv6 address between the brackets"},
    {"[127.0.0.1]:7", -EINVAL, "127.0.0.1 is not an IPv6 address"},
    {"[::1%]:7", -EINVAL, " is not the name or number of an interface"},
    {"[::1%a b]:7", -EINVAL, "a b is not the name or number of an interface"},
    {"[::1%sixteen-letters-]:7", -EINVAL,
     "sixteen-letters- is not the name or number of an interface"},
    {"127.1:7", -EINVAL, NULL},
    {"2130706433:7", -EINVAL, NULL},
    {"0x7f000001:7", -EINVAL, NULL},
    {"0X7F000001:7", -EINVAL, NULL},
    {"1.2.3.0x4:7", -EINVAL, NULL},
    {"256.1.1.1:7", -EINVAL, NULL},
    {"127.0.0.01:7", -EINVAL, NULL},
    {"127.0.0.1.:7", -EINVAL, NULL},
    {"a..b:7", -EINVAL, NULL},
    {".:7", -EINVAL, NULL},
    {"-a:7", -EINVAL, NULL},
    {"a b:7", -EINVAL, "host a b has characters that no name has"},
    {"a%b:7", -EINVAL, "host a%b has characters that no name has"},
    {"user@h:7", -EINVAL, "host user@h has characters that no name has"},
    {"*.net:7", -EINVAL, "host *.net has characters that no name has"},
    {"b\xc3\xbc.de:7", -EINVAL,
     "host b\\xc3\\xbc.de is not ASCII: write the form that begins with xn--"},
    {"tcp4:[::1]:7", -EINVAL, "tcp4: stands before an IPv6 address"},
    {"tcp6:127.0.0.1:7", -EINVAL, "tcp6: stands before an IPv4 address"},
    {"tcp://h:7/path", -EINVAL, "h:7/path has more in it than a host and a port"},
    {"tcp://u@h:7", -EINVAL, "u@h:7 has more in it than a host and a port"},
    {"tcp://h:7?x", -EINVAL, "h:7?x has more in it than a host and a port"},
    {"@", -EINVAL, "the path of the unix socket is missing"},
    {"unix:", -EINVAL, "the path of the unix socket is missing"},
    {"unix://x", -EINVAL, "after unix:// stands x, not a path from the root on"},
    {"fd:", -EINVAL, "fd: is not the number of a descriptor"},
    {"fd:-1", -EINVAL, "fd:-1 is not the number of a descriptor"},
    {"fd:3x", -EINVAL, "fd:3x is not the number of a descriptor"},
    {"fd:4294967299", -EINVAL, "fd:4294967299 is not the number of a descriptor"},
    {"udp4:[::1]:7", -EINVAL, "udp4: stands before an IPv6 address"},
    {"udp6:239.1.2.3%lo:7", -EINVAL, "udp6: stands before an IPv4 address"},
    {"udp:127.0.0.1%lo:7", -EINVAL,
     "127.0.0.1 is no multicast group: only those have an interface"},
    {"udp:host%lo:7", -EINVAL, "host is no multicast group: only those have an interface"},
    {"udp:239.1.2.3%:7", -EINVAL, " is not the name or number of an interface"},
    {"udp:239.1.2.3%a b:7", -EINVAL, "a b is not the name or number of an interface"},
    {"tcp:239.1.2.3%lo:7", -EINVAL, "host 239.1.2.3%lo has characters that no name has"},
    {"unixpacket:@", -EINVAL, "the path of the unix socket is missing"},
    {"tls://h:443", -EPROTONOSUPPORT, "tls: is not supported yet"},
    {"sctp:h:443", -ESOCKTNOSUPPORT, "sctp: is not supported yet"},
    {"http://h/", -EPROTONOSUPPORT, "http:// is not a kind of address; tcp, udp, unix and fd are"},
    {"7464\n", -EINVAL, "the address has a control character in it: 7464\\x0a"},
    {"/tmp/\x1b[2J", -EINVAL, "the address has a control character in it: /tmp/\\x1b[2J"},
    {"/tmp/\x7f", -EINVAL, "the address has a control character in it: /tmp/\\x7f"},
};

static void what_is_no_address_is_refused_with_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct addr addr, untouched;
        memset(&addr, 0x55, sizeof addr);
        memset(&untouched, 0x55, sizeof untouched);
        char why[160] = "";
        int rc = addr_parse(refused[i].text, &addr, why, sizeof why);
        if (rc != refused[i].error)
            fail_msg("%s: %d, %s", refused[i].text, rc, why);
        if (refused[i].why)
            assert_string_equal(why, refused[i].why);
        assert_true(strlen(why) > 10);
        assert_memory_equal(&addr, &untouched, sizeof addr);
    }
}

// Returns before, `count` times c, and after in memory that the caller frees.
static char *repeat(const char *before, char c, size_t count, const char *after)
{
    size_t begin = strlen(before), size = begin + count + strlen(after) + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, c, size);
    for (size_t i = 0; i < begin; i++)
        text[i] = before[i];
    snprintf(text + begin + count, size - begin - count, "%s", after);
    return text;
}

static int parse_repeated(const char *before, char c, size_t count, const char *after)
{
    char *text = repeat(before, c, count, after);
    struct addr addr;
    char why[160] = "";
    int rc = addr_parse(text, &addr, why, sizeof why);
    assert_true(strlen(why) < 159);
    assert_true((rc == 0) == (why[0] == '\0'));
    free(text);
    return rc;
}

static void long_texts_are_refused(void **state)
{
    (void)state;
    const size_t mib = 1 << 20;
    assert_int_equal(parse_repeated("/", 'x', 106, ""), 0);
    assert_int_equal(parse_repeated("/", 'x', 107, ""), -ENAMETOOLONG);
    assert_int_equal(parse_repeated("@", 'x', 107, ""), 0);
    assert_int_equal(parse_repeated("@", 'x', 108, ""), -ENAMETOOLONG);
    assert_int_equal(parse_repeated("", 'x', 63, ".net:7"), 0);
    assert_int_equal(parse_repeated("", 'x', 64, ".net:7"), -EINVAL);
    assert_int_equal(parse_repeated("h:", 'x', 63, ""), 0);
    assert_int_equal(parse_repeated("h:", 'x', 64, ""), -ENAMETOOLONG);
    assert_int_equal(parse_repeated("h:", '0', mib, "7"), 0);

    static const char *const around[][2] = {
        {"/", ""},   {"@", ""}, {"", ":7"}, {"h:", ""},    {"[", "]:7"},  {"[::1%", "]:7"},
        {"fd:", ""}, {"", ""},  {"[", ""},  {"[::1]", ""}, {"unix:", ""}, {"tcp://", "/"},
    };
    static const char bytes[] = "x1:.-[]@/%* \"\\\xff\n";
    for (size_t i = 0; i < COUNT(around); i++)
        for (const char *c = bytes; *c; c++)
            assert_true(parse_repeated(around[i][0], *c, mib, around[i][1]) < 0);

    struct addr addr;
    char why[160];
    char *text = repeat("/", 'x', 199, "");
    assert_int_equal(addr_parse(text, &addr, why, sizeof why), -ENAMETOOLONG);
    assert_string_equal(why, "the path has 200 bytes; a unix socket's has at most 107");
    free(text);
}

static void the_longest_name_fits(void **state)
{
    (void)state;
    char name[300];
    for (size_t i = 0; i < 254; i++)
        name[i] = i % 2 ? '.' : 'a';
    memcpy(name + 254, ":http", 6); // 253 bytes and the last dot
    struct addr addr = parse(name);
    assert_int_equal(strlen(addr.host), 254);
    name[253] = 'b';
    assert_int_equal(addr_parse(name, &addr, NULL, 0), -ENAMETOOLONG);
}

static void a_sentence_fits_into_any_room(void **state)
{
    (void)state;
    struct addr addr;
    assert_int_equal(addr_parse("h:70000", &addr, NULL, 0), -EINVAL);
    char why[9] = "########";
    assert_int_equal(addr_parse("h:70000", &addr, why, 1), -EINVAL);
    assert_memory_equal(why, "\0#", 2);
    assert_int_equal(addr_parse("h:70000", &addr, why, sizeof why), -EINVAL);
    assert_string_equal(why, "port ...");
}

// What can be made of these characters, up to a length, is tried completely.
static void every_short_text_is_read_or_refused(void **state)
{
    (void)state;
    static const char alphabet[] = "1a:.[]@/*%-";
    enum { LETTERS = sizeof alphabet - 1, LENGTH_MAX = 5 };
    for (size_t length = 1; length <= LENGTH_MAX; length++) {
        size_t count = 1;
        for (size_t i = 0; i < length; i++)
            count *= LETTERS;
        for (size_t n = 0; n < count; n++) {
            char text[LENGTH_MAX + 1] = "", why[160] = "", written[ADDR_TEXT_SIZE];
            for (size_t i = 0, rest = n; i < length; i++, rest /= LETTERS)
                text[i] = alphabet[rest % LETTERS];
            struct addr addr;
            if (addr_parse(text, &addr, why, sizeof why) < 0) {
                assert_true(why[0] != '\0');
                continue;
            }
            addr_describe(&addr, written, sizeof written);
            struct addr again = parse(written);
            assert_same(&addr, &again);
        }
    }
}

static void a_port_is_a_number_or_a_name(void **state)
{
    (void)state;
    assert_int_equal(addr_port_number("0"), 0);
    assert_int_equal(addr_port_number("65535"), 65535);
    assert_int_equal(addr_port_number("0080"), 80);
    assert_int_equal(addr_port_number("65536"), -EINVAL);
    assert_int_equal(addr_port_number("http"), -EINVAL);
    assert_int_equal(addr_port_number(""), -EINVAL);
}

// ---- the kernel's form ------------------------------------------------------------------------

static void numbers_become_addresses_of_the_kernel(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum addr_family family;
        const char *printed; // NULL: it needs a lookup
    } cases[] = {
        {"127.0.0.2:7464", ADDR_ANY, "tcp:127.0.0.2:7464"},
        {"[2001:db8::1]:65535", ADDR_V6, "tcp:[2001:db8::1]:65535"},
        {"[fe80::1%3]:7", ADDR_ANY, "tcp:[fe80::1%3]:7"},
        {"[fe80::1%4294967295]:7", ADDR_ANY, "tcp:[fe80::1%4294967295]:7"},
        {"[fe80::1%4294967296]:7", ADDR_ANY, NULL},
        {"[fe80::1%lo]:7", ADDR_ANY, NULL},
        {"[fe80::1%-1]:7", ADDR_ANY, NULL},
        {"a-name-that-is-longer-than-any-ipv6-address-could-be.example:7", ADDR_V6, NULL},
        {"localhost.:7464", ADDR_ANY, "tcp:127.0.0.1:7464"},
        {"7464", ADDR_ANY, "tcp:127.0.0.1:7464"},
        {"7464", ADDR_V6, "tcp:[::1]:7464"},
        {"localhost:7464", ADDR_V6, "tcp:[::1]:7464"},
        {"tcp6:7464", ADDR_ANY, "tcp:[::1]:7464"},
        {"*:7464", ADDR_V4, "tcp:0.0.0.0:7464"},
        {"*:7464", ADDR_V6, "tcp:[::]:7464"},
        {"example.net:80", ADDR_ANY, NULL},
        {"example.net:80", ADDR_V6, NULL},
        {"127.0.0.1:http", ADDR_ANY, NULL},
        {"fd:3", ADDR_ANY, NULL},
        {"/tmp/x", ADDR_ANY, "unix:/tmp/x"},
        {"@x", ADDR_V6, "unix:@x"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct addr addr = parse(cases[i].text);
        struct sockaddr_storage address;
        char printed[ADDR_TEXT_SIZE];
        int size = addr_to_sockaddr(&addr, cases[i].family, &address);
        if (!cases[i].printed) {
            assert_int_equal(size, -EINVAL);
            continue;
        }
        assert_true(size > 0);
        addr_print((struct sockaddr *)&address, (socklen_t)size, printed, sizeof printed);
        assert_string_equal(printed, cases[i].printed);
    }

    struct sockaddr_storage address;
    struct addr addr = parse("127.0.0.1:7");
    assert_int_equal(addr_to_sockaddr(&addr, ADDR_V6, &address), -EAFNOSUPPORT);
    addr = parse("tcp6:*:7");
    assert_int_equal(addr_to_sockaddr(&addr, ADDR_V4, &address), -EAFNOSUPPORT);
}

static void the_size_of_a_unix_address_is_exact(void **state)
{
    (void)state;
    const int begin = offsetof(struct sockaddr_un, sun_path);
    struct sockaddr_storage address;
    struct addr addr = parse("/x");
    assert_int_equal(addr_to_sockaddr(&addr, ADDR_ANY, &address), begin + 3);
    addr = parse("@x");
    assert_int_equal(addr_to_sockaddr(&addr, ADDR_ANY, &address), begin + 2);
    char *text = repeat("@", 'x', 107, "");
    addr = parse(text);
    assert_int_equal(addr_to_sockaddr(&addr, ADDR_ANY, &address), sizeof(struct sockaddr_un));
    free(text);
}

static const char *print_unix(const char *path, size_t size)
{
    static char printed[ADDR_TEXT_SIZE];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, size);
    socklen_t whole = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    size_t length = addr_print((struct sockaddr *)&address, whole, printed, sizeof printed);
    assert_int_equal(length, strlen(printed));
    return printed;
}

static void unix_addresses_are_printed_harmlessly(void **state)
{
    (void)state;
    assert_string_equal(print_unix("", 0), "unix:");
    assert_string_equal(print_unix("/tmp/x", 7), "unix:/tmp/x");
    assert_string_equal(print_unix("/tmp/x", 6), "unix:/tmp/x");
    assert_string_equal(print_unix("/tmp/x\0y", 8), "unix:/tmp/x");
    assert_string_equal(print_unix("\0name", 5), "unix:@name");
    assert_string_equal(print_unix("\0a\0b\n", 5), "unix:@a\\x00b\\x0a");
    assert_string_equal(print_unix("@name", 6), "unix:\\x40name");
    assert_string_equal(print_unix("/a\"\\\x1b[2J", 8), "unix:/a\\x22\\x5c\\x1b[2J");
    assert_string_equal(print_unix("//a", 4), "unix:////a");

    char worst[108];
    memset(worst, '\n', sizeof worst);
    worst[0] = '\0';
    assert_int_equal(strlen(print_unix(worst, sizeof worst)), 6 + 107 * 4);
}

// What a kernel call leaves in memory that has room for any address: only the address counts.
static void memory_behind_an_address_is_not_printed(void **state)
{
    (void)state;
    char printed[ADDR_TEXT_SIZE], longest[sizeof "unix:" + 108];
    struct sockaddr_storage room;
    memset(&room, 'x', sizeof room);
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(7)};
    memcpy(&room, &ipv4, sizeof ipv4);
    addr_print((struct sockaddr *)&room, sizeof room, printed, sizeof printed);
    assert_string_equal(printed, "tcp:0.0.0.0:7");

    memset(&room, 'x', sizeof room);
    room.ss_family = AF_UNIX;
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "unix:", 5);
    longest[sizeof longest - 1] = '\0';
    addr_print((struct sockaddr *)&room, sizeof room, printed, sizeof printed);
    assert_string_equal(printed, longest);
}

static const char *print_ipv6(const char *number, uint32_t scope)
{
    static char printed[ADDR_TEXT_SIZE];
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(7), .sin6_scope_id = scope};
    assert_int_equal(inet_pton(AF_INET6, number, &address.sin6_addr), 1);
    addr_print((struct sockaddr *)&address, sizeof address, printed, sizeof printed);
    return printed;
}

static void addresses_are_printed_as_they_are_read(void **state)
{
    (void)state;
    assert_string_equal(print_ipv6("::1", 0), "tcp:[::1]:7");
    assert_string_equal(print_ipv6("fe80::1", 12), "tcp:[fe80::1%12]:7");
    assert_string_equal(print_ipv6("::ffff:192.0.2.1", 0), "tcp:192.0.2.1:7");

    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(65535)};
    const struct sockaddr *address = (struct sockaddr *)&ipv4;
    char printed[16];
    ipv4.sin_addr.s_addr = htonl(0xffffffff);
    assert_int_equal(addr_print(address, sizeof ipv4, printed, sizeof printed), 15);
    assert_string_equal(printed, "tcp:255.255....");
    assert_int_equal(addr_print(address, sizeof ipv4, printed, 0), 0);

    char unknown[32];
    for (socklen_t size = 0; size < sizeof ipv4; size++) {
        addr_print(address, size, unknown, sizeof unknown);
        assert_string_equal(unknown, "an unknown address");
    }
    addr_print(NULL, 0, unknown, sizeof unknown);
    assert_string_equal(unknown, "an unknown address");
}

// ---- limits -----------------------------------------------------------------------------------

// 0 stands for an address that is exempt.
static uint64_t key_of(const char *text)
{
    struct addr addr = parse(text);
    struct sockaddr_storage address;
    int size = addr_to_sockaddr(&addr, ADDR_ANY, &address);
    assert_true(size > 0);
    uint64_t key = 0;
    bool counted = addr_key((struct sockaddr *)&address, (socklen_t)size, &key);
    assert_true(counted != addr_is_loopback((struct sockaddr *)&address, (socklen_t)size));
    assert_true(counted == (key != 0));
    return key;
}

static void limits_count_whom_one_caller_can_be(void **state)
{
    (void)state;
    assert_int_equal(key_of("127.0.0.1:1"), 0);
    assert_int_equal(key_of("127.255.0.9:1"), 0);
    assert_int_equal(key_of("[::1]:1"), 0);
    assert_int_equal(key_of("[::ffff:127.0.0.1]:1"), 0);
    assert_int_equal(key_of("@x"), 0);
    assert_int_equal(key_of("/x"), 0);

    assert_true(key_of("192.0.2.1:1") == key_of("192.0.2.1:2"));
    assert_true(key_of("192.0.2.1:1") != key_of("192.0.2.2:1"));
    assert_true(key_of("192.0.2.1:1") == key_of("[::ffff:192.0.2.1]:1"));
    assert_true(key_of("192.0.2.1:1") == key_of("[64:ff9b::192.0.2.1]:1"));
    assert_true(key_of("[2001:db8::1]:1") == key_of("[2001:db8::ffff:1:2:3]:1"));
    assert_true(key_of("[2001:db8::1]:1") != key_of("[2001:db8:0:1::1]:1"));
    assert_true(key_of("0.0.0.0:1") != key_of("[::]:1"));

    uint64_t key;
    assert_false(addr_key(NULL, 0, &key));
    assert_false(addr_is_loopback(NULL, 0));
}

static void datagram_addresses_are_printed_with_their_kind(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
        bool is_group;
    } cases[] = {
        {"udp:127.0.0.1:7", "udp:127.0.0.1:7", false},
        {"udp:[::1]:7", "udp:[::1]:7", false},
        {"udp:239.1.2.3%lo:7", "udp:239.1.2.3:7", true},
        {"udp:[ff02::1%3]:7", "udp:[ff02::1%3]:7", true},
        {"udp:[::ffff:224.0.0.1]:7", "udp:224.0.0.1:7", true},
        {"udp:255.255.255.255:7", "udp:255.255.255.255:7", true},
        {"unixgram:@x", "unixgram:@x", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct addr addr = parse(cases[i].text);
        struct sockaddr_storage address;
        int size = addr_to_sockaddr(&addr, ADDR_ANY, &address);
        assert_true(size > 0);
        char printed[ADDR_TEXT_SIZE];
        (void)addr_print_of(SOCK_DGRAM, (struct sockaddr *)&address, (socklen_t)size, printed,
                            sizeof printed);
        assert_string_equal(printed, cases[i].printed);
        assert_int_equal(addr_is_group((struct sockaddr *)&address, (socklen_t)size),
                         cases[i].is_group);
    }
    struct addr any = parse("unixgram:@");
    struct sockaddr_storage address;
    assert_int_equal(addr_to_sockaddr(&any, ADDR_ANY, &address), sizeof(sa_family_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_says_the_same_when_written),
        cmocka_unit_test(what_only_looks_like_something_else_is_what_it_is),
        cmocka_unit_test(the_fields_have_the_parts),
        cmocka_unit_test(datagram_addresses_are_printed_with_their_kind),
        cmocka_unit_test(what_is_no_address_is_refused_with_a_sentence),
        cmocka_unit_test(long_texts_are_refused),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(a_sentence_fits_into_any_room),
        cmocka_unit_test(every_short_text_is_read_or_refused),
        cmocka_unit_test(a_port_is_a_number_or_a_name),
        cmocka_unit_test(numbers_become_addresses_of_the_kernel),
        cmocka_unit_test(the_size_of_a_unix_address_is_exact),
        cmocka_unit_test(unix_addresses_are_printed_harmlessly),
        cmocka_unit_test(memory_behind_an_address_is_not_printed),
        cmocka_unit_test(addresses_are_printed_as_they_are_read),
        cmocka_unit_test(limits_count_whom_one_caller_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
