// Helper threads, for functions that block: a bounded pool of them for each purpose, so that slow name
// servers do not take the threads of slow disks.

#pragma once

#include <stdint.h>

enum helper_pool { HELPERS_BLOCK, HELPERS_NAMES, HELPER_POOLS };

// One piece of work. Memory of the library: freed by `release` when both the helper and the task that
// asked have let go of it.
struct job {
    void (*run)(struct job *self);     // on the helper thread
    void (*release)(struct job *self); // on either

    // The pool's.
    struct job *next;
    struct job_waiter *waiter;
    int references;
};

// Has job->run run on a helper thread and waits until it has. On 0 the caller reads what the job has
// found, and calls job_release; on a negative errno the job is left to itself and released by the helper:
//
//   -ETIMEDOUT, -ECANCELED   the task cannot wait longer
//   -EAGAIN                  no thread could be made
int helpers_run(enum helper_pool pool, struct job *job, int64_t deadline);

void job_release(struct job *job);

// In the child of a fork: the threads are not there.
void helpers_after_fork(void);
