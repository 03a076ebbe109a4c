// doorbell/sim.h: puts handlers and clients into a simulated network, and tries thousands of orders of
// events, each of which can be had again.
//
//     #include <doorbell/sim.h>
//
//     static int ask(void *arg)
//     {
//         (void)arg;
//         char line[64];
//         bell_conn *conn = bell_connect("server:7464", NULL);
//         if (!conn || bell_printf(conn, "hello\n") < 0 || bell_readline(conn, line, sizeof line) < 0)
//             return bell_abort(conn), -1;
//         bell_sim_check(!strcmp(line, "hello\n"), "the echo of hello is %s", line);
//         return bell_close(conn);
//     }
//
//     static void set_up(bell_sim *sim, void *arg)
//     {
//         (void)arg;
//         bell_sim_serve(sim, "server", "*:7464", echo, NULL, NULL);
//         for (int i = 0; i < 8; i++)
//             bell_sim_client(sim, NULL, ask, NULL);
//     }
//
//     int main(int argc, char **argv)
//     {
//         return bell_sim_main(argc, argv, set_up, NULL, NULL);
//     }
//
// Link it with `pkg-config --libs doorbell-sim` in place of doorbell's own flags: that library is
// doorbell and the simulator in one.
//
// A run is drawn from one number, its seed: how long packets take, which are lost, when a connection is
// reset, who runs first. The same seed gives the same run, on one thread and without the machine's
// network, so that a bug that was found once can be looked at under a debugger. A run ends when all
// clients have returned, the network is quiet, and the servers have been stopped. It has found
// something when
//
//   * a bell_sim_check failed
//   * nothing can happen any more, and somebody still waits (a deadlock, or a missing deadline)
//   * a server or a client leaves descriptors or memory behind
//   * a client returned something else than 0 in a calm run
//   * it does not come to an end
//
// A quarter of the seeds is calm: packets take their time, calls move fewer bytes than they could, and
// nothing fails. There a client must succeed. In the others whatever a network does may happen, and a
// client may fail, but may not be told anything wrong.
//
// Models iterative, coroutines, threads and pool; what threads would do at the very same moment is not
// seen, nor are processes. Time passes only while everybody waits: a computation takes none.
//
// Handlers may have locks: pthread_mutex_lock, _trylock and _unlock, pthread_cond_wait, _signal and
// _broadcast are the run's in a run, and whoever waits there lets the others go on. A deadlock by locks is a
// finding that names who has them; a condition may wake its waiters early. Other calls that block
// (pthread_cond_timedwait, semaphores, rwlocks, pthread_join) stop the whole network.

#ifndef DOORBELL_SIM_H
#define DOORBELL_SIM_H

#include <doorbell.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bell_sim bell_sim; // the network of one run

// Builds the network of one run, before it begins. Called for each seed; what it makes for a run
// should lie in memory of bell_sim_memory, so that no run knows of another.
typedef void bell_sim_setup(bell_sim *sim, void *arg);

// What to leave out, as a sum.
enum {
    BELL_SIM_LOSS = 1 << 0,         // packets are lost or doubled, and overtake each other
    BELL_SIM_RESETS = 1 << 1,       // connections are reset by somebody on the way
    BELL_SIM_CUTS = 1 << 2,         // hosts cannot reach others for some seconds
    BELL_SIM_VANISHING = 1 << 3,    // hosts of clients go out without a word
    BELL_SIM_SHORTAGE = 1 << 4,     // descriptors and memory run out
    BELL_SIM_ABORTS = 1 << 5,       // callers go while they wait to be accepted
    BELL_SIM_FAULTS = (1 << 6) - 1, // all of these: every seed is calm
};

// How to simulate. Every zero is the default told; only `size` must be set.
struct bell_sim_options {
    size_t size;        // sizeof(struct bell_sim_options); 0 is EINVAL
    uint64_t first;     // the first seed; 0: 1
    uint64_t seeds;     // how many are tried; 0: 1000
    unsigned without;   // faults that are left out: BELL_SIM_LOSS and so on
    int64_t delay_max;  // a packet between two hosts takes so long at most; 0: 20 ms
    int64_t time_max;   // a run that is not over after so long is a finding; 0: 30 days
    uint64_t looks_max; // and one that looks for events so often; 0: 10 million
    // Gets the trace, line by line; 0: nobody does, which is faster.
    void (*trace)(const char *line, size_t size, void *trace_arg);
    void *trace_arg;
    const char *fail; // a call that fails from the beginning on, as for bell_sim_fail; 0: none
};

// What was found.
struct bell_sim_report {
    uint64_t runs;       // that were made
    uint64_t calm;       // of these
    uint64_t seed;       // of the one that found something, else of the last one
    uint64_t trace_hash; // of the last run's trace (FNV-1a); 0 when there was no trace
    int64_t simulated;   // time, all runs together
    uint64_t failed;     // calls that failed by wish, in the last run
    char finding[2000];  // what is wrong, or ""
};

