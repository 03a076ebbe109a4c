// Servers in a simulated network: the part of a run that goes on until its clients have ended.

#pragma once

#include <doorbell.h>
#include <stdbool.h>

#include "sim/sim.h"

struct service {
    char address[200];
    bell_handler *handler;
    bell_dgram_handler *dgram_handler;
    void *arg;
    struct bell_server_options options;
    bool has_options;
    bell_server *server; // while it runs
};

// The whole life of a server.
void service_run(struct program *self);

// Nothing happens any more: false, and it is noted, if a handler still waits.
bool service_settled(void);

// Stops all servers; false when there is none.
bool service_stop_all(void);
