// What the simulator itself promises, through doorbell/sim.h: traces, findings, options, and that
// everything of doorbell.h works in it.
//
//     network CASE [SEEDS]

#include <doorbell/sim.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- A client that calls everything that can be called ------------------------------------------

static int shout(bell_conn *conn, void *arg)
{
    (void)arg;
    char line[128];
    ssize_t n;
    while ((n = bell_readline(conn, line, sizeof line)) > 0)
        if (bell_printf(conn, "%.*s!\n", (int)n - 1, line) < 0)
            return -1;
    return (int)n;
}

static int pass_on(bell_conn *conn, void *arg)
{
    bell_conn *onward = bell_connect(arg, NULL);
    if (!onward)
        return -1;
    int rc = bell_relay(conn, onward, NULL);
    if (rc < 0)
        bell_abort(onward);
    else
        rc = bell_close(onward);
    return rc;
}

static int ask(const char *address)
{
    char line[64];
    bell_conn *conn = bell_connect(address, NULL);
    if (!conn)
        return -1;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    int rc = bell_printf(conn, "hello\n") < 0 || bell_shutdown(conn, SHUT_WR) < 0 ||
                     bell_readline(conn, line, sizeof line) <= 0
                 ? -1
                 : 0;
    if (rc == 0 && strchr(line, '\n'))
        bell_sim_check(!strcmp(line, "hello!\n"), "%s answers %s", address, line);
    if (rc == 0 && bell_readline(conn, line, sizeof line) != 0)
        rc = -1;
    if (rc == 0)
        return bell_close(conn);
    bell_abort(conn);
    return -1;
}

static int ask_all(void *arg)
{
    const char *const *addresses = arg;
    int rc = 0;
    for (; *addresses && rc == 0; addresses++)
        rc = ask(*addresses);
    return rc;
}

static void set_up_everything(bell_sim *sim, void *arg)
{
    static const char *const from_afar[] = {"server:7464", "tcp4:server:7464", "relay:80", NULL};
    static const char *const at_home[] = {"localhost:7465", "/tmp/x.sock", "@name",
                                          "127.0.0.1:7465", NULL};
    struct bell_server_options options = {
        .size = sizeof options,
        .model = arg,
        .workers = 2,
        .idle_timeout = BELL_MINUTE,
        .callers_per_address_max = 100,
    };
    bell_sim_serve(sim, "server", "*:7464", shout, NULL, &options);
    bell_sim_serve(sim, "server", "7465", shout, NULL, &options);
    bell_sim_serve(sim, "server", "/tmp/x.sock", shout, NULL, &options);
    bell_sim_serve(sim, "server", "@name", shout, NULL, &options);
    bell_sim_serve(sim, "relay", "*:80", pass_on, "server:7464", &options);
    for (int i = 0; i < 2; i++) {
        bell_sim_client(sim, NULL, ask_all, (void *)(uintptr_t)from_afar);
        bell_sim_client(sim, "server", ask_all, (void *)(uintptr_t)at_home);
    }
}

// ---- Tasks, channels, helpers, pairs ------------------------------------------------------------

static int add_seven(void *arg)
{
    *(int *)arg += 7;
    return 7;
}

static int send_three(void *arg)
{
    static int numbers[3];
    for (int i = 0; i < 3; i++)
        if (bell_sleep(BELL_SECOND) < 0 || bell_channel_send(arg, &numbers[i], BELL_NEVER) < 0)
            return -1;
    bell_channel_end(arg);
    return 0;
}

static int use_pair(void)
{
    bell_conn *pair[2];
    char byte = 'x';
    if (bell_pair(pair) < 0)
        return -1;
    int rc = bell_write(pair[0], "y", 1) == 1 && bell_read(pair[1], &byte, 1) == 1 ? 0 : -1;
    bell_sim_check(rc < 0 || byte == 'y', "a pair gives %c", byte);
    bell_close(pair[0]);
    bell_close(pair[1]);
    return rc;
}

static int use_helper(void)
{
    int number = 0, result = 0;
    if (bell_block(add_seven, &number, &result) < 0)
        return -1;
    bell_sim_check(number == 7 && result == 7, "bell_block: %d, %d", number, result);
    return 0;
}

static int use_channel(bell_group *group, bell_channel *channel)
{
    void *pointer;
    int count = 0;
    int64_t began = bell_now();
    if (bell_go(group, send_three, channel) < 0)
        return -1;
    while (bell_channel_receive(channel, &pointer, BELL_NEVER) == 1)
        count++;
    bell_sim_check(count == 3, "%d of three", count);
    int64_t took = bell_now() - began;
    bell_sim_check(took >= 3 * BELL_SECOND && took < 4 * BELL_SECOND, "three seconds take %lld ns",
                   (long long)took);
    return bell_group_wait(group, BELL_NEVER);
}

static int use_tasks(void *arg)
{
    (void)arg;
    bell_group *group = bell_group_open();
    bell_channel *channel = bell_channel_open(1);
    int rc = group && channel ? use_channel(group, channel) : -1;
    bell_group_close(group);
    bell_channel_close(channel);
    return rc < 0 || use_pair() < 0 || use_helper() < 0 ? -1 : 0;
}

