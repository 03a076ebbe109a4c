#include "door/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_limit_holds_over_all_workers(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_open(4, 100);
    assert_non_null(ledger);
    for (int i = 0; i < 10; i++)
        assert_true(ledger_enter_address(ledger, i % 4, 77, 10));
    for (int i = 0; i < 4; i++)
        assert_false(ledger_enter_address(ledger, i, 77, 10));
    assert_true(ledger_enter_address(ledger, 0, 78, 10));
    ledger_leave_address(ledger, 2, 77);
    assert_true(ledger_enter_address(ledger, 3, 77, 10));
    assert_false(ledger_enter_address(ledger, 3, 77, 10));
    ledger_close(ledger);
}

static void a_dead_workers_callers_are_forgotten(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_open(2, 100);
    for (int i = 0; i < 5; i++) {
        ledger_enter(ledger, 1);
        assert_true(ledger_enter_address(ledger, 1, 77, 5));
    }
    ledger_enter(ledger, 0);
    assert_false(ledger_enter_address(ledger, 0, 77, 5));
    assert_int_equal(ledger_clear(ledger, 1), 5);
    assert_int_equal(ledger_active(ledger), 1);
    assert_true(ledger_enter_address(ledger, 0, 77, 5));
    ledger_close(ledger);
}

static void places_of_those_who_left_are_used_again(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_open(1, 2);
    for (uint64_t key = 1; key < 100000; key++) {
        assert_true(ledger_enter_address(ledger, 0, key, 1));
        assert_false(ledger_enter_address(ledger, 0, key, 1));
        ledger_leave_address(ledger, 0, key);
    }
    ledger_close(ledger);
}

// Who finds no place is let in: the limit is for crowds.
static void the_last_of_many_addresses_is_not_counted(void **state)
{
    (void)state;
    enum { PLACES = 16 };
    struct ledger *ledger = ledger_open(1, 2); // one bucket
    for (uint64_t key = 1; key <= PLACES; key++)
        assert_true(ledger_enter_address(ledger, 0, key, 1));
    for (int i = 0; i < 3; i++)
        assert_true(ledger_enter_address(ledger, 0, PLACES + 1, 1));
    ledger_leave_address(ledger, 0, PLACES + 1); // nor does his leaving
    assert_false(ledger_enter_address(ledger, 0, 7, 1));
    ledger_leave_address(ledger, 0, 7);
    ledger_leave_address(ledger, 0, 7); // as of a worker that died meanwhile
    assert_true(ledger_enter_address(ledger, 0, PLACES + 1, 1));
    assert_false(ledger_enter_address(ledger, 0, PLACES + 1, 1));
    ledger_close(ledger);
}

static void processes_share_it(void **state)
{
    (void)state;
    struct ledger *ledger = ledger_open(2, 10);
    pid_t pid = fork();
    if (pid == 0) {
        ledger_add(ledger, LEDGER_POLITE, 3);
        ledger_enter(ledger, 1);
        (void)ledger_stop(ledger);
        ledger_announce_stop(ledger);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(ledger_read(ledger, LEDGER_POLITE), 3);
    assert_int_equal(ledger_active(ledger), 1);
    assert_true(ledger_is_stopped(ledger));
    assert_int_equal(ledger_stop(ledger), 1);
    ledger_close(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_holds_over_all_workers),
        cmocka_unit_test(a_dead_workers_callers_are_forgotten),
        cmocka_unit_test(places_of_those_who_left_are_used_again),
        cmocka_unit_test(the_last_of_many_addresses_is_not_counted),
        cmocka_unit_test(processes_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
