// The terminal that somebody types at.

#pragma once

#include <stdbool.h>

enum { TERMINAL_ESCAPE = 0x1d }; // Ctrl-]

// Makes Ctrl-] end a piece of input as a newline does, and changes nothing else, so that Ctrl-D, Ctrl-C
// and the editing of a line are as ever. The terminal is as before when the program has ended.
//
// returns  whether stdin is a terminal that is ours to read
bool terminal_begin(void);