static void set_up_tasks(bell_sim *sim, void *arg)
{
    (void)arg;
    bell_sim_client(sim, NULL, use_tasks, NULL);
}

// ---- Failures that must be told -----------------------------------------------------------------

static int fail_by_number(void *arg)
{
    static const struct {
        const char *address;
        int error;
    } cases[] = {
        {"server:1", ECONNREFUSED},
        {"nobody:1", ENOENT},
        {"/no/file", ENOENT},
        {"@none", ECONNREFUSED},
    };
    (void)arg;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bell_conn *conn = bell_connect(cases[i].address, NULL);
        bell_sim_check(!conn && errno == cases[i].error, "%s: %s", cases[i].address,
                       strerror(errno));
    }
    const struct bell_options soon = {.size = sizeof soon, .timeout = BELL_SECOND};
    bell_conn *conn = bell_connect("10.0.0.200:1", &soon);
    bell_sim_check(!conn && errno == ETIMEDOUT, "nobody there: %s", strerror(errno));
    return 0;
}

static void set_up_failures(bell_sim *sim, void *arg)
{
    (void)arg;
    bell_sim_serve(sim, "server", "*:7464", shout, NULL, NULL);
    bell_sim_client(sim, NULL, fail_by_number, NULL);
}

// ---- Findings of every kind ---------------------------------------------------------------------

static int leak_connection(void *arg)
{
    (void)arg;
    return bell_connect("server:7464", NULL) ? 0 : -1;
}

static int wait_for_ever(void *arg)
{
    (void)arg;
    char byte;
    bell_conn *conn = bell_connect("server:7464", NULL);
    return conn ? (int)bell_read(conn, &byte, 1) : -1;
}

static int spin(void *arg)
{
    (void)arg;
    while (bell_sleep(0) == 0)
        ;
    return 0;
}

static int sleep_again(void *arg)
{
    (void)arg;
    while (bell_sleep(BELL_MINUTE) == 0)
        ;
    return 0;
}

static int return_seven(void *arg)
{
    (void)arg;
    bell_sim_note("seven it is");
    return 7;
}

static int nested(void *arg)
{
    (void)arg;
    bell_sim_check(bell_sim_run(set_up_tasks, NULL, NULL, NULL) == -1 && errno == EBUSY,
                   "in a run");
    return 0;
}

static void set_up_client(bell_sim *sim, void *arg)
{
    int (*run)(void *arg) = NULL;
    memcpy(&run, arg, sizeof run);
    bell_sim_serve(sim, "server", "*:7464", shout, NULL, NULL);
    bell_sim_client(sim, "client", run, NULL);
}

static int try_client(int (*run)(void *arg), uint64_t looks_max, int64_t time_max)
{
    struct bell_sim_report report;
    const struct bell_sim_options options = {
        .size = sizeof options,
        .seeds = 20,
        .without = BELL_SIM_FAULTS,
        .looks_max = looks_max,
        .time_max = time_max,
    };
    int found = bell_sim_run(set_up_client, &run, &options, &report);
    printf("%d after %llu: %s\n", found, (unsigned long long)report.runs, report.finding);
    return found < 0;
}

// ---- The figure -----------------------------------------------------------------------------------

enum { MESSAGES = 20 };

static int talk(void *arg)
{
    (void)arg;
    char line[64];
    bell_conn *conn = bell_connect("server:7464", NULL);
    for (int i = 0; i < MESSAGES; i++)
        if (!conn || bell_printf(conn, "message %d\n", i) < 0 ||
            bell_readline(conn, line, sizeof line) <= 0 || strncmp(line, "message", 7) != 0)
            return -1;
    return bell_close(conn);
}

static void set_up_talk(bell_sim *sim, void *arg)
{
    (void)arg;
    bell_sim_serve(sim, "server", "*:7464", shout, NULL, NULL);
    for (int i = 0; i < 8; i++)
        bell_sim_client(sim, NULL, talk, NULL);
}

// ---- Choosing -------------------------------------------------------------------------------------

static int run_main(int argc, char **argv, bell_sim_setup *setup, const char *arg)
{
    return bell_sim_main(argc - 1, argv + 1, setup, (void *)(uintptr_t)arg, NULL);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void *arg);
    } clients[] = {{"leak", leak_connection}, {"wait", wait_for_ever}, {"spin", spin},
                   {"sleep", sleep_again},    {"seven", return_seven}, {"nested", nested}};
    const char *name = argc > 1 ? argv[1] : "";
    if (!strncmp(name, "everything-", 11))
        return run_main(argc, argv, set_up_everything, name + 11);
    if (!strcmp(name, "tasks"))
        return run_main(argc, argv, set_up_tasks, NULL);
    if (!strcmp(name, "failures") || !strcmp(name, "talk")) {
        const struct bell_sim_options calm = {.size = sizeof calm, .without = BELL_SIM_FAULTS};
        return bell_sim_main(argc - 1, argv + 1, *name == 'f' ? set_up_failures : set_up_talk, NULL,
                             &calm);
    }
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++)
        if (!strcmp(name, clients[i].name))
            return try_client(clients[i].run, 100000, 60 * BELL_MINUTE);
    fprintf(stderr, "%s: there is no case %s\n", argv[0], name);
    return 2;
}
