// Simulated threads: who runs next, and when the clock goes on.

#include <doorbell.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim/fail.h"
#include "sim/file.h"
#include "sim/lock.h"
#include "sim/net.h"
#include "sim/service.h"
#include "sim/sim.h"
#include "task/helpers.h"
#include "wait/backend.h"

// ---- Ready ------------------------------------------------------------------------------------

static void make_ready(struct program *program)
{
    if (program->is_ready || program->dead || program->ended)
        return;
    if (world.ready_count == world.ready_room) {
        int room = world.ready_room ? 2 * world.ready_room : 64;
        struct program **more = kernel_real.reallocate(world.ready, (size_t)room * sizeof(void *));
        if (!more)
            __builtin_trap();
        world.ready = more;
        world.ready_room = room;
    }
    program->is_ready = true;
    world.ready[world.ready_count++] = program;
}

void program_wake(struct program *program)
{
    if (program->waits_in)
        make_ready(program);
}

static void timer_expired(struct timer *timer)
{
    make_ready(LIST_ENTRY(timer, struct program, timer));
}

// Each process has helper threads of its own, which end with it.
static struct helpers *make_helpers(void)
{
    struct helpers *helpers = world_give(helpers_size());
    struct helpers *before = helpers_exchange(helpers);
    helpers_after_fork();
    (void)helpers_exchange(before);
    return helpers;
}

struct program *program_add(enum program_kind kind, const char *name, struct host *host,
                            int64_t delay)
{
    struct program *program = world_take(sizeof *program);
    program->kind = kind;
    program->host = host;
    program->pid = ++world.last_pid;
    program->helpers = make_helpers();
    program->epoll = -1;
    (void)snprintf(program->name, sizeof program->name, "%s", name);
    list_append(&world.programs, &program->node);
    program->timer.at = world.now + delay;
    program->timer.expired = timer_expired;
    timers_add(&world.timers, &program->timer);
    if (kind == PROGRAM_CLIENT)
        world.clients++;
    return program;
}

// ---- Switching --------------------------------------------------------------------------------

static void rest(struct program *self)
{
    struct coro here;
    coro_adopt(&here);
    self->at = &here;
    self->here = loop_exchange(NULL);
    coro_switch(&here, world.scheduler);
    (void)loop_exchange(self->here);
}

_Noreturn void program_stop_here(void)
{
    for (;;)
        rest(world.running);
}

void program_is_dead(struct program *program)
{
    if (program->kind == PROGRAM_CLIENT && !program->dead && !program->ended)
        world.clients--;
    program->dead = true;
}

// The machine goes out: nothing of it is heard any more.
static void vanish(struct program *self)
{
    if (world.trace)
        world_trace("%-12s goes out", self->host->name);
    self->host->is_dead = true;
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *other = LIST_ENTRY(node, struct program, node);
        if (other->host == self->host)
            program_is_dead(other);
    }
    program_stop_here();
}

// Before it waits, or when its kernel has said that something came and it has not answered yet.
static void vanish_in_time(struct program *self)
{
    if (self->waits_left > 0 && --self->waits_left == 0)
        vanish(self);
}

bool program_wait(const char *where, int64_t deadline)
{
    struct program *self = world.running;
    vanish_in_time(self);
    self->bears_faults = true;
    self->interrupted = false;
    if (deadline <= world.now)
        return false;
    self->timer.at = deadline;
    self->timer.expired = timer_expired;
    if (deadline != INT64_MAX)
        timers_add(&world.timers, &self->timer);
    self->waits_in = where;
    rest(self);
    self->waits_in = NULL;
    bool in_time = deadline == INT64_MAX || timer_is_set(&self->timer);
    timers_remove(&world.timers, &self->timer);
    vanish_in_time(self);
    return in_time;
}

void program_look(void)
{
    world.now += 1000;
    struct program *self = world.running;
    struct loop *loop = loop_here();
    if (++world.steps > world.steps_max)
        world_fail("%s does not come to an end: it looked for events %llu times", self->name,
                   (unsigned long long)world.steps);
    // In the middle of a task nobody expects others to run.
    if (loop && loop->current != &loop->root)
        return;
    make_ready(self);
    rest(self);
}

// ---- The life of a program --------------------------------------------------------------------

static void check_leaks(struct program *self)
{
    size_t bytes = world_memory_of(self);
    char text[400];
    if (bytes)
        world_find("%s leaks %zu bytes of memory", self->name, bytes);
    else if (self->files_open > 0)
        world_find("%s leaks %d descriptor%s: %s", self->name, self->files_open,
                   self->files_open == 1 ? "" : "s", file_list_of(self, text, sizeof text));
}

void program_check_threads(void)
{
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->kind == PROGRAM_THREAD && !program->dead && !world.failed)
            check_leaks(program);
    }
}

static void end_program(struct program *self)
{
    if (self->owns_loop)
        loop_close(&self->loop);
    if (self->kind != PROGRAM_THREAD)
        check_leaks(self);
    if (world.trace)
        world_trace("%-12s ends", self->name);
    self->ended = true;
    if (self->kind == PROGRAM_CLIENT)
        world.clients--;
}

