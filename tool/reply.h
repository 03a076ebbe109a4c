// The head of an answer of HTTP, and the pieces of it that depend on the request.

#pragma once

#include "http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct reply {
    int status;
    const char *type;    // of the content; NULL: there is none
    int64_t size;        // of the content
    int64_t from, count; // which part of it is sent
    time_t modified;     // 0: not told
    const char *target;  // of a redirection; or NULL
    bool ends;           // the connection ends after it
};

// "Not Found".
const char *reply_name(int status);

// By the last part of the name.
const char *reply_type(const char *name);

// Decides between 200, 206, 304 and 416, and sets from and count, for a file of this size and age.
void reply_choose(const struct http_request *request, struct reply *reply);

// The head, with its empty line.
//
// returns  its size; 0: it does not fit
size_t reply_head(const struct reply *reply, int64_t now, char *ret_text, size_t size);
