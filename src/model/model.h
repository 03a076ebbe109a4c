// Who owns a loop, and how many callers it takes: that is a model.
//
//     iterative    one loop, here,               one caller at a time
//     fork         a process for each caller     with a loop of its own
//     prefork      W processes, a loop each,     one caller at a time
//     threads      a thread for each caller      with a loop of its own
//     pool         W threads, a loop each,       one caller at a time
//     coroutines   W threads (or processes), a loop each, many callers
//
// A model knows nothing of connections or listeners: the layer above (door) accepts callers and
// serves them; a model says on which thread or in which process that happens. To add one, write a
// `const struct model_ops` and add a line to the table in model.c.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wait/wait.h"

struct caller;
struct child;
struct crew;

// What the layer above does for a model.
struct crew_ops {
    // Accepts callers on a loop of this thread until the server stops, and returns when all of them
    // have been served. 0 or a negative errno.
    int (*work)(struct crew *self, int worker);

    // fork found more than one thread: ends those of the library's own that have no work. True when
    // some of the threads were the library's own: they will not be there for ever.
    bool (*end_helpers)(struct crew *self);

    // The first thing in a forked process, after its stacks and loops are its own: lets go of what
    // is the parent's. `worker` is -1 in a process that serves one caller.
    void (*enter_process)(struct crew *self, int worker);

    // Serves one caller on a loop of this thread, which is his alone. 0 or a negative errno.
    int (*serve_alone)(struct crew *self, struct caller *caller);

    // A caller is over: on the loop that accepted him, in every model. `problem` is 0, a negative
    // errno (he could not be served), or the wait status (> 0) of a process that died. Frees him.
    void (*over)(struct crew *self, struct caller *caller, int problem);

    // The supervisor of worker processes: nobody may call here any more, whatever they do.
    void (*stop_listening)(struct crew *self);

    // A worker process ended with this wait status; the next one starts in `delay` nanoseconds.
    void (*worker_lost)(struct crew *self, int worker, int status, int64_t delay);
};

// A server, as a model sees it.
struct crew {
    const struct crew_ops *ops;
    const struct model_ops *model;
    const struct backend_ops *backend;
    const char *name; // of the handler
    int workers;
    bool worker_processes; // of coroutines
    int64_t grace;         // nanoseconds from stop to cut
    int stop_fd;           // readable from the first bell_server_stop on, in every process
    int cut_fd;            // ... from the second
};

// A caller, as a model sees him: the layer above embeds it.
struct caller {
    struct crew *crew;
    void (*serve)(struct caller *self); // his whole conversation, as a task
    int fd;                             // closed in the parent of the process that serves him

    // The model's.
    struct loop *home;     // the loop that accepted him
    struct post over_post; // threads: tells the home loop
    int problem;
    struct child *child; // fork: his process
};

struct model_ops {
    const char *name;
    bool many;      // a loop takes many callers, else one at a time
    bool threads;   // handlers run on several threads
    bool processes; // handlers run in processes of their own
    bool alone;     // every caller has a loop to himself: `launch` leaves the accepting loop

    // Serves until the crew is stopped: calls ops->work on each worker's thread. 0 or a negative
    // errno.
    int (*run)(struct crew *crew);

    // Has one caller served, from the loop that accepted him (root task). On success ops->over is
    // called later; on failure (a negative errno) he is still the caller's.
    int (*launch)(struct crew *crew, struct caller *caller);
};

// By name, "coro" for short; NULL when there is none. NULL is the default.
const struct model_ops *model_find(const char *name);

// "iterative, fork, ...": for messages.
const char *model_names(void);

// For the models in model_*.c.
int model_run_here(struct crew *crew);
int model_run_threads(struct crew *crew);
int model_run_processes(struct crew *crew);
int model_launch_here(struct crew *crew, struct caller *caller);
int model_launch_thread(struct crew *crew, struct caller *caller);
int model_launch_process(struct crew *crew, struct caller *caller);

// In the process of another caller: closes the copy of what watches this one's process.
void model_forget_child(struct caller *caller);
