// What a user's set-up builds: servers, clients, a last look; and what they may ask.

#include <doorbell/sim.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/net.h"
#include "sim/run.h"
#include "sim/service.h"
#include "sim/sim.h"
#include "wait/failure.h"

struct final_check {
    struct list node;
    void (*check)(void *arg);
    void *arg;
};

static int refuse(const char *call)
{
    return failure_say(-EINVAL, "%s: outside a set-up and a run, NULL, or too many hosts", call);
}

// In a set-up, or in a run, but not in a last look.
static bool may_build(const bell_sim *sim)
{
    return (const void *)sim == (const void *)&world && (!world.scheduler || world.running);
}

// The name of a program that is one of several on its host.
static void name_program(const struct host *host, char ret_name[SIM_NAME_SIZE])
{
    int others = 0;
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next)
        others += LIST_ENTRY(node, struct program, node)->host == host;
    if (others == 0)
        (void)snprintf(ret_name, SIM_NAME_SIZE, "%s", host->name);
    else
        (void)snprintf(ret_name, SIM_NAME_SIZE, "%.16s/%d", host->name, others + 1);
}

static int add_service(const char *host_name, const struct service *service)
{
    struct host *host = host_add(host_name);
    if (!host)
        return refuse("bell_sim_serve");
    char name[SIM_NAME_SIZE];
    name_program(host, name);
    host->serves = true;
    struct program *program = program_add(PROGRAM_SERVER, name, host, 0);
    program->run = service_run;
    program->service = world_give(sizeof *service);
    *program->service = *service;
    return 0;
}

static int serve(const char *host, const char *address, struct service *service,
                 const struct bell_server_options *options)
{
    if (!host || !address || strlen(address) >= sizeof service->address)
        return refuse("bell_sim_serve");
    (void)snprintf(service->address, sizeof service->address, "%s", address);
    service->has_options = options != NULL;
    if (options)
        service->options = *options;
    return add_service(host, service);
}

// NOLINTNEXTLINE(readability-function-size): the parameters of bell_serve, and where
int bell_sim_serve(bell_sim *sim, const char *host, const char *address, bell_handler *handler,
                   void *arg, const struct bell_server_options *options)
{
    struct service service = {.handler = handler, .arg = arg};
    if (!may_build(sim) || !handler)
        return refuse("bell_sim_serve");
    return serve(host, address, &service, options);
}

// NOLINTNEXTLINE(readability-function-size): the same
int bell_sim_serve_dgram(bell_sim *sim, const char *host, const char *address,
                         bell_dgram_handler *handler, void *arg,
                         const struct bell_server_options *options)
{
    struct service service = {.dgram_handler = handler, .arg = arg};
    if (!may_build(sim) || !handler)
        return refuse("bell_sim_serve_dgram");
    return serve(host, address, &service, options);
}

static void run_client(struct program *self)
{
    int rc = self->client(self->arg);
    if (rc != 0 && world.faults.calm) {
        const char *error = bell_error();
        world_fail("%s returned %d in a calm run%s%s", self->name, rc, *error ? ": " : "", error);
    }
}

int bell_sim_client(bell_sim *sim, const char *host_name, int (*run)(void *arg), void *arg)
{
    char name[SIM_NAME_SIZE];
    if (!may_build(sim) || !run)
        return refuse("bell_sim_client");
    (void)snprintf(name, sizeof name, "client-%d", world.clients + 1);
    struct host *host = host_add(host_name ? host_name : name);
    if (!host)
        return refuse("bell_sim_client");
    name_program(host, name);
    struct program *program =
        program_add(PROGRAM_CLIENT, name, host, world_between(SIM_MS, 10 * SIM_MS));
    program->run = run_client;
    program->client = run;
    program->arg = arg;
    return 0;
}

int bell_sim_finally(bell_sim *sim, void (*check)(void *arg), void *arg)
{
    if (!may_build(sim) || !check)
        return refuse("bell_sim_finally");
    struct final_check *final = world_give(sizeof *final);
    final->check = check;
    final->arg = arg;
    list_append(&world.finals, &final->node);
    return 0;
}

void build_check_finals(void)
{
    for (struct list *node = world.finals.next; node != &world.finals && !world.failed;
         node = node->next) {
        const struct final_check *final = LIST_ENTRY(node, struct final_check, node);
        final->check(final->arg);
    }
}

void *bell_sim_memory(bell_sim *sim, size_t size)
{
    return sim ? world_give(size) : NULL;
}

// ---- In a run ---------------------------------------------------------------------------------

void bell_sim_check(bool holds, const char *format, ...)
{
    char text[1000];
    if (holds)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (world.running)
        world_fail("%s: %s", world.running->name, text);
    world_find("at the end: %s", text);
}

bool bell_sim_is_calm(void)
{
    return world.faults.calm;
}

uint64_t bell_sim_random(uint64_t below)
{
    return world_below(below);
}

void bell_sim_note(const char *format, ...)
{
    char text[600];
    if (!world.trace)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    world_trace("%-12s # %s", world.running ? world.running->name : "", text);
}
