// The public face of a server: options, running, stopping.

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/dgram.h"
#include "door/door.h"
#include "door/signals.h"
#include "door/sockopts.h"
#include "kernel/kernel.h"
#include "task/helpers.h"
#include "wait/backend.h"
#include "wait/failure.h"

// Descriptors that a process keeps for what is not a caller: files of the handlers, the loops'.
enum { DESCRIPTORS_RESERVED = 96 };

static bool end_helpers(struct crew *crew);
static void enter_process(struct crew *crew, int worker);
static void stop_listening(struct crew *crew);
static void worker_lost(struct crew *crew, int worker, int status, int64_t delay);

static const struct crew_ops crew_ops = {
    .work = shift_work,
    .end_helpers = end_helpers,
    .enter_process = enter_process,
    .serve_alone = visit_serve_alone,
    .over = shift_over,
    .stop_listening = stop_listening,
    .worker_lost = worker_lost,
};

// ---- Options ----------------------------------------------------------------------------------

static int check_ranges(const struct bell_server_options *o)
{
    if (o->workers < BELL_PER_CPU || o->workers > 1024)
        return failure_say(-EINVAL, "workers: %d is not 0..1024 or BELL_PER_CPU", o->workers);
    if (o->callers_max < 0 || o->callers_per_address_max < 0 || o->backlog < 0)
        return failure_say(-EINVAL, "callers_max, callers_per_address_max, backlog: below 0");
    if (o->idle_timeout < 0 || o->total_timeout < 0 || o->grace < 0 || o->linger_time < 0)
        return failure_say(-EINVAL, "a time in the server's options is below 0");
    if ((o->flags & BELL_IPV4_ONLY) && (o->flags & BELL_IPV6_ONLY))
        return failure_say(-EINVAL, "BELL_IPV4_ONLY and BELL_IPV6_ONLY exclude each other");
    return 0;
}

// BELL_NEVER and the like: so long that it makes no difference, and any clock may be added.
static int64_t within_an_age(int64_t duration)
{
    return duration < BELL_NEVER / 4 ? duration : BELL_NEVER / 4;
}

static void bound_times(struct bell_server_options *o)
{
    o->idle_timeout = within_an_age(o->idle_timeout);
    o->total_timeout = within_an_age(o->total_timeout);
    o->grace = within_an_age(o->grace);
    o->linger_time = within_an_age(o->linger_time);
}

static int copy_options(struct bell_server *server, const struct bell_server_options *options)
{
    static const struct bell_server_options none = {.size = sizeof none};
    if (!options)
        options = &none;
    if (options->size != sizeof *options)
        return failure_say(-EINVAL,
                           "options.size is %zu, not sizeof(struct bell_server_options), %zu",
                           options->size, sizeof *options);
    int rc = check_ranges(options);
    if (rc == 0)
        rc = sockopts_check(options->sockopts, "");
    if (rc < 0)
        return rc;

    struct bell_server_options *o = &server->options;
    *o = *options;
    if (!o->name)
        o->name = "handler";
    if (!o->grace)
        o->grace = 5 * BELL_SECOND;
    if (!o->linger_time)
        o->linger_time = 2 * BELL_SECOND;
    if (!o->linger_bytes)
        o->linger_bytes = (size_t)64 * 1024;
    bound_times(o);
    return 0;
}

// What the program left open, the environment may say.
static const char *chosen(const char *option, const char *variable, const char **ret_why)
{
    if (option) {
        *ret_why = "asked for";
        return option;
    }
    const char *value = secure_getenv(variable);
    *ret_why = value && *value ? variable : "default";
    return value && *value ? value : NULL;
}

static int check_flags(const struct model_ops *model, const struct crew *crew, unsigned flags)
{
    bool processes = model->processes || crew->worker_processes;
    bool threads = model->threads || (!processes && crew->workers > 1);
    if (processes && (flags & BELL_SHARES_MEMORY))
        return failure_say(-EINVAL,
                           "model %s has processes, and the handlers share memory; use threads, "
                           "pool, iterative or coroutines",
                           model->name);
    if (threads && (flags & BELL_NOT_THREAD_SAFE))
        return failure_say(-EINVAL,
                           "model %s has %sthreads, and the handlers are not thread-safe; use "
                           "iterative, fork, prefork, or coroutines with one worker",
                           model->name, model->threads ? "" : "several worker ");
    return 0;
}

