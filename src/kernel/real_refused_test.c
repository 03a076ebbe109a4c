// The real table where the system has less, or gives less: old kernels, containers with a strict filter, no /proc,
// no memory. Each test is a process of its own, since none of this can be taken back.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <doorbell.h>

#include "kernel/calls.h"
#include "kernel/kernel.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_CHECKED 1
#endif
#endif

// Sanitizers have a thread of their own, and end a program that gets no memory.
#ifndef IS_CHECKED
#define IS_CHECKED 0
#endif

// ---- A process that is refused something -----------------------------------------------------------

// In the child a failure of cmocka would go on with the next test.
static void want(bool holds, const char *what, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, line, what);
    _exit(1);
}

#define WANT(condition) want(condition, #condition, __LINE__)

static void in_a_child(void (*run)(void))
{
    int status;
    int pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

// From here on the call fails; `first` is its first argument, or -1 for any.
static void refuse(unsigned call, int first, unsigned error)
{
    struct sock_filter any[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)first, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (first < 0)
        any[3].jf = 0;
    const struct sock_fprog program = {.len = sizeof any / sizeof *any, .filter = any};
    WANT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    WANT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

// ---- Chance ----------------------------------------------------------------------------------------

static void draw_without_getrandom(void)
{
    enum { DRAWS = 64 };
    uint64_t drawn[DRAWS];
    refuse(SYS_getrandom, -1, ENOSYS);
    for (int i = 0; i < DRAWS; i++) {
        drawn[i] = kernel->random();
        for (int k = 0; k < i; k++)
            WANT(drawn[k] != drawn[i]);
    }
}

static void without_getrandom_chance_differs_still(void **state)
{
    (void)state;
    in_a_child(draw_without_getrandom);
}

// ---- Waiting ---------------------------------------------------------------------------------------

static void wait_by_the_old_call(void)
{
    int epoll = kernel->epoll_create(), event_fd = kernel->eventfd();
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    WANT(kernel->epoll_ctl(epoll, EPOLL_CTL_ADD, event_fd, &event) == 0);
    WANT(kernel->epoll_wait(epoll, &event, 1, 0) == 0);
    WANT(kernel->epoll_wait(epoll, &event, 1, INT64_MIN) == 0);
    int64_t deadline = kernel->now() + 300000; // less than a millisecond
    WANT(kernel->epoll_wait(epoll, &event, 1, deadline) == 0);
    WANT(kernel->now() >= deadline);
    WANT(kernel->epoll_wait(-1, &event, 1, 0) == -EBADF);

    // Longer than milliseconds can say, and for ever: what is there comes at once.
    const uint64_t one = 1;
    WANT(kernel->write(event_fd, &one, sizeof one) == sizeof one);
    WANT(kernel->epoll_wait(epoll, &event, 1, INT64_MAX - 1) == 1);
    event.data.u64 = 0;
    WANT(kernel->epoll_wait(epoll, &event, 1, INT64_MAX) == 1);
    WANT(event.data.u64 == 7);
}

static void wait_on_an_old_kernel(void)
{
    refuse(SYS_epoll_pwait2, -1, ENOSYS);
    wait_by_the_old_call();
}

static void wait_in_a_container(void)
{
    refuse(SYS_epoll_pwait2, -1, EPERM);
    wait_by_the_old_call();
}

static void without_epoll_pwait2_no_wait_ends_early(void **state)
{
    (void)state;
    in_a_child(wait_on_an_old_kernel);
    in_a_child(wait_in_a_container);
}

// ---- Processes and threads -------------------------------------------------------------------------

static sem_t has_begun;

static void sleep_for_ever(void *arg)
{
    (void)arg;
    (void)sem_post(&has_begun);
    for (;;)
        (void)pause();
}

static void fork_without_proc(void)
{
    int status;
    refuse(SYS_newfstatat, -1, ENOENT);
#ifdef SYS_stat
    refuse(SYS_stat, -1, ENOENT);
#endif
    int pid = kernel->fork();
    if (pid == 0)
        _exit(3);
    WANT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
    (void)sem_init(&has_begun, 0, 0);
    WANT(kernel->thread_start(sleep_for_ever, NULL, 65536) == 0);
    (void)sem_wait(&has_begun);
    WANT(kernel->fork() == -EBUSY);
}

static void without_proc_the_c_library_knows_of_threads(void **state)
{
    (void)state;
    if (!IS_CHECKED)
        in_a_child(fork_without_proc);
}

// Takes what the heap has still, in one long chain.
static void take_the_heap(void)
{
    static void **last;
    for (void **piece; (piece = malloc(16)); last = piece)
        *piece = last;
}

static void start_without_memory(void)
{
    const struct rlimit none = {.rlim_cur = 1, .rlim_max = 1};
    WANT(setrlimit(RLIMIT_AS, &none) == 0);
    take_the_heap();
    WANT(kernel->thread_start(sleep_for_ever, NULL, 65536) == -ENOMEM);
    WANT(kernel->allocate(16) == NULL);
    WANT(kernel->map(65536, false) == NULL);
}

static void without_memory_there_is_no_thread(void **state)
{
    (void)state;
    if (!IS_CHECKED)
        in_a_child(start_without_memory);
}

// ---- Descriptors -----------------------------------------------------------------------------------

static void close_and_be_interrupted(void)
{
    int fd = kernel->socket(AF_UNIX, SOCK_STREAM, 0);
    refuse(SYS_close, fd, EINTR);
    WANT(kernel->close(fd) == 0);
}

// On Linux it is closed then: to try again would close somebody else's.
static void an_interrupted_close_has_closed(void **state)
{
    (void)state;
    in_a_child(close_and_be_interrupted);
}

// ---- Limits ----------------------------------------------------------------------------------------

static void count_what_may_be_used(void)
{
    cpu_set_t set;
    WANT(sched_getaffinity(0, sizeof set, &set) == 0);
    WANT(kernel->processors() == CPU_COUNT(&set));
    WANT(kernel->process_limit() >= 1 && kernel->process_limit() <= INT32_MAX);
}

static void count_without_files(void)
{
    refuse(SYS_openat, -1, ENOENT);
    count_what_may_be_used();
}

static void count_with_files_that_cannot_be_read(void)
{
    refuse(SYS_read, -1, EIO);
    count_what_may_be_used();
}

static void without_files_there_is_no_limit_of_theirs(void **state)
{
    (void)state;
    in_a_child(count_without_files);
    in_a_child(count_with_files_that_cannot_be_read);
}

// ---- Calls that are shown --------------------------------------------------------------------------

static int lines[2];

static void show(unsigned error)
{
    static const char expected[] = "listen(-1, 1) failed: bad file descriptor\n";
    char text[128] = "", filling[4096] = "";
    WANT(pipe2(lines, O_NONBLOCK) == 0);
    if (error)
        refuse(SYS_pwritev2, -1, error);
    WANT(calls_show(lines[1], 0) == 0);
    WANT(kernel->listen(-1, 1) == -EBADF);
    WANT(read(lines[0], text, sizeof text - 1) > 0 && strstr(text, expected));

    // And when nobody reads, nobody waits.
    WANT(fcntl(lines[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(lines[1], filling, sizeof filling) > 0)
        continue;
    WANT(fcntl(lines[1], F_SETFL, 0) == 0);
    WANT(kernel->listen(-1, 1) == -EBADF);
    while (read(lines[0], filling, sizeof filling) > 0)
        continue;
    memset(text, 0, sizeof text);
    WANT(kernel->listen(-1, 1) == -EBADF);
    WANT(read(lines[0], text, sizeof text - 1) > 0 && strstr(text, "(1 calls are not shown)\n"));
}

static void show_as_ever(void)
{
    show(0);
}

static void show_on_an_old_kernel(void)
{
    show(ENOSYS);
}

static void show_in_a_container(void)
{
    show(EPERM);
}

static void show_on_a_terminal(void)
{
    show(EOPNOTSUPP); // as terminals say, and pipes before Linux 6.4
}

static void lines_get_through_without_pwritev2(void **state)
{
    (void)state;
    in_a_child(show_as_ever);
    in_a_child(show_on_an_old_kernel);
    in_a_child(show_in_a_container);
    in_a_child(show_on_a_terminal);
}

static void close_without_proc(void)
{
    char text[256] = "";
    WANT(pipe2(lines, O_NONBLOCK) == 0);
    refuse(SYS_readlinkat, -1, ENOENT);
#ifdef SYS_readlink
    refuse(SYS_readlink, -1, ENOENT);
#endif
    int fd = kernel->socket(AF_UNIX, SOCK_STREAM, 0);
    WANT(calls_show(lines[1], 0) == 0);
    int child = kernel->fork();
    if (child == 0)
        for (;;)
            (void)pause();
    WANT(kernel->close(fd) == 0);
    kernel->kill_and_reap(child);
    WANT(read(lines[0], text, sizeof text - 1) > 0 && strstr(text, "close("));
    WANT(!strstr(text, "still has it"));
}

static void without_proc_nobody_knows_who_has_a_descriptor(void **state)
{
    (void)state;
    if (!IS_CHECKED)
        in_a_child(close_without_proc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_getrandom_chance_differs_still),
        cmocka_unit_test(without_epoll_pwait2_no_wait_ends_early),
        cmocka_unit_test(without_proc_the_c_library_knows_of_threads),
        cmocka_unit_test(without_memory_there_is_no_thread),
        cmocka_unit_test(an_interrupted_close_has_closed),
        cmocka_unit_test(without_files_there_is_no_limit_of_theirs),
        cmocka_unit_test(lines_get_through_without_pwritev2),
        cmocka_unit_test(without_proc_nobody_knows_who_has_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
