#include "task/group.h"

#include <errno.h>

#include "kernel/kernel.h"
#include "wait/failure.h"

struct member {
    struct list node; // in the group's tasks
    struct list kin;  // in the kin of the group that task->local points to
    struct bell_group *group;
    struct task *task;
    int (*run)(void *arg);
    void *arg;
};

struct group_waiter {
    struct list node;
    struct wait_call call;
};

void group_init(struct bell_group *group, struct loop *loop)
{
    *group = (struct bell_group){.loop = loop};
    list_init(&group->tasks);
    list_init(&group->kin);
    list_init(&group->waiters);
}

void group_adopt(struct task *task, struct bell_group *group)
{
    task->local = group;
}

bell_group *bell_group_open(void)
{
    struct bell_group *group = kernel->allocate(sizeof *group);
    if (group)
        group_init(group, NULL);
    else
        failure_set(-ENOMEM, "bell_group_open");
    return group;
}

// ---- Starting ---------------------------------------------------------------------------------

static void wake_waiters(struct bell_group *group)
{
    struct list *node;
    while ((node = list_take(&group->waiters))) {
        struct wait_call *call = &LIST_ENTRY(node, struct group_waiter, node)->call;
        if (wait_is_waiting(call)) // else its deadline passed in this very round
            wait_complete(call, 0);
    }
}

static void run_member(void *arg)
{
    struct member *member = arg;
    struct bell_group *group = member->group;
    int result = member->run(member->arg);
    if (result != 0)
        group->failed++;
    list_remove(&member->node);
    list_remove(&member->kin);
    kernel->release(member);
    if (--group->alive == 0)
        wake_waiters(group);
}

static void inherit(struct member *member, struct bell_group *local)
{
    member->task->local = local;
    if (local)
        list_append(&local->kin, &member->kin);
}

static int start(struct bell_group *group, struct task *self, int (*run)(void *arg), void *arg)
{
    if (group->alive == 0)
        group->loop = self->loop;
    if (group->loop != self->loop)
        return -EXDEV;
    if (group->cancelled)
        return -ECANCELED;
    struct member *member = kernel->allocate(sizeof *member);
    if (!member)
        return -ENOMEM;
    member->group = group;
    member->run = run;
    member->arg = arg;
    const char *name = self->coro.name ? self->coro.name : "a task of bell_go";
    int rc = task_start(self->loop, name, run_member, member, &member->task);
    if (rc < 0) {
        kernel->release(member);
        return rc;
    }
    inherit(member, self->local);
    list_append(&group->tasks, &member->node);
    group->alive++;
    return 0;
}

int bell_go(bell_group *group, int (*run)(void *arg), void *arg)
{
    int rc = 0;
    struct task *self = task_here(&rc);
    if (!self)
        return failure_set(rc, "bell_go");
    if (!group)
        group = self->local;
    if (!group)
        return failure_say(-EINVAL, "bell_go: only a handler has a group of its own; open one");
    rc = run ? start(group, self, run, arg) : -EINVAL;
    return rc < 0 ? failure_set(rc, "bell_go") : 0;
}

// ---- Waiting and cancelling -------------------------------------------------------------------

static bool is_member(struct bell_group *group, const struct task *task)
{
    struct list *node;
    for (node = group->tasks.next; node != &group->tasks; node = node->next)
        if (LIST_ENTRY(node, struct member, node)->task == task)
            return true;
    return false;
}

// Waits until the last task ends, once.
static int await_end(struct bell_group *group, int64_t deadline)
{
    struct group_waiter waiter = {.call = {.kind = WAIT_WAKE, .deadline = deadline}};
    list_append(&group->waiters, &waiter.node);
    int rc = (int)wait_for(&waiter.call);
    list_remove(&waiter.node);
    return rc;
}

int bell_group_wait(bell_group *group, int64_t deadline)
{
    int rc = 0;
    const struct task *self = task_here(&rc);
    if (self && is_member(group, self))
        rc = -EDEADLK;
    else if (self && group->alive && group->loop != self->loop)
        rc = -EXDEV;
    while (rc == 0 && group->alive)
        rc = await_end(group, deadline);
    if (rc == -ETIMEDOUT && !group->alive)
        rc = 0; // the last one ended when the deadline had passed, but nobody has seen that
    if (rc < 0)
        return failure_set(rc, "bell_group_wait");
    int failed = group->failed;
    group->failed = 0;
    return failed;
}

void bell_group_cancel(bell_group *group)
{
    if (!group)
        return;
    group->cancelled = true;
    struct list *node;
    for (node = group->tasks.next; node != &group->tasks; node = node->next)
        task_cancel(LIST_ENTRY(node, struct member, node)->task, -ECANCELED);
}

// The group is about to go: nobody may start a task in it any more.
static void forget_kin(struct bell_group *group)
{
    struct loop *loop = loop_here();
    if (loop && loop->current->local == group)
        loop->current->local = NULL;
    struct list *node;
    while ((node = list_take(&group->kin)))
        LIST_ENTRY(node, struct member, kin)->task->local = NULL;
}

void group_join(struct bell_group *group, bool cancel)
{
    if (cancel)
        bell_group_cancel(group);
    while (group->alive) {
        struct task *self = loop_here()->current;
        int cancelled = self->cancelled;
        self->cancelled = 0; // or the wait would end at once
        (void)await_end(group, INT64_MAX);
        if (self->cancelled) // meanwhile: that is for the tasks, too
            bell_group_cancel(group);
        else
            self->cancelled = cancelled;
    }
    forget_kin(group);
}

void bell_group_close(bell_group *group)
{
    if (!group)
        return;
    const struct loop *loop = loop_here();
    if (loop && is_member(group, loop->current)) {
        bell_group_cancel(group);
        failure_set(-EDEADLK, "bell_group_close"); // better to lose its memory than to hang
        return;
    }
    group_join(group, true);
    kernel->release(group);
}

int bell_sleep(int64_t duration)
{
    int rc = 0;
    struct task *self = task_here(&rc);
    if (self && duration <= 0 && !self->cancelled) {
        task_yield(self);
        rc = self->cancelled;
    } else if (self) {
        rc = wait_sleep(bell_in(duration));
    }
    return rc < 0 ? failure_set(rc, "bell_sleep") : 0;
}
