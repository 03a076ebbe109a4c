// A shift: one loop that accepts callers, has them served, and ends when the server stops.
//
// It accepts as long as it has room: up to its part of the limit on callers. Without room its
// listeners rest, and the kernel's queue holds who comes; whoever leaves makes room. The same rest
// follows when accept fails for want of descriptors or memory.

#include <errno.h>
#include <string.h>

#include "addr/addr.h"
#include "conn/conn.h"
#include "door/door.h"
#include "kernel/kernel.h"
#include "wait/backend.h"
#include "wait/closing.h"
#include "wait/failure.h"

#define REST_MIN (5 * BELL_MS)
#define REST_MAX BELL_SECOND
// How long a stopping server goes on to accept those who are in the queue already. So many of them it accepts
// anyhow: on a busy machine it may not have had the processor in that time.
#define LAST_CALLERS_TIME (100 * BELL_MS)
enum { LAST_CALLERS = 64 };

enum { DOORS_MAX = 64 };

enum shift_state { SHIFT_OPEN, SHIFT_STOPPING, SHIFT_CUT };

// A listener, as this loop waits on it.
struct door {
    struct shift *shift;
    struct listener *listener;
    struct endpoint endpoint;
    struct wait_call call;
    struct sockaddr_storage peer;
    socklen_t peer_size;
    bool gone;
};

struct shift {
    struct bell_server *server;
    int worker;
    struct loop loop;
    enum shift_state state;
    struct door *doors;
    int door_count;
    int callers_max;     // of this shift
    int callers;         // in visits and pending
    struct list visits;  // being served
    struct desks *desks; // NULL where it is callers that are served
    struct list pending; // accepted, but nobody could serve them yet
    int64_t rest;        // how long the next rest is
    bool accept_rests;   // and not only what starts handlers
    struct timer rest_timer;
    struct watch stop, cut, parent;
    struct timer grace_timer;
    int64_t last_callers_until;
    int last_callers; // still to be accepted, if they are there
    bool uses_listeners;
};

struct crew *shift_crew(struct shift *shift)
{
    return &shift->server->crew;
}

static void wake_root(struct shift *shift)
{
    task_wake(&shift->loop.root);
}

// ---- Doors ------------------------------------------------------------------------------------

static bool has_room(const struct shift *shift)
{
    if (timer_is_set(&shift->rest_timer) || !list_is_empty(&shift->pending))
        return false;
    return shift->callers < shift->callers_max;
}

static void open_door(struct door *door)
{
    if (door->gone || wait_is_waiting(&door->call))
        return;
    bool last = door->shift->state != SHIFT_OPEN;
    door->call.deadline = last ? WAIT_NOT : INT64_MAX;
    wait_start(&door->shift->loop, &door->call);
}

// Somebody may have been accepted already: he is taken in by this.
static void end_waiting(struct door *door)
{
    wait_cancel(&door->call, -ECANCELED);
    wait_release(&door->endpoint);
}

static void rest_door(struct door *door)
{
    if (!door->gone)
        end_waiting(door);
}

static void leave_door(struct door *door)
{
    if (door->gone)
        return;
    door->gone = true; // before it ends, or who is taken in would open it again
    end_waiting(door);
}

static bool has_doors(const struct shift *shift)
{
    for (int i = 0; i < shift->door_count; i++)
        if (!shift->doors[i].gone)
            return true;
    return false;
}

static void open_doors(struct shift *shift)
{
    // A stopping server takes in who waits, room or no room: they are served in turn.
    bool room = has_room(shift) || (shift->state == SHIFT_STOPPING && !shift->accept_rests);
    for (int i = 0; i < shift->door_count; i++)
        if (room)
            open_door(&shift->doors[i]);
        else
            rest_door(&shift->doors[i]);
}

static void give_up_listeners(struct shift *shift)
{
    if (has_doors(shift) || !shift->uses_listeners)
        return;
    shift->uses_listeners = false;
    server_leave_listeners(shift->server);
    wake_root(shift);
}

// ---- Rests ------------------------------------------------------------------------------------

static void launch_pending(struct shift *shift);

static void rest_is_over(struct timer *timer)
{
    struct shift *shift = LIST_ENTRY(timer, struct shift, rest_timer);
    shift->accept_rests = false;
    launch_pending(shift);
    open_doors(shift);
}

