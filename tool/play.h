// Playing a script: a peer that does just what is written down.

#pragma once

#include "script.h"

#include <doorbell.h>

struct play_settings {
    const char *name; // of the script, for messages
    const struct script *script;
    const char *address;
    const struct bell_options *how; // to call
    bool listen;                    // be called, not call
};

// Plays it to its end.
//
// returns  an exit code; EXIT_CHECK when something expected did not come
int play(const struct play_settings *settings);
