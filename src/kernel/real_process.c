// Processes, threads and signals.

#include "kernel/real.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WATCHER_THREADS 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define WATCHER_THREADS 1
#endif

// ThreadSanitizer keeps a thread of its own, which holds no lock of ours.
#ifndef WATCHER_THREADS
#define WATCHER_THREADS 0
#endif

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

// The links of a folder in /proc are two and one for each folder in it; one stat costs a fifth of
// reading /proc/self/status. Unlike the C library's own flag it sees threads that were made without
// the C library, and forgets those that have ended.
static bool has_more_threads(void)
{
    struct stat tasks;
    if (stat("/proc/self/task", &tasks) < 0)
        return !__libc_single_threaded;
    return tasks.st_nlink > 3 + WATCHER_THREADS;
}

int real_fork(void)
{
    if (has_more_threads())
        return -EBUSY;
    (void)fflush(NULL); // a stream that cannot be written is its owner's affair
    pid_t pid = fork();
    return pid >= 0 ? pid : -errno;
}

int real_pidfd_open(int pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd >= 0 ? real_lift((int)fd) : -errno;
}

int real_wait_status(const siginfo_t *info)
{
    switch (info->si_code) {
    case CLD_EXITED:
        return (info->si_status & 0xff) << 8;
    case CLD_DUMPED:
        return info->si_status | WCOREFLAG;
    default:
        return info->si_status;
    }
}

int real_reap(int pidfd, int *ret_status)
{
    siginfo_t info = {0};
    if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
        return -errno;
    if (info.si_pid == 0)
        return 0;
    *ret_status = real_wait_status(&info);
    return 1;
}

int real_kill(int pidfd, int signal)
{
    long n = syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
    return n >= 0 ? 0 : -errno;
}

void real_kill_and_reap(int pid)
{
    int n;
    (void)kill(pid, SIGKILL);
    do
        n = waitpid(pid, NULL, 0);
    while (n < 0 && errno == EINTR); // unreached: a signal while a killed child ends
}

int real_getpid(void)
{
    return getpid();
}

int real_getppid(void)
{
    return getppid();
}

void real_exit_child(int status)
{
    (void)fflush(NULL); // a stream that cannot be written is its owner's affair
    _exit(status);
}

struct thread_start {
    void (*run)(void *arg);
    void *arg;
};

static void *begin_thread(void *arg)
{
    struct thread_start start = *(struct thread_start *)arg;
    free(arg);
    start.run(start.arg);
    return NULL;
}

// Everything but faults, which the thread itself causes and whose handler has something to say,
// and the profiler's tick.
static void fill_mask(sigset_t *set)
{
    static const int open[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    sigfillset(set);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        sigdelset(set, open[i]);
}

// The system wants whole pages, and no less than its minimum.
static size_t round_stack(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size < (size_t)PTHREAD_STACK_MIN)
        size = (size_t)PTHREAD_STACK_MIN;
    return (size + page - 1) / page * page;
}

int real_thread_start(void (*run)(void *arg), void *arg, size_t stack_size)
{
    struct thread_start *start = malloc(sizeof *start);
    if (!start)
        return -ENOMEM;
    *start = (struct thread_start){.run = run, .arg = arg};

    int error = 0;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes); // on Linux it never fails
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack_size != 0)
        error = pthread_attr_setstacksize(&attributes, round_stack(stack_size));
    if (error != 0)
        goto free_start;

    // A new thread inherits the mask, so there is no moment in which it could take a signal.
    sigset_t mask, old;
    fill_mask(&mask);
    pthread_sigmask(SIG_BLOCK, &mask, &old);
    pthread_t thread;
    error = pthread_create(&thread, &attributes, begin_thread, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error == 0)
        goto destroy_attributes;

free_start:
    free(start);
destroy_attributes:
    pthread_attr_destroy(&attributes);
    return -error;
}

int real_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline)
{
    if (deadline == INT64_MAX)
        return -pthread_cond_wait(cond, lock);
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    return -pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &until);
}

void real_cond_signal(pthread_cond_t *cond)
{
    (void)pthread_cond_signal(cond);
}

int real_sigaction(int number, const struct sigaction *action, struct sigaction *ret_old)
{
    int n = sigaction(number, action, ret_old);
    return n >= 0 ? n : -errno;
}

int real_sigprocmask(int how, const sigset_t *set, sigset_t *ret_old)
{
    return -pthread_sigmask(how, set, ret_old);
}

// A SIGPIPE that was pending before belongs to the application and stays pending. It can be only
// where the application has blocked the signal; so most calls need two more system calls, not three.
void real_hold_sigpipe(struct sigpipe_guard *ret_guard)
{
    sigset_t pending;
    sigemptyset(&pending);
    sigemptyset(&ret_guard->pipe_set);
    sigaddset(&ret_guard->pipe_set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &ret_guard->pipe_set, &ret_guard->old);
    ret_guard->was_blocked = sigismember(&ret_guard->old, SIGPIPE);
    if (ret_guard->was_blocked)
        sigpending(&pending);
    ret_guard->was_pending = sigismember(&pending, SIGPIPE);
}

// The kernel sends SIGPIPE to the thread, and sigtimedwait takes the thread's own first.
void real_release_sigpipe(const struct sigpipe_guard *guard, bool raised)
{
    if (raised && !guard->was_pending) {
        const struct timespec at_once = {0};
        (void)sigtimedwait(&guard->pipe_set, NULL,
                           &at_once); // no signal interrupts what does not wait
    }
    if (!guard->was_blocked)
        pthread_sigmask(SIG_SETMASK, &guard->old, NULL);
}

int real_ended_child(int pidfd)
{
    siginfo_t info = {0};
    int n = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
    return n < 0 ? -errno : info.si_pid;
}
