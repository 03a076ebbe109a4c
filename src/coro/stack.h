// Where stacks come from: slots of one arena. For coro.c and overflow.c.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "coro/coro.h"

enum {
    STACK_FOOT_SIZE = 64, // at the high end of a slot; see stack.c
    STACK_CLEAN_SIZE = CORO_STACK_SIZE - STACK_FOOT_SIZE,
};

// The slot that stack_end lies in; the name of its coroutine is kept for stack_overflowed.
char *stack_begin(const void *stack_end, const char *name);

// The stack of this slot is free. May be called on that very stack: nothing of it is touched, but
// for the foot, before the thread takes it again.
void stack_give(char *slot);

// Whether address lies in a guard of the arena, and the name of the coroutine above it (NULL when
// it has none). Async-signal-safe.
bool stack_overflowed(const void *address, const char **ret_name);