static void take_rest(struct shift *shift, const char *what, int error)
{
    ledger_add(shift->server->ledger, LEDGER_ACCEPT_ERRORS, 1);
    server_tell(shift->server, BELL_EVENT_TROUBLE, "%s: %s; the next try in %d ms", what,
                failure_word(error), (int)(shift->rest / BELL_MS));
    if (timer_is_set(&shift->rest_timer))
        return;
    shift->rest_timer.at = kernel->now() + shift->rest;
    shift->rest_timer.expired = rest_is_over;
    timers_add(&shift->loop.timers, &shift->rest_timer);
    shift->rest = shift->rest * 2 < REST_MAX ? shift->rest * 2 : REST_MAX;
}

static void rest_accept(struct shift *shift, int error)
{
    shift->accept_rests = true;
    take_rest(shift, "accept", error);
}

// ---- Callers ----------------------------------------------------------------------------------

static void forget_visit(struct visit *visit)
{
    struct shift *shift = visit->shift;
    list_remove(&visit->node);
    shift->callers--;
    ledger_leave(shift->server->ledger, shift->worker);
    if (visit->key)
        ledger_leave_address(shift->server->ledger, shift->worker, visit->key);
    visit_free(visit);
}

void shift_forget_others(const struct visit *visit)
{
    struct list *heads[] = {&visit->shift->visits, &visit->shift->pending};
    for (int i = 0; i < 2; i++)
        for (struct list *node = heads[i]->next; node != heads[i]; node = node->next) {
            struct visit *other = LIST_ENTRY(node, struct visit, node);
            if (other == visit)
                continue;
            model_forget_child(&other->caller);
            if (other->caller.fd >= 0)
                (void)kernel->close(other->caller.fd);
        }
}

// Has the caller served. False when that must be tried again later.
static bool launch(struct visit *visit)
{
    struct shift *shift = visit->shift;
    struct crew *crew = &shift->server->crew;
    list_remove(&visit->node);
    list_append(&shift->visits, &visit->node);
    int rc = crew->model->launch(crew, &visit->caller);
    if (rc == 0) {
        if (crew->model->processes && crew->model->alone)
            conn_forget(visit->conn); // it is the other process's now
        return true;
    }
    list_remove(&visit->node);
    list_append(&shift->pending, &visit->node);
    take_rest(shift, crew->model->processes ? "fork" : "starting a handler", rc);
    return false;
}

static void launch_pending(struct shift *shift)
{
    int running = 0; // of a shift that takes one caller at a time
    if (!shift->server->crew.model->many)
        running = !list_is_empty(&shift->visits);
    while (!list_is_empty(&shift->pending) && !running) {
        struct visit *visit = LIST_ENTRY(shift->pending.next, struct visit, node);
        if (!launch(visit))
            return;
        running = !shift->server->crew.model->many;
    }
}

static void drop_pending(struct shift *shift)
{
    while (!list_is_empty(&shift->pending)) {
        ledger_add(shift->server->ledger, LEDGER_CUT, 1);
        forget_visit(LIST_ENTRY(shift->pending.next, struct visit, node));
    }
}

static void tell_refused(struct bell_server *server, const struct door *door)
{
    char peer[ADDR_TEXT_SIZE];
    (void)addr_print((const struct sockaddr *)&door->peer, door->peer_size, peer, sizeof peer);
    server_tell(server, BELL_EVENT_LIMIT, "%s: refused, there are %d callers from this address",
                peer, server->options.callers_per_address_max);
}

static bool is_welcome(struct shift *shift, const struct door *door, uint64_t *ret_key)
{
    struct bell_server *server = shift->server;
    const struct sockaddr *peer = (const struct sockaddr *)&door->peer;
    *ret_key = 0;
    uint64_t key = 0;
    if (!addr_key(peer, door->peer_size, &key))
        return true;
    uint32_t limit = (uint32_t)server->options.callers_per_address_max;
    if (!ledger_enter_address(server->ledger, shift->worker, key, limit)) {
        ledger_add(server->ledger, LEDGER_REFUSED, 1);
        tell_refused(server, door);
        return false;
    }
    *ret_key = key;
    return true;
}

