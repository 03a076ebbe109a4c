// A range of seeds.

#include <doorbell/sim.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "sim/fail.h"
#include "sim/lock.h"
#include "sim/net.h"
#include "sim/run.h"
#include "sim/service.h"
#include "sim/sim.h"
#include "wait/failure.h"

// ---- What each seed draws -----------------------------------------------------------------------

// Half of the runs have a fault of a kind not at all, so that it does not hide what others show.
static unsigned draw_rate(unsigned most)
{
    return world_below(2) ? 0 : (unsigned)world_between(1, most);
}

// What calls may do at any time, also in a calm run.
static void draw_manners(struct faults *faults, const struct bell_sim_options *options)
{
    static const size_t rooms[] = {4096, 16384, 65536, 262144};
    int64_t most = options->delay_max ? options->delay_max : 20 * SIM_MS;
    faults->delay_max = world_below(4) ? most : most / 50;
    faults->delay_min = world_below(2) ? 0 : faults->delay_max / 2;
    faults->partial = draw_rate(500);
    faults->interrupt = draw_rate(50);
    faults->spurious = draw_rate(50);
    faults->buffer = rooms[world_below(4)];
    faults->segment = world_below(4) ? 1448 : (size_t)world_between(100, 600);
    if (world_below(16) > 0)
        return;
    // Byte by byte, almost: quickly, or a long reply would take longer than anybody waits.
    faults->segment = (size_t)world_between(1, 16);
    faults->delay_max = faults->delay_max < SIM_MS / 2 ? faults->delay_max : SIM_MS / 2;
    faults->delay_min = 0;
}

static void draw_faults(struct faults *faults, unsigned without)
{
    if (!(without & BELL_SIM_LOSS)) {
        faults->loss = draw_rate(100);
        faults->twice = draw_rate(50);
        faults->overtake = draw_rate(300);
    }
    if (!(without & BELL_SIM_RESETS))
        faults->reset = draw_rate(10);
    if (!(without & BELL_SIM_CUTS))
        faults->cut = draw_rate(300);
    if (!(without & BELL_SIM_VANISHING))
        faults->vanish = draw_rate(300);
    if (!(without & BELL_SIM_SHORTAGE)) {
        faults->no_descriptor = draw_rate(50);
        faults->no_memory = world_below(4) ? 0 : draw_rate(20);
    }
    if (!(without & BELL_SIM_ABORTS))
        faults->aborted = draw_rate(50);
    if (world_below(4) == 0)
        faults->backlog = (int)world_between(1, 4);
}

// With numbers of its own: a seed means to who has no ring what it did before there were any.
static void draw_ring(struct faults *faults)
{
    uint64_t chance = world.chance;
    world.chance ^= 0x72696e6772696e67;
    faults->ring_late = draw_rate(500);
    if (!faults->calm) {
        faults->ring_ends = draw_rate(100);
        faults->ring_buffers = draw_rate(100);
        faults->ring_race = draw_rate(500);
    }
    world.chance = chance;
}

static void draw(const struct bell_sim_options *options)
{
    struct faults *faults = &world.faults;
    unsigned without = options->without & BELL_SIM_FAULTS;
    faults->calm = world_below(4) == 0 || without == BELL_SIM_FAULTS;
    draw_manners(faults, options);
    if (!faults->calm)
        draw_faults(faults, without);
    draw_ring(faults);
}

// Which hosts go out or are cut off, and when.
static void draw_fates(void)
{
    for (int i = 0; i < world.host_count; i++) {
        struct host *host = world.hosts[i];
        if (!world_chance(world.faults.cut))
            continue;
        host->cut_from = world.now + world_between(0, 500 * SIM_MS);
        host->cut_until = host->cut_from + world_between(SIM_MS, 20 * SIM_SECOND);
    }
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *program = LIST_ENTRY(node, struct program, node);
        if (!program->host->serves && world_chance(world.faults.vanish))
            program->waits_left = (int)world_between(1, 40);
    }
}

// ---- One seed ---------------------------------------------------------------------------------

struct task_of_run {
    bell_sim_setup *setup;
    void *arg;
    const struct bell_sim_options *options;
};

static void pass_trace(void *arg, const char *line, size_t size)
{
    const struct bell_sim_options *options = arg;
    options->trace(line, size, options->trace_arg);
}

