// Sockets for UDP, bound and told what to do with groups.

#pragma once

#include "addr/addr.h"
#include "door/sockopts.h"

// How a socket is to be bound.
struct udp_wish {
    const char *sockopts;    // by name, or NULL
    unsigned flags;          // BELL_REUSEPORT counts
    bool both_families;      // an IPv6 socket takes IPv4, too
    const struct addr *addr; // names the interface of a group
};

// Opens a socket and binds it; an address that is a group is joined. Returns the descriptor or a negative errno;
// `refused` gets the name of the option that the kernel did not take, or "".
int udp_open(const struct sockaddr *address, socklen_t size, const struct udp_wish *wish,
             char refused[SOCKOPT_NAME_SIZE]);

// What goes to the group `addr` leaves by the interface that is named there. 0, also when there is none; or a
// negative errno.
int udp_send_by(int fd, const struct addr *addr);

// The number of the interface that `addr` names; 0 when it names none; -ENODEV.
int udp_interface(const struct addr *addr);
