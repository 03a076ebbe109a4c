// Torture on the simulated kernel: each call that can fail does so, once or from then on, with each of its errors.
//
//     torture ERRORS all [SCENARIO...]      every point, of these scenarios
//     torture ERRORS sample SEED COUNT      so many, by chance
//     torture ERRORS POINT...               some: what a failure prints
//
// ERRORS is tests/torture/errors.txt. A point is SCENARIO:MODEL:BACKEND:HOST/CALL:WHICH:ERROR:once|ever. A server is
// run on a host of its own, callers come from another one, and on one of both a call fails. When the callers have
// gone nothing fails any more, and a fresh one comes, from a third host: he must be served, unless the server has
// ended, and said why. Then it is stopped. The simulator itself looks for what is left behind.

#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CALLERS = 2, CALLS_MAX = 64, ERRORS_MAX = 12, WORD_SIZE = 24 };

// A kind of call, and its errors.
struct fallible {
    char name[WORD_SIZE];
    int count;
    struct {
        char name[WORD_SIZE];
        bool passes; // it is not said for ever
    } errors[ERRORS_MAX];
};

static struct fallible calls[CALLS_MAX];
static int call_count;

static const char *const models[] = {"iterative", "coroutines", "threads", "pool"};
static const char *const backends[] = {"epoll", "block"};
static const char *const hosts[] = {"server", "client"};
enum { MODELS = 4, BACKENDS = 2, HOSTS = 2 };

struct point {
    const struct scenario *scenario;
    const char *model, *backend, *host, *call, *error;
    unsigned which;
    bool ever;
};

static FILE *report; // services write on stdout
static char present[200];

// ---- One run --------------------------------------------------------------------------------------

#define SERVING                                                                                 \
    "EADDRINUSE EACCES EMFILE ENFILE ENOBUFS ENOMEM ETIMEDOUT EAGAIN ENOSPC ENOPROTOOPT EPERM " \
    "EBADF"

static int give_up_server(struct room *room)
{
    room->error = errno;
    told("the server", errno, SERVING);
    room->ended = true;
    return 0;
}

static int close_server(struct room *room, int rc)
{
    bell_server *server = room->server;
    int error = errno;
    if (rc < 0)
        told("bell_server_run", error, SERVING);
    room->server = NULL;
    bell_server_close(server);
    room->error = rc < 0 ? error : 0;
    room->ended = true;
    return 0;
}

static int serve(void *arg)
{
    struct room *room = arg;
    const struct scenario *scenario = room->scenario;
    const struct bell_server_options options = {.size = sizeof options,
                                                .model = room->model,
                                                .backend = room->backend,
                                                .workers = 2,
                                                .callers_per_address_max = 100,
                                                .idle_timeout = BELL_MINUTE,
                                                .grace = BELL_SECOND / 2,
                                                .linger_time = BELL_SECOND / 5};
    bell_handler *handler;
    void *handler_arg;
    room->began = true;
    scenario_handler(room, &handler, &handler_arg);
    room->server = scenario->dgram_handler
                       ? bell_server_open_dgram(scenario->dgram_handler, room, &options)
                       : bell_server_open(handler, handler_arg, &options);
    if (!room->server)
        return give_up_server(room);
    if (bell_server_listen(room->server, scenario->address ? scenario->address : "*:7464") < 0 ||
        (scenario->second && bell_server_listen(room->server, scenario->second) < 0))
        return close_server(room, -1);
    room->listens = true;
    return close_server(room, bell_server_run(room->server));
}

static int call(void *arg)
{
    struct room *room = arg;
    room->callers++;
    for (int i = 0; i < 100 && !room->listens && !room->ended; i++)
        if (bell_sleep(BELL_MS) < 0)
            told("bell_sleep", errno, "ECANCELED ENOMEM");
    if (room->listens)
        (void)room->scenario->behave(room);
    room->callers--;
    return 0;
}

static void wait_for(const struct room *room, bool (*has_come)(const struct room *room),
                     int64_t at_most, const char *what)
{
    int64_t until = bell_in(at_most);
    while (!has_come(room) && bell_now() < until)
        bell_sleep(50 * BELL_MS);
    bell_sim_check(has_come(room), "%s after %lld s", what, (long long)(at_most / BELL_SECOND));
}

static bool callers_have_gone(const struct room *room)
{
    return room->callers <= 0;
}

static bool server_has_ended(const struct room *room)
{
    return room->ended;
}

