// What a server tells of itself: to people as notes, to programs as JSON, to whoever waits for it.

#include "serve.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PEER_SIZE = 160, TEXT_SIZE = 512 };

static bool is_verbose; // a line for each caller

// ---- The bell ---------------------------------------------------------------------------------

static void find_bell(struct serving *serving)
{
    serving->bell_fd = -1;
    if (!serving->ring)
        return;
    if (isatty(STDERR_FILENO))
        serving->bell_fd = STDERR_FILENO;
    else
        serving->bell_fd = open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (serving->bell_fd < 0)
        note("--ring: there is no terminal whose bell could ring");
}

static void ring(const struct serving *serving)
{
    if (serving->bell_fd >= 0)
        (void)!write(serving->bell_fd, "\a", 1);
}

// ---- Addresses --------------------------------------------------------------------------------

bool is_local(const char *address)
{
    return strncmp(address, "tcp:", 4) != 0 || !strncmp(address, "tcp:127.", 8) ||
           !strncmp(address, "tcp:[::1]:", 10);
}

static bool is_of_every_interface(const char *address)
{
    return !strncmp(address, "tcp:[::]:", 9) || !strncmp(address, "tcp:0.0.0.0:", 12);
}

// Whoever waits for the addresses may stop the server at once: they are told when it is ready for that.
static void tell_ready(struct serving *serving, const char *address)
{
    if (serving->ready_fd <= 0)
        return;
    if (dprintf(serving->ready_fd, "%s\n", address) < 0)
        complain("--ready-fd %d: %s", serving->ready_fd, strerror(errno));
    if (serving->announced == serving->addresses && serving->ready_fd > STDERR_FILENO)
        (void)close(serving->ready_fd);
}

static void suggest_tcp(const char *address)
{
    const char *port = strrchr(address, ':') + 1;
    const char *host = address + 4;
    int size = (int)(port - 1 - host);
    if (is_of_every_interface(address) || !strncmp(host, "127.0.0.1:", 10) || host[0] == '[')
        note("call it: doorbell connect localhost:%s, or nc -N localhost %s", port, port);
    else
        note("call it: doorbell connect %.*s:%s, or nc -N %.*s %s", size, host, port, size, host,
             port);
}

// At a terminal, or to who wants to know more: the next thing to type.
static void suggest_call(const struct serving *serving)
{
    const char *address = bell_server_address(serving->server, 0);
    if (!is_verbose && !isatty(STDERR_FILENO))
        return;
    if (!strncmp(address, "tcp:", 4))
        suggest_tcp(address);
    else if (!strncmp(address, "unix:@", 6))
        note("call it: doorbell connect %s", address + 5);
    else
        note("call it: doorbell connect %s, or nc -N -U %s", address + 5, address + 5);
}

static void warn_of_strangers(const struct serving *serving)
{
    for (int i = 0; i < serving->addresses; i++) {
        const char *address = bell_server_address(serving->server, i);
        if (is_local(address))
            continue;
        note("doorbell serve: whoever reaches this machine can call %s; without a host it would "
             "be this machine only",
             address);
        return;
    }
}

// A Unix socket's name is its owner's choice; the text of the event is clean already.
static const char *clean_name(const char *name, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s", name);
    for (char *at = buffer; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return buffer;
}

void begin_diary(struct serving *serving)
{
    is_verbose = serving->common.verbose;
    find_bell(serving);
}

// ---- Events -----------------------------------------------------------------------------------

static void tell_listening(struct serving *serving, const char *text)
{
    const char *address = text + strlen("listening on ");
    serving->announced++;
    note("doorbell serve: %s", text);
    tell("listening", "s:s", "address", address);
    if (serving->announced == serving->addresses) {
        warn_of_strangers(serving);
        suggest_call(serving);
    }
    tell_ready(serving, address);
}

static void tell_caller(const struct serving *serving, const struct bell_event *event)
{
    ring(serving);
    if (is_verbose)
        note("doorbell serve: %s", event->text);
    char peer[PEER_SIZE];
    tell("accepted", "s:s", "peer", clean_name(event->peer, peer, sizeof peer));
}

// `text` is clean.
static void tell_closed(const char *name, uint64_t bytes_in, uint64_t bytes_out, const char *text)
{
    char peer[PEER_SIZE];
    if (is_verbose)
        note("doorbell serve: %s", text);
    tell("closed", "s:s, s:I, s:I, s:s", "peer", clean_name(name, peer, sizeof peer), "bytes_in",
         (long long)bytes_in, "bytes_out", (long long)bytes_out, "text", text);
}

void diary_of_program(const char *peer, uint64_t bytes_in, uint64_t bytes_out, const char *format,
                      ...)
{
    char text[TEXT_SIZE], clean[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tell_closed(peer, bytes_in, bytes_out, clean_name(text, clean, sizeof clean));
}

void keep_diary(const struct bell_event *event, void *arg)
{
    struct serving *serving = arg;
    switch (event->kind) {
    case BELL_EVENT_LISTENING:
        tell_listening(serving, event->text);
        break;
    case BELL_EVENT_CALLER:
        tell_caller(serving, event);
        break;
    case BELL_EVENT_ENDED:
        if (!serving->manner.program) // else the handler tells more, and sooner
            tell_closed(event->peer, event->bytes_in, event->bytes_out, event->text);
        break;
    case BELL_EVENT_STOPPING:
        serving->manner.shared->stopping = true;
        if (serving->once)
            break;
        note("doorbell serve: %s", event->text);
        tell("stopping", "s:s", "text", event->text);
        break;
    default:
        note("doorbell serve: %s", event->text);
        tell("error", "s:s", "text", event->text);
    }
}
