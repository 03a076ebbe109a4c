// The chat of the examples in a simulated network: whoever is in the room hears every line, once, and all hear
// them in one order; who leaves, or is torn away, disturbs nobody.
//
//     chat_right|chat_wrong MODEL [SEEDS]
//
// CHAT is the example itself, or a copy of it with a bug that is planted.

int chat_main(int argc, char **argv);
#ifndef CHAT
#define CHAT "../../examples/chat.c"
#endif
#define main chat_main // NOLINT(readability-identifier-naming)
#include CHAT          // NOLINT(bugprone-suspicious-include): with main as chat_main
#undef main

#include <doorbell/sim.h>
#include <errno.h>

enum { TALKERS = 3, SAID = 3, HEARD_MAX = 64, TEXT_SIZE = 48 };

// What one client has heard, from its own coming on.
struct log {
    int count;
    char lines[HEARD_MAX][TEXT_SIZE];
};

struct evening {
    bool is_open; // the host has come
    int left;     // talkers who are still there
    struct guest {
        struct evening *evening;
        int number;
        struct log log;
    } host, talkers[TALKERS], rude;
};

// ---- Clients ----------------------------------------------------------------------------------

static bool has_heard(const struct log *log, const char *line)
{
    for (int i = 0; i < log->count; i++)
        if (!strcmp(log->lines[i], line))
            return true;
    return false;
}

// 1 a line, 0 the end, -1.
static int hear(bell_conn *conn, struct log *log)
{
    char line[LINE_SIZE];
    ssize_t n = bell_readline(conn, line, sizeof line);
    if (n <= 0 || line[n - 1] != '\n')
        return n < 0 ? -1 : 0;
    bell_sim_check(n < TEXT_SIZE && log->count < HEARD_MAX, "nobody says that: %s", line);
    bell_sim_check(!has_heard(log, line), "twice: %s", line);
    memcpy(log->lines[log->count++], line, (size_t)n + 1);
    return 1;
}

static int hear_until(bell_conn *conn, struct log *log, const char *line)
{
    int rc = 1;
    while (!has_heard(log, line) && rc == 1)
        rc = hear(conn, log);
    return rc == 1 ? 0 : -1;
}

static bell_conn *come(struct guest *guest, const char *name)
{
    bell_conn *conn = bell_connect("server:7464", NULL);
    char is_here[TEXT_SIZE];
    if (!conn)
        return NULL;
    bell_deadline(conn, bell_in(5 * BELL_MINUTE));
    snprintf(is_here, sizeof is_here, "%s is here\n", name);
    if (bell_printf(conn, "/nick %s\n", name) >= 0 && hear_until(conn, &guest->log, is_here) == 0)
        return conn;
    bell_abort(conn);
    return NULL;
}

static int go(bell_conn *conn, struct guest *guest, int rc)
{
    if (rc == 0 && bell_shutdown(conn, SHUT_WR) == 0) {
        while ((rc = hear(conn, &guest->log)) == 1)
            ;
        if (rc == 0)
            return bell_close(conn) < 0 && bell_sim_is_calm() ? -1 : 0;
    }
    bell_abort(conn);
    return -1;
}

static void wait_for_host(const struct evening *evening)
{
    for (int64_t span = 8 * BELL_MS; !evening->is_open && span < BELL_MINUTE; span *= 2)
        bell_sleep(span + (int64_t)bell_sim_random(10) * BELL_MS);
}

static int say_lines(bell_conn *conn, struct guest *guest)
{
    char line[TEXT_SIZE];
    for (int i = 0; i < SAID; i++) {
        bell_sleep((int64_t)bell_sim_random(10) * BELL_MS);
        if (bell_printf(conn, "%d\n", i) < 0)
            return -1;
    }
    snprintf(line, sizeof line, "talker%d: %d\n", guest->number, SAID - 1);
    return hear_until(conn, &guest->log, line);
}

