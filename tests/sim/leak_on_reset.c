// A handler with memory of its own. Wrong: it forgets it when the caller resets the connection.

#include <stdlib.h>

#include "planted.h"

static int gather(bell_conn *conn, void *arg)
{
    (void)arg;
    char *text = malloc(4096);
    size_t size = 0;
    ssize_t n;
    if (!text)
        return -1;
    while ((n = bell_read(conn, text + size, 4096 - size)) > 0)
        size += (size_t)n;
    if (n < 0 && is_wrong)
        return -1;
    int rc = n < 0 || bell_write(conn, text, size) < 0;
    free(text);
    return rc;
}

static int client(void *arg)
{
    (void)arg;
    char text[64];
    bell_conn *conn = bell_connect("server:7464", NULL);
    if (!conn)
        return -1;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    if (bell_write(conn, "so many words", 13) < 0 || bell_shutdown(conn, SHUT_WR) < 0)
        return planted_end(conn, -1);
    ssize_t n = bell_readn(conn, text, 13);
    if (n < 0)
        return planted_end(conn, -1);
    bell_sim_check(!memcmp(text, "so many words", (size_t)n), "got other words");
    return planted_end(conn, n == 13 ? 0 : -1);
}

static void set_up(bell_sim *sim, void *arg)
{
    (void)arg;
    const struct bell_server_options options = {.size = sizeof options,
                                                .idle_timeout = BELL_MINUTE};
    bell_sim_serve(sim, "server", "*:7464", gather, NULL, &options);
    for (int i = 0; i < 4; i++)
        bell_sim_client(sim, NULL, client, NULL);
}

int main(int argc, char **argv)
{
    return planted_main(argc, argv, set_up);
}
