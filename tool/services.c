// The services of doorbell serve, each a handler of one caller.

#include "services.h"

#include "exec.h"
#include "show.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

// ---- What they share --------------------------------------------------------------------------

// -vv: what comes is '<', what goes there '>'.
__attribute__((noinline)) static void show(bell_conn *conn, const struct manner *manner, char mark,
                                           const char *data, size_t size)
{
    enum { PIECE = 120 };
    if (manner->show == SHOW_HEX) {
        note("%s %c %zu bytes", bell_peer(conn), mark, size);
        show_hex(mark, 0, data, size);
        return;
    }
    while (size > 0) {
        char text[4 * PIECE + 16];
        size_t count = size < PIECE ? size : PIECE;
        quote(data, count, text, sizeof text);
        note("%s %c %s", bell_peer(conn), mark, text);
        data += count;
        size -= count;
    }
}

static void set_limit(bell_conn *conn, int64_t duration)
{
    bell_deadline(conn, duration ? bell_in(duration) : BELL_NEVER);
}

// As bell_peek. What stands at data stays until bell_skip.
static ssize_t hear(bell_conn *conn, const struct manner *manner, const void **data)
{
    ssize_t n = bell_peek(conn, 1, data);
    if (n > 0 && manner->show)
        show(conn, manner, '<', *data, (size_t)n);
    return n;
}

// As bell_write, after the time of --delay.
static int answer(bell_conn *conn, const struct manner *manner, const void *data, size_t size)
{
    if (manner->delay && bell_sleep(manner->delay) < 0)
        return -1;
    if (manner->show)
        show(conn, manner, '>', data, size);
    if (manner->write_stall)
        set_limit(conn, manner->write_stall);
    ssize_t n = bell_write(conn, data, size);
    if (manner->write_stall)
        set_limit(conn, 0);
    return n < 0 ? -1 : 0;
}

