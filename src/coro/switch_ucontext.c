// For processors without a file of their own: POSIX.1-2001's contexts. They make two system calls a
// switch (for the signal mask, which is thereby each coroutine's own), so that a switch costs some
// hundred nanoseconds and not three.

#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "coro/switch.h"

// The "stack pointer" of switch.h is the address of one of these: at the high end of the stack
// before it begins, in the frame of coro_swap while it is parked.
struct context {
    ucontext_t context;
    void (*entry)(void *arg);
    void *arg;
};

// makecontext passes ints: a pointer comes in two halves.
static void begin(unsigned high, unsigned low)
{
    struct context *self = (struct context *)(uintptr_t)((uint64_t)high << 32 | low);
    self->entry(self->arg);
    __builtin_trap();
}

void coro_swap(void **ret_from, void *to)
{
    struct context here;
    const struct context *next = to;
    here.context.uc_stack = (stack_t){.ss_size = 0}; // AddressSanitizer reads it
    // cppcheck-suppress autoVariables // it stays as long as the stack is parked
    *ret_from = &here;
    (void)swapcontext(&here.context, &next->context);
}

void *coro_prepare(void *stack_end, void (*entry)(void *arg), void *arg)
{
    enum { ROOM = (sizeof(struct context) + 63) / 64 * 64, ENOUGH = 32 * 1024 };
    char *end = (char *)stack_end - ROOM;
    struct context *context = (struct context *)(void *)end;
    memset(context, 0, sizeof *context);
    (void)getcontext(&context->context);
    context->context.uc_stack.ss_sp = end - ENOUGH;
    context->context.uc_stack.ss_size = ENOUGH; // makecontext only looks at the end
    context->entry = entry;
    context->arg = arg;
    uint64_t address = (uintptr_t)context;
    makecontext(&context->context, (void (*)(void))(void *)begin, 2, (unsigned)(address >> 32),
                (unsigned)address);
    return context;
}
