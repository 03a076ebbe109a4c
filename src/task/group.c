#include "task/group.h"

#include <errno.h>

#include "kernel/kernel.h"
#include "wait/failure.h"

struct member {
    struct list node; // in the group's tasks
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
    while ((node = list_take(&group->waiters)))
        wait_complete(&LIST_ENTRY(node, struct group_waiter, node)->call, 0);
}

static void run_member(void *arg)
{
    struct member *member = arg;
    struct bell_group *group = member->group;
    int result = member->run(member->arg);
    if (result != 0)
        group->failed++;
    list_remove(&member->node);
    kernel->release(member);
    if (--group->alive == 0)
        wake_waiters(group);
}

static int start(struct bell_group *group, struct task *self, int (*run)(void *arg), void *arg)
{
    if (!group->loop || group->alive == 0)
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
    member->task->local = self->local;
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

int bell_group_wait(bell_group *group, int64_t deadline)
{
    int rc = 0;
    struct task *self = task_here(&rc);
    if (self && is_member(group, self))
        rc = -EDEADLK;
    if (self && rc == 0 && group->alive && group->loop != self->loop)
        rc = -EXDEV;
    while (rc == 0 && group->alive) {
        struct group_waiter waiter = {.call = {.kind = WAIT_WAKE, .deadline = deadline}};
        list_append(&group->waiters, &waiter.node);
        rc = (int)wait_for(&waiter.call);
        list_remove(&waiter.node);
    }
    if (rc < 0)
        return failure_set(rc, "bell_group_wait");
    int failed = group->failed;
    group->failed = 0;
    return failed;
}

void bell_group_cancel(bell_group *group)
{
    group->cancelled = true;
    struct list *node;
    for (node = group->tasks.next; node != &group->tasks; node = node->next)
        task_cancel(LIST_ENTRY(node, struct member, node)->task, -ECANCELED);
}

void group_join(struct bell_group *group, bool cancel)
{
    if (cancel)
        bell_group_cancel(group);
    if (!group->alive)
        return;
    struct task *self = task_here(NULL);
    int cancelled = self->cancelled;
    self->cancelled = 0;
    while (group->alive) {
        struct group_waiter waiter = {.call = {.kind = WAIT_WAKE, .deadline = INT64_MAX}};
        list_append(&group->waiters, &waiter.node);
        (void)wait_for(&waiter.call);
        list_remove(&waiter.node);
        if (self->cancelled) { // meanwhile: that is for the tasks, too
            cancelled = self->cancelled;
            self->cancelled = 0;
            bell_group_cancel(group);
        }
    }
    self->cancelled = cancelled;
}

void bell_group_close(bell_group *group)
{
    if (!group)
        return;
    group_join(group, true);
    kernel->release(group);
}

int bell_sleep(int64_t duration)
{
    int rc = 0;
    struct task *self = task_here(&rc);
    if (self && duration <= 0 && !self->cancelled)
        task_yield(self);
    else if (self)
        rc = wait_sleep(bell_in(duration));
    return rc < 0 ? failure_set(rc, "bell_sleep") : 0;
}
