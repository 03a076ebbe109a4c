// libFuzzer: bytes choose what happens to a server that is stopped. Callers come, talk, end and reset; handlers read,
// write, sleep, start tasks, stop the server themselves and do not care that they were cancelled; time passes, memory
// and descriptors are wanting; and at some moment the server is stopped, stopped again, or closed.
//
// The loop is a foreign one: the server is stepped when its descriptor is readable and at no other time, so that a
// wake-up that is lost is found. Whatever the order: each byte comes once and in its order, whoever waited at the stop
// is taken in, a stop is over within the grace time and a second one at once, the counts add up, and in the end
// no task, descriptor or memory is left.

#include <doorbell.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_kernel.h"
#include "kernel/kernel.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's word
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 6, VISITS_MAX = 64, LAST_CALLERS_MS = 100, TURNS = 20, STEPS_MAX = 500 };

// Of time, when nothing else happens.
#define TURN_TIME (5 * BELL_MS)

// What one handler and its tasks do.
enum {
    WRITES = 1 << 0,
    SLEEPS = 1 << 1,
    HAS_DEADLINE = 1 << 2,
    STOPS = 1 << 3,
    RESTS_AFTERWARDS = 1 << 4,
    CLOSES = 1 << 5,
    IS_STUBBORN = 1 << 6,
    FAILS = 1 << 7,
};

struct visit {
    bell_conn *conn;
    unsigned id;
    uint8_t style;
    size_t heard, said;
};

static struct visit visits[VISITS_MAX];
static int visit_count, inside;
static uint8_t styles[HEAD];
static bell_server *server;
static int rc; // of the last step; 1: the server goes on
static int stops;
static int64_t grace, stopped_at;
static int64_t seen_at;       // the first step that begins after the stop, or INT64_MAX
static bool something_failed; // of what the system does

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "stop: %s: %s\n", what, bell_error());
    abort();
}

// ---- Handlers and their tasks -------------------------------------------------------------------

// Who does not obey tries some more, and must fail at once each time.
static bool goes_on(const struct visit *visit, int *tries)
{
    return (visit->style & IS_STUBBORN) && ++*tries < 4;
}

static void stop(void)
{
    if (stops++ == 0)
        stopped_at = kernel->now();
    bell_server_stop(server);
}

static int write_on(void *arg)
{
    struct visit *visit = arg;
    uint8_t bytes[100];
    int tries = 0;
    inside++;
    for (int i = 0; i < 4; i++) {
        for (size_t j = 0; j < sizeof bytes; j++)
            bytes[j] = fake_byte(visit->id + FAKE_OUT, visit->said + j);
        if (bell_write(visit->conn, bytes, sizeof bytes) < 0 && !goes_on(visit, &tries))
            break;
        visit->said += sizeof bytes;
    }
    inside--;
    return 0;
}

static int sleep_on(void *arg)
{
    const struct visit *visit = arg;
    int tries = 0;
    inside++;
    while (bell_sleep(10 * BELL_MS * (visit->style & 3)) < 0 && goes_on(visit, &tries))
        require(errno == ECANCELED, "a sleep fails");
    inside--;
    return 0;
}

static void read_on(struct visit *visit)
{
    char bytes[64];
    int tries = 0;
    for (;;) {
        ssize_t n = bell_read(visit->conn, bytes, sizeof bytes);
        for (ssize_t i = 0; i < n; i++)
            require((uint8_t)bytes[i] == fake_byte(visit->id, visit->heard++), "a wrong byte");
        if (n == 0 || (n < 0 && !goes_on(visit, &tries)))
            return;
    }
}

static int serve(bell_conn *conn, void *arg)
{
    require(arg == visits, "the argument is another");
    if (visit_count == VISITS_MAX)
        return 0;
    struct visit *visit = &visits[visit_count];
    uint8_t style = styles[1 + visit_count++ % (HEAD - 1)];
    *visit = (struct visit){.conn = conn, .id = fake_id(bell_fd(conn)), .style = style};
    inside++;
    if (style & WRITES)
        (void)bell_go(NULL, write_on, visit);
    if (style & SLEEPS)
        (void)bell_go(NULL, sleep_on, visit);
    if (style & HAS_DEADLINE)
        (void)bell_deadline(conn, bell_in(30 * BELL_MS));
    if ((style & STOPS) && visit_count % 4 == 0)
        stop();
    read_on(visit);
    if (style & RESTS_AFTERWARDS)
        (void)sleep_on(visit);
    if (style & CLOSES)
        (void)bell_close(conn);
    inside--;
    return style & FAILS ? -1 : 0;
}

static void check_event(const struct bell_event *event, void *arg)
{
    require(arg == styles && event->text && *event->text, "an event without a word");
    for (const char *c = event->text; *c; c++)
        require(*c >= ' ' && *c <= '~', "an event that cannot be printed");
}

// ---- What happens -------------------------------------------------------------------------------