static void take_in(struct shift *shift, const struct door *door, int fd)
{
    struct bell_server *server = shift->server;
    uint64_t key = 0;
    if (!is_welcome(shift, door, &key)) {
        closing_reset(fd);
        return;
    }
    struct visit *visit = NULL;
    int rc = visit_new(shift, fd, (const struct sockaddr *)&door->peer, door->peer_size, &visit);
    if (rc < 0) {
        if (key)
            ledger_leave_address(server->ledger, shift->worker, key);
        closing_reset(fd);
        rest_accept(shift, rc);
        return;
    }
    visit->conn->endpoint.is_tcp = door->listener->is_tcp;
    if (door->listener->type == SOCK_SEQPACKET)
        (void)conn_carry_messages(visit->conn, CONN_SEQPACKET);
    visit->key = key;
    visit->worker = shift->worker;
    ledger_add(server->ledger, LEDGER_ACCEPTED, 1);
    ledger_enter(server->ledger, shift->worker);
    shift->callers++;
    list_append(&shift->pending, &visit->node);
    if (server->options.log)
        server_tell_visit(server, BELL_EVENT_CALLER, visit->conn, "%s called",
                          bell_peer(visit->conn));
    launch_pending(shift);
}

// What accept failed with is no fault of one caller (those were passed over below).
static void accept_failed(struct door *door, int error)
{
    struct shift *shift = door->shift;
    switch (error) {
    case -EMFILE:
    case -ENFILE:
        // A connection that lingers is worth less than one that begins.
        if (closing_end_oldest(&shift->loop)) {
            open_doors(shift);
            return;
        }
        rest_accept(shift, error);
        break;
    case -EBADF:
    case -EINVAL:
    case -ENOTSOCK:
    case -EOPNOTSUPP:
        if (shift->state == SHIFT_OPEN && !ledger_is_stopped(shift->server->ledger))
            server_tell(shift->server, BELL_EVENT_TROUBLE,
                        "%s: accept: %s; nobody can call there now", door->listener->text,
                        failure_word(error));
        leave_door(door);
        give_up_listeners(shift);
        return;
    default:
        rest_accept(shift, error);
    }
    open_doors(shift);
}

static void door_answered(struct wait_call *call)
{
    struct door *door = LIST_ENTRY(call, struct door, call);
    struct shift *shift = door->shift;
    int fd = (int)call->result;
    if (fd == -ECANCELED)
        return;
    if (fd == -ETIMEDOUT) { // the queue of a stopping server is empty
        leave_door(door);
        give_up_listeners(shift);
        return;
    }
    if (fd < 0) {
        accept_failed(door, fd);
        return;
    }
    shift->rest = REST_MIN;
    take_in(shift, door, fd);
    if (shift->state != SHIFT_OPEN && --shift->last_callers <= 0 &&
        kernel->now() >= shift->last_callers_until) {
        leave_door(door);
        give_up_listeners(shift);
        return;
    }
    open_doors(shift);
}

void shift_over(struct crew *crew, struct caller *caller, int problem)
{
    struct visit *visit = (struct visit *)(void *)caller;
    struct shift *shift = visit->shift;
    struct bell_server *server = server_of(crew);
    if (problem < 0)
        server_tell(server, BELL_EVENT_TROUBLE, "starting a handler: %s", failure_word(problem));
    if (problem > 0)
        server_tell_visit(server, BELL_EVENT_ENDED, visit->conn,
                          "%s: its process died (status 0x%x)", bell_peer(visit->conn),
                          (unsigned)problem);
    if (problem)
        ledger_add(server->ledger, LEDGER_ABORTED, 1);
    forget_visit(visit);
    launch_pending(shift);
    if (has_doors(shift))
        open_doors(shift);
    if (shift->state != SHIFT_OPEN)
        wake_root(shift);
}

// ---- Stopping ---------------------------------------------------------------------------------

