// doorbell resolve: what a host is called, where it is, and how it is reached.

#include "json.h"
#include "pages.h"
#include "route.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_SIZE = 256, TEXT_SIZE = 320 };

// ---- The command line -------------------------------------------------------------------------

struct settings {
    struct common common; // first
    bool try;
    int64_t timeout;
};

#define FIELD(field) offsetof(struct settings, field)

static const struct option_row options[] = {
    OPTION(0, "try", NULL, OPTION_SET, FIELD(try),
           "connect to each address in turn, and tell which answers"),
    OPTION('t', "timeout", "TIME", OPTION_TIME, FIELD(timeout),
           "for each question and each attempt: 250ms 5s 2m", .initial = "10s"),
    OPTION_END,
};

const struct page resolve_page = {
    .name = "resolve",
    .summary = "names to addresses, addresses to names, and the way there",
    .usage = (const char *const[]){"resolve NAME[:PORT]... [OPTIONS]", NULL},
    .description =
        "Prints what identifies a host: its names, its addresses in the order in which a\n"
        "program tries them, and the link address of the neighbour that it is reached\n"
        "through, with the local address and the interface that would be used. NAME may\n"
        "be an address, whose name is looked for then.",
    .options = options,
    .notes = "Each address is a block:\n"
             "\n"
             "  192.0.2.7:80  IPv4, global     its family, and how far it means the same\n"
             "    name       db.example.net    what the address is called, if anything; not\n"
             "                                 with -n, which looks for no such names\n"
             "    from       192.0.2.5 by eth0\n"
             "    neighbour  192.0.2.1 at 00-15-C5-49-04-A9, a gateway\n"
             "    answered   in 12.30 ms       with --try\n"
             "\n"
             "The link address is what the kernel knows at this moment; --try makes it ask.\n"
             "With --json each block is an object on a line of stdout.\n"
             "\n"
             "Exit codes: 0 found (--try: one has answered), 2 usage, a bad port or service,\n"
             "3 no such name, or no address of this family, 4 --try: refused or unreachable,\n"
             "5 timed out, or the name servers do not answer. Of several names the first\n"
             "failure counts.",
    .examples = (const struct example[]){{"resolve localhost", "both of them"},
                                         {"resolve 127.0.0.1 ::1", "what they are called"},
                                         {"resolve -4n localhost:http", "one family, no names"},
                                         {"resolve localhost:7464 --try", "which address answers?"},
                                         {NULL, NULL}},
    .operands = "@address",
};

// ---- What to look up --------------------------------------------------------------------------

static bool is_number(const char *text, int family)
{
    unsigned char address[sizeof(struct in6_addr)];
    char host[NAME_SIZE];
    snprintf(host, sizeof host, "%.*s", (int)strcspn(text, "%"), text);
    return inet_pton(family, host, address) == 1;
}

// An address as the library has them, with port 0 when none is told.
static void complete(const char *operand, char *address, size_t size)
{
    size_t length = strlen(operand);
    bool in_brackets = length > 1 && operand[0] == '[' && operand[length - 1] == ']';
    if (is_number(operand, AF_INET6))
        snprintf(address, size, "[%s]:0", operand);
    else if (in_brackets || !strpbrk(operand, ":/@"))
        snprintf(address, size, "%s:0", operand);
    else
        snprintf(address, size, "%s", operand);
}

static unsigned port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

// "192.0.2.7", "192.0.2.7:80", "[fe80::1%eth0]:80". With `always` also port 0 is told.
static void print_address(const struct sockaddr_storage *address, bool always, char *text,
                          size_t size)
{
    char host[NAME_SIZE] = "?";
    socklen_t length =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    unsigned port = port_of(address);
    (void)getnameinfo((const struct sockaddr *)address, length, host, sizeof host, NULL, 0,
                      NI_NUMERICHOST);
    if (!port && !always)
        snprintf(text, size, "%s", host);
    else if (address->ss_family == AF_INET6)
        snprintf(text, size, "[%s]:%u", host, port);
    else
        snprintf(text, size, "%s:%u", host, port);
}

// ---- How far an address means the same --------------------------------------------------------

struct range {
    const char *scope;
    uint32_t first; // the first bits, in the order of the machine
    int bits;
};

static const char *scope_in(const struct range *range, uint32_t head)
{
    while (range->bits && (head ^ range->first) >> (32 - range->bits))
        range++;
    return range->scope;
}

static const char *scope_of_ipv6(const struct in6_addr *address)
{
    static const struct range ranges[] = {
        {"link-local", 0xfe800000, 10},
        {"unique local", 0xfc000000, 7},
        {"multicast", 0xff000000, 8},
        {"documentation", 0x20010db8, 32},
        {"global", 0, 0},
    };
    uint32_t head;
    memcpy(&head, address, sizeof head);
    return IN6_IS_ADDR_LOOPBACK(address)      ? "loopback"
           : IN6_IS_ADDR_UNSPECIFIED(address) ? "unspecified"
           : IN6_IS_ADDR_V4MAPPED(address)    ? "IPv4-mapped"
                                              : scope_in(ranges, ntohl(head));
}

