// What processes hold, as /proc shows it.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_MAX = 1024, PROC_TEXT = 16 * 1024 };

// Open descriptors, and those of them that are sockets. -1: no such process.
int proc_descriptors(pid_t pid);
int proc_sockets(pid_t pid);

// The same as text, sorted, one a line: "socket" or "pipe" or a path.
void proc_list_descriptors(pid_t pid, char ret_text[PROC_TEXT]);

// Of the process's TCP sockets: how many listen, and how many are neither that nor closed.
struct proc_tcp {
    int listening, connected;
};
struct proc_tcp proc_tcp(pid_t pid);

int proc_threads(pid_t pid);

// Children, zombies too. Returns how many, at most PROC_MAX.
int proc_children(pid_t pid, pid_t ret_pids[PROC_MAX]);
int proc_zombies(pid_t pid); // among them

// Processor time of all threads together, in nanoseconds.
int64_t proc_cpu(pid_t pid);

// How often its first thread went to sleep.
int64_t proc_sleeps(pid_t pid);

int64_t proc_memory_kib(pid_t pid); // resident

bool proc_is_there(pid_t pid); // and no zombie