static void build(const struct task_of_run *run)
{
    const struct bell_sim_options *options = run->options;
    world.steps_max = options->looks_max ? options->looks_max : 10000000;
    world.ends_at =
        world.now + (options->time_max ? options->time_max : (int64_t)30 * 86400 * SIM_SECOND);
    draw(options);
    if (options->trace) {
        world.trace = pass_trace;
        world.trace_arg = (void *)(uintptr_t)options;
        world_trace("seed %llu%s", (unsigned long long)world.seed,
                    world.faults.calm ? ", calm" : "");
    }
    run->setup((bell_sim *)(void *)&world, run->arg);
    draw_fates();
    if (options->fail)
        (void)fail_begin(options->fail);
}

static void run_seed(const struct task_of_run *run, uint64_t seed, struct bell_sim_report *report)
{
    world_begin(seed);
    build(run);
    program_run_all();
    program_check_threads();
    build_check_finals();
    report->runs++;
    report->calm += world.faults.calm;
    report->seed = seed;
    report->failed = world.failing.struck;
    report->simulated += world.now - SIM_SECOND;
    report->trace_hash = world.trace ? world.trace_hash : 0;
    memcpy(report->finding, world.finding, sizeof report->finding);
    world_end();
}

// ---- Memory that the program has from malloc ----------------------------------------------------

// A run that takes memory each time that it is made leaks it: what malloc keeps for the next time, and
// counts as used, is there after some runs. The least that any of them takes is the leak: some also grow
// what malloc and the simulator keep. (A host that goes out takes along what it has.)
enum { LEAK_RUNS = 24 };

static void look_for_leaks(const struct task_of_run *run, struct bell_sim_report *report)
{
    size_t before = mallinfo2().uordblks, least = SIZE_MAX;
    struct bell_sim_options quiet = *run->options;
    quiet.trace = NULL;
    struct task_of_run again = *run;
    again.options = &quiet;
    for (int i = 0; i < LEAK_RUNS; i++) {
        struct bell_sim_report other = {0};
        run_seed(&again, report->seed, &other);
        size_t now = mallinfo2().uordblks;
        if (now <= before)
            return;
        if (now - before < least)
            least = now - before;
        before = now;
    }
    (void)snprintf(report->finding, sizeof report->finding,
                   "each run of this seed leaks %zu bytes of malloc's memory", least);
}

static bool may_leak(void)
{
    return world.faults.vanish == 0 && !world.signalled;
}

static int run_seeds(const struct task_of_run *run, struct bell_sim_report *report)
{
    const struct bell_sim_options *options = run->options;
    uint64_t seed = options->first ? options->first : 1;
    uint64_t count = options->seeds ? options->seeds : 1000;
    for (uint64_t i = 0; i < count; i++, seed++) {
        size_t before = mallinfo2().uordblks;
        run_seed(run, seed, report);
        if (!report->finding[0] && may_leak() && mallinfo2().uordblks > before)
            look_for_leaks(run, report);
        if (report->finding[0])
            return 1;
    }
    return 0;
}

// ---- The public face --------------------------------------------------------------------------

// The library in front of this one would serve real sockets.
static bool is_another_in_front(void)
{
    world_begin(0);
    bool another = bell_now() != world.now;
    world_end();
    return another;
}

static int check(bell_sim_setup *setup, const struct bell_sim_options *options)
{
    if (!setup)
        return failure_say(-EINVAL, "bell_sim_run: no set-up");
    if (options->size != sizeof *options)
        return failure_say(-EINVAL, "options.size is %zu, not sizeof(struct bell_sim_options), %zu",
                           options->size, sizeof *options);
    if (options->delay_max < 0 || options->time_max < 0)
        return failure_say(-EINVAL, "a time in the simulation's options is below 0");
    if (!fail_is_possible(options->fail))
        return failure_say(-EINVAL, "no call that can fail: %s", options->fail);
    if (fail_is_in_front())
        return failure_say(-EBUSY, "bell_sim_run: called from within a run");
    return 0;
}

int bell_sim_run(bell_sim_setup *setup, void *arg, const struct bell_sim_options *options,
                 struct bell_sim_report *ret_report)
{
    static const struct bell_sim_options none = {.size = sizeof none};
    struct bell_sim_report own = {0};
    struct bell_sim_report *report = ret_report ? ret_report : &own;
    const struct task_of_run run = {setup, arg, options ? options : &none};
    *report = (struct bell_sim_report){0};
    if (check(setup, run.options) < 0)
        return -1;
    const struct kernel_ops *before = kernel;
    kernel = fail_table();
    lock_begin_run();
    bool another = is_another_in_front();
    int found = another ? -1 : run_seeds(&run, report);
    lock_end_run();
    kernel = before;
    if (another)
        return failure_say(-ENOTSUP, "bell_sim_run: libdoorbell stands in front of "
                                     "libdoorbell-sim: link the latter alone");
    return found;
}
