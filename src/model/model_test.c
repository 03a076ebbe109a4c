// Who runs a handler, in a kernel whose processes only seem to be: they end when a test says so, and time passes
// when nothing else happens.

#include "model/model.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "kernel/kernel.h"
#include "wait/backend.h"

#define MS ((int64_t)1000000)
#define SECOND (1000 * MS)
#define NEVER INT64_MAX

// ---- The kernel ------------------------------------------------------------------------------------

enum { PROCESSES_MAX = 32, FIRST_PID = 1000 };

static const int64_t begin_of_time = SECOND;

static struct kernel_ops table;
static int64_t clock_now;
static struct process {
    int64_t ends;
    int fd;
    int status;
} processes[PROCESSES_MAX];
static int process_count;
static int64_t lives;        // how long each process does, from its start or from the stop
static bool ends_after_stop; // it counts from the stop
static int ends_with;        // its status
static int fork_error, good_forks, bad_forks; // so many go well, then so many do not
static int pidfd_error, bad_pidfds;
static int early_reaps; // so many find a process that still runs
static int reap_error;
static int allocations; // that go well; -1: all of them
static int eventfd_error;
static int64_t stop_at, cut_at;
static int stop_fd, cut_fd;
static int last_closed;
static char memory[2048];
static struct text story;

#define TELL(...) text_addf(&story, __VA_ARGS__)

static long long ms_now(void)
{
    return (clock_now - begin_of_time) / MS;
}

static int64_t fake_now(void)
{
    return clock_now;
}

static bool takes_place(int *count)
{
    if (*count == 0)
        return false;
    --*count;
    return true;
}

static int fake_fork(void)
{
    if (good_forks)
        good_forks--;
    else if (takes_place(&bad_forks))
        return fork_error;
    assert_true(process_count < PROCESSES_MAX);
    struct process *process = &processes[process_count];
    process->fd = kernel_real.eventfd();
    process->ends = ends_after_stop ? stop_at + lives : lives == NEVER ? NEVER : clock_now + lives;
    process->status = ends_with;
    return FIRST_PID + process_count++;
}

static int fake_pidfd_open(int pid)
{
    return takes_place(&bad_pidfds) ? pidfd_error : processes[pid - FIRST_PID].fd;
}

static struct process *process_of(int pidfd)
{
    for (int i = 0; i < process_count; i++)
        if (processes[i].fd == pidfd)
            return &processes[i];
    fail_msg("there is no process behind %d", pidfd);
    return NULL;
}

static int fake_reap(int pidfd, int *ret_status)
{
    if (takes_place(&early_reaps))
        return 0;
    struct process *process = process_of(pidfd);
    process->fd = -1; // the number is free soon
    *ret_status = process->status;
    return reap_error ? reap_error : 1;
}

static int fake_kill(int pidfd, int signal)
{
    struct process *process = process_of(pidfd);
    TELL("%lld: process %d gets signal %d\n", ms_now(), (int)(process - processes), signal);
    process->ends = clock_now;
    process->status = signal;
    return 0;
}

static void fake_kill_and_reap(int pid)
{
    TELL("%lld: process %d is killed and reaped\n", ms_now(), pid - FIRST_PID);
    processes[pid - FIRST_PID].ends = NEVER;
    (void)kernel_real.close(processes[pid - FIRST_PID].fd);
}

static void *fake_allocate(size_t size)
{
    if (allocations == 0)
        return NULL;
    allocations -= allocations > 0;
    return kernel_real.allocate(size);
}

static int fake_eventfd(void)
{
    return eventfd_error ? eventfd_error : kernel_real.eventfd();
}

static int fake_close(int fd)
{
    last_closed = fd;
    return kernel_real.close(fd);
}

// It becomes readable when its time has come, and is no event of the future any more.
static void ring(int64_t *when, int fd)
{
    const uint64_t one = 1;
    if (*when > clock_now)
        return;
    *when = NEVER;
    assert_int_equal(kernel_real.write(fd, &one, sizeof one), sizeof one);
}

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t ring_all(void)
{
    ring(&stop_at, stop_fd);
    ring(&cut_at, cut_fd);
    int64_t next = earlier(stop_at, cut_at);
    for (int i = 0; i < process_count; i++) {
        ring(&processes[i].ends, processes[i].fd);
        next = earlier(next, processes[i].ends);
    }
    return next;
}

