// Processes: one for each caller (fork), or one for each worker, under a supervisor (prefork, and
// coroutines whose workers are processes).
//
// Children are watched and reaped through a pidfd each, so that SIGCHLD and the application's own
// children are left alone, and no exit can be missed.

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "kernel/kernel.h"
#include "model/model.h"
#include "wait/watch.h"

// pidfd_open can fail for want of a descriptor or of memory; a child that ends before it works is a zombie
// until then.
#define PIDFD_RETRY ((int64_t)10000000)

// A thread that was told to end is gone after some microseconds; there is no event of that.
#define FORK_RETRY ((int64_t)1000000)
enum { FORK_TRIES = 5 };

// Threads of the library's own are no reason not to fork.
static int fork_process(struct crew *crew)
{
    int pid = kernel->fork();
    if (pid != -EBUSY || !crew->ops->end_helpers(crew))
        return pid;
    for (int tries = 0; pid == -EBUSY && tries < FORK_TRIES; tries++) {
        (void)kernel->ppoll(NULL, 0, kernel->now() + FORK_RETRY);
        pid = kernel->fork();
    }
    return pid;
}

// ---- A process for each caller ----------------------------------------------------------------

struct child {
    struct caller *caller;
    int pid;
    struct watch process; // a pidfd
    struct timer again;   // opens it
};

static void watch_child(struct child *child);

static void child_is_over(struct child *child, int problem)
{
    struct caller *caller = child->caller;
    caller->child = NULL;
    kernel->release(child);
    caller->crew->ops->over(caller->crew, caller, problem);
}

static void end_process_watch(struct watch *process)
{
    int pidfd = process->endpoint.fd;
    watch_end(process);
    (void)kernel->close(pidfd);
}

static void child_ended(struct watch *process)
{
    struct child *child = LIST_ENTRY(process, struct child, process);
    int status = 0;
    int rc = kernel->reap(process->endpoint.fd, &status);
    if (rc == 0) {
        watch_again(process); // not yet
        return;
    }
    end_process_watch(process);
    child_is_over(child, rc > 0 ? status : 0);
}

static void call_child_at(struct child *child, int64_t when, void (*expired)(struct timer *timer))
{
    child->again.at = when;
    child->again.expired = expired;
    timers_add(&child->caller->home->timers, &child->again);
}

static void open_again(struct timer *timer)
{
    watch_child(LIST_ENTRY(timer, struct child, again));
}

static void reaped_by_others(struct timer *timer)
{
    child_is_over(LIST_ENTRY(timer, struct child, again), 0);
}

static void watch_child(struct child *child)
{
    int fd = kernel->pidfd_open(child->pid);
    if (fd >= 0)
        watch_start(&child->process, child->caller->home, fd, child_ended);
    else if (fd == -ESRCH) // somebody else reaped it, since the application ignores SIGCHLD
        call_child_at(child, 0, reaped_by_others);
    else
        call_child_at(child, kernel->now() + PIDFD_RETRY, open_again);
}

void model_forget_child(struct caller *caller)
{
    if (caller->child && caller->child->process.endpoint.fd > 0)
        (void)kernel->close(caller->child->process.endpoint.fd);
}

// In the child. Never returns.
_Noreturn static void be_caller_process(struct crew *crew, struct caller *caller)
{
    loop_abandon(caller->home);
    crew->ops->enter_process(crew, -1);
    int rc = crew->ops->serve_alone(crew, caller);
    kernel->exit_child(rc < 0 ? 1 : 0);
    __builtin_unreachable();
}

int model_launch_process(struct crew *crew, struct caller *caller)
{
    caller->home = loop_here();
    struct child *child = kernel->allocate(sizeof *child);
    if (!child)
        return -ENOMEM;
    child->caller = caller;
    int pid = fork_process(crew);
    if (pid == 0)
        be_caller_process(crew, caller);
    if (pid < 0) {
        kernel->release(child);
        return pid;
    }
    // The parent's copy must go at once: else the caller would not see the end of his stream.
    (void)kernel->close(caller->fd);
    caller->fd = -1;
    caller->child = child;
    child->pid = pid;
    watch_child(child);
    return 0;
}

// ---- A process for each worker ----------------------------------------------------------------

