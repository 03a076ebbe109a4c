// Loops, tasks and waiting calls, on each backend, over socket pairs.

#include "wait/wait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "wait/closing.h"
#include "wait/wait_test.h"

static int ended;
static const struct backend_ops *backend;

static int begin(void **state)
{
    backend = ((struct on *)*state)->backend;
    ended = 0;
    open_loop(backend);
    return 0;
}

static int end(void **state)
{
    (void)state;
    close_loop();
    return 0;
}

static void run(int count, void (*const *functions)(void *arg))
{
    for (int i = 0; i < count; i++)
        assert_int_equal(task_start(&loop, "test", functions[i], &results[i], NULL), 0);
    run_all();
}

static void send_and_receive(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        char byte = (char)i;
        assert_int_equal(wait_send(&left, &byte, 1, INT64_MAX), 1);
        assert_int_equal(wait_recv(&left, &byte, 1, INT64_MAX), 1);
        assert_int_equal(byte, (char)(i + 1));
    }
    assert_int_equal(kernel->shutdown(left.fd, SHUT_WR), 0);
}

static void receive_and_send(void *arg)
{
    (void)arg;
    char byte;
    while (wait_recv(&right, &byte, 1, INT64_MAX) == 1) {
        byte++;
        assert_int_equal(wait_send(&right, &byte, 1, INT64_MAX), 1);
    }
}

static void two_tasks_talk(void **state)
{
    (void)state;
    run(2, (void (*const[])(void *)){send_and_receive, receive_and_send});
}

static void receive_for_a_millisecond(void *result)
{
    char byte;
    *(ssize_t *)result = wait_recv(&left, &byte, 1, kernel->now() + 1000000);
}

static void receive_for_ever(void *result)
{
    char byte;
    *(ssize_t *)result = wait_recv(&left, &byte, 1, INT64_MAX);
}

static void a_deadline_ends_a_call(void **state)
{
    (void)state;
    run(1, (void (*const[])(void *)){receive_for_a_millisecond});
    assert_int_equal(results[0], -ETIMEDOUT);
}

static void a_second_reader_is_refused(void **state)
{
    (void)state;
    run(2, (void (*const[])(void *)){receive_for_a_millisecond, receive_for_ever});
    assert_int_equal(results[0], -ETIMEDOUT);
    assert_int_equal(results[1], -EBUSY);
}

static void cancel_endpoint(void *arg)
{
    (void)arg;
    wait_cancel_endpoint(&left, -ECANCELED);
}

static void a_cancelled_endpoint_ends_the_call(void **state)
{
    (void)state;
    run(2, (void (*const[])(void *)){receive_for_ever, cancel_endpoint});
    assert_int_equal(results[0], -ECANCELED);
    // And the next one, though there is a byte for it.
    assert_int_equal(kernel->send(right.fd, "x", 1, 0), 1);
    run(1, (void (*const[])(void *)){receive_for_ever});
    assert_int_equal(results[0], -ECANCELED);
}

static void close_left(void *arg)
{
    (void)arg;
    wait_close(&left);
}

static void closing_an_endpoint_ends_the_call(void **state)
{
    (void)state;
    run(2, (void (*const[])(void *)){receive_for_ever, close_left});
    assert_int_equal(results[0], -ECANCELED);
    char byte;
    assert_int_equal(wait_recv(&left, &byte, 1, INT64_MAX), -EBADF);
}

static void close_both_and_reuse_the_number(void *arg)
{
    (void)arg;
    int fds[2];
    wait_close(&right);
    wait_close(&left);
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    wait_open(&left, fds[0]);
    wait_open(&right, fds[1]);
    char byte;
    // The event of the old left (its peer hung up) must not be taken for one of the new.
    assert_int_equal(wait_recv(&left, &byte, 1, kernel->now() + 1000000), -ETIMEDOUT);
}