static void cut_all(struct shift *shift)
{
    shift->state = SHIFT_CUT;
    desks_cut(shift->desks);
    for (int i = 0; i < shift->door_count; i++)
        leave_door(&shift->doors[i]);
    if (!shift->desks)
        give_up_listeners(shift);
    drop_pending(shift);
    struct list *node, *next;
    for (node = shift->visits.next; node != &shift->visits; node = next) {
        next = node->next;
        visit_cut(LIST_ENTRY(node, struct visit, node));
    }
    closing_end_all(&shift->loop);
    wake_root(shift);
}

static void grace_is_over(struct timer *timer)
{
    cut_all(LIST_ENTRY(timer, struct shift, grace_timer));
}

static void tell_stopping(struct bell_server *server)
{
    unsigned long long active = ledger_active(server->ledger);
    if (active == 0)
        server_tell(server, BELL_EVENT_STOPPING, "stopping");
    else if (active == 1)
        server_tell(server, BELL_EVENT_STOPPING, "stopping: 1 conversation goes on");
    else
        server_tell(server, BELL_EVENT_STOPPING, "stopping: %llu conversations go on", active);
}

static void begin_stop(struct shift *shift)
{
    if (shift->state != SHIFT_OPEN)
        return;
    shift->state = SHIFT_STOPPING;
    if (shift->worker == 0)
        tell_stopping(shift->server);
    int64_t now = kernel->now();
    shift->last_callers_until = now + LAST_CALLERS_TIME;
    shift->last_callers = LAST_CALLERS;
    shift->grace_timer.at = now + shift->server->options.grace;
    shift->grace_timer.expired = grace_is_over;
    timers_add(&shift->loop.timers, &shift->grace_timer);
    timers_remove(&shift->loop.timers, &shift->rest_timer);
    shift->accept_rests = false;
    shift->rest = REST_MIN;
    desks_stop(shift->desks, shift->last_callers_until);
    launch_pending(shift); // who could not be started before; or after the next rest
    for (int i = 0; i < shift->door_count; i++) {
        rest_door(&shift->doors[i]);
        if (shift->doors[i].gone)
            continue;
        if (shift->doors[i].listener->inherited)
            leave_door(&shift->doors[i]); // somebody else may serve those
    }
    open_doors(shift);
    if (!shift->desks)
        give_up_listeners(shift);
    wake_root(shift);
}

static void stop_seen(struct watch *watch)
{
    begin_stop(LIST_ENTRY(watch, struct shift, stop));
}

static void cut_seen(struct watch *watch)
{
    struct shift *shift = LIST_ENTRY(watch, struct shift, cut);
    begin_stop(shift);
    cut_all(shift);
}

static void parent_is_gone(struct watch *watch)
{
    begin_stop(LIST_ENTRY(watch, struct shift, parent));
}

// ---- Beginning and ending ---------------------------------------------------------------------

static int count_listeners(const struct bell_server *server)
{
    int count = 0;
    for (const struct listener *l = server->listeners; l; l = l->next)
        count++;
    return count;
}

static int make_doors(struct shift *shift)
{
    struct bell_server *server = shift->server;
    shift->uses_listeners = server_use_listeners(server);
    if (!shift->uses_listeners)
        return 0;
    if (server->dgram_handler)
        return desks_open(server, shift->worker, &shift->loop, &shift->desks);
    shift->doors = kernel->allocate((size_t)count_listeners(server) * sizeof *shift->doors);
    if (!shift->doors)
        return -ENOMEM;
    for (struct listener *listener = server->listeners; listener; listener = listener->next) {
        struct door *door = &shift->doors[shift->door_count++];
        door->shift = shift;
        door->listener = listener;
        wait_open(&door->endpoint, listener->fd);
        door->endpoint.shared = server->crew.workers > 1;
        door->call.kind = WAIT_ACCEPT;
        door->call.endpoint = &door->endpoint;
        door->call.into = &door->peer;
        door->call.size = sizeof door->peer;
        door->call.size_used = &door->peer_size;
        door->call.done = door_answered;
    }
    return 0;
}

// The callers of all workers together are limited; each has its part.
static int part_of_callers(const struct bell_server *server, int worker)
{
    int workers = server->crew.workers;
    int part = server->callers_max / workers + (worker < server->callers_max % workers);
    return server->crew.model->many || part == 0 ? part : 1;
}