static int choose_workers(struct bell_server *server)
{
    struct crew *crew = &server->crew;
    const struct model_ops *model = crew->model;
    // Where there are no callers, a thread each is one for each worker.
    bool alone = model->alone && !server->dgram_handler;
    bool crew_of_many = !alone && strcmp(model->name, "iterative") != 0;
    int workers = server->options.workers;
    if (workers == BELL_PER_CPU)
        workers = kernel->processors();
    if (workers == 0)
        workers = model->many ? 1 : kernel->processors();
    crew->workers = crew_of_many ? workers : 1;
    crew->worker_processes =
        !strcmp(model->name, "coroutines") && (server->options.flags & BELL_WORKERS_ARE_PROCESSES);
    return check_flags(model, crew, server->options.flags);
}

static int choose(struct bell_server *server)
{
    struct crew *crew = &server->crew;
    const char *why_model, *why_backend;
    const char *model = chosen(server->options.model, "BELL_MODEL", &why_model);
    const char *backend = chosen(server->options.backend, "BELL_BACKEND", &why_backend);
    crew->model = model_find(model);
    if (!crew->model)
        return failure_say(-EINVAL, "no model is called \"%.40s\" (%s); there are %s", model,
                           why_model, model_names());
    if (server->dgram_handler && !strcmp(crew->model->name, "fork"))
        return failure_say(-EINVAL,
                           "model fork has a process for each caller, and datagrams have no "
                           "callers; prefork has worker processes");
    crew->backend = backend_find(backend);
    if (!crew->backend)
        return failure_say(-EINVAL,
                           "no backend is called \"%.40s\" (%s); there are auto, epoll, block",
                           backend, why_backend);
    int rc = choose_workers(server);
    if (rc < 0)
        return rc;
    (void)snprintf(server->choice, sizeof server->choice, "%s (%s) on %s (%s), %d worker%s",
                   crew->model->name, why_model, crew->backend->name, why_backend, crew->workers,
                   crew->workers == 1 ? "" : "s");
    return 0;
}

// How many callers one process has descriptors for: a thread has a loop of its own for each.
static int callers_by_descriptors(const struct bell_server *server)
{
    const struct model_ops *model = server->crew.model;
    int64_t limit = kernel->descriptor_limit();
    int64_t reserved = limit / 4 < DESCRIPTORS_RESERVED ? limit / 4 : DESCRIPTORS_RESERVED;
    int64_t each = model->alone && !model->processes ? 3 : 1;
    int64_t callers = (limit - reserved) / each;
    if (model->alone) {
        int64_t processes = kernel->process_limit();
        if (callers > processes)
            callers = processes;
    }
    return callers < 1 ? 1 : callers > INT_MAX ? INT_MAX : (int)callers;
}

static void limit_callers(struct bell_server *server)
{
    struct crew *crew = &server->crew;
    bool processes = crew->model->processes || crew->worker_processes;
    int64_t most = callers_by_descriptors(server);
    if (processes && !crew->model->alone)
        most *= crew->workers;
    if (!crew->model->many && most > crew->workers)
        most = crew->workers;
    int wish = server->options.callers_max;
    if (wish && (!crew->model->many || wish < most))
        most = wish < most ? wish : most;
    server->callers_max = most > INT_MAX ? INT_MAX : (int)most;
    if (!server->options.callers_per_address_max) {
        int quarter = server->callers_max / 4;
        server->options.callers_per_address_max = quarter > 0 ? quarter : 1;
    }
}

// ---- Opening and closing ----------------------------------------------------------------------

static int open_events(struct bell_server *server)
{
    server->crew.stop_fd = kernel->eventfd();
    if (server->crew.stop_fd < 0)
        return server->crew.stop_fd;
    server->crew.cut_fd = kernel->eventfd();
    return server->crew.cut_fd < 0 ? server->crew.cut_fd : 0;
}