static int fake_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t deadline)
{
    for (;;) {
        int64_t next = earlier(deadline, ring_all());
        int n = kernel_real.epoll_wait(epoll, events, count, 0);
        if (n != 0 || deadline <= clock_now)
            return n;
        assert_true(next != NEVER); // or nothing would ever happen again
        clock_now = next;
    }
}

static int fake_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    if (count == 0)
        clock_now = deadline;
    return kernel_real.ppoll(fds, count, 0);
}

// ---- The layer above -------------------------------------------------------------------------------

static bool has_helpers;    // threads of the library's own
static int work_results[4]; // of the workers
static int end_helpers_calls;

static int crew_work(struct crew *self, int worker)
{
    (void)self;
    return work_results[worker];
}

static bool crew_end_helpers(struct crew *self)
{
    (void)self;
    end_helpers_calls++;
    return has_helpers;
}

static void crew_over(struct crew *self, struct caller *caller, int problem)
{
    (void)self;
    TELL("%lld: a caller is over: %d\n", ms_now(), problem);
    task_wake(&caller->home->root);
}

static void crew_stop_listening(struct crew *self)
{
    (void)self;
    TELL("%lld: nobody may call\n", ms_now());
}

static void crew_worker_lost(struct crew *self, int worker, int status, int64_t delay)
{
    (void)self;
    TELL("%lld: worker %d is lost: %d; the next one in %lld ms\n", ms_now(), worker, status,
         (long long)(delay / MS));
}

static const struct crew_ops crew_ops = {
    .work = crew_work,
    .end_helpers = crew_end_helpers,
    .over = crew_over,
    .stop_listening = crew_stop_listening,
    .worker_lost = crew_worker_lost,
};

static struct crew crew;

static int begin(void **state)
{
    (void)state;
    table = kernel_real;
    table.now = table.now_coarse = fake_now;
    table.fork = fake_fork;
    table.pidfd_open = fake_pidfd_open;
    table.reap = fake_reap;
    table.kill = fake_kill;
    table.kill_and_reap = fake_kill_and_reap;
    table.allocate = fake_allocate;
    table.eventfd = fake_eventfd;
    table.close = fake_close;
    table.epoll_wait = fake_epoll_wait;
    table.ppoll = fake_ppoll;
    kernel = &table;
    text_init(&story, memory, sizeof memory);
    clock_now = begin_of_time;
    process_count = 0;
    lives = stop_at = cut_at = NEVER;
    ends_with = good_forks = bad_forks = bad_pidfds = early_reaps = reap_error = eventfd_error = 0;
    ends_after_stop = has_helpers = false;
    end_helpers_calls = 0;
    allocations = -1;
    stop_fd = kernel_real.eventfd();
    cut_fd = kernel_real.eventfd();
    memset(work_results, 0, sizeof work_results);
    crew = (struct crew){
        .ops = &crew_ops,
        .backend = &backend_epoll,
        .name = "test",
        .workers = 1,
        .stop_fd = stop_fd,
        .cut_fd = cut_fd,
    };
    return 0;
}

static int end(void **state)
{
    (void)state;
    kernel = &kernel_real;
    (void)kernel_real.close(stop_fd);
    (void)kernel_real.close(cut_fd);
    return 0;
}

// ---- Names -----------------------------------------------------------------------------------------

static void each_name_of_the_list_is_a_model(void **state)
{
    (void)state;
    char names[128], *rest = names, *name;
    int count = 0;
    assert_in_range(snprintf(names, sizeof names, "%s", model_names()), 1, sizeof names - 1);
    while ((name = strsep(&rest, ","))) {
        name += strspn(name, " ");
        assert_non_null(model_find(name));
        assert_string_equal(model_find(name)->name, name);
        count++;
    }
    assert_int_equal(count, 6);
    assert_string_equal(model_find(NULL)->name, "coroutines");
    assert_ptr_equal(model_find("coro"), model_find("coroutines"));
    assert_null(model_find("event-driven"));
    assert_null(model_find(""));
}

// ---- Worker processes ------------------------------------------------------------------------------

static int serve(void)
{
    return model_run_processes(&crew);
}

static void a_crash_loop_slows_down(void **state)
{
    (void)state;
    lives = 0;
    ends_with = SIGSEGV;
    stop_at = begin_of_time + 30 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "0: worker 0 is lost: 11; the next one in 0 ms\n"
                                "0: worker 0 is lost: 11; the next one in 100 ms\n"
                                "100: worker 0 is lost: 11; the next one in 1000 ms\n"
                                "1100: worker 0 is lost: 11; the next one in 4000 ms\n"
                                "5100: worker 0 is lost: 11; the next one in 10000 ms\n"
                                "15100: worker 0 is lost: 11; the next one in 10000 ms\n"
                                "25100: worker 0 is lost: 11; the next one in 10000 ms\n");
    assert_int_equal(process_count, 7);
}

