// What the services of doorbell serve answer: bytes for bytes, whatever carries them.

#pragma once

#include "services.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    NO_ANSWER = -1,
    ANSWER_MAX = 512,  // what an answer_maker may need; RFC 864 and 865 allow no more in a datagram
    CHARGEN_RING = 95, // printable characters, and so many different lines
    CHARGEN_LINE = 72, // without its end
};

// a to z as capitals, and every other byte as it is. `into` may be `from`.
void capitalize(const char *from, size_t size, char *into);

// A message server's message, on stdout.
void show_message(const char *text, size_t size);

// The text that quote was given, or the saying of the day.
const char *quotation_text(const struct manner *manner);

// Line number `first` of chargen and what follows it, of which CHARGEN_LINE characters are to be taken.
const char *chargen_line(unsigned first);

answer_maker answer_echo, answer_upper, answer_nothing, answer_message, answer_daytime,
    answer_seconds, answer_quotation, answer_chargen;
