// Runs every fact on the system's kernel and on the simulated one. TAP, for Meson.

#include <doorbell/sim.h>
#include <stdio.h>
#include <string.h>

#include "parity.h"
#include "sim/sim.h"

static const struct group *const groups[] = {&facts_tcp,    &facts_ends,    &facts_unix, &facts_udp,
                                             &facts_events, &facts_options, &facts_ring};
enum { GROUPS = sizeof groups / sizeof(void *) };

static int number, failures;

static void tell(const char *kernel_name, const struct group *group, const struct fact *fact,
                 const char *complaint)
{
    printf("%sok %d - %s, %s: %s (%s)\n", complaint ? "not " : "", ++number, kernel_name,
           group->name, fact->says, fact->source);
    if (complaint)
        printf("# %s\n", complaint);
    failures += complaint != NULL;
}

struct trial {
    const struct fact *fact;
    char complaint[400];
};

static int try_fact(void *arg)
{
    struct trial *trial = arg;
    const char *complaint = steps_run(trial->fact->steps);
    if (complaint)
        (void)snprintf(trial->complaint, sizeof trial->complaint, "%s", complaint);
    return 0;
}

// Nothing by chance, and the buffers of the system.
static void set_up(bell_sim *sim, void *arg)
{
    world.faults = (struct faults){.calm = true, .buffer = 212992, .segment = 1448};
    bell_sim_client(sim, "here", try_fact, arg);
}

static void try_in_simulator(const struct group *group, const struct fact *fact)
{
    const struct bell_sim_options options = {
        .size = sizeof options, .seeds = 1, .without = BELL_SIM_FAULTS};
    struct bell_sim_report report;
    struct trial trial = {.fact = fact};
    if (bell_sim_run(set_up, &trial, &options, &report) > 0 && !trial.complaint[0])
        (void)snprintf(trial.complaint, sizeof trial.complaint, "%.390s", report.finding);
    tell("simulated", group, fact, trial.complaint[0] ? trial.complaint : NULL);
}

static bool is_skipped(const struct group *group, const struct fact *fact, bool is_simulated)
{
    const char *why = group->is_missing ? group->is_missing(is_simulated) : NULL;
    if (why)
        printf("ok %d - %s, %s: %s # SKIP there is none: %s\n", ++number,
               is_simulated ? "simulated" : "real", group->name, fact->says, why);
    return why != NULL;
}

static void try_group(const struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct fact *fact = &group->facts[i];
        if (!is_skipped(group, fact, false))
            tell("real", group, fact, steps_run(fact->steps));
        if (!is_skipped(group, fact, true))
            try_in_simulator(group, fact);
    }
}

// No two facts have the same steps.
static void look_for_twins(void)
{
    static const struct fact *all[1000];
    size_t count = 0;
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t i = 0; i < groups[g]->count; i++)
            all[count++] = &groups[g]->facts[i];
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(all[i]->steps, all[k]->steps) || !strcmp(all[i]->says, all[k]->says)) {
                printf("# twice: %s\n", all[i]->says);
                failures++;
            }
    printf("# %zu facts\n", count);
}

int main(int argc, char **argv)
{
    for (size_t g = 0; g < GROUPS; g++)
        if (argc < 2 || !strcmp(argv[1], groups[g]->name))
            try_group(groups[g]);
    look_for_twins();
    printf("1..%d\n", number);
    return failures > 0;
}
