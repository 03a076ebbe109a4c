// Making connections, their addresses and descriptors, shutting down, resets and cancelling.

#include "conn/conn_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/un.h>

// ---- Making -----------------------------------------------------------------------------------

static void a_connection_is_small(void)
{
    assert_true(sizeof(bell_conn) <= 400);
    open_pair();
    char byte;
    do_not_wait(left);
    ASSERT_FAILS(bell_read(left, &byte, 1), ETIMEDOUT);
    assert_null(left->storage);
    abort_pair();
}

static void a_connected_stream_socket_is_attached(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    bell_conn *conn = bell_attach(fds[0]);
    assert_non_null(conn);
    assert_int_equal(bell_fd(conn), fds[0]);
    assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(bell_write(conn, "x", 1), 1);
    assert_null(bell_conn_server(conn));
    assert_int_equal(close(fds[1]), 0);
    bell_abort(conn);
    assert_int_equal(fcntl(fds[0], F_GETFL), -1); // the descriptor was the connection's
}

static void refuse_to_attach(int fd, int error)
{
    int flags = fcntl(fd, F_GETFL), more = fcntl(fd, F_GETFD);
    errno = 0;
    assert_null(bell_attach(fd));
    assert_int_equal(errno, error);
    assert_int_equal(fcntl(fd, F_GETFL), flags); // it stays the caller's, as it was
    assert_int_equal(fcntl(fd, F_GETFD), more);
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
}

static struct kernel_ops odd_kernel;
static int allocations_left;

static void *allocate_a_few(size_t size)
{
    return allocations_left-- > 0 ? kernel_real.allocate(size) : NULL;
}

static int set_no_flags(int fd)
{
    (void)fd;
    return -EPERM;
}

static void what_cannot_be_attached_stays_the_callers(void)
{
    int fds[2];
    refuse_to_attach(-1, EBADF);
    refuse_to_attach(open("/dev/null", O_RDONLY), ENOTSOCK);
    refuse_to_attach(socket(AF_INET, SOCK_STREAM, 0), ENOTCONN);
    refuse_to_attach(socket(AF_INET, SOCK_DGRAM, 0), ENOTCONN);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    odd_kernel = kernel_real;
    odd_kernel.allocate = allocate_a_few;
    kernel = &odd_kernel;
    allocations_left = 0;
    refuse_to_attach(fds[0], ENOMEM);
    kernel = &kernel_real;
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    odd_kernel = kernel_real;
    odd_kernel.set_flags = set_no_flags;
    kernel = &odd_kernel;
    refuse_to_attach(fds[0], EPERM);
    kernel = &kernel_real;
    assert_int_equal(close(fds[1]), 0);
}

static void sockets_that_keep_borders_are_attached(void)
{
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        int fds[2];
        char text[8];
        assert_int_equal(socketpair(AF_UNIX, types[i], 0, fds), 0);
        bell_conn *one = bell_attach(fds[0]), *other = bell_attach(fds[1]);
        assert_int_equal(bell_send(one, "abc", 3), 3);
        assert_int_equal(bell_send(one, "", 0), 0);
        assert_int_equal(bell_recv(other, text, sizeof text), 3);
        assert_int_equal(bell_recv(other, text, sizeof text), 0);
        assert_int_equal(bell_read(other, text, sizeof text), -1);
        assert_int_equal(errno, EPROTOTYPE);
        assert_string_equal(strrchr(bell_error(), ':'), ": Protocol wrong type for socket");
        assert_int_equal(bell_relay(one, other, NULL), -1);
        assert_int_equal(errno, EPROTOTYPE);
        bell_abort(one);
        bell_abort(other);
    }
}

