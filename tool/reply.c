// The head of an answer of HTTP.

#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *reply_name(int status)
{
    static const struct {
        int status;
        const char *name;
    } names[] = {
        {200, "OK"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].status == status)
            return names[i].name;
    return "Unknown";
}

#define TEXT(kind) "text/" kind "; charset=utf-8"

const char *reply_type(const char *name)
{
    static const char *const types[][2] = {
        {"html", TEXT("html")},
        {"htm", TEXT("html")},
        {"css", TEXT("css")},
        {"js", TEXT("javascript")},
        {"mjs", TEXT("javascript")},
        {"txt", TEXT("plain")},
        {"md", TEXT("plain")},
        {"c", TEXT("plain")},
        {"h", TEXT("plain")},
        {"csv", TEXT("csv")},
        {"json", "application/json"},
        {"xml", "application/xml"},
        {"pdf", "application/pdf"},
        {"wasm", "application/wasm"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"webp", "image/webp"},
        {"svg", "image/svg+xml"},
        {"ico", "image/vnd.microsoft.icon"},
        {"woff2", "font/woff2"},
        {"mp3", "audio/mpeg"},
        {"mp4", "video/mp4"},
    };
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash : name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcasecmp(dot + 1, types[i][0]))
            return types[i][1];
    return "application/octet-stream";
}

// ---- Dates and ranges -------------------------------------------------------------------------

// RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". A date of the two old forms is none to us,
// and so the whole file is sent, which is never wrong.
#define DATE "%a, %d %b %Y %H:%M:%S GMT"

static bool parse_date(const char *text, time_t *ret_time)
{
    struct tm parts = {0};
    const char *end = strptime(text, DATE, &parts);
    *ret_time = end ? timegm(&parts) : 0;
    return end && !*end;
}

static bool take_number(const char **at, int64_t *ret_number)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *ret_number = strtoll(*at, &end, 10); // too large a number is the largest
    *at = end;
    return true;
}

// One range: "bytes=0-99", "bytes=100-", "bytes=-50". Several, and what makes no sense, are not
// understood, and then the header is as if it were not there, as RFC 9110, section 14.2 wants it.
static bool parse_range(const char *text, int64_t size, int64_t *ret_first, int64_t *ret_last)
{
    int64_t first = 0, last = INT64_MAX;
    if (strncasecmp(text, "bytes=", 6) != 0)
        return false;
    text += 6;
    bool has_first = take_number(&text, &first);
    if (*text++ != '-')
        return false;
    bool has_last = take_number(&text, &last);
    if (*text || !(has_first || has_last) || (has_first && last < first))
        return false;
    if (!has_first) { // the last so many bytes
        first = last == 0 ? size : last < size ? size - last : 0;
        last = INT64_MAX;
    }
    *ret_first = first;
    *ret_last = last < size ? last : size - 1;
    return true;
}

static bool is_unchanged(const struct http_request *request, const struct reply *reply)
{
    time_t since;
    return request->counts[HTTP_IF_MODIFIED_SINCE] && !request->counts[HTTP_IF_NONE_MATCH] &&
           parse_date(request->values[HTTP_IF_MODIFIED_SINCE], &since) && reply->modified <= since;
}

// A range of another version of the file is nothing that anybody wants.
static bool wants_range(const struct http_request *request, const struct reply *reply)
{
    time_t of;
    return request->counts[HTTP_RANGE] == 1 && !strcmp(request->method, "GET") &&
           (!request->counts[HTTP_IF_RANGE] ||
            (parse_date(request->values[HTTP_IF_RANGE], &of) && of == reply->modified));
}

void reply_choose(const struct http_request *request, struct reply *reply)
{
    int64_t first, last;
    reply->status = 200;
    reply->from = 0;
    reply->count = reply->size;
    if (is_unchanged(request, reply)) {
        reply->status = 304;
        reply->count = 0;
    } else if (wants_range(request, reply) &&
               parse_range(request->values[HTTP_RANGE], reply->size, &first, &last)) {
        bool is_there = first < reply->size;
        reply->status = is_there ? 206 : 416;
        reply->from = is_there ? first : 0;
        reply->count = is_there ? last - first + 1 : 0;
    }
}

// ---- The head ---------------------------------------------------------------------------------

struct head {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void add(struct head *head, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (head->used < head->size)
        head->used +=
            (size_t)vsnprintf(head->text + head->used, head->size - head->used, format, arguments);
    va_end(arguments);
}

static void add_date(struct head *head, const char *name, time_t when)
{
    char text[64];
    struct tm parts;
    if (gmtime_r(&when, &parts) && strftime(text, sizeof text, DATE, &parts) > 0)
        add(head, "%s: %s\r\n", name, text);
}

static void add_content(struct head *head, const struct reply *reply)
{
    if (reply->type && reply->status != 304)
        add(head, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", reply->type);
    if (reply->status != 304)
        add(head, "Content-Length: %lld\r\n", (long long)reply->count);
    if (reply->status == 206)
        add(head, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)reply->from,
            (long long)(reply->from + reply->count - 1), (long long)reply->size);
    if (reply->status == 416)
        add(head, "Content-Range: bytes */%lld\r\n", (long long)reply->size);
    if (reply->status == 200 && reply->modified)
        add(head, "Accept-Ranges: bytes\r\n");
    if (reply->modified)
        add_date(head, "Last-Modified", reply->modified);
}

size_t reply_head(const struct reply *reply, int64_t now, char *ret_text, size_t size)
{
    struct head head = {.size = size};
    head.text = ret_text;
    add(&head, "HTTP/1.1 %d %s\r\n", reply->status, reply_name(reply->status));
    add_date(&head, "Date", (time_t)now);
    add(&head, "Server: doorbell\r\n");
    add_content(&head, reply);
    if (reply->target)
        add(&head, "Location: %s\r\n", reply->target);
    if (reply->status == 405)
        add(&head, "Allow: GET, HEAD\r\n");
    add(&head, "Connection: %s\r\n\r\n", reply->ends ? "close" : "keep-alive");
    return head.used < size ? head.used : 0;
}
