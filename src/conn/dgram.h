// What a handler of datagrams holds: a socket that talks with anybody.
//
// This file turns waiting calls on one endpoint into datagrams with their addresses. It knows no models and
// no ways to open sockets: the layer above binds the descriptor, and closes what belongs to it.

#pragma once

#include <doorbell.h>

#include "wait/wait.h"

struct listener;

struct bell_dgram {
    struct endpoint endpoint; // fd -1 when it is closed
    struct bell_server *server;
    struct listener *listener; // whose descriptor it is; for the layer above
    int64_t deadline;          // of every call that begins
    int64_t drain_until; // once it stops: a point in time; what lies there is received until then
    int last_datagrams;  // and of that so many however long it takes
    bool stopping;
    struct wait_call *receiving; // while a task is in it, though it may not wait at the moment
    bool is_unix;
    bool tells_local; // each datagram brings along which address of ours it went to
    struct sockaddr_storage bound;
    socklen_t bound_size;
    // NULL, or is told of each datagram: received (in) or sent.
    void (*count)(bell_dgram *self, bool in, size_t bytes);
    uint64_t received; // datagrams
    char text[160];    // of the bound address; made when it is asked for
};

// A socket of every address is to tell of each datagram to which of them it went. Before it is bound, so that
// it does of the first one, too; dgram_init sees to it otherwise. 0 or a negative errno.
int dgram_ask_for_local(int fd, const struct sockaddr *address);

// Makes one of a bound, non-blocking descriptor, in memory of the caller. 0, or a negative errno and
// then the descriptor is still the caller's.
int dgram_init(bell_dgram *ret_dgram, int fd);

// Ends its calls and its use in this loop. The descriptor stays open, and is the caller's.
void dgram_finish(bell_dgram *dgram);

// On a busy machine there may be no time until `drain_until`: so many datagrams are received anyhow.
enum { DGRAM_LAST = 64 };

// No call waits for datagrams any more: what lies there is received until `drain_until` (0: nothing), then
// bell_recvfrom says ESHUTDOWN.
void dgram_stop(bell_dgram *dgram, int64_t drain_until);

// How many datagrams the kernel has dropped at this socket.
uint64_t dgram_dropped(int fd);
