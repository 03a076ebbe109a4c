// What the tests of this folder share: each test is run on the private loop of its thread, as in
// main, and as a task of a loop with epoll, as in a handler. It must leave no descriptor open.

#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conn/conn.h"
#include "kernel/kernel.h"
#include "task/descriptors_test.h"
#include "wait/backend.h"
#include "wait/failure.h"

struct body {
    void (*run)(void);
};

#define ON_EACH(test)                                                      \
    {#test " (private)", run_privately, NULL, NULL, &(struct body){test}}, \
    {                                                                      \
#test " (in a task)", run_in_a_task, NULL, NULL, &(struct body)    \
        {                                                                  \
            test                                                           \
        }                                                                  \
    }

// ---- Running ----------------------------------------------------------------------------------

static unsigned tasks_before;

static inline struct loop *this_loop(void)
{
    return task_here(NULL)->loop;
}

static inline void start(void (*run)(void *arg), void *arg)
{
    assert_int_equal(task_start(this_loop(), "test", run, arg, NULL), 0);
}

static inline void await_others(void)
{
    while (this_loop()->tasks > tasks_before || this_loop()->closing_count)
        task_yield(task_here(NULL));
}

// A failure leaves its tasks behind, over which the next test would stumble: it ends the program.
static inline void begin(void)
{
    (void)setenv("CMOCKA_TEST_ABORT", "1", 0);
}

static inline void run_privately(void **state)
{
    begin();
    (void)task_here(NULL); // its descriptor stays
    int before = count_descriptors();
    tasks_before = 0;
    ((struct body *)*state)->run();
    await_others();
    kernel = &kernel_real;
    assert_int_equal(count_descriptors(), before);
}

static inline void run_body(void *arg)
{
    ((struct body *)arg)->run();
    await_others();
}

static inline void run_in_a_task(void **state)
{
    begin();
    int before = count_descriptors();
    struct loop loop;
    assert_int_equal(loop_open(&loop, &backend_epoll), 0);
    tasks_before = 1;
    start(run_body, *state);
    while (loop.tasks)
        task_yield(&loop.root);
    loop_close(&loop);
    kernel = &kernel_real;
    assert_int_equal(count_descriptors(), before);
}

// ---- Connections ------------------------------------------------------------------------------

static bell_conn *left, *right;

static inline void open_pair(void)
{
    bell_conn *pair[2];
    assert_int_equal(bell_pair(pair), 0);
    left = pair[0];
    right = pair[1];
}

static inline void open_tcp_pair(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    struct sockaddr *any = (struct sockaddr *)&address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), caller = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, any, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, any, &size), 0);
    assert_int_equal(connect(caller, any, size), 0);
    left = bell_attach(caller);
    right = bell_attach(accept(listener, NULL, NULL));
    assert_non_null(left);
    assert_non_null(right);
    assert_int_equal(close(listener), 0);
}

// A handler's: the layer above frees it.
static inline void make_handlers(bell_conn *conn)
{
    static int server;
    conn->server = (struct bell_server *)(void *)&server;
}

// Without waiting for each other.
static inline void abort_pair(void)
{
    bell_abort(left);
    bell_abort(right);
    left = right = NULL;
}

// What can be had without waiting is had.
static inline void do_not_wait(bell_conn *conn)
{
    (void)bell_deadline(conn, WAIT_NOT);
}

// As a peer that knows nothing of us.
static inline void send_raw(bell_conn *conn, const void *bytes, size_t size)
{
    assert_int_equal(send(conn->endpoint.fd, bytes, size, MSG_NOSIGNAL), size);
}

#define ASSERT_FAILS(call, error)                                            \
    do {                                                                     \
        errno = 0;                                                           \
        assert_int_equal((call), -1);                                        \
        assert_string_equal(strerrorname_np(errno), strerrorname_np(error)); \
    } while (0)

static inline void read_a_line(void *arg)
{
    char line[20];
    ssize_t n = bell_readline(left, line, sizeof line);
    *(int *)arg = n < 0 ? -errno : (int)n;
}

// ---- Many bytes -------------------------------------------------------------------------------

static inline char byte_at(size_t index)
{
    return (char)(index * 131 + (index >> 8) * 31 + (index >> 16));
}

static inline char *make_bytes(size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(i);
    return bytes;
}

struct reading {
    bell_conn *conn;
    size_t begin, count; // where in the pattern, and how many came
    bool wrong;
    ssize_t result; // the last one
};

// Reads to the end and compares.
static inline void read_all(void *arg)
{
    struct reading *reading = arg;
    char bytes[5000];
    while ((reading->result = bell_read(reading->conn, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < reading->result; i++)
            if (bytes[i] != byte_at(reading->begin + reading->count++))
                reading->wrong = true;
    if (reading->result < 0)
        reading->result = -errno;
}