// Tries seeds until one finds something.
//
// setup    builds the network of each run
// arg      what setup is given
// options  NULL: all defaults
// returns  0   none found anything
//          1   one did: ret_report tells
//          -1  EINVAL: the options make no sense
//              EBUSY: called from within a run
//              ENOTSUP: -ldoorbell stands in front of -ldoorbell-sim, so that the servers are not simulated
// waits    no: the whole run is in this call
BELL_API int bell_sim_run(bell_sim_setup *setup, void *arg, const struct bell_sim_options *options,
                          struct bell_sim_report *ret_report);

// main() of a test: runs the seeds, says on stdout what was found with the end of the trace, and how
// to repeat it.
//
//     ./test                   the seeds of the options
//     ./test 20000             so many seeds
//     DOORBELL_SEED=17 ./test  this one alone, with its whole trace on stderr
//     DOORBELL_FAIL=send:3:ECONNRESET ./test  a call that fails in each run, as for bell_sim_fail
//
// returns  0 none found anything, 1 one did, 2 wrong usage: for exit(3)
// waits    no
BELL_API int bell_sim_main(int argc, char **argv, bell_sim_setup *setup, void *arg,
                           const struct bell_sim_options *options);

// ---- Building a network, in a bell_sim_setup, or adding to it in a run -----------------------------------------------------

// Puts a server on a host. It is stopped when all clients have ended. In a run it begins at once: another one
// may have ended by a signal.
//
// host     its name, by which others call it; made if it is not there yet. At most 250
// address  as for bell_serve; "*:7464" is reached from other hosts
// options  NULL: all defaults; copied
// returns  0, or -1 EINVAL
// waits    no
BELL_API int bell_sim_serve(bell_sim *sim, const char *host, const char *address,
                            bell_handler *handler, void *arg,
                            const struct bell_server_options *options);

// The same for datagrams.
//
// returns  0, or -1 EINVAL
// waits    no
BELL_API int bell_sim_serve_dgram(bell_sim *sim, const char *host, const char *address,
                                  bell_dgram_handler *handler, void *arg,
                                  const struct bell_server_options *options);

// Starts a client on a host, within the first 10 ms.
//
// host     NULL: a new one of its own, "client-1" and so on
// run      returns 0, or anything else when it failed: in a calm run that is a finding. It may use all of
//          doorbell.h, tasks too
// returns  0, or -1 EINVAL
// waits    no
BELL_API int bell_sim_client(bell_sim *sim, const char *host, int (*run)(void *arg), void *arg);

// Has a last look taken when everybody has ended, to check what is left.
//
// returns  0, or -1 EINVAL
// waits    no
BELL_API int bell_sim_finally(bell_sim *sim, void (*check)(void *arg), void *arg);

// Zeroed memory for this run, which goes with it.
//
// returns  memory, aligned for anything
// waits    no
BELL_API void *bell_sim_memory(bell_sim *sim, size_t size);

// ---- In a run ---------------------------------------------------------------------------------

// Ends the run with a finding unless `holds`. Then it does not return, but in a bell_sim_finally.
//
// format  what is wrong, as for printf(3)
// waits   no
BELL_API void bell_sim_check(bool holds, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Is this run calm?
//
// returns  true when nothing fails in it
// waits    no
BELL_API bool bell_sim_is_calm(void);

// A number of this run's chance, for what a client decides by lot. (rand(3) is not the seed's.)
//
// below    1..
// returns  0..below-1
// waits    no
BELL_API uint64_t bell_sim_random(uint64_t below);

// Makes a call into the system fail: from now on, and instead of the one before. No run in which one was to
// fail is calm; that a server cannot begin or go on because of it is no finding.
//
// what     "send:3:ECONNRESET"       the third send from now on fails so
//          "send:3+:ECONNRESET"      and all that follow
//          "server/accept:1+:EMFILE" only those of the host called server count
//          NULL, ""                  nothing fails any more
//          A call is one that the library makes of the system: accept, allocate (its memory), bind,
//          connect, dup, epoll_create, epoll_ctl, epoll_wait, eventfd, getpeername, getsockname, getsockopt,
//          listen, lock_file, ppoll, reallocate, recv, recvfrom, recvmsg, send, sendfile, sendmsg, sendto,
//          set_flags, setsockopt, shutdown, socket, socketpair, thread_start, timerfd. The trace shows which
//          are made. Allocations fail with ENOMEM whatever the error, and epoll_ctl only where it adds
// returns  0, or -1 EINVAL: there is no such call or error
// waits    no
BELL_API int bell_sim_fail(const char *what);

// Sends a signal to each program of a host, as kill(1) does. A server that was given BELL_STOP_ON_SIGNALS stops on
// SIGTERM or SIGINT, and cuts at the second one. Whoever does not expect a signal ends by it, and everyone by
// SIGKILL: nothing more of him runs, the system closes his descriptors, and his port refuses until
// bell_sim_serve puts another server there, which may be called in a run for that.
//
// host     may be the caller's own, who then may not come back
// returns  0, or -1 EINVAL: no such host or signal, or not in a run
// waits    no
BELL_API int bell_sim_signal(const char *host, int number);

// Writes a line of one's own into the trace, if anybody reads it.
//
// waits   no
BELL_API void bell_sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif

#endif
