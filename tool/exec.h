// doorbell serve exec: a program for each caller, in the manner of UCSPI.

#pragma once

#include <doorbell.h>
#include <limits.h>

struct serving;

struct program {
    char **argv;         // up to NULL; NULL: none was given
    char path[PATH_MAX]; // what is executed
    int64_t idle;        // 0: never
};

// Finds the program on PATH, and says so when it is not there or cannot be run.
//
// returns  EXIT_DONE, EXIT_NOT_FOUND, EXIT_NOT_RUN
int program_find(struct program *program);

// Whether the user that this process is now may run it; complains when not.
bool program_may_run(const struct program *program);

// Sets limits and models of the server to what fits programs. False after a complaint.
bool program_prepare(struct serving *serving);

// The handler; arg is a struct manner.
bell_handler serve_program;

// When the server has ended: ends the programs that were not let finish, and waits for them.
void program_end_all(void);
