// What the server tells its options.log.

#include <stdarg.h>
#include <stdio.h>

#include "conn/conn.h"
#include "door/door.h"
#include "kernel/kernel.h"

enum { EVENT_SIZE = 512 };

// Kinds that a flood of callers could repeat without end are told once a second.
static bool is_too_soon(struct bell_server *server, enum bell_event_kind kind)
{
    if (kind != BELL_EVENT_LIMIT && kind != BELL_EVENT_TROUBLE && kind != BELL_EVENT_STALLED)
        return false;
    int64_t now = kernel->now();
    int64_t last = atomic_load_explicit(&server->told[kind], memory_order_relaxed);
    if (last && now - last < BELL_SECOND)
        return true;
    return !atomic_compare_exchange_strong(&server->told[kind], &last, now);
}

// One line of printable ASCII, whatever names and paths had in them.
static void make_printable(char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

__attribute__((format(printf, 3, 0))) static void
tell(struct bell_server *server, struct bell_event *event, const char *format, va_list arguments)
{
    char text[EVENT_SIZE];
    (void)vsnprintf(text, sizeof text, format, arguments);
    make_printable(text);
    event->text = text;
    server->options.log(event, server->options.log_arg);
}

void server_tell(struct bell_server *server, enum bell_event_kind kind, const char *format, ...)
{
    if (!server->options.log || is_too_soon(server, kind))
        return;
    struct bell_event event = {.kind = kind};
    va_list arguments;
    va_start(arguments, format);
    tell(server, &event, format, arguments);
    va_end(arguments);
}

void server_tell_visit(struct bell_server *server, enum bell_event_kind kind, bell_conn *conn,
                       const char *format, ...)
{
    if (!server->options.log || is_too_soon(server, kind))
        return;
    struct bell_event event = {
        .kind = kind,
        .peer = bell_peer(conn),
        .bytes_in = conn->bytes_in,
        .bytes_out = conn->bytes_out,
    };
    va_list arguments;
    va_start(arguments, format);
    tell(server, &event, format, arguments);
    va_end(arguments);
}
