// Overflows and other faults, each in a child: what it says, and by what it ends.

#include "coro/coro.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "coro/coro_test.h"
#include "kernel/kernel.h"

// Frames are large here on purpose.
#pragma GCC diagnostic ignored "-Wframe-larger-than="

#define LINE                                                                \
    "doorbell: handler test overflowed its stack of 64 KiB; large buffers " \
    "belong on the heap\n"

struct outcome {
    int status;
    char said[4096];
};

// These say something of their own.
#define IS_NOISY (UNDER_VALGRIND || (UNDER_ASAN && BY_UCONTEXT))

// Checkers have handlers of their own; what is tested begins without.
static void prepare_child(int fd)
{
    struct rlimit none = {0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)dup2(fd, 2);
    coro_adopt(&root);
}

static const struct outcome *outcome_of(void (*run)(void))
{
    static struct outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    int pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prepare_child(fds[1]);
        run();
        _exit(0);
    }
    (void)close(fds[1]);
    size_t size = 0;
    ssize_t n;
    while ((n = read(fds[0], outcome.said + size, sizeof outcome.said - 1 - size)) > 0)
        size += (size_t)n;
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &outcome.status, 0), pid);
    return &outcome;
}

static void assert_killed(const struct outcome *outcome, const char *said)
{
    if (IS_NOISY)
        assert_non_null(strstr(outcome->said, said));
    else
        assert_string_equal(outcome->said, said);
    assert_true(WIFSIGNALED(outcome->status));
    assert_int_equal(WTERMSIG(outcome->status), SIGSEGV);
}

static void assert_exited(const struct outcome *outcome, int code)
{
    assert_true(WIFEXITED(outcome->status));
    assert_int_equal(WEXITSTATUS(outcome->status), code);
}

// ---- Overflows ---------------------------------------------------------------------------------

// Keeps the compiler from making a frame smaller.
static int sink(volatile char *bytes)
{
    __asm__ volatile("" : : "r"(bytes) : "memory");
    return bytes[0];
}

// NOLINTNEXTLINE(misc-no-recursion): that is the point
__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[100];
    frame[0] = (char)depth;
    return depth == 0 ? 0 : recurse(depth + 1) + sink(frame);
}

static void recurse_for_ever(void *arg)
{
    *(int *)arg = recurse(1);
}

static void use_64_kib(void *arg)
{
    volatile char frame[64 * 1024];
    frame[0] = 1;
    *(int *)arg = sink(frame);
}

// The probes of -fstack-clash-protection come before anything is written below the guard.
static void use_a_megabyte(void *arg)
{
    volatile char frame[1024 * 1024];
    frame[0] = 1;
    *(int *)arg = sink(frame);
}

static void use_most(void *arg)
{
    volatile char frame[60 * 1024];
    frame[0] = 1;
    *(int *)arg = sink(frame);
}

static void go_on_watched(void (*run)(void *arg))
{
    int result = -1;
    for (int i = 0; i < 2; i++) // the second time it has nothing to do
        if (coro_watch_overflow() < 0)
            _exit(3);
    // One beside it, in whose stack nothing may be changed.
    struct task *other = make_task(use_most, &result);
    go_on(make_task(run, &result));
    go_on(other);
    _exit(result);
}

static void overflow_by_small_frames(void)
{
    go_on_watched(recurse_for_ever);
}

static void overflow_by_64_kib(void)
{
    go_on_watched(use_64_kib);
}

static void overflow_by_a_megabyte(void)
{
    go_on_watched(use_a_megabyte);
}

static void fill_most(void)
{
    go_on_watched(use_most);
}

static void small_frames_that_overflow_are_named(void **state)
{
    (void)state;
    assert_killed(outcome_of(overflow_by_small_frames), LINE);
}

static void one_frame_of_64_kib_that_overflows_is_named(void **state)
{
    (void)state;
    if (leave_out(UNDER_ASAN, "it reports the frame itself"))
        return;
    assert_killed(outcome_of(overflow_by_64_kib), LINE);
}

static void a_frame_that_is_larger_than_the_guard_is_named(void **state)
{
    (void)state;
    if (leave_out(UNDER_ASAN, "it reports the frame itself"))
        return;
    assert_killed(outcome_of(overflow_by_a_megabyte), LINE);
}

static void most_of_the_stack_can_be_used(void **state)
{
    (void)state;
    assert_exited(outcome_of(fill_most), 1);
}

static void overflow_unwatched(void)
{
    int result;
    go_on(make_task(recurse_for_ever, &result));
}

static void an_overflow_that_nobody_watches_is_silent(void **state)
{
    (void)state;
    assert_killed(outcome_of(overflow_unwatched), "");
}

static void *overflow_in_this_thread(void *arg)
{
    coro_adopt(&root);
    go_on_watched(recurse_for_ever);
    return arg;
}

static void overflow_in_a_thread(void)
{
    pthread_t thread;
    (void)coro_watch_overflow();
    if (pthread_create(&thread, NULL, overflow_in_this_thread, NULL) == 0)
        (void)pthread_join(thread, NULL);
}

