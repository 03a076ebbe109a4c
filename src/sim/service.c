#include "sim/service.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "sim/fail.h"
#include "sim/signal.h"
#include "sim/sim.h"

static void refuse_processes(const struct program *self, const struct service *service)
{
    const char *choice = bell_server_choice(service->server);
    bool flag = service->has_options && service->options.flags & BELL_WORKERS_ARE_PROCESSES;
    if (!strncmp(choice, "fork ", 5) || !strncmp(choice, "prefork ", 8) || flag)
        world_fail(
            "%s: %s: processes are not simulated; use iterative, threads, pool or coroutines",
            self->name, choice);
}

// What is the matter with a server is a finding, but for what was asked for.
static void tell_failure(const struct program *self)
{
    if (!fail_has_struck())
        world_find("%s: %s", self->name, bell_error());
    else if (world.trace)
        world_trace("%-12s # %s", self->name, bell_error());
}

static void serve(struct program *self, struct service *service)
{
    bool listens = bell_server_listen(service->server, service->address) == 0;
    int rc = listens ? bell_server_run(service->server) : -1;
    // It may have been stopped while the network was at its worst, or twice.
    bool may_cut = !world.faults.calm || world.signalled;
    if (rc < 0 && (!listens || errno != ETIMEDOUT || !may_cut))
        tell_failure(self);
    bell_server *server = service->server;
    service->server = NULL;
    bell_server_close(server);
}

void service_run(struct program *self)
{
    struct service *service = self->service;
    const struct bell_server_options *options = service->has_options ? &service->options : NULL;
    service->server = service->handler
                          ? bell_server_open(service->handler, service->arg, options)
                          : bell_server_open_dgram(service->dgram_handler, service->arg, options);
    if (!service->server) {
        tell_failure(self);
        return;
    }
    refuse_processes(self, service);
    serve(self, service);
}

bool service_settled(void)
{
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        const struct program *program = LIST_ENTRY(node, struct program, node);
        struct bell_counts counts = {0};
        if (program->service && program->service->server && !program->dead)
            bell_server_counts(program->service->server, &counts);
        if (counts.active == 0)
            continue;
        world_find("%s: all clients have ended, nothing can happen any more, and %llu handler%s "
                   "still wait%s: a deadline is missing",
                   program->name, (unsigned long long)counts.active, counts.active == 1 ? "" : "s",
                   counts.active == 1 ? "s" : "");
        return false;
    }
    return true;
}

bool service_stop_all(void)
{
    bool any = false;
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->ended || program->dead)
            continue;
        any = true;
        if (program->service && program->service->server)
            bell_server_stop(program->service->server);
        else
            signal_handle(program, SIGTERM);
    }
    return any;
}
