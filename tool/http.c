// Requests of HTTP, as the library http-parser understands them.

#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NAME_SIZE = 32 };

// Where the parser is in a head.
struct reading {
    struct http_request *request;
    char name[NAME_SIZE]; // of the present header; a longer one is none that we know
    size_t name_size;
    enum http_header kind; // of the present header
    bool in_value, is_whole;
    int headers;
    size_t value_size;
};

bool http_is_there(void)
{
    return true;
}

static void refuse(struct http_request *request, int status, const char *reason)
{
    if (request->status != 200)
        return; // the first reason is the one that counts
    request->status = status;
    request->reason = reason;
    request->keep_alive = false;
}

// ---- What the parser tells --------------------------------------------------------------------

static int take_target(http_parser *parser, const char *data, size_t size)
{
    struct http_request *request = ((struct reading *)parser->data)->request;
    if (size > HTTP_TARGET_SIZE - request->target_size) {
        refuse(request, 414, "the target of a request may have 4096 bytes");
        return -1;
    }
    snprintf(request->method, sizeof request->method, "%s",
             http_method_str((enum http_method)parser->method));
    memcpy(request->target + request->target_size, data, size);
    request->target_size += size;
    return 0;
}

static enum http_header find_kind(const char *name)
{
    static const char *const names[HTTP_KINDS] = {
        [HTTP_HOST] = "host",
        [HTTP_RANGE] = "range",
        [HTTP_IF_RANGE] = "if-range",
        [HTTP_IF_MODIFIED_SINCE] = "if-modified-since",
        [HTTP_IF_NONE_MATCH] = "if-none-match",
        [HTTP_EXPECT] = "expect",
        [HTTP_CODINGS] = "transfer-encoding",
    };
    for (int kind = HTTP_OTHER + 1; kind < HTTP_KINDS; kind++)
        if (!strcasecmp(name, names[kind]))
            return (enum http_header)kind;
    return HTTP_OTHER;
}

static int take_name(http_parser *parser, const char *data, size_t size)
{
    struct reading *reading = parser->data;
    if (reading->in_value || reading->headers == 0) {
        reading->name_size = 0;
        reading->in_value = false;
        if (++reading->headers > HTTP_HEADERS_MAX) {
            refuse(reading->request, 431, "a request may have 100 headers");
            return -1;
        }
    }
    // The library lets "Content-Length : 3" pass; what stands before us may have read it otherwise.
    if (memchr(data, ' ', size)) {
        refuse(reading->request, 400, "a header has a blank in its name");
        return -1;
    }
    size_t room = NAME_SIZE - 1 - reading->name_size;
    size_t count = size < room ? size : room;
    memcpy(reading->name + reading->name_size, data, count);
    reading->name_size += count;
    reading->name[reading->name_size] = '\0';
    return 0;
}

static int take_value(http_parser *parser, const char *data, size_t size)
{
    struct reading *reading = parser->data;
    if (!reading->in_value) {
        reading->in_value = true;
        reading->kind = find_kind(reading->name);
        reading->value_size = 0;
        reading->request->counts[reading->kind]++;
    }
    size_t room = HTTP_VALUE_SIZE - 1 - reading->value_size;
    size_t count = size < room ? size : room;
    char *value = reading->request->values[reading->kind];
    memcpy(value + reading->value_size, data, count);
    reading->value_size += count;
    value[reading->value_size] = '\0';
    return 0;
}

// A body is not read, since nothing here wants one: whoever sends it is answered, and the connection ends.
// So nobody can hide a second request in it.
static void look_at_body(const http_parser *parser, struct http_request *request)
{
    enum { BODY_MAX = 65536 };
    bool has_length = parser->flags & F_CONTENTLENGTH;
    bool has_codings = request->counts[HTTP_CODINGS] > 0;
    if (has_codings && (has_length || request->minor == 0))
        refuse(request, 400, "the end of the request is told in two ways");
    else if (has_codings && strcasecmp(request->values[HTTP_CODINGS], "chunked") != 0)
        refuse(request, 501, "this transfer coding is not known");
    else if (has_length && parser->content_length > BODY_MAX)
        refuse(request, 413, "a body is of no use here");
    request->has_body = has_codings || (has_length && parser->content_length > 0);
    request->keep_alive &= !request->has_body;
}

