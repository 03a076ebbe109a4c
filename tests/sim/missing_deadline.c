// A handler that waits for its caller. Wrong: for ever, also for one whose host has gone out.

#include "planted.h"

static int greet(bell_conn *conn, void *arg)
{
    (void)arg;
    char name[64];
    if (!is_wrong)
        bell_deadline(conn, bell_in(BELL_MINUTE));
    if (bell_printf(conn, "who are you?\n") < 0 || bell_readline(conn, name, sizeof name) <= 0)
        return -1;
    return bell_printf(conn, "hello %s", name) < 0;
}

static int client(void *arg)
{
    (void)arg;
    char line[64];
    bell_conn *conn = bell_connect("server:7464", NULL);
    if (!conn)
        return -1;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    if (bell_readline(conn, line, sizeof line) <= 0 || bell_printf(conn, "me\n") < 0)
        return planted_end(conn, -1);
    ssize_t n = bell_readline(conn, line, sizeof line);
    if (n <= 0)
        return planted_end(conn, -1);
    bell_sim_check(!strncmp(line, "hello me\n", (size_t)n), "greeted with %s", line);
    return planted_end(conn, 0);
}

static void set_up(bell_sim *sim, void *arg)
{
    (void)arg;
    bell_sim_serve(sim, "server", "*:7464", greet, NULL, NULL);
    for (int i = 0; i < 4; i++)
        bell_sim_client(sim, NULL, client, NULL);
}

int main(int argc, char **argv)
{
    return planted_main(argc, argv, set_up);
}
