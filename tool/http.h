// Requests of HTTP/1.0 and HTTP/1.1, by the library http-parser; without it there are none.

#pragma once

#include <doorbell.h>
#include <stdbool.h>
#include <stddef.h>

// Limits: what is above them is answered with 414 and 431.
enum { HTTP_TARGET_SIZE = 4096, HTTP_HEAD_SIZE = 16384, HTTP_HEADERS_MAX = 100 };
enum { HTTP_VALUE_SIZE = 128 }; // of those headers whose value matters; longer ones are cut

enum http_header {
    HTTP_OTHER,
    HTTP_HOST,
    HTTP_RANGE,
    HTTP_IF_RANGE,
    HTTP_IF_MODIFIED_SINCE,
    HTTP_IF_NONE_MATCH,
    HTTP_EXPECT,
    HTTP_CODINGS, // Transfer-Encoding
    HTTP_KINDS,   // how many there are
};

struct http_request {
    int status;         // 200, or what it is to be refused with
    const char *reason; // why, for people; or NULL
    char method[24];
    char target[HTTP_TARGET_SIZE + 1];
    size_t target_size;
    int minor;       // 1 of HTTP/1.1
    bool keep_alive; // the caller may ask for more
    bool has_body;   // which was not read: the connection must end after the answer
    char values[HTTP_KINDS][HTTP_VALUE_SIZE];
    int counts[HTTP_KINDS]; // how often each came
};

bool http_is_there(void);

// Reads the head of the next request; what is behind it stays unread.
//
// returns  1   there is a request: one to be served, or to be refused, as its status says
//          0   the caller has finished
//          -1  errno; ETIMEDOUT after a part of a request gives a request of status 408
int http_read(bell_conn *conn, struct http_request *ret_request);
