// A kernel that is only a model: hosts, a network between them, a clock, chance and memory, all of
// them drawn from one 64-bit seed. It is a second implementation of the kernel table, so that
// everything above it, backends included, runs on it unchanged.
//
//     run.c       a range of seeds: the public face, doorbell/sim.h
//     program.c   simulated threads: who runs next, and when the clock goes on
//     world.c     one run: chance, what was found, memory
//     lock.c      pthread_mutex_t and pthread_cond_t of handlers
//     file.c      descriptors; poll.c, epoll.c: who waits for them
//     ring.c      io_uring: its queues; ring_do.c, ring_cancel.c: its operations
//     socket.c    what all sockets share; stream.c, tcp.c, segment.c: TCP; local.c: Unix sockets;
//                 udp.c: datagrams
//     net.c       hosts, addresses and the way of a packet
//     table.c     the kernel table; it also writes the trace
//     signal.c    signals, and the end of a process
//     fail.c      a table in front of it, in which calls fail by wish
//
// Everything happens on one thread of the system. A program runs until it waits; then another one
// that can go on is drawn; the clock goes on when there is none. So the same seed gives the same
// run, and its trace has no address of memory and no time of day in it.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/timers.h"
#include "coro/coro.h"
#include "kernel/kernel.h"
#include "wait/wait.h"

#define SIM_MS ((int64_t)1000000)
#define SIM_SECOND (1000 * SIM_MS)

enum { SIM_HOSTS_MAX = 250, SIM_FILES_MAX = 4096, SIM_NAME_SIZE = 32, SIM_FINDING_SIZE = 2000 };

struct file;
struct host;
struct program;

// What goes wrong in this run, and how often: in thousandths of the times that it could.
struct faults {
    bool calm;          // nothing may fail that a correct program could not bear without a word
    unsigned loss;      // a packet is lost
    unsigned twice;     // a packet comes twice
    unsigned overtake;  // a packet may overtake the one before
    unsigned partial;   // recv and send move fewer bytes than they could
    unsigned interrupt; // EINTR
    unsigned spurious;  // an event that is none
    unsigned no_descriptor, no_memory;
    unsigned aborted;             // a caller goes while he waits in the queue
    unsigned reset;               // a connection is reset by somebody on the way
    unsigned vanish;              // a client's host goes out without a word
    unsigned cut;                 // two hosts cannot reach each other for a while
    int64_t delay_min, delay_max; // of a packet between two hosts
    size_t buffer;                // of sockets
    size_t segment;               // the largest
    int backlog;                  // the longest queue of callers; 0: as long as asked for
    // Of the operations of a ring:
    unsigned ring_late;    // one is carried out, or ends, later than it could
    unsigned ring_ends;    // the one of many ends is the last
    unsigned ring_buffers; // there is no buffer, though there is
    unsigned ring_race;    // what is cancelled ends at the same time, or nobody knows
};

// The call that fails by wish, and how often it has: fail.c.
struct failing {
    int call;                 // which kind; 0: none
    char host[SIM_NAME_SIZE]; // of which; "": any
    uint64_t which;           // 1: the first one
    bool ever;                // from that one on
    int error;
    uint64_t count, struck;
};

// One run. There is one at a time.
struct world {
    uint64_t seed, chance;
    int64_t now;
    uint64_t steps, steps_max;
    int64_t ends_at;
    struct faults faults;
    struct failing failing;
    struct timers timers;

    struct host *hosts[SIM_HOSTS_MAX];
    int host_count;
    struct list programs;
    struct program **ready; // that can go on
    int ready_count, ready_room;
    struct program *running;
    struct coro *scheduler;
    int clients; // that have not ended
    int last_pid;
    int stage; // of the end: see program_when_idle

    struct file
        *files[2 * SIM_FILES_MAX]; // sockets and the like; from SIM_FILES_MAX on the library's own
    int low_free, high_free;       // nothing below is free
    struct list tcps[256];
    struct list all_files; // the open ones, also those without a descriptor
    struct list packets;   // under way
    struct list memory;    // allocated by programs
    struct list gifts;     // of world_give
    struct list finals;
    struct list locks; // that programs have; of lock.c
    bool signalled;    // somebody was: a process that ends so leaves behind what it has of malloc

