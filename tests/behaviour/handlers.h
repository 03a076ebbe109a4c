// What the two files of handlers share.

#pragma once

#include <doorbell.h>

extern int64_t number; // of the option number=

// One line on stderr.
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

// The result of a call, with errno's name and the sentence when it failed.
void say_result(const char *call, ssize_t result);

// Handlers about what belongs to the process, in handlers_system.c.
bell_handler hoard, count_line, tell_fd, list_descriptors, raise_children, wait_for_pipe,
    write_to_the_reset;

// In handlers_dgram.c. told_client and many_calls are clients; messages serves seqpacket.
bell_handler messages, told_client, many_calls;
bell_dgram_handler *find_dgram_handler(const char *name);

// What main() does beside serving, in handlers_system.c.
void start_storm(int64_t period_us); // of signals, here and in every forked process
void end_storm(void);
void remember_dispositions(void);
void compare_dispositions(const char *when);
