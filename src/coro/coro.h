// Coroutines: a stack of its own for each task, and switching between them.
//
// This layer knows nothing of sockets, waiting or scheduling. A coroutine never moves to another
// thread: compilers keep the addresses of thread-local variables across a switch.
//
// Stacks are slots of one reserved arena of the process: 68 KiB of guard below 64 KiB of stack. A
// slot costs one page while its coroutine sits in a shallow call. Slots are reused last-in
// first-out, per thread; the top of each is shifted by a colour of some cache lines, so that parked
// coroutines do not all fight for the same cache sets.

#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    CORO_STACK_SIZE = 64 * 1024, // what a coroutine can use, less at most 1 KiB at the high end
    CORO_GUARD_SIZE = 68 * 1024,
    // An odd number of pages: at a distance of 128 KiB the tops of all stacks would share a few
    // sets of the TLB (a ring of 1,000 coroutines, in random order: 17 ns a switch, not 40).
    CORO_SLOT_SIZE = CORO_GUARD_SIZE + CORO_STACK_SIZE,
};

// The memory is the caller's, also on the coroutine's own stack; it stays until the coroutine ends.
struct coro {
    void *sp;         // where it is parked; of no meaning while it runs
    char *slot;       // lowest address of its slot; NULL for a stack that was adopted
    const char *name; // of the handler, for the message at an overflow; never freed
    void *checker[4]; // what ASan and TSan know of it; see checkers.h
};

// Makes the running stack (of the thread, or of another coroutine, which rests meanwhile) a
// coroutine, so that it can be switched away from.
void coro_adopt(struct coro *ret_self);

// Forgets an adopted coroutine at the end of its thread or loop.
void coro_forget(struct coro *self);

// Takes a free stack: its high end (exclusive), aligned to 64 and coloured. NULL when there is no
// address space, no memory, or no guard left (mprotect guards end at 30,000 stacks). Whoever takes
// a stack may keep data of its own, some hundred bytes, at the high end, and begin the coroutine
// below it: so a task needs no memory beside its stack.
void *coro_take_stack(void);

// Gives back a stack that no coroutine began on.
void coro_return_stack(void *stack_end);

// Makes `run(arg)` the first call on the stack that ends at `stack_end`, which lies at or below a
// value of coro_take_stack, 16-aligned. It starts at the first switch to it, with errno 0. `run`
// never returns: it ends by coro_switch_and_end. `name` is kept by reference.
void coro_init(struct coro *ret_self, void *stack_end, const char *name, void (*run)(void *arg),
               void *arg);

// Parks `from`, which must be the running one, and goes on where `to` was parked. errno is kept per
// coroutine; rounding modes and the like are the thread's (see switch.h).
void coro_switch(struct coro *from, struct coro *to);

// Switches to `to` for good. The stack of `self` is free afterwards: the thread's next
// coro_take_stack may return it, so nothing on it may be touched again.
_Noreturn void coro_switch_and_end(struct coro *self, struct coro *to);

// Gives back a coroutine that never started or will never be resumed (its frames are dropped). By
// the thread that it belongs to.
void coro_drop(struct coro *self);

// Hints the processor that `next` will be switched to soon.
static inline void coro_prefetch(const struct coro *next)
{
    if (!next->sp)
        return; // adopted, and never left since
    __builtin_prefetch(next->sp);
    __builtin_prefetch((const char *)next->sp + 64);
}

// Gives this thread's free slots to the other threads, and their memory, but for some that the
// process keeps warm, back to the system. Called when a loop has been idle for a while, and when it
// ends: a thread that ends without it loses its free slots.
void coro_trim(void);

// The same for those beyond a number that a busy thread keeps warm. Called between rounds.
void coro_trim_crowd(void);

// Installs the SIGSEGV handler (on an alternate stack, once a process and once a thread) that names
// the handler whose stack overflowed and ends the program by SIGSEGV; faults elsewhere go to the
// handler that was there before. Not installed unless this is called. Returns 0, or a negative
// errno (then an overflow ends the program all the same, without a word).
int coro_watch_overflow(void);

// 1 when address lies in a guard of ours (EFAULT on such an address is an overflow, too), else 0.
int coro_is_guard(const void *address);
