// A caller's visit: the connection, the handler, and how it ends.

#include <errno.h>
#include <string.h>

#include "conn/conn.h"
#include "door/door.h"
#include "kernel/kernel.h"
#include "wait/backend.h"
#include "wait/closing.h"

static void serve_visit(struct caller *caller);

static struct visit *visit_of(struct caller *caller)
{
    return (struct visit *)(void *)caller;
}

// ---- Making and freeing -----------------------------------------------------------------------

static void set_limits(bell_conn *conn, const struct bell_server_options *options)
{
    int64_t now = kernel->now();
    conn->has_limits = true;
    conn->last_moved = now;
    conn->idle_timeout = options->idle_timeout;
    if (options->total_timeout)
        conn->ends_at = now + options->total_timeout;
    conn->rate_min = options->rate_min;
    conn->rate_from = now + 10 * BELL_SECOND;
}

int visit_new(struct shift *shift, int fd, const struct sockaddr *peer, socklen_t size,
              struct visit **ret_visit)
{
    struct bell_server *server = server_of(shift_crew(shift));
    struct visit *visit = kernel->allocate(sizeof *visit);
    if (!visit)
        return -ENOMEM;
    int rc = conn_new(fd, &visit->conn);
    if (rc < 0) {
        kernel->release(visit);
        return rc;
    }
    conn_set_peer(visit->conn, peer, size);
    if (server->options.idle_timeout || server->options.total_timeout || server->options.rate_min)
        set_limits(visit->conn, &server->options);
    visit->conn->server = server;
    visit->conn->linger_time = server->options.linger_time;
    visit->conn->linger_bytes = server->options.linger_bytes;
    visit->caller.crew = &server->crew;
    visit->caller.serve = serve_visit;
    visit->caller.fd = fd;
    visit->shift = shift;
    *ret_visit = visit;
    return 0;
}

void visit_free(struct visit *visit)
{
    conn_free(visit->conn);
    kernel->release(visit);
}

// ---- The conversation -------------------------------------------------------------------------

// On the loop that it runs on.
static void cut_here(struct visit *visit)
{
    if (visit->cut)
        return;
    visit->cut = true;
    if (!visit->task)
        return; // it has not begun, or is over
    bell_group_cancel(&visit->group);
    task_cancel(visit->task, -ECANCELED);
}

static const char *how_it_ended(struct bell_server *server, const struct visit *visit, int result,
                                enum ledger_count *ret_count)
{
    if (visit->conn->limited) {
        *ret_count = LEDGER_LIMITED;
        server_tell_visit(server, BELL_EVENT_LIMIT, visit->conn,
                          "%s was too slow or too long: ended", bell_peer(visit->conn));
        return "ended by a limit";
    }
    if (visit->cut) {
        *ret_count = LEDGER_CUT;
        return "cut by the stop";
    }
    *ret_count = result == 0 ? LEDGER_POLITE : LEDGER_ABORTED;
    return result == 0 ? "ended" : "reset";
}

static void close_books(struct bell_server *server, const struct visit *visit, int result)
{
    enum ledger_count count = LEDGER_POLITE;
    const char *how = how_it_ended(server, visit, result, &count);
    const bell_conn *conn = visit->conn;
    ledger_add(server->ledger, count, 1);
    ledger_add(server->ledger, LEDGER_BYTES_IN, conn->bytes_in);
    ledger_add(server->ledger, LEDGER_BYTES_OUT, conn->bytes_out);
    if (server->options.log)
        server_tell_visit(server, BELL_EVENT_ENDED, visit->conn,
                          "%s %s, %llu bytes in, %llu out%s%s", bell_peer(visit->conn), how,
                          (unsigned long long)conn->bytes_in, (unsigned long long)conn->bytes_out,
                          result && *bell_error() ? ": " : "", result ? bell_error() : "");
}

static void serve_visit(struct caller *caller)
{
    struct visit *visit = visit_of(caller);
    struct bell_server *server = server_of(caller->crew);
    struct loop *loop = loop_here();
    struct task *task = loop->current;

    int result = -1;
    if (!visit->cut) {
        conn_set_home(visit->conn, loop);
        group_init(&visit->group, loop);
        group_adopt(task, &visit->group);
        visit->task = task;
        result = server->handler(visit->conn, server->arg);
        // Its tasks use the connection: they end first. After a failure nothing they do is of use.
        group_join(&visit->group, result != 0);
        visit->task = NULL;
    }
    task->cancelled = 0; // what follows must be done
    bool polite = result == 0 && !visit->cut && !visit->conn->limited;
    close_books(server, visit, result);
    conn_finish(visit->conn, polite);
}

// ---- Cutting ----------------------------------------------------------------------------------

static void cut_post(struct post *post)
{
    struct visit *visit = LIST_ENTRY(post, struct visit, cut_post);
    cut_here(visit);
    closing_end_all(visit->loop); // it may be over already, but linger
    atomic_store(&visit->life, VISIT_OVER);
    task_wake(&visit->loop->root);
}

