// What the files of doorbell serve share.

#pragma once

#include "exec.h"
#include "options.h"
#include "parts.h"
#include "services.h"

#include <doorbell.h>

// A server as it was asked for.
struct serving {
    struct common common; // first
    struct parts parts;   // its services, each with its addresses
    struct bell_server_options options;
    struct manner manner;
    struct program program; // of exec
    const char *folder;     // of files
    const char *model;
    struct text_list sockopts;
    bool once, hex, ring, stay_root;
    const char *user;
    int ready_fd;
    size_t longest; // message or datagram that is taken
    int rate;       // 0: as it comes
    bool answer_groups;
    bool has_packets;              // some address is of unixpacket
    bell_server *streams, *dgrams; // either may be NULL
    struct strangers *strangers;   // of dgrams
    int dgrams_code;               // its exit code
    int addresses, announced;      // how many there are, and are told
    int bell_fd;                   // of the terminal that rings, or -1
};

// Whether only this machine can call there, judging by the text of a listening socket's address.
bool is_local(const char *address);

// Whether it is every address of this machine.
bool is_of_every_interface(const char *address);

// A bell_handler; arg is the struct serving.
int serve_caller(bell_conn *conn, void *arg);

// ---- serving.c ------------------------------------------------------------------------------------

// Whether service, options and addresses go together; complains when not.
// addresses  of all services, one after the other, up to a NULL
bool serving_check(const struct serving *serving, char **addresses);

// Opens what the addresses need, and listens. Returns EXIT_DONE, or an exit code after a complaint.
int serving_open(struct serving *serving, char **addresses);

// To be called when all listen, by any of their threads.
void serving_have_begun(void);

// Until all is over: an exit code.
int serving_run(struct serving *serving);

void serving_close(struct serving *serving);

// Ends all servers: no more callers, no more datagrams.
void serving_stop(const struct serving *serving);

// The address of a listening socket, of all servers; NULL past the last one.
const char *serving_address(const struct serving *serving, int index);

// The service that is there.
const struct service *serving_service(const struct serving *serving, int index);

// ---- serve_datagrams.c ----------------------------------------------------------------------------

// Opens serving->dgrams. Returns EXIT_DONE, or an exit code after a complaint.
int datagrams_open(struct serving *serving);

// When its sockets are there. False after a complaint.
bool datagrams_may_run(const struct serving *serving);

// When it has run.
void datagrams_tell_counts(const struct serving *serving);

// The service on a connection of messages: as a bell_handler.
int serve_messages(bell_conn *conn, const struct service *service, const struct serving *serving);

// ---- diary.c ------------------------------------------------------------------------------------

// For options.log; arg is the struct serving.
void keep_diary(const struct bell_event *event, void *arg);

// The end of a conversation that a program had. Both numbers of bytes are 0 where they are not known.
void diary_of_program(const char *peer, uint64_t bytes_in, uint64_t bytes_out, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

// Before anything is told.
void begin_diary(struct serving *serving);
