// Sends echo requests of ICMP, and shows the replies with the header that they came in.
//
//     ping HOST [COUNT]
//
// TCP and UDP are not in between here: the program makes the messages itself. A raw socket does that for
// root or CAP_NET_RAW; it gives us the IPv4 header as well. Without the right a "ping" socket does, for groups
// in the sysctl net.ipv4.ping_group_range; there the kernel puts the number of the message in, and keeps the header.

#include <arpa/inet.h>
#include <doorbell.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char hint[] = ": it takes CAP_NET_RAW, or a group in net.ipv4.ping_group_range";

struct echo { // of ICMP and ICMPv6 alike
    uint8_t type, code;
    uint16_t checksum, id, number;
    int64_t sent;
};

// RFC 1071: the complement of the sum of all 16-bit words, with carries added at the low end.
static uint16_t checksum(const void *data, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 2) {
        uint16_t word = 0; // of an odd last byte, the low half
        memcpy(&word, (const char *)data + i, size - i < 2 ? 1 : 2);
        sum += ntohs(word);
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static int open_socket(const struct addrinfo *to, int *ret_raw)
{
    int protocol = to->ai_family == AF_INET6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP;
    int fd = socket(to->ai_family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    *ret_raw = fd >= 0;
    if (fd < 0 && errno == EPERM) {
        fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
        errno = EPERM;
    }
    return fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0 ? -1 : fd;
}

static void show_header(const struct ip *ip)
{
    char from[INET_ADDRSTRLEN];
    printf("    version %u, header %u bytes, length %u, ttl %u, protocol %u, from %s", ip->ip_v,
           ip->ip_hl * 4U, ntohs(ip->ip_len), ip->ip_ttl, ip->ip_p,
           inet_ntop(AF_INET, &ip->ip_src, from, sizeof from));
    printf(", to %s\n", inet_ntop(AF_INET, &ip->ip_dst, from, sizeof from));
}

// Whether a packet is the reply to this request; a raw socket sees all of ICMP, our own requests too.
static bool is_reply(const char *packet, size_t size, const struct echo *request, bool raw)
{
    struct echo reply;
    bool v4 = request->type == ICMP_ECHO;
    size_t header = v4 && raw ? ((const struct ip *)(const void *)packet)->ip_hl * 4U : 0;
    if (size < header + sizeof reply)
        return false;
    memcpy(&reply, packet + header, sizeof reply);
    if (reply.type != (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) || reply.number != request->number ||
        (raw && reply.id != request->id))
        return false;
    printf("%zu bytes, number %u, %.3f ms\n", size - header, ntohs(reply.number),
           (double)(bell_now() - reply.sent) / (double)BELL_MS);
    if (header > 0)
        show_header((const struct ip *)(const void *)packet);
    return true;
}

// Returns 0 when the reply came within a second.
static int ping(int fd, bool v4, bool raw, unsigned number)
{
    _Alignas(struct ip) char packet[2048];
    const uint8_t type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    struct echo request = {.type = type, .number = htons((uint16_t)number), .sent = bell_now()};
    request.id = htons((uint16_t)getpid());
    request.checksum = v4 ? checksum(&request, sizeof request) : 0; // of ICMPv6 the kernel does it
    if (send(fd, &request, sizeof request, 0) < 0)
        return fprintf(stderr, "ping: send: %s\n", strerror(errno)), -1;
    for (int64_t end = bell_in(BELL_SECOND); bell_wait_fd(fd, POLLIN, end) > 0;) {
        ssize_t n = recv(fd, packet, sizeof packet, 0);
        if (n < 0 && errno != EAGAIN)
            return fprintf(stderr, "ping: recv: %s\n", strerror(errno)), -1;
        if (n > 0 && is_reply(packet, (size_t)n, &request, raw))
            return 0;
    }
    return fprintf(stderr, "ping: no reply to number %u in a second\n", number), -1;
}

int main(int argc, char **argv)
{
    int count = argc == 3 ? (int)strtol(argv[2], NULL, 10) : argc == 2, raw, lost = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_RAW}, *to;
    if (count < 1)
        return fputs("ping HOST [COUNT]\n", stderr), 2;
    int rc = getaddrinfo(argv[1], NULL, &hints, &to);
    if (rc != 0)
        return fprintf(stderr, "ping: %s: %s\n", argv[1], gai_strerror(rc)), 1;
    int fd = open_socket(to, &raw);
    if (fd < 0)
        return fprintf(stderr, "ping: %s%s\n", strerror(errno), errno == EPERM ? hint : ""), 1;
    for (int i = 1; i <= count; i++)
        lost += ping(fd, to->ai_family == AF_INET, raw, (unsigned)i) < 0;
    freeaddrinfo(to);
    return close(fd) < 0 || lost > 0;
}
