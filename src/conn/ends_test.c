// How a connection ends: by the server's limits, and by closing.

#include "conn/conn_test.h"
#include "wait/closing.h"

// ---- The server's limits ----------------------------------------------------------------------

static void make_limited(void)
{
    open_pair();
    left->has_limits = true;
}

static void check_limited(void)
{
    char byte;
    const void *data;
    ASSERT_FAILS(bell_read(left, &byte, 1), ECONNABORTED);
    assert_true(left->limited);
    bell_deadline(left, BELL_NEVER);
    send_raw(right, "x", 1);
    ASSERT_FAILS(bell_read(left, &byte, 1), ECONNABORTED); // whatever comes
    ASSERT_FAILS(bell_write(left, &byte, 1), ECONNABORTED);
    ASSERT_FAILS(bell_peek(left, 1, &data), ECONNABORTED);
    abort_pair();
}

static void an_idle_connection_is_ended(void)
{
    make_limited();
    left->idle_timeout = BELL_MS;
    check_limited();
    make_limited();
    left->idle_timeout = BELL_MS;
    bell_deadline(left, bell_in(5 * BELL_SECOND)); // later than the limit
    check_limited();
}

static void a_long_connection_is_ended(void)
{
    make_limited();
    left->ends_at = bell_in(BELL_MS);
    check_limited();
}

static void a_slow_connection_is_ended(void)
{
    make_limited();
    left->rate_min = 1000;
    left->rate_from = bell_in(-BELL_SECOND);
    left->bytes_in = 500;
    left->bytes_out = 499;
    check_limited();
    make_limited();
    left->rate_min = 1000;
    left->rate_from = bell_in(-BELL_SECOND);
    left->bytes_in = 5500;
    left->bytes_out = 500; // enough for five seconds more
    bell_deadline(left, bell_in(BELL_MS));
    char byte;
    ASSERT_FAILS(bell_read(left, &byte, 1), ETIMEDOUT);
    assert_false(left->limited);
    abort_pair();
}

static void our_own_deadline_is_not_a_limit(void)
{
    make_limited();
    left->idle_timeout = 5 * BELL_SECOND;
    left->ends_at = bell_in(5 * BELL_SECOND);
    bell_deadline(left, bell_in(BELL_MS));
    char byte;
    ASSERT_FAILS(bell_read(left, &byte, 1), ETIMEDOUT);
    send_raw(right, "x", 1);
    bell_deadline(left, BELL_NEVER);
    assert_int_equal(bell_read(left, &byte, 1), 1);
    abort_pair();
}

static void write_much(void *arg)
{
    enum { MUCH = 3000000 };
    char *sent = make_bytes(MUCH);
    *(ssize_t *)arg = bell_write(left, sent, MUCH);
    free(sent);
}

// Else a long write would be too slow for rate_min until it ends.
static void what_a_write_moves_counts_while_it_moves(void)
{
    make_limited();
    ssize_t result = 0;
    start(write_much, &result);
    task_yield(task_here(NULL));
    task_yield(task_here(NULL));
    assert_true(left->writing);
    assert_true(left->bytes_out > 0);
    bell_abort(right);
    right = NULL;
    await_others();
    assert_int_equal(result, -1);
    abort_pair();
}

static void idle_time_is_time_in_which_somebody_waits(void)
{
    make_limited();
    char byte;
    left->idle_timeout = 5 * BELL_SECOND;
    do_not_wait(left);
    ASSERT_FAILS(bell_read(left, &byte, 1), ETIMEDOUT);
    // A handler that computed for a minute:
    left->last_moved -= BELL_MINUTE;
    left->rested_at -= BELL_MINUTE;
    bell_deadline(left, bell_in(BELL_MS));
    ASSERT_FAILS(bell_read(left, &byte, 1), ETIMEDOUT);
    // The other end was silent for a minute, in many short waits:
    left->last_moved -= BELL_MINUTE;
    bell_deadline(left, bell_in(BELL_MS));
    check_limited();
}

static void what_moves_one_way_keeps_the_other(void)
{
    make_limited();
    left->idle_timeout = BELL_MS;
    int result = -1;
    start(read_a_line, &result);
    task_yield(task_here(NULL));
    int64_t late = bell_in(2 * BELL_MS);
    left->last_moved += BELL_MINUTE; // so that this is not late itself
    assert_int_equal(bell_write(left, "x", 1), 1);
    assert_int_equal(left->last_moved, this_loop()->now);
    left->last_moved += BELL_MINUTE; // as if that had gone on
    while (bell_now() < late)
        task_yield(task_here(NULL));
    assert_int_equal(result, -1);
    send_raw(right, "\n", 1);
    await_others();
    assert_int_equal(result, 1);
    assert_int_equal(left->waiting, 0);
    abort_pair();
}

// ---- Closing ----------------------------------------------------------------------------------

