// Groups of tasks: what is started together is waited for together.
//
// This layer is about tasks and not about connections: groups, functions that block (helpers.h), and
// channels between tasks of any threads. A group and its tasks belong to one loop, the one of the first
// bell_go; once all of them have ended it may be another one.

#pragma once

#include <doorbell.h>

#include "wait/wait.h"

struct bell_group {
    struct loop *loop; // of the first bell_go
    struct list tasks;
    struct list kin; // tasks of any group for which bell_go(NULL, ...) means this one
    int alive;
    int failed; // ended with something else than 0 since the last bell_group_wait
    bool cancelled;
    struct list waiters; // tasks in bell_group_wait
};

// A handler's own group, in memory of the caller.
void group_init(struct bell_group *group, struct loop *loop);

// bell_go(NULL, ...) of this task, and of the tasks that it starts, means this group.
void group_adopt(struct task *task, struct bell_group *group);

// Waits until all its tasks have ended, whatever was cancelled; cancels them first if `cancel`. For the
// calling task, if it was adopted, and for tasks that it started in other groups and that are still
// there, bell_go(NULL, ...) is EINVAL from then on; so the memory may go.
void group_join(struct bell_group *group, bool cancel);