static void watch_parent(struct shift *shift)
{
    struct bell_server *server = shift->server;
    if (kernel->getpid() == server->owner_pid)
        return;
    int fd = kernel->pidfd_open(server->owner_pid);
    if (fd >= 0)
        watch_start(&shift->parent, &shift->loop, fd, parent_is_gone);
    if (kernel->getppid() != server->owner_pid)
        begin_stop(shift);
}

// A loop with one caller is kept by nobody's neighbour.
static void tell_stall(struct loop *loop, int64_t ns)
{
    struct shift *shift = loop->owner;
    server_tell(
        shift->server, BELL_EVENT_STALLED,
        "handler %s kept its loop for %d ms without waiting, and %d caller%s with it: bell_block, "
        "or another model, would not",
        shift->server->crew.name, (int)(ns / BELL_MS), shift->callers,
        shift->callers == 1 ? "" : "s");
}

int shift_open(struct bell_server *server, int worker, struct shift **ret_shift)
{
    struct shift *shift = kernel->allocate(sizeof *shift);
    if (!shift)
        return -ENOMEM;
    shift->server = server;
    shift->worker = worker;
    shift->callers_max = part_of_callers(server, worker);
    shift->rest = REST_MIN;
    shift->stop.endpoint.fd = shift->cut.endpoint.fd = shift->parent.endpoint.fd = -1;
    list_init(&shift->visits);
    list_init(&shift->pending);
    int rc = loop_open(&shift->loop, server->crew.backend);
    if (rc < 0) {
        kernel->release(shift);
        return rc;
    }
    shift->loop.owner = shift;
    if (server->crew.model->many && !server->crew.model->alone && !server->dgram_handler)
        shift->loop.stalled = tell_stall;
    rc = make_doors(shift);
    if (rc < 0) {
        loop_close(&shift->loop);
        kernel->release(shift);
        return rc;
    }
    if (!(server->options.flags & BELL_NO_OVERFLOW_MESSAGE))
        (void)coro_watch_overflow();
    open_doors(shift);
    watch_start(&shift->stop, &shift->loop, server->crew.stop_fd, stop_seen);
    watch_start(&shift->cut, &shift->loop, server->crew.cut_fd, cut_seen);
    watch_parent(shift);
    *ret_shift = shift;
    return 0;
}

bool shift_has_ended(const struct shift *shift)
{
    return shift->state != SHIFT_OPEN && shift->callers == 0 && !has_doors(shift) &&
           !desks_are_busy(shift->desks) && list_is_empty(&shift->loop.closing) &&
           shift->loop.tasks == 0;
}

int shift_descriptor(struct shift *shift)
{
    return loop_descriptor(&shift->loop);
}

void shift_enter(struct shift *shift)
{
    loop_enter(&shift->loop);
}

void shift_leave(struct shift *shift)
{
    loop_leave(&shift->loop);
}

void shift_step(struct shift *shift)
{
    loop_step(&shift->loop);
}

void shift_close(struct shift *shift)
{
    timers_remove(&shift->loop.timers, &shift->grace_timer);
    timers_remove(&shift->loop.timers, &shift->rest_timer);
    watch_end(&shift->stop);
    watch_end(&shift->cut);
    int parent_fd = shift->parent.endpoint.fd;
    watch_end(&shift->parent);
    if (parent_fd >= 0)
        (void)kernel->close(parent_fd);
    for (int i = 0; i < shift->door_count; i++)
        leave_door(&shift->doors[i]);
    desks_close(shift->desks);
    give_up_listeners(shift);
    kernel->release(shift->doors);
    loop_close(&shift->loop);
    kernel->release(shift);
}

void shift_run(struct shift *shift)
{
    while (!shift_has_ended(shift)) {
        if (shift->state == SHIFT_OPEN || shift->callers || has_doors(shift) ||
            desks_are_busy(shift->desks)) {
            task_pause(&shift->loop.root);
            continue;
        }
        closing_wait(&shift->loop);    // or until the grace time ends it
        task_yield(&shift->loop.root); // the task of the last visit has still to return
    }
}

int shift_work(struct crew *crew, int worker)
{
    struct shift *shift = NULL;
    int rc = shift_open(server_of(crew), worker, &shift);
    if (rc < 0)
        return rc;
    shift_run(shift);
    shift_close(shift);
    return 0;
}
