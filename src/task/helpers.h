// Helper threads, for functions that block: a bounded pool of them for each purpose, so that slow name
// servers do not take the threads of slow disks.
//
// Threads are started when there is work for them, and end when there has been none for a while: they
// cost nothing to a program that does not use them, and nothing has to be ended at its exit.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum helper_pool { HELPERS_BLOCK, HELPERS_NAMES, HELPER_POOLS };

// One piece of work, in memory of the heap: who asked for it may go before it is done.
struct job {
    void (*run)(struct job *self);     // on the helper thread
    void (*release)(struct job *self); // frees it; on either
    struct list node;                  // the pool's: in its queue until a thread begins it
    struct job_waiter *waiter;         // the pool's: the task that asked, NULL when it has gone
};

// Has job->run run on a helper thread and waits until it has. On 0 the job is the caller's again, who
// reads what it has found and calls job->release. After a negative errno it is not the caller's any
// more: it is released, at once if no thread has begun it, else when that has finished.
//
//   -ETIMEDOUT, -ECANCELED   the task cannot wait longer
//   -EAGAIN                  no thread could be made, and there is none
int helpers_run(enum helper_pool number, struct job *job, int64_t deadline);

// A process with threads cannot fork: ends those that have no work. True when there are any; the ones
// without work are gone in a moment.
bool helpers_end_idle(void);

// In the child of a fork: the threads are not there.
void helpers_after_fork(void);

// For who runs several processes on one thread, as the simulator does. Makes `now` the helpers in force (NULL:
// those of the real process) and returns the ones that were. Their memory has helpers_size bytes, and is made
// ready by helpers_after_fork.
struct helpers;
size_t helpers_size(void);
struct helpers *helpers_exchange(struct helpers *now);
