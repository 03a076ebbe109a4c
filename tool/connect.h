// What the files of doorbell connect share.

#pragma once

#include "converse.h"
#include "options.h"
#include "script.h"

#include <stdbool.h>
#include <stdint.h>

// A call as it was asked for.
struct settings {
    struct common common; // first
    struct talk talk;
    const char *send;
    bool listen, check, times, udp;
    int64_t wait, timeout;
    const char *bind;
    struct text_list sockopts;
    const char *script_file, *script_text;
    struct script script;
    char *address, *bind_address, *sockopt_text, *sent_text; // made of these; freed at the end
};

static inline bool is_scripted(const struct settings *settings)
{
    return settings->script_text || settings->script_file;
}

// Calls, or is called, and does what was asked for. Returns an exit code; failures are told.
int connect_run(struct settings *settings);
