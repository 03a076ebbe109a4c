// A handler with a bug, and its test in a simulated network: docs/testing-your-handler.md tells the
// story.
//
//     ./votes_test                    finds the bug
//     DOORBELL_SEED=N ./votes_test    shows it once more, step by step
//     ./votes_test fixed              the same test of the handler without the bug

#include <doorbell/sim.h>
#include <stdlib.h>
#include <string.h>

enum { VOTERS = 5 };

struct box {
    long votes;
    long thanked; // voters who were told that their vote counts
};

// Tells how many votes there are, asks whether one more is wanted, and counts it.
static int count_badly(bell_conn *conn, void *arg)
{
    struct box *box = arg;
    char line[16];
    long votes = box->votes;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    if (bell_printf(conn, "%ld votes. One more?\n", votes) < 0)
        return -1;
    if (bell_readline(conn, line, sizeof line) <= 0 || strcmp(line, "yes\n") != 0)
        return -1;
    box->votes = votes + 1; // others may have voted while this one was reading
    return bell_printf(conn, "thank you\n") < 0;
}

static int count_well(bell_conn *conn, void *arg)
{
    struct box *box = arg;
    char line[16];
    bell_deadline(conn, bell_in(BELL_MINUTE));
    if (bell_printf(conn, "%ld votes. One more?\n", box->votes) < 0)
        return -1;
    if (bell_readline(conn, line, sizeof line) <= 0 || strcmp(line, "yes\n") != 0)
        return -1;
    box->votes++;
    return bell_printf(conn, "thank you\n") < 0;
}

static int vote(void *arg)
{
    struct box *box = arg;
    char line[64];
    bell_conn *conn = bell_connect("server:7464", NULL);
    if (!conn)
        return -1;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    int rc = -1;
    if (bell_readline(conn, line, sizeof line) > 0 && bell_printf(conn, "yes\n") > 0 &&
        bell_readline(conn, line, sizeof line) > 0 && !strcmp(line, "thank you\n")) {
        box->thanked++;
        rc = 0;
    }
    bell_abort(conn);
    return rc;
}

// A thank-you may be lost on its way, but each that came stands for a vote.
static void compare(void *arg)
{
    const struct box *box = arg;
    bell_sim_check(box->votes >= box->thanked, "%ld voters were thanked, and there are %ld votes",
                   box->thanked, box->votes);
}

static void set_up(bell_sim *sim, void *arg)
{
    bell_handler *count = arg ? count_well : count_badly;
    struct box *box = bell_sim_memory(sim, sizeof *box);
    bell_sim_serve(sim, "server", "*:7464", count, box, NULL);
    for (int i = 0; i < VOTERS; i++)
        bell_sim_client(sim, NULL, vote, box);
    bell_sim_finally(sim, compare, box);
}

int main(int argc, char **argv)
{
    bool fixed = argc > 1 && !strcmp(argv[1], "fixed");
    return bell_sim_main(argc - fixed, argv + fixed, set_up, fixed ? argv[1] : NULL, NULL);
}
