// What a server may be asked for, and in which order: everything else is refused in a sentence.

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "door/door.h"
#include "kernel/kernel.h"

static int be_polite(bell_conn *conn, void *arg)
{
    (void)conn, (void)arg;
    return 0;
}

#define ASSERT_REFUSED(call, error, why)                                            \
    do {                                                                            \
        errno = 0;                                                                  \
        assert_true((call));                                                        \
        assert_string_equal(strerrorname_np(errno), strerrorname_np(error));        \
        if (!strstr(bell_error(), why))                                             \
            fail_msg("it is told as \"%s\", and not as \"%s\"", bell_error(), why); \
    } while (0)

static bell_server *open_with(struct bell_server_options options)
{
    options.size = options.size ? options.size : sizeof options;
    return bell_server_open(be_polite, NULL, &options);
}

static bell_server *listening_with(struct bell_server_options options)
{
    bell_server *server = open_with(options);
    assert_non_null(server);
    assert_int_equal(bell_server_listen(server, "127.0.0.1:0"), 0);
    return server;
}

// ---- Options ----------------------------------------------------------------------------------

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct bell_server_options options;
        const char *why;
    } wrong[] = {
        {{.size = 1}, "options.size is 1"},
        {{.workers = BELL_PER_CPU - 1}, "workers: "},
        {{.workers = 1025}, "workers: 1025"},
        {{.callers_max = -1}, "below 0"},
        {{.callers_per_address_max = -1}, "below 0"},
        {{.backlog = -1}, "below 0"},
        {{.idle_timeout = -1}, "a time in the server's options is below 0"},
        {{.total_timeout = -1}, "a time in the server's options is below 0"},
        {{.grace = -1}, "a time in the server's options is below 0"},
        {{.linger_time = -1}, "a time in the server's options is below 0"},
        {{.flags = BELL_IPV4_ONLY | BELL_IPV6_ONLY}, "exclude each other"},
        {{.sockopts = "nosuch=1"}, "nosuch"},
        {{.model = "nosuch"}, "no model is called \"nosuch\" (asked for); there are iterative, "},
        {{.backend = "nosuch"}, "no backend is called \"nosuch\" (asked for); there are auto, "},
        {{.model = "fork", .flags = BELL_SHARES_MEMORY},
         "fork has processes, and the handlers share"},
        {{.model = "coroutines", .flags = BELL_SHARES_MEMORY | BELL_WORKERS_ARE_PROCESSES},
         "coroutines has processes"},
        {{.model = "threads", .flags = BELL_NOT_THREAD_SAFE},
         "threads has threads, and the handlers"},
        {{.model = "coroutines", .workers = 2, .flags = BELL_NOT_THREAD_SAFE},
         "coroutines has several worker threads"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ASSERT_REFUSED(open_with(wrong[i].options) == NULL, EINVAL, wrong[i].why);
    ASSERT_REFUSED(bell_server_open(NULL, NULL, NULL) == NULL, EINVAL, "needs a handler");
    ASSERT_REFUSED(bell_serve("127.0.0.1:0", NULL, NULL, NULL) < 0, EINVAL, "needs a handler");
    ASSERT_REFUSED(bell_serve("nosuch:", be_polite, NULL, NULL) < 0, EINVAL, "nosuch:");
}

static void assert_choice(struct bell_server_options options, const char *expected)
{
    bell_server *server = open_with(options);
    assert_non_null(server);
    assert_string_equal(bell_server_choice(server), expected);
    bell_server_close(server);
}

static int three_processors(void)
{
    return 3;
}

static void what_is_left_open_is_chosen(void **state)
{
    (void)state;
    struct kernel_ops table = kernel_real;
    table.processors = three_processors;
    kernel = &table;
    assert_int_equal(setenv("BELL_MODEL", "", 1) | setenv("BELL_BACKEND", "", 1), 0);
    assert_choice((struct bell_server_options){0},
                  "coroutines (default) on epoll (default), 1 worker");
    assert_choice((struct bell_server_options){.workers = BELL_PER_CPU},
                  "coroutines (default) on epoll (default), 3 workers");
    assert_choice((struct bell_server_options){.model = "pool"},
                  "pool (asked for) on epoll (default), 3 workers");
    assert_choice(
        (struct bell_server_options){.model = "iterative", .workers = 7, .backend = "block"},
        "iterative (asked for) on block (asked for), 1 worker");
    assert_choice((struct bell_server_options){.model = "prefork", .flags = BELL_NOT_THREAD_SAFE},
                  "prefork (asked for) on epoll (default), 3 workers");
    assert_int_equal(setenv("BELL_MODEL", "threads", 1) | setenv("BELL_BACKEND", "block", 1), 0);
    assert_choice((struct bell_server_options){.flags = BELL_SHARES_MEMORY, .linger_bytes = 1},
                  "threads (BELL_MODEL) on block (BELL_BACKEND), 1 worker");
    assert_int_equal(unsetenv("BELL_MODEL") | unsetenv("BELL_BACKEND"), 0);
    bell_server *server = bell_server_open(be_polite, NULL, NULL);
    assert_string_equal(bell_server_choice(server),
                        "coroutines (default) on epoll (default), 1 worker");
    bell_server_close(server);
    kernel = &kernel_real;
}

// ---- How many callers ---------------------------------------------------------------------------

static int64_t descriptors, processes;

static int64_t limit_descriptors(void)
{
    return descriptors;
}

static int64_t limit_processes(void)
{
    return processes;
}

static void assert_callers(const char *model, int wish, int expected, int expected_per_address)
{
    bell_server *server = open_with((struct bell_server_options){
        .model = model, .callers_max = wish, .workers = 4, .grace = BELL_NEVER});
    assert_non_null(server);
    assert_int_equal(server->callers_max, expected);
    assert_int_equal(server->options.callers_per_address_max, expected_per_address);
    bell_server_close(server);
}

static void callers_are_as_many_as_the_system_allows(void **state)
{
    (void)state;
    struct kernel_ops table = kernel_real;
    table.descriptor_limit = limit_descriptors;
    table.process_limit = limit_processes;
    kernel = &table;
    descriptors = 1024;
    processes = 10000;
    assert_callers("coroutines", 0, 928, 232);
    assert_callers("coroutines", 100, 100, 25);
    assert_callers("coroutines", 5000, 928, 232);
    assert_callers("threads", 0, 309, 77); // a loop for each
    assert_callers("pool", 0, 4, 1);       // a worker for each
    assert_callers("pool", 3, 3, 1);
    assert_callers("prefork", 0, 4, 1);
    assert_callers("iterative", 0, 1, 1);
    processes = 50;
    assert_callers("threads", 0, 50, 12);
    assert_callers("fork", 0, 50, 12);
    processes = 0; // there is always one
    assert_callers("fork", 0, 1, 1);
    descriptors = INT32_MAX;
    processes = INT64_MAX;
    assert_callers("coroutines", 0, INT32_MAX - 96, (INT32_MAX - 96) / 4);
    kernel = &kernel_real;
}

// ---- One thing after the other ------------------------------------------------------------------

static void a_server_that_is_none_is_refused(void **state)
{
    (void)state;
    ASSERT_REFUSED(bell_server_listen(NULL, "127.0.0.1:0") < 0, EINVAL, "NULL");
    ASSERT_REFUSED(bell_server_run(NULL) < 0, EINVAL, "NULL");
    ASSERT_REFUSED(bell_server_fd(NULL) < 0, EINVAL, "NULL");
    assert_int_equal(bell_server_step(NULL), -1);
    bell_server_close(NULL);
    bell_server *server = open_with((struct bell_server_options){0});
    ASSERT_REFUSED(bell_server_listen(server, NULL) < 0, EINVAL, "NULL");
    bell_server_close(server);
}

static void who_listens_nowhere_does_not_serve(void **state)
{
    (void)state;
    bell_server *server = open_with((struct bell_server_options){0});
    ASSERT_REFUSED(bell_server_run(server) < 0, ENOTCONN, "listens nowhere");
    ASSERT_REFUSED(bell_server_fd(server) < 0, ENOTCONN, "listens nowhere");
    ASSERT_REFUSED(bell_server_step(server) < 0, ENOTCONN, "listens nowhere");
    bell_server_close(server);
}

static void a_server_may_have_several_addresses(void **state)
{
    (void)state;
    bell_server *server = listening_with((struct bell_server_options){0});
    assert_int_equal(bell_server_listen(server, "127.0.0.1:0"), 0);
    assert_string_not_equal(bell_server_address(server, 0), bell_server_address(server, 1));
    assert_null(bell_server_address(server, 2));
    assert_null(bell_server_address(server, -1));
    bell_server_close(server);
}

static void a_server_runs_once(void **state)
{
    (void)state;
    bell_server *server = listening_with((struct bell_server_options){0});
    assert_true(bell_server_fd(server) >= 0);
    ASSERT_REFUSED(bell_server_run(server) < 0, EBUSY, "runs already");
    ASSERT_REFUSED(bell_server_listen(server, "127.0.0.1:0") < 0, EBUSY,
                   "runs already, or is over");
    bell_server_stop(server);
    int rc = 1;
    for (int i = 0; i < 100 && rc == 1; i++)
        rc = bell_server_step(server);
    assert_int_equal(rc, 0);
    ASSERT_REFUSED(bell_server_run(server) < 0, ENOTCONN, "listens nowhere");
    ASSERT_REFUSED(bell_server_listen(server, "127.0.0.1:0") < 0, EBUSY,
                   "runs already, or is over");
    bell_server_close(server);
}

static void who_has_workers_does_not_live_in_a_foreign_loop(void **state)
{
    (void)state;
    static const struct bell_server_options options[] = {
        {.model = "coroutines", .workers = 2},
        {.model = "coroutines", .flags = BELL_WORKERS_ARE_PROCESSES},
        {.model = "prefork", .workers = 1},
        {.model = "pool", .workers = 2},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        bell_server *server = listening_with(options[i]);
        ASSERT_REFUSED(bell_server_fd(server) < 0, ENOTSUP, "cannot live in a foreign loop");
        bell_server_close(server);
    }
    bell_server *server = listening_with((struct bell_server_options){.backend = "block"});
    ASSERT_REFUSED(bell_server_fd(server) < 0, ENOTSUP, "backend block in a foreign loop");
    bell_server_close(server);
}

// ---- Signals --------------------------------------------------------------------------------------

static void some_servers_may_be_stopped_by_signals(void **state)
{
    (void)state;
    enum { SOME = 16 };
    static const struct bell_server_options options = {.flags = BELL_STOP_ON_SIGNALS};
    bell_server *servers[SOME + 1];
    for (int i = 0; i <= SOME; i++)
        servers[i] = listening_with(options);
    for (int i = 0; i < SOME; i++)
        assert_true(bell_server_fd(servers[i]) >= 0);
    ASSERT_REFUSED(bell_server_fd(servers[SOME]) < 0, EBUSY, "more than 16 servers");
    ASSERT_REFUSED(bell_server_run(servers[SOME]) < 0, EBUSY, "more than 16 servers");
    bell_server_close(servers[0]);
    assert_true(bell_server_fd(servers[SOME]) >= 0); // there is a place again
    assert_int_equal(raise(SIGTERM), 0);
    for (int i = 1; i <= SOME; i++) {
        assert_true(ledger_is_stopped(servers[i]->ledger));
        bell_server_close(servers[i]);
    }
    struct sigaction now;
    assert_int_equal(sigaction(SIGTERM, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(what_is_left_open_is_chosen),
        cmocka_unit_test(callers_are_as_many_as_the_system_allows),
        cmocka_unit_test(a_server_that_is_none_is_refused),
        cmocka_unit_test(who_listens_nowhere_does_not_serve),
        cmocka_unit_test(a_server_may_have_several_addresses),
        cmocka_unit_test(a_server_runs_once),
        cmocka_unit_test(who_has_workers_does_not_live_in_a_foreign_loop),
        cmocka_unit_test(some_servers_may_be_stopped_by_signals),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
