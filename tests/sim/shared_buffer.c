// An echo. Wrong: all callers have one buffer, and whoever waits in the middle of sending it sends the rest of
// somebody else's words.

#include "planted.h"

enum { WORDS = 200, CALLERS = 6 };

static int echo(bell_conn *conn, void *arg)
{
    char own[256], *buffer = is_wrong ? arg : own;
    ssize_t n;
    while ((n = bell_read(conn, buffer, sizeof own)) > 0)
        if (bell_write(conn, buffer, (size_t)n) < 0)
            return -1;
    return n < 0 ? -1 : 0;
}

static int client(void *arg)
{
    char sent[WORDS], got[WORDS];
    memset(sent, *(char *)arg, sizeof sent);
    bell_conn *conn = bell_connect("server:7464", NULL);
    if (!conn)
        return -1;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    if (bell_write(conn, sent, sizeof sent) < 0 || bell_shutdown(conn, SHUT_WR) < 0)
        return planted_end(conn, -1);
    ssize_t n = bell_readn(conn, got, sizeof got);
    if (n < 0)
        return planted_end(conn, -1);
    bell_sim_check(!memcmp(got, sent, (size_t)n), "who said %.3s hears another", sent);
    return planted_end(conn, n == WORDS ? 0 : -1);
}

static void set_up(bell_sim *sim, void *arg)
{
    (void)arg;
    const struct bell_server_options options = {.size = sizeof options,
                                                .idle_timeout = BELL_MINUTE};
    bell_sim_serve(sim, "server", "*:7464", echo, bell_sim_memory(sim, 256), &options);
    for (int i = 0; i < CALLERS; i++) {
        char *letter = bell_sim_memory(sim, 1);
        *letter = (char)('a' + i);
        bell_sim_client(sim, NULL, client, letter);
    }
}

int main(int argc, char **argv)
{
    return planted_main(argc, argv, set_up);
}
