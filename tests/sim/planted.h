// Handlers with a bug that is planted, and the same without it. They see doorbell/sim.h only.
//
//     PROGRAM wrong|right SEEDS

#pragma once

#include <doorbell/sim.h>
#include <stdio.h>
#include <string.h>

// Is this the run with the bug?
static bool is_wrong;

static int planted_main(int argc, char **argv, bell_sim_setup *setup)
{
    if (argc != 3 || (strcmp(argv[1], "wrong") != 0 && strcmp(argv[1], "right") != 0)) {
        fprintf(stderr, "usage: %s wrong|right SEEDS\n", argv[0]);
        return 2;
    }
    is_wrong = !strcmp(argv[1], "wrong");
    argv[1] = argv[0];
    return bell_sim_main(2, argv + 1, setup, NULL, NULL);
}

// Ends a client's connection; what it returns is what the client returns.
static inline int planted_end(bell_conn *conn, int rc)
{
    if (rc == 0)
        return bell_close(conn) < 0 && bell_sim_is_calm() ? -1 : 0;
    bell_abort(conn);
    return -1;
}
