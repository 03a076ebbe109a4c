// Torture on the simulated kernel: what is shared by the points (torture.c) and the scenarios.

#pragma once

#include <doorbell/sim.h>

enum {
    MODEL_ITERATIVE = 1,
    MODEL_COROUTINES = 2,
    MODEL_THREADS = 4,
    MODEL_POOL = 8,
    MODEL_ALL = 15
};

// One run's state.
struct room {
    const struct scenario *scenario;
    const char *model, *backend;
    bell_server *server; // while it is there
    bool began;          // its program; what fails before is the program's affair
    bool listens;
    bool ended; // the server has, with this:
    int error;
    bool is_stopped; // by us
    int callers;     // who have come and not gone yet
};

struct scenario {
    const char *name;
    unsigned models;
    bool stops; // by what a caller says, so that nobody is served afterwards
    bell_handler *handler;
    bell_dgram_handler *dgram_handler; // instead
    const char *service;               // instead: of the command
    const char *address, *second;      // where it listens; NULL: *:7464, and nowhere else
    // What a caller does. 0: he heard all that he was to hear; -1: he failed, and knows why.
    int (*behave)(struct room *room);
    const char *said;  // for `talk`, the usual behaviour
    const char *heard; // NULL: anything but nothing
    void (*build)(bell_sim *sim);
};

// Up to one without a name.
extern const struct scenario scenarios[];

// Fails the run unless `error` is one of those that doorbell.h tells of.
void told(const char *call, int error, const char *may);

// What the server runs: its handler, and the argument.
void scenario_handler(struct room *room, bell_handler **ret_handler, void **ret_arg);
