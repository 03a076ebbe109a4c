// Signals to simulated programs, and servers that end by one and come again.
//
//     signals CASE [SEEDS]

#include <doorbell/sim.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int echo_lines(bell_conn *conn, void *arg)
{
    (void)arg;
    char line[64];
    ssize_t n;
    while ((n = bell_readline(conn, line, sizeof line)) > 0)
        if (bell_write(conn, line, (size_t)n) < 0)
            return -1;
    return (int)n;
}

static int ask(bell_conn *conn, const char *line)
{
    char answer[64];
    if (bell_printf(conn, "%s\n", line) < 0)
        return -1;
    ssize_t n = bell_readline(conn, answer, sizeof answer);
    if (n <= 0)
        return -1;
    // A line can be cut off where its connection is.
    bell_sim_check(!strncmp(answer, line, (size_t)n - (answer[n - 1] == '\n')), "%s: %s", line,
                   answer);
    return answer[n - 1] == '\n' ? 0 : -1;
}

static int end(bell_conn *conn, int rc)
{
    if (rc == 0)
        return bell_close(conn);
    bell_abort(conn);
    return -1;
}

static bell_conn *call(const char *address)
{
    const struct bell_options options = {.size = sizeof options, .timeout = 10 * BELL_SECOND};
    bell_conn *conn = bell_connect(address, &options);
    if (conn)
        bell_deadline(conn, bell_in(BELL_MINUTE));
    return conn;
}

static void wait_until_refused(const char *address)
{
    bell_conn *conn;
    while ((conn = call(address))) {
        bell_abort(conn);
        bell_sleep(BELL_MS);
    }
    bell_sim_check(errno == ECONNREFUSED || errno == ECONNRESET || errno == ENOENT, "%s: %s",
                   address, strerror(errno));
}

static struct bell_server_options usual(unsigned flags)
{
    return (struct bell_server_options){
        .size = sizeof(struct bell_server_options), .idle_timeout = BELL_MINUTE, .flags = flags};
}

// ---- SIGTERM lets finish, the second one cuts; who has no handler ends -----------------------------------

static int stop_politely(void *arg)
{
    (void)arg;
    bell_conn *conn = call("server:7");
    if (!conn || ask(conn, "one") < 0)
        return conn ? end(conn, -1) : -1;
    bell_sim_check(bell_sim_signal("server", SIGTERM) == 0, "SIGTERM: %s", bell_error());
    wait_until_refused("server:7");
    int rc = ask(conn, "two");
    bell_sim_check(rc == 0, "who is there when it stops is served on: %s", bell_error());
    return end(conn, rc);
}

static int stop_twice(void *arg)
{
    (void)arg;
    bell_conn *conn = call("server:7");
    if (!conn || ask(conn, "one") < 0)
        return conn ? end(conn, -1) : -1;
    int64_t began = bell_now();
    bell_sim_signal("server", SIGINT);
    bell_sim_signal("server", SIGINT);
    bell_sim_check(ask(conn, "two") < 0, "it was cut, and answers");
    bell_sim_check(bell_now() - began < BELL_SECOND, "cutting took %lld ns",
                   (long long)(bell_now() - began));
    bell_abort(conn);
    return 0;
}

// The neighbour on the same host has a handler, and is another process.
static int end_one_of_two(void *arg)
{
    (void)arg;
    bell_conn *polite = call("server:7"), *bare = call("server:8");
    if (!polite || !bare || ask(polite, "one") < 0 || ask(bare, "one") < 0)
        return -1;
    bell_sim_signal("server", SIGTERM);
    bell_sim_check(ask(bare, "two") < 0, "it has no handler, and goes on after SIGTERM");
    bell_sim_check(ask(polite, "two") == 0, "the neighbour's end disturbs: %s", bell_error());
    bell_sim_signal("server", SIGURG);
    bell_abort(bare);
    return end(polite, 0);
}

