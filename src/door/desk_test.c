// Desks in a foreign loop, where each step is the test's, and so is the time.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conn/dgram.h"
#include "door/door_test.h"
#include "kernel/kernel.h"

// ---- The kernel: its time passes when a test says so --------------------------------------------------

static struct kernel_ops table;
static int64_t now;

static int64_t fake_now(void)
{
    return now;
}

static void pass(int64_t duration)
{
    now += duration;
}

// ---- A server, and somebody who calls -------------------------------------------------------------------

static bell_server *server;
static int calls; // of the handler
static char troubles[1000];

static void note_trouble(const struct bell_event *event, void *arg)
{
    (void)arg;
    if (event->kind == BELL_EVENT_TROUBLE)
        snprintf(troubles, sizeof troubles, "%s", event->text);
}

static void open_server(bell_dgram_handler *handler, const char *address)
{
    struct bell_server_options options = {.size = sizeof options,
                                          .model = "coroutines",
                                          .backend = "epoll",
                                          .grace = 5 * BELL_SECOND,
                                          .log = note_trouble};
    calls = 0;
    troubles[0] = '\0';
    now = kernel_real.now();
    server = bell_server_open_dgram(handler, NULL, &options);
    assert_non_null(server);
    assert_int_equal(bell_server_listen(server, address), 0);
}

static void begin(bell_dgram_handler *handler, const char *address)
{
    open_server(handler, address);
    assert_true(bell_server_fd(server) >= 0);
}

static void step(void)
{
    assert_int_equal(bell_server_step(server), 1);
}

static void step_to_the_end(int expected)
{
    int rc = 1;
    for (int i = 0; i < 100 && rc == 1; i++)
        rc = bell_server_step(server);
    assert_int_equal(rc, expected);
}

// ---- A handler that does not receive ----------------------------------------------------------------------

static int give_up(bell_dgram *dgram, void *arg)
{
    (void)dgram, (void)arg;
    calls++;
    return -1;
}

static void who_receives_nothing_is_called_anew_after_longer_and_longer_rests(void **state)
{
    (void)state;
    begin(give_up, "udp:127.0.0.1:0");
    step();
    assert_int_equal(calls, 1);
    assert_non_null(strstr(troubles, "failed and begins anew"));
    int64_t rest = 5 * BELL_MS;
    for (int expected = 2; expected < 14; expected++) {
        pass(rest - 1);
        step();
        step();
        assert_int_equal(calls, expected - 1);
        pass(1);
        step();
        step();
        assert_int_equal(calls, expected);
        rest = rest * 2 < BELL_SECOND ? rest * 2 : BELL_SECOND;
    }
    assert_int_equal(rest, BELL_SECOND);
    assert_int_equal(counts_of(server).aborted, 13);
    // A stop does not wait for the end of the rest, and calls nobody.
    bell_server_stop(server);
    step_to_the_end(0);
    assert_int_equal(calls, 13);
    assert_int_equal(counts_of(server).polite, 1);
    bell_server_close(server);
}

static int receive_one(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char byte;
    calls++;
    return bell_recvfrom(dgram, &byte, 1, NULL) < 0;
}

static void who_receives_something_is_called_anew_at_once(void **state)
{
    (void)state;
    begin(receive_one, "udp:127.0.0.1:0");
    int caller = call_server(server, 0, SOCK_DGRAM);
    for (int i = 0; i < 5; i++)
        assert_int_equal(send(caller, "x", 1, 0), 1);
    for (int i = 0; i < 10; i++)
        step();
    assert_int_equal(calls, 6);
    assert_int_equal(counts_of(server).datagrams_in, 5);
    assert_int_equal(counts_of(server).aborted, 0);
    bell_server_stop(server);
    step_to_the_end(0);
    bell_server_close(server);
    (void)close(caller);
}

// ---- Stopping ---------------------------------------------------------------------------------------------

static int receive_all(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char byte;
    calls++;
    while (bell_recvfrom(dgram, &byte, 1, NULL) >= 0)
        continue;
    assert_int_equal(errno, ESHUTDOWN);
    return 0;
}

static void who_was_stopped_before_he_began_takes_what_lies_there(void **state)
{
    (void)state;
    begin(receive_all, "udp:127.0.0.1:0");
    int caller = call_server(server, 0, SOCK_DGRAM);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send(caller, "x", 1, 0), 1);
    bell_server_stop(server);
    step_to_the_end(0);
    assert_int_equal(calls, 1);
    assert_int_equal(counts_of(server).datagrams_in, 3);
    bell_server_close(server);
    (void)close(caller);
}

static void who_was_cut_before_he_began_does_not_begin(void **state)
{
    (void)state;
    for (int steps = 0; steps < 2; steps++) {
        begin(receive_all, "udp:127.0.0.1:0");
        bell_server_stop(server);
        bell_server_stop(server);
        step_to_the_end(0);
        assert_in_range(calls, 0, 1);
        assert_int_equal(counts_of(server).polite + counts_of(server).cut, 1);
        bell_server_close(server);
    }
}

