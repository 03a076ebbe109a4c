// A test of a handler in a simulated network: does a line come back whole, whatever the network does?
//
//     ./echo_test                    a thousand seeds
//     DOORBELL_SEED=17 ./echo_test   one of them, with its trace

#include <doorbell/sim.h>
#include <stdio.h>
#include <string.h>

enum { CLIENTS = 8, MESSAGES = 20 };

// What is tested: the handler of a real server.
static int echo(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[1024];
    ssize_t n;
    while ((n = bell_read(conn, text, sizeof text)) > 0)
        if (bell_write(conn, text, (size_t)n) < 0)
            return -1;
    return (int)n;
}

static int say_and_listen(bell_conn *conn, int number)
{
    char said[32], heard[32];
    (void)snprintf(said, sizeof said, "message %d\n", number);
    if (bell_write(conn, said, strlen(said)) < 0)
        return -1;
    ssize_t n = bell_readline(conn, heard, sizeof heard);
    if (n < 0)
        return -1;
    // The network may end a connection, but it never changes what comes.
    bell_sim_check(!strncmp(heard, said, (size_t)n), "said %s, heard %s", said, heard);
    return (size_t)n == strlen(said) ? 0 : -1;
}

// A client fails when the network does; in a calm run that is told as a finding.
static int client(void *arg)
{
    (void)arg;
    bell_conn *conn = bell_connect("server:7464", NULL);
    int rc = conn ? 0 : -1;
    if (conn)
        bell_deadline(conn, bell_in(BELL_MINUTE));
    for (int i = 0; i < MESSAGES && rc == 0; i++)
        rc = say_and_listen(conn, i);
    if (rc == 0)
        return bell_close(conn) < 0 && bell_sim_is_calm() ? -1 : 0;
    bell_abort(conn);
    return -1;
}

static void set_up(bell_sim *sim, void *arg)
{
    (void)arg;
    // A caller's host may go out without a word: who waits for it needs a limit.
    const struct bell_server_options options = {
        .size = sizeof options,
        .idle_timeout = BELL_MINUTE,
    };
    bell_sim_serve(sim, "server", "*:7464", echo, NULL, &options);
    for (int i = 0; i < CLIENTS; i++)
        bell_sim_client(sim, NULL, client, NULL);
}

int main(int argc, char **argv)
{
    return bell_sim_main(argc, argv, set_up, NULL, NULL);
}