static void who_lived_for_ten_seconds_was_in_no_crash_loop(void **state)
{
    (void)state;
    lives = 10 * SECOND;
    stop_at = begin_of_time + 35 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "10000: worker 0 is lost: 0; the next one in 0 ms\n"
                                "20000: worker 0 is lost: 0; the next one in 0 ms\n"
                                "30000: worker 0 is lost: 0; the next one in 0 ms\n"
                                "35100: nobody may call\n"
                                "36000: process 3 gets signal 9\n");
}

static void each_worker_has_its_own_crash_loop(void **state)
{
    (void)state;
    crew.workers = 2;
    lives = 5 * SECOND;
    stop_at = begin_of_time + 12 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "5000: worker 0 is lost: 0; the next one in 0 ms\n"
                                "5000: worker 1 is lost: 0; the next one in 0 ms\n"
                                "10000: worker 0 is lost: 0; the next one in 100 ms\n"
                                "10000: worker 1 is lost: 0; the next one in 100 ms\n"
                                "12100: nobody may call\n"
                                "13000: process 4 gets signal 9\n"
                                "13000: process 5 gets signal 9\n");
}

static void workers_that_end_at_the_stop_are_not_killed(void **state)
{
    (void)state;
    crew.workers = 2;
    crew.grace = 30 * SECOND;
    ends_after_stop = true;
    lives = 50 * MS;
    stop_at = begin_of_time + 5 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "");
    assert_int_equal(ms_now(), 5050);
}

static void who_does_not_end_is_killed_after_the_grace_time(void **state)
{
    (void)state;
    crew.grace = 2 * SECOND;
    stop_at = begin_of_time + 5 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "5100: nobody may call\n"
                                "8000: process 0 gets signal 9\n");
}

static void a_cut_ends_the_grace_time(void **state)
{
    (void)state;
    crew.grace = 30 * SECOND;
    stop_at = begin_of_time + 5 * SECOND;
    cut_at = begin_of_time + 6 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "5100: nobody may call\n"
                                "7000: process 0 gets signal 9\n");
}

static void a_worker_that_runs_still_is_watched_on(void **state)
{
    (void)state;
    lives = 2 * SECOND;
    early_reaps = 3;
    stop_at = begin_of_time + 2 * SECOND; // in the same moment: it is not made good
    assert_int_equal(serve(), 0);
    assert_int_equal(early_reaps, 0);
    assert_int_equal(process_count, 1);
}

static void a_worker_that_others_reaped_is_lost_all_the_same(void **state)
{
    (void)state;
    lives = 3 * SECOND;
    ends_with = SIGSEGV;
    reap_error = -ECHILD;
    stop_at = begin_of_time + 4 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "3000: worker 0 is lost: 0; the next one in 0 ms\n"
                                "4100: nobody may call\n"
                                "5000: process 1 gets signal 9\n");
}

static void where_no_process_can_be_made_nothing_is_served(void **state)
{
    (void)state;
    crew.workers = 3;
    bad_forks = 1;
    fork_error = -EAGAIN;
    assert_int_equal(serve(), -EAGAIN);
    assert_string_equal(memory, "");
    assert_int_equal(process_count, 0);
}

static void with_one_worker_the_others_may_come_later(void **state)
{
    (void)state;
    crew.workers = 2;
    good_forks = 1;
    bad_forks = 2;
    fork_error = -EAGAIN;
    ends_after_stop = true;
    lives = 0;
    stop_at = begin_of_time + 5 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "0: worker 1 is lost: -11; the next one in 1000 ms\n"
                                "1000: worker 1 is lost: -11; the next one in 1000 ms\n");
    assert_int_equal(process_count, 2);
}

static void who_has_no_process_is_not_killed(void **state)
{
    (void)state;
    crew.workers = 2;
    good_forks = 1;
    bad_forks = 100;
    fork_error = -EAGAIN;
    stop_at = begin_of_time + SECOND / 2;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "0: worker 1 is lost: -11; the next one in 1000 ms\n"
                                "600: nobody may call\n"
                                "1500: process 0 gets signal 9\n");
    assert_int_equal(bad_forks, 99); // and it got none after the stop
}

