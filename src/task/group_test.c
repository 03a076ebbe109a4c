// Groups of tasks, and sleeping.

#include "task/group.h"

#include "task/task_test.h"

// What tasks do. `arg` points to an int.

static int count_up(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int return_it(void *arg)
{
    return *(int *)arg;
}

static int sleep_for_ever(void *arg)
{
    int rc = bell_sleep(BELL_NEVER);
    *(int *)arg = rc < 0 ? errno : rc;
    return 0;
}

static bell_group *open_group(void)
{
    bell_group *group = bell_group_open();
    assert_non_null(group);
    return group;
}

// ---- Starting and waiting -----------------------------------------------------------------------

static void tasks_run_when_the_others_wait(void)
{
    bell_group *group = open_group();
    int count = 0;
    for (int i = 0; i < 100; i++)
        assert_int_equal(bell_go(group, count_up, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    assert_int_equal(count, 100);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    bell_group_close(group);
}

static void failures_are_counted_once(void)
{
    bell_group *group = open_group();
    int results[] = {0, 1, -1, 0, 77};
    for (int i = 0; i < 5; i++)
        assert_int_equal(bell_go(group, return_it, &results[i]), 0);
    assert_int_equal(bell_group_wait(group, SOON), 3);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    bell_group_close(group);
}

static void a_wait_ends_at_its_deadline(void)
{
    bell_group *group = open_group();
    int why = 0;
    assert_int_equal(bell_go(group, sleep_for_ever, &why), 0);
    ASSERT_FAILS(bell_group_wait(group, bell_in(BELL_MS)), ETIMEDOUT);
    ASSERT_FAILS(bell_group_wait(group, 0), ETIMEDOUT);
    assert_int_equal(why, 0);
    bell_group_close(group);
    assert_int_equal(why, ECANCELED);
}

// Their last one ends in the round in which the deadline has passed, too.
static void an_end_counts_more_than_a_deadline(void)
{
    bell_group *group = open_group();
    int count = 0;
    assert_int_equal(bell_go(group, count_up, &count), 0);
    assert_int_equal(bell_group_wait(group, 0), 0);
    assert_int_equal(count, 1);
    bell_group_close(group);
}

static void tasks_that_end_in_a_yield_are_noticed(void)
{
    bell_group *group = open_group();
    int count = 0;
    assert_int_equal(bell_go(group, count_up, &count), 0);
    be_tired();
    assert_int_equal(bell_group_wait(group, SOON), 0);
    bell_group_close(group);
}

static int wait_for_group(void *arg)
{
    return bell_group_wait(arg, SOON);
}

static void several_may_wait(void)
{
    bell_group *waited = open_group(), *waiters = open_group();
    int why = 0;
    assert_int_equal(bell_go(waited, sleep_for_ever, &why), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bell_go(waiters, wait_for_group, waited), 0);
    assert_int_equal(bell_sleep(0), 0);
    bell_group_cancel(waited);
    assert_int_equal(bell_group_wait(waiters, SOON), 0);
    bell_group_close(waiters);
    bell_group_close(waited);
}

static void what_makes_no_sense_is_refused(void)
{
    int count = 0;
    ASSERT_FAILS(bell_go(NULL, count_up, &count), EINVAL);
    bell_group *group = open_group();
    ASSERT_FAILS(bell_go(group, NULL, &count), EINVAL);
    bell_group_close(group);
    bell_group_close(NULL);
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void without_memory_nothing_starts(void)
{
    bell_group *group = open_group();
    int count = 0;
    ASSERT_FAILS(bell_go(NULL, count_up, &count), EINVAL); // for the sentence, which needs memory
    table.allocate = no_memory;
    assert_null(bell_group_open());
    assert_int_equal(errno, ENOMEM);
    ASSERT_FAILS(bell_go(group, count_up, &count), ENOMEM);
    table.allocate = kernel_real.allocate;
    assert_int_equal(bell_group_wait(group, SOON), 0);
    bell_group_close(group);
}

static int refuse_guard(void *memory, size_t size)
{
    (void)memory, (void)size;
    return -ENOMEM;
}

// There are some that were used before; after them there are none.
static void without_a_stack_nothing_starts(void)
{
    bell_group *group = open_group();
    int count = 0, started = 0;
    table.guard = refuse_guard;
    errno = 0;
    while (bell_go(group, count_up, &count) == 0)
        started++;
    assert_int_equal(errno, ENOMEM);
    table.guard = kernel_real.guard;
    assert_int_equal(bell_go(group, count_up, &count), 0);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    assert_int_equal(count, started + 1);
    bell_group_close(group);
}

static void *use_without_a_loop(void *group)
{
    int count = 0;
    ASSERT_FAILS_WITHOUT_A_LOOP(bell_go(group, count_up, &count));
    ASSERT_FAILS_WITHOUT_A_LOOP(bell_group_wait(group, SOON));
    ASSERT_FAILS_WITHOUT_A_LOOP(bell_sleep(0));
    ASSERT_FAILS_WITHOUT_A_LOOP(bell_sleep(1));
    bell_group_close(group); // needs none when nobody is in it
    return NULL;
}

static void without_a_loop_a_thread_has_no_tasks(void)
{
    on_a_thread_without_a_loop(use_without_a_loop, open_group());
}

// ---- Cancelling ---------------------------------------------------------------------------------

static void cancelling_ends_present_and_later_calls(void)
{
    bell_group *group = open_group();
    int parked = 0, not_begun = 0;
    assert_int_equal(bell_go(group, sleep_for_ever, &parked), 0);
    assert_int_equal(bell_sleep(0), 0);
    assert_int_equal(bell_go(group, sleep_for_ever, &not_begun), 0);
    bell_group_cancel(group);
    ASSERT_FAILS(bell_go(group, count_up, &parked), ECANCELED);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    assert_int_equal(parked, ECANCELED);
    assert_int_equal(not_begun, ECANCELED);
    bell_group_close(group);
}

static int wait_for_own_group(void *arg)
{
    ASSERT_FAILS(bell_group_wait(arg, SOON), EDEADLK);
    errno = 0;
    bell_group_close(arg);
    assert_int_equal(errno, EDEADLK);
    return 5;
}

static void a_task_cannot_wait_for_itself(void)
{
    bell_group *group = open_group();
    assert_int_equal(bell_go(group, wait_for_own_group, group), 0);
    assert_int_equal(bell_group_wait(group, SOON), 1);
    bell_group_close(group);
}

static void *go_from_another_thread(void *group)
{
    int count = 0;
    ASSERT_FAILS(bell_go(group, count_up, &count), EXDEV);
    ASSERT_FAILS(bell_group_wait(group, SOON), EXDEV);
    return NULL;
}

static void *use_on_another_thread(void *group)
{
    int count = 0;
    assert_int_equal(bell_go(group, count_up, &count), 0);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    return NULL;
}

static void on_another_thread(void *(*run)(void *arg), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_group_belongs_to_one_loop_at_a_time(void)
{
    bell_group *group = open_group();
    int why = 0;
    on_another_thread(use_on_another_thread, group);
    assert_int_equal(bell_go(group, sleep_for_ever, &why), 0);
    on_another_thread(go_from_another_thread, group);
    bell_group_close(group);
}

// ---- A handler's own group ------------------------------------------------------------------------

static int go_on(void *arg)
{
    int *left = arg;
    return --*left ? bell_go(NULL, go_on, left) : 0;
}

static void tasks_of_a_handler_inherit_its_group(void)
{
    struct bell_group own;
    int left = 5;
    group_init(&own, self()->loop);
    group_adopt(self(), &own);
    assert_int_equal(bell_go(NULL, go_on, &left), 0);
    group_join(&own, false);
    assert_int_equal(left, 0);
    assert_int_equal(own.failed, 0);
    ASSERT_FAILS(bell_go(NULL, go_on, &left), EINVAL);
}

static int cancel_self_of(void *task)
{
    task_cancel(task, -ECANCELED);
    return 0;
}

static void a_join_is_not_cancelled_but_its_tasks_are(void)
{
    struct bell_group own;
    int why = 0;
    group_init(&own, self()->loop);
    group_adopt(self(), &own);
    assert_int_equal(bell_go(NULL, sleep_for_ever, &why), 0);
    assert_int_equal(bell_go(NULL, cancel_self_of, self()), 0);
    group_join(&own, false);
    assert_int_equal(why, ECANCELED);
    ASSERT_FAILS(bell_sleep(BELL_MS), ECANCELED); // it is cancelled still
    self()->cancelled = 0;
}

static void a_cancelled_task_joins_too(void)
{
    struct bell_group own;
    int why = 0;
    group_init(&own, self()->loop);
    group_adopt(self(), &own);
    assert_int_equal(bell_go(NULL, sleep_for_ever, &why), 0);
    self()->cancelled = -ECANCELED;
    group_join(&own, true);
    assert_int_equal(why, ECANCELED);
    assert_int_equal(self()->cancelled, -ECANCELED);
    self()->cancelled = 0;
}

static int go_when_woken(void *arg)
{
    int count = 0;
    (void)sleep_for_ever(arg);
    ASSERT_FAILS(bell_go(NULL, count_up, &count), EINVAL);
    return 0;
}

static void a_task_that_outlives_its_handler_has_no_group(void)
{
    bell_group *other = open_group();
    int why = 0;
    struct bell_group *own = calloc(1, sizeof *own);
    group_init(own, self()->loop);
    group_adopt(self(), own);
    assert_int_equal(bell_go(other, go_when_woken, &why), 0);
    assert_int_equal(bell_sleep(0), 0);
    group_join(own, true);
    free(own);
    bell_group_close(other);
    assert_int_equal(why, ECANCELED);
}

// ---- Sleeping -------------------------------------------------------------------------------------

static void a_sleep_lasts_as_long_as_it_says(void)
{
    int64_t begin = bell_now();
    assert_int_equal(bell_sleep(BELL_MS), 0);
    assert_true(bell_now() - begin >= BELL_MS);
    assert_int_equal(bell_sleep(-1), 0);
}

static void no_time_is_one_turn_of_the_others(void)
{
    bell_group *group = open_group();
    int count = 0;
    assert_int_equal(bell_go(group, count_up, &count), 0);
    assert_int_equal(bell_sleep(0), 0);
    assert_int_equal(count, 1);
    assert_int_equal(bell_go(group, cancel_self_of, self()), 0);
    ASSERT_FAILS(bell_sleep(0), ECANCELED);
    ASSERT_FAILS(bell_sleep(0), ECANCELED); // and not even a turn from then on
    self()->cancelled = 0;
    bell_group_close(group);
}

int main(void)
{
    use_table();
    const struct CMUnitTest tests[] = {
        ON_EACH(tasks_run_when_the_others_wait),
        ON_EACH(failures_are_counted_once),
        ON_EACH(a_wait_ends_at_its_deadline),
        ON_EACH(an_end_counts_more_than_a_deadline),
        ON_EACH(tasks_that_end_in_a_yield_are_noticed),
        ON_EACH(several_may_wait),
        ON_EACH(what_makes_no_sense_is_refused),
        ON_EACH(without_memory_nothing_starts),
        ON_EACH(without_a_stack_nothing_starts),
        ON_EACH(without_a_loop_a_thread_has_no_tasks),
        ON_EACH(cancelling_ends_present_and_later_calls),
        ON_EACH(a_task_cannot_wait_for_itself),
        ON_EACH(a_group_belongs_to_one_loop_at_a_time),
        ON_EACH(tasks_of_a_handler_inherit_its_group),
        ON_EACH(a_join_is_not_cancelled_but_its_tasks_are),
        ON_EACH(a_cancelled_task_joins_too),
        ON_EACH(a_task_that_outlives_its_handler_has_no_group),
        ON_EACH(a_sleep_lasts_as_long_as_it_says),
        ON_EACH(no_time_is_one_turn_of_the_others),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
