// The command: one file for each subcommand, and what they share. It sees <doorbell.h> only.

#pragma once

#include <doorbell.h>
#include <stdbool.h>
#include <stdint.h>

// Exit codes: what a script can tell apart.
enum exit_code {
    EXIT_DONE = 0,
    EXIT_CHECK = 1,   // a check failed
    EXIT_USAGE = 2,   // wrong usage, or an address that cannot be
    EXIT_NAME = 3,    // name not found
    EXIT_REFUSED = 4, // refused, unreachable
    EXIT_TIME = 5,    // timed out
    EXIT_BROKEN = 6,  // broken in the middle: data may be missing
};

// The address of all commands when none is given: RING on a phone's keys.
#define DEFAULT_ADDRESS "localhost:7464"

struct command {
    const char *name;
    int (*run)(int argc, char **argv); // argv[0] is the subcommand
    const char *arguments;
    const char *summary;
};

int serve_main(int argc, char **argv);
int connect_main(int argc, char **argv);

// "doorbell COMMAND: SENTENCE" on stderr.
void complain(const char *command, const char *sentence, ...) __attribute__((format(printf, 2, 3)));

// The exit code for an errno of a failed call.
enum exit_code exit_code_of(int error);

// A time with its unit: 250us 10ms 5s 2m. False when it is none.
bool parse_time(const char *text, int64_t *ret_ns);

// A whole number from min to max. False when it is none.
bool parse_number(const char *text, int min, int max, int *ret_number);

// The nearest of `names` to a word that is none of them; NULL when none is near.
const char *nearest(const char *word, const char *const *names);
