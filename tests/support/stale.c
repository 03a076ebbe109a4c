// With MATRIX_STALE in the environment: events that are stale.
//
// A registration can outlive its endpoint (a copy of the descriptor lives on in another process), and
// an event can lie in the batch in which its descriptor is closed and its number used again. Here
// every look also reports some events that were true earlier, for slots and generations that are gone
// or are somebody else's by now. Nobody may be disturbed by that, and nobody may be missed.

#include <stdlib.h>

#include "kernel/kernel.h"

enum { REMEMBERED = 64, REPLAYED = 3 };

static struct kernel_ops table;
static const struct kernel_ops *behind;
static _Thread_local struct epoll_event remembered[REMEMBERED];
static _Thread_local unsigned count, next_replay, looks;

static int stale_epoll_wait(int epoll, struct epoll_event *events, int room, int64_t deadline)
{
    int ready = behind->epoll_wait(epoll, events, room, deadline);
    if (ready < 0)
        return ready;
    for (int i = 0; i < ready; i++)
        if (events[i].data.u64 < UINT64_MAX - 16) // not the loop's own
            remembered[count++ % REMEMBERED] = events[i];
    // Not after every look: a loop that is never left alone would never sleep.
    if (ready == 0 || ++looks % 4 == 0)
        return ready;
    for (int i = 0; i < REPLAYED && ready < room && count; i++)
        events[ready++] = remembered[next_replay++ % (count < REMEMBERED ? count : REMEMBERED)];
    return ready;
}

__attribute__((constructor)) static void put_in_front(void)
{
    if (!getenv("MATRIX_STALE"))
        return;
    behind = kernel; // another table may stand in front of the real one already
    table = *kernel;
    table.epoll_wait = stale_epoll_wait;
    kernel = &table;
}
