// Names to addresses: the system's resolver, asked on a helper thread, so that /etc/hosts, mDNS and
// containers work, and nobody waits for a name server who did not ask.

#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "addr/addr.h"

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

bool name_is_same(const union name_address *one, const union name_address *other);

// The addresses of a tcp address, in the order in which they are to be tried: the families alternate, IPv6
// first. `family` leaves out the other one. Numbers, loopback and every interface (the address `*`, for
// those who listen) are answered at once; everything else is a look-up that may last until the deadline.
//
// Returns 0 and at least one address, or
//   -ENOENT                  there is no such name, or it has no address of this family
//   -EINVAL                  there is no such service
//   -EAGAIN                  the name servers do not answer now
//   -EIO                     they answer, but with nothing that is of use
//   -EAFNOSUPPORT            the address is of the other family
//   -ETIMEDOUT, -ECANCELED   the look-up is left to itself, its thread comes back when it ends
//   ...                      what the resolver itself failed with: -ENOMEM, -EMFILE
// and for the first four *ret_reason in the resolver's words, or NULL.
int name_resolve(const struct addr *addr, enum addr_family family, int64_t deadline,
                 struct name_list *ret_list, const char **ret_reason);

// The same with the official name of the host, to which aliases lead; "" for numbers and for none.
struct name_host {
    struct name_list list;
    char official[ADDR_HOST_SIZE];
};

int name_resolve_host(const struct addr *addr, enum addr_family family, int64_t deadline,
                      struct name_host *ret_host, const char **ret_reason);

// What an EAI_ code means, in words for whoever wrote the name; the resolver's own where they say it.
const char *name_reason(int code);

// The errno of the resolver's EAI_ codes, negative.
//
// system_error  errno, which counts after EAI_SYSTEM
int name_error(int code, int system_error);

// The name of an address. Returns 0, or a negative errno and a reason as name_resolve.
//
// ret_name  has room for ADDR_HOST_SIZE bytes
int name_reverse(const struct sockaddr *address, socklen_t size, int64_t deadline, char *ret_name,
                 const char **ret_reason);
