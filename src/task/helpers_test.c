// Helper threads.

#include "task/helpers.h"

#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coro/checkers.h"
#include "task/task_test.h"

enum { BLOCK_MAX = 16, NAMES_MAX = 8 };

static int return_number(void *arg)
{
    return *(int *)arg;
}

static void await(bell_group *group)
{
    assert_int_equal(bell_group_wait(group, SOON), 0);
    bell_group_close(group);
}

static void semaphore(sem_t *semaphore)
{
    assert_int_equal(sem_init(semaphore, 0, 0), 0);
}

// Waits for a helper, in a task: without a semaphore's wait, which would hold up the loop.
static void await_post(sem_t *semaphore)
{
    while (sem_trywait(semaphore) < 0)
        assert_int_equal(bell_sleep(0), 0);
}

// ---- bell_block -----------------------------------------------------------------------------------

static int no_thread(void (*run)(void *arg), void *arg, size_t stack_size)
{
    (void)run;
    (void)arg;
    (void)stack_size;
    return -ENOMEM;
}

// Must come first: threads that are idle would do it.
static void without_any_thread_nothing_runs(void)
{
    int number = 1, result = 5;
    table.thread_start = no_thread;
    ASSERT_FAILS(bell_block(return_number, &number, &result), EAGAIN);
    table.thread_start = kernel_real.thread_start;
    assert_int_equal(result, 5);
}

static void the_result_comes_back(void)
{
    int number = 77, result = 0;
    assert_int_equal(bell_block(return_number, &number, &result), 0);
    assert_int_equal(result, 77);
    assert_int_equal(bell_block(return_number, &number, NULL), 0);
    ASSERT_FAILS(bell_block(NULL, NULL, NULL), EINVAL);
}

static int wait_for_post(void *posted)
{
    while (sem_wait(posted) < 0)
        continue;
    return 0;
}

static int block_in_task(void *posted)
{
    return bell_block(wait_for_post, posted, NULL);
}

static void others_go_on_meanwhile(void)
{
    sem_t posted;
    semaphore(&posted);
    bell_group *group = bell_group_open();
    assert_int_equal(bell_go(group, block_in_task, &posted), 0);
    assert_int_equal(bell_sleep(0), 0);
    assert_int_equal(sem_post(&posted), 0); // by a task of the same loop
    await(group);
    sem_destroy(&posted);
}