// A process with threads cannot fork.
static void threads_of_others_forbid_processes(void **state)
{
    (void)state;
    bad_forks = 100;
    fork_error = -EBUSY;
    assert_int_equal(serve(), -EBUSY);
    assert_int_equal(bad_forks, 99);
    assert_int_equal(ms_now(), 0);
}

static void threads_of_the_library_end_and_then_it_forks(void **state)
{
    (void)state;
    has_helpers = true;
    bad_forks = 3;
    fork_error = -EBUSY;
    ends_after_stop = true;
    lives = 0;
    stop_at = begin_of_time + SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "");
    assert_int_equal(process_count, 1);
    assert_int_equal(end_helpers_calls, 1);
}

static void a_helper_at_work_delays_the_first_worker(void **state)
{
    (void)state;
    has_helpers = true;
    bad_forks = 6;
    fork_error = -EBUSY;
    ends_after_stop = true;
    lives = 0;
    stop_at = begin_of_time + 5 * SECOND;
    assert_int_equal(serve(), 0);
    assert_string_equal(memory, "5: worker 0 is lost: -16; the next one in 1000 ms\n");
    assert_int_equal(process_count, 1);
}

static void a_process_that_cannot_be_watched_is_not_kept(void **state)
{
    (void)state;
    bad_pidfds = 1;
    pidfd_error = -EMFILE;
    assert_int_equal(serve(), -EMFILE);
    assert_string_equal(memory, "0: process 0 is killed and reaped\n");
}

static void without_memory_or_a_loop_nothing_is_served(void **state)
{
    (void)state;
    for (allocations = 0; allocations < 3; allocations++) {
        int count = allocations; // the supervisor, its workers, the loop
        assert_int_equal(serve(), -ENOMEM);
        allocations = count;
    }
    allocations = -1;
    eventfd_error = -EMFILE;
    assert_int_equal(serve(), -EMFILE);
    assert_int_equal(process_count, 0);
}

// ---- A process for each caller ---------------------------------------------------------------------

static struct loop loop;
static struct caller caller;

static int begin_caller(void **state)
{
    int rc = begin(state);
    assert_int_equal(loop_open(&loop, &backend_epoll), 0);
    caller = (struct caller){.crew = &crew, .fd = kernel_real.eventfd()};
    return rc;
}

static int end_caller(void **state)
{
    if (caller.fd >= 0)
        (void)kernel_real.close(caller.fd);
    loop_close(&loop);
    return end(state);
}

static void serve_caller(void)
{
    int fd = caller.fd;
    assert_int_equal(model_launch_process(&crew, &caller), 0);
    assert_int_equal(caller.fd, -1);
    assert_int_equal(last_closed, fd); // or he would not see the end of his stream
    task_pause(&loop.root);
    assert_null(caller.child);
}

static void a_caller_is_over_when_his_process_is(void **state)
{
    (void)state;
    lives = 3 * SECOND;
    ends_with = 7 << 8;
    serve_caller();
    assert_string_equal(memory, "3000: a caller is over: 1792\n");
}

static void a_callers_process_that_runs_still_is_watched_on(void **state)
{
    (void)state;
    lives = 3 * SECOND;
    early_reaps = 2;
    serve_caller();
    assert_int_equal(early_reaps, 0);
    assert_string_equal(memory, "3000: a caller is over: 0\n");
}

// As in a program that ignores SIGCHLD.
static void who_was_reaped_by_others_is_over_without_a_problem(void **state)
{
    (void)state;
    lives = SECOND;
    ends_with = SIGSEGV;
    reap_error = -ECHILD;
    serve_caller();
    assert_string_equal(memory, "1000: a caller is over: 0\n");
}

static void who_was_reaped_before_he_could_be_watched_is_over(void **state)
{
    (void)state;
    bad_pidfds = 1;
    pidfd_error = -ESRCH;
    serve_caller();
    assert_string_equal(memory, "0: a caller is over: 0\n");
    (void)kernel_real.close(processes[0].fd);
}

static void for_want_of_a_descriptor_he_is_watched_a_little_later(void **state)
{
    (void)state;
    lives = 0;
    ends_with = SIGSEGV;
    bad_pidfds = 3;
    pidfd_error = -EMFILE;
    serve_caller();
    assert_string_equal(memory, "30: a caller is over: 11\n");
}