static void a_pair_is_made_or_leaves_nothing_behind(void)
{
    bell_conn *pair[2] = {NULL, NULL};
    odd_kernel = kernel_real;
    odd_kernel.allocate = allocate_a_few;
    kernel = &odd_kernel;
    for (int i = 0; i < 2; i++) {
        allocations_left = i;
        ASSERT_FAILS(bell_pair(pair), ENOMEM);
        assert_null(pair[0]);
        assert_null(pair[1]);
    }
    kernel = &kernel_real;
    open_pair();
    char bytes[4];
    assert_int_equal(bell_write(left, "ping", 4), 4);
    assert_int_equal(bell_readn(right, bytes, 4), 4);
    assert_int_equal(bell_write(right, "pong", 4), 4);
    assert_int_equal(bell_readn(left, bytes, 4), 4);
    assert_int_equal(bell_shutdown(left, SHUT_WR) | bell_shutdown(right, SHUT_WR), 0);
    assert_int_equal(bell_close(left) | bell_close(right), 0);
}

// ---- Addresses and the descriptor -------------------------------------------------------------

static void addresses_are_told_in_words(void)
{
    open_tcp_pair();
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    char wanted[64];
    assert_int_equal(getsockname(left->endpoint.fd, (struct sockaddr *)&address, &size), 0);
    snprintf(wanted, sizeof wanted, "tcp:127.0.0.1:%d", ntohs(address.sin_port));
    assert_string_equal(bell_local(left), wanted);
    assert_string_equal(bell_peer(right), wanted);
    assert_ptr_equal(bell_peer(right), bell_peer(right));
    assert_string_equal(bell_peer(left), bell_local(right));
    // What accept said counts, and is known when the kernel does not know any more.
    address.sin_port = htons(7);
    conn_set_peer(left, (struct sockaddr *)&address, size);
    kernel->release(left->peer_text);
    left->peer_text = NULL;
    assert_string_equal(bell_peer(left), "tcp:127.0.0.1:7");
    abort_pair();
}

static void a_unix_socket_is_asked_when_it_matters(void)
{
    open_pair();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, "\0doorbell-test-of-an-address-with-a-long-name", 45);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 45);
    assert_int_equal(bind(right->endpoint.fd, (struct sockaddr *)&address, size), 0);
    conn_set_peer(left, (struct sockaddr *)&address, size); // too long to be kept
    assert_int_equal(left->peer_size, 0);
    static const char wanted[] = "unix:@doorbell-test-of-an-address-with-a-long-name";
    assert_string_equal(bell_peer(left), wanted);
    assert_string_equal(bell_local(right), wanted);
    assert_string_equal(bell_local(left), "unix:");
    abort_pair();
}

static void a_failure_names_the_other_end_when_it_is_gone(void)
{
    open_tcp_pair();
    char byte, wanted[200];
    snprintf(wanted, sizeof wanted, "read %s: connection reset by peer", bell_local(right));
    bell_abort(right);
    right = NULL;
    ASSERT_FAILS(bell_read(left, &byte, 1), ECONNRESET);
    assert_string_equal(bell_error(), wanted);
    abort_pair();
}

static void a_descriptor_is_detached_with_what_is_unread(void)
{
    open_pair();
    char bytes[20];
    size_t unread = 99;
    send_raw(right, "a line\nunread", 13);
    assert_int_equal(bell_readline(left, bytes, sizeof bytes), 7);
    ASSERT_FAILS(bell_detach(left, bytes, 5, &unread), ENOBUFS);
    assert_int_equal(unread, 6);
    unread = 99;
    ASSERT_FAILS(bell_detach(left, NULL, 0, &unread), ENOBUFS);
    assert_int_equal(unread, 6);
    assert_int_equal(bell_peek(left, 1, &(const void *){NULL}), 6); // nothing was changed
    int fd = left->endpoint.fd;
    assert_int_equal(bell_detach(left, bytes, 6, &unread), fd);
    left = NULL;
    assert_int_equal(unread, 6);
    assert_memory_equal(bytes, "unread", 6);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    left = bell_attach(fd); // and may be used anew
    send_raw(right, "more", 4);
    assert_int_equal(bell_read(left, bytes, sizeof bytes), 4);
    abort_pair();
}

