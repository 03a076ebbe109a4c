// The one place where doorbell waits.
//
// A loop is one thread's scheduler with one backend; its tasks are coroutines. An endpoint is a
// descriptor that tasks wait on. A waiting call is one socket call, described as data, that a task
// makes on an endpoint: it is tried, and if it cannot be done now the task is parked until it can,
// its deadline passes, or it is cancelled. The layers above never see EAGAIN or EINTR and cannot
// tell which backend carries their calls out.
//
// Everything here belongs to one thread, except where it says so.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/timers.h"
#include "coro/coro.h"

struct backend_ops;
struct endpoint;
struct failure;
struct loop;
struct wait_call;

// ---- Tasks ----------------------------------------------------------------------------------

struct task {
    struct coro coro;
    struct loop *loop;
    struct list ready;        // in loop->ready while it could run
    struct wait_call *parked; // the call it is parked in, or NULL
    int cancelled;           // 0, or the negative errno that every waiting call returns from now on
    unsigned streak;         // waiting calls since it last waited
    size_t done;             // for bell_done
    struct failure *failure; // for bell_error; made by the first failure
    void (*run)(void *arg);
    void *arg;
    void *local; // what the layer above attaches to it (the task's handler)
};

// Makes a task that calls run(arg), and puts it at the end of the ready queue. `name` says whose
// stack it is, and is kept by reference. Returns 0 or -ENOMEM (also when there are no stacks left).
int task_start(struct loop *loop, const char *name, void (*run)(void *arg), void *arg,
               struct task **ret_task);

// The running task: of the thread's loop, made as a private `block` loop if there is none. NULL
// (with -ENOMEM or -EMFILE in *ret_error if given) when that fails.
struct task *task_here(int *ret_error);

// Lets the other tasks that are ready run, and looks for events.
void task_yield(struct task *self);

// Before a call that need not wait: after so many of them in a row the others have their turn.
void task_take_turn(struct task *self);

// Parks the running task until somebody calls task_wake, and nothing else wakes it.
void task_pause(struct task *self);
void task_wake(struct task *task);

// Makes every waiting call of the task return `why` (a negative errno), the present one too.
void task_cancel(struct task *task, int why);

// ---- Loops ----------------------------------------------------------------------------------

// A function that another thread wants to have run on a loop.
struct post {
    struct post *next;
    void (*run)(struct post *self);
};

struct loop {
    const struct backend_ops *backend;
    struct task *current;
    struct task root;  // the thread's own stack; polls when no other task is ready
    struct list ready; // tasks that can run, in the order in which they will
    unsigned ready_count;
    unsigned round; // how many of them may run before the next look for events
    unsigned tasks; // alive, without root
    struct timers timers;
    int64_t now;         // when the backend last looked
    uint32_t generation; // the last one given to an endpoint
    struct list closing; // connections that linger, the oldest first; see closing.h
    unsigned closing_count;
    bool closes_at_once; // nothing lingers any more
    struct task *closing_waiter;
    int wake_fd;                  // an eventfd: other threads write to it
    _Atomic(struct post *) posts; // last first
    atomic_uint posting;          // threads that are inside loop_post
    struct list spare_buffers;    // see buffer_take
    unsigned spare_buffer_count;
    void *private; // the backend's
    // Called, if set, when the tasks of one round kept the loop from looking for events for `ns`.
    void (*stalled)(struct loop *self, int64_t ns);
    void *owner;        // of `stalled`
    struct loop *outer; // the loop that this thread had before
};

// Tasks that keep their loop for so long are reported; see loop.stalled.
#define STALL_TIME ((int64_t)100000000)

// Makes a loop with this backend, and makes it the one of the calling thread until loop_close.
// Returns 0, or a negative errno of the kernel.
int loop_open(struct loop *ret_loop, const struct backend_ops *backend);

// Every task must have ended. Connections that still linger are closed at once.
void loop_close(struct loop *loop);

// A loop that a foreign one drives is the thread's only while it is stepped, opened or closed: there
// may be several of them, and they end in any order.
void loop_enter(struct loop *loop);
void loop_leave(struct loop *loop);

// Looks for events without waiting and lets the tasks that are ready run once. For root tasks.
void loop_step(struct loop *loop);

// A descriptor that is readable when loop_step has something to do; call it again after each step,
// since it also notes the next deadline. Returns a negative errno where the backend has none.
int loop_descriptor(struct loop *loop);

// In the child of a fork: gives up the loop of the parent, whose descriptors and tasks are the
// parent's, without disturbing them. Afterwards the thread has no loop.
void loop_abandon(struct loop *loop);

// The loop of this thread, or NULL.
struct loop *loop_here(void);

// Makes `loop` (or none: NULL) the loop of this thread, and returns the one that was. For who runs
// several threads of control on one thread, as the simulator does.
struct loop *loop_exchange(struct loop *loop);

// Has post->run called on the loop, soon, in the order of the calls. Any thread may call it; post
// must live until then, and the loop must be there.
void loop_post(struct loop *loop, struct post *post);

// ---- Endpoints ------------------------------------------------------------------------------

enum wait_side { WAIT_IN, WAIT_OUT };