static void an_event_of_a_closed_descriptor_reaches_nobody(void **state)
{
    (void)state;
    run(2, (void (*const[])(void *)){receive_for_a_millisecond, close_both_and_reuse_the_number});
    assert_int_equal(results[0], -ECANCELED);
}

static void now_or_not(void *result)
{
    char byte;
    ((ssize_t *)result)[0] = wait_recv(&left, &byte, 1, WAIT_NOT);
    assert_int_equal(wait_send(&right, "x", 1, WAIT_NOT), 1);
    ((ssize_t *)result)[1] = wait_recv(&left, &byte, 1, WAIT_NOT);
}

static void without_waiting_what_is_there_is_had(void **state)
{
    (void)state;
    run(1, (void (*const[])(void *)){now_or_not});
    assert_int_equal(results[0], -ETIMEDOUT);
    assert_int_equal(results[1], 1);
}

// A sender who is never made to wait must still see its deadline and let others run.
static void receive_from_a_flood(void *result)
{
    char bytes[1];
    int64_t deadline = kernel->now() + 5000000;
    ssize_t n;
    while ((n = wait_recv(&left, bytes, 1, deadline)) > 0)
        if (wait_send(&right, bytes, 1, INT64_MAX) < 0)
            break;
    *(ssize_t *)result = n;
}

static void a_flood_does_not_outrun_a_deadline(void **state)
{
    (void)state;
    assert_int_equal(kernel->send(right.fd, "0123456789", 10, 0), 10);
    run(1, (void (*const[])(void *)){receive_from_a_flood});
    assert_int_equal(results[0], -ETIMEDOUT);
}

static struct task *sleeper;

static void sleep_long(void *result)
{
    sleeper = loop.current;
    *(ssize_t *)result = wait_sleep(INT64_MAX);
}

static void cancel_sleeper(void *arg)
{
    (void)arg;
    task_cancel(sleeper, -ECANCELED);
}

static void a_cancelled_task_ends_its_call_and_every_later_one(void **state)
{
    (void)state;
    run(2, (void (*const[])(void *)){sleep_long, cancel_sleeper});
    assert_int_equal(results[0], -ECANCELED);
}

// ---- Early bytes ------------------------------------------------------------------------------

static void bytes_that_came_early_come_first(void **state)
{
    (void)state;
    struct buffer *buffer = buffer_take(&loop);
    memcpy(buffer->data, "early", 5);
    buffer->size = 5;
    endpoint_add_early(&left, buffer);
    assert_int_equal(kernel->send(right.fd, "late", 4, 0), 4);
    char bytes[16];
    assert_int_equal(wait_recv(&left, bytes, 2, INT64_MAX), 2);
    assert_memory_equal(bytes, "ea", 2);
    wait_release(&left); // keeps them
    assert_int_equal(wait_recv(&left, bytes, 16, INT64_MAX), 3);
    assert_memory_equal(bytes, "rly", 3);
    assert_int_equal(wait_recv(&left, bytes, 16, INT64_MAX), 4);
}

// ---- Which descriptors are looked at ------------------------------------------------------------

static struct kernel_ops counting_kernel;
static nfds_t looked_at;

static int count_descriptors(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    looked_at = count;
    return kernel_real.ppoll(fds, count, deadline);
}

static void receive_until(struct endpoint *endpoint, int64_t ms)
{
    char byte;
    assert_int_equal(wait_recv(endpoint, &byte, 1, kernel->now() + ms * 1000000), -ETIMEDOUT);
}

static void receive_at_left(void *arg)
{
    (void)arg;
    receive_until(&left, 2);
}

static struct endpoint third;

static void receive_at_third(void *arg)
{
    (void)arg;
    receive_until(&third, 4);
}

static void receive_at_right(void *arg)
{
    (void)arg;
    receive_until(&right, 6);
}

