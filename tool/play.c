// Playing a script: a peer that does just what is written down.
//
// There is one connection at a time that the steps are about: that of the last connect or accept. The
// earlier ones stay open until the script ends. When it listens, the callers' handlers only hand their
// connections over, and wait until the script has done with them.

#include "play.h"

#include "holder.h"
#include "tool.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { QUOTED_SIZE = 160, CALLERS_MAX = 64, SOCKOPTS_SIZE = 64 };

#define STEP_TIMEOUT_DEFAULT (10 * BELL_SECOND)

// A connection: one of our own, or a caller's whose handler waits for `done`.
struct party {
    struct party *earlier;
    bell_conn *conn; // NULL: closed
    bell_channel *done;
};

struct play {
    const struct play_settings *settings;
    const struct step *step;
    struct party *party; // the last one
    int64_t timeout;
    size_t window; // 0: the system's
    bell_channel *callers;
    bell_server *server;
    bell_group *group;
    size_t *left; // for each step that repeats: how often still
    bool begun;
    int code;
};

// ---- Failures ---------------------------------------------------------------------------------

static int fail(const struct play *play, int code, const char *what)
{
    complain("%s:%d: %s", play->settings->name, play->step->line, what);
    return code;
}

// A call of the library failed.
static int fail_call(const struct play *play)
{
    int code = (int)exit_code_of(errno);
    return fail(play, code == EXIT_USAGE ? EXIT_BROKEN : code, bell_error());
}

// What came in place of what was expected.
static int fail_expected(const struct play *play, const char *expected, const char *got,
                         size_t size, const char *then)
{
    char wanted[QUOTED_SIZE], came[QUOTED_SIZE];
    const struct step *step = play->step;
    if (!expected) {
        quote(step->text, step->size, wanted, sizeof wanted);
        expected = wanted;
    }
    quote(got, size, came, sizeof came);
    complain("%s:%d: expected %s, got %s%s", play->settings->name, step->line, expected, came,
             then);
    return EXIT_CHECK;
}

// ---- Connections ------------------------------------------------------------------------------

static int add_party(struct play *play, bell_conn *conn, bell_channel *done)
{
    struct party *party = malloc(sizeof *party);
    if (!party) {
        bell_abort(conn);
        return fail(play, EXIT_BROKEN, "out of memory");
    }
    *party = (struct party){.earlier = play->party, .conn = conn, .done = done};
    play->party = party;
    return EXIT_DONE;
}

// A caller's handler may go on to its end.
static void let_go(struct party *party)
{
    party->conn = NULL;
    bell_channel_end(party->done);
    party->done = NULL;
}

static void free_parties(struct play *play)
{
    while (play->party) {
        struct party *party = play->party;
        play->party = party->earlier;
        if (party->conn && !party->done)
            (void)bell_close(party->conn);
        let_go(party);
        free(party);
    }
}

static int do_connect(struct play *play)
{
    char sockopts[SOCKOPTS_SIZE * 4];
    struct bell_options how = *play->settings->how;
    const char *address = play->step->text ? play->step->text : play->settings->address;
    if (play->window) {
        snprintf(sockopts, sizeof sockopts, "rcvbuf=%zu,%.180s", play->window,
                 how.sockopts ? how.sockopts : "");
        how.sockopts = sockopts;
    }
    how.timeout = play->timeout;
    bell_conn *conn = bell_connect(address, &how);
    return conn ? add_party(play, conn, NULL) : fail_call(play);
}

static int do_accept(struct play *play)
{
    void *caller = NULL;
    if (!play->settings->listen)
        return fail(play, EXIT_USAGE, "accept is for connect -l");
    int rc = bell_channel_receive(play->callers, &caller, bell_in(play->timeout));
    if (rc < 0 && errno == ETIMEDOUT)
        return fail(play, EXIT_TIME, "nobody called in time");
    if (rc <= 0)
        return fail(play, EXIT_BROKEN, "accept was cancelled");
    struct party *party = caller;
    return add_party(play, party->conn, party->done);
}

