// Shifts in a foreign loop, where each step is the test's, and so is the time.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "door/door_test.h"
#include "kernel/kernel.h"

// ---- The kernel ---------------------------------------------------------------------------------

static struct kernel_ops table;
static int64_t now;

static int64_t fake_now(void)
{
    return now;
}

static int accept_error, accept_time; // what the next accept says, and how long each takes
static int lame = -1;                 // of this listener only
static const char *from;              // where callers come from

static int accept_with_trouble(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    now += accept_time;
    if (accept_error && (lame < 0 || fd == lame))
        return accept_error;
    int accepted = kernel_real.accept(fd, ret_peer, size);
    if (accepted >= 0 && from) // this machine's own addresses have no limit
        ((struct sockaddr_in *)(void *)ret_peer)->sin_addr.s_addr = inet_addr(from);
    return accepted;
}

static int allocations_left = -1;

static void *allocate_some(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left -= allocations_left > 0;
    return kernel_real.allocate(size);
}

static int set_up(void **state)
{
    (void)state;
    // These only: a thread that has ended may still look up how to give back its memory.
    table.now = table.now_coarse = fake_now;
    table.accept = accept_with_trouble;
    table.allocate = allocate_some;
    table.getppid = kernel_real.getppid;
    now = kernel_real.now();
    accept_error = accept_time = 0;
    from = NULL;
    lame = allocations_left = -1;
    return 0;
}

// ---- A server, and who calls it -------------------------------------------------------------------

static bell_server *server;
static int calls; // of the handler
static char told[BELL_EVENT_STOPPING + 1][300];

static void note(const struct bell_event *event, void *arg)
{
    (void)arg;
    snprintf(told[event->kind], sizeof told[0], "%s", event->text);
}

static void begin(bell_handler *handler, struct bell_server_options options)
{
    options.size = sizeof options;
    options.backend = "epoll";
    options.log = note;
    calls = 0;
    memset(told, 0, sizeof told);
    server = bell_server_open(handler, NULL, &options);
    assert_non_null(server);
    assert_int_equal(bell_server_listen(server, "127.0.0.1:0"), 0);
}

static void step(void)
{
    assert_int_equal(bell_server_step(server), 1);
}

static void end(int expected)
{
    bell_server_stop(server);
    int rc = 1;
    int64_t until = kernel_real.now() + 20 * BELL_SECOND;
    while (rc == 1 && kernel_real.now() < until)
        rc = bell_server_step(server);
    assert_int_equal(rc, expected);
    bell_server_close(server);
}

// What the caller hears: 1 a byte, 0 the end, or the negative errno.
static int hear(int caller)
{
    char byte;
    struct pollfd ready = {.fd = caller, .events = POLLIN};
    int64_t until = kernel_real.now() + 20 * BELL_SECOND;
    while (poll(&ready, 1, 1) == 0 && kernel_real.now() < until)
        step();
    ssize_t n = recv(caller, &byte, 1, MSG_DONTWAIT);
    return n < 0 ? -errno : (int)n;
}

static void hang_up(int caller)
{
    (void)close(caller);
    uint64_t left = counts_of(server).active;
    int64_t until = kernel_real.now() + 20 * BELL_SECOND;
    while (counts_of(server).active == left && kernel_real.now() < until)
        step();
}

// Says "!" and waits for the end.
static int greet(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    calls++;
    if (bell_write(conn, "!", 1) < 0)
        return -1;
    return bell_read(conn, &byte, 1) < 0 ? -1 : 0;
}

// ---- Who is welcome -------------------------------------------------------------------------------

static void too_many_from_one_address_are_refused(void **state)
{
    (void)state;
    from = "192.0.2.1";
    begin(greet, (struct bell_server_options){.callers_per_address_max = 1});
    int first = call_server(server, 0, SOCK_STREAM), second = call_server(server, 0, SOCK_STREAM);
    assert_int_equal(hear(first), 1);
    assert_int_equal(hear(second), -ECONNRESET);
    assert_int_equal(counts_of(server).refused, 1);
    assert_int_equal(counts_of(server).accepted, 1);
    assert_int_equal(strncmp(told[BELL_EVENT_LIMIT], "tcp:192.0.2.1:", 14), 0);
    assert_non_null(strstr(told[BELL_EVENT_LIMIT], ": refused, there are 1 callers from this"));
    hang_up(first);
    int third = call_server(server, 0, SOCK_STREAM);
    assert_int_equal(hear(third), 1);
    (void)close(second);
    hang_up(third);
    end(0);
}

