// Handlers about what a server shares with its process: descriptors, signals, children, memory.

#include "handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// ---- Descriptors ------------------------------------------------------------------------------

enum { HOARD_MAX = 4096 };

// "h" takes every descriptor that the process may have, "r" gives them back; all is echoed then.
int hoard(bell_conn *conn, void *arg)
{
    (void)arg;
    static _Atomic int taken[HOARD_MAX];
    static _Atomic int count;
    char byte;
    ssize_t n;
    while ((n = bell_read(conn, &byte, 1)) > 0) {
        int fd = -1;
        while (byte == 'h' && count < HOARD_MAX && (fd = open("/dev/null", O_RDONLY)) >= 0)
            taken[count++] = fd;
        while (byte == 'r' && count > 0)
            (void)close(taken[--count]);
        if (bell_write(conn, &byte, 1) < 0)
            return -1;
    }
    return (int)n;
}

// The number of the connection's descriptor.
int tell_fd(bell_conn *conn, void *arg)
{
    (void)arg;
    return bell_printf(conn, "%d\n", bell_fd(conn)) < 0;
}

// A program that is started here gets these descriptors, and one that ls opens itself.
int list_descriptors(bell_conn *conn, void *arg)
{
    (void)arg;
    char line[64];
    say_result("ls", system("echo descriptors $(ls /proc/self/fd) >&2"));
    return bell_readline(conn, line, sizeof line) < 0;
}

static int write_to_pipe(void *arg)
{
    const int *pipe = arg;
    return (int)write(pipe[1], "x", 1) - 1;
}

static int echo_line(void *arg)
{
    char line[64];
    ssize_t n = bell_readline(arg, line, sizeof line);
    return n > 0 && bell_write(arg, line, (size_t)n) == n ? 0 : -1;
}

// A pipe of its own, while a task talks to the caller; and then for ever, or until it is cut.
int wait_for_pipe(bell_conn *conn, void *arg)
{
    (void)arg;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    bell_group *group = bell_group_open();
    say_result("deadline", bell_wait_fd(ends[0], POLLIN, bell_in(BELL_MS)));
    bell_go(group, write_to_pipe, ends);
    say("result pipe %d", bell_wait_fd(ends[0], POLLIN, BELL_NEVER) == POLLIN);
    bell_go(group, echo_line, conn);
    say("result both %d", bell_wait_fd(ends[0], POLLIN | POLLOUT, BELL_NEVER) == POLLIN);
    char byte;
    (void)!read(ends[0], &byte, 1);
    say_result("end", bell_wait_fd(ends[0], POLLIN, BELL_NEVER));
    bell_group_close(group);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

// ---- Memory -----------------------------------------------------------------------------------

// Reads one line of any length in pieces of 16 KiB, and answers with its length.
int count_line(bell_conn *conn, void *arg)
{
    (void)arg;
    enum { SIZE = 16384 };
    char *piece = malloc(SIZE);
    unsigned long long sum = 0;
    ssize_t n;
    bool is_whole = false;
    while (!is_whole) {
        n = bell_readline(conn, piece, SIZE);
        bool is_long = n < 0 && errno == EMSGSIZE;
        if (n <= 0 && !is_long)
            break;
        sum += is_long ? bell_done() : (size_t)n;
        is_whole = !is_long;
    }
    free(piece);
    return is_whole ? bell_printf(conn, "%llu\n", sum) < 0 : -1;
}

// ---- Signals ----------------------------------------------------------------------------------

static _Atomic long storm_count;
static timer_t storm_timer;
static int64_t storm_period_us;

static void feel_storm(int signal)
{
    (void)signal;
    atomic_fetch_add(&storm_count, 1);
}

static void run_storm(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct timespec period = {.tv_nsec = storm_period_us * 1000};
    struct itimerspec every = {.it_interval = period, .it_value = period};
    if (timer_create(CLOCK_MONOTONIC, &event, &storm_timer) < 0)
        abort();
    timer_settime(storm_timer, 0, &every, NULL);
}

// Without SA_RESTART: every call that can be interrupted is.
void start_storm(int64_t period_us)
{
    struct sigaction action = {.sa_handler = feel_storm};
    storm_period_us = period_us;
    sigaction(SIGUSR1, &action, NULL);
    pthread_atfork(NULL, NULL, run_storm); // a child inherits no timers
    run_storm();
}

void end_storm(void)
{
    timer_delete(storm_timer);
    say("result storm of %ld signals", atomic_load(&storm_count));
}

enum { SIGNALS = 65 };
static struct sigaction remembered[SIGNALS];
static sigset_t remembered_mask;

void remember_dispositions(void)
{
    for (int i = 1; i < SIGNALS; i++)
        sigaction(i, NULL, &remembered[i]);
    pthread_sigmask(SIG_SETMASK, NULL, &remembered_mask);
}

// SIGSEGV is the one that the library keeps, and documents.
void compare_dispositions(const char *when)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i < SIGNALS; i++) {
        struct sigaction action;
        if (i == SIGSEGV || sigaction(i, NULL, &action) < 0)
            continue;
        if (action.sa_handler != remembered[i].sa_handler)
            say("result %s: signal %d has another handler", when, i);
        if (sigismember(&mask, i) != sigismember(&remembered_mask, i))
            say("result %s: signal %d is masked differently", when, i);
    }
    say("result %s: compared", when);
}

