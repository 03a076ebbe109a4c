// Loops, calls and sentences under a kernel that has nothing to give, or says what it seldom says.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "wait/closing.h"
#include "wait/failure.h"
#include "wait/wait_test.h"

static struct kernel_ops table;

static int begin(void **state)
{
    table = kernel_real;
    kernel = &table;
    open_loop(((struct on *)*state)->backend);
    return 0;
}

static int end(void **state)
{
    (void)state;
    table = kernel_real;
    close_loop();
    return 0;
}

static void start(void (*run)(void *result), ssize_t *result)
{
    assert_int_equal(task_start(&loop, "test", run, result, NULL), 0);
}

// ---- Accepting ----------------------------------------------------------------------------------

static const int *answers; // of accept or connect: negative errnos, the last one 0
static int asked;

static int accept_with_trouble(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    asked++;
    return *answers ? *answers++ : kernel_real.accept(fd, ret_peer, size);
}

static int listen_somewhere(struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof *ret_address;
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET};
    ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = kernel->socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(kernel->bind(fd, (struct sockaddr *)ret_address, size), 0);
    assert_int_equal(kernel->listen(fd, 10), 0);
    assert_int_equal(kernel->getsockname(fd, (struct sockaddr *)ret_address, &size), 0);
    return fd;
}

static struct endpoint listener;

static void accept_one(void *result)
{
    struct wait_call call = {
        .kind = WAIT_ACCEPT, .endpoint = &listener, .deadline = kernel->now() + 20000000000};
    *(ssize_t *)result = wait_for(&call);
}

static void accept_after(const int *troubles, int expected_calls)
{
    struct sockaddr_in address;
    wait_open(&listener, listen_somewhere(&address));
    int caller = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&address, sizeof address), 0);
    answers = troubles;
    asked = 0;
    table.accept = accept_with_trouble;
    start(accept_one, &results[0]);
    run_all();
    assert_true(results[0] >= 0);
    assert_int_equal(asked, expected_calls);
    assert_int_equal(kernel->close((int)results[0]) | kernel->close(caller), 0);
    wait_close(&listener);
}

static void callers_who_left_are_passed_over(void **state)
{
    (void)state;
    static const int left_in_line[] = {-ECONNABORTED, -EPROTO,    -EINTR,  -ENETDOWN,
                                       -ENOPROTOOPT,  -EHOSTDOWN, -ENONET, -EHOSTUNREACH,
                                       -ENETUNREACH,  -EPERM,     0};
    accept_after(left_in_line, 11);
}

static void after_many_who_left_others_have_their_turn(void **state)
{
    (void)state;
    int crowd[41] = {0};
    for (int i = 0; i < 40; i++)
        crowd[i] = -ECONNABORTED;
    accept_after(crowd, 41);
}

// ---- Connecting ---------------------------------------------------------------------------------

static int connect_with_trouble(int fd, const struct sockaddr *address, socklen_t size)
{
    asked++;
    return *answers ? *answers++ : kernel_real.connect(fd, address, size);
}

static struct sockaddr_in whom;

static void connect_left(void *result)
{
    struct endpoint endpoint;
    wait_open(&endpoint, kernel->socket(AF_INET, SOCK_STREAM, 0));
    *(ssize_t *)result =
        wait_connect(&endpoint, (struct sockaddr *)&whom, sizeof whom, kernel->now() + 20000000000);
    wait_close(&endpoint);
}

static void a_connect_goes_on_after_a_signal(void **state)
{
    (void)state;
    // EISCONN is a success only of a handshake that this call has begun.
    static const int signalled[] = {-EINTR, -EALREADY, -EISCONN, 0}, connected[] = {-EISCONN, 0};
    wait_open(&listener, listen_somewhere(&whom));
    table.connect = connect_with_trouble;
    answers = signalled;
    start(connect_left, &results[0]);
    run_all();
    assert_int_equal(results[0], 0);
    answers = connected;
    start(connect_left, &results[0]);
    run_all();
    assert_int_equal(results[0], -EISCONN);
    wait_close(&listener);
}

