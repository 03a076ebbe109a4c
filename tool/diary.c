// What a server tells of itself: to people as notes, to programs as JSON, to whoever waits for it.

#include "serve.h"
#include "show.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEER_SIZE = 160, TEXT_SIZE = 512, BASE64_SIZE = 348, WELL_KNOWN_END = 1024 };

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
    if (strncmp(address, "tcp:", 4) != 0 && strncmp(address, "udp:", 4) != 0)
        return true;
    return !strncmp(address + 4, "127.", 4) || !strncmp(address + 4, "[::1]:", 6);
}

bool is_of_every_interface(const char *address)
{
    return !strncmp(address + 4, "[::]:", 5) || !strncmp(address + 4, "0.0.0.0:", 8);
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

// `scheme` is "" or "udp:", `nc` how to call it and say when that is all.
static void suggest_inet(const char *address, const char *scheme, const char *nc)
{
    const char *port = strrchr(address, ':') + 1;
    const char *host = address + 4;
    int size = (int)(port - 1 - host);
    if (is_of_every_interface(address) || !strncmp(host, "127.0.0.1:", 10) || host[0] == '[')
        note("call it: doorbell connect %slocalhost:%s, or %s localhost %s", scheme, port, nc,
             port);
    else
        note("call it: doorbell connect %s%.*s:%s, or %s %.*s %s", scheme, size, host, port, nc,
             size, host, port);
}

// At a terminal, or to who wants to know more: the next thing to type.
static void suggest_call(const struct serving *serving)
{
    const char *address = serving_address(serving, 0);
    if (!is_verbose && !isatty(STDERR_FILENO))
        return;
    if (!strncmp(address, "tcp:", 4))
        suggest_inet(address, "", "nc -N");
    else if (!strncmp(address, "udp:", 4))
        suggest_inet(address, "udp:", "nc -u");
    else if (!strncmp(address, "unix:@", 6))
        note("call it: doorbell connect %s", address + 5);
    else if (!strncmp(address, "unix:", 5))
        note("call it: doorbell connect %s, or nc -N -U %s", address + 5, address + 5);
    else
        note("call it: doorbell connect %s", address);
}

static void warn_of_strangers(const struct serving *serving)
{
    for (int i = 0; i < serving->addresses; i++) {
        const char *address = serving_address(serving, i);
        if (is_local(address))
            continue;
        note("doorbell serve: whoever reaches this machine can call %s; without a host it would "
             "be this machine only",
             address);
        return;
    }
}

static bool is_known_as(const struct servent *known, const char *service)
{
    static const char *const others[][2] = {{"quote", "qotd"}, {"files", "http"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(service, others[i][0]) && !strcmp(known->s_name, others[i][1]))
            return true;
    return !strcmp(known->s_name, service);
}

// Who calls a well-known port (RFC 6335, 6) expects the service that it is known for.
static void warn_of_known_port(const char *address, const char *service)
{
    bool is_udp = !strncmp(address, "udp:", 4);
    const char *colon = strrchr(address, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    if ((!is_udp && strncmp(address, "tcp:", 4) != 0) || port < 1 || port >= WELL_KNOWN_END)
        return;
    static long told; // localhost is two addresses with one port
    if (port == told)
        return;
    const struct servent *known = getservbyport(htons((uint16_t)port), is_udp ? "udp" : "tcp");
    if (!known || !strcmp(service, "exec") || is_known_as(known, service))
        return;
    note("doorbell serve: port %ld is known for %s, and this is %s", port, known->s_name, service);
    told = port;
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

// ---- Data -------------------------------------------------------------------------------------

// Not inlined, so that a caller who is silent does not pay for this buffer.
__attribute__((noinline)) static void show_text(const char *peer, char mark, const char *data,
                                                size_t size)
{
    enum { PIECE = 120 };
    do {
        char text[4 * PIECE + 16];
        size_t count = size < PIECE ? size : PIECE;
        quote(data, count, text, sizeof text);
        note("%s %c %s", peer, mark, text);
        data += count;
        size -= count;
    } while (size > 0);
}

// How many bytes make an object: escaped as JSON does they still fit in a line. A character of UTF-8 is not
// divided.
static size_t piece_of(const char *data, size_t size)
{
    enum { PIECE = 256, CONTINUED = 0x80, KIND = 0xc0 };
    size_t count = size < PIECE ? size : PIECE;
    for (int back = 0; count < size && back < 3 && (data[count] & KIND) == CONTINUED; back++)
        count--;
    return count;
}

__attribute__((noinline)) static void tell_data(const char *name, char mark, const char *data,
                                                size_t size)
{
    char peer[PEER_SIZE];
    const char *direction = mark == '<' ? "in" : "out";
    (void)clean_name(name, peer, sizeof peer);
    do {
        char base64[BASE64_SIZE];
        size_t count = piece_of(data, size);
        if (!tell("data", "s:s, s:s, s:s#", "peer", peer, "direction", direction, "data", data,
                  (int)count)) // it is no text
            (void)tell("data", "s:s, s:s, s:s", "peer", peer, "direction", direction, "data_b64",
                       put_base64(data, count, base64));
        data += count;
        size -= count;
    } while (size > 0);
}

void show_traffic(const char *peer, const struct manner *manner, char mark, const char *data,
                  size_t size)
{
    if (manner->show == SHOW_TEXT)
        show_text(peer, mark, data, size);
    if (manner->show == SHOW_JSON)
        tell_data(peer, mark, data, size);
    if (manner->show != SHOW_HEX)
        return;
    note("%s %c %zu bytes", peer, mark, size);
    show_hex(mark, 0, data, size);
}

// ---- Events -----------------------------------------------------------------------------------

static const char *service_at(const struct serving *serving, const char *address)
{
    int i = 0;
    while (i < serving->addresses - 1 && strcmp(serving_address(serving, i), address) != 0)
        i++;
    return serving_service(serving, i)->name;
}

static void tell_listening(struct serving *serving, const char *text)
{
    const char *address = text + strlen("listening on ");
    const char *service = service_at(serving, address);
    serving->announced++;
    if (serving->parts.count > 1)
        note("doorbell serve: %s (%s)", text, service);
    else
        note("doorbell serve: %s", text);
    tell("listening", "s:s, s:s", "address", address, "service", service);
    warn_of_known_port(address, service);
    if (serving->announced == serving->addresses) {
        serving_have_begun();
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

static void tell_stopping(const char *text)
{
    note("doorbell serve: %s", text);
    tell("stopping", "s:s", "text", text);
}

static void keep(struct serving *serving, const struct bell_event *event)
{
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
        if (atomic_exchange(&serving->manner.shared->stopping, true) || serving->once)
            break; // of two servers one says it
        // Datagrams have no conversations that could go on.
        tell_stopping(serving->dgrams ? "stopping" : event->text);
        break;
    case BELL_EVENT_STALLED: // for who wrote the handler, and that is not who runs the command
        if (is_verbose)
            note("doorbell serve: %s", event->text);
        break;
    default:
        note("doorbell serve: %s", event->text);
        tell("error", "s:s", "text", event->text);
    }
}

// Two servers may have something to tell at the same time.
void keep_diary(const struct bell_event *event, void *arg)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    (void)pthread_mutex_lock(&lock);
    keep(arg, event);
    (void)pthread_mutex_unlock(&lock);
}
