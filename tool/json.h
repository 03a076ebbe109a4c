// Events as JSON, by the library jansson; without it there is none.

#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

bool json_is_there(void);

struct json_event {
    const char *type;
    double seconds;
    const char *members; // a format of json_pack(3) for what is inside the braces: "s:s, s:i"
};

// An event as an object on a line, with the newline: {"v":1,"type":TYPE,"t":SECONDS, ...}.
//
// returns  the size of the line; 0 when it cannot be made, or does not fit
size_t json_line(const struct json_event *event, va_list arguments, char *line, size_t size);
