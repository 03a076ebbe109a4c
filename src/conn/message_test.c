// Messages over connections: one at a time on each side, and how each end is told.

#include "conn/message.h"

#include "conn/conn_test.h"

static void open_messages(int type)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, type, 0, fds), 0);
    left = bell_attach(fds[0]);
    right = bell_attach(fds[1]);
    assert_non_null(left);
    assert_non_null(right);
    (void)bell_deadline(left, bell_in(20 * BELL_SECOND));
    (void)bell_deadline(right, bell_in(20 * BELL_SECOND));
}

static void expect(bell_conn *conn, const char *text)
{
    char heard[20] = "";
    assert_int_equal(bell_recv(conn, heard, sizeof heard), strlen(text));
    assert_string_equal(heard, text);
}

// ---- What a message is ------------------------------------------------------------------------

static void messages_keep_their_borders(void)
{
    static const int types[] = {SOCK_SEQPACKET, SOCK_DGRAM};
    for (int i = 0; i < 2; i++) {
        open_messages(types[i]);
        assert_int_equal(bell_send(left, "one", 3), 3);
        assert_int_equal(bell_send(left, "", 0), 0);
        assert_int_equal(bell_send(left, "three", 5), 5);
        expect(right, "one");
        expect(right, "");
        char heard[4];
        ASSERT_FAILS(bell_recv(right, heard, sizeof heard), EMSGSIZE);
        assert_int_equal(bell_done(), 4);
        assert_memory_equal(heard, "thre", 4);
        assert_int_equal(left->bytes_out, 8);
        assert_int_equal(right->bytes_in, 8);
        abort_pair();
    }
}

static void a_stream_has_no_messages(void)
{
    char byte;
    open_pair();
    ASSERT_FAILS(bell_send(left, "x", 1), EPROTOTYPE);
    ASSERT_FAILS(bell_recv(left, &byte, 1), EPROTOTYPE);
    ASSERT_FAILS(bell_call(left, "x", 1, &byte, 1, NULL), EPROTOTYPE);
    abort_pair();
}

static void after_the_end_nothing_begins(void)
{
    char byte;
    open_messages(SOCK_SEQPACKET);
    make_handlers(left);
    bell_abort(left);
    ASSERT_FAILS(bell_send(left, "x", 1), EBADF);
    ASSERT_FAILS(bell_recv(left, &byte, 1), EBADF);
    ASSERT_FAILS(bell_call(left, "x", 1, &byte, 1, NULL), EBADF);
    conn_free(left);
    bell_abort(right);
}

// ---- How it ends ------------------------------------------------------------------------------

static void the_end_of_all_is_no_empty_message(void)
{
    char byte;
    open_messages(SOCK_SEQPACKET);
    assert_int_equal(bell_send(left, "", 0), 0);
    assert_int_equal(bell_shutdown(left, SHUT_WR), 0);
    assert_int_equal(bell_recv(right, &byte, 1), 0);
    for (int i = 0; i < 2; i++)
        ASSERT_FAILS(bell_recv(right, &byte, 1), ESHUTDOWN);
    ASSERT_FAILS(bell_send(left, "x", 1), EPIPE);
    abort_pair();
}

static void who_reads_no_more_is_told_so(void)
{
    char byte;
    open_messages(SOCK_SEQPACKET);
    assert_int_equal(bell_shutdown(left, SHUT_RD), 0);
    ASSERT_FAILS(bell_recv(left, &byte, 1), ESHUTDOWN);
    ASSERT_FAILS(bell_send(right, "x", 1), EPIPE);
    assert_int_equal(bell_send(left, "still", 5), 5);
    expect(right, "still");
    abort_pair();
}

// The kernel says once that it was reset; whoever asks later must not take it for the end.
static void a_reset_stays_a_reset(void)
{
    char byte;
    open_messages(SOCK_SEQPACKET);
    assert_int_equal(bell_send(left, "unread", 6), 6);
    assert_int_equal(close(right->endpoint.fd), 0);
    for (int i = 0; i < 2; i++)
        ASSERT_FAILS(bell_recv(left, &byte, 1), ECONNRESET);
    ASSERT_FAILS(bell_send(left, "x", 1), ECONNRESET);
    conn_forget(right);
    abort_pair();
}

static void who_ended_his_side_is_told_of_that_after_a_reset(void)
{
    char byte;
    open_messages(SOCK_SEQPACKET);
    assert_int_equal(bell_send(left, "unread", 6), 6);
    assert_int_equal(bell_shutdown(left, SHUT_WR), 0);
    assert_int_equal(close(right->endpoint.fd), 0);
    ASSERT_FAILS(bell_recv(left, &byte, 1), ECONNRESET);
    ASSERT_FAILS(bell_send(left, "x", 1), EPIPE);
    conn_forget(right);
    abort_pair();
}

// ---- One task a side --------------------------------------------------------------------------

static void receive_one(void *arg)
{
    char byte;
    ssize_t n = bell_recv(left, &byte, 1);
    *(int *)arg = n < 0 ? -errno : (int)n;
}

static void send_many(void *arg)
{
    ssize_t n;
    do
        n = bell_send(left, "much", 4);
    while (n > 0);
    *(int *)arg = -errno;
}

static void a_second_receiver_and_a_second_sender_are_refused(void)
{
    char byte;
    int received = 0, sent = 0;
    open_messages(SOCK_SEQPACKET);
    start(receive_one, &received);
    start(send_many, &sent);
    while (!left->endpoint.calls[WAIT_IN] || !left->endpoint.calls[WAIT_OUT])
        task_yield(task_here(NULL));
    ASSERT_FAILS(bell_recv(left, &byte, 1), EBUSY);
    ASSERT_FAILS(bell_send(left, "x", 1), EBUSY);
    bell_cancel(left);
    await_others();
    assert_int_equal(received, -ECANCELED);
    assert_int_equal(sent, -ECANCELED);
    ASSERT_FAILS(bell_send(left, "x", 1), ECANCELED);
    abort_pair();
}

static void a_deadline_ends_a_receive(void)
{
    char byte;
    open_messages(SOCK_SEQPACKET);
    do_not_wait(left);
    ASSERT_FAILS(bell_recv(left, &byte, 1), ETIMEDOUT);
    (void)bell_deadline(left, BELL_NEVER);
    assert_int_equal(bell_send(right, "late", 4), 4);
    expect(left, "late");
    abort_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(messages_keep_their_borders),
        ON_EACH(a_stream_has_no_messages),
        ON_EACH(after_the_end_nothing_begins),
        ON_EACH(the_end_of_all_is_no_empty_message),
        ON_EACH(who_reads_no_more_is_told_so),
        ON_EACH(a_reset_stays_a_reset),
        ON_EACH(who_ended_his_side_is_told_of_that_after_a_reset),
        ON_EACH(a_second_receiver_and_a_second_sender_are_refused),
        ON_EACH(a_deadline_ends_a_receive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
