#include "base/timers.h"

#include <stddef.h>

// Each heap is a tree: `child` is the first child, `next` the next sibling, and `previous` points
// at whatever points at this node, so that a node can be cut out without knowing its parent.

// Makes the later of two trees the first child of the earlier. Both stand alone.
static struct timer *meld(struct timer *a, struct timer *b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->at < a->at) {
        struct timer *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    if (b->next)
        b->next->previous = &b->next;
    b->previous = &a->child;
    a->child = b;
    return a;
}

// Melds a list of siblings into one tree: in pairs first, then the pairs from the last to the
// first, which is what bounds the cost.
static struct timer *meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL;
    while (first) {
        struct timer *a = first, *b = first->next;
        first = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct timer *root = NULL;
    while (pairs) {
        struct timer *rest = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = rest;
    }
    return root;
}

static void set_root(struct timers *timers, struct timer *root)
{
    timers->first = root;
    if (root)
        root->previous = &timers->first;
}

void timers_add(struct timers *timers, struct timer *timer)
{
    timer->child = timer->next = NULL;
    set_root(timers, meld(timers->first, timer));
}

void timers_remove(struct timers *timers, struct timer *timer)
{
    if (!timer->previous)
        return;
    *timer->previous = timer->next;
    if (timer->next)
        timer->next->previous = timer->previous;
    struct timer *orphans = meld_siblings(timer->child);
    timer->child = timer->next = NULL;
    timer->previous = NULL;
    set_root(timers, meld(timers->first, orphans));
}

void timers_expire(struct timers *timers, int64_t now)
{
    // The due ones are collected first, so that a callback which sets a timer in the past cannot
    // keep us here for ever. A callback may also remove a timer that is due: it stays in a heap.
    struct timers due = {NULL};
    while (timers->first && timers->first->at <= now) {
        struct timer *timer = timers->first;
        timers_remove(timers, timer);
        timers_add(&due, timer);
    }
    while (due.first) {
        struct timer *timer = due.first;
        timers_remove(&due, timer);
        timer->expired(timer);
    }
}
