// Coroutines on top of coro_swap: who runs, errno, and what the checkers are told.

#include "coro/coro.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "coro/checkers.h"
#include "coro/stack.h"
#include "coro/switch.h"

void coro_adopt(struct coro *ret_self)
{
    memset(ret_self, 0, sizeof *ret_self);
    checkers_adopt(ret_self);
}

void coro_forget(struct coro *self)
{
    memset(self, 0, sizeof *self);
}

// What a new coroutine needs to begin; it lies where its stack begins.
struct beginning {
    _Alignas(16) struct coro *self;
    void (*run)(void *arg);
    void *arg;
};

static void begin(void *arg)
{
    struct beginning *beginning = arg;
    checkers_after_swap(beginning->self);
    errno = 0;
    beginning->run(beginning->arg);
    __builtin_trap(); // there is nothing below to return to
}

void coro_init(struct coro *ret_self, void *stack_end, const char *name, void (*run)(void *arg),
               void *arg)
{
    memset(ret_self, 0, sizeof *ret_self);
    ret_self->name = name;
    ret_self->slot = stack_begin(stack_end, name);
    checkers_init(ret_self, ret_self->slot + CORO_GUARD_SIZE, STACK_CLEAN_SIZE);

    struct beginning *beginning = (struct beginning *)stack_end - 1;
    *beginning = (struct beginning){.self = ret_self, .run = run, .arg = arg};
    ret_self->sp = coro_prepare(beginning, begin, beginning);
}

// Not inlined, so that all coroutines are parked behind the same call: the processor predicts the
// returns of the one that goes on by the calls of the one that was parked.
__attribute__((noinline)) void coro_switch(struct coro *from, struct coro *to)
{
    int *error = &errno; // its address is the thread's, and so the same afterwards
    int kept = *error;
    checkers_before_swap(from, to);
    coro_swap(&from->sp, to->sp);
    checkers_after_swap(from);
    *error = kept;
}

_Noreturn void coro_switch_and_end(struct coro *self, struct coro *to)
{
    assert(self->slot); // an adopted stack is not ours to give
    checkers_before_end(self, to);
    // Before it is left: nobody but this thread takes it, nor gives its pages back, and not before
    // the swap is over.
    stack_give(self->slot);
    coro_swap(&self->sp, to->sp);
    __builtin_trap(); // it was resumed after its end
}

void coro_drop(struct coro *self)
{
    char *slot = self->slot; // self may lie on that stack
    checkers_drop(self);
    stack_give(slot);
}
