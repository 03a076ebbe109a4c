// The arena: what stacks cost, who gets them, and what happens when there is none.

#include "coro/stack.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "coro/coro_test.h"
#include "kernel/kernel.h"

enum { PAGE = 4096, PARKED_MAX = 100000 };

// ---- A table that counts, and refuses ----------------------------------------------------------

static struct {
    int maps, guards, protects, give_backs;
    int map_error, guard_error, protect_error; // 0: none
    size_t map_max;                            // 0: any size
} watched;

static void *watched_map(size_t size, bool is_shared)
{
    watched.maps++;
    if (watched.map_error || (watched.map_max && size > watched.map_max))
        return NULL;
    return kernel_real.map(size, is_shared);
}

static int watched_guard(void *memory, size_t size)
{
    watched.guards++;
    return watched.guard_error ? watched.guard_error : kernel_real.guard(memory, size);
}

static int watched_protect(void *memory, size_t size)
{
    watched.protects++;
    return watched.protect_error ? watched.protect_error : kernel_real.protect(memory, size);
}

static int watched_give_back(void *memory, size_t size)
{
    watched.give_backs++;
    return kernel_real.give_back(memory, size);
}

static struct kernel_ops watched_table;

static int calls(void)
{
    return watched.maps + watched.guards + watched.protects + watched.give_backs;
}

static int begin(void **state)
{
    (void)state;
    watched_table = kernel_real;
    watched_table.map = watched_map;
    watched_table.guard = watched_guard;
    watched_table.protect = watched_protect;
    watched_table.give_back = watched_give_back;
    memset(&watched, 0, sizeof watched);
    kernel = &watched_table;
    coro_adopt(&root);
    return 0;
}

static int end(void **state)
{
    (void)state;
    coro_forget(&root);
    coro_trim();
    kernel = &kernel_real;
    return 0;
}

// The status of a child that ran it. So the arena is as if it had never been used, if this program
// did not use it before.
static int status_of_child(void (*run)(void))
{
    int status = -1, pid = fork();
    if (pid == 0) {
        struct rlimit none = {0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL); // not cmocka's
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

// In a child cmocka cannot tell.
#define REQUIRE(condition)                                                                \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                                     \
        }                                                                                 \
    } while (0)

// ---- When there is none ------------------------------------------------------------------------

static void take_without_memory(void)
{
    watched.map_error = -ENOMEM;
    REQUIRE(!coro_take_stack());
    watched.map_error = 0;
    REQUIRE(coro_take_stack());

    watched.guard_error = -ENOMEM; // there are guards, but no memory for this one
    REQUIRE(!coro_take_stack());
    REQUIRE(watched.protects == 0);
    watched.guard_error = 0;
    REQUIRE(coro_take_stack());
}

static void without_memory_there_is_no_stack(void **state)
{
    (void)state;
    assert_int_equal(status_of_child(take_without_memory), 0);
}

static void take_all_of_a_small_arena(void)
{
    watched.map_max = (size_t)256 * CORO_SLOT_SIZE;
    int count = 0;
    while (coro_take_stack())
        count++;
    REQUIRE(count == 128); // the next smaller power of two, for there are the lists, too
}

static void take_without_guards(void)
{
    watched.guard_error = -EINVAL; // before Linux 6.13
    watched.protect_error = -ENOMEM;
    REQUIRE(!coro_take_stack());
    watched.protect_error = 0;
    REQUIRE(coro_take_stack());
}

static void without_a_guard_there_is_no_stack(void **state)
{
    (void)state;
    assert_int_equal(status_of_child(take_without_guards), 0);
}

static void the_arena_is_smaller_where_address_space_is(void **state)
{
    (void)state;
    assert_int_equal(status_of_child(take_all_of_a_small_arena), 0);
}

static void take_with_little_address_space(void)
{
    size_t limit = (size_t)1 << 30;
    struct rlimit limits = {.rlim_cur = limit, .rlim_max = limit};
    REQUIRE(setrlimit(RLIMIT_AS, &limits) == 0);
    REQUIRE(coro_take_stack());
    void *others = malloc(limit / 4);
    REQUIRE(others);
    free(others);
}

static void the_arena_leaves_half_of_the_address_space(void **state)
{
    (void)state;
    if (leave_out(IS_CHECKED, "checkers have more address space than that"))
        return;
    assert_int_equal(status_of_child(take_with_little_address_space), 0);
}