static void each_thread_is_watched(void **state)
{
    (void)state;
    assert_killed(outcome_of(overflow_in_a_thread), LINE);
}

static void *watch(void *arg)
{
    return coro_watch_overflow() == 0 ? arg : NULL;
}

static void threads_that_are_watched_end(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        void *result = NULL;
        assert_int_equal(pthread_create(&thread, NULL, watch, &i), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, &i);
    }
}

static void overflow_under(const char *name)
{
    int result = 0;
    (void)coro_watch_overflow();
    struct task *task = (struct task *)coro_take_stack() - 1;
    task->run = recurse_for_ever;
    task->arg = &result;
    coro_init(&task->coro, task, name, run_task, task);
    go_on(task);
}

static void overflow_with_a_long_name(void)
{
    static char name[1000];
    memset(name, 'n', sizeof name - 1);
    overflow_under(name);
}

static void overflow_without_a_name(void)
{
    overflow_under(NULL);
}

static void who_has_no_name_is_told_as_such(void **state)
{
    (void)state;
    const char *said = outcome_of(overflow_without_a_name)->said;
    assert_non_null(strstr(said, "doorbell: handler (without a name) overflowed its stack"));
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    const char *at = strstr(outcome_of(overflow_with_a_long_name)->said, "doorbell: handler nnn");
    assert_non_null(at);
    assert_non_null(strstr(at, "nnn overflowed its stack of 64 KiB; large buffers "));
}

// ---- Other faults ------------------------------------------------------------------------------

