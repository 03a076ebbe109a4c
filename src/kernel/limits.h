// What the system allows, as its files tell it: pure functions, of what somebody else has read.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

// Reads the beginning of a small file as a string. Returns whether there was one.
typedef bool limits_read(const char *path, char *ret_text, size_t size);

// At most INT32_MAX, which also stands for no limit.
int64_t limits_number(rlim_t limit);

// The least limit on processes and threads: of the user, RLIMIT_NPROC, which does not bind root; of the
// control group; of the system. INT32_MAX when there is none.
int64_t limits_processes(limits_read *read, uid_t user, rlim_t of_user);

// How many processors may be used, at least 1: those that the process may run on (0: more than could be
// told, so all that are there), but no more than the quota of the control group, rounded up.
int limits_processors(limits_read *read, long allowed, long there);