static void take_with_protected_guards(void)
{
    watched.guard_error = -EINVAL;
    int count = 0;
    char *last = NULL;
    for (char *stack_end; (stack_end = coro_take_stack()); last = stack_end)
        count++;
    if (watched.protects == count) // where vm.max_map_count is small, one of them failed
        REQUIRE(count == 30000);
    REQUIRE(last);
    coro_return_stack(last);
    REQUIRE(coro_take_stack() == last);

    last[-CORO_STACK_SIZE + 1024] = 1;
    last[-CORO_STACK_SIZE - PAGE] = 1;
    _exit(2);
}

static void mprotect_guards_where_the_kernel_has_no_others(void **state)
{
    (void)state;
    if (leave_out(IS_CHECKED, "too many mappings for a checker"))
        return;
    int status = status_of_child(take_with_protected_guards);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

// ---- Who gets them -----------------------------------------------------------------------------

static void stacks_have_different_colours(void **state)
{
    (void)state;
    enum { COLOURS = 16 };
    char *ends[COLOURS];
    for (int i = 0; i < COLOURS; i++) {
        ends[i] = coro_take_stack();
        assert_int_equal((uintptr_t)ends[i] % 64, 0);
        for (int k = 0; k < i; k++)
            assert_int_not_equal((uintptr_t)ends[i] % PAGE, (uintptr_t)ends[k] % PAGE);
    }
    for (int i = 0; i < COLOURS; i++)
        coro_return_stack(ends[i]);
}

static void the_last_one_given_is_the_first_one_taken(void **state)
{
    (void)state;
    enum { COUNT = 10 };
    void *ends[COUNT];
    for (int i = 0; i < COUNT; i++)
        ends[i] = coro_take_stack();
    for (int i = 0; i < COUNT; i++)
        coro_return_stack(ends[i]);
    for (int i = COUNT; i-- > 0;)
        assert_ptr_equal(coro_take_stack(), ends[i]);
    for (int i = 0; i < COUNT; i++)
        coro_return_stack(ends[i]);
}

static void reuse_makes_no_system_call(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    void *ends[COUNT];
    for (int round = 0; round < 10; round++) {
        if (round == 1)
            memset(&watched, 0, sizeof watched);
        for (int i = 0; i < COUNT; i++)
            ends[i] = coro_take_stack();
        for (int i = 0; i < COUNT; i++)
            coro_return_stack(ends[i]);
        coro_trim_crowd();
    }
    assert_int_equal(calls(), 0);
}

static void *take_and_give(void *arg)
{
    enum { COUNT = 300 };
    void *ends[COUNT];
    for (int i = 0; i < COUNT; i++)
        ends[i] = coro_take_stack();
    for (int i = 0; i < COUNT; i++)
        coro_return_stack(ends[i]);
    coro_trim();
    return arg;
}

static void threads_leave_their_slots_to_others(void **state)
{
    (void)state;
    coro_trim();
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        if (i == 1)
            memset(&watched, 0, sizeof watched);
        assert_int_equal(pthread_create(&thread, NULL, take_and_give, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    (void)take_and_give(NULL);
    assert_int_equal(watched.guards, 0); // none was new
}

static void *take_and_give_one(void *arg)
{
    coro_return_stack(coro_take_stack());
    coro_trim();
    return arg;
}

static void a_thread_for_each_caller_makes_no_system_call(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        if (i == 1)
            memset(&watched, 0, sizeof watched);
        assert_int_equal(pthread_create(&thread, NULL, take_and_give_one, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(calls(), 0);
}

static void guards_are_known(void **state)
{
    (void)state;
    char here;
    char *stack_end = coro_take_stack();
    char *slot = stack_begin(stack_end, "guarded");
    assert_false(coro_is_guard(NULL));
    assert_false(coro_is_guard(&here));
    assert_false(coro_is_guard(stack_end - 1));
    assert_false(coro_is_guard(slot + CORO_GUARD_SIZE));
    assert_true(coro_is_guard(slot + CORO_GUARD_SIZE - 1));
    assert_true(coro_is_guard(slot));
    assert_false(coro_is_guard((void *)UINTPTR_MAX));

    const char *name;
    assert_true(stack_overflowed(slot + 1, &name));
    assert_string_equal(name, "guarded");

    // The kernel does not write there, either.
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    if (!UNDER_VALGRIND) // which tells of it
        assert_int_equal(kernel->read(fds[0], slot + CORO_GUARD_SIZE - 1, 1), -EFAULT);
    (void)close(fds[0]);
    (void)close(fds[1]);
    coro_return_stack(stack_end);
}

// ---- What they cost ----------------------------------------------------------------------------

static size_t pages_of(const struct task *task)
{
    unsigned char resident[CORO_STACK_SIZE / PAGE];
    size_t count = 0;
    assert_int_equal(mincore(task->coro.slot + CORO_GUARD_SIZE, CORO_STACK_SIZE, resident), 0);
    for (size_t i = 0; i < sizeof resident; i++)
        count += resident[i] & 1;
    return count;
}

// A line of /proc/self/status, in KiB.
static long status_kib(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    assert_non_null(file);
    char line[256];
    long kib = -1;
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)))
            kib = strtol(line + strlen(name) + 1, NULL, 10);
    (void)fclose(file);
    return kib;
}

static int count_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    int count = 0;
    for (int c; (c = fgetc(file)) != EOF;)
        count += c == '\n';
    (void)fclose(file);
    return count;
}

// As a handler with a line of text, and what the library has below it.
static void handle(void *arg)
{
    volatile char line[1024], ours[600];
    line[0] = line[sizeof line - 1] = ours[0] = ours[sizeof ours - 1] = 1;
    park();
    *(int *)arg += line[0] + ours[sizeof ours - 1];
}

static struct task *parked[PARKED_MAX];

static void park_many(int count, int *sum)
{
    for (int i = 0; i < count; i++) {
        parked[i] = make_task(handle, sum);
        assert_non_null(parked[i]);
        go_on(parked[i]);
    }
}

static void end_many(int count)
{
    for (int i = 0; i < count; i++)
        go_on(parked[i]);
}

static void a_parked_coroutine_costs_one_page(void **state)
{
    (void)state;
    if (leave_out(IS_CHECKED, "checkers need stack of their own") ||
        leave_out(BY_UCONTEXT, "a context alone has a kilobyte"))
        return;
    enum { COUNT = 1000 };
    int sum = 0;
    coro_trim();
    long before = status_kib("RssAnon:");
    park_many(COUNT, &sum);
    long after = status_kib("RssAnon:");
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(pages_of(parked[i]), 1);
    assert_in_range(after - before, 3500, 4200);
    end_many(COUNT);
    assert_int_equal(sum, 2 * COUNT);
}

static void a_crowd_that_has_left_costs_nothing(void **state)
{
    (void)state;
    enum { COUNT = 1000, WARM = 256, SHARED = 64 };
    int sum = 0;
    coro_trim();
    park_many(COUNT, &sum);
    end_many(COUNT);

    memset(&watched, 0, sizeof watched);
    coro_trim_crowd();
    assert_int_equal(watched.give_backs, COUNT - WARM);
    coro_trim_crowd();
    assert_int_equal(watched.give_backs, COUNT - WARM);
    coro_trim();
    assert_in_range(watched.give_backs, COUNT - SHARED, COUNT);
    assert_int_equal(calls(), watched.give_backs);
}

static void a_hundred_thousand_coroutines_are_parked(void **state)
{
    (void)state;
    if (leave_out(IS_CHECKED, "8,000 are ThreadSanitizer's limit"))
        return;
    int sum = 0;
    coro_trim();
    long before = status_kib("RssAnon:");
    park_many(PARKED_MAX, &sum);
    assert_true(count_mappings() < 1000);
    end_many(PARKED_MAX);
    assert_int_equal(sum, 2 * PARKED_MAX);
    coro_trim_crowd();
    assert_true(status_kib("RssAnon:") - before < 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        // These need an arena that was never used.
        cmocka_unit_test_setup_teardown(without_memory_there_is_no_stack, begin, end),
        cmocka_unit_test_setup_teardown(without_a_guard_there_is_no_stack, begin, end),
        cmocka_unit_test_setup_teardown(the_arena_is_smaller_where_address_space_is, begin, end),
        cmocka_unit_test_setup_teardown(the_arena_leaves_half_of_the_address_space, begin, end),
        cmocka_unit_test_setup_teardown(mprotect_guards_where_the_kernel_has_no_others, begin, end),

        cmocka_unit_test_setup_teardown(stacks_have_different_colours, begin, end),
        cmocka_unit_test_setup_teardown(the_last_one_given_is_the_first_one_taken, begin, end),
        cmocka_unit_test_setup_teardown(reuse_makes_no_system_call, begin, end),
        cmocka_unit_test_setup_teardown(threads_leave_their_slots_to_others, begin, end),
        cmocka_unit_test_setup_teardown(a_thread_for_each_caller_makes_no_system_call, begin, end),
        cmocka_unit_test_setup_teardown(guards_are_known, begin, end),
        cmocka_unit_test_setup_teardown(a_parked_coroutine_costs_one_page, begin, end),
        cmocka_unit_test_setup_teardown(a_crowd_that_has_left_costs_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_hundred_thousand_coroutines_are_parked, begin, end),
    };
    return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
