// Signals, as events between two others, and the end of a process that has no handler for one.

#include "sim/signal.h"

#include <doorbell/sim.h>
#include <errno.h>
#include <signal.h>

#include "door/signals.h"
#include "sim/file.h"
#include "sim/lock.h"
#include "sim/net.h"
#include "wait/failure.h"

typedef void signal_handler(int number);

static signal_handler *handler_of(const struct program *program, int number)
{
    return number == SIGKILL ? SIG_DFL : program->actions[number].sa_handler;
}

// signal(7): those whose default action is to do nothing, or nothing that is seen here.
static bool is_ignored_by_default(int number)
{
    return number == SIGCHLD || number == SIGURG || number == SIGWINCH || number == SIGCONT;
}

static void handle(struct program *program, signal_handler *handler, int number)
{
    struct program *outer = world.running;
    world.running = program;
    handler(number);
    world.running = outer;
    if (!program->waits_in)
        return;
    program->interrupted = true; // SA_RESTART is not for poll(2) and epoll_wait(2): signal(7)
    program_wake(program);
}

void signal_handle(struct program *program, int number)
{
    signal_handler *handler = handler_of(program, number);
    if (handler != SIG_DFL && handler != SIG_IGN)
        handle(program, handler, number);
}

// The system closes what it had open, in the order of the numbers: its callers get an end or, where there are
// bytes that it has not read, a reset.
static void end_process(int pid)
{
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->pid == pid)
            program_is_dead(program);
    }
    signals_forget(pid);
    lock_release_all_of(pid);
    file_close_all_of(pid);
}

static void deliver(struct program *program, int number)
{
    signal_handler *handler = handler_of(program, number);
    if (handler == SIG_IGN || (handler == SIG_DFL && is_ignored_by_default(number)))
        return;
    world.signalled = true;
    if (world.trace)
        world_trace("%-12s gets signal %d%s", program->name, number,
                    handler == SIG_DFL ? " and ends by it" : "");
    if (handler == SIG_DFL)
        end_process(program->pid);
    else
        handle(program, handler, number);
}

int bell_sim_signal(const char *host_name, int number)
{
    const struct host *host = host_name ? host_by_name(host_name) : NULL;
    struct program *self = world.running;
    if (!self || !host || number < 1 || number >= NSIG)
        return failure_say(-EINVAL, "bell_sim_signal: %s",
                           !self   ? "outside a run"
                           : !host ? "there is no such host"
                                   : "there is no such signal");
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->host == host && program->kind != PROGRAM_THREAD && !program->ended &&
            !program->dead)
            deliver(program, number);
    }
    if (self->dead)
        program_stop_here();
    return 0;
}