static void who_gets_no_process_stays_with_who_accepted_him(void **state)
{
    (void)state;
    int fd = caller.fd;
    allocations = 0;
    assert_int_equal(model_launch_process(&crew, &caller), -ENOMEM);
    allocations = -1;
    bad_forks = 2;
    fork_error = -EAGAIN;
    assert_int_equal(model_launch_process(&crew, &caller), -EAGAIN);
    fork_error = -EBUSY;
    assert_int_equal(model_launch_process(&crew, &caller), -EBUSY);
    assert_int_equal(bad_forks, 0);
    assert_int_equal(caller.fd, fd);
    assert_null(caller.child);
    assert_int_not_equal(last_closed, fd);
}

// In the process of another caller.
static void only_what_watches_a_process_is_closed_in_another(void **state)
{
    (void)state;
    struct caller served_elsewhere = {.crew = &crew};
    last_closed = -1;
    model_forget_child(&served_elsewhere); // by no process
    assert_int_equal(last_closed, -1);

    lives = 0;
    bad_pidfds = 1;
    pidfd_error = -EMFILE;
    assert_int_equal(model_launch_process(&crew, &caller), 0);
    last_closed = -1;
    model_forget_child(&caller); // by one that is not watched yet
    assert_int_equal(last_closed, -1);
    task_pause(&loop.root);

    caller.fd = kernel_real.eventfd();
    assert_int_equal(model_launch_process(&crew, &caller), 0);
    int copy = kernel_real.dup(processes[1].fd); // the test's, since it is no other process
    model_forget_child(&caller);
    assert_int_equal(last_closed, processes[1].fd);
    assert_int_equal(dup2(copy, processes[1].fd), processes[1].fd);
    (void)kernel_real.close(copy);
    task_pause(&loop.root);
}

// ---- Worker threads --------------------------------------------------------------------------------

static int no_thread(void (*run)(void *arg), void *arg, size_t stack_size)
{
    (void)run, (void)arg, (void)stack_size;
    return -EAGAIN;
}

static void the_first_problem_of_a_worker_is_the_servers(void **state)
{
    (void)state;
    crew.workers = 3;
    assert_int_equal(model_run_threads(&crew), 0);
    work_results[2] = -ENOMEM;
    assert_int_equal(model_run_threads(&crew), -ENOMEM);
    work_results[1] = -ENOMEM; // two of them
    assert_int_equal(model_run_threads(&crew), -ENOMEM);
    work_results[0] = -EIO; // but that of the caller's own thread counts most
    assert_int_equal(model_run_threads(&crew), -EIO);
}

static void without_threads_the_calling_one_works_alone(void **state)
{
    (void)state;
    crew.workers = 3;
    table.thread_start = no_thread;
    assert_int_equal(model_run_threads(&crew), -EAGAIN);
    work_results[0] = -EIO;
    assert_int_equal(model_run_threads(&crew), -EIO);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define CALLER(name) cmocka_unit_test_setup_teardown(name, begin_caller, end_caller)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_name_of_the_list_is_a_model),
        CASE(a_crash_loop_slows_down),
        CASE(who_lived_for_ten_seconds_was_in_no_crash_loop),
        CASE(each_worker_has_its_own_crash_loop),
        CASE(workers_that_end_at_the_stop_are_not_killed),
        CASE(who_does_not_end_is_killed_after_the_grace_time),
        CASE(a_cut_ends_the_grace_time),
        CASE(a_worker_that_runs_still_is_watched_on),
        CASE(a_worker_that_others_reaped_is_lost_all_the_same),
        CASE(where_no_process_can_be_made_nothing_is_served),
        CASE(with_one_worker_the_others_may_come_later),
        CASE(who_has_no_process_is_not_killed),
        CASE(threads_of_others_forbid_processes),
        CASE(threads_of_the_library_end_and_then_it_forks),
        CASE(a_helper_at_work_delays_the_first_worker),
        CASE(a_process_that_cannot_be_watched_is_not_kept),
        CASE(without_memory_or_a_loop_nothing_is_served),
        CALLER(a_caller_is_over_when_his_process_is),
        CALLER(a_callers_process_that_runs_still_is_watched_on),
        CALLER(who_was_reaped_by_others_is_over_without_a_problem),
        CALLER(who_was_reaped_before_he_could_be_watched_is_over),
        CALLER(for_want_of_a_descriptor_he_is_watched_a_little_later),
        CALLER(who_gets_no_process_stays_with_who_accepted_him),
        CALLER(only_what_watches_a_process_is_closed_in_another),
        CASE(the_first_problem_of_a_worker_is_the_servers),
        CASE(without_threads_the_calling_one_works_alone),
    };
    return cmocka_run_group_tests_name("models", tests, NULL, NULL);
}
