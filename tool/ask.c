// Questions by datagram, each of which is repeated until it is answered.

#include "ask.h"

#include "messages.h"
#include "standard.h"
#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define REFUSED_PAUSE (50 * BELL_MS)

struct asking {
    bell_conn *conn;
    const struct talk *talk;
    struct messages messages;
    struct expectation expectation;
    struct cleaner *cleaner; // stdout is a terminal
    char *answer;            // room for MESSAGE_MAX bytes
    int64_t until;           // who refuses is asked again
    unsigned long long asked, answered, sent, received;
};

// ---- One question -----------------------------------------------------------------------------

// A refusal is told at once, unless somebody is expected to come.
static ssize_t call(struct asking *a, const char *data, size_t size)
{
    const struct talk *talk = a->talk;
    const struct bell_call_options how = {
        .size = sizeof how, .tries = talk->tries, .first_wait = talk->retry};
    for (;;) {
        bell_deadline(a->conn, talk->timeout ? bell_in(talk->timeout) : BELL_NEVER);
        ssize_t n = bell_call(a->conn, data, size, a->answer, MESSAGE_MAX, &how);
        if (n >= 0 || errno != ECONNREFUSED || bell_now() >= a->until)
            return n;
        int error = errno;
        if (bell_sleep(REFUSED_PAUSE) < 0)
            return -1;
        errno = error;
    }
}

static int explain(const struct asking *a, size_t size)
{
    int error = errno;
    if (error == EMSGSIZE && bell_done() == 0) // else it was the answer
        messages_complain_of(bell_peer(a->conn), size);
    else if (a->asked > 1)
        complain("%s (question %llu; %llu answered)", bell_error(), a->asked, a->answered);
    else
        complain("%s", bell_error());
    return (int)exit_code_of(error);
}

static void tell_answer(const struct asking *a, size_t size, size_t answer_size, int64_t took)
{
    double ms = (double)took / (double)BELL_MS;
    if (a->talk->verbose)
        note("%s: %zu bytes out, %zu in, after %.2f ms", bell_peer(a->conn), size, answer_size, ms);
    tell("answer", "s:s, s:I, s:I, s:f", "peer", bell_peer(a->conn), "bytes_sent", (long long)size,
         "bytes_received", (long long)answer_size, "ms", ms);
}

// Negative: it went wrong, with the exit code in *ret_code; 1: what was expected has come.
static int ask_one(struct asking *a, const char *data, size_t size, int *ret_code)
{
    int64_t began = bell_now();
    a->asked++;
    if (a->talk->hex)
        show_hex('>', a->sent, data, size);
    ssize_t n = call(a, data, size);
    if (n < 0) {
        *ret_code = explain(a, size);
        return -1;
    }
    tell_answer(a, size, (size_t)n, bell_now() - began);
    if (a->talk->hex)
        show_hex('<', a->received, a->answer, (size_t)n);
    a->answered++;
    a->sent += size;
    a->received += (unsigned long long)n;
    *ret_code = EXIT_BROKEN;
    if (standard_write(a->cleaner, a->answer, (size_t)n) < 0)
        return -1;
    return standard_expect(&a->expectation, a->answer, (size_t)n);
}

// ---- All of them ------------------------------------------------------------------------------

// Whether stdin has something to say before --idle is over.
static bool await_stdin(const struct asking *a)
{
    const struct messages *m = &a->messages;
    if (!a->talk->idle || a->talk->text || m->begin < m->end || m->ended)
        return true;
    if (bell_wait_fd(STDIN_FILENO, POLLIN, bell_in(a->talk->idle)) >= 0 || errno != ETIMEDOUT)
        return true;
    complain("%s: timed out: nothing came or went for %.3g s", bell_peer(a->conn),
             (double)a->talk->idle / (double)BELL_SECOND);
    return false;
}

static int ask_all(struct asking *a)
{
    const char *data;
    size_t size;
    int code = EXIT_DONE;
    for (;;) {
        if (!await_stdin(a))
            return EXIT_TIME;
        int next = messages_next(&a->messages, &data, &size);
        if (next < 0)
            return EXIT_BROKEN;
        if (next == 0)
            break;
        int matched = ask_one(a, data, size, &code);
        if (matched)
            return matched < 0 ? code : EXIT_DONE;
    }
    if (!a->talk->expect)
        return EXIT_DONE;
    complain("all is answered, and what was expected did not come");
    return EXIT_CHECK;
}

static struct asking begin(bell_conn *conn, const struct talk *talk)
{
    static char answer[MESSAGE_MAX]; // a helper may still have it when we have given up
    static struct cleaner cleaner;
    return (struct asking){.conn = conn,
                           .talk = talk,
                           .messages = {.talk = talk},
                           .expectation = {.text = talk->expect, .size = talk->expect_size},
                           .answer = answer,
                           .cleaner = !talk->raw && isatty(STDOUT_FILENO) ? &cleaner : NULL,
                           .until = talk->wait ? bell_in(talk->wait) : 0};
}

int ask(bell_conn *conn, const struct talk *talk)
{
    struct asking asking = begin(conn, talk);
    int code = ask_all(&asking);
    if (asking.cleaner)
        (void)standard_write(asking.cleaner, NULL, 0);
    tell("summary", "s:I, s:I, s:I, s:I, s:i", "bytes_sent", (long long)asking.sent,
         "bytes_received", (long long)asking.received, "asked", (long long)asking.asked, "answered",
         (long long)asking.answered, "exit", code);
    (void)bell_close(conn);
    return code;
}

int ask_whether_there(bell_conn *conn, const struct talk *talk)
{
    struct asking asking = begin(conn, talk);
    int64_t began = bell_now();
    ssize_t n = call(&asking, "", 0);
    int code = n >= 0 ? EXIT_DONE : explain(&asking, 0);
    if (n >= 0)
        note("%s answers an empty datagram, after %.2f ms", bell_peer(conn),
             (double)(bell_now() - began) / (double)BELL_MS);
    (void)bell_close(conn);
    return code;
}
