// doorbell help types: the kinds of sockets, and which of them this kernel has, which is tried.

#include "pages.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static const struct kind {
    const char *type;
    int number;
    const char *protocol;
    int family, protocol_number;
    const char *address; // as doorbell has it; or what it is for
} kinds[] = {
    {"SOCK_STREAM", SOCK_STREAM, "TCP over IPv4", AF_INET, IPPROTO_TCP, "tcp4:"},
    {"SOCK_STREAM", SOCK_STREAM, "TCP over IPv6", AF_INET6, IPPROTO_TCP, "tcp6:"},
    {"SOCK_STREAM", SOCK_STREAM, "Multipath TCP", AF_INET, IPPROTO_MPTCP, ""},
    {"SOCK_STREAM", SOCK_STREAM, "SCTP", AF_INET, IPPROTO_SCTP, ""},
    {"SOCK_STREAM", SOCK_STREAM, "Unix", AF_UNIX, 0, "unix:"},
    {"SOCK_DGRAM", SOCK_DGRAM, "UDP over IPv4", AF_INET, IPPROTO_UDP, "udp4:"},
    {"SOCK_DGRAM", SOCK_DGRAM, "UDP over IPv6", AF_INET6, IPPROTO_UDP, "udp6:"},
    {"SOCK_DGRAM", SOCK_DGRAM, "UDP-Lite", AF_INET, IPPROTO_UDPLITE, ""},
    {"SOCK_DGRAM", SOCK_DGRAM, "ICMP echo", AF_INET, IPPROTO_ICMP, ""},
    {"SOCK_DGRAM", SOCK_DGRAM, "Unix", AF_UNIX, 0, "unixgram:"},
    {"SOCK_SEQPACKET", SOCK_SEQPACKET, "SCTP", AF_INET, IPPROTO_SCTP, "sctp:"},
    {"SOCK_SEQPACKET", SOCK_SEQPACKET, "Unix", AF_UNIX, 0, "unixpacket:"},
    {"SOCK_RAW", SOCK_RAW, "ICMP", AF_INET, IPPROTO_ICMP, ""},
    {"SOCK_RAW", SOCK_RAW, "ICMP for IPv6", AF_INET6, IPPROTO_ICMPV6, ""},
    {"SOCK_RAW", SOCK_RAW, "UDP over IPv4", AF_INET, IPPROTO_UDP, ""},
    {"SOCK_RAW", SOCK_RAW, "Ethernet", AF_PACKET, 0, ""},
};

// What the kernel says to such a socket.
static const char *try_kind(const struct kind *kind)
{
    int fd = socket(kind->family, kind->number | SOCK_CLOEXEC, kind->protocol_number);
    if (fd >= 0) {
        (void)close(fd);
        return "yes";
    }
    if (errno == EPERM && kind->number == SOCK_RAW)
        return "no: only for root, or with CAP_NET_RAW";
    return strerror(errno);
}

static void print_table(bool present, FILE *to)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *kind = &kinds[i];
        const char *answer = present ? try_kind(kind) : "";
        bool works = !strcmp(answer, "yes");
        fprintf(to, "  %-14s  %-14s  %-11s%s%s%s\n", kind->type, kind->protocol,
                kind->address[0] ? kind->address : "-", present ? "  " : "",
                present && !works && strncmp(answer, "no", 2) != 0 ? "no: " : "", answer);
    }
}

const struct page types_page = {
    .name = "types",
    .summary = "types of sockets and their protocols, and which this kernel has",
    .usage = (const char *const[]){NULL},
    .description =
        "A socket has a type, which says what it carries, and a protocol, which says how:\n"
        "\n"
        "  SOCK_STREAM     bytes in their order, none lost; a connection\n"
        "  SOCK_DGRAM      messages that may be lost, doubled, or change places\n"
        "  SOCK_SEQPACKET  messages in their order, none lost; a connection\n"
        "  SOCK_RAW        packets as the network has them, with or without their headers\n"
        "\n"
        "Each is opened to see whether this kernel has it. The third column is what\n"
        "stands in front of an address of doorbell's; - where it speaks none.",
    .print_table = print_table,
};
