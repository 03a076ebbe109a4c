// doorbell help ports: what numbers mean, and which ones this kernel gives to whom.

#include "pages.h"
#include "tool.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USER_FIRST = 1024, DYNAMIC_FIRST = 49152, PORT_MAX = 65535 };

// The services that everybody meets, with what speaks there.
static const struct {
    int port;
    const char *name, *what;
} services[] = {
    {7, "echo", "what comes goes back (RFC 862)"},
    {9, "discard", "what comes is thrown away (RFC 863)"},
    {13, "daytime", "date and time as text (RFC 867)"},
    {17, "qotd", "a sentence of the day (RFC 865)"},
    {19, "chargen", "characters without end (RFC 864)"},
    {20, "ftp-data", "files of FTP (RFC 959)"},
    {21, "ftp", "commands of FTP (RFC 959)"},
    {22, "ssh", "shells, encrypted (RFC 4251)"},
    {23, "telnet", "terminals, in the open (RFC 854)"},
    {25, "smtp", "mail between servers (RFC 5321)"},
    {37, "time", "seconds since 1900 as four bytes (RFC 868)"},
    {53, "domain", "names, DNS (RFC 1035)"},
    {67, "bootps", "DHCP's servers (RFC 2131)"},
    {68, "bootpc", "DHCP's clients"},
    {80, "http", "web pages (RFC 9110)"},
    {123, "ntp", "clocks (RFC 5905)"},
    {143, "imap2", "mailboxes (RFC 9051)"},
    {443, "https", "web pages, encrypted; over UDP: HTTP/3"},
    {2049, "nfs", "files of a server (RFC 8881)"},
};

// ---- What this kernel does --------------------------------------------------------------------

struct ranges {
    int own_first, own_last; // those that it gives to callers
    int free_first;          // the first that is free to all users
};

// As many numbers as the file has; the others stay.
static void read_numbers(const char *path, int *first, int *second)
{
    char line[64] = "";
    FILE *file = fopen(path, "re");
    if (file && fgets(line, sizeof line, file)) {
        char *end;
        *first = (int)strtol(line, &end, 10);
        if (second)
            *second = (int)strtol(end, NULL, 10);
    }
    if (file)
        (void)fclose(file);
}

static struct ranges read_ranges(void)
{
    struct ranges ranges = {32768, 60999, USER_FIRST};
    read_numbers("/proc/sys/net/ipv4/ip_local_port_range", &ranges.own_first, &ranges.own_last);
    read_numbers("/proc/sys/net/ipv4/ip_unprivileged_port_start", &ranges.free_first, NULL);
    return ranges;
}

static void print_table(bool present, FILE *to)
{
    if (present) {
        struct ranges ranges = read_ranges();
        fprintf(to,
                "This kernel gives callers a port from %d to %d; to listen below %d needs\n"
                "root, or CAP_NET_BIND_SERVICE.\n\n",
                ranges.own_first, ranges.own_last, ranges.free_first);
    }
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        fprintf(to, "  %5d  %-9s %s\n", services[i].port, services[i].name, services[i].what);
}

// ---- Some only --------------------------------------------------------------------------------

static const char *class_of(int port)
{
    return port < USER_FIRST ? "well-known" : port < DYNAMIC_FIRST ? "registered" : "dynamic";
}

// "echo (tcp, udp)", as /etc/services has it.
static void name_service(int port, char *text, size_t size)
{
    static const char *const protocols[] = {"tcp", "udp", "sctp"};
    size_t used = 0;
    snprintf(text, size, "no service");
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        const struct servent *entry = getservbyport(htons((uint16_t)port), protocols[i]);
        if (entry && used < size)
            used += (size_t)snprintf(text + used, size - used, used ? ", %.0s%s" : "%s (%s",
                                     entry->s_name, protocols[i]);
    }
    if (used && used < size)
        snprintf(text + used, size - used, ")");
    make_printable(text);
}

static void print_port(int port, const struct ranges *ranges)
{
    char service[128];
    name_service(port, service, sizeof service);
    printf("  %5d  %-18s %-10s  %s\n", port, service, class_of(port),
           port == 0                                               ? "the kernel chooses"
           : port < ranges->free_first                             ? "root only"
           : port >= ranges->own_first && port <= ranges->own_last ? "given to callers"
                                                                   : "free to all");
}

// -1 after a complaint.
static int port_of(const char *word)
{
    int port;
    if (parse_number(word, 0, PORT_MAX, &port))
        return port;
    const struct servent *entry =
        isalpha((unsigned char)word[0]) ? getservbyname(word, NULL) : NULL;
    if (entry)
        return ntohs((uint16_t)entry->s_port);
    if (isalpha((unsigned char)word[0]))
        complain("%.60s: there is no service of this name in /etc/services", word);
    else
        complain("%.60s: a port is a number from 0 to 65535, or a service", word);
    return -1;
}

static int answer(int count, char **words)
{
    const struct ranges ranges = read_ranges();
    int code = EXIT_DONE;
    for (int i = 0; i < count; i++) {
        int port = port_of(words[i]);
        if (port >= 0)
            print_port(port, &ranges);
        else
            code = EXIT_USAGE;
    }
    return code;
}

const struct page ports_page = {
    .name = "ports",
    .summary = "what the numbers of ports mean, and which this kernel gives to whom",
    .usage = (const char *const[]){NULL},
    .description =
        "A port says which of the many programs of a machine is meant. TCP and UDP have\n"
        "65,535 each, which have nothing to do with each other. By RFC 6335 there are\n"
        "\n"
        "      0 -  1023  well-known, or system ports: services with a standard\n"
        "   1024 - 49151  registered, or user ports: services of somebody\n"
        "  49152 - 65535  dynamic, or private ports: nobody's\n"
        "\n"
        "The kernel has two limits of its own, which need not be these: below the one\n"
        "(/proc/sys/net/ipv4/ip_unprivileged_port_start) only root may listen, and a\n"
        "caller who does not choose is given a port of a range (ip_local_port_range). A\n"
        "server on a port of that range may find it taken by some caller.\n"
        "\n"
        "A service of one's own does not take a well-known port. doorbell help ports\n"
        "PORT... tells of some: the name in /etc/services, the class, and who may have\n"
        "it here.",
    .print_table = print_table,
    .answer = answer,
};
