// Coroutines on top of coro_swap: who runs, errno, and what the checkers are told.

#include "coro/coro.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "coro/checkers.h"
#include "coro/stack.h"
#include "coro/switch.h"

// The fiber of a coroutine that has ended can be destroyed only when another one runs.
static _Thread_local void *ended_fiber;

static void end_fiber(void)
{
    void *fiber = ended_fiber;
    ended_fiber = NULL;
    if (fiber)
        checkers_end_fiber(fiber);
}

void coro_adopt(struct coro *ret_self)
{
    memset(ret_self, 0, sizeof *ret_self);
    checkers_adopt(ret_self);
#ifdef CHECKER_ASAN
    pthread_attr_t attributes;
    void *bottom = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstack(&attributes, &bottom, &size);
        (void)pthread_attr_destroy(&attributes);
    }
    checkers_set_stack(ret_self, bottom, size);
#endif
}

void coro_forget(struct coro *self)
{
    end_fiber();
    memset(self, 0, sizeof *self);
}

// What a new coroutine needs to begin; it lies where its stack begins.
struct beginning {
    void (*run)(void *arg);
    void *arg;
};

static void begin(void *arg)
{
    struct beginning *beginning = arg;
    checkers_after_swap(NULL);
    end_fiber();
    beginning->run(beginning->arg);
    __builtin_trap();
}

void coro_init(struct coro *ret_self, void *stack_end, const char *name, void (*run)(void *arg),
               void *arg)
{
    memset(ret_self, 0, sizeof *ret_self);
    ret_self->name = name;
    ret_self->slot = stack_name_slot(stack_end, name);
    checkers_set_stack(ret_self, ret_self->slot + CORO_GUARD_SIZE, CORO_STACK_SIZE);
    checkers_new_fiber(ret_self);

    struct beginning *beginning = (struct beginning *)stack_end - 1;
    beginning->run = run;
    beginning->arg = arg;
    ret_self->sp = coro_prepare(beginning, begin, beginning);
}

// Not inlined: nothing that was computed from a thread-local variable before may be used after.
__attribute__((noinline)) void coro_switch(struct coro *from, struct coro *to)
{
    int error = errno;
    checkers_before_swap(from, to, 0);
    checkers_enter_fiber(to);
    coro_swap(&from->sp, to->sp);
    checkers_after_swap(from);
    end_fiber();
    errno = error;
}

_Noreturn void coro_switch_and_end(struct coro *self, struct coro *to)
{
    void *nowhere;
    ended_fiber = self->checker[CHECKER_FIBER];
    checkers_before_swap(self, to, 1);
    checkers_enter_fiber(to);
    stack_give(self->slot);
    coro_swap(&nowhere, to->sp);
    __builtin_unreachable();
}

void coro_drop(struct coro *self)
{
    if (self->checker[CHECKER_FIBER])
        checkers_end_fiber(self->checker[CHECKER_FIBER]);
    stack_give(self->slot);
}
