// Where stacks come from: slots of one arena. For coro.c and overflow.c.

#pragma once

#include <stdbool.h>
#include <stddef.h>

// The slot that stack_end lies in; the name of its coroutine is kept for stack_overflowed.
char *stack_name_slot(const void *stack_end, const char *name);

// The stack of this slot is free. May be called on that very stack, if nothing is touched afterwards.
void stack_give(char *slot);

// Whether address lies in a guard of the arena, and the name of the coroutine above it.
bool stack_overflowed(const void *address, const char **ret_name);