static void the_handlers_connection_stays_when_it_is_detached(void)
{
    open_pair();
    make_handlers(left);
    int fd = bell_detach(left, NULL, 0, NULL);
    assert_true(fd >= 0);
    ASSERT_FAILS(bell_detach(left, NULL, 0, NULL), EBADF);
    ASSERT_FAILS(bell_fd(left), EBADF);
    conn_finish(left, false);
    conn_free(left);
    left = NULL;
    assert_int_equal(write(fd, "x", 1), 1); // the server did not close it
    assert_int_equal(close(fd), 0);
    abort_pair();
}

// As a completion backend receives them.
static void bytes_that_came_early_are_not_lost(void)
{
    open_pair();
    char bytes[20];
    size_t unread;
    send_raw(right, "one\ntwo", 7);
    assert_int_equal(bell_readline(left, bytes, sizeof bytes), 4);
    for (int i = 0; i < 2; i++) {
        struct buffer *early = buffer_take(this_loop());
        early->size = 6;
        memcpy(early->data, i ? "second" : " first", 6);
        endpoint_add_early(&left->endpoint, early);
    }
    assert_int_equal(bell_fd(left), left->endpoint.fd);
    ASSERT_FAILS(bell_detach(left, NULL, 0, &unread), ENOBUFS);
    assert_int_equal(unread, 15);
    int fd = bell_detach(left, bytes, sizeof bytes, &unread);
    assert_memory_equal(bytes, "two firstsecond", 15);
    assert_int_equal(close(fd), 0);
    left = NULL;
    abort_pair();
}

// ---- Shutting down ----------------------------------------------------------------------------

static void a_direction_is_ended(void (*open_two)(void))
{
    char bytes[8];
    open_two();
    assert_int_equal(bell_shutdown(left, SHUT_WR), 0);
    assert_int_equal(bell_read(right, bytes, 8), 0);
    assert_int_equal(bell_write(right, "back", 4), 4);
    assert_int_equal(bell_readn(left, bytes, 4), 4);
    ASSERT_FAILS(bell_write(left, "x", 1), EPIPE);
    abort_pair();

    open_two();
    send_raw(right, "abcd", 4);
    assert_int_equal(bell_peek(left, 1, &(const void *){NULL}), 4);
    assert_int_equal(bell_shutdown(left, SHUT_RD), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bell_read(left, bytes, 8), 0);
        assert_int_equal(bell_readline(left, bytes, 8), 0);
    }
    assert_int_equal(bell_write(left, "out", 3), 3);
    assert_int_equal(bell_readn(right, bytes, 3), 3);
    abort_pair();

    open_two();
    assert_int_equal(bell_shutdown(left, SHUT_RDWR), 0);
    assert_int_equal(bell_read(left, bytes, 8), 0);
    ASSERT_FAILS(bell_write(left, "x", 1), EPIPE);
    assert_int_equal(bell_read(right, bytes, 8), 0);
    ASSERT_FAILS(bell_shutdown(left, 7), EINVAL);
    abort_pair();
}

static void each_direction_is_ended_by_itself(void)
{
    a_direction_is_ended(open_pair);
    a_direction_is_ended(open_tcp_pair);
}

static void ending_our_reads_wakes_the_reader(void)
{
    void (*const opens[])(void) = {open_pair, open_tcp_pair};
    for (int i = 0; i < 2; i++) {
        opens[i]();
        int result = -1;
        start(read_a_line, &result);
        task_yield(task_here(NULL));
        assert_int_equal(bell_shutdown(left, SHUT_RD), 0);
        await_others();
        assert_int_equal(result, 0);
        assert_false(left->peer_ended);
        abort_pair();
    }
}