static void closing_nothing_is_allowed(void)
{
    assert_int_equal(bell_close(NULL), 0);
    bell_abort(NULL);
    conn_free(NULL);
}

struct closer {
    bell_conn *conn;
    int result;
};

static void close_one(void *arg)
{
    struct closer *closer = arg;
    closer->result = bell_close(closer->conn) < 0 ? -errno : 0;
}

// To close with unread bytes would reset the connection, and take away what was written.
static void what_was_written_arrives_though_bytes_are_unread(void (*open_two)(void))
{
    enum { MANY = 1000000 };
    open_two();
    char *sent = make_bytes(MANY), line[10];
    struct reading reading = {.conn = right};
    send_raw(right, "line\nunread", 11);
    assert_int_equal(bell_readline(left, line, sizeof line), 5);
    send_raw(right, "and more", 8);
    start(read_all, &reading);
    assert_int_equal(bell_write(left, sent, MANY), MANY);
    struct closer closer = {.conn = left, .result = 1};
    start(close_one, &closer);
    while (reading.count < MANY)
        task_yield(task_here(NULL));
    send_raw(right, "still more", 10);
    while (right->reading)
        task_yield(task_here(NULL));
    assert_int_equal(reading.result, 0); // the end, and not ECONNRESET
    assert_int_equal(reading.count, MANY);
    assert_int_equal(closer.result, 1); // waits for our end
    assert_int_equal(bell_close(right), 0);
    await_others();
    assert_int_equal(closer.result, 0);
    free(sent);
}

static void closing_lingers(void)
{
    what_was_written_arrives_though_bytes_are_unread(open_pair);
    what_was_written_arrives_though_bytes_are_unread(open_tcp_pair);
}

static void closing_does_not_wait_when_the_other_end_was_read(void)
{
    open_tcp_pair();
    char byte;
    assert_int_equal(bell_shutdown(right, SHUT_WR), 0);
    assert_int_equal(bell_read(left, &byte, 1), 0);
    assert_int_equal(bell_close(left), 0);
    left = NULL;
    assert_int_equal(bell_read(right, &byte, 1), 0);
    assert_int_equal(bell_close(right), 0); // shut down before, and the other end is gone
    right = NULL;
}

static void closing_waits_no_longer_than_it_may(void)
{
    open_pair();
    left->linger_time = BELL_MS;
    ASSERT_FAILS(bell_close(left), ETIMEDOUT);
    assert_string_equal(bell_error(), "close unix:: timed out");
    bell_abort(right);
    open_pair();
    left->linger_time = BELL_NEVER;
    left->linger_bytes = 100;
    char bytes[200] = "";
    send_raw(right, bytes, 200);
    ASSERT_FAILS(bell_close(left), ETIMEDOUT);
    bell_abort(right);
}

static void closing_in_a_cancelled_task_does_not_wait(void)
{
    open_pair();
    struct task *self = task_here(NULL);
    self->cancelled = -ECANCELED;
    assert_int_equal(bell_close(left), 0);
    self->cancelled = 0;
    assert_int_equal(this_loop()->closing_count, 1);
    char byte;
    assert_int_equal(bell_read(right, &byte, 1), 0);
    assert_int_equal(bell_close(right), 0);
    left = right = NULL;
}

static void closing_in_a_loop_that_was_cut_does_not_linger(void)
{
    open_pair();
    struct task *self = task_here(NULL);
    closing_end_all(this_loop());
    self->cancelled = -ECANCELED;
    assert_int_equal(bell_close(left), 0);
    self->cancelled = 0;
    assert_int_equal(this_loop()->closing_count, 0);
    this_loop()->closes_at_once = false;
    char byte;
    assert_int_equal(bell_read(right, &byte, 1), 0);
    assert_int_equal(bell_close(right), 0);
    left = right = NULL;
}

static void what_has_come_already_does_not_prolong_a_cut(void)
{
    open_tcp_pair();
    send_raw(right, "unread", 6);
    struct task *self = task_here(NULL);
    self->cancelled = -ECANCELED;
    assert_int_equal(bell_close(left), 0);
    self->cancelled = 0;
    assert_int_equal(this_loop()->closing_count, 1);
    closing_end_all(this_loop());
    assert_int_equal(this_loop()->closing_count, 0);
    this_loop()->closes_at_once = false;
    bell_abort(right);
    left = right = NULL;
}

static void after_our_reads_were_ended_closing_lingers_too(void)
{
    open_tcp_pair();
    assert_int_equal(bell_shutdown(left, SHUT_RD), 0);
    send_raw(right, "unread", 6);
    struct closer closer = {.conn = left, .result = 1};
    start(close_one, &closer);
    for (int turns = 0; turns < 10; turns++)
        task_yield(task_here(NULL));
    assert_int_equal(closer.result, 1);
    assert_int_equal(bell_close(right), 0);
    await_others();
    assert_int_equal(closer.result, 0);
    left = right = NULL;
}

