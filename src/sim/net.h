// Hosts, their addresses, and the way of a packet between them.

#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sim/sim.h"

// An address of the internet with its port. IPv4 is written as IPv6 writes it: ::ffff:10.0.0.1.
struct place {
    unsigned char ip[16];
    uint16_t port;
};

struct host {
    int number; // of 10.0.0.number and fd00::number
    char name[SIM_NAME_SIZE];
    bool is_dead;
    bool serves; // a server is on it, which never goes out
    bool unknown_name;
    uint16_t next_port;
    struct list sockets; // of the internet that are bound
    struct list paths;   // of Unix sockets
    // Nothing goes between it and others in this time.
    int64_t cut_from, cut_until;
};

enum packet_flags {
    PACKET_SYN = 1,
    PACKET_ACK = 2,
    PACKET_FIN = 4,
    PACKET_RST = 8,
    PACKET_ICMP = 16
};

struct packet {
    struct timer timer;
    struct list node;
    struct place from, to;
    struct host *target;
    int protocol;
    int error; // of an ICMP message: what it means to who is told
    unsigned flags;
    uint64_t sequence, acknowledges;
    size_t window;
    size_t size;
    char data[];
};

// ---- Hosts

struct host *host_add(const char *name);
struct host *host_by_name(const char *name);
// Who has this address, as seen from `from`; NULL when nobody has.
struct host *host_at(const struct host *from, const struct place *place);
// Its own address, of the family of `like`.
void host_address(const struct host *host, const struct place *like, struct place *ret_place);
bool host_has(const struct host *host, const struct place *place);
void net_forget_hosts(void);

// ---- Places

bool place_is_ipv4(const struct place *place);
bool place_is_any(const struct place *place);
bool place_is_loopback(const struct place *place);
bool place_is_group(const struct place *place);
bool place_same_ip(const struct place *one, const struct place *other);
bool place_same(const struct place *one, const struct place *other);
// From and to the kernel's form; -EINVAL, -EAFNOSUPPORT.
int place_read(const struct sockaddr *address, socklen_t size, int family, struct place *ret_place);
void place_write(const struct place *place, int family, struct sockaddr *ret_address,
                 socklen_t *size);
const char *place_print(const struct place *place, char *ret_text, size_t size);

// ---- Packets

struct packet *packet_new(int protocol, const struct place *from, const struct place *to,
                          size_t size);
// Sends it, and frees it in the end. *last is when the one before arrives, so that none overtakes
// another without being meant to.
void packet_send(struct host *from, struct packet *packet, int64_t *last);
// How long a packet takes between two hosts; to itself some microseconds.
int64_t net_delay(const struct host *from, const struct host *to);
// Frees the packets under way.
void net_end(void);

// Where they arrive.
void tcp_arrive(struct host *host, struct packet *packet);
void udp_arrive(struct host *host, struct packet *packet);
