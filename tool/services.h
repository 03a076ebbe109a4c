// The services of doorbell serve, each a handler.

#pragma once

#include <doorbell.h>

struct service {
    const char *name;
    bell_handler *handler;
};

// Up to one without a name.
extern const struct service services[];