static void closing_ends_the_calls_of_other_tasks(void)
{
    for (int abort = 0; abort <= 1; abort++) {
        open_pair();
        int result = 1;
        start(read_a_line, &result);
        send_raw(right, "part", 4);
        task_yield(task_here(NULL));
        task_yield(task_here(NULL));
        bell_shutdown(right, SHUT_WR);
        if (abort)
            bell_abort(left);
        else
            assert_int_equal(bell_close(left), 0);
        assert_int_equal(this_loop()->closing_count, 0);
        assert_int_equal(result, -ECANCELED);
        left = NULL;
        abort_pair();
    }
}

static void the_handlers_connection_lingers_by_itself(void)
{
    open_tcp_pair();
    make_handlers(left);
    char bytes[8];
    const void *data;
    send_raw(right, "unread", 6);
    assert_int_equal(bell_peek(left, 6, &data), 6);
    assert_int_equal(bell_write(left, "bye", 3), 3);
    assert_int_equal(bell_close(left), 0);
    assert_int_equal(this_loop()->closing_count, 1);
    assert_null(left->storage);
    ASSERT_FAILS(bell_close(left), EBADF);
    ASSERT_FAILS(bell_read(left, bytes, 8), EBADF);
    ASSERT_FAILS(bell_readn(left, bytes, 8), EBADF);
    ASSERT_FAILS(bell_readline(left, bytes, 8), EBADF);
    ASSERT_FAILS(bell_peek(left, 1, &data), EBADF);
    ASSERT_FAILS(bell_skip(left, 0), EBADF);
    ASSERT_FAILS(bell_write(left, bytes, 8), EBADF);
    ASSERT_FAILS(bell_sendfile(left, 0, 0, 8), EBADF);
    ASSERT_FAILS(bell_shutdown(left, SHUT_WR), EBADF);
    ASSERT_FAILS(bell_fd(left), EBADF);
    assert_non_null(strstr(bell_error(), "the connection is closed"));
    bell_abort(left);
    bell_cancel(left);
    conn_finish(left, false); // it is ended already
    assert_int_equal(bell_readn(right, bytes, 8), 3);
    assert_int_equal(bell_close(right), 0);
    conn_free(left);
    left = right = NULL;
}

static void the_end_of_a_conversation_is_polite_or_a_reset(void)
{
    char bytes[8];
    for (int polite = 0; polite <= 1; polite++) {
        open_tcp_pair();
        make_handlers(left);
        send_raw(right, "unread", 6);
        assert_int_equal(bell_write(left, "reply", 5), 5);
        assert_int_equal(bell_readn(right, bytes, 5), 5);
        conn_finish(left, polite);
        if (polite)
            assert_int_equal(bell_read(right, bytes, 8), 0);
        else
            ASSERT_FAILS(bell_read(right, bytes, 8), ECONNRESET);
        conn_free(left);
        left = NULL;
        bell_abort(right);
    }
}

static void what_was_forgotten_is_not_touched(void)
{
    open_pair();
    make_handlers(left);
    int fd = left->endpoint.fd;
    conn_forget(left);
    conn_finish(left, true);
    conn_free(left);
    left = NULL;
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(close(fd), 0);
    abort_pair();
}

static void points_in_time_do_not_overflow(void)
{
    int64_t before = bell_now();
    assert_true(bell_in(BELL_SECOND) >= before + BELL_SECOND);
    assert_true(bell_in(BELL_NEVER) == BELL_NEVER);
    assert_true(bell_in(BELL_NEVER - 1) == BELL_NEVER);
    assert_true(bell_in(-BELL_SECOND) < bell_now());
    assert_true(bell_in(INT64_MIN) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(an_idle_connection_is_ended),
        ON_EACH(a_long_connection_is_ended),
        ON_EACH(a_slow_connection_is_ended),
        ON_EACH(our_own_deadline_is_not_a_limit),
        ON_EACH(what_a_write_moves_counts_while_it_moves),
        ON_EACH(idle_time_is_time_in_which_somebody_waits),
        ON_EACH(what_moves_one_way_keeps_the_other),
        ON_EACH(closing_nothing_is_allowed),
        ON_EACH(closing_lingers),
        ON_EACH(closing_does_not_wait_when_the_other_end_was_read),
        ON_EACH(closing_waits_no_longer_than_it_may),
        ON_EACH(closing_in_a_cancelled_task_does_not_wait),
        ON_EACH(closing_in_a_loop_that_was_cut_does_not_linger),
        ON_EACH(what_has_come_already_does_not_prolong_a_cut),
        ON_EACH(after_our_reads_were_ended_closing_lingers_too),
        ON_EACH(closing_ends_the_calls_of_other_tasks),
        ON_EACH(the_handlers_connection_lingers_by_itself),
        ON_EACH(the_end_of_a_conversation_is_polite_or_a_reset),
        ON_EACH(what_was_forgotten_is_not_touched),
        ON_EACH(points_in_time_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