static int talk(void *arg)
{
    struct guest *guest = arg;
    char name[TEXT_SIZE];
    int rc = -1;
    wait_for_host(guest->evening);
    snprintf(name, sizeof name, "talker%d", guest->number);
    bell_conn *conn = come(guest, name);
    if (conn)
        rc = go(conn, guest, say_lines(conn, guest));
    guest->evening->left--;
    return rc;
}

// Says something, and is gone without waiting for anything.
static int interrupt(void *arg)
{
    struct guest *guest = arg;
    wait_for_host(guest->evening);
    bell_conn *conn = come(guest, "rude");
    if (conn)
        (void)bell_printf(conn, "I must be off\n");
    bell_abort(conn);
    guest->evening->left--;
    return 0;
}

// Comes first and goes last.
static int keep_house(void *arg)
{
    struct guest *guest = arg;
    struct evening *evening = guest->evening;
    bell_conn *conn = come(guest, "host");
    evening->is_open = true;
    for (int64_t span = 50 * BELL_MS; evening->left > 0 && span < 2 * BELL_MINUTE; span *= 2)
        bell_sleep(span);
    return conn ? go(conn, guest, 0) : -1;
}

// ---- The last look ----------------------------------------------------------------------------

// From the first line that both have heard on they have heard the same; and one of them came with it.
static void compare(const struct log *one, const struct log *other)
{
    int i = 0, j = 0;
    while (i < one->count && !has_heard(other, one->lines[i]))
        i++;
    while (j < other->count && !has_heard(one, other->lines[j]))
        j++;
    if (i == one->count)
        return;
    bell_sim_check(i == 0 || j == 0, "somebody did not hear: %s", one->lines[i ? i - 1 : 0]);
    for (; i < one->count && j < other->count; i++, j++)
        bell_sim_check(!strcmp(one->lines[i], other->lines[j]),
                       "where one heard: %sthe other heard: %s", one->lines[i], other->lines[j]);
}

static void check_host(const struct evening *evening)
{
    for (int i = 0; i < TALKERS; i++)
        for (int k = 0; k < SAID; k++) {
            char line[TEXT_SIZE];
            snprintf(line, sizeof line, "talker%d: %d\n", i, k);
            bell_sim_check(has_heard(&evening->host.log, line), "the host did not hear: %s", line);
        }
}

static void look_back(void *arg)
{
    const struct evening *evening = arg;
    const struct log *logs[TALKERS + 2] = {&evening->host.log, &evening->rude.log};
    for (int i = 0; i < TALKERS; i++)
        logs[i + 2] = &evening->talkers[i].log;
    for (int i = 0; i < TALKERS + 2; i++)
        for (int j = 0; j < i; j++)
            compare(logs[i], logs[j]);
    if (bell_sim_is_calm())
        check_host(evening);
    // Of those whose host went out nobody knows; everybody else has been seen to the door.
    bell_sim_check(!members, "%s is still a member", members ? members->nick : "");
}

static void set_up(bell_sim *sim, void *arg)
{
    struct evening *evening = bell_sim_memory(sim, sizeof *evening);
    const struct bell_server_options options = {
        .size = sizeof options,
        .model = arg,
        .backend = bell_sim_random(2) ? "epoll" : "block",
        .workers = 2 * (TALKERS + 2), // in a pool those who have gone linger with theirs
        .callers_per_address_max = 100,
        .idle_timeout = 10 * BELL_MINUTE,
    };
    members = NULL;
    guests = 0;
    bell_sim_serve(sim, "server", "*:7464", chat, NULL, &options);
    evening->left = TALKERS + 1;
    evening->host.evening = evening->rude.evening = evening;
    bell_sim_client(sim, NULL, keep_house, &evening->host);
    bell_sim_client(sim, NULL, interrupt, &evening->rude);
    for (int i = 0; i < TALKERS; i++) {
        evening->talkers[i].evening = evening;
        evening->talkers[i].number = i;
        bell_sim_client(sim, NULL, talk, &evening->talkers[i]);
    }
    bell_sim_finally(sim, look_back, evening);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL [SEEDS]\n", argv[0]);
        return 2;
    }
    return bell_sim_main(argc - 1, argv + 1, set_up, argv[1], NULL);
}
