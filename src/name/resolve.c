#include "name/name.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <string.h>

#include "kernel/kernel.h"
#include "task/helpers.h"

struct lookup {
    struct job job; // must be first
    struct addrinfo hints;
    struct addrinfo *list;
    int code;
    char host[256], port[64];
};

static void run_lookup(struct job *job)
{
    struct lookup *lookup = (struct lookup *)(void *)job;
    lookup->code = kernel->resolve(lookup->host, lookup->port, &lookup->hints, &lookup->list);
}

static void release_lookup(struct job *job)
{
    struct lookup *lookup = (struct lookup *)(void *)job;
    kernel->resolve_free(lookup->list);
    kernel->release(lookup);
}

// ---- The order --------------------------------------------------------------------------------

// The next address of this family at or after `info`.
static const struct addrinfo *next_of(const struct addrinfo *info, int family)
{
    while (info && info->ai_family != family)
        info = info->ai_next;
    return info;
}

static void append(struct name_list *list, const struct addrinfo *info)
{
    union name_address *address = &list->addresses[list->count];
    if (info->ai_addrlen <= sizeof *address) {
        memcpy(address, info->ai_addr, info->ai_addrlen);
        list->count++;
    }
}

// RFC 8305, 4: "Whichever address family is first in the list should be followed by an endpoint of the
// other address family", so that a family that does not work costs one attempt and not all of them.
static void interleave(const struct addrinfo *infos, struct name_list *ret_list)
{
    const struct addrinfo *ipv6 = next_of(infos, AF_INET6);
    const struct addrinfo *ipv4 = next_of(infos, AF_INET);
    ret_list->count = 0;
    while ((ipv6 || ipv4) && ret_list->count < NAME_ADDRESSES_MAX - 1) {
        if (ipv6) {
            append(ret_list, ipv6);
            ipv6 = next_of(ipv6->ai_next, AF_INET6);
        }
        if (ipv4) {
            append(ret_list, ipv4);
            ipv4 = next_of(ipv4->ai_next, AF_INET);
        }
    }
}

// ---- Asking -----------------------------------------------------------------------------------

static int error_of(int code)
{
    switch (code) {
    case 0:
        return 0;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SERVICE:
        return -EINVAL;
    case EAI_AGAIN:
        return -EAGAIN;
    default:
        return -ENOENT;
    }
}

// What needs no files and no name servers: numbers, and localhost, which is loopback wherever it
// is asked for (RFC 6761, 6.3).
static int resolve_numbers(const char *host, const char *port, int family,
                           struct name_list *ret_list)
{
    struct addrinfo hints = {
        .ai_family = family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
    };
    struct addrinfo *list = NULL;
    int code = kernel->resolve(strcmp(host, "localhost") ? host : NULL, port, &hints, &list);
    if (code == 0)
        interleave(list, ret_list);
    kernel->resolve_free(list);
    return code;
}

static struct lookup *new_lookup(const char *host, const char *port, int family)
{
    struct lookup *lookup = kernel->allocate(sizeof *lookup);
    if (!lookup)
        return NULL;
    lookup->job.run = run_lookup;
    lookup->job.release = release_lookup;
    lookup->hints.ai_family = family;
    lookup->hints.ai_socktype = SOCK_STREAM;
    strncpy(lookup->host, host, sizeof lookup->host - 1);
    strncpy(lookup->port, port, sizeof lookup->port - 1);
    return lookup;
}

int name_resolve(const char *host, const char *port, int family, int64_t deadline,
                 struct name_list *ret_list, const char **ret_reason)
{
    if (resolve_numbers(host, port, family, ret_list) == 0)
        return ret_list->count ? 0 : -ENOENT;
    struct lookup *lookup = new_lookup(host, port, family);
    if (!lookup)
        return -ENOMEM;
    int rc = helpers_run(HELPERS_NAMES, &lookup->job, deadline);
    if (rc < 0)
        return rc;
    rc = error_of(lookup->code);
    if (rc == 0)
        interleave(lookup->list, ret_list);
    else
        *ret_reason = gai_strerror(lookup->code);
    job_release(&lookup->job);
    return rc;
}