// The last one: sees whether all is well, and stops the server.
static int come_fresh(void *arg)
{
    struct room *room = arg;
    bell_sleep(200 * BELL_MS); // by then all have come
    wait_for(room, callers_have_gone, 2 * BELL_MINUTE, "callers are still there");
    bell_sim_fail(NULL);
    bell_sleep(2 * BELL_SECOND); // a listener may rest for a moment
    if (!room->began)
        return 0;
    if (room->ended) {
        bell_sim_check(room->error || room->scenario->stops, "the server has ended without a word");
        return 0;
    }
    if (!room->scenario->stops)
        bell_sim_check(room->scenario->behave(room) == 0, "a fresh caller is not served: %s",
                       bell_error());
    room->is_stopped = true;
    bell_server_stop(room->server);
    wait_for(room, server_has_ended, 2 * BELL_SECOND, "the server does not stop");
    return 0;
}

static struct point now; // of this run

static void set_up(bell_sim *sim, void *arg)
{
    struct room *room = bell_sim_memory(sim, sizeof *room);
    (void)arg;
    room->scenario = now.scenario;
    room->model = now.model;
    room->backend = now.backend;
    if (room->scenario->build)
        room->scenario->build(sim);
    bell_sim_client(sim, "server", serve, room);
    for (int i = 0; i < CALLERS; i++)
        bell_sim_client(sim, "client", call, room);
    bell_sim_client(sim, "fresh", come_fresh, room);
}

// ---- Points ---------------------------------------------------------------------------------------

static unsigned long done, struck, broken;

static void tell_crash(int number)
{
    static const char what[] = " ended the program by a signal: FAILED ";
    (void)number;
    (void)!write(2, present, strlen(present));
    (void)!write(2, what, sizeof what - 1);
    _exit(3);
}

static void show_line(const char *line, size_t size, void *arg)
{
    (void)fwrite(line, 1, size, arg);
}

static uint64_t seed_wished(void)
{
    const char *text = getenv("DOORBELL_SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

// Returns how many calls failed.
static uint64_t run_point(const struct point *point)
{
    char fail[100];
    struct bell_sim_report found;
    struct bell_sim_options options = {.size = sizeof options,
                                       .first = seed_wished(),
                                       .seeds = 1,
                                       .without = BELL_SIM_FAULTS,
                                       .looks_max = 100000,
                                       .time_max = BELL_MINUTE * 60,
                                       .fail = fail};
    (void)snprintf(fail, sizeof fail, "%s/%s:%u%s:%s", point->host, point->call, point->which,
                   point->ever ? "+" : "", point->error);
    (void)snprintf(present, sizeof present, "%s:%s:%s:%s/%s:%u:%s:%s", point->scenario->name,
                   point->model, point->backend, point->host, point->call, point->which,
                   point->error, point->ever ? "ever" : "once");
    now = *point;
    if (getenv("TRACE")) {
        options.trace = show_line;
        options.trace_arg = report;
    }
    (void)alarm(120); // it hangs in earnest
    int rc = bell_sim_run(set_up, NULL, &options, &found);
    (void)alarm(0);
    if (rc == 0 && found.failed == 0)
        return 0;
    done++;
    struck += found.failed > 0;
    if (rc == 0)
        return found.failed;
    broken++;
    fprintf(report, "FAILED %s: %s\n", present, rc < 0 ? bell_error() : found.finding);
    fflush(report);
    return found.failed;
}

// Both manners and all errors of one call. False: there is no such call.
static bool run_call(struct point *point, const struct fallible *fallible)
{
    for (int i = 0; i < fallible->count; i++) {
        point->error = fallible->errors[i].name;
        point->ever = false;
        if (run_point(point) == 0 && i == 0)
            return false;
        point->ever = true;
        if (!fallible->errors[i].passes)
            (void)run_point(point);
    }
    return true;
}

static void run_cell(struct point *point)
{
    for (int i = 0; i < call_count; i++) {
        point->call = calls[i].name;
        point->which = 1;
        while (run_call(point, &calls[i]))
            point->which++;
    }
}

static bool has_model(const struct scenario *scenario, int model)
{
    return scenario->models & 1U << model;
}

static void run_scenario(const struct scenario *scenario)
{
    for (int i = 0; i < MODELS * BACKENDS * HOSTS; i++) {
        struct point point = {.scenario = scenario,
                              .model = models[i % MODELS],
                              .backend = backends[i / MODELS % BACKENDS],
                              .host = hosts[i / MODELS / BACKENDS]};
        // What fails on the callers' side has little to do with the server's model.
        bool once = i / MODELS / BACKENDS == 0 || i % MODELS == 1;
        if (has_model(scenario, i % MODELS) && once)
            run_cell(&point);
    }
}

// ---- A sample ---------------------------------------------------------------------------------------

static uint64_t chance;

static unsigned below(unsigned number)
{
    chance = chance * 6364136223846793005U + 1442695040888963407U;
    return number ? (unsigned)(chance >> 33) % number : 0;
}

static void run_sample(unsigned count)
{
    unsigned scenario_count = 0;
    while (scenarios[scenario_count].name)
        scenario_count++;
    for (unsigned long until = done + count; done < until && broken < 10;) {
        const struct fallible *fallible = &calls[below((unsigned)call_count)];
        unsigned model = below(MODELS), error = below((unsigned)fallible->count);
        struct point point = {.scenario = &scenarios[below(scenario_count)],
                              .model = models[model],
                              .backend = backends[below(BACKENDS)],
                              .host = hosts[below(HOSTS)],
                              .call = fallible->name,
                              .error = fallible->errors[error].name,
                              .which = 1 + below(60),
                              .ever = below(2) && !fallible->errors[error].passes};
        if (!has_model(point.scenario, (int)model))
            continue;
        while (point.which > 0 && run_point(&point) == 0)
            point.which /= 2;
    }
}

// ---- Words ------------------------------------------------------------------------------------------

static void read_line(char *line)
{
    struct fallible *fallible = &calls[call_count];
    char *rest, *word = strtok_r(line, " \n", &rest);
    char fail[100];
    if (!word || *word == '#')
        return;
    (void)snprintf(fallible->name, WORD_SIZE, "%s", word);
    while ((word = strtok_r(NULL, " \n", &rest))) {
        int i = fallible->count++;
        size_t length = strlen(word);
        fallible->errors[i].passes = word[length - 1] == '?';
        (void)snprintf(fallible->errors[i].name, WORD_SIZE, "%.*s",
                       (int)(length - fallible->errors[i].passes), word);
    }
    // What the simulator does not let fail is left to the system's kernel.
    (void)snprintf(fail, sizeof fail, "%s:1:%s", fallible->name, fallible->errors[0].name);
    if (bell_sim_fail(fail) == 0)
        call_count++;
    else
        memset(fallible, 0, sizeof *fallible);
}

static int read_errors(const char *path)
{
    char line[400];
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file))
        read_line(line);
    (void)bell_sim_fail(NULL);
    return fclose(file);
}

