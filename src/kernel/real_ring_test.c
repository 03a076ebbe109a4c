// The ring of the system: what no simulated one can have. The rest is in tests/parity.

#include "kernel/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MILLISECOND 1000000

enum { PATIENCE_MS = 20000 };

static struct ring *ring;
static int pair[2];

static int64_t in(int64_t ms)
{
    return kernel->now() + ms * MILLISECOND;
}

static int open_both(void **state)
{
    (void)state;
    ring = NULL;
    int rc = kernel->ring_open(8, &ring);
    if (rc == -ENOSYS || rc == -EPERM)
        print_message("the kernel gives no ring here: %s\n", strerrorname_np(-rc));
    else
        assert_int_equal(rc, 0);
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    kernel->ring_close(ring, false);
    kernel->close(pair[0]);
    kernel->close(pair[1]);
    return 0;
}

static void need_ring(void)
{
    if (!ring)
        skip();
}

static void receive(void *into, size_t size)
{
    struct io_uring_sqe *sqe = kernel->ring_next(ring);
    assert_non_null(sqe);
    io_uring_prep_recv(sqe, pair[0], into, size, 0);
    sqe->user_data = 7;
}

static struct io_uring_cqe take(void)
{
    struct io_uring_cqe end = {0};
    int n;
    do
        n = kernel->ring_enter(ring, in(PATIENCE_MS));
    while (n == -EINTR);
    assert_true(n >= 1);
    assert_int_equal(kernel->ring_take(ring, &end, 1), 1);
    return end;
}

static void it_is_high_and_close_on_exec(void **state)
{
    (void)state;
    need_ring();
    assert_true(ring->fd > pair[1] + 10);
    assert_int_equal(fcntl(ring->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void what_is_not_allowed_is_refused(void **state)
{
    (void)state;
    need_ring();
    char byte;
    io_uring_prep_openat(kernel->ring_next(ring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
    assert_int_equal(take().res, -EACCES);
    io_uring_prep_socket(kernel->ring_next(ring), AF_INET, SOCK_STREAM, 0, 0);
    assert_int_equal(take().res, -EACCES);
    receive(&byte, 1);
    struct io_uring_sqe *linked = kernel->ring_next(ring);
    io_uring_prep_nop(linked);
    linked->flags = IOSQE_IO_LINK;
    assert_int_equal(take().res, -EACCES);
    assert_int_equal(syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_FILES, pair, 1), -1);
    assert_int_equal(errno, EACCES);
}

static void a_wait_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    need_ring();
    char byte;
    assert_int_equal(kernel->ring_enter(ring, 0), 0);
    assert_int_equal(kernel->ring_enter(ring, INT64_MIN), 0);
    int64_t deadline = kernel->now() + 300000;
    assert_int_equal(kernel->ring_enter(ring, deadline), 0);
    assert_true(kernel->now() >= deadline);
    // The kernel tells then that it took one, and not that the time is over.
    receive(&byte, 1);
    deadline = kernel->now() + 300000;
    assert_int_equal(kernel->ring_enter(ring, deadline), 0);
    assert_true(kernel->now() >= deadline);
}

static void note_signal(int number)
{
    (void)number;
}

static atomic_bool interrupted;

static void *interrupt(void *arg)
{
    struct timespec moment = {.tv_nsec = MILLISECOND};
    while (!atomic_load(&interrupted)) { // a signal that comes too early interrupts nothing
        (void)pthread_kill(*(pthread_t *)arg, SIGUSR1);
        (void)nanosleep(&moment, NULL);
    }
    return NULL;
}

static void a_signal_comes_through(void **state)
{
    (void)state;
    need_ring();
    struct sigaction action = {.sa_handler = note_signal}, before;
    pthread_t self = pthread_self(), thread;
    char byte;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &self), 0);
    assert_int_equal(kernel->ring_enter(ring, in(PATIENCE_MS)), -EINTR);
    receive(&byte, 1); // also when an operation was handed over by the same call
    assert_int_equal(kernel->ring_enter(ring, in(PATIENCE_MS)), -EINTR);
    atomic_store(&interrupted, true);
    (void)pthread_join(thread, NULL);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    assert_int_equal(kernel->send(pair[1], "x", 1, 0), 1);
    assert_int_equal(take().res, 1); // it was not lost
}

static void a_full_ring_has_no_next(void **state)
{
    (void)state;
    need_ring();
    struct io_uring_cqe ends[16];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++)
            io_uring_prep_nop(kernel->ring_next(ring));
        assert_null(kernel->ring_next(ring));
        assert_int_equal(kernel->ring_enter(ring, 0), 8);
        assert_int_equal(kernel->ring_enter(ring, in(PATIENCE_MS)), 8);
        assert_int_equal(kernel->ring_take(ring, ends, 5), 5);
        assert_int_equal(kernel->ring_take(ring, ends, 16), 3);
        assert_int_equal(kernel->ring_take(ring, ends, 16), 0);
    }
}