static int set_up(struct bell_server *server, const struct bell_server_options *options)
{
    if (copy_options(server, options) < 0 || choose(server) < 0)
        return -1;
    server->crew.name = server->options.name;
    server->crew.grace = server->options.grace;
    limit_callers(server);
    server->ledger = ledger_open(server->crew.workers, server->callers_max);
    int rc = server->ledger ? open_events(server) : -ENOMEM;
    return rc < 0 ? failure_set(rc, "bell_server_open") : 0;
}

static bell_server *new_server(bell_handler *handler, bell_dgram_handler *dgram_handler, void *arg,
                               const struct bell_server_options *options)
{
    if (!handler && !dgram_handler) {
        failure_say(-EINVAL, "a server needs a handler");
        return NULL;
    }
    struct bell_server *server = kernel->allocate(sizeof *server);
    if (!server) {
        failure_set(-ENOMEM, "bell_server_open");
        return NULL;
    }
    server->crew.ops = &crew_ops;
    server->crew.stop_fd = server->crew.cut_fd = -1;
    server->handler = handler;
    server->dgram_handler = dgram_handler;
    server->arg = arg;
    server->owner_pid = kernel->getpid();
    (void)pthread_mutex_init(&server->lock, NULL);
    if (set_up(server, options) == 0)
        return server;
    bell_server_close(server);
    return NULL;
}

bell_server *bell_server_open(bell_handler *handler, void *arg,
                              const struct bell_server_options *options)
{
    return new_server(handler, NULL, arg, options);
}

bell_server *bell_server_open_dgram(bell_dgram_handler *handler, void *arg,
                                    const struct bell_server_options *options)
{
    return new_server(NULL, handler, arg, options);
}

// With the lock held.
static void close_all_listeners(struct bell_server *server)
{
    bool owner = kernel->getpid() == server->owner_pid;
    if (!server->closed)
        for (struct listener *listener = server->listeners; listener; listener = listener->next)
            listener_close(listener, owner);
    server->closed = true;
}

static void close_listeners(struct bell_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    close_all_listeners(server);
    (void)pthread_mutex_unlock(&server->lock);
}

// A program leaves its own loop while the server has callers: they are cut.
static void end_steps(bell_server *server)
{
    bell_server_stop(server);
    bell_server_stop(server);
    shift_enter(server->step_shift);
    shift_run(server->step_shift);
    shift_close(server->step_shift);
    signals_restore(server);
}

void bell_server_close(bell_server *server)
{
    if (!server)
        return;
    if (server->step_shift)
        end_steps(server);
    close_listeners(server);
    while (server->listeners) {
        struct listener *listener = server->listeners;
        server->listeners = listener->next;
        kernel->release(listener);
    }
    if (server->crew.stop_fd >= 0)
        (void)kernel->close(server->crew.stop_fd);
    if (server->crew.cut_fd >= 0)
        (void)kernel->close(server->crew.cut_fd);
    ledger_close(server->ledger);
    (void)pthread_mutex_destroy(&server->lock);
    kernel->release(server);
}

int bell_server_listen(bell_server *server, const char *address)
{
    if (!server || !address)
        return failure_say(-EINVAL, "bell_server_listen: NULL");
    if (server->running || server->closed)
        return failure_say(-EBUSY, "listen %.200s: the server runs already, or is over", address);
    struct listener *list = NULL;
    int rc = listener_open(address, &server->options, server->dgram_handler != NULL, &list);
    if (rc < 0)
        return -1;
    struct listener **end = &server->listeners;
    while (*end)
        end = &(*end)->next;
    *end = list;
    return 0;
}

const char *bell_server_address(const bell_server *server, int index)
{
    const struct listener *listener = server && index >= 0 ? server->listeners : NULL;
    while (listener && index-- > 0)
        listener = listener->next;
    return listener ? listener->text : NULL;
}

const char *bell_server_choice(const bell_server *server)
{
    return server ? server->choice : "";
}

bool server_use_listeners(struct bell_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    bool usable = !server->closed;
    server->accepting += usable;
    (void)pthread_mutex_unlock(&server->lock);
    return usable;
}

