// stdin and stdout. They may block, so helper threads read and write them while other tasks go on; a helper may
// still have a buffer when its task was cancelled, so buffers must live as long as the program.

#pragma once

#include "show.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Reads what stdin has, after waiting for the first byte. A closed stdin has nothing to say.
//
// returns  bytes; 0: its end; -1: ECANCELED, or another errno after a complaint
ssize_t standard_read(char *into, size_t size);

// Writes all of it to stdout; when its reader has gone the program dies of it, as filters do.
//
// cleaner  NULL, or what makes it harmless for a terminal
// returns  0; -1: ECANCELED, or another errno after a complaint
int standard_write(struct cleaner *cleaner, const char *data, size_t size);

// The complaint of a failed write to stdout.
void standard_complain(int error);

// At most this many bytes are written at once.
enum { STANDARD_WRITE_MAX = 256 * 1024 };

// CR LF for each newline that has no CR.
//
// before   the byte before these
// into     room for 2 * size bytes
// returns  how many bytes were stored
size_t standard_add_returns(const char *from, size_t size, char before, char *into);

// A text that is waited for.
struct expectation {
    const char *text; // NULL: nothing is
    size_t size;
    size_t matched; // bytes of it that have come in a row
};

// Whether it is complete with these bytes.
bool standard_expect(struct expectation *expectation, const char *data, size_t size);
