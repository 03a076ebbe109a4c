// A key-value handler in two phases: it tells a value, waits for the new one, and stores that. Wrong:
// it does not look whether somebody else has stored one meanwhile.

#include <stdlib.h>

#include "planted.h"

enum { CLIENTS = 4, UPDATES = 3 };

struct store {
    long value;
    long told;    // updates that a client was told are done
    long unknown; // those of which a client does not know
};

static int answer(bell_conn *conn, struct store *store, const char *line)
{
    if (!strcmp(line, "get\n"))
        return bell_printf(conn, "%ld\n", store->value);
    char *end;
    long before = strtol(line + strlen("put "), &end, 10);
    long after = strtol(end, NULL, 10);
    if (!is_wrong && store->value != before)
        return bell_printf(conn, "again\n");
    store->value = after;
    return bell_printf(conn, "done\n");
}

static int keep(bell_conn *conn, void *arg)
{
    char line[64];
    ssize_t n;
    while ((n = bell_readline(conn, line, sizeof line)) > 0 && line[n - 1] == '\n')
        if (answer(conn, arg, line) < 0)
            return -1;
    return (int)n;
}

// 1 done, 0 somebody was faster, -1 not known.
static int add_one(bell_conn *conn)
{
    char line[64];
    if (bell_printf(conn, "get\n") < 0 || bell_readline(conn, line, sizeof line) <= 0)
        return -1;
    long value = strtol(line, NULL, 10);
    bell_sleep((int64_t)bell_sim_random(5) * BELL_MS);
    if (bell_printf(conn, "put %ld %ld\n", value, value + 1) < 0)
        return -1;
    ssize_t n = bell_readline(conn, line, sizeof line);
    return n <= 0 || line[n - 1] != '\n' ? -1 : !strcmp(line, "done\n");
}

static int client(void *arg)
{
    struct store *store = arg;
    bell_conn *conn = bell_connect("server:7464", NULL);
    if (!conn)
        return -1;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    for (int left = UPDATES; left > 0;) {
        store->unknown++; // a host may go out at any time
        int rc = add_one(conn);
        if (rc < 0)
            return planted_end(conn, -1);
        store->unknown--;
        store->told += rc;
        left -= rc;
    }
    return planted_end(conn, 0);
}

static void check(void *arg)
{
    const struct store *store = arg;
    bell_sim_check(store->value >= store->told && store->value <= store->told + store->unknown,
                   "%ld updates are told to be done (%ld not known), and the value is %ld",
                   store->told, store->unknown, store->value);
}

static void set_up(bell_sim *sim, void *arg)
{
    (void)arg;
    const struct bell_server_options options = {.size = sizeof options,
                                                .idle_timeout = BELL_MINUTE};
    struct store *store = bell_sim_memory(sim, sizeof *store);
    bell_sim_serve(sim, "server", "*:7464", keep, store, &options);
    for (int i = 0; i < CLIENTS; i++)
        bell_sim_client(sim, NULL, client, store);
    bell_sim_finally(sim, check, store);
}

int main(int argc, char **argv)
{
    return planted_main(argc, argv, set_up);
}