// A step that is about a connection begins one if there is none yet.
static int want_connection(struct play *play)
{
    if (play->party && play->party->conn)
        return EXIT_DONE;
    if (play->party)
        return fail(play, EXIT_USAGE, "the connection is closed already");
    static const struct step begin = {.kind = STEP_CONNECT};
    const struct step *step = play->step;
    struct step silent = begin;
    silent.line = step->line;
    play->step = &silent;
    int code = play->settings->listen ? do_accept(play) : do_connect(play);
    play->step = step;
    return code;
}

static int do_close(struct play *play)
{
    struct party *party = play->party;
    // What the other end does now is none of ours any more, so no result of this counts.
    (void)bell_close(party->conn);
    let_go(party);
    return EXIT_DONE;
}

static int do_reset(struct play *play)
{
    bell_abort(play->party->conn);
    let_go(play->party);
    return EXIT_DONE;
}

// TCP_REPAIR makes a socket that is closed say nothing. (tcp(7) does not have it; the kernel's source does.)
static int do_vanish(struct play *play)
{
    static const int on = 1;
    int fd = bell_fd(play->party->conn);
    if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) < 0)
        return fail(play, EXIT_BROKEN,
                    errno == EPERM ? "vanish needs the capability CAP_NET_ADMIN"
                                   : "only TCP can vanish");
    return do_reset(play);
}

// ---- Sending ----------------------------------------------------------------------------------

static int do_send(struct play *play)
{
    const struct step *step = play->step;
    for (size_t i = 0; i < step->count; i++)
        if (bell_write(play->party->conn, step->text, step->size) < 0)
            return fail_call(play);
    return EXIT_DONE;
}

static int do_trickle(struct play *play)
{
    const struct step *step = play->step;
    for (size_t i = 0; i < step->size; i++) {
        (void)bell_deadline(play->party->conn, bell_in(play->timeout));
        if (bell_write(play->party->conn, step->text + i, 1) < 0)
            return fail_call(play);
        if (i + 1 < step->size && bell_sleep(step->time) < 0)
            return fail_call(play);
    }
    return EXIT_DONE;
}

static int do_half_close(struct play *play)
{
    return bell_shutdown(play->party->conn, SHUT_WR) < 0 ? fail_call(play) : EXIT_DONE;
}

// ---- Receiving --------------------------------------------------------------------------------

static int read_bytes(struct play *play)
{
    const void *data;
    size_t left = play->step->count;
    while (left > 0) {
        ssize_t n = bell_peek(play->party->conn, 1, &data);
        if (n < 0)
            return fail_call(play);
        if (n == 0)
            return fail(play, EXIT_CHECK, "the other end finished before so many bytes had come");
        size_t count = (size_t)n < left ? (size_t)n : left;
        (void)bell_skip(play->party->conn, count);
        left -= count;
    }
    return EXIT_DONE;
}

static int read_line(struct play *play)
{
    const void *data;
    ssize_t n;
    while ((n = bell_peek(play->party->conn, 1, &data)) > 0) {
        const char *newline = memchr(data, '\n', (size_t)n);
        size_t count = newline ? (size_t)(newline - (const char *)data) + 1 : (size_t)n;
        (void)bell_skip(play->party->conn, count);
        if (newline)
            return EXIT_DONE;
    }
    return n < 0 ? fail_call(play)
                 : fail(play, EXIT_CHECK, "the other end finished before its line did");
}

static int read_to_end(struct play *play)
{
    const void *data;
    ssize_t n;
    while ((n = bell_peek(play->party->conn, 1, &data)) > 0)
        (void)bell_skip(play->party->conn, (size_t)n);
    return n < 0 ? fail_call(play) : EXIT_DONE;
}