struct endpoint {
    int fd;
    struct loop *loop;          // where it is registered; NULL before the first wait
    struct wait_call *calls[2]; // that wait: at most one a side
    struct buffer *early;       // bytes that arrived before anyone asked, the first ones first
    struct task *releaser;      // waits in wait_release until no call is under way
    int cancelled;              // 0, or the negative errno that every call returns
    uint32_t generation;        // of this use of the descriptor; 0 before the first wait
    uint32_t slot;              // the backend's
    uint8_t unclaimed;          // the backend's
    uint8_t interest;           // the backend's
    bool is_tcp;                // set by who opened it: less than was asked for is all there is
    bool is_unixgram; // set by who opened it: WAIT_SENDMSG says ENOBUFS when whom it sends to
                      // is full, since no event tells when he is not
    bool marked;      // the backend's: an end or an urgent byte may come after the rest
    bool drained;     // the last recv took all there was: wait before the next try
    bool shared;      // a listener that other loops wait on, too
};

// Makes an endpoint of a non-blocking descriptor. Cannot fail: it is registered at its first wait.
void wait_open(struct endpoint *ret_endpoint, int fd);

// What endpoint->is_tcp should be for this descriptor.
bool wait_is_tcp(int fd);

// Ends the use of an endpoint in its loop: calls that wait return -ECANCELED, no event of it comes
// any more. The descriptor stays open, and may be used anew, on any loop. Waits, regardless of any
// cancelling, until a completion backend has given back the buffers of calls under way; a function
// called by the loop itself (`done`) may use it only when no other call is under way.
void wait_release(struct endpoint *endpoint);

// Bytes that came early are kept: calls on the endpoint get them first, on whatever loop.

// The first of them, or NULL; for buffer_give.
struct buffer *wait_take_early(struct endpoint *endpoint);

// wait_release, and closes the descriptor. Nothing happens to a closed endpoint (fd -1).
void wait_close(struct endpoint *endpoint);

// Makes every call on the endpoint return `why`, the ones that wait, too.
void wait_cancel_endpoint(struct endpoint *endpoint, int why);

// ---- Waiting calls --------------------------------------------------------------------------

// As a deadline: what can be done now, or with the events that are there, is done; else -ETIMEDOUT.
#define WAIT_NOT ((int64_t)0)

enum wait_kind {
    // Of the side WAIT_IN:
    WAIT_WAKE,      // no endpoint: ends by wait_complete, deadline or cancelling
    WAIT_READABLE,  // nothing is transferred
    WAIT_ACCEPT,    // into, size: the peer's address; size_used is set; result: the new descriptor
    WAIT_RECV,      // into, size
    WAIT_RECV_LENT, // buffer is set: the backend lends it, buffer_give ends the loan
    WAIT_RECVMSG,   // into: a struct msghdr; one message; result: its whole size, which may be more
                    // than there was room for
    // Of the side WAIT_OUT:
    WAIT_WRITABLE, // nothing is transferred
    WAIT_CONNECT,  // from, size: the address
    WAIT_SEND,     // from, size; may send fewer bytes
    WAIT_SENDMSG,  // from: a struct msghdr; of a stream may send fewer bytes
    WAIT_SENDFILE, // file, offset, size; may send fewer bytes
};

struct wait_call {
    enum wait_kind kind;
    bool begun; // CONNECT: the handshake is under way
    int file;   // SENDFILE: what to send from
    struct endpoint *endpoint;
    void *into;
    const void *from;
    size_t size;
    socklen_t *size_used;                 // ACCEPT: of the peer's address
    off_t *offset;                        // SENDFILE
    struct buffer *buffer;                // RECV_LENT: what was lent
    int64_t deadline;                     // INT64_MAX for never
    ssize_t result;                       // once it is complete
    void (*done)(struct wait_call *self); // NULL for a call that a task makes
    struct task *task;                    // whose call it is; NULL for one with `done`
    struct loop *loop;                    // while it waits
    struct timer timer;
};

// Carries out one call for the running task and returns its result:
//
//   >= 0         as the system call
//   -ETIMEDOUT   the deadline came first; it is looked at before each try
//   -ECANCELED   the endpoint or the task was cancelled (or what cancelling it said)
//   -EBUSY       another task waits on this side of the endpoint
//   -EBADF       the endpoint is closed
//   -EXDEV       the endpoint is registered on the loop of another thread
//   < 0          what the system call said; never -EAGAIN, never -EINTR
ssize_t wait_for(struct wait_call *call);

// Starts a call that no task waits for: call->done is called from the loop when it has its result
// (call->result), never from within wait_start. It may start the call again.
void wait_start(struct loop *loop, struct wait_call *call);

// Ends a call that waits with the result `why`. For a call with `done` that is called before this
// returns or, where the backend must first get the operation back, later.
// Nothing happens to a call that does not wait.
void wait_cancel(struct wait_call *call, int why);

// Gives a waiting call its result. For backends, and for WAIT_WAKE.
void wait_complete(struct wait_call *call, ssize_t result);

static inline bool wait_is_waiting(const struct wait_call *call)
{
    return call->loop != NULL;
}

// The usual calls, by name.
ssize_t wait_recv(struct endpoint *endpoint, void *into, size_t size, int64_t deadline);
ssize_t wait_send(struct endpoint *endpoint, const void *from, size_t size, int64_t deadline);
int wait_connect(struct endpoint *endpoint, const struct sockaddr *address, socklen_t size,
                 int64_t deadline);
// 0 when the deadline passed, or why it was cancelled.
int wait_sleep(int64_t deadline);

// ---- Buffers --------------------------------------------------------------------------------

enum { BUFFER_SIZE = 16 * 1024 };

// Bytes that a backend lends, or a connection keeps. The memory behind `data` is BUFFER_SIZE.
struct buffer {
    struct list spare;
    struct buffer *next; // in endpoint->early
    size_t size;         // bytes in data, from its beginning
    char data[];
};

// A buffer of the loop, or NULL. Any loop may be given it back.
struct buffer *buffer_take(struct loop *loop);
void buffer_give(struct loop *loop, struct buffer *buffer);
