// The services of doorbell serve, each a handler.

#pragma once

#include <doorbell.h>
#include <stdatomic.h>

// What all processes of a server share.
struct shared {
    atomic_int callers;   // who came, with --once
    atomic_bool stopping; // what would never end by itself may end now
};

struct program;

enum show { SHOW_NOTHING, SHOW_TEXT, SHOW_HEX };

// How a service behaves: the argument of its handler. Times are 0 for none.
struct manner {
    const char *text; // of quote; NULL: one of its own
    int64_t delay;    // before each answer
    int64_t first_byte, whole_request, write_stall;
    int64_t polite_idle; // upper --stay-open ends then as if all had been said
    bool one_line, one_read, stay_open;
    enum show show;
    struct shared *shared;
    const struct program *program; // of exec
};

struct service {
    const char *name;
    bell_handler *handler; // arg is a struct manner
};

// Up to one without a name.
extern const struct service services[];