static void what_was_reset_cannot_be_shut_down(void)
{
    open_tcp_pair();
    bell_abort(right);
    right = NULL;
    char byte;
    ASSERT_FAILS(bell_read(left, &byte, 1), ECONNRESET);
    ASSERT_FAILS(bell_shutdown(left, SHUT_WR), ENOTCONN);
    ASSERT_FAILS(bell_shutdown(left, SHUT_RD), ENOTCONN);
    abort_pair();
}

// ---- Resets -----------------------------------------------------------------------------------

static void a_reset_never_looks_like_the_end(void)
{
    open_tcp_pair();
    char bytes[8];
    const void *data;
    send_raw(right, "last", 4);
    assert_int_equal(bell_peek(left, 4, &data), 4);
    assert_int_equal(bell_skip(left, 4), 0);
    bell_abort(right);
    right = NULL;
    for (int i = 0; i < 3; i++) {
        ASSERT_FAILS(bell_read(left, bytes, 8), ECONNRESET);
        ASSERT_FAILS(bell_readn(left, bytes, 8), ECONNRESET);
        ASSERT_FAILS(bell_readline(left, bytes, 8), ECONNRESET);
        ASSERT_FAILS(bell_peek(left, 1, &data), ECONNRESET);
        ASSERT_FAILS(bell_write(left, "x", 1), ECONNRESET);
    }
    ASSERT_FAILS(bell_close(left), ECONNRESET);
    left = NULL;
}

static void what_came_before_a_reset_can_be_read(void)
{
    open_tcp_pair();
    char bytes[8];
    send_raw(right, "last", 4);
    bell_abort(right);
    right = NULL;
    while (bell_write(left, "x", 1) == 1)
        ; // the writer is told first
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(bell_readn(left, bytes, 4), 4);
    assert_memory_equal(bytes, "last", 4);
    ASSERT_FAILS(bell_read(left, bytes, 1), ECONNRESET);
    abort_pair();
}

// ---- Cancelling -------------------------------------------------------------------------------

static void cancelling_ends_every_call(void)
{
    open_pair();
    int result = 1;
    char bytes[8];
    const void *data;
    send_raw(right, "part", 4);
    start(read_a_line, &result);
    task_yield(task_here(NULL));
    task_yield(task_here(NULL));
    bell_cancel(left);
    bell_cancel(left);
    await_others();
    assert_int_equal(result, -ECANCELED);
    ASSERT_FAILS(bell_read(left, bytes, 8), ECANCELED); // though a part of a line is there
    ASSERT_FAILS(bell_readn(left, bytes, 8), ECANCELED);
    ASSERT_FAILS(bell_readline(left, bytes, 8), ECANCELED);
    ASSERT_FAILS(bell_peek(left, 1, &data), ECANCELED);
    ASSERT_FAILS(bell_skip(left, 1), ECANCELED);
    ASSERT_FAILS(bell_write(left, "x", 1), ECANCELED);
    assert_string_equal(bell_error(), "write unix:: cancelled");
    assert_int_equal(bell_close(left), 0); // lingers beside the loop
    left = NULL;
    abort_pair();
}