static int misuse(void *arg)
{
    (void)arg;
    static const struct {
        const char *host;
        int number;
    } cases[] = {{NULL, SIGTERM}, {"nobody", SIGTERM}, {"server", 0}, {"server", 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bell_sim_check(bell_sim_signal(cases[i].host, cases[i].number) == -1 && errno == EINVAL,
                       "case %zu is no signal", i);
    return 0;
}

static void set_up(bell_sim *sim, void *arg)
{
    int (*client)(void *arg) = NULL;
    memcpy(&client, arg, sizeof client);
    struct bell_server_options polite = usual(BELL_STOP_ON_SIGNALS), bare = usual(0);
    bell_sim_check(bell_sim_signal("server", SIGTERM) == -1, "a signal before the run");
    bell_sim_serve(sim, "server", "*:7", echo_lines, NULL, &polite);
    bell_sim_serve(sim, "server", "*:8", echo_lines, NULL, &bare);
    bell_sim_client(sim, NULL, client, NULL);
}

// ---- SIGKILL, and another one in its place ----------------------------------------------------------------

struct restarts {
    bell_sim *sim;
    bool is_over;
};

static int ask_at_home(void *arg)
{
    (void)arg;
    bell_conn *conn = call("/tmp/x.sock");
    return conn ? end(conn, ask(conn, "one")) : -1;
}

// The socket file and the lock beside it are there still; only nobody has them.
static int replace_at_home(void *arg)
{
    const struct restarts *restarts = arg;
    struct bell_server_options options = usual(0);
    bell_conn *conn = call("home:7");
    if (!conn || ask(conn, "one") < 0)
        return -1;
    bell_sim_signal("home", SIGKILL);
    bell_sim_check(ask(conn, "two") < 0, "it was killed, and answers");
    bell_abort(conn);
    wait_until_refused("home:7");
    return bell_sim_serve(restarts->sim, "home", "/tmp/x.sock", echo_lines, NULL, &options) < 0 ||
                   bell_sim_client(restarts->sim, "home", ask_at_home, NULL) < 0
               ? -1
               : 0;
}

static void set_up_home(bell_sim *sim, void *arg)
{
    (void)arg;
    struct bell_server_options options = usual(0);
    struct restarts *restarts = bell_sim_memory(sim, sizeof *restarts);
    restarts->sim = sim;
    bell_sim_serve(sim, "home", "*:7", echo_lines, NULL, &options);
    bell_sim_serve(sim, "home", "/tmp/x.sock", echo_lines, NULL, &options);
    bell_sim_client(sim, "operator", replace_at_home, restarts);
}

static int serve_again(const struct restarts *restarts)
{
    struct bell_server_options options = usual(BELL_STOP_ON_SIGNALS);
    options.grace = BELL_SECOND;
    return bell_sim_serve(restarts->sim, "server", "*:7", echo_lines, NULL, &options);
}

static int restart(void *arg)
{
    struct restarts *restarts = arg;
    for (int i = 0; i < 4; i++) {
        bell_sleep((int64_t)bell_sim_random(50) * BELL_MS);
        bool kills = bell_sim_random(2);
        bell_sim_signal("server", kills ? SIGKILL : SIGTERM);
        if (!kills)
            bell_sleep(2 * BELL_SECOND); // its grace, and a little more
        if (serve_again(restarts) < 0)
            return -1;
    }
    restarts->is_over = true;
    return 0;
}

// Asks until it is answered; a server that comes and goes may say nothing, but nothing wrong.
static int ask_until_answered(const struct restarts *restarts, const char *line)
{
    // The operator's host may go out, too, and then nobody comes again.
    int64_t until = bell_in(BELL_MINUTE);
    for (int tries = 0; tries < 10 && bell_now() < until; tries += restarts->is_over) {
        bell_conn *conn = call("server:7");
        if (conn && end(conn, ask(conn, line)) == 0)
            return 0;
        bell_sleep(20 * BELL_MS);
    }
    return -1;
}

static int ask_ten(void *arg)
{
    char line[32];
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++) {
        snprintf(line, sizeof line, "question %d", i);
        rc = ask_until_answered(arg, line);
    }
    return rc;
}

static void set_up_restarts(bell_sim *sim, void *arg)
{
    (void)arg;
    struct restarts *restarts = bell_sim_memory(sim, sizeof *restarts);
    restarts->sim = sim;
    serve_again(restarts);
    bell_sim_client(sim, "operator", restart, restarts);
    for (int i = 0; i < 3; i++)
        bell_sim_client(sim, NULL, ask_ten, restarts);
}

// ---- The threads of bell_block are each process's own -----------------------------------------------------

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// The thread that has just worked waits for more, and ends with the process.
static int block_and_die(void *arg)
{
    bell_block(nothing, NULL, NULL);
    bell_sim_signal(arg, SIGKILL);
    return 0;
}

static int block_afterwards(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++)
        if (bell_sleep(BELL_MS) < 0 || bell_block(nothing, NULL, NULL) < 0)
            return -1;
    return 0;
}

static void set_up_threads(bell_sim *sim, void *arg)
{
    (void)arg;
    bell_sim_client(sim, "mortal", block_and_die, "mortal");
    bell_sim_client(sim, NULL, block_afterwards, NULL);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bell_sim_setup *set_up;
        int (*client)(void *arg);
    } cases[] = {
        {"stops", set_up, stop_politely},  {"cuts", set_up, stop_twice},
        {"ends", set_up, end_one_of_two},  {"misuse", set_up, misuse},
        {"home", set_up_home, NULL},       {"restarts", set_up_restarts, NULL},
        {"threads", set_up_threads, NULL},
    };
    // What each of these says must hold is said of a network that does its best.
    const struct bell_sim_options calm = {.size = sizeof calm, .without = BELL_SIM_FAULTS};
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++) {
        int (*client)(void *arg) = cases[i].client;
        bool all = !strcmp(cases[i].name, "restarts");
        if (!strcmp(argv[1], cases[i].name))
            return bell_sim_main(argc - 1, argv + 1, cases[i].set_up, &client, all ? NULL : &calm);
    }
    fprintf(stderr, "usage: %s stops|cuts|ends|misuse|home|restarts|threads [SEEDS]\n", argv[0]);
    return 2;
}
