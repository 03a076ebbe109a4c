// What each processor's file provides: switch_x86_64.S, switch_aarch64.S, or switch_ucontext.c for
// the others. meson.build takes one of them.
//
// They keep what the calling convention says that a function keeps, and nothing else. In particular
// not the control words of the floating-point units (mxcsr and x87's, FPCR): the convention has
// them kept, too, but by functions that change them. A handler that changes the rounding mode and
// does not put it back before it waits has changed it for its thread, as in a program without
// coroutines. Keeping them would cost a nanosecond at each switch. (ucontext keeps them whether one
// wants it or not, and the signal mask.)
//
// They return by `ret`. The processor predicts a return by the calls before it, which were another
// coroutine's; but coroutines mostly park in the same calls, so that the prediction holds up to
// where they differ. `pop; jmp` is faster where nothing returns afterwards, but leaves one call too
// many on the return stack, and then all returns up to the handler are mispredicted (64 coroutines,
// each parked four calls deep: 13 ns with ret, 50 ns with jmp).

#pragma once

// Keeps the callee-saved registers on the running stack, stores its stack pointer in *ret_from, and
// goes on with the stack whose pointer is `to`, as it was kept or prepared.
void coro_swap(void **ret_from, void *to);

// Prepares a stack that ends at `stack_end` (16-aligned), so that the first coro_swap to the
// returned pointer calls entry(arg), which never returns.
void *coro_prepare(void *stack_end, void (*entry)(void *arg), void *arg);
