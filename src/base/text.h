// Text of a bounded size, put together piece by piece: errors and log lines.
//
// What does not fit is cut, and the last three bytes say so: "...". So nothing here can fail, and
// whoever reads the line sees that there was more.

#pragma once

#include <stdbool.h>
#include <stddef.h>

// What a name or a path of 108 bytes needs when each byte is escaped.
#define TEXT_ESCAPED_MAX (4 * 108)

struct text {
    char *at;      // always ends in NUL, unless size is 0
    size_t size;   // of the memory at `at`
    size_t length; // of the text, without the NUL
    bool cut;      // something did not fit; nothing more is added
};

// Begins an empty text in the caller's memory. `at` may be NULL when size is 0.
void text_init(struct text *text, char *at, size_t size);

void text_add(struct text *text, const char *string);

void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Adds bytes from a stranger so that they are harmless on a terminal and in a line of a log:
// printable ASCII as it is, but everything else, the backslash and the double quote as \xHH.
void text_escape(struct text *text, const void *bytes, size_t size);
