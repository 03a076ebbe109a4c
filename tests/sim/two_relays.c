// Two relays, each of which asks the other one before it answers. Wrong: each serves one caller after
// the other, so that both can wait for each other for ever.

#include "planted.h"

static const char *const names[] = {"left", "right"};

// "ask" is answered after the other one was told; "tell" at once.
static int relay(bell_conn *conn, void *arg)
{
    const char *other = arg;
    char line[64], address[32];
    if (bell_readline(conn, line, sizeof line) <= 0)
        return -1;
    if (!strcmp(line, "tell\n"))
        return bell_printf(conn, "told\n") < 0;
    (void)snprintf(address, sizeof address, "%s:7464", other);
    bell_conn *onward = bell_connect(address, NULL);
    if (!onward)
        return -1;
    if (!is_wrong)
        bell_deadline(onward, bell_in(BELL_MINUTE));
    int rc = bell_printf(onward, "tell\n") < 0 || bell_readline(onward, line, sizeof line) <= 0;
    bell_abort(onward);
    return rc || bell_printf(conn, "answer\n") < 0;
}

static int client(void *arg)
{
    const char *whom = arg;
    char line[64], address[32];
    (void)snprintf(address, sizeof address, "%s:7464", whom);
    bell_conn *conn = bell_connect(address, NULL);
    if (!conn)
        return -1;
    if (!is_wrong)
        bell_deadline(conn, bell_in(5 * BELL_MINUTE));
    if (bell_printf(conn, "ask\n") < 0 || bell_readline(conn, line, sizeof line) <= 0)
        return planted_end(conn, -1);
    bell_sim_check(!strncmp(line, "answer\n", strlen(line)), "the answer is %s", line);
    return planted_end(conn, 0);
}

static void set_up(bell_sim *sim, void *arg)
{
    (void)arg;
    struct bell_server_options options = {
        .size = sizeof options,
        .model = is_wrong ? "iterative" : "coroutines",
        .idle_timeout = is_wrong ? 0 : BELL_MINUTE,
    };
    for (int i = 0; i < 2; i++) {
        bell_sim_serve(sim, names[i], "*:7464", relay, (void *)(uintptr_t)names[1 - i], &options);
        bell_sim_client(sim, NULL, client, (void *)(uintptr_t)names[i]);
    }
}

int main(int argc, char **argv)
{
    return planted_main(argc, argv, set_up);
}
