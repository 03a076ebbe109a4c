// The ways in and out: listen, serve, connect, stop.
//
// A server has listeners, and a crew (model/) whose workers each have a shift: one loop that accepts
// callers and looks after them. A caller's visit is one conversation: connection, handler, and the
// handler's own tasks. The public functions are in server.c and connect.c.

#pragma once

#include <doorbell.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "addr/addr.h"
#include "door/ledger.h"
#include "model/model.h"
#include "task/group.h"
#include "wait/wait.h"
#include "wait/watch.h"

// ---- Listeners (listen.c) ---------------------------------------------------------------------

enum { LISTENER_TEXT_SIZE = 160 };

struct listener {
    struct listener *next;
    int fd;
    int lock_fd;         // of the file beside a Unix socket's, else -1
    uint64_t file_id[2]; // device and inode of the socket file
    bool inherited;      // fd:N: others may have it, too; it is never shut down
    bool is_tcp;
    int type;         // SOCK_STREAM, SOCK_SEQPACKET, or SOCK_DGRAM, which does not listen
    uint64_t dropped; // datagrams, by the kernel; known when it is closed
    char path[108];   // of the socket file, "" for others
    char text[LISTENER_TEXT_SIZE];
};

// Opens the listening sockets of one address: one, or two for a name with two families. Returns the
// new ones as a list. Notes the failure for bell_error and returns a negative errno. `dgrams`: bound
// sockets for datagrams instead, which do not listen.
int listener_open(const char *address, const struct bell_server_options *options, bool dgrams,
                  struct listener **ret_list);

// Fewer callers come into the queue while those who are in it are taken in. Async-signal-safe.
void listener_shrink_queue(const struct listener *listener);

// Nobody may call here any more, whoever else has the socket open. Not for inherited ones.
void listener_shut(const struct listener *listener);

// Closes it, and takes the socket file away if it is still its own. `owner`: false in a child, which
// leaves the file to its parent.
void listener_close(struct listener *listener, bool owner);

// ---- The server -------------------------------------------------------------------------------

struct shift;

struct bell_server {
    struct crew crew;                  // must be first: the model knows only this
    bell_handler *handler;             // of callers,
    bell_dgram_handler *dgram_handler; // or of datagrams
    void *arg;
    struct bell_server_options options; // every default filled in
    struct listener *listeners;
    struct ledger *ledger;
    int owner_pid;       // of the process that made it
    int callers_max;     // all workers together
    int descriptors_max; // callers that one process has descriptors for
    bool running;
    bool backend_found;
    struct shift *step_shift; // of bell_server_step

    pthread_mutex_t lock;
    int accepting; // guarded by lock: shifts of this process that have the listeners in use
    bool closed;   // guarded by lock: the listeners of this process are closed

    _Atomic int64_t told[8]; // when an event of this kind was told last, for the rare ones
    char choice[128];
};

static inline struct bell_server *server_of(struct crew *crew)
{
    return (struct bell_server *)(void *)crew;
}

// Tells options.log. Kinds LIMIT and TROUBLE at most once a second each. (events.c)
void server_tell(struct bell_server *server, enum bell_event_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void server_tell_visit(struct bell_server *server, enum bell_event_kind kind, bell_conn *conn,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

// A shift gives up the listeners; the last one of the process closes them. (server.c)
void server_leave_listeners(struct bell_server *server);
// Returns false when they are closed already.
bool server_use_listeners(struct bell_server *server);

// ---- Visits (visit.c) -------------------------------------------------------------------------

// A visit is cut from the loop that accepted it, which with the model `threads` is not the loop that
// it runs on. These say how far it is.
enum visit_life { VISIT_WAITS, VISIT_RUNS, VISIT_CUT, VISIT_OVER };

struct visit {
    struct caller caller; // must be first
    struct list node;     // in the shift's visits or pending
    struct shift *shift;  // that accepted it
    bell_conn *conn;
    uint64_t key;      // of its address, 0 when it is exempt
    int worker;        // whose column of the ledger it is in
    bool cut;          // on the loop it runs on
    struct task *task; // while the handler runs
    struct bell_group group;
    struct loop *loop; // it runs on
    atomic_int life;   // enum visit_life
    struct post cut_post;
};

// Makes a visit of an accepted descriptor; -ENOMEM closes nothing.
int visit_new(struct shift *shift, int fd, const struct sockaddr *peer, socklen_t size,
              struct visit **ret_visit);

// Frees it, and resets its connection if that is still open.
void visit_free(struct visit *visit);

// Ends the conversation now: its waiting calls fail with ECANCELED. From the accepting loop.
void visit_cut(struct visit *visit);

// In the crew's operations.
int visit_serve_alone(struct crew *crew, struct caller *caller);

// ---- Desks (desk.c) ---------------------------------------------------------------------------

// The datagram sockets of a server, each with its handler, on one loop.
struct desks;

// Starts the handlers. 0 or a negative errno.
int desks_open(struct bell_server *server, int worker, struct loop *loop, struct desks **ret_desks);

// All of them take NULL. desks_stop: what lies in the sockets is received until `drain_until`, then the
// handlers should return. desks_cut: their waiting calls fail with ECANCELED. The root task is woken when
// the last handler has returned.
void desks_stop(struct desks *desks, int64_t drain_until);
void desks_cut(struct desks *desks);
bool desks_are_busy(const struct desks *desks);
void desks_close(struct desks *desks);

// ---- Shifts (shift.c) -------------------------------------------------------------------------

int shift_work(struct crew *crew, int worker);
void shift_over(struct crew *crew, struct caller *caller, int problem);

// In the process of one visit: closes the copies of descriptors that belong to the others.
void shift_forget_others(const struct visit *visit);
struct crew *shift_crew(struct shift *shift);

// For bell_server_step: a shift on the calling thread that the caller drives. Its loop is the thread's
// after shift_open, and must be when it is stepped or closed.
void shift_enter(struct shift *shift);
void shift_leave(struct shift *shift);
int shift_open(struct bell_server *server, int worker, struct shift **ret_shift);
bool shift_has_ended(const struct shift *shift);
int shift_descriptor(struct shift *shift);
void shift_step(struct shift *shift);
void shift_run(struct shift *shift); // to its end
void shift_close(struct shift *shift);