static void who_finds_no_memory_is_reset_and_not_counted(void **state)
{
    (void)state;
    from = "192.0.2.1";
    for (int enough = 0; enough < 2; enough++) { // for the visit, and not for the connection
        begin(greet, (struct bell_server_options){.callers_per_address_max = 1});
        step();
        int first = call_server(server, 0, SOCK_STREAM);
        allocations_left = enough;
        assert_int_equal(hear(first), -ECONNRESET);
        allocations_left = -1;
        assert_int_equal(counts_of(server).accepted, 0);
        assert_int_equal(counts_of(server).accept_errors, 1);
        assert_non_null(
            strstr(told[BELL_EVENT_TROUBLE], "accept: Cannot allocate memory; the next"));
        // After a rest the next one from there is served.
        int second = call_server(server, 0, SOCK_STREAM);
        step();
        assert_int_equal(calls, 0);
        now += 5 * BELL_MS;
        assert_int_equal(hear(second), 1);
        (void)close(first);
        hang_up(second);
        end(0);
    }
}

static void a_listener_that_is_none_any_more_is_told_and_left(void **state)
{
    (void)state;
    static const int errors[] = {-EBADF, -EINVAL, -ENOTSOCK, -EOPNOTSUPP};
    for (int i = 0; i < 4; i++) {
        begin(greet, (struct bell_server_options){0});
        assert_int_equal(bell_server_listen(server, "127.0.0.1:0"), 0);
        lame = server->listeners->fd;
        accept_error = errors[i];
        step();
        char expected[200];
        snprintf(expected, sizeof expected, "%s: accept: ", bell_server_address(server, 0));
        assert_int_equal(strncmp(told[BELL_EVENT_TROUBLE], expected, strlen(expected)), 0);
        assert_non_null(strstr(told[BELL_EVENT_TROUBLE], "; nobody can call there now"));
        int caller = call_server(server, 1, SOCK_STREAM);
        assert_int_equal(hear(caller), 1);
        hang_up(caller);
        end(0);
    }
}

static int fail_at_once(bell_conn *conn, void *arg)
{
    (void)arg;
    return bell_shutdown(conn, 7);
}

static void what_is_told_is_one_line(void **state)
{
    (void)state;
    begin(fail_at_once, (struct bell_server_options){.name = "a\nb\x1b[2J\xff"});
    step();
    int caller = call_server(server, 0, SOCK_STREAM);
    now += 200 * BELL_MS; // so long somebody kept the loop
    assert_int_equal(hear(caller), -ECONNRESET);
    assert_non_null(strstr(told[BELL_EVENT_STALLED], "handler a?b?[2J? kept its loop for 200 ms"));
    assert_non_null(strstr(told[BELL_EVENT_ENDED], " reset, 0 bytes in, 0 out: shut down tcp:"));
    (void)close(caller);
    end(0);
}

// ---- Stopping -------------------------------------------------------------------------------------

static void last_callers_are_taken_in_for_a_while_only(void **state)
{
    (void)state;
    begin(greet, (struct bell_server_options){.model = "coroutines"});
    step();
    int first = call_server(server, 0, SOCK_STREAM), second = call_server(server, 0, SOCK_STREAM);
    accept_time = 60 * (int)BELL_MS;
    bell_server_stop(server);
    step();
    step();
    step();
    accept_time = 0;
    uint64_t accepted = counts_of(server).accepted;
    assert_in_range(accepted, 1, 2);
    (void)close(first);
    (void)close(second);
    int64_t until = kernel_real.now() + 20 * BELL_SECOND;
    int rc = 1;
    while (rc == 1 && kernel_real.now() < until)
        rc = bell_server_step(server);
    assert_int_equal(rc, 0);
    bell_server_close(server);
}