static void step(void)
{
    if (rc < 1 || !fake_is_readable(bell_server_fd(server)))
        return;
    if (stops && seen_at == INT64_MAX)
        seen_at = kernel->now();
    rc = bell_server_step(server);
}

static void happen(uint8_t what, uint8_t how)
{
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, ECONNABORTED, EINTR, EPROTO};
    int fd = fake_socket(what >> 4);
    switch (what & 15) {
    case 0:
    case 1:
    case 2:
        for (int i = 0; i <= how % 3; i++)
            fake_call();
        break;
    case 3:
    case 4:
        fake_arrive(fd, how);
        break;
    case 5:
        fake_end(fd);
        break;
    case 6:
        fake_reset(fd);
        break;
    case 7:
        fake_make_room(fd, how);
        break;
    case 8:
    case 9:
        fake_pass_time(how * BELL_MS / 4);
        break;
    case 10:
        if (how >= 64) // most runs have a life before it
            break;
        stop();
        break;
    case 11:
        if (stops && how < 128)
            stop();
        break;
    case 12:
        something_failed = true;
        fake_fail_allocation(how % 32);
        break;
    case 13:
        something_failed = true;
        fake_fail_accept(errors[how % (sizeof errors / sizeof *errors)]);
        break;
    case 14:
        fake_order(how, 1 + how % 3);
        break;
    default:
        break; // a turn, and nothing else
    }
}

// ---- The beginning and the end --------------------------------------------------------------------

static void begin(uint8_t how)
{
    grace = (how & 1 ? 40 : 400) * BELL_MS;
    struct bell_server_options options = {
        .size = sizeof options,
        .model = how & 2 ? "iterative" : "coroutines",
        .backend = "epoll",
        .callers_max = how & 4 ? 3 : 20,
        .callers_per_address_max = how & 8 ? 2 : 20,
        .idle_timeout = how & 16 ? 50 * BELL_MS : 0,
        .total_timeout = how & 32 ? 100 * BELL_MS : 0,
        .grace = grace,
        .linger_time = 500 * BELL_MS,
        .linger_bytes = 500,
        .log = how & 64 ? check_event : NULL,
        .log_arg = styles,
    };
    server = bell_server_open(serve, visits, &options);
    require(server && bell_server_listen(server, how & 128 ? "tcp4:127.0.0.1:7464" : "@x") == 0,
            "listen");
    require(bell_server_fd(server) >= 0, "a foreign loop");
}

static void check_counts(void)
{
    struct bell_counts counts;
    bell_server_counts(server, &counts);
    require(counts.active == 0, "somebody is still there");
    require(counts.accepted == counts.polite + counts.aborted + counts.limited + counts.cut,
            "the counts do not add up");
    require(counts.accepted + counts.refused == fake_accepted() || something_failed,
            "a caller is not counted");
    require(rc == (counts.cut ? -1 : 0), "the outcome is not that of the counts");
}

// Everything that can be done now; a server that is never done would burn the processor.
static void step_until_it_rests(void)
{
    for (int i = 0; rc == 1 && fake_is_readable(bell_server_fd(server)); i++) {
        require(i < STEPS_MAX, "it does not come to rest");
        step();
    }
}

// Nobody comes or talks any more: the grace time alone must end it, or the second stop at once.
static void finish(void)
{
    int64_t now = kernel->now(), seen = seen_at < now ? seen_at : now, end = seen + grace;
    bool late = now - stopped_at > LAST_CALLERS_MS * BELL_MS || grace < LAST_CALLERS_MS * BELL_MS;
    int turns = TURNS + (stops < 2 && end > now ? (int)((end - now) / TURN_TIME) : 0);
    fake_fail_allocation(UINT32_MAX);
    fake_fail_accept(0);
    for (int i = 0; rc == 1; i++) {
        require(i < turns, "a stopping server does not end");
        step_until_it_rests();
        fake_pass_time(TURN_TIME);
    }
    require(inside == 0, "a handler or a task of it is left");
    something_failed |= fake_ran_out();
    require(fake_turned_away() == 0 || something_failed || late || stops > 1,
            "who waited is turned away");
    check_counts();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    // Where this thread keeps what failed, it keeps for ever: that is the real kernel's.
    require(bell_server_run(NULL) < 0, "nothing is served");
    fake_begin();
    visit_count = inside = stops = 0;
    rc = 1;
    seen_at = INT64_MAX;
    something_failed = false;
    memcpy(styles, data, HEAD);
    begin(data[0]);
    for (size_t i = HEAD; i + 1 < size && rc == 1; i += 2) {
        happen(data[i], data[i + 1]);
        // Without a turn several things happen at once.
        if (!(data[i] & 128))
            step();
    }
    fake_fail_allocation(UINT32_MAX);
    if (size % 4) { // else it is closed as it is
        if (!stops)
            stop();
        finish();
    }
    bell_server_close(server);
    require(inside == 0, "a handler or a task of it is left");
    require(fake_descriptors() == 0, "descriptors are left open");
    require(fake_allocations() == 0, "memory is left");
    kernel = &kernel_real;
    return 0;
}
