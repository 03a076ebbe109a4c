// What the files of doorbell serve share.

#pragma once

#include "exec.h"
#include "options.h"
#include "services.h"

#include <doorbell.h>

// A server as it was asked for.
struct serving {
    struct common common; // first
    const struct service *service;
    struct bell_server_options options;
    struct manner manner;
    struct program program; // of exec
    const char *model;
    struct text_list sockopts;
    bool once, hex, ring, stay_root;
    const char *user;
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

// The end of a conversation that a program had. Both numbers of bytes are 0 where they are not known.
void diary_of_program(const char *peer, uint64_t bytes_in, uint64_t bytes_out, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

// Before anything is told.
void begin_diary(struct serving *serving);