// ---- Pieces, and what is ready ------------------------------------------------------------------

static void send_and_receive_pieces(void *result)
{
    char bytes[2][3] = {"ab", "cd"};
    struct iovec pieces[2] = {{bytes[0], 2}, {bytes[1], 2}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    struct wait_call call = {.kind = WAIT_SENDMSG, .endpoint = &left, .from = &message};
    call.deadline = INT64_MAX;
    assert_int_equal(wait_for(&call), 4);
    memset(bytes, 0, sizeof bytes);
    call = (struct wait_call){.kind = WAIT_RECVMSG, .endpoint = &right, .into = &message};
    call.deadline = INT64_MAX;
    *(ssize_t *)result = wait_for(&call);
    assert_string_equal(bytes[0], "ab");
    assert_string_equal(bytes[1], "cd");
}

static void a_message_may_have_pieces(void **state)
{
    (void)state;
    start(send_and_receive_pieces, &results[0]);
    run_all();
    assert_int_equal(results[0], 4);
}

static int fail_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    (void)fds, (void)count, (void)deadline;
    return -ENOMEM;
}

static void await_bytes(void *result)
{
    struct wait_call call = {.kind = WAIT_READABLE, .endpoint = &left, .deadline = INT64_MAX};
    table.ppoll = fail_ppoll;
    *(ssize_t *)result = wait_for(&call);
    table.ppoll = kernel_real.ppoll;
}

static void who_cannot_be_asked_is_not_ready(void **state)
{
    (void)state;
    start(await_bytes, &results[0]);
    run_all();
    assert_int_equal(results[0], -ENOMEM);
}

// ---- Memory -------------------------------------------------------------------------------------

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void *no_more_memory(void *memory, size_t size)
{
    (void)memory, (void)size;
    return NULL;
}

static void receive_a_byte(void *result)
{
    char byte;
    *(ssize_t *)result = wait_recv(&left, &byte, 1, kernel->now() + 20000000000);
}

static void wake(void *result)
{
    (void)result;
    uint64_t one = 1;
    assert_int_equal(kernel->write(loop.wake_fd, &one, sizeof one), sizeof one);
}

static void who_cannot_wait_for_want_of_memory_is_told(void **state)
{
    (void)state;
    table.reallocate = no_more_memory;
    start(receive_a_byte, &results[0]);
    start(wake, &results[1]);
    run_all();
    assert_int_equal(results[0], -ENOMEM);
    table.reallocate = kernel_real.reallocate;
    assert_int_equal(kernel->send(right.fd, "x", 1, 0), 1);
    start(receive_a_byte, &results[0]);
    run_all();
    assert_int_equal(results[0], 1);
}

// Even then it hears of what other threads post.
static void without_memory_a_loop_is_woken(void **state)
{
    (void)state;
    table.reallocate = no_more_memory;
    wake(NULL);
    int64_t late = kernel->now() + 20000000000;
    loop.backend->poll(&loop, late);
    assert_true(kernel->now() < late);
}

static void buffers_beyond_a_bound_are_given_back(void **state)
{
    (void)state;
    enum { MANY = 70, KEPT = 64 };
    struct buffer *buffers[MANY];
    for (int i = 0; i < MANY; i++)
        assert_non_null(buffers[i] = buffer_take(&loop));
    for (int i = 0; i < MANY; i++)
        buffer_give(&loop, buffers[i]);
    buffer_give(&loop, NULL);
    assert_int_equal(loop.spare_buffer_count, KEPT);
    // Those are had without memory, and no more.
    table.allocate = no_memory;
    for (int i = 0; i < KEPT; i++)
        assert_non_null(buffers[i] = buffer_take(&loop));
    assert_null(buffer_take(&loop));
    table.allocate = kernel_real.allocate;
    for (int i = 0; i < KEPT; i++)
        buffer_give(&loop, buffers[i]);
}

