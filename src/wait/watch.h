// A watch: a function of the loop that is called when a descriptor is readable, for want of memory a little
// later.

#pragma once

#include "wait/wait.h"

struct watch {
    struct endpoint endpoint;
    struct wait_call call;
    struct loop *loop;
    struct timer again; // when it could not wait for want of memory
    void (*seen)(struct watch *self);
};

// Begins one. `seen` is called once, from the loop.
void watch_start(struct watch *watch, struct loop *loop, int fd, void (*seen)(struct watch *self));

// After `seen`: once more.
void watch_again(struct watch *watch);

// Ends it; the descriptor stays open. Nothing happens to one that has ended, or never begun with fd -1.
void watch_end(struct watch *watch);