static void *cancel_left(void *arg)
{
    bell_cancel(left);
    if (arg)
        atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void another_thread_may_cancel(void)
{
    for (int i = 0; i < 100; i++) {
        open_pair();
        pthread_t thread;
        char byte;
        assert_int_equal(pthread_create(&thread, NULL, cancel_left, NULL), 0);
        ASSERT_FAILS(bell_read(left, &byte, 1), ECANCELED);
        assert_int_equal(pthread_join(thread, NULL), 0);
        ASSERT_FAILS(bell_read(left, &byte, 1), ECANCELED);
        abort_pair();
    }
}

static void another_thread_may_cancel_before_the_first_call(void)
{
    open_pair();
    pthread_t thread;
    char byte;
    assert_int_equal(pthread_create(&thread, NULL, cancel_left, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ASSERT_FAILS(bell_read(left, &byte, 1), ECANCELED);
    abort_pair();
}

// What is posted lies in the connection.
static void a_connection_is_not_freed_while_it_is_being_cancelled(void)
{
    for (int i = 0; i < 100; i++) {
        open_pair();
        if (i % 2)
            make_handlers(left);
        conn_set_home(left, this_loop());
        atomic_bool done = false;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_left, &done), 0);
        while (!atomic_load(&done))
            ; // without a turn of the loop
        conn_finish(left, i % 4 < 2);
        assert_int_equal(atomic_load(&left->cancel), CONN_CANCELLED);
        conn_free(left);
        left = NULL;
        assert_int_equal(pthread_join(thread, NULL), 0);
        abort_pair();
    }
}

static void *use_on_another_thread(void *arg)
{
    (void)arg;
    char bytes[4];
    assert_int_equal(bell_readn(left, bytes, 2), 2);
    assert_ptr_equal(atomic_load(&left->home), loop_here());
    return NULL;
}

static void a_connection_that_rests_may_change_its_thread(void)
{
    open_pair(); // was made here, and not waited for
    send_raw(right, "ab", 2);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, use_on_another_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    char bytes[4];
    send_raw(right, "cd", 2);
    assert_int_equal(bell_readn(left, bytes, 2), 2);
    assert_ptr_equal(atomic_load(&left->home), this_loop());
    abort_pair();
}

static void a_connection_in_use_elsewhere_is_refused(void)
{
    open_pair();
    int result = -1;
    char byte;
    start(read_a_line, &result);
    task_yield(task_here(NULL));
    struct loop *home = this_loop(), other; // as of another thread
    assert_int_equal(loop_open(&other, &backend_epoll), 0);
    ASSERT_FAILS(bell_write(left, &byte, 1), EXDEV);
    assert_ptr_equal(atomic_load(&left->home), home);
    loop_close(&other);
    send_raw(right, "\n", 1);
    await_others();
    assert_int_equal(result, 1);

    // Nor when nobody waits on it, but it is registered there.
    do_not_wait(left);
    ASSERT_FAILS(bell_read(left, &byte, 1), ETIMEDOUT);
    if (left->endpoint.interest) {
        assert_int_equal(loop_open(&other, &backend_epoll), 0);
        ASSERT_FAILS(bell_read(left, &byte, 1), EXDEV);
        ASSERT_FAILS(bell_close(left), EXDEV);
        ASSERT_FAILS(bell_detach(left, NULL, 0, NULL), EXDEV);
        assert_true(bell_fd(left) >= 0);
        assert_ptr_equal(atomic_load(&left->home), home);
        loop_close(&other);
    }
    abort_pair();
}

static void who_waits_elsewhere_is_cancelled_by_an_abort(void)
{
    open_pair();
    int result = -1;
    start(read_a_line, &result);
    while (!left->endpoint.calls[WAIT_IN])
        task_yield(task_here(NULL));
    struct loop other; // as of another thread
    assert_int_equal(loop_open(&other, &backend_epoll), 0);
    bell_abort(left);
    loop_close(&other);
    await_others();
    assert_int_equal(result, -ECANCELED);
    abort_pair(); // it is still there, for him who has it
}

// ---- A thread that can have no loop -------------------------------------------------------------

static int no_descriptor(void)
{
    return -EMFILE;
}

static void *use_without_a_loop(void *arg)
{
    (void)arg;
    char bytes[10];
    ASSERT_FAILS(bell_readn(left, bytes, sizeof bytes), EMFILE);
    ASSERT_FAILS(bell_write(left, "x", 1), EMFILE);
    ASSERT_FAILS(bell_relay(left, right, NULL), EMFILE);
    assert_non_null(strstr(bell_error(), "Too many open files"));
    bell_abort(left); // with what is unread
    return NULL;
}

static void a_thread_that_can_have_no_loop_is_told(void)
{
    open_pair();
    send_raw(right, "unread", 6);
    const void *data;
    do_not_wait(left);
    assert_int_equal(bell_peek(left, 1, &data), 6);
    odd_kernel = kernel_real;
    odd_kernel.eventfd = no_descriptor;
    kernel = &odd_kernel;
    if (left->endpoint.interest) // else it would be another thread's
        wait_release(&left->endpoint);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, use_without_a_loop, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    kernel = &kernel_real;
    bell_abort(right);
}

// ---- Without memory -----------------------------------------------------------------------------

static void what_came_early_stays_when_it_cannot_be_handed_over(void)
{
    open_pair();
    struct buffer *early = buffer_take(this_loop());
    early->size = 3;
    memcpy(early->data, "abc", 3);
    endpoint_add_early(&left->endpoint, early);
    odd_kernel = kernel_real;
    odd_kernel.allocate = allocate_a_few;
    allocations_left = 0;
    ASSERT_FAILS(bell_fd(NULL), EBADF); // failures have their memory now
    kernel = &odd_kernel;
    char unread[3];
    size_t count = 0;
    ASSERT_FAILS(bell_detach(left, unread, sizeof unread, &count), ENOMEM);
    kernel = &kernel_real;
    int fd = bell_detach(left, unread, sizeof unread, &count);
    assert_true(fd >= 0);
    assert_int_equal(count, 3);
    assert_memory_equal(unread, "abc", 3);
    assert_int_equal(close(fd), 0);
    bell_abort(right);
}

static int say_rdm(int fd, int level, int name, void *ret_value, socklen_t *size)
{
    int rc = kernel_real.getsockopt(fd, level, name, ret_value, size);
    if (level == SOL_SOCKET && name == SO_TYPE)
        *(int *)ret_value = SOCK_RDM;
    return rc;
}

static void sockets_of_other_types_are_not_attached(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    odd_kernel = kernel_real;
    odd_kernel.getsockopt = say_rdm;
    kernel = &odd_kernel;
    refuse_to_attach(fds[0], EPROTOTYPE);
    kernel = &kernel_real;
    assert_int_equal(close(fds[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(a_connection_is_small),
        ON_EACH(a_connected_stream_socket_is_attached),
        ON_EACH(what_cannot_be_attached_stays_the_callers),
        ON_EACH(sockets_that_keep_borders_are_attached),
        ON_EACH(a_pair_is_made_or_leaves_nothing_behind),
        ON_EACH(addresses_are_told_in_words),
        ON_EACH(a_unix_socket_is_asked_when_it_matters),
        ON_EACH(a_failure_names_the_other_end_when_it_is_gone),
        ON_EACH(a_descriptor_is_detached_with_what_is_unread),
        ON_EACH(the_handlers_connection_stays_when_it_is_detached),
        ON_EACH(bytes_that_came_early_are_not_lost),
        ON_EACH(each_direction_is_ended_by_itself),
        ON_EACH(ending_our_reads_wakes_the_reader),
        ON_EACH(what_was_reset_cannot_be_shut_down),
        ON_EACH(a_reset_never_looks_like_the_end),
        ON_EACH(what_came_before_a_reset_can_be_read),
        ON_EACH(cancelling_ends_every_call),
        ON_EACH(another_thread_may_cancel),
        ON_EACH(another_thread_may_cancel_before_the_first_call),
        ON_EACH(a_connection_is_not_freed_while_it_is_being_cancelled),
        ON_EACH(a_connection_that_rests_may_change_its_thread),
        ON_EACH(a_connection_in_use_elsewhere_is_refused),
        ON_EACH(who_waits_elsewhere_is_cancelled_by_an_abort),
        ON_EACH(a_thread_that_can_have_no_loop_is_told),
        ON_EACH(what_came_early_stays_when_it_cannot_be_handed_over),
        ON_EACH(sockets_of_other_types_are_not_attached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
