// The handlers of the conformance suite: each shows one thing, through <doorbell.h> alone.
//
//     handlers HANDLER ADDRESS [OPTION=NUMBER...]
//
// What happens goes to stderr, one write a line: "listening on ...", "event KIND ...", "result ...".

#include "handlers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BIG = 10 * 1000 * 1000 };

int64_t number;
static bell_server *the_server;

void say(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)length + 1);
}

void say_result(const char *call, ssize_t result)
{
    int error = errno;
    if (result >= 0)
        say("result %s %zd", call, result);
    else
        say("result %s -1 %s: %s", call, strerrorname_np(error), bell_error());
    errno = error;
}

// ---- Reading and writing ----------------------------------------------------------------------

static int echo(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[1024];
    ssize_t n;
    while ((n = bell_read(conn, text, sizeof text)) > 0)
        if (bell_write(conn, text, (size_t)n) < 0)
            return -1;
    return (int)n;
}

static int echo_lent(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &data)) > 0)
        if (bell_write(conn, data, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

// Lines of at most `number` bytes come back as "LENGTH:LINE"; a longer one as "long LENGTH:PIECE".
static int lines(bell_conn *conn, void *arg)
{
    (void)arg;
    size_t size = number ? (size_t)number : 4096;
    char *line = malloc(size);
    ssize_t n;
    for (;;) {
        n = bell_readline(conn, line, size);
        bool is_long = n < 0 && errno == EMSGSIZE;
        size_t length = is_long ? bell_done() : (size_t)n;
        if (n <= 0 && !is_long)
            break;
        if (line[length] || bell_printf(conn, "%s%zu:", is_long ? "long " : "", length) < 0 ||
            bell_write(conn, line, length) < 0)
            break;
    }
    free(line);
    return (int)n;
}

// Blocks of exactly `number` bytes come back; what is left at the end as "rest COUNT".
static int blocks(bell_conn *conn, void *arg)
{
    (void)arg;
    char block[256];
    ssize_t n;
    while ((n = bell_readn(conn, block, (size_t)number)) == number)
        if (bell_write(conn, block, (size_t)n) < 0)
            return -1;
    return n < 0 ? -1 : bell_printf(conn, "rest %zd", n) < 0;
}

// Reads with a deadline of 20 ms, again and again, until a whole line (number=0) or block has come.
static int patient(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[256];
    ssize_t n;
    int timeouts = 0;
    do {
        bell_deadline(conn, bell_in(20 * BELL_MS));
        n = number ? bell_readn(conn, text, (size_t)number)
                   : bell_readline(conn, text, sizeof text);
        if (n < 0 && errno != ETIMEDOUT)
            return -1;
        if (n < 0)
            say("result timeout %d after %zu bytes: %s", ++timeouts, bell_done(), bell_error());
    } while (n < 0);
    bell_deadline(conn, BELL_NEVER);
    return bell_write(conn, text, (size_t)n) < 0;
}

static char pattern(size_t i)
{
    return (char)('a' + i % 26);
}

static char alphabets[40 * 1000]; // made by main

// Writes so many bytes of the pattern.
static int write_pattern(bell_conn *conn, size_t left)
{
    while (left > 0) {
        size_t whole = (size_t)26 * 1000, count = left < whole ? left : whole;
        if (bell_write(conn, alphabets, count) < 0) {
            say_result("write", -1);
            return -1;
        }
        left -= count;
    }
    return 0;
}

// Writes `number` bytes and returns: the end comes after the last one.
static int talk(bell_conn *conn, void *arg)
{
    (void)arg;
    return write_pattern(conn, (size_t)number);
}

// Answers the first byte with 300,000 and returns, whatever else the caller has said.
static int answer_first_byte(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    return bell_read(conn, &byte, 1) == 1 ? write_pattern(conn, 300000) : -1;
}

static int pieces(bell_conn *conn, void *arg)
{
    (void)arg;
    struct iovec array[40];
    for (size_t i = 0; i < 40; i++)
        array[i] = (struct iovec){alphabets + i * 1000, i == 7 ? 0 : 1000};
    say_result("writev", bell_writev(conn, array, 40));
    say_result("writev of none", bell_writev(conn, array, 0));
    return 0;
}

static int send_file(bell_conn *conn, void *arg)
{
    (void)arg;
    FILE *file = tmpfile();
    for (size_t i = 0; i < 100000; i++)
        putc(pattern(i), file);
    fflush(file);
    say_result("sendfile", bell_sendfile(conn, fileno(file), 26, 50000));
    say_result("sendfile past the end", bell_sendfile(conn, fileno(file), 99990, 50000));
    fclose(file);
    return 0;
}

__attribute__((format(printf, 2, 3))) static int print(bell_conn *conn, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = bell_vprintf(conn, format, arguments);
    va_end(arguments);
    return n;
}

static int formatted(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    if (print(conn, "%s %d %.2f\n", "a", 42, 1.5) < 0)
        return -1;
    return bell_printf(conn, "%s\n", text) < 0;
}

// ---- Failures ---------------------------------------------------------------------------------

// Reads to the end or the failure, and says which.
static int read_to_the_end(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[1000];
    ssize_t n;
    while ((n = bell_read(conn, text, sizeof text)) > 0)
        continue;
    say_result("read", n);
    say_result("read again", bell_read(conn, text, sizeof text));
    return (int)n;
}

// Writes without reading until that fails.
static int write_to_the_end(bell_conn *conn, void *arg)
{
    (void)arg;
    static const char bytes[100000];
    if (number)
        bell_deadline(conn, bell_in(number * BELL_MS));
    ssize_t n;
    while ((n = bell_write(conn, bytes, sizeof bytes)) > 0)
        continue;
    say_result("write", n);
    bell_deadline(conn, BELL_NEVER);
    say_result("write again", bell_write(conn, bytes, 1));
    return -1;
}

// Says something and then fails: the caller must not take it for a whole answer.
static int fail_half_way(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    if (bell_read(conn, &byte, 1) < 1)
        return -1;
    bell_write(conn, "half an ans", 11);
    return -1;
}

static int misuse(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[16];
    const void *data;
    say_result("readline of 1", bell_readline(conn, text, 1));
    say_result("peek of 0", bell_peek(conn, 0, &data));
    say_result("peek of 1 MiB", bell_peek(conn, 1 << 20, &data));
    say_result("skip", bell_skip(conn, 1));
    say_result("read of 0", bell_read(conn, text, 0));
    say_result("close", bell_close(conn));
    say_result("close again", bell_close(conn));
    say_result("read", bell_read(conn, text, 1));
    say_result("write", bell_write(conn, text, 1));
    say_result("shutdown", bell_shutdown(conn, SHUT_WR));
    say_result("fd", bell_fd(conn));
    bell_abort(conn);
    return 0;
}

static int half_close(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[100];
    bell_write(conn, "before", 6);
    say_result("shutdown", bell_shutdown(conn, SHUT_WR));
    say_result("write", bell_write(conn, "x", 1));
    say_result("readline", bell_readline(conn, text, sizeof text));
    return 0;
}

static int stop_reading(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    bell_read(conn, &byte, 1);
    say_result("shutdown", bell_shutdown(conn, SHUT_RD));
    say_result("read", bell_read(conn, &byte, 1));
    return bell_write(conn, "still talking", 13) < 0;
}

static int take_out(bell_conn *conn, void *arg)
{
    (void)arg;
    char line[100], unread[100];
    size_t count = 0;
    bell_readline(conn, line, sizeof line);
    say_result("detach without room", bell_detach(conn, unread, 1, &count));
    int fd = bell_detach(conn, unread, sizeof unread, &count);
    say_result("read", bell_read(conn, line, 1));
    bell_conn *again = bell_attach(fd);
    bell_write(again, unread, count);
    bell_write(again, "|", 1);
    ssize_t n = bell_readline(again, line, sizeof line);
    bell_write(again, line, (size_t)n);
    say_result("close", bell_close(again));
    return 0;
}

static int names(bell_conn *conn, void *arg)
{
    (void)arg;
    return bell_printf(conn, "%s %s %d\n", bell_peer(conn), bell_local(conn),
                       bell_conn_server(conn) == the_server) < 0;
}

// errno belongs to the task: others that fail meanwhile do not change it.
static int keep_errno(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    ssize_t n = bell_read(conn, &byte, 1);
    errno = (int)getpid() % 100 + 1000;
    bell_sleep(20 * BELL_MS);
    bool kept = errno == (int)getpid() % 100 + 1000;
    return bell_printf(conn, "%zd %d\n", n, kept) < 0;
}

// ---- Time and processor -----------------------------------------------------------------------

static int sleeper(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[100];
    bell_sleep(number * BELL_MS);
    ssize_t n = bell_read(conn, text, sizeof text);
    return n > 0 ? bell_write(conn, text, (size_t)n) < 0 : (int)n;
}

static int hog(bell_conn *conn, void *arg)
{
    int64_t until = bell_now() + number * BELL_MS;
    while (bell_now() < until)
        continue;
    return echo(conn, arg);
}

// A deadline while a storm of signals interrupts every call.
static void nothing(int signal)
{
    (void)signal;
}

static int in_a_storm(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[100];
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    event._sigev_un._tid = gettid();
    struct itimerspec every = {.it_interval.tv_nsec = 200000, .it_value.tv_nsec = 200000};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return -1;
    timer_settime(timer, 0, &every, NULL);
    sigset_t open;
    sigemptyset(&open);
    pthread_sigmask(SIG_SETMASK, &open, NULL);

    int64_t began = bell_now();
    bell_deadline(conn, bell_in(100 * BELL_MS));
    ssize_t n = bell_read(conn, text, sizeof text);
    int64_t took = (bell_now() - began) / BELL_MS;
    say("result %zd %s after %s", n, n < 0 ? strerrorname_np(errno) : "",
        took >= 100 && took < 2000 ? "its time" : "the wrong time");
    bell_deadline(conn, BELL_NEVER);
    static char big[1000000];
    n = bell_readn(conn, big, sizeof big);
    if (n > 0)
        n = bell_write(conn, big, (size_t)n);
    timer_delete(timer);
    return n < 0 ? -1 : 0;
}

// ---- Tasks ------------------------------------------------------------------------------------

static int write_numbers(void *arg)
{
    for (int i = 0; i < 1000; i++)
        if (bell_printf(arg, "%d\n", i) < 0)
            return -1;
    return 0;
}

// One task writes while the handler reads; the connection closes after both.
static int two_tasks(bell_conn *conn, void *arg)
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

static int groups(bell_conn *conn, void *arg)
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

static int block(bell_conn *conn, void *arg)
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

static int channel(bell_conn *conn, void *arg)
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

static int relay(bell_conn *conn, void *arg)
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

static int cancelled_by_thread(bell_conn *conn, void *arg)
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

// ---- Stacks and processes ---------------------------------------------------------------------

// NOLINTNEXTLINE(misc-no-recursion): that is the point
static int go_down(const volatile char *above, int depth)
{
    volatile char frame[200];
    frame[0] = above[0];
    return depth == 0 ? frame[0] : go_down(frame, depth - 1) + frame[0];
}

static int overflow_slowly(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte = 0;
    bell_read(conn, &byte, 1);
    return go_down(&byte, 100000);
}

#pragma GCC diagnostic ignored "-Wframe-larger-than="

__attribute__((noinline)) static int one_big_frame(const char *from)
{
    volatile char frame[64 * 1024];
    for (size_t i = 0; i < sizeof frame; i += 512)
        frame[i] = *from;
    return frame[1024];
}

static int overflow_at_once(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte = 0;
    bell_read(conn, &byte, 1);
    return one_big_frame(&byte);
}

// Ends its own process, in the middle of a conversation.
static int die(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    if (bell_read(conn, &byte, 1) == 1 && byte == '!')
        kill(getpid(), SIGKILL);
    return bell_write(conn, "alive", 5) < 0;
}

static int tell_pid(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    bell_printf(conn, "%d\n", (int)getpid());
    return bell_read(conn, &byte, 1) < 0;
}

static int stop_server(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    bell_read(conn, &byte, 1);
    bell_server_stop(bell_conn_server(conn));
    return bell_write(conn, "stopped", 7) < 0;
}

static const struct {
    const char *name;
    bell_handler *handler;
} handlers[] = {
    {"echo", echo},
    {"echo_lent", echo_lent},
    {"lines", lines},
    {"blocks", blocks},
    {"patient", patient},
    {"talk", talk},
    {"answer_first_byte", answer_first_byte},
    {"pieces", pieces},
    {"send_file", send_file},
    {"formatted", formatted},
    {"read_to_the_end", read_to_the_end},
    {"write_to_the_end", write_to_the_end},
    {"fail_half_way", fail_half_way},
    {"misuse", misuse},
    {"half_close", half_close},
    {"stop_reading", stop_reading},
    {"take_out", take_out},
    {"names", names},
    {"keep_errno", keep_errno},
    {"sleeper", sleeper},
    {"hog", hog},
    {"in_a_storm", in_a_storm},
    {"two_tasks", two_tasks},
    {"groups", groups},
    {"block", block},
    {"channel", channel},
    {"relay", relay},
    {"cancelled_by_thread", cancelled_by_thread},
    {"overflow_slowly", overflow_slowly},
    {"overflow_at_once", overflow_at_once},
    {"die", die},
    {"tell_pid", tell_pid},
    {"stop_server", stop_server},
    {"hoard", hoard},
    {"count_line", count_line},
    {"tell_fd", tell_fd},
    {"list_descriptors", list_descriptors},
    {"raise_children", raise_children},
    {"wait_for_pipe", wait_for_pipe},
    {"write_to_the_reset", write_to_the_reset},
    {"messages", messages},
    {"told_client", told_client},
    {"many_calls", many_calls},
};

enum { HANDLERS = sizeof handlers / sizeof *handlers };

// ---- The program ------------------------------------------------------------------------------

static void print_event(const struct bell_event *event, void *arg)
{
    (void)arg;
    static const char *const kinds[] = {"listening", "caller", "ended",   "limit",
                                        "trouble",   "worker", "stalled", "stopping"};
    if (event->kind == BELL_EVENT_LISTENING)
        say("%s", event->text);
    else
        say("event %s %s", kinds[event->kind], event->text);
}

static bool embedded, with_child, sigchld_ignored;
static int64_t descriptors, processes_limit, storm;

static bool take_option(const char *text, struct bell_server_options *o)
{
    const struct {
        const char *name;
        int64_t *wide;
        int *narrow;
        int64_t unit;
    } options[] = {
        {"number", &number, NULL, 1},
        {"workers", NULL, &o->workers, 1},
        {"max", NULL, &o->callers_max, 1},
        {"per_address", NULL, &o->callers_per_address_max, 1},
        {"idle", &o->idle_timeout, NULL, BELL_MS},
        {"total", &o->total_timeout, NULL, BELL_MS},
        {"grace", &o->grace, NULL, BELL_MS},
        {"linger", &o->linger_time, NULL, BELL_MS},
        {"descriptors", &descriptors, NULL, 1},
        {"processes", &processes_limit, NULL, 1},
        {"storm", &storm, NULL, 1},
    };
    const char *equals = strchr(text, '=');
    if (!equals)
        return false;
    int64_t value = strtoll(equals + 1, NULL, 10);
    if (!strncmp(text, "rate=", 5))
        o->rate_min = (uint64_t)value;
    else if (!strncmp(text, "flags=", 6))
        o->flags |= (unsigned)value;
    else if (!strncmp(text, "embedded=", 9))
        embedded = value;
    else if (!strncmp(text, "child=", 6))
        with_child = value;
    else if (!strncmp(text, "sigchld=", 8))
        sigchld_ignored = value;
    else {
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
            size_t length = strlen(options[i].name);
            if (strncmp(text, options[i].name, length) != 0 || text[length] != '=')
                continue;
            if (options[i].wide)
                *options[i].wide = value * options[i].unit;
            else
                *options[i].narrow = (int)value;
            return true;
        }
        return false;
    }
    return true;
}

// A foreign loop: poll(2) on the server's descriptor and on nothing else.
static int run_embedded(bell_server *server)
{
    int rc = 1;
    while (rc > 0) {
        struct pollfd one = {.fd = bell_server_fd(server), .events = POLLIN};
        if (one.fd < 0)
            return -1;
        (void)poll(&one, 1, -1);
        rc = bell_server_step(server);
    }
    return rc;
}

static pid_t own_child;

static void start_own_child(void)
{
    own_child = fork();
    if (own_child == 0) {
        for (;;)
            pause();
    }
}

// The application's child is nobody else's to reap.
static void end_own_child(void)
{
    int status = 0;
    kill(own_child, SIGKILL);
    say("result own child %s",
        waitpid(own_child, &status, 0) == own_child ? "reaped" : strerror(errno));
}

static void set_limits(void)
{
    if (descriptors) {
        struct rlimit limit = {(rlim_t)descriptors, (rlim_t)descriptors};
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (processes_limit) {
        struct rlimit limit = {(rlim_t)processes_limit, (rlim_t)processes_limit};
        setrlimit(RLIMIT_NPROC, &limit);
    }
    if (sigchld_ignored)
        signal(SIGCHLD, SIG_IGN);
}

static bell_handler *find_handler(const char *name)
{
    for (size_t i = 0; i < HANDLERS; i++)
        if (!strcmp(name, handlers[i].name))
            return handlers[i].handler;
    return NULL;
}

static void say_counts(bell_server *server)
{
    struct bell_counts c;
    bell_server_counts(server, &c);
    say("result counts accepted=%llu active=%llu polite=%llu aborted=%llu limited=%llu cut=%llu "
        "refused=%llu lost=%llu in=%llu out=%llu datagrams=%llu/%llu dropped=%llu",
        (unsigned long long)c.accepted, (unsigned long long)c.active, (unsigned long long)c.polite,
        (unsigned long long)c.aborted, (unsigned long long)c.limited, (unsigned long long)c.cut,
        (unsigned long long)c.refused, (unsigned long long)c.workers_lost,
        (unsigned long long)c.bytes_in, (unsigned long long)c.bytes_out,
        (unsigned long long)c.datagrams_in, (unsigned long long)c.datagrams_out,
        (unsigned long long)c.datagrams_dropped);
}

int main(int argc, char **argv)
{
    struct bell_server_options options = {
        .size = sizeof options, .flags = BELL_STOP_ON_SIGNALS, .log = print_event};
    bell_handler *handler = argc > 2 ? find_handler(argv[1]) : NULL;
    bell_dgram_handler *dgram_handler = argc > 2 ? find_dgram_handler(argv[1]) : NULL;
    bool understood = handler || dgram_handler;
    for (int i = 3; i < argc; i++)
        understood &= take_option(argv[i], &options);
    if (!understood) {
        say("usage: handlers HANDLER ADDRESS [OPTION=NUMBER...]");
        return 2;
    }
    options.name = argv[1];
    for (size_t i = 0; i < sizeof alphabets; i++)
        alphabets[i] = pattern(i);
    set_limits();
    if (with_child)
        start_own_child();
    if (storm)
        start_storm(storm);
    remember_dispositions();
    the_server = handler ? bell_server_open(handler, NULL, &options)
                         : bell_server_open_dgram(dgram_handler, NULL, &options);
    int rc = -1;
    if (the_server && bell_server_listen(the_server, argv[2]) == 0) {
        say("choice %s", bell_server_choice(the_server));
        rc = embedded ? run_embedded(the_server) : bell_server_run(the_server);
    }
    if (rc < 0)
        say("error %s: %s", strerrorname_np(errno), bell_error());
    if (storm)
        end_storm();
    compare_dispositions("after serving");
    if (the_server)
        say_counts(the_server);
    if (with_child)
        end_own_child();
    bell_server_close(the_server);
    return rc < 0;
}
