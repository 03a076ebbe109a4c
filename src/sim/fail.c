// Calls that fail by wish: a table in front of the simulated one, in which the n-th call of a kind fails.

#include "sim/fail.h"

#include <doorbell/sim.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/fallible.h"
#include "sim/net.h"
#include "sim/sim.h"
#include "wait/failure.h"

enum call {
    CALL_NONE,
#define NAME_NUMBER(type, name, parameters, arguments) CALL_##name,
#define NAME_MEMORY(name, parameters, arguments) CALL_##name,
    FALLIBLE_NUMBERS(NAME_NUMBER) FALLIBLE_MEMORY(NAME_MEMORY) CALLS
};

static const char *const names[] = {"",
#define SPELL_NUMBER(type, name, parameters, arguments) #name,
#define SPELL_MEMORY(name, parameters, arguments) #name,
                                    FALLIBLE_NUMBERS(SPELL_NUMBER) FALLIBLE_MEMORY(SPELL_MEMORY)};

// ---- Failing ----------------------------------------------------------------------------------

// Whether this call is the one.
static bool strikes(enum call call)
{
    struct failing *failing = &world.failing;
    if (failing->call != (int)call || !world.running)
        return false;
    if (failing->host[0] && strcmp(failing->host, world.running->host->name) != 0)
        return false;
    uint64_t count = ++failing->count;
    if (count < failing->which || (count > failing->which && !failing->ever))
        return false;
    failing->struck++;
    world.now += 1000; // who tries again and again is seen to do so
    if (++world.steps > world.steps_max)
        world_fail("%s does not come to an end: %s failed %llu times", world.running->name,
                   names[call], (unsigned long long)failing->struck);
    if (world.trace)
        world_trace("%-12s %s fails: %s, as was wished", world.running->name, names[call],
                    strerrorname_np(failing->error));
    return true;
}

#define FAIL_NUMBER(type, name, parameters, arguments)                                       \
    static type fail_##name parameters                                                       \
    {                                                                                        \
        return strikes(CALL_##name) ? (type)-world.failing.error : sim_table.name arguments; \
    }
#define FAIL_MEMORY(name, parameters, arguments)                       \
    static void *fail_##name parameters                                \
    {                                                                  \
        return strikes(CALL_##name) ? NULL : sim_table.name arguments; \
    }
// NOLINTNEXTLINE(readability-function-size): recvfrom and sendto have so many parameters
FALLIBLE_NUMBERS(FAIL_NUMBER)
FALLIBLE_MEMORY(FAIL_MEMORY)

// Only what is added needs memory: the system never refuses to take away.
static int fail_to_add(int epoll, int operation, int fd, struct epoll_event *event)
{
    return operation == EPOLL_CTL_ADD ? fail_epoll_ctl(epoll, operation, fd, event)
                                      : sim_table.epoll_ctl(epoll, operation, fd, event);
}

static struct kernel_ops table;

const struct kernel_ops *fail_table(void)
{
    table = sim_table;
#define SET_NUMBER(type, name, parameters, arguments) table.name = fail_##name;
#define SET_MEMORY(name, parameters, arguments) table.name = fail_##name;
    FALLIBLE_NUMBERS(SET_NUMBER)
    FALLIBLE_MEMORY(SET_MEMORY)
    table.epoll_ctl = fail_to_add;
    return &table;
}

bool fail_is_in_front(void)
{
    return kernel == &table;
}

bool fail_has_struck(void)
{
    return world.failing.struck > 0;
}

// ---- What is to fail ----------------------------------------------------------------------------

static int find_call(const char *name, size_t length)
{
    for (int i = 1; i < CALLS; i++)
        if (strlen(names[i]) == length && !strncmp(names[i], name, length))
            return i;
    return CALL_NONE;
}

static int find_error(const char *name)
{
    for (int i = 1; i < 200; i++) {
        const char *other = strerrorname_np(i);
        if (other && !strcmp(other, name))
            return i;
    }
    return 0;
}

// Of "HOST/CALL:NUMBER+:ERROR", what stands between the host and the error.
static bool read_call(const char *text, struct failing *ret)
{
    const char *colon = strchr(text, ':');
    char *end;
    if (!colon || colon[1] < '0' || colon[1] > '9')
        return false;
    ret->call = find_call(text, (size_t)(colon - text));
    ret->which = strtoull(colon + 1, &end, 10);
    ret->ever = *end == '+';
    end += ret->ever;
    if (*end++ != ':')
        return false;
    ret->error = find_error(end);
    return ret->call != CALL_NONE && ret->which > 0 && ret->error > 0;
}

static bool read_wish(const char *text, struct failing *ret)
{
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : 0;
    if (length >= sizeof ret->host)
        return false;
    memcpy(ret->host, text, length);
    return read_call(slash ? slash + 1 : text, ret);
}

static int read_text(const char *what, struct failing *ret)
{
    *ret = (struct failing){0};
    return what && *what && !read_wish(what, ret) ? -EINVAL : 0;
}

bool fail_is_possible(const char *what)
{
    struct failing failing;
    return read_text(what, &failing) == 0;
}

int fail_begin(const char *what)
{
    struct failing failing;
    int rc = read_text(what, &failing);
    if (rc < 0)
        return rc;
    failing.struck = world.failing.struck;
    world.failing = failing;
    if (failing.call != CALL_NONE)
        world.faults.calm = false;
    return 0;
}

int bell_sim_fail(const char *what)
{
    if (fail_begin(what) < 0)
        return failure_say(-EINVAL, "no call that can fail: %s", what);
    if (world.trace)
        world_trace("%-12s # from now on fails: %s", world.running ? world.running->name : "",
                    what && *what ? what : "nothing");
    return 0;
}