// A worker that lived so long was no part of a crash loop.
#define LIVED_WELL ((int64_t)10000000000)
// The workers accept whom they find in the queue after the stop; a worker whose handler keeps its
// loop does not, and must not keep the port open either.
#define LISTEN_DELAY ((int64_t)100000000)
// What is left to a worker after the grace time or the cut to end by itself.
#define KILL_DELAY ((int64_t)1000000000)

struct supervisor;

struct worker {
    struct supervisor *supervisor;
    int number;
    int pid;              // 0: none
    struct watch process; // a pidfd
    struct timer restart;
    int64_t started;
    int deaths; // in a row, of workers that did not live well
};

struct supervisor {
    struct crew *crew;
    struct loop loop;
    struct worker *workers;
    int alive;
    bool stopping;
    int problem; // the first worker could not even be started
    struct task *waiter;
    struct watch stop, cut;
    struct timer kill_timer;
    struct timer listen_timer;
};

static void start_worker(struct worker *worker);

// A worker that has seen the stop may be gone before this process has.
static bool was_stopped(const struct supervisor *supervisor)
{
    struct pollfd stop = {.fd = supervisor->crew->stop_fd, .events = POLLIN};
    return supervisor->stopping || kernel->ppoll(&stop, 1, 0) > 0;
}

static void worker_is_gone(struct worker *worker, int status)
{
    // The first death is made good at once; a crash loop slows down to one start in 10 s.
    static const int64_t delays_ms[] = {0, 100, 1000, 4000, 10000};
    enum { DELAYS = sizeof delays_ms / sizeof *delays_ms };
    struct supervisor *supervisor = worker->supervisor;

    worker->pid = 0;
    supervisor->alive--;
    task_wake(supervisor->waiter);
    if (was_stopped(supervisor))
        return;
    int64_t now = kernel->now();
    if (now - worker->started >= LIVED_WELL)
        worker->deaths = 0;
    int64_t delay = delays_ms[worker->deaths < DELAYS ? worker->deaths : DELAYS - 1] * 1000000;
    worker->deaths++;
    supervisor->crew->ops->worker_lost(supervisor->crew, worker->number, status, delay);
    worker->restart.at = now + delay;
    timers_add(&supervisor->loop.timers, &worker->restart);
}

static void worker_process_ended(struct watch *process)
{
    struct worker *worker = LIST_ENTRY(process, struct worker, process);
    int status = 0;
    int rc = kernel->reap(process->endpoint.fd, &status);
    if (rc == 0) {
        watch_again(process);
        return;
    }
    end_process_watch(process);
    worker_is_gone(worker, rc > 0 ? status : 0);
}

_Noreturn static void be_worker_process(struct worker *worker)
{
    struct supervisor *supervisor = worker->supervisor;
    struct crew *crew = supervisor->crew;
    int number = worker->number;
    for (int i = 0; i < crew->workers; i++)
        if (supervisor->workers[i].pid)
            (void)kernel->close(supervisor->workers[i].process.endpoint.fd);
    loop_abandon(&supervisor->loop);
    crew->ops->enter_process(crew, number);
    int rc = crew->ops->work(crew, number);
    kernel->exit_child(rc < 0 ? 1 : 0);
    __builtin_unreachable();
}

// Makes the process and begins to watch it. Returns 0 or a negative errno, and then there is none.
static int fork_worker(struct worker *worker)
{
    int pid = fork_process(worker->supervisor->crew);
    if (pid == 0)
        be_worker_process(worker);
    if (pid < 0)
        return pid;
    int fd = kernel->pidfd_open(pid);
    if (fd < 0) {
        // Not to be watched, so not to be kept. It has no caller yet, or hardly.
        kernel->kill_and_reap(pid);
        return fd;
    }
    worker->pid = pid;
    worker->started = kernel->now();
    watch_start(&worker->process, &worker->supervisor->loop, fd, worker_process_ended);
    worker->supervisor->alive++;
    return 0;
}

static void start_later(struct worker *worker, int rc)
{
    struct supervisor *supervisor = worker->supervisor;
    int64_t delay = KILL_DELAY;
    supervisor->crew->ops->worker_lost(supervisor->crew, worker->number, rc, delay);
    worker->restart.at = kernel->now() + delay;
    timers_add(&supervisor->loop.timers, &worker->restart);
}