// Whichever of them ends first, and wherever the others are moved to.
static void nobody_is_looked_at_who_does_not_wait(void **state)
{
    (void)state;
    if (backend != &backend_block)
        return; // epoll has no list
    int fds[2];
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    wait_open(&third, fds[0]);
    counting_kernel = kernel_real;
    counting_kernel.ppoll = count_descriptors;
    kernel = &counting_kernel;
    run(3, (void (*const[])(void *)){receive_at_left, receive_at_right, receive_at_third});
    task_yield(&loop.root);
    assert_int_equal(looked_at, 1);
    kernel = &kernel_real;
    wait_close(&third);
    assert_int_equal(kernel->close(fds[1]), 0);
}

// ---- Posts ------------------------------------------------------------------------------------

enum { POSTERS = 4, POSTS = 1000 };

static struct post posts[POSTERS][POSTS];
static int posts_run;

static void count_post(struct post *post)
{
    (void)post;
    posts_run++;
    task_wake(&loop.root);
}

static void *post_many(void *arg)
{
    struct post *mine = arg;
    for (int i = 0; i < POSTS; i++) {
        mine[i].run = count_post;
        loop_post(&loop, &mine[i]);
    }
    return NULL;
}

static void other_threads_can_post(void **state)
{
    (void)state;
    pthread_t threads[POSTERS];
    posts_run = 0;
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, posts[i]), 0);
    while (posts_run < POSTERS * POSTS)
        task_pause(&loop.root);
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

// ---- Closing ----------------------------------------------------------------------------------

static void a_lingering_connection_ends_with_its_peer(void **state)
{
    (void)state;
    int fd = left.fd;
    wait_release(&left);
    left.fd = -1;
    assert_int_equal(kernel->shutdown(fd, SHUT_WR), 0);
    closing_begin(&loop, fd, INT64_MAX, 1000);
    assert_int_equal(kernel->send(right.fd, "unwanted", 8, 0), 8);
    assert_int_equal(loop.closing_count, 1);
    wait_close(&right);
    closing_wait(&loop);
    assert_int_equal(loop.closing_count, 0);
}

static void lingering_ends_at_its_time_and_at_its_bytes(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    closing_begin(&loop, fds[0], kernel->now() + 1000000, 1000);
    closing_wait(&loop);
    char bytes[2000] = "";
    assert_true(kernel->send(fds[1], bytes, 1, 0) < 0); // it is closed
    (void)kernel->close(fds[1]);

    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    assert_int_equal(kernel->send(fds[1], bytes, sizeof bytes, 0), sizeof bytes);
    closing_begin(&loop, fds[0], INT64_MAX, 1000);
    closing_wait(&loop);
    (void)kernel->close(fds[1]);
}

static void the_oldest_of_too_many_makes_room(void **state)
{
    (void)state;
    int peers[CLOSING_MAX + 5];
    for (int i = 0; i < CLOSING_MAX + 5; i++) {
        int fds[2];
        assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
        closing_begin(&loop, fds[0], INT64_MAX, 1000);
        peers[i] = fds[1];
    }
    assert_int_equal(loop.closing_count, CLOSING_MAX);
    assert_true(kernel->send(peers[4], "x", 1, 0) < 0);
    assert_int_equal(kernel->send(peers[5], "x", 1, 0), 1);
    closing_end_all(&loop);
    for (int i = 0; i < CLOSING_MAX + 5; i++)
        (void)kernel->close(peers[i]);
}

// ---- A registration that outlives its descriptor ----------------------------------------------

