// Handlers with tasks of their own: groups, channels, helper threads, relays.

#include "handlers.h"

#include <pthread.h>
#include <time.h>

// ---- Tasks ------------------------------------------------------------------------------------

static int write_numbers(void *arg)
{
    for (int i = 0; i < 1000; i++)
        if (bell_printf(arg, "%d\n", i) < 0)
            return -1;
    return 0;
}

// One task writes while the handler reads; the connection closes after both.
int two_tasks(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[1000];
    ssize_t n;
    size_t sum = 0;
    if (bell_go(NULL, write_numbers, conn) < 0)
        return -1;
    while ((n = bell_read(conn, text, sizeof text)) > 0)
        sum += (size_t)n;
    say("result read %zu", sum);
    return (int)n;
}

static int read_in_task(void *arg)
{
    char byte;
    ssize_t n = bell_read(arg, &byte, 1);
    say_result("in the task", n);
    return n < 0;
}

static int fail(void *arg)
{
    (void)arg;
    return 7;
}

int groups(bell_conn *conn, void *arg)
{
    (void)arg;
    bell_group *group = bell_group_open();
    bell_go(group, read_in_task, conn);
    bell_go(group, fail, NULL);
    say_result("wait", bell_group_wait(group, bell_in(20 * BELL_MS)));
    bell_group_cancel(group);
    say_result("wait", bell_group_wait(group, BELL_NEVER));
    say_result("go", bell_go(group, fail, NULL));
    bell_group_close(group);
    bell_write(conn, "done", 4);
    return 0;
}

static int slow_square(void *arg)
{
    struct timespec pause = {.tv_nsec = 50000000};
    nanosleep(&pause, NULL);
    int *value = arg;
    return *value * *value;
}

int block(bell_conn *conn, void *arg)
{
    (void)arg;
    int value = 12, result = 0;
    say_result("block", bell_block(slow_square, &value, &result));
    return bell_printf(conn, "%d\n", result) < 0;
}

struct pipe_line {
    bell_channel *channel;
    bell_conn *conn;
};

static int produce(void *arg)
{
    struct pipe_line *line = arg;
    for (intptr_t i = 1; i <= 1000; i++)
        if (bell_channel_send(line->channel, (void *)i, BELL_NEVER) < 0)
            return -1;
    bell_channel_end(line->channel);
    return 0;
}

int channel(bell_conn *conn, void *arg)
{
    (void)arg;
    struct pipe_line line = {bell_channel_open(3), conn};
    void *pointer;
    intptr_t sum = 0;
    int rc;
    say_result("receive", bell_channel_receive(line.channel, &pointer, bell_in(5 * BELL_MS)));
    bell_go(NULL, produce, &line);
    while ((rc = bell_channel_receive(line.channel, &pointer, BELL_NEVER)) == 1)
        sum += (intptr_t)pointer;
    say_result("receive", rc);
    say_result("send", bell_channel_send(line.channel, NULL, BELL_NEVER));
    bell_channel_close(line.channel);
    return bell_printf(conn, "%d\n", (int)sum) < 0;
}

static int echo_far(void *arg)
{
    struct pipe_line *far = arg;
    if (echo(far->conn, NULL) == 0 && bell_shutdown(far->conn, SHUT_WR) == 0)
        return 0;
    bell_abort(far->conn); // else whoever relays to it would wait for ever
    far->conn = NULL;
    return -1;
}

int relay(bell_conn *conn, void *arg)
{
    (void)arg;
    bell_conn *pair[2];
    if (bell_pair(pair) < 0)
        return -1;
    // What goes into one end of the pair comes out of the other, and is echoed there by a task.
    struct pipe_line far = {NULL, pair[1]};
    bell_group *group = bell_group_open();
    uint64_t bytes[2] = {0, 0};
    int rc = group ? bell_go(group, echo_far, &far) : -1;
    if (rc == 0)
        rc = bell_relay(conn, pair[0], bytes);
    say("result relay %d %llu %llu", rc, (unsigned long long)bytes[0],
        (unsigned long long)bytes[1]);
    bell_abort(pair[0]);
    bell_group_close(group);
    bell_abort(far.conn);
    return rc;
}

static void *cancel_soon(void *arg)
{
    struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    bell_cancel(arg);
    return NULL;
}

int cancelled_by_thread(bell_conn *conn, void *arg)
{
    (void)arg;
    pthread_t thread;
    char byte;
    pthread_create(&thread, NULL, cancel_soon, conn);
    ssize_t n = bell_read(conn, &byte, 1);
    say_result("read", n);
    pthread_join(thread, NULL);
    return -1;
}
