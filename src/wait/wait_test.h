// What the tests of this layer share: a loop of each backend, and two endpoints of a socket pair on it.

#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "wait/backend.h"

// What each test is run on.
static struct on {
    const struct backend_ops *backend;
} on_block = {&backend_block}, on_epoll = {&backend_epoll};

static struct loop loop;
static struct endpoint left, right;
static ssize_t results[4]; // of a test's tasks

static inline void open_loop(const struct backend_ops *backend)
{
    int fds[2];
    memset(results, 0, sizeof results);
    assert_int_equal(loop_open(&loop, backend), 0);
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, fds), 0);
    wait_open(&left, fds[0]);
    wait_open(&right, fds[1]);
}

static inline void close_loop(void)
{
    wait_close(&left);
    wait_close(&right);
    loop_close(&loop);
}

// Until all tasks have ended.
static inline void run_all(void)
{
    while (loop.tasks)
        task_yield(&loop.root);
}

#define ON_EACH(test)                                 \
    {#test " (block)", test, begin, end, &on_block},  \
    {                                                 \
#test " (epoll)", test, begin, end, &on_epoll \
    }
