// Copying between two connections: client - a ~ relay ~ b - origin.

#include "conn/conn_test.h"

#include <stdio.h>

enum { MUCH = 10 * 1024 * 1024 };

static bell_conn *client, *a, *b, *origin;

static void open_line(void (*open)(void))
{
    open();
    client = left;
    a = right;
    open();
    b = left;
    origin = right;
}

static void abort_line(void)
{
    bell_abort(client);
    bell_abort(a);
    bell_abort(b);
    bell_abort(origin);
    left = right = client = a = b = origin = NULL;
}

struct relaying {
    int result;
    uint64_t bytes[2];
    struct task *task;
    char sentence[FAILURE_SIZE];
    size_t done;
};

static void relay(void *arg)
{
    struct relaying *relaying = arg;
    relaying->task = this_loop()->current;
    relaying->result = bell_relay(a, b, relaying->bytes) < 0 ? -errno : 0;
    if (relaying->result < 0)
        (void)snprintf(relaying->sentence, sizeof relaying->sentence, "%s", bell_error());
    relaying->done = bell_done();
}

static void write_much(void *arg)
{
    char *bytes = make_bytes(MUCH);
    assert_int_equal(bell_write(arg, bytes, MUCH), MUCH);
    assert_int_equal(bell_shutdown(arg, SHUT_WR), 0);
    free(bytes);
}

// ---- To the end -------------------------------------------------------------------------------

static void much_goes_both_ways_at_once_over(void (*open)(void))
{
    open_line(open);
    struct reading at_client = {.conn = client}, at_origin = {.conn = origin};
    start(read_all, &at_client);
    start(read_all, &at_origin);
    start(write_much, client);
    start(write_much, origin);
    uint64_t bytes[2];
    assert_int_equal(bell_relay(a, b, bytes), 0);
    await_others();
    assert_int_equal(bytes[0], MUCH);
    assert_int_equal(bytes[1], MUCH);
    assert_int_equal(at_client.count, MUCH);
    assert_int_equal(at_origin.count, MUCH);
    assert_false(at_client.wrong || at_origin.wrong);
    assert_int_equal(at_client.result | at_origin.result, 0);
    assert_null(a->storage);
    assert_null(b->storage);
    assert_int_equal(bell_close(a) | bell_close(b) | bell_close(client) | bell_close(origin), 0);
}

static void much_goes_both_ways_at_once(void)
{
    much_goes_both_ways_at_once_over(open_pair);
    much_goes_both_ways_at_once_over(open_tcp_pair);
}

static void each_end_is_passed_on_and_the_other_way_goes_on(void)
{
    open_line(open_pair);
    struct relaying relaying = {.result = 1};
    start(relay, &relaying);
    char line[20];
    assert_int_equal(bell_printf(client, "question\n"), 9);
    assert_int_equal(bell_shutdown(client, SHUT_WR), 0);
    assert_int_equal(bell_readline(origin, line, sizeof line), 9);
    assert_string_equal(line, "question\n");
    assert_int_equal(bell_readline(origin, line, sizeof line), 0);
    assert_int_equal(relaying.result, 1);
    assert_int_equal(bell_printf(origin, "answer\n"), 7);
    assert_int_equal(bell_readline(client, line, sizeof line), 7);
    assert_int_equal(bell_shutdown(origin, SHUT_WR), 0);
    assert_int_equal(bell_readline(client, line, sizeof line), 0);
    await_others();
    assert_int_equal(relaying.result, 0);
    assert_int_equal(relaying.bytes[0], 9);
    assert_int_equal(relaying.bytes[1], 7);
    abort_line();
}

