// Watches.

#include "wait/watch.h"

#include <errno.h>

#include "kernel/kernel.h"

#define WATCH_RETRY ((int64_t)10000000)

static void retry(struct timer *timer)
{
    watch_again(LIST_ENTRY(timer, struct watch, again));
}

static void watch_done(struct wait_call *call)
{
    struct watch *watch = LIST_ENTRY(call, struct watch, call);
    if (call->result >= 0) {
        watch->seen(watch);
    } else if (call->result != -ECANCELED) {
        watch->again.at = kernel->now() + WATCH_RETRY;
        watch->again.expired = retry;
        timers_add(&watch->loop->timers, &watch->again);
    }
}

void watch_start(struct watch *watch, struct loop *loop, int fd, void (*seen)(struct watch *self))
{
    wait_open(&watch->endpoint, fd);
    watch->loop = loop;
    watch->seen = seen;
    watch->call.kind = WAIT_READABLE;
    watch->call.endpoint = &watch->endpoint;
    watch->call.deadline = INT64_MAX;
    watch->call.done = watch_done;
    watch_again(watch);
}

void watch_again(struct watch *watch)
{
    wait_start(watch->loop, &watch->call);
}

void watch_end(struct watch *watch)
{
    if (watch->endpoint.fd < 0)
        return;
    timers_remove(&watch->loop->timers, &watch->again);
    wait_release(&watch->endpoint);
    watch->endpoint.fd = -1;
}
