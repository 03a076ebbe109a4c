// For the tests of this folder: tasks as the layer above makes them, without a scheduler. The root,
// which is the thread's own stack, decides who goes on.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "coro/checkers.h"
#include "coro/coro.h"

#ifdef CHECKERS_VALGRIND
#define UNDER_VALGRIND RUNNING_ON_VALGRIND
#else
#define UNDER_VALGRIND 0
#endif

#ifdef SWITCH_UCONTEXT
#define BY_UCONTEXT 1
#else
#define BY_UCONTEXT 0
#endif

#ifdef CHECKERS_ASAN
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

#ifdef CHECKERS_TSAN
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

#define IS_CHECKED (UNDER_ASAN || UNDER_TSAN || UNDER_VALGRIND)

// Whether a test makes no sense here. cmocka's skip() says "not ok" to those that read TAP.
static inline bool leave_out(bool condition, const char *why)
{
    if (condition)
        (void)printf("# left out: %s\n", why);
    return condition;
}

// As large as the record that the layer above keeps there.
struct task {
    _Alignas(16) struct coro coro;
    void (*run)(void *arg);
    void *arg;
    char room[192 - sizeof(struct coro) - 2 * sizeof(void *)];
};

static _Thread_local struct coro root;
static _Thread_local struct task *running;

static inline void run_task(void *arg)
{
    struct task *self = arg;
    self->run(self->arg);
    coro_switch_and_end(&self->coro, &root);
}

static inline struct task *begin_task(void *stack_end, void (*run)(void *arg), void *arg)
{
    struct task *task = (struct task *)stack_end - 1;
    task->run = run;
    task->arg = arg;
    coro_init(&task->coro, task, "test", run_task, task);
    return task;
}

// NULL when there is no stack left.
static inline struct task *make_task(void (*run)(void *arg), void *arg)
{
    void *stack_end = coro_take_stack();
    return stack_end ? begin_task(stack_end, run, arg) : NULL;
}

static inline void go_on(struct task *task)
{
    running = task;
    coro_switch(&root, &task->coro);
}

static inline void park(void)
{
    coro_switch(&running->coro, &root);
}