// Does something with each piece that comes, until the caller's end. `take` returns 0, or less when the
// conversation is to be reset.
static int take_all(bell_conn *conn, const struct manner *manner,
                    int (*take)(bell_conn *conn, const struct manner *manner, const char *data,
                                size_t size))
{
    const void *data;
    ssize_t n;
    if (manner->first_byte)
        set_limit(conn, manner->first_byte);
    while ((n = hear(conn, manner, &data)) > 0) {
        if (manner->first_byte)
            set_limit(conn, 0);
        if (take(conn, manner, data, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0)
            return -1;
    }
    return (int)n;
}

// ---- echo, upper, discard ---------------------------------------------------------------------

static int take_echo(bell_conn *conn, const struct manner *manner, const char *data, size_t size)
{
    return answer(conn, manner, data, size);
}

// Sends back what arrives, as it arrives: a map over bytes, which pleases every client whatever it
// takes for the end of a request. (RFC 862)
static int echo(bell_conn *conn, void *arg)
{
    return take_all(conn, arg, take_echo);
}

// Not inlined, so that a caller who is silent does not pay for this buffer.
__attribute__((noinline)) static int take_upper(bell_conn *conn, const struct manner *manner,
                                                const char *data, size_t size)
{
    char text[4096];
    while (size > 0) {
        size_t count = size < sizeof text ? size : sizeof text;
        for (size_t i = 0; i < count; i++)
            text[i] = data[i] >= 'a' && data[i] <= 'z' ? (char)(data[i] - 'a' + 'A') : data[i];
        if (answer(conn, manner, text, count) < 0)
            return -1;
        data += count;
        size -= count;
    }
    return 0;
}

static int take_nothing(bell_conn *conn, const struct manner *manner, const char *data, size_t size)
{
    (void)conn, (void)manner, (void)data, (void)size;
    return 0;
}

// Reads and forgets. (RFC 863)
static int discard(bell_conn *conn, void *arg)
{
    return take_all(conn, arg, take_nothing);
}

// Answers one line, however long it is and in however many pieces it comes; 1 when it has.
static int answer_line(bell_conn *conn, const struct manner *manner)
{
    const void *data;
    ssize_t n;
    while ((n = hear(conn, manner, &data)) > 0) {
        const char *newline = memchr(data, '\n', (size_t)n);
        size_t count = newline ? (size_t)(newline - (const char *)data) + 1 : (size_t)n;
        if (take_upper(conn, manner, data, count) < 0 || bell_skip(conn, count) < 0)
            return -1;
        if (newline)
            return 1;
    }
    return (int)n;
}

// Answers what one read gives, be it half a line or ten; 1 when there was something.
static int answer_read(bell_conn *conn, const struct manner *manner)
{
    const void *data;
    ssize_t n = hear(conn, manner, &data);
    if (n <= 0)
        return (int)n;
    bool failed = take_upper(conn, manner, data, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0;
    return failed ? -1 : 1;
}

// What comes after the one answer of --stay-open is read and not answered.
static int stay_open(bell_conn *conn, const struct manner *manner)
{
    const void *data;
    ssize_t n;
    do {
        set_limit(conn, manner->polite_idle);
        n = hear(conn, manner, &data);
    } while (n > 0 && bell_skip(conn, (size_t)n) == 0);
    return n < 0 && errno != ETIMEDOUT ? -1 : 0;
}

// The servers of the slides, as the options ask for: one line or one read is the whole request.
static int answer_once(bell_conn *conn, const struct manner *manner)
{
    if (manner->stay_open || manner->first_byte)
        set_limit(conn, manner->stay_open ? manner->polite_idle : manner->first_byte);
    int answered = manner->one_read ? answer_read(conn, manner) : answer_line(conn, manner);
    return answered > 0 && manner->stay_open ? stay_open(conn, manner) : answered < 0 ? -1 : 0;
}

// The same as echo with a to z as capitals, and every other byte as it is: as many bytes out as in.
static int upper(bell_conn *conn, void *arg)
{
    const struct manner *manner = arg;
    if (manner->one_line || manner->one_read || manner->stay_open)
        return answer_once(conn, manner);
    return take_all(conn, manner, take_upper);
}

// ---- message ----------------------------------------------------------------------------------

static void show_message(const char *text, size_t size)
{
    flockfile(stdout);
    fputs("Here is the message: ", stdout);
    fwrite(text, 1, size, stdout);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
}

// The message server of the course: reads a message, shows it, answers without a newline. A message
// ends with a newline, with the sender's end, or when it is as long as a line may be.
static int message(bell_conn *conn, void *arg)
{
    static const char received[] = "I got your message";
    const struct manner *manner = arg;
    char text[1024];
    if (manner->whole_request)
        set_limit(conn, manner->whole_request);
    ssize_t n = bell_readline(conn, text, sizeof text);
    if (n < 0 && errno == EMSGSIZE)
        n = (ssize_t)bell_done();
    if (n <= 0)
        return (int)n;
    if (manner->show)
        show(conn, manner, '<', text, (size_t)n);
    show_message(text, (size_t)n - (text[n - 1] == '\n'));
    return answer(conn, manner, received, sizeof received - 1);
}

// ---- chargen ----------------------------------------------------------------------------------

enum { RING = 95, LINE = 72, LINES_AT_ONCE = 64 };

// The printable characters twice, so that a line may begin at each of them.
#define PRINTABLE                        \
    "!\"#$%&'()*+,-./0123456789:;<=>?"   \
    "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`" \
    "abcdefghijklmnopqrstuvwxyz{|}~ "
static char ring[] = PRINTABLE PRINTABLE;

static int write_lines(bell_conn *conn, const struct manner *manner, unsigned first, int count)
{
    struct iovec pieces[2L * LINES_AT_ONCE];
    struct iovec *piece = pieces;
    for (int i = 0; i < count; i++) {
        *piece++ = (struct iovec){&ring[(first + (unsigned)i) % RING], LINE};
        *piece++ = (struct iovec){"\r\n", 2};
    }
    if (manner->show)
        show(conn, manner, '>', pieces[0].iov_base, LINE);
    return bell_writev(conn, pieces, 2 * count) < 0 ? -1 : 0;
}

// Lines of 72 characters, each a character further on, until the caller has enough: then writing fails,
// which is the end that was to be expected. What he does not read waits in his own kernel's buffers and in
// ours, and nothing more is made. (RFC 864)
static int chargen(bell_conn *conn, void *arg)
{
    const struct manner *manner = arg;
    int count = manner->delay ? 1 : LINES_AT_ONCE;
    for (unsigned line = 0; !manner->shared->stopping; line = (line + (unsigned)count) % RING) {
        if (manner->delay && bell_sleep(manner->delay) < 0)
            return -1;
        if (manner->write_stall)
            set_limit(conn, manner->write_stall);
        if (write_lines(conn, manner, line, count) < 0)
            return errno == EPIPE || errno == ECONNRESET ? 0 : -1;
    }
    return 0;
}

// ---- daytime, time, quote ---------------------------------------------------------------------

// The time of day as a text for people, in the way of RFC 867: "Tuesday, February 22, 1982 17:37:43-PST".
static int daytime(bell_conn *conn, void *arg)
{
    char text[128];
    struct tm parts;
    time_t now = time(NULL);
    if (!localtime_r(&now, &parts))
        return -1;
    size_t size = strftime(text, sizeof text, "%A, %B %d, %Y %H:%M:%S-%Z\r\n", &parts);
    return answer(conn, arg, text, size);
}

// Seconds since 1900 as four bytes, the highest first. They begin anew at 0 on 7 February 2036, 06:28:16 UTC,
// and a caller has to know in which round he lives. (RFC 868)
static int seconds(bell_conn *conn, void *arg)
{
    static const int64_t from_1900_to_1970 = 2208988800;
    uint32_t now = htonl((uint32_t)(time(NULL) + from_1900_to_1970));
    return answer(conn, arg, &now, sizeof now);
}

// One of the day, or the text that was given. (RFC 865)
static int quotation(bell_conn *conn, void *arg)
{
    static const char *const texts[] = {
        "A socket is a promise that somebody might listen.\r\n",
        "Every byte is on its way, and none of them has said when it will be there.\r\n",
        "The network is not slow. It is far.\r\n",
        "Who does not read to the end has read a beginning.\r\n",
        "Write as if the other end had gone; one day it will have.\r\n",
        "A queue that only grows is a leak with good manners.\r\n",
        "Half a line is not a line, however long it looks.\r\n",
    };
    const struct manner *manner = arg;
    size_t day = (size_t)time(NULL) / 86400;
    const char *text = manner->text ? manner->text : texts[day % (sizeof texts / sizeof *texts)];
    return answer(conn, manner, text, strlen(text));
}

const struct service services[] = {
    {"echo", echo},          {"upper", upper},  {"discard", discard}, {"chargen", chargen},
    {"daytime", daytime},    {"time", seconds}, {"message", message}, {"quote", quotation},
    {"exec", serve_program}, {NULL, NULL},
};