// Who waits already is woken, which is more than to be readable when he comes.
static void its_descriptor_wakes_who_waits(void **state)
{
    (void)state;
    need_ring();
    char byte;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int fd = kernel->ring_descriptor(ring), epoll = kernel->epoll_create();
    assert_true(fd >= 0);
    assert_int_equal(kernel->ring_descriptor(ring), fd);
    receive(&byte, 1);
    assert_int_equal(kernel->ring_enter(ring, 0), 0);
    assert_int_equal(kernel->epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    assert_int_equal(kernel->epoll_wait(epoll, &event, 1, 0), 0);
    // Edge-triggered: only a wake-up that it was sent tells it.
    assert_int_equal(kernel->send(pair[1], "x", 1, 0), 1);
    assert_int_equal(kernel->epoll_wait(epoll, &event, 1, in(PATIENCE_MS)), 1);
    assert_int_equal(take().user_data, 7);
    kernel->close(epoll);
}

static void its_descriptor_tells_what_was_before(void **state)
{
    (void)state;
    need_ring();
    char byte;
    receive(&byte, 1);
    assert_int_equal(kernel->ring_enter(ring, 0), 0);
    assert_int_equal(kernel->send(pair[1], "x", 1, 0), 1);
    struct pollfd fd = {.fd = kernel->ring_descriptor(ring), .events = POLLIN};
    assert_int_equal(kernel->ppoll(&fd, 1, in(PATIENCE_MS)), 1);
    assert_int_equal(take().user_data, 7);
}

static void after_close_no_buffer_is_in_use(void **state)
{
    (void)state;
    need_ring();
    char byte = 'a';
    receive(&byte, 1);
    assert_int_equal(kernel->ring_enter(ring, 0), 0);
    kernel->ring_close(ring, false);
    ring = NULL;
    assert_int_equal(kernel->send(pair[1], "x", 1, 0), 1);
    assert_int_equal(byte, 'a');
    assert_int_equal(kernel->recv(pair[0], &byte, 1, 0), 1); // nobody else has taken it
}

static void after_close_a_descriptor_says_its_end(void **state)
{
    (void)state;
    need_ring();
    char byte;
    struct pollfd fd = {.fd = pair[1], .events = POLLIN};
    receive(&byte, 1);
    assert_int_equal(kernel->ring_enter(ring, 0), 0);
    assert_int_equal(kernel->close(pair[0]), 0);
    assert_int_equal(kernel->ppoll(&fd, 1, 0), 0); // the operation has it open
    kernel->ring_close(ring, false);
    ring = NULL;
    assert_int_equal(kernel->ppoll(&fd, 1, in(PATIENCE_MS)), 1);
    assert_int_equal(kernel->recv(pair[1], &byte, 1, 0), 0);
    pair[0] = kernel->dup(pair[1]);
}

static void a_child_gives_the_ring_of_its_parent_up(void **state)
{
    (void)state;
    need_ring();
    char byte, buffer[16];
    assert_int_equal(kernel->ring_buffers(ring, 0, 8), 0);
    kernel->ring_give(ring, 0, 1, buffer, sizeof buffer);
    receive(&byte, 1);
    assert_int_equal(kernel->ring_enter(ring, 0), 0);
    int pid = fork(); // that of the table refuses where a sanitizer has a thread
    assert_true(pid >= 0);
    if (pid == 0) {
        kernel->ring_close(ring, true);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(kernel->send(pair[1], "x", 1, 0), 1);
    assert_int_equal(take().res, 1);
}

static void groups_of_buffers_are_few_and_made_once(void **state)
{
    (void)state;
    need_ring();
    assert_int_equal(kernel->ring_buffers(ring, 4, 8), -EINVAL);
    assert_int_equal(kernel->ring_buffers(ring, 1, 7), -EINVAL); // no power of two
    assert_int_equal(kernel->ring_buffers(ring, 1, 8), 0);
    assert_int_equal(kernel->ring_buffers(ring, 1, 8), -EINVAL);
}

static void none_is_closed_and_too_many_entries_are_refused(void **state)
{
    (void)state;
    struct ring *none = NULL;
    kernel->ring_close(NULL, false);
    assert_true(kernel->ring_open(1u << 20, &none) < 0);
    assert_null(none);
}

#define IN_BOTH(test) cmocka_unit_test_setup_teardown(test, open_both, close_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BOTH(it_is_high_and_close_on_exec),
        IN_BOTH(what_is_not_allowed_is_refused),
        IN_BOTH(a_wait_ends_at_its_deadline_and_not_before),
        IN_BOTH(a_signal_comes_through),
        IN_BOTH(a_full_ring_has_no_next),
        IN_BOTH(its_descriptor_wakes_who_waits),
        IN_BOTH(its_descriptor_tells_what_was_before),
        IN_BOTH(after_close_no_buffer_is_in_use),
        IN_BOTH(after_close_a_descriptor_says_its_end),
        IN_BOTH(a_child_gives_the_ring_of_its_parent_up),
        IN_BOTH(groups_of_buffers_are_few_and_made_once),
        cmocka_unit_test(none_is_closed_and_too_many_entries_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