static int expect_text(struct play *play)
{
    const struct step *step = play->step;
    size_t matched = 0;
    while (matched < step->size) {
        const void *data;
        ssize_t n = bell_peek(play->party->conn, 1, &data);
        if (n < 0 && errno == ETIMEDOUT)
            return fail_expected(play, NULL, step->text, matched, " and then nothing");
        if (n < 0)
            return fail_expected(play, NULL, step->text, matched,
                                 errno == ECONNRESET ? " and then a reset" : " and then a failure");
        if (n == 0)
            return fail_expected(play, NULL, step->text, matched, " and then the end");
        size_t count = step->size - matched < (size_t)n ? step->size - matched : (size_t)n;
        if (memcmp(data, step->text + matched, count) != 0)
            return fail_expected(play, NULL, data, (size_t)n,
                                 matched ? " after a beginning that was right" : "");
        (void)bell_skip(play->party->conn, count);
        matched += count;
    }
    return EXIT_DONE;
}

static int expect_end(struct play *play)
{
    const void *data;
    ssize_t n = bell_peek(play->party->conn, 1, &data);
    if (n == 0)
        return EXIT_DONE;
    return n < 0 ? fail_call(play) : fail_expected(play, "the end", data, (size_t)n, "");
}

static int expect_reset(struct play *play)
{
    const void *data;
    ssize_t n;
    while ((n = bell_peek(play->party->conn, 1, &data)) > 0)
        (void)bell_skip(play->party->conn, (size_t)n);
    if (n < 0 && errno == ECONNRESET)
        return EXIT_DONE;
    return n < 0 ? fail_call(play) : fail(play, EXIT_CHECK, "expected a reset, got a clean end");
}

static int expect_silence(struct play *play)
{
    const void *data;
    (void)bell_deadline(play->party->conn, bell_in(play->step->time));
    ssize_t n = bell_peek(play->party->conn, 1, &data);
    if (n < 0 && errno == ETIMEDOUT)
        return EXIT_DONE;
    if (n < 0)
        return fail_call(play);
    return n == 0 ? fail(play, EXIT_CHECK, "expected silence, got the end")
                  : fail_expected(play, "silence", data, (size_t)n, "");
}

// ---- Steps ------------------------------------------------------------------------------------

static int do_wait(struct play *play)
{
    return bell_sleep(play->step->time) < 0 ? fail_call(play) : EXIT_DONE;
}

static int do_window(struct play *play)
{
    play->window = play->step->count;
    return EXIT_DONE;
}

static int do_timeout(struct play *play)
{
    play->timeout = play->step->time;
    return EXIT_DONE;
}

static const struct {
    int (*run)(struct play *play);
    bool of_a_connection;
} acts[] = {
    [STEP_CONNECT] = {do_connect, false},
    [STEP_ACCEPT] = {do_accept, false},
    [STEP_SEND] = {do_send, true},
    [STEP_TRICKLE] = {do_trickle, true},
    [STEP_READ_BYTES] = {read_bytes, true},
    [STEP_READ_LINE] = {read_line, true},
    [STEP_READ_END] = {read_to_end, true},
    [STEP_EXPECT_TEXT] = {expect_text, true},
    [STEP_EXPECT_END] = {expect_end, true},
    [STEP_EXPECT_RESET] = {expect_reset, true},
    [STEP_EXPECT_SILENCE] = {expect_silence, true},
    [STEP_HALF_CLOSE] = {do_half_close, true},
    [STEP_CLOSE] = {do_close, true},
    [STEP_RESET] = {do_reset, true},
    [STEP_VANISH] = {do_vanish, true},
    [STEP_WAIT] = {do_wait, false},
    [STEP_WINDOW] = {do_window, false},
    [STEP_TIMEOUT] = {do_timeout, false},
};

static int do_step(struct play *play)
{
    enum step_kind kind = play->step->kind;
    if (acts[kind].of_a_connection) {
        int code = want_connection(play);
        if (code != EXIT_DONE || !play->party)
            return code;
        (void)bell_deadline(play->party->conn, bell_in(play->timeout));
    }
    return acts[kind].run(play);
}

