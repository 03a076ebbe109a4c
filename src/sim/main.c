// bell_sim_main: the main() of a test.

#include <doorbell/sim.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LAST_LINES = 24, LINE_SIZE = 800 };

// The last lines of a trace, as a ring.
struct tail {
    char lines[LAST_LINES][LINE_SIZE];
    unsigned count;
};

static void keep_line(const char *line, size_t size, void *arg)
{
    struct tail *tail = arg;
    char *into = tail->lines[tail->count++ % LAST_LINES];
    if (size >= LINE_SIZE)
        size = LINE_SIZE - 1;
    memcpy(into, line, size);
    into[size] = '\0';
}

static void write_line(const char *line, size_t size, void *arg)
{
    (void)arg;
    (void)fwrite(line, 1, size, stderr);
}

static void print_tail(const struct tail *tail)
{
    unsigned first = tail->count > LAST_LINES ? tail->count - LAST_LINES : 0;
    if (first)
        printf("  ... %u lines before\n", first);
    for (unsigned i = first; i < tail->count; i++)
        printf("  %s", tail->lines[i % LAST_LINES]);
}

// Runs the seed that has found something once more, now with its trace.
static void tell_finding(const char *program, bell_sim_setup *setup, void *arg,
                         const struct bell_sim_options *options,
                         const struct bell_sim_report *report)
{
    struct tail *tail = calloc(1, sizeof *tail);
    struct bell_sim_options again = *options;
    struct bell_sim_report second;
    again.first = report->seed;
    again.seeds = 1;
    again.trace = keep_line;
    again.trace_arg = tail;
    printf("seed %llu: %s\n", (unsigned long long)report->seed, report->finding);
    if (tail && bell_sim_run(setup, arg, &again, &second) >= 0) {
        print_tail(tail);
        if (strcmp(report->finding, second.finding) != 0)
            printf("It is not the same when it is repeated: something here is not of the seed, "
                   "such as rand(), the time of day, or what an earlier run has left in a static "
                   "variable.\n");
    }
    free(tail);
    const char *fail = options->fail ? options->fail : "";
    printf("Again, with the whole trace: DOORBELL_SEED=%llu %s%s%s%s\n",
           (unsigned long long)report->seed, *fail ? "DOORBELL_FAIL=" : "", fail, *fail ? " " : "",
           program);
}

static int read_number(const char *text, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-')
        return -1;
    *ret_number = number;
    return 0;
}

// The seeds that the environment or the command line asks for. -1: neither makes sense.
static int read_wishes(int argc, char **argv, struct bell_sim_options *options)
{
    const char *seed = secure_getenv("DOORBELL_SEED");
    const char *fail = secure_getenv("DOORBELL_FAIL");
    if (fail && *fail)
        options->fail = fail;
    if (argc > 2 || (argc == 2 && read_number(argv[1], &options->seeds) < 0)) {
        fprintf(stderr,
                "usage: [DOORBELL_SEED=N] [DOORBELL_FAIL=CALL:N:ERROR] %s [NUMBER OF SEEDS]\n",
                argv[0]);
        return -1;
    }
    if (!seed || !*seed)
        return 0;
    if (read_number(seed, &options->first) < 0 || options->first == 0) {
        fprintf(stderr, "%s: DOORBELL_SEED=%.40s is no number from 1 on\n", argv[0], seed);
        return -1;
    }
    options->seeds = 1;
    options->trace = write_line;
    return 0;
}

static void tell_success(const struct bell_sim_report *report, int64_t took)
{
    printf("%llu seed%s, %llu of them calm: nothing found; %lld s simulated in %lld.%02lld s\n",
           (unsigned long long)report->runs, report->runs == 1 ? "" : "s",
           (unsigned long long)report->calm, (long long)(report->simulated / BELL_SECOND),
           (long long)(took / BELL_SECOND), (long long)(took / (10 * BELL_MS) % 100));
}

int bell_sim_main(int argc, char **argv, bell_sim_setup *setup, void *arg,
                  const struct bell_sim_options *options)
{
    struct bell_sim_options own = {.size = sizeof own};
    struct bell_sim_report report;
    if (options)
        own = *options;
    if (read_wishes(argc, argv, &own) < 0)
        return 2;
    int64_t began = bell_now();
    int found = bell_sim_run(setup, arg, &own, &report);
    if (found < 0) {
        // The other library does not know what this one has to say.
        const char *why = errno == ENOTSUP ? "libdoorbell stands in front of libdoorbell-sim: "
                                             "link the latter alone"
                                           : bell_error();
        fprintf(stderr, "%s: %s\n", argv[0], why);
        return 2;
    }
    if (found == 0)
        tell_success(&report, bell_now() - began);
    else if (own.trace == write_line)
        printf("seed %llu: %s\n", (unsigned long long)report.seed, report.finding);
    else
        tell_finding(argv[0], setup, arg, &own, &report);
    return found;
}
