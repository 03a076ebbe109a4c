// Locks of handlers, in a run: lock.c.

#pragma once

#include <stddef.h>

struct program;

// From here on the locks of this thread are simulated, and no more.
void lock_begin_run(void);
void lock_end_run(void);

// Who has the lock that this program waits for, in words.
void lock_describe_wait(const struct program *program, char *ret_text, size_t size);

// Those that a process holds which has ended.
void lock_release_all_of(int pid);

// At the end of a run.
void lock_release_all(void);