static void start_worker(struct worker *worker)
{
    int rc = fork_worker(worker);
    if (rc < 0)
        start_later(worker, rc);
}

static void restart_worker(struct timer *timer)
{
    start_worker(LIST_ENTRY(timer, struct worker, restart));
}

static void kill_workers(struct timer *timer)
{
    struct supervisor *supervisor = LIST_ENTRY(timer, struct supervisor, kill_timer);
    for (int i = 0; i < supervisor->crew->workers; i++)
        if (supervisor->workers[i].pid)
            (void)kernel->kill(supervisor->workers[i].process.endpoint.fd, SIGKILL);
}

static void kill_at(struct supervisor *supervisor, int64_t when)
{
    timers_remove(&supervisor->loop.timers, &supervisor->kill_timer);
    supervisor->kill_timer.at = when;
    supervisor->kill_timer.expired = kill_workers;
    timers_add(&supervisor->loop.timers, &supervisor->kill_timer);
}

static void stop_listening(struct timer *timer)
{
    struct supervisor *supervisor = LIST_ENTRY(timer, struct supervisor, listen_timer);
    supervisor->crew->ops->stop_listening(supervisor->crew);
}

static void crew_stopped(struct watch *watch)
{
    struct supervisor *supervisor = LIST_ENTRY(watch, struct supervisor, stop);
    supervisor->stopping = true;
    for (int i = 0; i < supervisor->crew->workers; i++)
        timers_remove(&supervisor->loop.timers, &supervisor->workers[i].restart);
    kill_at(supervisor, kernel->now() + supervisor->crew->grace + KILL_DELAY);
    supervisor->listen_timer.at = kernel->now() + LISTEN_DELAY;
    supervisor->listen_timer.expired = stop_listening;
    timers_add(&supervisor->loop.timers, &supervisor->listen_timer);
    task_wake(supervisor->waiter);
}

static void crew_cut(struct watch *watch)
{
    kill_at(LIST_ENTRY(watch, struct supervisor, cut), kernel->now() + KILL_DELAY);
}

static int supervise(struct supervisor *supervisor)
{
    supervisor->waiter = &supervisor->loop.root;
    watch_start(&supervisor->stop, &supervisor->loop, supervisor->crew->stop_fd, crew_stopped);
    watch_start(&supervisor->cut, &supervisor->loop, supervisor->crew->cut_fd, crew_cut);

    for (int i = 0; i < supervisor->crew->workers; i++) {
        struct worker *worker = &supervisor->workers[i];
        worker->supervisor = supervisor;
        worker->number = i;
        worker->restart.expired = restart_worker;
        int rc = fork_worker(worker);
        if (rc == 0)
            continue;
        bool for_ever = rc != -EBUSY || !supervisor->crew->ops->end_helpers(supervisor->crew);
        if (i == 0 && for_ever) {
            supervisor->problem = rc; // no process can be made here, and none ever will
            supervisor->stopping = true;
            break;
        }
        start_later(worker, rc);
    }
    while (!supervisor->stopping || supervisor->alive)
        task_pause(supervisor->waiter);

    timers_remove(&supervisor->loop.timers, &supervisor->kill_timer);
    timers_remove(&supervisor->loop.timers, &supervisor->listen_timer);
    watch_end(&supervisor->stop);
    watch_end(&supervisor->cut);
    return supervisor->problem;
}

int model_run_processes(struct crew *crew)
{
    struct supervisor *supervisor = kernel->allocate(sizeof *supervisor);
    if (!supervisor)
        return -ENOMEM;
    supervisor->crew = crew;
    int rc = -ENOMEM;
    supervisor->workers = kernel->allocate((size_t)crew->workers * sizeof *supervisor->workers);
    if (!supervisor->workers)
        goto release;
    rc = loop_open(&supervisor->loop, crew->backend);
    if (rc < 0)
        goto release;
    rc = supervise(supervisor);
    loop_close(&supervisor->loop);

release:
    kernel->release(supervisor->workers);
    kernel->release(supervisor);
    return rc;
}