void visit_cut(struct visit *visit)
{
    if (!visit->caller.crew->model->alone) {
        cut_here(visit);
        return;
    }
    if (visit->caller.crew->model->processes)
        return; // its process watches the crew's stop itself
    // In another thread: it is told, unless it has not begun (then it will see) or is over.
    int life = VISIT_WAITS;
    if (atomic_compare_exchange_strong(&visit->life, &life, VISIT_CUT))
        return;
    if (life != VISIT_RUNS || !atomic_compare_exchange_strong(&visit->life, &life, VISIT_CUT))
        return;
    visit->cut_post.run = cut_post;
    loop_post(visit->loop, &visit->cut_post);
}

// ---- A loop for one visit ---------------------------------------------------------------------

struct alone {
    struct visit *visit;
    struct bell_server *server;
    struct loop loop;
    struct watch stop, cut, parent;
    struct timer grace;
    bool over;
};

static void serve_alone(void *arg)
{
    struct alone *alone = arg;
    alone->visit->caller.serve(&alone->visit->caller);
    alone->over = true;
    task_wake(&alone->loop.root);
}

static void end_now(struct alone *alone)
{
    cut_here(alone->visit);
    closing_end_all(&alone->loop); // also what its handler closes from now on
}

static void grace_is_over(struct timer *timer)
{
    end_now(LIST_ENTRY(timer, struct alone, grace));
}

static void stop_seen(struct watch *watch)
{
    struct alone *alone = LIST_ENTRY(watch, struct alone, stop);
    if (timer_is_set(&alone->grace))
        return;
    alone->grace.at = kernel->now() + alone->server->options.grace;
    alone->grace.expired = grace_is_over;
    timers_add(&alone->loop.timers, &alone->grace);
}

static void cut_seen(struct watch *watch)
{
    end_now(LIST_ENTRY(watch, struct alone, cut));
}

static void parent_is_gone(struct watch *watch)
{
    stop_seen(&LIST_ENTRY(watch, struct alone, parent)->stop);
}

// A process looks after itself: it sees the server's stop, and the end of its parent.
static void watch_server(struct alone *alone)
{
    watch_start(&alone->stop, &alone->loop, alone->server->crew.stop_fd, stop_seen);
    watch_start(&alone->cut, &alone->loop, alone->server->crew.cut_fd, cut_seen);
    int fd = kernel->pidfd_open(alone->server->owner_pid);
    if (fd >= 0)
        watch_start(&alone->parent, &alone->loop, fd, parent_is_gone);
    if (kernel->getppid() != alone->server->owner_pid)
        stop_seen(&alone->stop);
}

static void unwatch_server(struct alone *alone)
{
    timers_remove(&alone->loop.timers, &alone->grace);
    watch_end(&alone->stop);
    watch_end(&alone->cut);
    int fd = alone->parent.endpoint.fd;
    watch_end(&alone->parent);
    if (fd >= 0)
        (void)kernel->close(fd);
}

static int run_alone(struct alone *alone)
{
    struct visit *visit = alone->visit;
    struct loop *loop = &alone->loop;
    visit->loop = loop;
    int life = VISIT_WAITS;
    if (!atomic_compare_exchange_strong(&visit->life, &life, VISIT_RUNS))
        visit->cut = true;
    int rc = task_start(loop, alone->server->crew.name, serve_alone, alone, NULL);
    if (rc < 0)
        alone->over = true;
    while (!alone->over)
        task_pause(&loop->root);
    closing_wait(loop);

    // A cut that was posted must have run before the loop may go.
    life = VISIT_RUNS;
    if (!atomic_compare_exchange_strong(&visit->life, &life, VISIT_OVER) && !visit->cut)
        while (atomic_load(&visit->life) != VISIT_OVER)
            task_pause(&loop->root);
    return rc;
}

int visit_serve_alone(struct crew *crew, struct caller *caller)
{
    if (crew->model->processes)
        shift_forget_others(visit_of(caller));
    struct alone *alone = kernel->allocate(sizeof *alone);
    if (!alone)
        return -ENOMEM;
    alone->visit = visit_of(caller);
    alone->server = server_of(crew);
    alone->stop.endpoint.fd = alone->cut.endpoint.fd = alone->parent.endpoint.fd = -1;
    int rc = loop_open(&alone->loop, crew->backend);
    if (rc == 0) {
        if (crew->model->processes)
            watch_server(alone);
        if (!(alone->server->options.flags & BELL_NO_OVERFLOW_MESSAGE))
            (void)coro_watch_overflow();
        rc = run_alone(alone);
        if (crew->model->processes)
            unwatch_server(alone);
        loop_close(&alone->loop);
    }
    kernel->release(alone);
    return rc;
}
