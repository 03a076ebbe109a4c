// Switching: what survives it, and how coroutines begin and end.

#include "coro/coro.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "coro/coro_test.h"

static int begin_thread(void **state)
{
    (void)state;
    coro_adopt(&root);
    return 0;
}

static int end_thread(void **state)
{
    (void)state;
    coro_forget(&root);
    coro_trim();
    return 0;
}

// ---- What survives a switch --------------------------------------------------------------------

struct mixer {
    uint64_t seed;
    uint64_t sum;
    int rounds;
    bool ended;
};

// Keeps more values than there are registers.
static uint64_t mix(uint64_t seed, int rounds, void (*between)(void))
{
    uint64_t a = seed, b = a * 3, c = a ^ 5, d = a + 7, e = a * 11, f = a ^ 13, g = a + 17,
             h = a * 19;
    double x = (double)(seed % 1000), y = x / 3;
    for (int i = 0; i < rounds; i++) {
        between();
        a += b ^ (c << 1);
        b ^= d + e;
        c += f ^ (g >> 3);
        d ^= h * 5;
        e += a, f ^= b, g += c, h ^= d;
        x = x * 0.5 + y;
        y = y * 0.25 + (double)(h % 16);
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ (uint64_t)(x * 1000) ^ (uint64_t)(y * 1000);
}

static void nothing(void)
{
}

static void run_mixer(void *arg)
{
    struct mixer *mixer = arg;
    mixer->sum = mix(mixer->seed, mixer->rounds, park);
    mixer->ended = true;
}

static void mix_together(unsigned seed)
{
    enum { COUNT = 50 };
    struct mixer mixers[COUNT];
    struct task *tasks[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        mixers[i] = (struct mixer){.seed = seed + i, .rounds = 100 + (int)i};
        tasks[i] = make_task(run_mixer, &mixers[i]);
        assert_non_null(tasks[i]);
    }
    for (unsigned alive = COUNT, i = 0; alive > 0; i = (i + seed % 7 + 1) % COUNT) {
        while (mixers[i].ended)
            i = (i + 1) % COUNT;
        go_on(tasks[i]);
        alive -= mixers[i].ended;
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(mixers[i].sum, mix(mixers[i].seed, mixers[i].rounds, nothing));
}

static void values_survive_a_switch(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed < 10; seed++)
        mix_together(seed);
}

static void *mix_in_thread(void *arg)
{
    coro_adopt(&root);
    for (unsigned i = 0; i < 10; i++)
        mix_together(*(unsigned *)arg + i);
    coro_forget(&root);
    coro_trim();
    return NULL;
}

static void threads_have_coroutines_of_their_own(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    pthread_t threads[COUNT];
    unsigned seeds[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        seeds[i] = 100 * i;
        assert_int_equal(pthread_create(&threads[i], NULL, mix_in_thread, &seeds[i]), 0);
    }
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void count_errors(void *arg)
{
    int *errors = arg;
    *errors += errno != 0; // it begins with none
    for (int i = 1; i < 100; i++) {
        errno = i;
        park();
        *errors += errno != i;
    }
}

static void errno_is_kept_per_coroutine(void **state)
{
    (void)state;
    int errors = 0;
    errno = E2BIG;
    struct task *one = make_task(count_errors, &errors), *other = make_task(count_errors, &errors);
    for (int i = 0; i < 100; i++) {
        errno = 1000 + i;
        go_on(one);
        assert_int_equal(errno, 1000 + i);
        go_on(other);
        assert_int_equal(errno, 1000 + i);
    }
    assert_int_equal(errors, 0);
}

#if defined(__x86_64__) && !defined(SWITCH_UCONTEXT)

enum { ROUND_UP = 0x4000, ROUNDING = 0x6000 }; // of mxcsr

static void round_up(void *arg)
{
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr((before & ~(unsigned)ROUNDING) | ROUND_UP);
    *(unsigned *)arg = before & ROUNDING;
    park();
    __builtin_ia32_ldmxcsr(before);
}

static void the_rounding_mode_is_the_threads(void **state)
{
    (void)state;
    unsigned before = 0;
    struct task *task = make_task(round_up, &before);
    go_on(task);
    assert_int_equal(__builtin_ia32_stmxcsr() & ROUNDING, ROUND_UP);
    go_on(task);
    assert_int_equal(__builtin_ia32_stmxcsr() & ROUNDING, before);
}

#else

static void the_rounding_mode_is_the_threads(void **state)
{
    (void)state;
    (void)leave_out(true, "mxcsr is x86's, and ucontext keeps it per coroutine");
}

#endif

// ---- How they begin ----------------------------------------------------------------------------

static void format_numbers(void *arg)
{
    // The C library uses instructions that fault on a stack that is not aligned.
    _Alignas(16) char text[64];
    volatile uintptr_t address = (uintptr_t)text;
    (void)snprintf(text, sizeof text, "%.2f %Lf", 2.5, (long double)0.5);
    *(bool *)arg = address % 16 == 0 && !strcmp(text, "2.50 0.500000");
}

static void a_stack_begins_aligned(void **state)
{
    (void)state;
    // Also below a record of another size.
    for (size_t record = 0; record < 256; record += 16) {
        bool good = false;
        char *stack_end = coro_take_stack();
        assert_int_equal((uintptr_t)stack_end % 64, 0);
        struct task task = {.run = format_numbers, .arg = &good};
        coro_init(&task.coro, stack_end - record, "test", run_task, &task);
        go_on(&task);
        assert_true(good);
    }
}

static void count_frames(void *arg)
{
    void *frames[64];
    *(int *)arg = backtrace(frames, 64);
}

static void unwinding_stops_at_the_first_frame(void **state)
{
    (void)state;
    int count = 0;
    go_on(make_task(count_frames, &count));
    assert_in_range(count, 1, 16);
}

// ---- How they end ------------------------------------------------------------------------------

static void do_nothing(void *arg)
{
    (void)arg;
}

static void the_stack_of_one_that_ended_is_taken_next(void **state)
{
    (void)state;
    struct task *task = make_task(do_nothing, NULL);
    go_on(task);
    struct task *next = make_task(do_nothing, NULL);
    assert_ptr_equal(next, task);
    go_on(next);
}

static void go_on_after(void *arg)
{
    int *left = arg;
    struct task *self = running;
    if (--*left == 0)
        return;
    running = make_task(go_on_after, left);
    coro_switch_and_end(&self->coro, &running->coro);
}

static void one_may_end_into_one_that_begins(void **state)
{
    (void)state;
    int left = 1000;
    go_on(make_task(go_on_after, &left));
    assert_int_equal(left, 0);
}

static void park_once(void *arg)
{
    ++*(int *)arg;
    park();
    ++*(int *)arg;
}

static void one_may_be_dropped(void **state)
{
    (void)state;
    int count = 0;
    struct task *task = make_task(park_once, &count);
    coro_drop(&task->coro); // before it began

    assert_ptr_equal(make_task(park_once, &count), task);
    go_on(task);
    coro_drop(&task->coro); // while it is parked
    assert_int_equal(count, 1);

    void *stack_end = coro_take_stack();
    assert_ptr_equal(stack_end, task + 1);
    coro_return_stack(stack_end);
}

static void run_a_loop_of_its_own(void *arg)
{
    struct coro outer = root;
    struct task *self = running;
    coro_adopt(&root);
    mix_together(*(unsigned *)arg);
    coro_forget(&root);
    root = outer;
    running = self;
    ++*(unsigned *)arg;
}

static void a_coroutine_may_be_adopted(void **state)
{
    (void)state;
    unsigned seed = 1;
    go_on(make_task(run_a_loop_of_its_own, &seed));
    assert_int_equal(seed, 2);
}

static void fork_and_park(void *arg)
{
    int *pid = arg;
    *pid = fork();
    park();
}

static void they_go_on_in_a_forked_child(void **state)
{
    (void)state;
    if (leave_out(UNDER_TSAN, "it forgets in the child all fibers but the one that forked"))
        return;
    int pid = -1;
    struct mixer mixer = {.seed = 5, .rounds = 10};
    struct task *other = make_task(run_mixer, &mixer);
    go_on(other);
    struct task *task = make_task(fork_and_park, &pid);
    go_on(task); // returns twice
    go_on(task);
    while (!mixer.ended)
        go_on(other);
    bool good = mixer.sum == mix(5, 10, nothing);
    if (pid == 0)
        _exit(good ? 0 : 1);
    assert_true(good);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void park_for_ever(void *arg)
{
    for (;;) {
        ++*(long *)arg;
        park();
    }
}

static void a_million_switches(void **state)
{
    (void)state;
    long count = 0, goal = UNDER_VALGRIND ? 10000 : 500000;
    struct task *task = make_task(park_for_ever, &count);
    for (long i = 0; i < goal; i++)
        go_on(task);
    assert_int_equal(count, goal);
    coro_drop(&task->coro);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_survive_a_switch),
        cmocka_unit_test(threads_have_coroutines_of_their_own),
        cmocka_unit_test(errno_is_kept_per_coroutine),
        cmocka_unit_test(the_rounding_mode_is_the_threads),
        cmocka_unit_test(a_stack_begins_aligned),
        cmocka_unit_test(unwinding_stops_at_the_first_frame),
        cmocka_unit_test(the_stack_of_one_that_ended_is_taken_next),
        cmocka_unit_test(one_may_end_into_one_that_begins),
        cmocka_unit_test(one_may_be_dropped),
        cmocka_unit_test(a_coroutine_may_be_adopted),
        cmocka_unit_test(they_go_on_in_a_forked_child),
        cmocka_unit_test(a_million_switches),
    };
    return cmocka_run_group_tests_name("coro", tests, begin_thread, end_thread);
}
