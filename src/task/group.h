// Groups of tasks: what is started together is waited for together.
//
// This layer is about tasks and not about connections: groups, functions that block (helpers.h), and
// channels between tasks of any threads. A group and its tasks belong to one loop.

#pragma once

#include <doorbell.h>

#include "wait/wait.h"

struct bell_group {
    struct loop *loop; // of the first bell_go
    struct list tasks;
    int alive;
    int failed; // ended with something else than 0 since the last bell_group_wait
    bool cancelled;
    struct list waiters; // tasks in bell_group_wait
};

// A handler's own group, in memory of the caller.
void group_init(struct bell_group *group, struct loop *loop);

// bell_go(NULL, ...) of this task, and of the tasks that it starts, means this group.
void group_adopt(struct task *task, struct bell_group *group);

// Waits until all its tasks have ended, whatever was cancelled; cancels them first if `cancel`.
void group_join(struct bell_group *group, bool cancel);