static void a_registration_that_outlives_its_descriptor_does_not_keep_the_loop_busy(void **state)
{
    (void)state;
    if (backend != &backend_epoll)
        return; // poll(2) has no registrations
    run(1, (void (*const[])(void *)){receive_for_a_millisecond});
    int foreign = loop_descriptor(&loop);
    assert_true(foreign >= 0);
    int copy = kernel->dup(left.fd); // as another process would have it
    assert_int_equal(kernel->close(left.fd), 0);
    left.fd = copy; // what wait_close will close
    left.interest = 0;
    left.generation++; // the endpoint is forgotten, its registration is not
    assert_int_equal(kernel->send(right.fd, "x", 1, 0), 1);
    // Every look reports the dead registration until the epoll instance is made anew; after that a
    // look waits for its deadline.
    for (int i = 0; i < 5; i++)
        loop.backend->poll(&loop, 0);
    int64_t before = kernel->now();
    loop.backend->poll(&loop, before + 2000000);
    assert_true(kernel->now() - before >= 2000000);

    // A foreign loop goes on watching the same descriptor.
    struct pollfd watched = {.fd = foreign, .events = POLLIN};
    assert_int_equal(loop_descriptor(&loop), foreign);
    assert_int_equal(kernel->ppoll(&watched, 1, 0), 0);
    uint64_t one = 1;
    assert_int_equal(kernel->write(loop.wake_fd, &one, sizeof one), sizeof one);
    assert_int_equal(kernel->ppoll(&watched, 1, kernel->now() + 1000000000), 1);
}

// ---- A registration that could not be taken back ------------------------------------------------

static struct kernel_ops forgetful_kernel;
static ssize_t accepted;

static int take_nothing_back(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation != EPOLL_CTL_DEL)
        return kernel_real.epoll_ctl(epoll, operation, fd, event);
    forgetful_kernel.epoll_ctl = kernel_real.epoll_ctl; // once
    return -ENOMEM;
}

static void note_accepted(struct wait_call *call)
{
    accepted = call->result;
}

static void a_shared_listener_whose_registration_stayed_is_registered_anew(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = kernel->socket(AF_INET, SOCK_STREAM, 0), caller;
    assert_int_equal(kernel->bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(kernel->listen(fd, 1), 0);
    assert_int_equal(kernel->getsockname(fd, (struct sockaddr *)&address, &size), 0);
    forgetful_kernel = kernel_real;
    forgetful_kernel.epoll_ctl = take_nothing_back;
    kernel = &forgetful_kernel;

    struct endpoint listener;
    wait_open(&listener, fd);
    listener.shared = true;
    struct wait_call call = {.kind = WAIT_ACCEPT, .endpoint = &listener, .done = note_accepted};
    call.deadline = INT64_MAX;
    wait_start(&loop, &call);
    wait_cancel(&call, -ECANCELED); // which takes the registration back, or means to
    assert_int_equal(accepted, -ECANCELED);
    accepted = -EAGAIN;
    wait_start(&loop, &call);
    task_yield(&loop.root);
    assert_int_equal(accepted, -EAGAIN);
    caller = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&address, size), 0);
    while (accepted == -EAGAIN)
        task_yield(&loop.root);
    assert_true(accepted >= 0);
    kernel = &kernel_real;
    assert_int_equal(kernel->close((int)accepted) | kernel->close(caller), 0);
    wait_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(two_tasks_talk),
        ON_EACH(a_deadline_ends_a_call),
        ON_EACH(a_second_reader_is_refused),
        ON_EACH(a_cancelled_endpoint_ends_the_call),
        ON_EACH(closing_an_endpoint_ends_the_call),
        ON_EACH(an_event_of_a_closed_descriptor_reaches_nobody),
        ON_EACH(without_waiting_what_is_there_is_had),
        ON_EACH(a_flood_does_not_outrun_a_deadline),
        ON_EACH(a_cancelled_task_ends_its_call_and_every_later_one),
        ON_EACH(bytes_that_came_early_come_first),
        ON_EACH(nobody_is_looked_at_who_does_not_wait),
        ON_EACH(other_threads_can_post),
        ON_EACH(a_lingering_connection_ends_with_its_peer),
        ON_EACH(lingering_ends_at_its_time_and_at_its_bytes),
        ON_EACH(the_oldest_of_too_many_makes_room),
        ON_EACH(a_registration_that_outlives_its_descriptor_does_not_keep_the_loop_busy),
        ON_EACH(a_shared_listener_whose_registration_stayed_is_registered_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
