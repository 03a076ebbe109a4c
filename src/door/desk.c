// Desks: a server's datagram sockets, as the handlers of one loop have them.
//
// The sockets are shared by all loops of the server, processes too; whoever receives first has the datagram.

#include <errno.h>
#include <string.h>

#include "conn/dgram.h"
#include "door/door.h"
#include "kernel/kernel.h"
#include "wait/failure.h"

// A handler that returns without having received anything is called anew after a rest.
#define REST_MIN (5 * BELL_MS)
#define REST_MAX BELL_SECOND

struct desk {
    struct bell_dgram dgram; // must be first
    struct desks *desks;
    struct task *task; // while the handler runs
    struct bell_group group;
    struct wait_call rest;
    int64_t rest_time; // how long the next rest is
    bool is_late;      // whoever has not begun need not any more
    bool cut;
    bool was_at_work;         // when it was cut
    uint64_t received_before; // it was cut
};

struct desks {
    struct bell_server *server;
    struct loop *loop;
    int worker;
    int busy; // whose tasks have not ended
    int count;
    struct desk desks[];
};

static void count_datagram(bell_dgram *dgram, bool in, size_t bytes)
{
    const struct desks *desks = ((struct desk *)(void *)dgram)->desks;
    ledger_add_datagram(desks->server->ledger, desks->worker, in, bytes);
}

// ---- The handler's task -----------------------------------------------------------------------

static int call_handler(struct desk *desk)
{
    struct bell_server *server = desk->desks->server;
    struct task *task = desk->desks->loop->current;
    group_init(&desk->group, desk->desks->loop);
    group_adopt(task, &desk->group);
    desk->task = task;
    int result = server->dgram_handler(&desk->dgram, server->arg);
    group_join(&desk->group, result != 0);
    desk->task = NULL;
    return result;
}

static bool is_over(const struct desk *desk)
{
    return desk->cut || desk->dgram.stopping;
}

static void take_rest(struct desk *desk)
{
    desk->rest = (struct wait_call){.kind = WAIT_WAKE, .deadline = bell_in(desk->rest_time)};
    (void)wait_for(&desk->rest);
    desk->rest_time = desk->rest_time * 2 < REST_MAX ? desk->rest_time * 2 : REST_MAX;
}

static void begin_anew(struct desk *desk, int result, bool received)
{
    struct bell_server *server = desk->desks->server;
    if (result != 0) {
        ledger_add(server->ledger, LEDGER_ABORTED, 1);
        server_tell(server, BELL_EVENT_TROUBLE, "handler %s at %s failed and begins anew: %.200s",
                    server->crew.name, bell_dgram_local(&desk->dgram), bell_error());
    }
    if (received)
        desk->rest_time = REST_MIN;
    else
        take_rest(desk);
}

// A datagram that lies in the socket is nobody's work yet, like a caller in a listener's queue.
static bool is_at_work(const struct desk *desk)
{
    return !desk->dgram.receiving || desk->group.alive > 0;
}

// A backend may have had a datagram for it already.
static bool was_cut_short(const struct desk *desk)
{
    return desk->cut && (desk->was_at_work || desk->dgram.received > desk->received_before);
}

static void run_desk(void *arg)
{
    struct desk *desk = arg;
    struct desks *desks = desk->desks;
    // Once also when it was stopped before it began: what came meanwhile lies there.
    for (bool may_begin = !desk->is_late; may_begin; may_begin = !is_over(desk)) {
        uint64_t before = desk->dgram.received;
        int result = call_handler(desk);
        if (is_over(desk))
            break;
        begin_anew(desk, result, desk->dgram.received > before);
    }
    ledger_add(desks->server->ledger, was_cut_short(desk) ? LEDGER_CUT : LEDGER_POLITE, 1);
    desks->busy--;
    task_wake(&desks->loop->root);
}

// ---- All of a loop ----------------------------------------------------------------------------

static int open_desk(struct desks *desks, struct listener *listener)
{
    struct desk *desk = &desks->desks[desks->count];
    int rc = dgram_init(&desk->dgram, listener->fd);
    if (rc < 0)
        return rc;
    desk->dgram.server = desks->server;
    desk->dgram.listener = listener;
    desk->dgram.count = count_datagram;
    desk->desks = desks;
    desk->rest_time = REST_MIN;
    rc = task_start(desks->loop, desks->server->crew.name, run_desk, desk, NULL);
    if (rc < 0) {
        dgram_finish(&desk->dgram);
        return rc;
    }
    desks->busy++;
    desks->count++;
    return 0;
}

int desks_open(struct bell_server *server, int worker, struct loop *loop, struct desks **ret_desks)
{
    size_t count = 0;
    for (const struct listener *l = server->listeners; l; l = l->next)
        count++;
    struct desks *desks = kernel->allocate(sizeof *desks + count * sizeof *desks->desks);
    if (!desks)
        return -ENOMEM;
    desks->server = server;
    desks->loop = loop;
    desks->worker = worker;
    for (struct listener *l = server->listeners; l; l = l->next) {
        int rc = open_desk(desks, l);
        if (rc < 0 && desks->count == 0) {
            kernel->release(desks);
            return rc;
        }
        if (rc < 0)
            server_tell(server, BELL_EVENT_TROUBLE, "%s: nobody receives there: %s", l->text,
                        failure_word(rc));
    }
    *ret_desks = desks;
    return 0;
}

void desks_stop(struct desks *desks, int64_t drain_until)
{
    for (int i = 0; desks && i < desks->count; i++) {
        struct desk *desk = &desks->desks[i];
        // What lies in an inherited socket is for somebody else, who has it, too.
        dgram_stop(&desk->dgram, desk->dgram.listener->inherited ? 0 : drain_until);
        if (wait_is_waiting(&desk->rest))
            wait_complete(&desk->rest, 0);
    }
}

void desks_cut(struct desks *desks)
{
    for (int i = 0; desks && i < desks->count; i++) {
        struct desk *desk = &desks->desks[i];
        desk->is_late = true;
        if (!desk->task || desk->cut)
            continue;
        desk->cut = true;
        desk->was_at_work = is_at_work(desk);
        desk->received_before = desk->dgram.received;
        bell_group_cancel(&desk->group);
        task_cancel(desk->task, -ECANCELED);
    }
}

bool desks_are_busy(const struct desks *desks)
{
    return desks && desks->busy > 0;
}

void desks_close(struct desks *desks)
{
    for (int i = 0; desks && i < desks->count; i++)
        dgram_finish(&desks->desks[i].dgram);
    kernel->release(desks);
}
