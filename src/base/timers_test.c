#include "base/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/list.h"

enum { COUNT = 1000 };

struct alarm {
    struct timer timer;
    int rung;
};

static struct timers timers;
static struct alarm alarms[COUNT];
static int64_t last_at;
static int order_errors;

static void ring(struct timer *timer)
{
    struct alarm *alarm = LIST_ENTRY(timer, struct alarm, timer);
    if (timer->at < last_at)
        order_errors++;
    last_at = timer->at;
    alarm->rung++;
}

static void ring_and_set_again(struct timer *timer)
{
    ring(timer);
    timers_add(&timers, timer);
}

static struct timer *other;

static void ring_and_remove_other(struct timer *timer)
{
    ring(timer);
    timers_remove(&timers, other);
}

static int begin(void **state)
{
    (void)state;
    timers = (struct timers){NULL};
    last_at = INT64_MIN;
    order_errors = 0;
    for (int i = 0; i < COUNT; i++)
        alarms[i] = (struct alarm){.timer = {.expired = ring}};
    return 0;
}

static void set(int i, int64_t at)
{
    alarms[i].timer.at = at;
    timers_add(&timers, &alarms[i].timer);
}

static void they_expire_in_the_order_of_their_times(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < COUNT; i++)
        set(i, rand() % 500);
    timers_expire(&timers, 499);
    assert_int_equal(order_errors, 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(alarms[i].rung, 1);
    assert_int_equal(timers_next(&timers), INT64_MAX);
}

static void only_those_that_are_due_expire(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        set(i, i);
    timers_expire(&timers, 99);
    assert_int_equal(alarms[99].rung, 1);
    assert_int_equal(alarms[100].rung, 0);
    assert_int_equal(timers_next(&timers), 100);
}

static void any_of_them_can_be_removed(void **state)
{
    (void)state;
    srand(2);
    for (int i = 0; i < COUNT; i++)
        set(i, rand() % 500);
    for (int i = 0; i < COUNT; i += 2) {
        timers_remove(&timers, &alarms[i].timer);
        assert_false(timer_is_set(&alarms[i].timer));
        timers_remove(&timers, &alarms[i].timer); // nothing happens
    }
    timers_expire(&timers, 499);
    assert_int_equal(order_errors, 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(alarms[i].rung, i % 2);
}

static void adding_and_expiring_may_alternate(void **state)
{
    (void)state;
    srand(3);
    for (int64_t now = 0; now < 100; now++) {
        for (int i = 0; i < COUNT; i++)
            if (!timer_is_set(&alarms[i].timer) && rand() % 4 == 0)
                set(i, now + 1 + rand() % 50);
        last_at = INT64_MIN;
        timers_expire(&timers, now);
        assert_true(timers_next(&timers) > now);
    }
    assert_int_equal(order_errors, 0);
}

static void a_timer_that_sets_itself_for_the_past_waits_for_the_next_time(void **state)
{
    (void)state;
    alarms[0].timer.expired = ring_and_set_again;
    set(0, 5);
    timers_expire(&timers, 10);
    assert_int_equal(alarms[0].rung, 1);
    timers_expire(&timers, 10);
    assert_int_equal(alarms[0].rung, 2);
}

static void one_that_is_due_can_be_removed_by_another(void **state)
{
    (void)state;
    alarms[0].timer.expired = ring_and_remove_other;
    set(0, 1);
    for (int i = 1; i < 20; i++)
        set(i, 2);
    other = &alarms[7].timer;
    timers_expire(&timers, 10);
    timers_expire(&timers, 10);
    for (int i = 0; i < 20; i++)
        assert_int_equal(alarms[i].rung, i != 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(they_expire_in_the_order_of_their_times, begin),
        cmocka_unit_test_setup(only_those_that_are_due_expire, begin),
        cmocka_unit_test_setup(any_of_them_can_be_removed, begin),
        cmocka_unit_test_setup(adding_and_expiring_may_alternate, begin),
        cmocka_unit_test_setup(a_timer_that_sets_itself_for_the_past_waits_for_the_next_time,
                               begin),
        cmocka_unit_test_setup(one_that_is_due_can_be_removed_by_another, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
