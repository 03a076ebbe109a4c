// Points in time, the earliest first: a pairing heap whose nodes lie inside the things that wait.
//
// It never allocates, so that setting a deadline cannot fail. Adding is O(1), taking one out
// O(log n) amortised. Nodes with equal times come out in no particular order.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t at;                             // nanoseconds of CLOCK_MONOTONIC
    void (*expired)(struct timer *self);    // called when it has been taken out of the heap
    struct timer *child, *next, **previous; // previous is NULL when the timer is not set
};

struct timers {
    struct timer *first; // the earliest, NULL when none is set
};

static inline bool timer_is_set(const struct timer *timer)
{
    return timer->previous != NULL;
}

// Adds a timer that is not set, to expire at timer->at.
void timers_add(struct timers *timers, struct timer *timer);

// Takes a timer out. Nothing happens to one that is not set.
void timers_remove(struct timers *timers, struct timer *timer);

// The time of the earliest; INT64_MAX when there is none.
static inline int64_t timers_next(const struct timers *timers)
{
    return timers->first ? timers->first->at : INT64_MAX;
}

// Takes out and calls every timer whose time is `now` or earlier. One that a callback adds for the
// past is left for the next time.
void timers_expire(struct timers *timers, int64_t now);
