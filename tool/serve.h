// What the files of doorbell serve share.

#pragma once

#include "options.h"
#include "services.h"

#include <doorbell.h>

// A server as it was asked for.
struct serving {
    struct common common; // first
    const struct service *service;
    struct bell_server_options options;
    struct manner manner;
    const char *model;
    struct text_list sockopts;
    bool once, hex, ring;
    int ready_fd;
    bell_server *server;
    int addresses, announced; // how many there are, and are told
    int bell_fd;              // of the terminal that rings, or -1
};

// Whether only this machine can call there, judging by the text of a listening socket's address.
bool is_local(const char *address);

// ---- diary.c ------------------------------------------------------------------------------------

// For options.log; arg is the struct serving.
void keep_diary(const struct bell_event *event, void *arg);

// Finds the terminal whose bell is to ring, or complains.
void find_terminal_bell(struct serving *serving);
