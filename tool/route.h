// The way to an address, as the kernel would send there now.

#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

enum { LINK_TEXT_SIZE = 96 };

enum neighbour {
    NEIGHBOUR_NONE,    // this machine, or an interface on which nobody has a link address
    NEIGHBOUR_UNKNOWN, // nobody has asked for it lately
    NEIGHBOUR_SILENT,  // it was asked for, and nobody answers (yet)
    NEIGHBOUR_KNOWN,
};

struct route {
    bool this_machine;
    char interface[IF_NAMESIZE];
    char local[INET6_ADDRSTRLEN]; // the address that we would send from; "" when that is open
    char next[INET6_ADDRSTRLEN];  // the neighbour: a gateway, or the host itself
    bool is_gateway;
    enum neighbour neighbour;
    char link[LINK_TEXT_SIZE]; // its link address: "00-15-C5-49-04-A9"
};

// returns  0, or a negative errno: -ENETUNREACH, -EHOSTUNREACH when there is no way
int route_find(const struct sockaddr_storage *to, struct route *ret_route);
