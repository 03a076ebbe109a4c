// The system's limits, as files tell them that only these tests have.

#include "kernel/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOBODY 65534
#define CGROUP "/proc/self/cgroup"
#define THREADS_MAX "/proc/sys/kernel/threads-max"
#define PID_MAX "/proc/sys/kernel/pid_max"
#define NO_LIMIT INT32_MAX

enum { FILES = 5 };

// Those that are there; NULL ends them.
struct files {
    struct {
        const char *path, *text;
    } all[FILES];
};

static const struct files *files;

static bool fake_read(const char *path, char *ret_text, size_t size)
{
    for (int i = 0; i < FILES && files->all[i].path; i++)
        if (!strcmp(path, files->all[i].path)) {
            (void)snprintf(ret_text, size, "%s", files->all[i].text);
            return true;
        }
    return false;
}

static int64_t processes(const struct files *those, uid_t user, rlim_t of_user)
{
    files = those;
    return limits_processes(fake_read, user, of_user);
}

static void without_files_the_limit_is_the_users(void **state)
{
    static const struct files none;
    (void)state;
    assert_int_equal(processes(&none, NOBODY, 500), 500);
    assert_int_equal(processes(&none, NOBODY, RLIM_INFINITY), NO_LIMIT);
    assert_int_equal(processes(&none, 0, 500), NO_LIMIT); // it does not bind root
}

static void the_least_limit_counts(void **state)
{
    static const struct {
        struct files files;
        int64_t limit;
    } cases[] = {
        {{{{THREADS_MAX, "63482\n"}, {PID_MAX, "32768\n"}}}, 32768},
        {{{{THREADS_MAX, "2000\n"}, {PID_MAX, "32768\n"}}}, 2000},
        {{{{CGROUP, "0::/\n"}, {"/sys/fs/cgroup//pids.max", "100\n"}, {PID_MAX, "32768\n"}}}, 100},
        {{{{CGROUP, "0::/\n"}, {"/sys/fs/cgroup//pids.max", "40000\n"}, {PID_MAX, "32768\n"}}},
         32768},
        {{{{CGROUP, "0::/user.slice/ding.scope\n"},
           {"/sys/fs/cgroup/user.slice/ding.scope/pids.max", "77\n"}}},
         77},
        // Both versions: ours is not the first line, and its limits are those that count.
        {{{{CGROUP, "2:pids:/docker/12ab\n1:cpu:/\n0::/docker/12ab\n"},
           {"/sys/fs/cgroup/docker/12ab/pids.max", "55\n"}}},
         55},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(processes(&cases[i].files, 0, 1), cases[i].limit);
}

static void what_is_no_limit_limits_nothing(void **state)
{
    static const struct files cases[] = {
        {{{CGROUP, "0::/\n"}}}, // the root of all groups has no such file
        {{{CGROUP, "0::/\n"}, {"/sys/fs/cgroup//pids.max", "max\n"}}},
        {{{CGROUP, "0::/\n"}, {"/sys/fs/cgroup//pids.max", "0\n"}}},
        {{{CGROUP, "0::/\n"}, {"/sys/fs/cgroup//pids.max", "-4\n"}}},
        {{{CGROUP, "0::/\n"}, {"/sys/fs/cgroup//pids.max", "99999999999999999999\n"}}},
        {{{CGROUP, "1:pids:/\n"}, {"/sys/fs/cgroup//pids.max", "5\n"}}}, // version 1
        {{{CGROUP, ""}, {"/sys/fs/cgroup//pids.max", "5\n"}}},
        {{{THREADS_MAX, "nonsense"}, {PID_MAX, ""}}},
        {{{THREADS_MAX, "4294967295\n"}}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(processes(&cases[i], 0, 1), NO_LIMIT);
}

// The longest path that a group's line can hold is asked for as a whole.
static void a_long_path_is_not_cut(void **state)
{
    static char line[1024], path[1100];
    (void)state;
    (void)snprintf(line, sizeof line, "0::/%01019d", 0);
    assert_int_equal(strlen(line), sizeof line - 1);
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/pids.max", line + 3);
    const struct files deep = {{{CGROUP, line}, {path, "9\n"}}};
    assert_int_equal(processes(&deep, 0, 1), 9);
}

static int processors(const char *quota, long allowed, long there)
{
    const struct files limited = {{{CGROUP, "0::/\n"}, {"/sys/fs/cgroup//cpu.max", quota}}};
    const struct files free = {{{CGROUP, "0::/\n"}}};
    files = quota ? &limited : &free;
    return limits_processors(fake_read, allowed, there);
}

static void a_quota_is_rounded_up_to_whole_processors(void **state)
{
    static const struct {
        const char *quota;
        int count; // of 8
    } cases[] = {
        {NULL, 8},
        {"max 100000\n", 8},
        {"100000 100000\n", 1},
        {"150000 100000\n", 2},
        {"200000 100000\n", 2},
        {"1000 100000\n", 1},
        {"800000 100000\n", 8},
        {"900000 100000\n", 8},
        {"9223372036854775807 1\n", 8},
        {"100000\n", 8},
        {"100000 0\n", 8},
        {"0 100000\n", 8},
        {"-1 100000\n", 8}, // as version 1 says "none"
        {"", 8},
        {"nonsense", 8},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(processors(cases[i].quota, 8, 16), cases[i].count);
}

static void processors_are_those_that_may_be_used(void **state)
{
    (void)state;
    assert_int_equal(processors(NULL, 3, 16), 3);
    assert_int_equal(processors(NULL, 0, 2048), 2048); // more than sched_getaffinity has room for
    assert_int_equal(processors("300000 100000", 0, 2048), 3);
    assert_int_equal(processors(NULL, 0, -1), 1); // nobody knows: there is one at least
    assert_int_equal(processors(NULL, 0, (long)INT32_MAX + 1), INT32_MAX);
}

static void a_number_is_no_more_than_an_int_holds(void **state)
{
    (void)state;
    assert_int_equal(limits_number(0), 0);
    assert_int_equal(limits_number(1024), 1024);
    assert_int_equal(limits_number(INT32_MAX), INT32_MAX);
    assert_int_equal(limits_number((rlim_t)INT32_MAX + 1), INT32_MAX);
    assert_int_equal(limits_number(RLIM_INFINITY), INT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_files_the_limit_is_the_users),
        cmocka_unit_test(the_least_limit_counts),
        cmocka_unit_test(what_is_no_limit_limits_nothing),
        cmocka_unit_test(a_long_path_is_not_cut),
        cmocka_unit_test(a_quota_is_rounded_up_to_whole_processors),
        cmocka_unit_test(processors_are_those_that_may_be_used),
        cmocka_unit_test(a_number_is_no_more_than_an_int_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
