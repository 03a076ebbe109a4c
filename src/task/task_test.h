// What the tests of tasks share: each test runs on the private loop of its thread, as in main, and as a
// task of a loop with epoll, as in a handler. It must leave no task and no descriptor behind.

#pragma once

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <doorbell.h>

#include "kernel/kernel.h"
#include "task/descriptors_test.h"
#include "task/group.h"
#include "wait/backend.h"
#include "wait/wait.h"

// A loop of the tests' own kind takes its place, if it is linked in.
#ifndef TEST_BACKEND
#define TEST_BACKEND backend_epoll
#endif
extern const struct backend_ops TEST_BACKEND;

// The kernel of all tests: the real one, of which a test replaces calls for a while. It is put in front once
// and never taken away, since helper threads look at it when they like; so a test replaces only what none
// of them calls at that time.
static struct kernel_ops table;

static inline void use_table(void)
{
    table = kernel_real;
    kernel = &table;
}

struct body {
    void (*run)(void);
};

#define ON_PRIVATE(test)                                                                        \
    {                                                                                           \
        .name = #test " (private)", .test_func = run_privately, .initial_state = &(struct body) \
        {                                                                                       \
            test                                                                                \
        }                                                                                       \
    }
#define IN_A_TASK(test)                                                                           \
    {                                                                                             \
        .name = #test " (in a task)", .test_func = run_in_a_task, .initial_state = &(struct body) \
        {                                                                                         \
            test                                                                                  \
        }                                                                                         \
    }
#define ON_EACH(test) ON_PRIVATE(test), IN_A_TASK(test)

static inline void run_privately(void **state)
{
    struct loop *loop = task_here(NULL)->loop; // its descriptor stays
    int before = count_descriptors();
    ((struct body *)*state)->run();
    assert_int_equal(loop->tasks, 0);
    assert_int_equal(count_descriptors(), before);
}

static inline void run_body(void *body)
{
    ((struct body *)body)->run();
    task_wake(&loop_here()->root);
}

static inline void run_in_a_task(void **state)
{
    int before = count_descriptors();
    struct loop loop;
    assert_int_equal(loop_open(&loop, &TEST_BACKEND), 0);
    assert_int_equal(task_start(&loop, "test", run_body, *state, NULL), 0);
    task_pause(&loop.root);
    assert_int_equal(loop.tasks, 0);
    loop_close(&loop);
    assert_int_equal(count_descriptors(), before);
}

static inline struct task *self(void)
{
    return task_here(NULL);
}

// As if so many calls had not had to wait: the next one that may wait lets others run first.
static inline void be_tired(void)
{
    self()->streak = 31;
}

// A failure of the library, with this errno.
#define ASSERT_FAILS(call, error)       \
    do {                                \
        errno = 0;                      \
        assert_int_equal((call), -1);   \
        assert_int_equal(errno, error); \
        assert_true(*bell_error());     \
    } while (0)

// A thread that never waited has no loop, and can be refused one: then it has no sentence either.
#define ASSERT_FAILS_WITHOUT_A_LOOP(call) \
    do {                                  \
        errno = 0;                        \
        assert_int_equal((call), -1);     \
        assert_int_equal(errno, EMFILE);  \
    } while (0)

static inline int refuse_eventfd(void)
{
    return -EMFILE;
}

static inline void on_a_thread_without_a_loop(void *(*run)(void *arg), void *arg)
{
    pthread_t thread;
    table.eventfd = refuse_eventfd;
    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    table.eventfd = kernel_real.eventfd;
}

#define SOON bell_in(20 * BELL_SECOND) // a test that waits for longer has failed