// Every way to write, to a caller who has reset the connection: errors, and no signal.
int write_to_the_reset(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[100];
    struct iovec pieces[2] = {{"a", 1}, {"b", 1}};
    struct sigaction action;
    sigset_t set;
    while (bell_read(conn, text, sizeof text) > 0)
        continue;
    say_result("read", -1);
    say_result("write", bell_write(conn, "x", 1));
    say_result("writev", bell_writev(conn, pieces, 2));
    FILE *file = tmpfile();
    fputs("some text", file);
    fflush(file);
    say_result("sendfile", bell_sendfile(conn, fileno(file), 0, 9));
    fclose(file);
    sigaction(SIGPIPE, NULL, &action);
    say("result SIGPIPE is %s", action.sa_handler == SIG_DFL ? "its default" : "changed");
    sigpending(&set);
    say("result SIGPIPE is %s", sigismember(&set, SIGPIPE) ? "pending" : "not pending");
    return -1;
}

// ---- Children ---------------------------------------------------------------------------------

static void child_ended(int signal)
{
    (void)signal;
}

// A hundred and more children of the application's own, who all exit at once. SIGCHLD comes in a storm,
// and not one of them may be reaped by the library.
int raise_children(bell_conn *conn, void *arg)
{
    (void)arg;
    enum { CHILDREN = 128 };
    pid_t children[CHILDREN];
    int reaped = 0;
    char byte;
    struct sigaction action = {.sa_handler = child_ended};
    sigaction(SIGCHLD, &action, NULL);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                pause();
        }
    }
    ssize_t n = bell_read(conn, &byte, 1); // until then others may come and go
    for (int i = 0; i < CHILDREN; i++)
        (void)kill(children[i], SIGKILL);
    bell_sleep(50 * BELL_MS);
    for (int i = 0; i < CHILDREN; i++) {
        int status = 0;
        pid_t pid;
        while ((pid = waitpid(children[i], &status, 0)) < 0 && errno == EINTR)
            continue;
        reaped += pid == children[i] && WIFSIGNALED(status);
    }
    return n < 0 || bell_printf(conn, "%d\n", reaped) < 0;
}

// ---- Time and processor -----------------------------------------------------------------------

int sleeper(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[100];
    bell_sleep(number * BELL_MS);
    ssize_t n = bell_read(conn, text, sizeof text);
    return n > 0 ? bell_write(conn, text, (size_t)n) < 0 : (int)n;
}

int hog(bell_conn *conn, void *arg)
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

int in_a_storm(bell_conn *conn, void *arg)
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

// ---- Stacks and processes ---------------------------------------------------------------------

// NOLINTNEXTLINE(misc-no-recursion): that is the point
static int go_down(const volatile char *above, int depth)
{
    volatile char frame[200];
    frame[0] = above[0];
    return depth == 0 ? frame[0] : go_down(frame, depth - 1) + frame[0];
}

int overflow_slowly(bell_conn *conn, void *arg)
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

int overflow_at_once(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte = 0;
    bell_read(conn, &byte, 1);
    return one_big_frame(&byte);
}

// Ends its own process, in the middle of a conversation.
int die(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    if (bell_read(conn, &byte, 1) == 1 && byte == '!')
        kill(getpid(), SIGKILL);
    return bell_write(conn, "alive", 5) < 0;
}

int tell_pid(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    bell_printf(conn, "%d\n", (int)getpid());
    return bell_read(conn, &byte, 1) < 0;
}

int stop_server(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    bell_read(conn, &byte, 1);
    bell_server_stop(bell_conn_server(conn));
    return bell_write(conn, "stopped", 7) < 0;
}