static void who_is_cut_before_he_began_does_not_begin(void **state)
{
    (void)state;
    begin(greet, (struct bell_server_options){.model = "coroutines"});
    step();
    int caller = call_server(server, 0, SOCK_STREAM);
    bell_server_stop(server);
    bell_server_stop(server);
    int rc = 1;
    for (int i = 0; i < 100 && rc == 1; i++)
        rc = bell_server_step(server);
    assert_int_equal(rc, -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(calls, 0);
    assert_int_equal(counts_of(server).cut, 1);
    char byte;
    assert_int_equal(recv(caller, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    bell_server_close(server);
    (void)close(caller);
}

static bool may_end;

// Every call fails, and others get their turn between them.
static int go_on(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    calls++;
    (void)bell_read(conn, &byte, 1);
    while (!may_end)
        (void)bell_read(conn, &byte, 1);
    return 0;
}

static void who_was_cut_is_cut_once(void **state)
{
    (void)state;
    may_end = false;
    begin(go_on, (struct bell_server_options){.model = "coroutines", .grace = BELL_SECOND});
    int caller = call_server(server, 0, SOCK_STREAM);
    while (!calls)
        step();
    bell_server_stop(server);
    bell_server_stop(server);
    step();
    step();
    now += 2 * BELL_SECOND; // and the grace time is over
    step();
    step();
    may_end = true;
    int rc = 1;
    for (int i = 0; i < 100 && rc == 1; i++)
        rc = bell_server_step(server);
    assert_int_equal(rc, -1);
    assert_int_equal(counts_of(server).cut, 1);
    assert_int_equal(counts_of(server).polite, 0);
    bell_server_close(server);
    (void)close(caller);
}

// ---- Threads and processes --------------------------------------------------------------------------

static int stop_server(bell_conn *conn, void *arg)
{
    (void)arg;
    bell_server_stop(bell_conn_server(conn));
    return 0;
}

static void serve_one(const char *model, unsigned flags)
{
    begin(stop_server, (struct bell_server_options){.model = model, .flags = flags});
    int caller = call_server(server, 0, SOCK_STREAM);
    assert_int_equal(shutdown(caller, SHUT_WR), 0);
    assert_int_equal(bell_server_run(server), 0);
    bell_server_close(server);
    (void)close(caller);
}

static void who_wants_no_message_keeps_his_handler(void **state)
{
    (void)state;
    struct sigaction before, after;
    table.now = table.now_coarse = kernel_real.now; // threads have the real time
    assert_int_equal(sigaction(SIGSEGV, NULL, &before), 0);
    serve_one("coroutines", BELL_NO_OVERFLOW_MESSAGE);
    serve_one("threads", BELL_NO_OVERFLOW_MESSAGE);
    assert_int_equal(sigaction(SIGSEGV, NULL, &after), 0);
    assert_true(after.sa_handler == before.sa_handler);
    serve_one("threads", 0);
    assert_int_equal(sigaction(SIGSEGV, NULL, &after), 0);
    assert_true(after.sa_handler != before.sa_handler);
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
}

static int init_is_parent(void)
{
    return 1;
}

static int wait_for_ever(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    return bell_read(conn, &byte, 1) < 0 ? -1 : 0;
}

// It ended between fork and the child's first look: no event will tell.
static void a_process_without_a_parent_ends(void **state)
{
    (void)state;
    table.now = table.now_coarse = kernel_real.now;
    table.getppid = init_is_parent;
    begin(wait_for_ever, (struct bell_server_options){.model = "fork", .grace = BELL_MS});
    int caller = call_server(server, 0, SOCK_STREAM);
    assert_int_equal(hear(caller), -ECONNRESET);
    (void)close(caller);
    int64_t until = kernel_real.now() + 20 * BELL_SECOND;
    while (counts_of(server).active && kernel_real.now() < until)
        step();
    assert_int_equal(counts_of(server).cut, 1);
    bell_server_stop(server);
    int rc = 1;
    while (rc == 1 && kernel_real.now() < until)
        rc = bell_server_step(server);
    assert_int_equal(rc, -1);
    bell_server_close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        // First, while nobody has asked for the message.
        cmocka_unit_test_setup(who_wants_no_message_keeps_his_handler, set_up),
        cmocka_unit_test_setup(too_many_from_one_address_are_refused, set_up),
        cmocka_unit_test_setup(who_finds_no_memory_is_reset_and_not_counted, set_up),
        cmocka_unit_test_setup(a_listener_that_is_none_any_more_is_told_and_left, set_up),
        cmocka_unit_test_setup(what_is_told_is_one_line, set_up),
        cmocka_unit_test_setup(last_callers_are_taken_in_for_a_while_only, set_up),
        cmocka_unit_test_setup(who_is_cut_before_he_began_does_not_begin, set_up),
        cmocka_unit_test_setup(who_was_cut_is_cut_once, set_up),
        cmocka_unit_test_setup(a_process_without_a_parent_ends, set_up),
    };
    table = kernel_real;
    kernel = &table;
    return cmocka_run_group_tests_name("shifts", tests, NULL, NULL);
}