static int end_head(http_parser *parser)
{
    struct reading *reading = parser->data;
    struct http_request *request = reading->request;
    reading->is_whole = true;
    request->minor = parser->http_minor;
    request->keep_alive = http_should_keep_alive(parser);
    if (parser->http_major != 1)
        refuse(request, 505, "this server speaks HTTP/1.0 and HTTP/1.1");
    else if (request->counts[HTTP_HOST] > 1 || (request->minor > 0 && !request->counts[HTTP_HOST]))
        refuse(request, 400, "a request of HTTP/1.1 has one Host header");
    else
        look_at_body(parser, request);
    if (request->counts[HTTP_EXPECT] &&
        strcasecmp(request->values[HTTP_EXPECT], "100-continue") != 0)
        refuse(request, 417, "only 100-continue can be expected");
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = take_target,
    .on_header_field = take_name,
    .on_header_value = take_value,
    .on_headers_complete = end_head,
};

// ---- Reading ----------------------------------------------------------------------------------

// What the parser has against it, unless we had something before.
static void refuse_for_error(struct http_request *request, enum http_errno error, char first)
{
    if (error == HPE_INVALID_METHOD && isalpha((unsigned char)first))
        refuse(request, 501, "this method is not known");
    else if (error == HPE_INVALID_VERSION)
        refuse(request, 505, "this server speaks HTTP/1.0 and HTTP/1.1");
    else if (error == HPE_HEADER_OVERFLOW)
        refuse(request, 431, "the head of a request may have 16384 bytes");
    else
        refuse(request, 400, http_errno_description(error));
}

// Gives the parser what has come. Its head ends at the newline that the parser has stopped before.
//
// returns  1 when the request is known, 0 when there is more to come, -1 errno
static int feed(bell_conn *conn, http_parser *parser, const void *data, size_t size)
{
    struct reading *reading = parser->data;
    size_t used = http_parser_execute(parser, &settings, data, size);
    enum http_errno error = HTTP_PARSER_ERRNO(parser);
    if (reading->is_whole && used < size && ((const char *)data)[used] == '\n')
        used++;
    if (bell_skip(conn, used < size ? used : size) < 0)
        return -1;
    if (reading->is_whole)
        return 1;
    if (error == HPE_OK)
        return 0;
    refuse_for_error(reading->request, error, *(const char *)data);
    return 1;
}

// The caller has ended, or his time has, in the middle of a head.
static int end_early(struct http_request *request, size_t total, ssize_t n)
{
    if (total == 0 || (n < 0 && errno != ETIMEDOUT))
        return (int)n;
    if (n == 0)
        refuse(request, 400, "the request ends in the middle");
    else
        refuse(request, 408, "the request took too long");
    return 1;
}

int http_read(bell_conn *conn, struct http_request *ret_request)
{
    struct reading reading = {.request = ret_request};
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &reading;
    memset(ret_request, 0, sizeof *ret_request);
    ret_request->status = 200;
    int known = 0;
    for (size_t total = 0; known == 0;) {
        const void *data;
        ssize_t n = bell_peek(conn, 1, &data);
        if (n <= 0)
            return end_early(ret_request, total, n);
        size_t room = HTTP_HEAD_SIZE - total;
        size_t size = (size_t)n < room ? (size_t)n : room;
        known = feed(conn, &parser, data, size);
        total += size;
        if (known == 0 && total == HTTP_HEAD_SIZE) {
            refuse(ret_request, 431, "the head of a request may have 16384 bytes");
            known = 1;
        }
    }
    return known;
}