static void what_came_early_goes_with_its_descriptor(void **state)
{
    (void)state;
    struct buffer *buffer = buffer_take(&loop);
    buffer->size = 1;
    endpoint_add_early(&left, buffer);
    wait_close(&left);
    assert_null(left.early);
    assert_int_equal(left.fd, -1);
}

static void without_memory_a_connection_does_not_linger(void **state)
{
    (void)state;
    int fd = left.fd;
    wait_release(&left);
    left.fd = -1;
    table.allocate = no_memory;
    closing_begin(&loop, fd, INT64_MAX, 1000);
    assert_int_equal(loop.closing_count, 0);
    char byte;
    assert_int_equal(kernel->recv(right.fd, &byte, 1, 0), 0); // it is closed
}

// A child has copies of what lingers in its parent: they would keep the other end from seeing the end.
static void what_lingers_is_the_parents(void **state)
{
    (void)state;
    int fd = left.fd;
    wait_release(&left);
    left.fd = -1;
    closing_begin(&loop, fd, INT64_MAX, 1000);
    pid_t pid = fork();
    if (pid == 0) {
        loop_abandon(loop_here());
        _exit(fcntl(fd, F_GETFD) < 0 && errno == EBADF && !loop_here() ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(loop.closing_count, 1);
    assert_int_equal(kernel->send(right.fd, "x", 1, 0), 1);
    closing_end_all(&loop);
    assert_int_equal(loop.closing_count, 0);
}

// ---- Loops --------------------------------------------------------------------------------------

static int no_descriptor(void)
{
    return -EMFILE;
}

static int register_nothing(int epoll, int operation, int fd, struct epoll_event *event)
{
    (void)epoll, (void)operation, (void)fd, (void)event;
    return -ENOSPC;
}

static void a_loop_that_cannot_be_opened_leaves_nothing(void **state)
{
    const struct backend_ops *backend = ((struct on *)*state)->backend;
    int before = kernel->dup(0); // the next free one
    assert_int_equal(kernel->close(before), 0);
    struct loop other;
    table.eventfd = no_descriptor;
    assert_int_equal(loop_open(&other, backend), -EMFILE);
    table.eventfd = kernel_real.eventfd;
    table.allocate = no_memory;
    assert_int_equal(loop_open(&other, backend), -ENOMEM);
    table.allocate = kernel_real.allocate;
    if (backend == &backend_epoll) {
        table.epoll_create = no_descriptor;
        assert_int_equal(loop_open(&other, backend), -EMFILE);
        table.epoll_create = kernel_real.epoll_create;
        table.epoll_ctl = register_nothing;
        assert_int_equal(loop_open(&other, backend), -ENOSPC);
        table.epoll_ctl = kernel_real.epoll_ctl;
    }
    int after = kernel->dup(0);
    assert_int_equal(after, before);
    assert_int_equal(kernel->close(after), 0);
    assert_ptr_equal(loop_here(), &loop);
}

static void only_epoll_lives_in_a_foreign_loop(void **state)
{
    if (((struct on *)*state)->backend == &backend_block) {
        assert_int_equal(loop_descriptor(&loop), -ENOTSUP);
        return;
    }
    table.timerfd = no_descriptor;
    assert_int_equal(loop_descriptor(&loop), -EMFILE);
    table.timerfd = kernel_real.timerfd;
    table.epoll_create = no_descriptor;
    assert_int_equal(loop_descriptor(&loop), -EMFILE);
    table.epoll_create = kernel_real.epoll_create;
    table.epoll_ctl = register_nothing;
    assert_int_equal(loop_descriptor(&loop), -ENOSPC);
    table.epoll_ctl = kernel_real.epoll_ctl;
    assert_true(loop_descriptor(&loop) >= 0);
}

static void backends_have_names(void **state)
{
    const struct backend_ops *backend = ((struct on *)*state)->backend;
    assert_ptr_equal(backend_find(backend->name), backend);
    assert_ptr_equal(backend_find("auto"), &backend_epoll);
    assert_ptr_equal(backend_find(NULL), &backend_epoll);
    assert_null(backend_find("nosuch"));
}

// ---- An epoll instance that has to be made anew -------------------------------------------------

// A registration of `left` that is nobody's any more.
static void leave_a_stale_registration(void)
{
    results[0] = 0;
    start(receive_a_byte, &results[0]);
    while (!left.calls[WAIT_IN])
        task_yield(&loop.root);
    wait_cancel(left.calls[WAIT_IN], -ECANCELED);
    while (results[0] != -ECANCELED)
        task_yield(&loop.root);
    int copy = kernel->dup(left.fd); // as another process would have it
    wait_close(&left);
    wait_open(&left, copy);
    assert_int_equal(kernel->send(right.fd, "x", 1, 0), 1);
}

static int found;

static int note_found(int epoll, struct epoll_event *events, int count, int64_t deadline)
{
    found = kernel_real.epoll_wait(epoll, events, count, deadline);
    return found;
}

// Whether a look finds an event.
static bool is_busy(void)
{
    table.epoll_wait = note_found;
    loop.backend->poll(&loop, 0);
    return found > 0;
}

static int fail_of_one = -1, error_of_one;

static int register_but_one(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (fd == fail_of_one && operation == EPOLL_CTL_ADD)
        return error_of_one;
    return kernel_real.epoll_ctl(epoll, operation, fd, event);
}

static void an_instance_that_cannot_be_made_now_is_made_later(void **state)
{
    if (((struct on *)*state)->backend == &backend_block)
        return; // poll(2) has no registrations
    leave_a_stale_registration();
    table.epoll_create = no_descriptor;
    for (int i = 0; i < 5; i++)
        assert_true(is_busy());
    table.epoll_create = kernel_real.epoll_create;
    table.epoll_ctl = register_nothing;
    for (int i = 0; i < 5; i++)
        assert_true(is_busy());
    table.epoll_ctl = kernel_real.epoll_ctl;
    (void)is_busy();
    assert_false(is_busy());
}

static struct endpoint third;

static void receive_at_third(void *result)
{
    char byte;
    *(ssize_t *)result = wait_recv(&third, &byte, 1, kernel->now() + 20000000000);
}

// Somebody else waits meanwhile: nobody may lose his registration by it, but he whose descriptor is gone.
static void renew_beside_another(int error)
{
    int fds[2];
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    wait_open(&third, fds[0]);
    start(receive_at_third, &results[1]);
    leave_a_stale_registration();
    assert_non_null(third.calls[WAIT_IN]);
    fail_of_one = third.fd;
    error_of_one = error;
    table.epoll_ctl = register_but_one;
    for (int i = 0; i < 3; i++)
        (void)is_busy();
    table.epoll_ctl = kernel_real.epoll_ctl;
    for (int i = 0; i < 3; i++)
        (void)is_busy();
    assert_int_equal(kernel->send(fds[1], "x", 1, 0), 1);
    run_all();
    wait_close(&third);
    assert_int_equal(kernel->close(fds[1]), 0);
}

static void who_can_be_registered_later_is(void **state)
{
    if (((struct on *)*state)->backend == &backend_block)
        return;
    renew_beside_another(-ENOSPC);
    assert_int_equal(results[1], 1);
}

static void who_can_be_registered_with_more_memory_is(void **state)
{
    if (((struct on *)*state)->backend == &backend_block)
        return;
    renew_beside_another(-ENOMEM);
    assert_int_equal(results[1], 1);
}

static void whose_descriptor_is_gone_is_told(void **state)
{
    if (((struct on *)*state)->backend == &backend_block)
        return;
    renew_beside_another(-EBADF);
    assert_int_equal(results[1], -EBADF);
}

// ---- Sentences ----------------------------------------------------------------------------------

static void a_failure_is_a_sentence(void **state)
{
    (void)state;
    assert_int_equal(failure_set(-ECONNREFUSED, "connect %s", "somebody"), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_string_equal(failure_text(), "connect somebody: connection refused");
    assert_int_equal(failure_say(-EIO, "a name with \n and \x7f and \x1b[2J"), -1);
    assert_string_equal(failure_text(), "a name with ? and ? and ?[2J");
    assert_int_equal(failure_set(-123456, "something"), -1);
    assert_string_equal(failure_text(), "something: unknown error");
    assert_int_equal(errno, 123456);
}

static void a_sentence_has_an_end(void **state)
{
    (void)state;
    char much[2 * FAILURE_SIZE];
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    assert_int_equal(failure_set(-EIO, "%s", much), -1);
    assert_int_equal(strlen(failure_text()), FAILURE_SIZE - 1);
    assert_int_equal(failure_say(-EIO, "%s", much), -1);
    assert_int_equal(strlen(failure_text()), FAILURE_SIZE - 1);
}

static void fail_without_memory(void *result)
{
    table.allocate = no_memory;
    assert_int_equal(failure_set(-EIO, "without memory"), -1);
    assert_int_equal(errno, EIO);
    assert_string_equal(failure_text(), "without memory: Input/output error");
    assert_int_equal(failure_say(-ENOENT, "and again"), -1);
    assert_int_equal(errno, ENOENT);
    assert_string_equal(failure_text(), "and again");
    table.allocate = kernel_real.allocate;
    *(ssize_t *)result = 1;
}

static void without_memory_a_failure_is_told_too(void **state)
{
    (void)state;
    start(fail_without_memory, &results[0]);
    run_all();
    assert_int_equal(results[0], 1);
}

// ---- A thread that can have no loop ---------------------------------------------------------------

static void *work_without_a_loop(void *arg)
{
    int *error = arg;
    assert_string_equal(failure_text(), "");
    assert_int_equal(failure_done(), 0);
    int rc = 0;
    assert_null(task_here(&rc));
    assert_null(task_here(NULL));
    assert_int_equal(failure_set(-EIO, "without a loop"), -1);
    assert_int_equal(errno, EIO);
    assert_string_equal(failure_text(), "without a loop: Input/output error");
    failure_note_done(7);
    assert_int_equal(failure_done(), 0);
    char byte;
    assert_int_equal(wait_recv(&left, &byte, 1, 0), rc);
    assert_int_equal(wait_sleep(0), rc);
    *error = rc;
    return NULL;
}

static int run_without_a_loop(void)
{
    pthread_t thread;
    int error = 0;
    assert_int_equal(pthread_create(&thread, NULL, work_without_a_loop, &error), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return error;
}

static void a_thread_that_can_have_no_loop_is_told(void **state)
{
    (void)state;
    table.eventfd = no_descriptor;
    assert_int_equal(run_without_a_loop(), -EMFILE);
    table.eventfd = kernel_real.eventfd;
    table.allocate = no_memory;
    assert_int_equal(run_without_a_loop(), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(callers_who_left_are_passed_over),
        ON_EACH(after_many_who_left_others_have_their_turn),
        ON_EACH(a_connect_goes_on_after_a_signal),
        ON_EACH(a_message_may_have_pieces),
        ON_EACH(who_cannot_be_asked_is_not_ready),
        ON_EACH(who_cannot_wait_for_want_of_memory_is_told),
        ON_EACH(without_memory_a_loop_is_woken),
        ON_EACH(buffers_beyond_a_bound_are_given_back),
        ON_EACH(what_came_early_goes_with_its_descriptor),
        ON_EACH(without_memory_a_connection_does_not_linger),
        ON_EACH(what_lingers_is_the_parents),
        ON_EACH(a_loop_that_cannot_be_opened_leaves_nothing),
        ON_EACH(only_epoll_lives_in_a_foreign_loop),
        ON_EACH(backends_have_names),
        ON_EACH(an_instance_that_cannot_be_made_now_is_made_later),
        ON_EACH(who_can_be_registered_later_is),
        ON_EACH(who_can_be_registered_with_more_memory_is),
        ON_EACH(whose_descriptor_is_gone_is_told),
        ON_EACH(a_failure_is_a_sentence),
        ON_EACH(a_sentence_has_an_end),
        ON_EACH(without_memory_a_failure_is_told_too),
        ON_EACH(a_thread_that_can_have_no_loop_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
