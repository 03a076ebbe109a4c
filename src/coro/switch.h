// What each processor's file provides: switch_x86_64.S, switch_aarch64.S, or switch_ucontext.c for the
// others. meson.build takes one of them.

#pragma once

// Keeps the callee-saved registers on the running stack, stores its stack pointer in *ret_from, and goes
// on with the stack whose pointer is `to`, as it was kept or prepared.
//
// The control words of the floating-point units are not kept: rounding modes are the thread's, as in
// every other function that is called.
void coro_swap(void **ret_from, void *to);

// Prepares a stack that ends at `stack_end` (16-aligned), so that the first coro_swap to the returned
// pointer calls entry(arg), which never returns.
void *coro_prepare(void *stack_end, void (*entry)(void *arg), void *arg);