static void begin_program(void *arg)
{
    struct program *self = arg;
    if (world.trace)
        world_trace("%-12s begins", self->name);
    if (self->kind != PROGRAM_THREAD) {
        int rc = loop_open(&self->loop, world_below(2) ? &backend_block : &backend_epoll);
        if (rc < 0 && !fail_has_struck())
            world_fail("%s: no loop: %s", self->name, strerrordesc_np(-rc));
        self->owns_loop = rc == 0;
    }
    if (self->owns_loop || self->kind == PROGRAM_THREAD)
        self->run(self);
    end_program(self);
    (void)loop_exchange(NULL);
    coro_switch_and_end(&self->coro, world.scheduler);
}

static void run_program(struct program *program)
{
    if (!program)
        return;
    struct coro here;
    coro_adopt(&here);
    world.scheduler = &here;
    struct coro *to = program->at;
    if (!to) {
        void *stack = coro_take_stack();
        if (!stack)
            __builtin_trap();
        coro_init(&program->coro, stack, program->name, begin_program, program);
        to = &program->coro;
    }
    world.running = program;
    struct helpers *outer = helpers_exchange(program->helpers);
    coro_switch(&here, to);
    (void)helpers_exchange(outer);
    world.running = NULL;
}

// NULL: who was ready is dead meanwhile.
static struct program *draw_ready(void)
{
    int index = (int)world_below((uint64_t)world.ready_count);
    struct program *program = world.ready[index];
    world.ready[index] = world.ready[--world.ready_count];
    program->is_ready = false;
    return program->dead ? NULL : program;
}

// ---- When nothing happens any more ------------------------------------------------------------

static void tell_waiting(struct text *text, const struct program *program)
{
    char what[600];
    if (program->cond)
        (void)snprintf(what, sizeof what, "another thread");
    else if (program->lock)
        lock_describe_wait(program, what, sizeof what);
    else
        file_describe_wait(program, what, sizeof what);
    text_addf(text, "\n    %s waits for %s", program->name, what);
}

static void find_deadlock(const char *what)
{
    char memory[SIM_FINDING_SIZE - 200];
    struct text text;
    text_init(&text, memory, sizeof memory);
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        const struct program *program = LIST_ENTRY(node, struct program, node);
        if (!program->ended && !program->dead && program->waits_in)
            tell_waiting(&text, program);
    }
    world_find("%s%s", what, memory);
}

static bool waits_for_lock(void)
{
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        const struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->lock && !program->dead)
            return true;
    }
    return false;
}

// A look from outside at who is left: true if something goes on by it.
static bool when_idle(void)
{
    if (world.clients > 0 || waits_for_lock()) {
        find_deadlock("nothing can happen any more, and somebody still waits:");
        return false;
    }
    if (world.stage++ == 0)
        return service_settled() && service_stop_all();
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        const struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->ended || program->dead)
            continue;
        find_deadlock("a server was stopped, and does not end:");
        break;
    }
    return false;
}

static void run_next_timer(void)
{
    struct timer *timer = world.timers.first;
    timers_remove(&world.timers, timer);
    if (timer->at > world.now)
        world.now = timer->at;
    if (world.now > world.ends_at)
        find_deadlock("it goes on for ever; at the time when the run was given up");
    else
        timer->expired(timer);
}

void program_run_all(void)
{
    struct loop *outer = loop_exchange(NULL);
    while (!world.failed) {
        // What is due comes first, so that who only looks is not alone in the world.
        if (world.timers.first && (world.ready_count == 0 || world.timers.first->at <= world.now))
            run_next_timer();
        else if (world.ready_count > 0)
            run_program(draw_ready());
        else if (!when_idle())
            break;
    }
    world.ready_count = 0;
    (void)loop_exchange(outer);
}

// ---- Threads ----------------------------------------------------------------------------------

static void run_thread(struct program *self)
{
    self->thread(self->arg);
}

int program_thread_start(void (*run)(void *arg), void *arg, size_t stack_size)
{
    (void)stack_size;
    char name[SIM_NAME_SIZE];
    (void)snprintf(name, sizeof name, "%.20s-thread", world.running->host->name);
    struct program *thread =
        program_add(PROGRAM_THREAD, name, world.running->host, world_between(1000, SIM_MS));
    thread->pid = world.running->pid; // a worker with another one would take its parent for dead
    thread->helpers = world.running->helpers;
    thread->run = run_thread;
    thread->thread = run;
    thread->arg = arg;
    return 0;
}

int program_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline)
{
    world.running->cond = cond;
    (void)pthread_mutex_unlock(lock);
    bool in_time = program_wait("cond_wait", deadline);
    world.running->cond = NULL; // what is signalled while it waits for the lock is for others
    (void)pthread_mutex_lock(lock);
    return in_time ? 0 : -ETIMEDOUT;
}

// The first that waits, and is not told yet.
void program_cond_signal(pthread_cond_t *cond)
{
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->cond != cond || program->is_ready || program->dead)
            continue;
        program_wake(program);
        return;
    }
}

int program_sigaction(int number, const struct sigaction *action, struct sigaction *ret_old)
{
    struct program *self = world.running;
    if (number < 1 || number > 64)
        return -EINVAL;
    if (number == SIGSEGV || number == SIGBUS)
        return kernel_real.sigaction(number, action, ret_old);
    if (!self) // the program around the simulation has its own
        return 0;
    if (ret_old)
        *ret_old = self->actions[number];
    if (action)
        self->actions[number] = *action;
    return 0;
}