void server_leave_listeners(struct bell_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    // The queue is empty: nobody is turned away who was here before the stop. Other processes that
    // have the socket open accept nobody any more either.
    if (ledger_is_stopped(server->ledger))
        for (const struct listener *l = server->listeners; l; l = l->next)
            listener_shut(l);
    if (--server->accepting == 0)
        close_all_listeners(server);
    (void)pthread_mutex_unlock(&server->lock);
}

// ---- Processes --------------------------------------------------------------------------------

static bool end_helpers(struct crew *crew)
{
    (void)crew;
    return helpers_end_idle();
}

static void enter_process(struct crew *crew, int worker)
{
    struct bell_server *server = server_of(crew);
    helpers_after_fork();
    signals_forget(0); // our servers are our own
    signals_leave_to_parent(server);
    if (worker < 0)
        close_listeners(server);
}

static void stop_listening(struct crew *crew)
{
    struct bell_server *server = server_of(crew);
    (void)pthread_mutex_lock(&server->lock);
    for (const struct listener *listener = server->listeners; listener; listener = listener->next)
        listener_shut(listener);
    close_all_listeners(server);
    (void)pthread_mutex_unlock(&server->lock);
}

static void worker_lost(struct crew *crew, int worker, int status, int64_t delay)
{
    struct bell_server *server = server_of(crew);
    uint64_t callers = ledger_clear(server->ledger, worker);
    ledger_add(server->ledger, LEDGER_WORKERS_LOST, 1);
    ledger_add(server->ledger, LEDGER_ABORTED, callers);
    if (status < 0)
        server_tell(server, BELL_EVENT_WORKER, "worker %d could not be started: %s; again in %d ms",
                    worker, failure_word(status), (int)(delay / BELL_MS));
    else
        server_tell(server, BELL_EVENT_WORKER,
                    "worker %d died (status 0x%x), %llu callers lost; a new one "
                    "in %d ms",
                    worker, (unsigned)status, (unsigned long long)callers, (int)(delay / BELL_MS));
}

// ---- Running ----------------------------------------------------------------------------------

static int begin(struct bell_server *server)
{
    if (!server->listeners || server->closed)
        return failure_say(-ENOTCONN, "the server listens nowhere");
    if (server->running)
        return failure_say(-EBUSY, "the server runs already");
    server->owner_pid = kernel->getpid();
    if (signals_listen(server) < 0)
        return -1;
    server->running = true;
    for (const struct listener *listener = server->listeners; listener; listener = listener->next)
        server_tell(server, BELL_EVENT_LISTENING, "listening on %s", listener->text);
    return 0;
}

static int outcome(struct bell_server *server, int rc)
{
    server->running = false;
    signals_restore(server);
    close_listeners(server);
    if (rc < 0)
        return failure_set(rc, "serve with model %s", server->crew.model->name);
    uint64_t cut = ledger_read(server->ledger, LEDGER_CUT);
    if (cut)
        return failure_say(-ETIMEDOUT, "%llu conversation%s cut short when the server stopped",
                           (unsigned long long)cut, cut == 1 ? " was" : "s were");
    return 0;
}

int bell_server_run(bell_server *server)
{
    if (!server)
        return failure_say(-EINVAL, "bell_server_run: NULL");
    if (begin(server) < 0)
        return -1;
    struct crew *crew = &server->crew;
    bool threads = server->dgram_handler && crew->model->threads;
    int rc = threads ? model_run_threads(crew) : crew->model->run(crew);
    return outcome(server, rc);
}

// Takes the server over; NULL is one that could not be opened.
static int serve_at(bell_server *server, const char *address)
{
    if (!server)
        return -1;
    int rc = bell_server_listen(server, address);
    if (rc == 0)
        rc = bell_server_run(server);
    int error = errno;
    bell_server_close(server);
    errno = error;
    return rc;
}

int bell_serve(const char *address, bell_handler *handler, void *arg,
               const struct bell_server_options *options)
{
    return serve_at(bell_server_open(handler, arg, options), address);
}

