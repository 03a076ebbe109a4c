// What the phone servers do with a caller: nothing, as on the slides, or an echo.

#pragma once

#include "stranger.h"

enum { PHONE_PORT = 5000, PHONE_BACKLOG = 3 };

static inline void do_something(int line, const char *what)
{
    char data[1024];
    ssize_t n;
    if (strcmp(what, "echo") != 0)
        return;
    while ((n = read(line, data, sizeof data)) > 0)
        if (write(line, data, (size_t)n) != n)
            return;
}
