// The server under test, in a process of its own.

#pragma once

#include <doorbell.h>
#include <sys/types.h>

// What to serve, and how. Every zero is the default told.
struct serving {
    bell_handler *handler;
    void *arg;
    const char *address;                // default "127.0.0.1:0"
    struct bell_server_options options; // model, backend, size and log are the harness's
    unsigned flags_off;                 // BELL_STOP_ON_SIGNALS is on otherwise
    int crew;                           // workers of prefork and pool; default 4
    void (*prepare)(void);              // called in the server's process before it opens
    int (*run)(bell_server *server);    // default bell_server_run
    bool uses_helpers;                  // bell_block or names: their threads stay for a while
};

// How bell_server_run ended, for all processes to read.
struct ending {
    int result; // 0 or -1
    int error;  // errno
    char sentence[512];
    struct bell_counts counts;
};

struct server {
    pid_t pid;
    char address[160]; // "tcp:127.0.0.1:40017"
    int port;          // 0 for a Unix socket
    int listeners;     // descriptors that listen
    struct ending *ending;
};

// Returns when the server listens.
#define SERVE(...) server_start(&(struct serving){__VA_ARGS__})
struct server server_start(const struct serving *serving);

// The processes that run handlers, or will: the server's own, or its children's.
int server_processes(const struct server *server, pid_t *ret_pids, int max);

// Waits until nobody is connected any more and, with a process for each caller, none is left.
void server_rests(const struct server *server);

// Stops the server by SIGTERM and waits for its end. Returns 0 or a negative errno: bell_server_run's.
int server_stop(const struct server *server);

// Waits for the end of a server that was told to stop. Returns as server_stop.
int server_wait(const struct server *server);

// What most cases end with: nobody is left, the server stops, and says that all went well. Returns
// what it counted.
struct bell_counts server_end(const struct server *server);

// ---- Handlers that many cases use ---------------------------------------------------------------

bell_handler echo_bytes; // whatever comes, until the end
bell_handler echo_lines; // each line when it is whole
