// A line as the echo programs read it: byte by byte, the newline included, cut when there is no room.

#pragma once

#include "stranger.h"

enum { MAXLINE = 8192 };

// Returns the length, 0 at the end, or -1.
static inline ssize_t readline(int line, char *text, size_t room)
{
    size_t size = 0;
    while (size < room - 1) {
        ssize_t n = read(line, text + size, 1);
        if (n < 0)
            return -1;
        if (n == 0 || text[size++] == '\n')
            break;
    }
    text[size] = '\0';
    return (ssize_t)size;
}