int bell_serve_dgram(const char *address, bell_dgram_handler *handler, void *arg,
                     const struct bell_server_options *options)
{
    return serve_at(bell_server_open_dgram(handler, arg, options), address);
}

void bell_server_stop(bell_server *server)
{
    static const uint64_t one = 1;
    if (!server)
        return;
    bool again = ledger_stop(server->ledger) > 0;
    // Before any loop hears of the stop: a loop that has emptied the queue shuts the listener down,
    // and listen(2) after that would open it again.
    for (const struct listener *l = again ? NULL : server->listeners; l; l = l->next)
        listener_shrink_queue(l);
    ledger_announce_stop(server->ledger);
    (void)kernel->write(again ? server->crew.cut_fd : server->crew.stop_fd, &one, sizeof one);
}

int bell_server_fd(bell_server *server)
{
    if (!server)
        return failure_say(-EINVAL, "bell_server_fd: NULL");
    const struct crew *crew = &server->crew;
    if (crew->workers > 1 || crew->worker_processes || !strcmp(crew->model->name, "prefork"))
        return failure_say(-ENOTSUP, "model %s with %d workers cannot live in a foreign loop",
                           crew->model->name, crew->workers);
    if (!server->step_shift) {
        if (begin(server) < 0)
            return -1;
        int rc = shift_open(server, 0, &server->step_shift);
        if (rc < 0) {
            server->running = false;
            signals_restore(server);
            return failure_set(rc, "bell_server_fd");
        }
        shift_leave(server->step_shift);
    }
    int fd = shift_descriptor(server->step_shift);
    return fd < 0 ? failure_set(fd, "backend %s in a foreign loop", crew->backend->name) : fd;
}

int bell_server_step(bell_server *server)
{
    if (!server || bell_server_fd(server) < 0)
        return -1;
    shift_enter(server->step_shift);
    shift_step(server->step_shift);
    if (!shift_has_ended(server->step_shift)) {
        shift_leave(server->step_shift);
        (void)shift_descriptor(server->step_shift); // notes the next deadline
        return 1;
    }
    shift_close(server->step_shift);
    server->step_shift = NULL;
    return outcome(server, 0);
}

static uint64_t count_dropped(const bell_server *server)
{
    union { // the lock guards what is counted, and is no part of it
        const bell_server *constant;
        bell_server *server;
    } same = {.constant = server};
    uint64_t dropped = 0;
    (void)pthread_mutex_lock(&same.server->lock);
    for (const struct listener *l = server->listeners; l; l = l->next)
        dropped += l->fd < 0 ? l->dropped : dgram_dropped(l->fd);
    (void)pthread_mutex_unlock(&same.server->lock);
    return dropped;
}

static void count_datagrams(const bell_server *server, struct bell_counts *counts)
{
    counts->datagrams_in = ledger_datagrams(server->ledger, true, &counts->bytes_in);
    counts->datagrams_out = ledger_datagrams(server->ledger, false, &counts->bytes_out);
    counts->datagrams_dropped = count_dropped(server);
}

void bell_server_counts(const bell_server *server, struct bell_counts *ret_counts)
{
    *ret_counts = (struct bell_counts){0};
    if (!server)
        return;
    const struct ledger *ledger = server->ledger;
    *ret_counts = (struct bell_counts){
        .accepted = ledger_read(ledger, LEDGER_ACCEPTED),
        .active = ledger_active(ledger),
        .polite = ledger_read(ledger, LEDGER_POLITE),
        .aborted = ledger_read(ledger, LEDGER_ABORTED),
        .limited = ledger_read(ledger, LEDGER_LIMITED),
        .cut = ledger_read(ledger, LEDGER_CUT),
        .refused = ledger_read(ledger, LEDGER_REFUSED),
        .accept_errors = ledger_read(ledger, LEDGER_ACCEPT_ERRORS),
        .workers_lost = ledger_read(ledger, LEDGER_WORKERS_LOST),
        .bytes_in = ledger_read(ledger, LEDGER_BYTES_IN),
        .bytes_out = ledger_read(ledger, LEDGER_BYTES_OUT),
    };
    if (server->dgram_handler)
        count_datagrams(server, ret_counts);
}
