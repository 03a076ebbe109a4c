// What the files of handlers share.

#pragma once

#include <doorbell.h>

extern int64_t number; // of the option number=
extern bell_server *the_server;

// One line on stderr.
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

// The result of a call, with errno's name and the sentence when it failed.
void say_result(const char *call, ssize_t result);

// In handlers_talk.c: reading, writing, ending.
bell_handler echo, echo_lent, lines, blocks, patient, talk, answer_first_byte, pieces, send_file,
    formatted, read_to_the_end, write_to_the_end, fail_half_way, misuse, half_close, stop_reading,
    take_out, names, keep_errno;
void make_alphabets(void); // before they run

// In handlers_tasks.c.
bell_handler two_tasks, groups, block, channel, relay, cancelled_by_thread;

// Handlers about what belongs to the process, in handlers_system.c.
bell_handler hoard, count_line, tell_fd, list_descriptors, raise_children, wait_for_pipe,
    write_to_the_reset, sleeper, hog, in_a_storm, overflow_slowly, overflow_at_once, die, tell_pid,
    stop_server;

// In handlers_dgram.c. told_client and many_calls are clients; messages serves seqpacket.
bell_handler messages, told_client, many_calls;
bell_dgram_handler *find_dgram_handler(const char *name);

// What main() does beside serving, in handlers_system.c.
void start_storm(int64_t period_us); // of signals, here and in every forked process
void end_storm(void);
void remember_dispositions(void);
void compare_dispositions(const char *when);