    bool failed;
    char finding[SIM_FINDING_SIZE];

    void (*trace)(void *arg, const char *line, size_t size); // NULL: nobody wants it
    void *trace_arg;
    uint64_t trace_hash;
};

extern struct world world;

// ---- world.c

// A number of the run's chance.
uint64_t world_random(void);
// 0..below-1
uint64_t world_below(uint64_t below);
// True `rate` times of a thousand.
bool world_chance(unsigned rate);
int64_t world_between(int64_t least, int64_t most);

// Notes what is wrong; only the first counts.
void world_find(const char *format, ...) __attribute__((format(printf, 1, 2)));
// The same from a program, which ends there: it does not return.
_Noreturn void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Writes a line of the trace. Ask first whether anybody wants it: world.trace.
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Zeroed memory that goes with the run.
void *world_give(size_t size);
// The same earlier.
void world_take_back(void *memory);

// Begins and ends a run; what it left is freed by the end.
void world_begin(uint64_t seed);
void world_end(void);

// The simulator's own memory: ends the program when there is none, which is nothing to simulate.
void *world_take(size_t size);
void world_release(void *memory);

void *world_allocate(size_t size);
void *world_reallocate(void *memory, size_t size);
void world_free(void *memory);
// Bytes that this program has allocated and not released.
size_t world_memory_of(const struct program *program);

// ---- program.c

enum program_kind { PROGRAM_CLIENT, PROGRAM_SERVER, PROGRAM_THREAD };

struct program {
    struct list node;
    enum program_kind kind;
    char name[SIM_NAME_SIZE];
    struct host *host;
    int pid;
    void (*run)(struct program *self);
    int (*client)(void *arg);
    void (*thread)(void *arg);
    void *arg;
    struct service *service;

    struct coro coro;  // its first stack
    struct coro *at;   // where it rests; NULL before it has begun
    struct loop loop;  // its private one
    struct loop *here; // what loop_here() said when it went to rest
    bool is_ready, ended, dead;
    bool bears_faults; // from its first wait on: a start that fails teaches nothing
    bool owns_loop;
    struct timer timer;   // of the wait under way
    const char *waits_in; // "ppoll" and so on; NULL while it runs
    int epoll;            // what it waits for: this, also a ring's, or
    struct pollfd *fds;   // these
    nfds_t fd_count;
    pthread_cond_t *cond;  // or this
    pthread_mutex_t *lock; // or this
    int waits_left;        // then the host goes out; 0: never
    int files_open;        // sockets
    struct sigaction actions[65];
    bool interrupted;        // a signal came while it waited
    struct helpers *helpers; // the threads of bell_block of its process
};

// Adds a program, which begins `delay` from now.
struct program *program_add(enum program_kind kind, const char *name, struct host *host,
                            int64_t delay);
// It never runs again; what it has is for the caller to clear away.
void program_is_dead(struct program *program);
// Lets a program that waits go on; nothing happens to one that does not.
void program_wake(struct program *program);
// Waits until somebody wakes this program, or the deadline. False at the deadline.
bool program_wait(const char *where, int64_t deadline);
// A look without waiting: costs a little time, and others may go first.
void program_look(void);
// Runs the world until nothing happens any more, or something was found.
void program_run_all(void);
// At the end: does anything stay of what threads had? Others may have had it after them.
void program_check_threads(void);
// Switches to the scheduler for good.
_Noreturn void program_stop_here(void);
int program_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);
void program_cond_signal(pthread_cond_t *cond);
int program_thread_start(void (*run)(void *arg), void *arg, size_t stack_size);
int program_sigaction(int number, const struct sigaction *action, struct sigaction *ret_old);

// ---- table.c

extern const struct kernel_ops sim_table;

// ---- name.c

int name_lookup(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list);
void name_free(struct addrinfo *list);