static const struct scenario *find_scenario(const char *name)
{
    const struct scenario *scenario = scenarios;
    while (scenario->name && strcmp(scenario->name, name) != 0)
        scenario++;
    return scenario->name ? scenario : NULL;
}

// -1: it is no point.
static int run_text(const char *text)
{
    char copy[200];
    char *rest, *words[7];
    struct point point;
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (int i = 0; i < 7; i++)
        if (!(words[i] = strtok_r(i ? NULL : copy, ":", &rest)))
            return -1;
    char *call_name = strchr(words[3], '/');
    point = (struct point){.scenario = find_scenario(words[0]),
                           .model = words[1],
                           .backend = words[2],
                           .host = words[3],
                           .call = call_name,
                           .which = (unsigned)strtoul(words[4], NULL, 10),
                           .error = words[5],
                           .ever = !strcmp(words[6], "ever")};
    if (!point.scenario || !call_name || !point.which)
        return -1;
    *call_name = '\0';
    point.call++;
    (void)run_point(&point);
    return 0;
}

static int run_words(int argc, char **argv)
{
    if (!strcmp(argv[0], "all") && argc == 1) {
        for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
            run_scenario(scenario);
        return 0;
    }
    if (!strcmp(argv[0], "sample") && argc == 3) {
        chance = strtoull(argv[1], NULL, 10);
        run_sample((unsigned)strtoul(argv[2], NULL, 10));
        return 0;
    }
    bool all = !strcmp(argv[0], "all");
    for (int i = all; i < argc; i++) {
        const struct scenario *scenario = all ? find_scenario(argv[i]) : NULL;
        if (scenario)
            run_scenario(scenario);
        else if (all || run_text(argv[i]) < 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGTRAP, SIGFPE, SIGALRM};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        (void)signal(fatal[i], tell_crash);
    report = fdopen(dup(1), "we");
    if (argc < 3 || !report || !freopen("/dev/null", "we", stdout) || read_errors(argv[1]) < 0 ||
        run_words(argc - 2, argv + 2) < 0) {
        fprintf(stderr, "usage: %s ERRORS all [SCENARIO...] | sample SEED COUNT | POINT...\n",
                argv[0]);
        return 2;
    }
    fprintf(report, "%lu points, a call failed in %lu of them, and a promise in %lu\n", done,
            struck, broken);
    return broken > 0;
}