static void what_is_done_in_a_yield_is_noticed(void)
{
    int number = 3;
    for (int i = 0; i < 300; i++) {
        be_tired();
        assert_int_equal(bell_block(return_number, &number, NULL), 0);
    }
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void without_memory_nothing_is_blocked(void)
{
    int number = 3;
    ASSERT_FAILS(bell_block(NULL, NULL, NULL), EINVAL); // for the sentence, which needs memory
    table.allocate = no_memory;
    ASSERT_FAILS(bell_block(return_number, &number, NULL), ENOMEM);
    table.allocate = kernel_real.allocate;
}

static void *block_without_a_loop(void *arg)
{
    int number = 3;
    ASSERT_FAILS_WITHOUT_A_LOOP(bell_block(return_number, &number, NULL));
    return arg;
}

static void without_a_loop_nothing_is_blocked(void)
{
    on_a_thread_without_a_loop(block_without_a_loop, NULL);
}

// ---- The pool -------------------------------------------------------------------------------------

struct crowd {
    sem_t begun, may_end;
    atomic_int running, running_max, order[3], next;
};

static void new_crowd(struct crowd *crowd)
{
    memset(crowd, 0, sizeof *crowd);
    semaphore(&crowd->begun);
    semaphore(&crowd->may_end);
}

static int run_in_crowd(void *arg)
{
    struct crowd *crowd = arg;
    int running = atomic_fetch_add(&crowd->running, 1) + 1;
    int max = atomic_load(&crowd->running_max);
    while (running > max && !atomic_compare_exchange_weak(&crowd->running_max, &max, running))
        continue;
    sem_post(&crowd->begun);
    (void)wait_for_post(&crowd->may_end);
    atomic_fetch_sub(&crowd->running, 1);
    return 0;
}

static int block_in_crowd(void *crowd)
{
    return bell_block(run_in_crowd, crowd, NULL);
}

static bell_group *fill_pool(struct crowd *crowd, int count)
{
    bell_group *group = bell_group_open();
    for (int i = 0; i < count; i++)
        assert_int_equal(bell_go(group, block_in_crowd, crowd), 0);
    for (int i = 0; i < BLOCK_MAX; i++)
        await_post(&crowd->begun);
    return group;
}

static void finish_crowd(struct crowd *crowd)
{
    sem_destroy(&crowd->begun);
    sem_destroy(&crowd->may_end);
}

// That so many run at once is also what shows that none waits behind another one's thread.
static void sixteen_run_at_once(void)
{
    struct crowd crowd;
    new_crowd(&crowd);
    bell_group *group = fill_pool(&crowd, BLOCK_MAX + 9);
    assert_int_equal(sem_trywait(&crowd.begun), -1);
    for (int i = 0; i < BLOCK_MAX + 9; i++)
        assert_int_equal(sem_post(&crowd.may_end), 0);
    await(group);
    assert_int_equal(crowd.running_max, BLOCK_MAX);
    finish_crowd(&crowd);
}

struct queued {
    struct crowd *crowd;
    int number;
};

static int note_order(void *arg)
{
    struct queued *queued = arg;
    queued->crowd->order[atomic_fetch_add(&queued->crowd->next, 1)] = queued->number;
    return 0;
}

static int block_queued(void *queued)
{
    return bell_block(note_order, queued, NULL);
}

static void who_came_first_runs_first(void)
{
    struct crowd crowd;
    new_crowd(&crowd);
    bell_group *busy = fill_pool(&crowd, BLOCK_MAX), *group = bell_group_open();
    struct queued queued[3] = {{&crowd, 10}, {&crowd, 11}, {&crowd, 12}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(bell_go(group, block_queued, &queued[i]), 0);
    assert_int_equal(bell_sleep(0), 0);
    assert_int_equal(sem_post(&crowd.may_end), 0); // one thread, one after the other
    await(group);
    for (int i = 0; i < 3; i++)
        assert_int_equal(crowd.order[i], 10 + i);
    for (int i = 1; i < BLOCK_MAX; i++)
        assert_int_equal(sem_post(&crowd.may_end), 0);
    await(busy);
    finish_crowd(&crowd);
}

// ---- Jobs that are left to themselves ---------------------------------------------------------------

struct test_job {
    struct job job; // must be first
    sem_t *begun, *may_end, *released;
    atomic_int *ran;
};

static void run_test_job(struct job *job)
{
    struct test_job *self = (struct test_job *)(void *)job;
    if (self->begun)
        sem_post(self->begun);
    if (self->may_end)
        (void)wait_for_post(self->may_end);
    if (self->ran)
        atomic_fetch_add(self->ran, 1);
}

static void release_test_job(struct job *job)
{
    sem_t *released = ((struct test_job *)(void *)job)->released;
    free(job);
    sem_post(released);
}

static struct test_job *new_test_job(sem_t *released)
{
    struct test_job *job = calloc(1, sizeof *job);
    job->job.run = run_test_job;
    job->job.release = release_test_job;
    job->released = released;
    return job;
}

static void a_deadline_leaves_the_job_to_itself(void)
{
    sem_t begun, may_end, released;
    semaphore(&begun);
    semaphore(&may_end);
    semaphore(&released);
    struct test_job *job = new_test_job(&released);
    job->begun = &begun;
    job->may_end = &may_end;
    assert_int_equal(helpers_run(HELPERS_NAMES, &job->job, bell_in(BELL_MS)), -ETIMEDOUT);
    assert_int_equal(sem_post(&may_end), 0);
    await_post(&released);
    sem_destroy(&begun);
    sem_destroy(&may_end);
    sem_destroy(&released);
}

static int block_for_ever(void *crowd)
{
    int rc = bell_block(run_in_crowd, crowd, NULL);
    return rc < 0 ? errno : rc;
}

static void cancelling_does_not_wait_for_the_job(void)
{
    struct crowd crowd;
    new_crowd(&crowd);
    bell_group *group = bell_group_open();
    assert_int_equal(bell_go(group, block_for_ever, &crowd), 0);
    await_post(&crowd.begun);
    bell_group_cancel(group);
    assert_int_equal(bell_group_wait(group, SOON), 1);
    bell_group_close(group);
    assert_int_equal(crowd.running, 1);
    assert_int_equal(sem_post(&crowd.may_end), 0);
    while (crowd.running)
        assert_int_equal(bell_sleep(0), 0);
    finish_crowd(&crowd);
}

struct names {
    sem_t begun, may_end, released;
};

static int ask_in_vain(void *arg)
{
    struct names *names = arg;
    struct test_job *job = new_test_job(&names->released);
    job->begun = &names->begun;
    job->may_end = &names->may_end;
    if (helpers_run(HELPERS_NAMES, &job->job, INT64_MAX) < 0)
        return 1;
    job->job.release(&job->job);
    return 0;
}

static void a_job_that_nobody_has_begun_is_dropped(void)
{
    struct names names;
    sem_t released;
    atomic_int ran = 0;
    semaphore(&names.begun);
    semaphore(&names.may_end);
    semaphore(&names.released);
    semaphore(&released);
    bell_group *group = bell_group_open();
    for (int i = 0; i < NAMES_MAX; i++)
        assert_int_equal(bell_go(group, ask_in_vain, &names), 0);
    for (int i = 0; i < NAMES_MAX; i++)
        await_post(&names.begun);

    struct test_job *job = new_test_job(&released);
    job->ran = &ran;
    assert_int_equal(helpers_run(HELPERS_NAMES, &job->job, bell_in(BELL_MS)), -ETIMEDOUT);
    assert_int_equal(sem_trywait(&released), 0);

    for (int i = 0; i < NAMES_MAX; i++)
        assert_int_equal(sem_post(&names.may_end), 0);
    await(group);
    assert_int_equal(ran, 0);
    for (int i = 0; i < NAMES_MAX; i++)
        assert_int_equal(sem_trywait(&names.released), 0);
    sem_destroy(&names.begun);
    sem_destroy(&names.may_end);
    sem_destroy(&names.released);
    sem_destroy(&released);
}

static void a_cancelled_task_begins_nothing(void)
{
    sem_t released;
    atomic_int ran = 0;
    semaphore(&released);
    struct test_job *job = new_test_job(&released);
    job->ran = &ran;
    self()->cancelled = -ECANCELED;
    assert_int_equal(helpers_run(HELPERS_BLOCK, &job->job, INT64_MAX), -ECANCELED);
    self()->cancelled = 0;
    assert_int_equal(sem_trywait(&released), 0);
    assert_int_equal(ran, 0);
    sem_destroy(&released);
}

// Callers whose time is over just when the job is done.
enum { THREADS = 3, ROUNDS = 500 };

static void *give_up_now_and_then(void *arg)
{
    sem_t *released = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct test_job *job = new_test_job(released);
        int64_t deadline = i % 4 ? bell_in((int64_t)(i % 64) * 1000) : 0;
        int rc = helpers_run(HELPERS_NAMES, &job->job, deadline);
        assert_true(rc == 0 || rc == -ETIMEDOUT);
        if (rc == 0)
            job->job.release(&job->job);
    }
    return NULL;
}

static void each_job_is_released_once(void)
{
    sem_t released;
    semaphore(&released);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, give_up_now_and_then, &released), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS * ROUNDS; i++)
        await_post(&released);
    assert_int_equal(sem_trywait(&released), -1);
    sem_destroy(&released);
}

