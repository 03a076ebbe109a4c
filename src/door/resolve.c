// Names: the public face of name/name.h.

#include <doorbell.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "addr/addr.h"
#include "kernel/kernel.h"
#include "name/name.h"
#include "wait/failure.h"
#include "wait/wait.h"

#define RESOLVE_TIMEOUT (30 * BELL_SECOND)

static const struct bell_options defaults = {.size = sizeof defaults};

static int check_options(const struct bell_options *options, const char *what)
{
    const unsigned families = BELL_IPV4_ONLY | BELL_IPV6_ONLY;
    if (options->size != sizeof *options)
        return failure_say(-EINVAL, "%s: the size of the options is not that of this version",
                           what);
    if (options->timeout < 0)
        return failure_say(-EINVAL, "%s: a duration is negative", what);
    if ((options->flags & ~families) || options->flags == families)
        return failure_say(-EINVAL, "%s: the flags make no sense", what);
    int rc = 0;
    return task_here(&rc) ? 0 : failure_set(rc, "%s", what);
}

static int64_t deadline_of(const struct bell_options *options)
{
    return bell_in(options->timeout ? options->timeout : RESOLVE_TIMEOUT);
}

static enum addr_family family_of(const struct bell_options *options)
{
    return options->flags & BELL_IPV4_ONLY   ? ADDR_V4
           : options->flags & BELL_IPV6_ONLY ? ADDR_V6
                                             : ADDR_ANY;
}

// Whom the text means. Returns -1 with the failure told when that is nobody with a name.
static int parse(const char *text, struct addr *ret_addr)
{
    char why[256];
    int rc = addr_parse(text, ret_addr, why, sizeof why);
    if (rc < 0)
        return failure_say(rc, "%.200s: %s", text, why);
    if (ret_addr->scheme != ADDR_INET || ret_addr->wildcard)
        return failure_say(-EINVAL, "%.200s: only hosts have names and addresses", text);
    return 0;
}

static int refuse_answer(const struct addr *addr, int rc, const char *reason)
{
    const char *what = rc == -EINVAL ? addr->port : addr->host;
    if (rc == -EINVAL)
        return failure_say(rc, "%.200s: there is no service of this name", what);
    if (rc == -EAFNOSUPPORT)
        return failure_say(rc, "%.200s: it is an address of the other family", what);
    return failure_say(rc, "%.200s: %s", what, reason ? reason : failure_word(rc));
}

static void give(const struct name_host *found, struct bell_host *ret_host)
{
    memset(ret_host, 0, sizeof *ret_host);
    ret_host->count = found->list.count;
    (void)snprintf(ret_host->name, sizeof ret_host->name, "%s", found->official);
    for (int i = 0; i < found->list.count; i++) {
        const union name_address *address = &found->list.addresses[i];
        memcpy(&ret_host->addresses[i], address, name_address_size(address));
    }
}

int bell_resolve(const char *address, const struct bell_options *options,
                 struct bell_host *ret_host)
{
    _Static_assert(BELL_ADDRESSES_MAX == NAME_ADDRESSES_MAX, "all addresses of a name have room");
    struct addr addr;
    struct name_host found;
    const char *reason;
    if (!options)
        options = &defaults;
    if (!address || !ret_host)
        return failure_say(-EINVAL, "bell_resolve: no address");
    if (check_options(options, "bell_resolve") < 0 || parse(address, &addr) < 0)
        return -1;
    int rc = name_resolve_host(&addr, family_of(options), deadline_of(options), &found, &reason);
    if (rc < 0)
        return refuse_answer(&addr, rc, reason);
    give(&found, ret_host);
    return found.list.count;
}

static socklen_t size_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET    ? sizeof(struct sockaddr_in)
           : address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                            : 0;
}

int bell_reverse(const struct sockaddr_storage *address, const struct bell_options *options,
                 char *ret_name, size_t size)
{
    char name[ADDR_HOST_SIZE], text[ADDR_TEXT_SIZE];
    const char *reason;
    if (!options)
        options = &defaults;
    if (!address || !size_of(address) || !ret_name)
        return failure_say(-EINVAL, "bell_reverse: an address of IPv4 or IPv6 is wanted");
    if (check_options(options, "bell_reverse") < 0)
        return -1;
    const struct sockaddr *any = (const struct sockaddr *)address;
    int rc = name_reverse(any, size_of(address), deadline_of(options), name, &reason);
    if (rc < 0) {
        (void)addr_print(any, size_of(address), text, sizeof text);
        return failure_say(rc, "%s: %s", text, reason ? reason : failure_word(rc));
    }
    if (strlen(name) >= size)
        return failure_say(-EMSGSIZE, "bell_reverse: %s needs %zu bytes", name, strlen(name) + 1);
    memcpy(ret_name, name, strlen(name) + 1);
    return 0;
}