static const char *scope_of(const struct sockaddr_storage *address)
{
    static const struct range ranges[] = {
        {"loopback", 0x7f000000, 8},
        {"private", 0x0a000000, 8},
        {"private", 0xac100000, 12},
        {"private", 0xc0a80000, 16},
        {"link-local", 0xa9fe0000, 16},
        {"shared", 0x64400000, 10},
        {"documentation", 0xc0000200, 24},
        {"documentation", 0xc6336400, 24},
        {"documentation", 0xcb007100, 24},
        {"multicast", 0xe0000000, 4},
        {"broadcast", 0xffffffff, 32},
        {"unspecified", 0x00000000, 8},
        {"global", 0, 0},
    };
    if (address->ss_family == AF_INET6)
        return scope_of_ipv6(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return scope_in(ranges, ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
}

// ---- One address ------------------------------------------------------------------------------

struct finding {
    const char *asked;
    int number; // from 1
    const struct sockaddr_storage *address;
    char text[TEXT_SIZE];
    char name[NAME_SIZE], no_name[TEXT_SIZE]; // or why it is not known
    int way_error;                            // errno, or 0: there is a route
    struct route route;
    bool tried;
    int try_error; // errno
    double try_ms;
    char why_not[TEXT_SIZE];
};

static struct bell_options how(const struct settings *settings)
{
    return (struct bell_options){
        .size = sizeof(struct bell_options),
        .timeout = settings->timeout,
        .flags = settings->common.flags,
    };
}

static void find_name(struct finding *finding, const struct settings *settings)
{
    const struct bell_options way = how(settings);
    if (bell_reverse(finding->address, &way, finding->name, sizeof finding->name) < 0)
        snprintf(finding->no_name, sizeof finding->no_name, "%s",
                 errno == ENOENT ? "none" : "not known: the name servers do not answer");
    make_printable(finding->name);
}

static void try_it(struct finding *finding, const struct settings *settings)
{
    char address[TEXT_SIZE + 8];
    struct bell_options way = how(settings);
    way.linger_time = BELL_MS; // nothing was said that could be lost
    int64_t began = bell_now();
    snprintf(address, sizeof address, "tcp:%s", finding->text);
    bell_conn *conn = bell_connect(address, &way);
    finding->tried = true;
    finding->try_error = conn ? 0 : errno;
    finding->try_ms = (double)(bell_now() - began) / (double)BELL_MS;
    const char *why = conn ? NULL : strrchr(bell_error(), ':');
    snprintf(finding->why_not, sizeof finding->why_not, "%s", why ? why + 2 : "");
    if (conn)
        (void)bell_close(conn);
}

static const char *tell_neighbour(const struct route *route, char *text, size_t size)
{
    const char *gateway = route->is_gateway ? ", a gateway" : "";
    switch (route->neighbour) {
    case NEIGHBOUR_KNOWN:
        snprintf(text, size, "%s at %s%s", route->next, route->link, gateway);
        break;
    case NEIGHBOUR_SILENT:
        snprintf(text, size, "%s not found: it does not answer%s", route->next, gateway);
        break;
    case NEIGHBOUR_UNKNOWN:
        snprintf(text, size, "%s not found: nobody has asked for it lately%s", route->next,
                 gateway);
        break;
    case NEIGHBOUR_NONE:
        snprintf(text, size, "%s",
                 route->this_machine ? "none: it is this machine"
                                     : "none: there are no link addresses");
    }
    return text;
}

static void show(const struct finding *finding)
{
    char text[TEXT_SIZE];
    const struct route *route = &finding->route;
    printf("  %s  %s, %s\n", finding->text,
           finding->address->ss_family == AF_INET6 ? "IPv6" : "IPv4", scope_of(finding->address));
    if (finding->name[0] || finding->no_name[0])
        printf("    name       %s\n", finding->name[0] ? finding->name : finding->no_name);
    if (finding->way_error) {
        printf("    from       nowhere: %s\n", strerror(finding->way_error));
    } else {
        printf("    from       %s by %s\n", route->local[0] ? route->local : "any address",
               route->interface);
        printf("    neighbour  %s\n", tell_neighbour(route, text, sizeof text));
    }
    if (finding->tried && finding->try_error)
        printf("    failed     after %.2f ms: %s\n", finding->try_ms, finding->why_not);
    else if (finding->tried)
        printf("    answered   in %.2f ms\n", finding->try_ms);
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static void show_json(const struct finding *finding)
{
    const struct route *route = &finding->route;
    char host[TEXT_SIZE];
    struct sockaddr_storage bare = *finding->address;
    if (bare.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&bare)->sin6_port = 0;
    else
        ((struct sockaddr_in *)&bare)->sin_port = 0;
    print_address(&bare, false, host, sizeof host);
    give("address",
         "s:s, s:i, s:s, s:i, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:b, s:b, s:f, s:s?", "asked",
         finding->asked, "order", finding->number, "address", host, "port",
         (int)port_of(finding->address), "family", bare.ss_family == AF_INET6 ? "IPv6" : "IPv4",
         "scope", scope_of(finding->address), "name", or_null(finding->name), "local",
         or_null(route->local), "interface", or_null(route->interface), "neighbour",
         route->neighbour == NEIGHBOUR_NONE ? NULL : route->next, "link", or_null(route->link),
         "tried", finding->tried, "answered", finding->tried && !finding->try_error, "ms",
         finding->try_ms, "why", or_null(finding->why_not));
}

// What the others have not said before is looked for in the order of its price.
static int look_at(struct finding *finding, const struct settings *settings)
{
    print_address(finding->address, settings->try, finding->text, sizeof finding->text);
    if (!settings->common.numeric)
        find_name(finding, settings);
    if (settings->try)
        try_it(finding, settings);
    finding->way_error = -route_find(finding->address, &finding->route);
    if (settings->common.json)
        show_json(finding);
    else
        show(finding);
    (void)fflush(stdout);
    return finding->try_error;
}

// ---- One name ---------------------------------------------------------------------------------

static int exit_code_of_name(int error)
{
    return error == EAFNOSUPPORT ? EXIT_NAME : (int)exit_code_of(error);
}

static void head(const char *operand, const struct bell_host *host, bool json)
{
    char official[NAME_SIZE];
    snprintf(official, sizeof official, "%s", host->name);
    make_printable(official);
    bool is_alias = official[0] && strncasecmp(operand, official, strlen(official)) != 0 &&
                    !is_number(official, AF_INET) && !is_number(official, AF_INET6);
    if (json)
        give("name", "s:s, s:s?, s:i", "asked", operand, "official", or_null(official), "addresses",
             host->count);
    else
        printf("%s%s%s: %d address%s\n", operand, is_alias ? ", officially " : "",
               is_alias ? official : "", host->count, host->count == 1 ? "" : "es");
}

// Of each address; 0 when one of them has been reached, or else why the last one was not.
static int look_at_all(const char *operand, const struct bell_host *host,
                       const struct settings *settings)
{
    int error = 0;
    bool reached = false;
    for (int i = 0; i < host->count; i++) {
        struct finding finding = {
            .asked = operand, .number = i + 1, .address = &host->addresses[i]};
        int failed = look_at(&finding, settings);
        error = failed ? failed : error;
        reached = reached || !failed;
    }
    return reached ? 0 : error;
}

// The failure, without the port that we have put behind what was written.
static void complain_as_written(const char *operand, const char *address)
{
    const char *why = bell_error();
    size_t size = strlen(address);
    if (strncmp(why, address, size) != 0)
        complain("%s", why);
    else
        complain("%.200s%s", operand, why + size);
}

static int resolve_into(struct bell_host *host, const char *operand,
                        const struct settings *settings)
{
    char address[TEXT_SIZE];
    const struct bell_options way = how(settings);
    complete(operand, address, sizeof address);
    if (bell_resolve(address, &way, host) < 0) {
        int error = errno;
        complain_as_written(operand, address);
        return exit_code_of_name(error);
    }
    if (settings->try && !port_of(&host->addresses[0])) {
        complain("%.200s: --try needs a port, as in %.200s:80", operand, operand);
        return EXIT_USAGE;
    }
    head(operand, host, settings->common.json);
    int error = look_at_all(operand, host, settings);
    if (!error)
        return EXIT_DONE;
    complain("%.200s: no address of it answers", operand);
    return (int)exit_code_of(error);
}

// All its addresses are much for a stack.
static int resolve(const char *operand, const struct settings *settings)
{
    struct bell_host *host = malloc(sizeof *host);
    if (!host) {
        complain("out of memory");
        return EXIT_BROKEN;
    }
    int code = resolve_into(host, operand, settings);
    free(host);
    return code;
}

int resolve_main(int argc, char **argv)
{
    struct settings settings = {.timeout = 10 * BELL_SECOND};
    int first = parse_options(&resolve_page, &settings, argc, argv);
    if (first < 0)
        return first == PARSED_ALL ? EXIT_DONE : EXIT_USAGE;
    begin_notes(&settings.common, false);
    if (settings.common.json && !json_is_there())
        return EXIT_USAGE;
    if (first == argc) {
        complain("whose addresses? doorbell resolve localhost");
        return EXIT_USAGE;
    }
    int code = EXIT_DONE;
    for (int i = first; i < argc; i++) {
        int one = resolve(argv[i], &settings);
        code = code ? code : one;
    }
    return code;
}