// ---- Processes --------------------------------------------------------------------------------------

static void a_child_has_threads_of_its_own(void)
{
#ifdef CHECKER_TSAN
    skip(); // it does not know what the child of a process with threads does
#endif
    int number = 21;
    assert_int_equal(bell_block(return_number, &number, NULL), 0); // whose thread is idle now
    pid_t pid = fork();
    if (pid == 0) {
        int result = 0;
        loop_abandon(loop_here());
        helpers_after_fork();
        int rc = bell_block(return_number, &number, &result);
        _exit(rc == 0 && result == 21 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    use_table();
    const struct CMUnitTest tests[] = {
        ON_EACH(without_any_thread_nothing_runs),
        ON_EACH(the_result_comes_back),
        ON_EACH(others_go_on_meanwhile),
        ON_EACH(what_is_done_in_a_yield_is_noticed),
        ON_EACH(without_memory_nothing_is_blocked),
        ON_EACH(without_a_loop_nothing_is_blocked),
        ON_EACH(sixteen_run_at_once),
        ON_EACH(who_came_first_runs_first),
        ON_EACH(a_deadline_leaves_the_job_to_itself),
        ON_EACH(cancelling_does_not_wait_for_the_job),
        ON_EACH(a_job_that_nobody_has_begun_is_dropped),
        ON_EACH(a_cancelled_task_begins_nothing),
        ON_EACH(each_job_is_released_once),
        ON_PRIVATE(a_child_has_threads_of_its_own),
    };
    return cmocka_run_group_tests_name("helpers", tests, NULL, NULL);
}
