// Names to addresses: the system's resolver, asked on a helper thread, so that /etc/hosts, mDNS and
// containers work, and nobody waits for a name server who did not ask.

#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

enum { NAME_ADDRESSES_MAX = 32 };

// An internet address with its port.
union name_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

struct name_list {
    int count;
    union name_address addresses[NAME_ADDRESSES_MAX];
};

static inline socklen_t name_address_size(const union name_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->ipv6 : sizeof address->ipv4;
}

// The addresses of host and port (names or numbers), in the order in which they are to be tried: the
// families alternate, IPv6 first. `family` is AF_UNSPEC, AF_INET or AF_INET6. Numbers, and localhost,
// are answered at once.
//
// Returns 0 or
//   -ENOENT                  there is no such name; *ret_reason has the resolver's words
//   -EINVAL                  there is no such service
//   -EAGAIN                  the name servers do not answer; the words again
//   -ETIMEDOUT, -ECANCELED   the look-up is left to itself
//   -ENOMEM
int name_resolve(const char *host, const char *port, int family, int64_t deadline,
                 struct name_list *ret_list, const char **ret_reason);