static void what_lies_unread_goes_first(void)
{
    open_line(open_pair);
    send_raw(client, "header\nbody", 11);
    send_raw(origin, "banner\nmore", 11);
    char line[20];
    assert_int_equal(bell_readline(a, line, sizeof line), 7);
    assert_int_equal(bell_readline(b, line, sizeof line), 7);
    assert_int_equal(bell_shutdown(client, SHUT_WR) | bell_shutdown(origin, SHUT_WR), 0);
    assert_int_equal(bell_relay(a, b, NULL), 0);
    assert_int_equal(bell_readn(origin, line, sizeof line), 4);
    assert_memory_equal(line, "body", 4);
    assert_int_equal(bell_readn(client, line, sizeof line), 4);
    assert_memory_equal(line, "more", 4);
    abort_line();
}

static void a_connection_that_stopped_writing_is_relayed_one_way(void)
{
    open_line(open_tcp_pair);
    assert_int_equal(bell_shutdown(a, SHUT_WR) | bell_shutdown(origin, SHUT_WR), 0);
    send_raw(client, "one way", 7);
    assert_int_equal(bell_shutdown(client, SHUT_WR), 0);
    assert_int_equal(bell_relay(a, b, NULL), 0);
    char bytes[20];
    assert_int_equal(bell_readn(origin, bytes, sizeof bytes), 7);
    abort_line();
}

// ---- To a bad end -----------------------------------------------------------------------------

static void a_failure_ends_both_ways(void)
{
    open_line(open_tcp_pair);
    struct relaying relaying = {.result = 1};
    start(relay, &relaying);
    char bytes[20];
    assert_int_equal(bell_write(client, "some", 4), 4);
    assert_int_equal(bell_readn(origin, bytes, 4), 4);
    bell_abort(origin);
    origin = NULL;
    await_others();
    assert_int_equal(relaying.result, -ECONNRESET);
    assert_int_equal(relaying.bytes[0], 4);
    assert_int_equal(relaying.done, 4);
    assert_memory_equal(relaying.sentence, "relay tcp:127.0.0.1:", 20);
    assert_false(a->reading || a->writing || b->reading || b->writing);
    abort_line();
}

static void a_failure_of_a_writer_ends_both_ways(void)
{
    open_line(open_pair);
    struct relaying relaying = {.result = 1};
    start(relay, &relaying);
    assert_int_equal(bell_shutdown(origin, SHUT_RD), 0);
    assert_int_equal(bell_write(client, "some", 4), 4);
    await_others();
    assert_int_equal(relaying.result, -EPIPE);
    abort_line();
}

static void cancelling_ends_it(bool one_way_is_over, void (*cancel)(struct relaying *relaying))
{
    open_line(open_pair);
    struct relaying relaying = {.result = 1};
    start(relay, &relaying);
    if (one_way_is_over) {
        char byte;
        assert_int_equal(bell_shutdown(client, SHUT_WR), 0);
        assert_int_equal(bell_read(origin, &byte, 1), 0); // so its end was passed on
    }
    task_yield(task_here(NULL));
    task_yield(task_here(NULL));
    cancel(&relaying);
    await_others();
    assert_int_equal(relaying.result, -ECANCELED);
    abort_line();
}

static void cancel_task(struct relaying *relaying)
{
    task_cancel(relaying->task, -ECANCELED);
}

static void cancel_a(struct relaying *relaying)
{
    (void)relaying;
    bell_cancel(a);
}

static void cancel_b(struct relaying *relaying)
{
    (void)relaying;
    bell_cancel(b);
}

static void cancelling_the_task_or_a_connection_ends_it(void)
{
    for (int over = 0; over <= 1; over++) {
        cancelling_ends_it(over, cancel_task);
        cancelling_ends_it(over, cancel_a);
        cancelling_ends_it(over, cancel_b);
    }
}

static void a_cancelled_task_does_not_begin_it(void)
{
    open_line(open_pair);
    struct task *self = task_here(NULL);
    self->cancelled = -ECANCELED;
    ASSERT_FAILS(bell_relay(a, b, NULL), ECANCELED);
    self->cancelled = 0;
    abort_line();
}