// What lies in a socket that others have, too, is theirs.
static void what_lies_in_an_inherited_socket_stays_there(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int mine = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(mine, (struct sockaddr *)&address, sizeof address), 0);
    char text[20], byte;
    snprintf(text, sizeof text, "fd:%d", dup(mine));
    begin(receive_all, text);
    step();
    assert_int_equal(calls, 1);
    bell_server_stop(server);
    int caller = call_server(server, 0, SOCK_DGRAM);
    assert_int_equal(send(caller, "x", 1, 0), 1);
    step_to_the_end(0);
    assert_int_equal(counts_of(server).datagrams_in, 0);
    assert_int_equal(recv(mine, &byte, 1, 0), 1);
    bell_server_close(server);
    (void)close(caller);
    (void)close(mine);
}

static bool may_end;

// Every call fails, and others get their turn between them.
static int go_on(bell_dgram *dgram, void *arg)
{
    (void)arg;
    struct bell_datagram about = {.peer_size = sizeof(struct sockaddr_in)};
    memcpy(&about.peer, &dgram->bound, about.peer_size);
    calls++;
    (void)bell_sleep(BELL_NEVER);
    while (!may_end)
        (void)bell_sendto(dgram, "x", 1, &about);
    return 0;
}

static void who_was_cut_is_cut_once(void **state)
{
    (void)state;
    may_end = false;
    begin(go_on, "udp:127.0.0.1:0");
    step();
    assert_int_equal(calls, 1);
    bell_server_stop(server);
    bell_server_stop(server);
    step();
    step();
    pass(6 * BELL_SECOND); // and the grace time is over
    step();
    step();
    may_end = true;
    step_to_the_end(-1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(counts_of(server).cut, 1);
    assert_int_equal(counts_of(server).datagrams_out, 0);
    bell_server_close(server);
}

// ---- What cannot be had -----------------------------------------------------------------------------------

static void *no_memory(size_t size, bool shared)
{
    return shared ? kernel_real.map(size, shared) : NULL;
}

// Must be the first: later there are stacks.
static void without_memory_for_a_stack_nobody_is_served(void **state)
{
    (void)state;
    open_server(receive_all, "udp:127.0.0.1:0");
    table.map = no_memory;
    assert_int_equal(bell_server_fd(server), -1);
    assert_int_equal(errno, ENOMEM);
    table.map = kernel_real.map;
    assert_true(bell_server_fd(server) >= 0); // it may be tried again
    step();
    assert_int_equal(calls, 1);
    bell_server_stop(server);
    step_to_the_end(0);
    bell_server_close(server);
}

static int lame = -1;

static int fail_of_lame(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    return fd == lame ? -ENOBUFS : kernel_real.getsockname(fd, ret_address, size);
}

static void of_two_sockets_one_is_served_though_the_other_cannot_be(void **state)
{
    (void)state;
    open_server(receive_one, "udp:127.0.0.1:0");
    assert_int_equal(bell_server_listen(server, "udp:127.0.0.1:0"), 0);
    lame = server->listeners->next->fd;
    assert_true(bell_server_fd(server) >= 0);
    char expected[200];
    snprintf(expected, sizeof expected,
             "%s: nobody receives there: ", bell_server_address(server, 1));
    assert_int_equal(strncmp(troubles, expected, strlen(expected)), 0);
    int caller = call_server(server, 0, SOCK_DGRAM);
    assert_int_equal(send(caller, "x", 1, 0), 1);
    for (int i = 0; i < 4; i++)
        step();
    assert_int_equal(counts_of(server).datagrams_in, 1);
    bell_server_stop(server);
    step_to_the_end(0);
    bell_server_close(server);
    (void)close(caller);

    open_server(receive_one, "udp:127.0.0.1:0");
    lame = server->listeners->fd; // the only one
    assert_int_equal(bell_server_fd(server), -1);
    assert_int_equal(errno, ENOBUFS);
    bell_server_close(server);
    lame = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_for_a_stack_nobody_is_served),
        cmocka_unit_test(who_receives_nothing_is_called_anew_after_longer_and_longer_rests),
        cmocka_unit_test(who_receives_something_is_called_anew_at_once),
        cmocka_unit_test(who_was_stopped_before_he_began_takes_what_lies_there),
        cmocka_unit_test(who_was_cut_before_he_began_does_not_begin),
        cmocka_unit_test(what_lies_in_an_inherited_socket_stays_there),
        cmocka_unit_test(who_was_cut_is_cut_once),
        cmocka_unit_test(of_two_sockets_one_is_served_though_the_other_cannot_be),
    };
    table = kernel_real;
    table.now = table.now_coarse = fake_now;
    table.getsockname = fail_of_lame;
    kernel = &table;
    return cmocka_run_group_tests_name("desks", tests, NULL, NULL);
}
