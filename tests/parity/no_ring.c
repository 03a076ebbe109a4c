// Without liburing nobody can fill in an operation.

#include "parity.h"
#include "steps.h"

const char *ring_is_missing(bool is_simulated)
{
    (void)is_simulated;
    return "built without liburing";
}

void do_ring(char **words)
{
    (void)words;
}

void end_ring(void)
{
}

void do_put(char **words)
{
    (void)words;
}

void do_ends(char **words)
{
    (void)words;
}

void do_hand(char **words)
{
    (void)words;
}

void do_buffers(char **words)
{
    (void)words;
}

void do_give(char **words)
{
    (void)words;
}

void do_holds(char **words)
{
    (void)words;
}