static void set_deadline(bell_conn *conn)
{
    bell_deadline(conn, bell_in(BELL_MS));
}

static void set_limit(bell_conn *conn)
{
    conn->has_limits = true;
    conn->idle_timeout = BELL_MS;
}

// Also when that connection has nothing more to read, and the other one is waited for.
static void time_ends_it(bell_conn **conn, bell_conn **silent, void (*set)(bell_conn *), int error)
{
    for (int over = 0; over <= 1; over++) {
        open_line(open_pair);
        if (over)
            assert_int_equal(bell_shutdown(*silent, SHUT_WR), 0);
        set(*conn);
        ASSERT_FAILS(bell_relay(a, b, NULL), error);
        assert_int_equal((*conn)->limited, error == ECONNABORTED);
        abort_line();
    }
}

static void deadlines_and_limits_end_it(void)
{
    time_ends_it(&a, &client, set_deadline, ETIMEDOUT);
    time_ends_it(&b, &origin, set_deadline, ETIMEDOUT);
    time_ends_it(&a, &client, set_limit, ECONNABORTED);
    time_ends_it(&b, &origin, set_limit, ECONNABORTED);
}

static void closing_one_of_them_ends_it(void)
{
    for (int close = 0; close <= 1; close++) {
        open_line(open_pair);
        struct relaying relaying = {.result = 1};
        start(relay, &relaying);
        task_yield(task_here(NULL));
        task_yield(task_here(NULL)); // both ways wait now
        if (close) {
            assert_int_equal(bell_shutdown(origin, SHUT_WR), 0);
            assert_int_equal(bell_close(b), 0);
        } else {
            bell_abort(b);
        }
        assert_int_equal(relaying.result, -ECANCELED); // before b was freed
        b = NULL;
        abort_line();
    }
}

static void what_cannot_be_relayed_is_refused(void)
{
    open_line(open_pair);
    ASSERT_FAILS(bell_relay(a, a, NULL), EINVAL);
    a->reading = true;
    ASSERT_FAILS(bell_relay(a, b, NULL), EBUSY);
    ASSERT_FAILS(bell_relay(b, a, NULL), EBUSY);
    a->reading = false;
    a->writing = true;
    ASSERT_FAILS(bell_relay(a, b, NULL), EBUSY);
    ASSERT_FAILS(bell_relay(b, a, NULL), EBUSY);
    a->writing = false;
    a->write_broken = true;
    ASSERT_FAILS(bell_relay(a, b, NULL), EPIPE);
    ASSERT_FAILS(bell_relay(b, a, NULL), EPIPE);
    a->write_broken = false;
    a->kind = CONN_SEQPACKET;
    ASSERT_FAILS(bell_relay(a, b, NULL), EPROTOTYPE);
    ASSERT_FAILS(bell_relay(b, a, NULL), EPROTOTYPE);
    a->kind = CONN_STREAM;
    bell_cancel(b);
    ASSERT_FAILS(bell_relay(a, b, NULL), ECANCELED);
    b->server = (struct bell_server *)&b; // a handler's: it stays
    assert_int_equal(bell_close(b), 0);
    ASSERT_FAILS(bell_relay(a, b, NULL), EBADF);
    conn_free(b);
    b = NULL;
    abort_line();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(much_goes_both_ways_at_once),
        ON_EACH(each_end_is_passed_on_and_the_other_way_goes_on),
        ON_EACH(what_lies_unread_goes_first),
        ON_EACH(a_connection_that_stopped_writing_is_relayed_one_way),
        ON_EACH(a_failure_ends_both_ways),
        ON_EACH(a_failure_of_a_writer_ends_both_ways),
        ON_EACH(cancelling_the_task_or_a_connection_ends_it),
        ON_EACH(a_cancelled_task_does_not_begin_it),
        ON_EACH(deadlines_and_limits_end_it),
        ON_EACH(closing_one_of_them_ends_it),
        ON_EACH(what_cannot_be_relayed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
