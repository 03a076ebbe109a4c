// The services of doorbell serve, each a handler of one caller.

#include "services.h"

#include "answers.h"
#include "exec.h"
#include "files.h"

#include <errno.h>
#include <string.h>

// ---- What they share --------------------------------------------------------------------------

static void set_limit(bell_conn *conn, int64_t duration)
{
    bell_deadline(conn, duration ? bell_in(duration) : BELL_NEVER);
}

// As bell_peek. What stands at data stays until bell_skip.
static ssize_t hear(bell_conn *conn, const struct manner *manner, const void **data)
{
    ssize_t n = bell_peek(conn, 1, data);
    if (n > 0 && manner->show)
        show_traffic(bell_peer(conn), manner, '<', *data, (size_t)n);
    return n;
}

// As bell_write, after the time of --delay.
static int answer(bell_conn *conn, const struct manner *manner, const void *data, size_t size)
{
    if (manner->delay && bell_sleep(manner->delay) < 0)
        return -1;
    if (manner->show)
        show_traffic(bell_peer(conn), manner, '>', data, size);
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
        capitalize(data, count, text);
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
        show_traffic(bell_peer(conn), manner, '<', text, (size_t)n);
    show_message(text, (size_t)n - (text[n - 1] == '\n'));
    return answer(conn, manner, received, sizeof received - 1);
}

// ---- chargen ----------------------------------------------------------------------------------

enum { LINES_AT_ONCE = 64 };

static struct iovec line_of(unsigned number)
{
    union { // writev only reads it
        const void *constant;
        void *base;
    } line = {.constant = chargen_line(number)};
    return (struct iovec){line.base, CHARGEN_LINE};
}

static int write_lines(bell_conn *conn, const struct manner *manner, unsigned first, int count)
{
    struct iovec pieces[2L * LINES_AT_ONCE];
    struct iovec *piece = pieces;
    for (int i = 0; i < count; i++) {
        *piece++ = line_of(first + (unsigned)i);
        *piece++ = (struct iovec){"\r\n", 2};
    }
    if (manner->show)
        show_traffic(bell_peer(conn), manner, '>', pieces[0].iov_base, CHARGEN_LINE);
    return bell_writev(conn, pieces, 2 * count) < 0 ? -1 : 0;
}

// Lines of 72 characters, each a character further on, until the caller has enough: then writing fails,
// which is the end that was to be expected. What he does not read waits in his own kernel's buffers and in
// ours, and nothing more is made. (RFC 864)
static int chargen(bell_conn *conn, void *arg)
{
    const struct manner *manner = arg;
    int count = manner->delay ? 1 : LINES_AT_ONCE;
    for (unsigned line = 0; !manner->shared->stopping;
         line = (line + (unsigned)count) % CHARGEN_RING) {
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

// What needs no question.
static int say(bell_conn *conn, const struct manner *manner, answer_maker *make)
{
    char text[ANSWER_MAX];
    ssize_t size = make(manner, text, 0, sizeof text);
    return size < 0 ? -1 : answer(conn, manner, text, (size_t)size);
}

static int daytime(bell_conn *conn, void *arg)
{
    return say(conn, arg, answer_daytime);
}

static int seconds(bell_conn *conn, void *arg)
{
    return say(conn, arg, answer_seconds);
}

// However long the text is.
static int quotation(bell_conn *conn, void *arg)
{
    const char *text = quotation_text(arg);
    return answer(conn, arg, text, strlen(text));
}

const struct service services[] = {
    {"echo", echo, answer_echo, EACH_MESSAGE},
    {"upper", upper, answer_upper, EACH_MESSAGE},
    {"discard", discard, answer_nothing, EACH_MESSAGE},
    {"chargen", chargen, answer_chargen, WITHOUT_END},
    {"daytime", daytime, answer_daytime, UNASKED},
    {"time", seconds, answer_seconds, UNASKED},
    {"message", message, answer_message, ONE_MESSAGE},
    {"quote", quotation, answer_quotation, UNASKED},
    {"exec", serve_program, NULL, UNASKED},
    {"files", serve_files, NULL, UNASKED},
    {NULL, NULL, NULL, UNASKED},
};