static int play_steps(struct play *play)
{
    const struct script *script = play->settings->script;
    int code = EXIT_DONE;
    for (size_t i = 0; i < script->count && code == EXIT_DONE; i++) {
        play->step = &script->steps[i];
        if (play->step->kind == STEP_REPEAT)
            play->left[i] = play->step->count;
        else if (play->step->kind != STEP_AGAIN)
            code = do_step(play);
        else if (--play->left[play->step->other] > 0)
            i = play->step->other;
    }
    free_parties(play);
    return code;
}

// ---- Being called -----------------------------------------------------------------------------

// The script has ended, and had no `accept` for this one.
static void refuse(struct party *party)
{
    bell_abort(party->conn);
    bell_channel_end(party->done);
}

static int play_task(void *arg)
{
    struct play *play = arg;
    play->code = play_steps(play);
    bell_channel_end(play->callers);
    void *caller;
    while (bell_channel_receive(play->callers, &caller, 0) == 1)
        refuse(caller);
    bell_server_stop(play->server);
    return 0;
}

// A caller's handler: hands the connection over, and waits until the script has done with it.
static int hand_over(bell_conn *conn, void *arg)
{
    struct play *play = arg;
    struct party party = {.conn = conn, .done = bell_channel_open(1)};
    void *nothing;
    if (!party.done)
        return -1;
    if (!play->begun) {
        play->begun = true;
        if (bell_go(play->group, play_task, play) < 0)
            bell_server_stop(play->server);
    }
    bool taken = bell_channel_send(play->callers, &party, BELL_NEVER) == 0;
    if (taken)
        (void)bell_channel_receive(party.done, &nothing, BELL_NEVER);
    bell_channel_close(party.done);
    return taken ? 0 : -1;
}

static void tell_listening(const struct bell_event *event, void *arg)
{
    (void)arg;
    if (event->kind == BELL_EVENT_LISTENING)
        note("%s", event->text);
}

// The listener's window is that of its callers, so it is the script's first.
static size_t first_window(const struct script *script)
{
    for (size_t i = 0; i < script->count; i++)
        if (script->steps[i].kind == STEP_WINDOW)
            return script->steps[i].count;
    return 0;
}

static int listen_and_play(struct play *play)
{
    char sockopts[SOCKOPTS_SIZE] = "";
    size_t window = first_window(play->settings->script);
    if (window)
        snprintf(sockopts, sizeof sockopts, "rcvbuf=%zu", window);
    struct bell_server_options how = {
        .size = sizeof how,
        .name = "script",
        .model = "coroutines",
        .workers = 1,
        .grace = BELL_NEVER,
        .sockopts = sockopts,
        .flags = play->settings->how->flags,
        .log = tell_listening,
    };
    play->server = bell_server_open(hand_over, play, &how);
    const char *address = play->settings->address;
    if (!play->server) {
        play->code = (int)exit_code_of_listen(errno);
        complain("%s", bell_error());
    } else if (bell_server_listen(play->server, address) < 0) {
        play->code = (int)exit_code_of_listen(errno);
        complain_of_listening(address, errno, true);
    } else if (bell_server_run(play->server) < 0 && play->code == EXIT_DONE) {
        play->code = (int)exit_code_of(errno);
        complain("%s", bell_error());
    }
    bell_server_close(play->server);
    return play->code;
}

int play(const struct play_settings *settings)
{
    struct play play = {
        .settings = settings,
        .timeout = STEP_TIMEOUT_DEFAULT,
        .left = calloc(settings->script->count + 1, sizeof(size_t)),
        .callers = bell_channel_open(CALLERS_MAX),
        .group = bell_group_open(),
    };
    int code = EXIT_BROKEN;
    if (!play.left || !play.callers || !play.group)
        complain("out of memory");
    else
        code = settings->listen ? listen_and_play(&play) : play_steps(&play);
    bell_group_close(play.group);
    bell_channel_close(play.callers);
    free(play.left);
    return code;
}
