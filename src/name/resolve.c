#include "name/name.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "task/helpers.h"

// ---- The order --------------------------------------------------------------------------------

static bool is_address(const struct addrinfo *info, int family)
{
    size_t size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    return info->ai_family == family && info->ai_addrlen == size;
}

// The next address of this family at or after `info`.
static const struct addrinfo *next_of(const struct addrinfo *info, int family)
{
    while (info && !is_address(info, family))
        info = info->ai_next;
    return info;
}

bool name_is_same(const union name_address *one, const union name_address *other)
{
    if (one->any.sa_family != other->any.sa_family)
        return false;
    if (one->any.sa_family != AF_INET6)
        return one->ipv4.sin_port == other->ipv4.sin_port &&
               one->ipv4.sin_addr.s_addr == other->ipv4.sin_addr.s_addr;
    return one->ipv6.sin6_port == other->ipv6.sin6_port &&
           one->ipv6.sin6_scope_id == other->ipv6.sin6_scope_id &&
           memcmp(&one->ipv6.sin6_addr, &other->ipv6.sin6_addr, sizeof one->ipv6.sin6_addr) == 0;
}

// One that is there already is left out: /etc/hosts may say things twice.
static void append(struct name_list *list, const void *address, size_t size)
{
    union name_address *end = &list->addresses[list->count];
    memset(end, 0, sizeof *end);
    memcpy(end, address, size);
    int i = 0;
    while (!name_is_same(&list->addresses[i], end))
        i++;
    if (i == list->count)
        list->count++;
}

// RFC 8305, 4: "Whichever address family is first in the list should be followed by an address of the other
// address family", so that a family that does not work costs one attempt and not all of them. Within a
// family the order is the resolver's, which is that of RFC 6724.
static void interleave(const struct addrinfo *infos, struct name_list *list)
{
    const struct addrinfo *next[] = {next_of(infos, AF_INET6), next_of(infos, AF_INET)};
    for (int turn = 0; (next[0] || next[1]) && list->count < NAME_ADDRESSES_MAX; turn = !turn) {
        const struct addrinfo *info = next[turn];
        if (!info)
            continue;
        append(list, info->ai_addr, info->ai_addrlen);
        next[turn] = next_of(info->ai_next, info->ai_family);
    }
}

// ---- Without a look-up --------------------------------------------------------------------------

// 0 when there is nothing to look up; -EINVAL when there is. localhost is loopback wherever it is asked for
// (RFC 6761, 6.3: "Name resolution APIs and libraries SHOULD recognize localhost names as special").
static int resolve_numbers(const struct addr *addr, enum addr_family family, struct name_list *list)
{
    static const enum addr_family families[] = {ADDR_V6, ADDR_V4};
    for (int i = 0; i < 2; i++) {
        struct sockaddr_storage address;
        int size = -EAFNOSUPPORT;
        if (family == ADDR_ANY || family == families[i])
            size = addr_to_sockaddr(addr, families[i], &address);
        if (size > 0)
            append(list, &address, (size_t)size);
        else if (size != -EAFNOSUPPORT)
            return size;
    }
    return 0; // the families agree: see answer()
}

// ---- With one -----------------------------------------------------------------------------------

struct lookup {
    struct job job; // must be first
    struct addr addr;
    struct addrinfo hints;
    struct addrinfo *list;
    int code, system_error;
};

static void run_lookup(struct job *job)
{
    struct lookup *lookup = (struct lookup *)(void *)job;
    const struct addr *addr = &lookup->addr; // NULL is loopback, or every interface
    const char *host = addr->loopback_default || addr->wildcard ? NULL : addr->host;
    lookup->code = kernel->resolve(host, addr->port, &lookup->hints, &lookup->list);
    lookup->system_error = errno;
}

static void release_lookup(struct job *job)
{
    struct lookup *lookup = (struct lookup *)(void *)job;
    kernel->resolve_free(lookup->list);
    kernel->release(lookup);
}

// What is to be looked up.
struct question {
    const struct addr *addr;
    enum addr_family family;
    int64_t deadline;
    char *official; // gets the official name; NULL: nobody wants to know
};

static struct lookup *new_lookup(const struct question *question)
{
    struct lookup *lookup = kernel->allocate(sizeof *lookup);
    if (!lookup)
        return NULL;
    lookup->job.run = run_lookup;
    lookup->job.release = release_lookup;
    lookup->addr = *question->addr;
    lookup->hints.ai_socktype = question->addr->type;
    lookup->hints.ai_family = question->family == ADDR_V6   ? AF_INET6
                              : question->family == ADDR_V4 ? AF_INET
                                                            : AF_UNSPEC;
    if (question->addr->wildcard)
        lookup->hints.ai_flags = AI_PASSIVE;
    else if (question->official && !question->addr->loopback_default)
        lookup->hints.ai_flags = AI_CANONNAME;
    return lookup;
}

const char *name_reason(int code)
{
    return code == EAI_SERVICE ? "there is no service of this name" : gai_strerror(code);
}

int name_error(int code, int system_error)
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
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENOENT;
    case EAI_SYSTEM:
        return system_error > 0 ? -system_error : -EIO;
    default:
        return -EIO;
    }
}

static int take_answer(const struct lookup *lookup, struct name_list *list, const char **ret_reason)
{
    int rc = name_error(lookup->code, lookup->system_error);
    if (rc == 0)
        interleave(lookup->list, list);
    else if (lookup->code != EAI_SYSTEM && lookup->code != EAI_MEMORY)
        *ret_reason = name_reason(lookup->code);
    if (rc == 0 && list->count == 0)
        rc = -ENOENT;
    return rc;
}

static int look_up(const struct question *question, struct name_list *list, const char **ret_reason)
{
    struct lookup *lookup = new_lookup(question);
    if (!lookup)
        return -ENOMEM;
    int rc = helpers_run(HELPERS_NAMES, &lookup->job, question->deadline);
    if (rc < 0)
        return rc;
    rc = take_answer(lookup, list, ret_reason);
    if (rc == -ENOENT && question->addr->family == ADDR_V6 && strchr(question->addr->host, '%'))
        *ret_reason = "there is no interface of this name"; // the rest of it is a number
    if (rc == 0 && question->official && lookup->list->ai_canonname)
        (void)snprintf(question->official, ADDR_HOST_SIZE, "%s", lookup->list->ai_canonname);
    lookup->job.release(&lookup->job);
    return rc;
}

static int answer(struct question *question, struct name_list *ret_list, const char **ret_reason)
{
    const struct addr *addr = question->addr;
    *ret_reason = NULL;
    ret_list->count = 0;
    if (addr->family != ADDR_ANY && question->family != ADDR_ANY &&
        question->family != addr->family)
        return -EAFNOSUPPORT;
    if (question->family == ADDR_ANY)
        question->family = addr->family;
    int rc = resolve_numbers(addr, question->family, ret_list);
    return rc != -EINVAL ? rc : look_up(question, ret_list, ret_reason);
}

int name_resolve(const struct addr *addr, enum addr_family family, int64_t deadline,
                 struct name_list *ret_list, const char **ret_reason)
{
    struct question question = {.addr = addr, .family = family, .deadline = deadline};
    return answer(&question, ret_list, ret_reason);
}

int name_resolve_host(const struct addr *addr, enum addr_family family, int64_t deadline,
                      struct name_host *ret_host, const char **ret_reason)
{
    struct question question = {
        .addr = addr,
        .family = family,
        .deadline = deadline,
        .official = ret_host->official,
    };
    ret_host->official[0] = '\0';
    return answer(&question, &ret_host->list, ret_reason);
}