static volatile char *forbidden(void)
{
    return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void touch_forbidden(void *arg)
{
    (void)arg;
    *forbidden() = 1;
}

static void touch_in_a_coroutine(void)
{
    go_on_watched(touch_forbidden);
}

static void touch_on_the_threads_stack(void)
{
    (void)coro_watch_overflow();
    touch_forbidden(NULL);
}

static void other_faults_are_silent(void **state)
{
    (void)state;
    assert_killed(outcome_of(touch_in_a_coroutine), "");
    assert_killed(outcome_of(touch_on_the_threads_stack), "");
}

static volatile char *opened;

static void open_page(int number)
{
    (void)number;
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    if (!sigismember(&blocked, SIGSEGV) || !sigismember(&blocked, SIGUSR1))
        _exit(4);
    (void)mprotect((void *)(uintptr_t)opened, 4096, PROT_READ | PROT_WRITE);
}

static void open_page_of_info(int number, siginfo_t *info, void *context)
{
    if (!context || info->si_addr != (void *)(uintptr_t)opened)
        _exit(5);
    open_page(number);
}

static void mend_a_fault(struct sigaction *action)
{
    (void)sigaddset(&action->sa_mask, SIGUSR1);
    (void)sigaction(SIGSEGV, action, NULL);
    (void)coro_watch_overflow();
    for (int i = 0; i < 3; i++) {
        opened = forbidden();
        *opened = 42;
        if (*opened != 42)
            _exit(6);
    }
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    _exit(sigismember(&blocked, SIGUSR1) ? 7 : 8);
}

static void mend_by_number(void)
{
    struct sigaction action = {.sa_handler = open_page};
    mend_a_fault(&action);
}

static void mend_by_info(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = open_page_of_info;
    mend_a_fault(&action);
}

static void open_page_undeferred(int number)
{
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    if (sigismember(&blocked, number))
        _exit(4);
    (void)mprotect((void *)(uintptr_t)opened, 4096, PROT_READ | PROT_WRITE);
}

static void mend_undeferred(void)
{
    struct sigaction action = {.sa_handler = open_page_undeferred, .sa_flags = SA_NODEFER};
    mend_a_fault(&action);
}

static void a_handler_from_before_is_called_as_the_kernel_would(void **state)
{
    (void)state;
    if (leave_out(UNDER_VALGRIND, "a fault is an error there, also when it is mended"))
        return;
    assert_exited(outcome_of(mend_by_number), 8);
    assert_exited(outcome_of(mend_by_info), 8);
    if (leave_out(UNDER_TSAN, "it blocks every signal in a handler"))
        return;
    assert_exited(outcome_of(mend_undeferred), 8);
}

static void say_once(int number)
{
    (void)number;
    (void)!write(2, "once\n", 5);
}

static void fault_with_a_handler_for_once(void)
{
    struct sigaction action = {.sa_handler = say_once};
    action.sa_flags |= (int)SA_RESETHAND;
    (void)sigaction(SIGSEGV, &action, NULL);
    touch_on_the_threads_stack();
}

static void a_handler_for_once_is_called_once(void **state)
{
    (void)state;
    assert_killed(outcome_of(fault_with_a_handler_for_once), "once\n");
}

static void overflow_with_a_handler(void)
{
    (void)signal(SIGSEGV, say_once);
    go_on_watched(recurse_for_ever);
}

static void an_overflow_is_not_for_other_handlers(void **state)
{
    (void)state;
    assert_killed(outcome_of(overflow_with_a_handler), LINE);
}

static void send_to_itself(void)
{
    (void)coro_watch_overflow();
    (void)kill(getpid(), SIGSEGV);
}

static void send_to_itself_ignoring(void)
{
    (void)signal(SIGSEGV, SIG_IGN);
    send_to_itself();
}

static void fault_ignoring(void)
{
    (void)signal(SIGSEGV, SIG_IGN);
    touch_on_the_threads_stack();
}

static void a_signal_that_was_sent_does_what_it_did(void **state)
{
    (void)state;
    assert_killed(outcome_of(send_to_itself), "");
    assert_exited(outcome_of(send_to_itself_ignoring), 0);
    assert_killed(outcome_of(fault_ignoring), "");
}

static void overflow_on_a_foreign_signal_stack(void)
{
    stack_t stack = {.ss_size = 65536}, now;
    stack.ss_sp = malloc(stack.ss_size);
    (void)sigaltstack(&stack, NULL);
    (void)coro_watch_overflow();
    (void)sigaltstack(NULL, &now);
    if (now.ss_sp != stack.ss_sp)
        _exit(3);
    go_on_watched(recurse_for_ever);
}

static void a_signal_stack_from_before_is_used(void **state)
{
    (void)state;
    assert_killed(outcome_of(overflow_on_a_foreign_signal_stack), LINE);
}

// ---- When it cannot be watched -----------------------------------------------------------------

static struct kernel_ops table;
static int unmaps;
static char not_mapped[65536];

static void *map_nothing(size_t size, bool is_shared)
{
    (void)size, (void)is_shared;
    return NULL;
}

static void *map_something(size_t size, bool is_shared)
{
    (void)is_shared;
    return size <= sizeof not_mapped ? not_mapped : NULL;
}

static void count_unmap(void *memory, size_t size)
{
    unmaps += memory == not_mapped && size <= sizeof not_mapped;
}

static void use_table(void *(*map)(size_t size, bool is_shared))
{
    table = kernel_real;
    table.map = map;
    table.unmap = count_unmap;
    kernel = &table;
}

static void take_keys(int count)
{
    pthread_key_t key;
    for (int i = 0; i < count && pthread_key_create(&key, NULL) == 0; i++)
        continue;
}

// What the system said is said every time.
static bool fails_twice(int error)
{
    int first = coro_watch_overflow();
    return first == error && coro_watch_overflow() == error;
}

static void watch_without_a_key(void)
{
    take_keys(INT_MAX);
    _exit(fails_twice(-EAGAIN) ? 9 : 3);
}

static void watch_without_a_signal_stack(void)
{
    use_table(map_nothing);
    if (!fails_twice(-ENOMEM))
        _exit(3);
    kernel = &kernel_real;
    go_on_watched(recurse_for_ever);
}

// Takes what the heap has still, in one long chain.
static void take_the_heap(void)
{
    static void **last;
    for (void **piece; (piece = malloc(16)); last = piece)
        *piece = last;
}

// Most keys have a place in the thread itself; from the 32nd on it takes memory.
static void watch_without_memory_for_the_key(void)
{
    const struct rlimit none = {.rlim_cur = 1, .rlim_max = 1};
    take_keys(40);
    use_table(map_something);
    (void)setrlimit(RLIMIT_AS, &none);
    take_the_heap();
    if (coro_watch_overflow() != -ENOMEM || unmaps != 1)
        _exit(3);
    stack_t now;
    (void)sigaltstack(NULL, &now);
    _exit(now.ss_flags & SS_DISABLE ? 9 : 4);
}

static void who_cannot_be_watched_is_told_so(void **state)
{
    (void)state;
    assert_exited(outcome_of(watch_without_a_key), 9);
    if (leave_out(IS_CHECKED, "checkers have signal stacks, and end a program that gets no memory"))
        return;
    assert_killed(outcome_of(watch_without_a_signal_stack), LINE); // when there was one again
    assert_exited(outcome_of(watch_without_memory_for_the_key), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_frames_that_overflow_are_named),
        cmocka_unit_test(one_frame_of_64_kib_that_overflows_is_named),
        cmocka_unit_test(a_frame_that_is_larger_than_the_guard_is_named),
        cmocka_unit_test(most_of_the_stack_can_be_used),
        cmocka_unit_test(an_overflow_that_nobody_watches_is_silent),
        cmocka_unit_test(each_thread_is_watched),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(who_has_no_name_is_told_as_such),
        cmocka_unit_test(other_faults_are_silent),
        cmocka_unit_test(a_handler_from_before_is_called_as_the_kernel_would),
        cmocka_unit_test(a_handler_for_once_is_called_once),
        cmocka_unit_test(an_overflow_is_not_for_other_handlers),
        cmocka_unit_test(a_signal_that_was_sent_does_what_it_did),
        cmocka_unit_test(a_signal_stack_from_before_is_used),
        cmocka_unit_test(who_cannot_be_watched_is_told_so),
        // Last: from then on this process watches.
        cmocka_unit_test(threads_that_are_watched_end),
    };
    return cmocka_run_group_tests_name("overflow", tests, NULL, NULL);
}
