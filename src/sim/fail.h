// Calls into the system that fail by wish: fail.c.

#pragma once

#include <stdbool.h>

// The table of the simulated kernel with this in front.
const struct kernel_ops *fail_table(void);

// Is it the one in force? Then this is a run.
bool fail_is_in_front(void);

bool fail_is_possible(const char *what);

// From now on what the text says fails, and nothing else; NULL or "": nothing. -EINVAL when it makes no sense, and
// then nothing has changed.
int fail_begin(const char *what);

// Has any call failed so in this run?
bool fail_has_struck(void);
