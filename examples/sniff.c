// Shows the headers of what an interface sends and receives: who put it there, ARP, IPv4, IPv6, ports.
//
//     sniff INTERFACE     until ^C
//
// A packet socket, below IP: it takes root or CAP_NET_RAW. Says "listening" on stderr when it does.

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

// What is left of a packet. Headers are copied out of it, since nothing in there is aligned.
struct rest {
    const unsigned char *data;
    size_t size;
};

static int take(struct rest *rest, void *header, size_t size)
{
    if (rest->size < size)
        return 0;
    memcpy(header, rest->data, size);
    *rest = (struct rest){rest->data + size, rest->size - size};
    return 1;
}

static const char *text(int family, const void *address)
{
    static char room[2][INET6_ADDRSTRLEN]; // for the two of a line
    static int at;
    return inet_ntop(family, address, room[at = !at], sizeof room[0]);
}

static void show_ports(struct rest *rest, unsigned protocol)
{
    struct udphdr udp; // TCP begins with the same two ports
    if ((protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) && rest->size > 0)
        printf(" icmp type %u", rest->data[0]);
    else if ((protocol == IPPROTO_UDP || protocol == IPPROTO_TCP) && take(rest, &udp, sizeof udp))
        printf(" %s port %u to %u", protocol == IPPROTO_UDP ? "udp" : "tcp", ntohs(udp.source),
               ntohs(udp.dest));
    else
        printf(" protocol %u", protocol);
}

static void show_ip4(struct rest rest)
{
    struct rest all = rest;
    struct ip ip;
    size_t header = take(&rest, &ip, sizeof ip) ? ip.ip_hl * 4U : 0; // its options are in it
    if (header < sizeof ip || header > all.size)
        return;
    printf(" ipv4 %s to %s, header %zu, length %u, ttl %u,", text(AF_INET, &ip.ip_src),
           text(AF_INET, &ip.ip_dst), header, ntohs(ip.ip_len), ip.ip_ttl);
    show_ports(&(struct rest){all.data + header, all.size - header}, ip.ip_p);
}

static void show_ip6(struct rest rest)
{
    struct ip6_hdr ip;
    if (!take(&rest, &ip, sizeof ip))
        return;
    printf(" ipv6 %s to %s, length %u, hop limit %u,", text(AF_INET6, &ip.ip6_src),
           text(AF_INET6, &ip.ip6_dst), ntohs(ip.ip6_plen), ip.ip6_hlim);
    show_ports(&rest, ip.ip6_nxt);
}

static void show_link(const unsigned char *address)
{
    for (int i = 0; i < ETH_ALEN; i++)
        printf("%s%02X", i ? "-" : "", address[i]);
}

static void show_arp(struct rest rest)
{
    struct ether_arp arp;
    if (!take(&rest, &arp, sizeof arp))
        return;
    if (ntohs(arp.ea_hdr.ar_op) == ARPOP_REQUEST)
        return (void)printf(" arp who has %s? tell %s", text(AF_INET, arp.arp_tpa),
                            text(AF_INET, arp.arp_spa));
    printf(" arp %s is at ", text(AF_INET, arp.arp_spa));
    show_link(arp.arp_sha);
}

int main(int argc, char **argv)
{
    struct sockaddr_ll from = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    static unsigned char packet[65536];
    if (argc != 2)
        return fputs("sniff INTERFACE\n", stderr), 2;
    from.sll_ifindex = (int)if_nametoindex(argv[1]);
    int fd = socket(AF_PACKET, SOCK_DGRAM, 0); // hears nothing until it is bound
    if (fd < 0 || !from.sll_ifindex || bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        return perror("sniff (it takes CAP_NET_RAW, and the name of an interface)"), 1;
    fputs("listening\n", stderr);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;;) {
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
        if (n < 0)
            return perror("sniff: recvfrom"), 1;
        if (from.sll_hatype == ARPHRD_LOOPBACK && from.sll_pkttype == PACKET_OUTGOING)
            continue; // it comes back, and is shown then
        show_link(from.sll_addr);
        if (from.sll_protocol == htons(ETHERTYPE_ARP))
            show_arp((struct rest){packet, (size_t)n});
        else if (from.sll_protocol == htons(ETHERTYPE_IP))
            show_ip4((struct rest){packet, (size_t)n});
        else if (from.sll_protocol == htons(ETHERTYPE_IPV6))
            show_ip6((struct rest){packet, (size_t)n});
        putchar('\n');
    }
}
