// The simulated io_uring: operations under way, and their ends.
//
// An operation is carried out while its program is in ring_enter, and never at another time: so the
// kernel writes into a program's memory when an operation ends, and a program that has given up that
// memory too early can be seen doing it. In between, a watch on its file tells when it is worth trying.

#pragma once

#include <linux/io_uring.h>

#include "sim/file.h"
#include "sim/sim.h"

enum { RING_GROUPS = 4, RING_ENDS_PER_ENTRY = 4 };

struct ring_buffer {
    void *memory;
    unsigned size, id;
};

// Buffers that were given, the first of them next.
struct ring_group {
    struct ring_buffer *buffers;
    unsigned count, first, filled;
};

struct ring_file {
    struct ring ring; // what the program has
    struct file file;
    struct io_uring_sqe *sqes;
    unsigned entries, filled;
    struct io_uring_cqe *cqes;
    unsigned cq_room, cq_first, cq_count;
    struct list overflow;   // ends for which there was no room
    struct list operations; // under way
    struct list due;        // those that may be carried out
    struct ring_group groups[RING_GROUPS];
    struct program *waiter;
};

struct operation {
    struct list node;
    struct list due;
    struct ring_file *ring;
    struct io_uring_sqe sqe;
    struct file *file; // held open by it
    struct watch watch;
    struct timer timer;     // when it is late
    size_t done;            // bytes, of MSG_WAITALL
    bool begun;             // connect
    bool tries_once;        // it was cancelled, and may end well all the same
    bool dies;              // it was cancelled
    struct msghdr *message; // of sendmsg: as it was when it was handed over
    struct sockaddr_storage address;
};

// ---- ring.c
int ring_make(unsigned entries, struct ring **ret_ring);
void ring_end(struct ring *ring, bool abandon);
struct io_uring_sqe *ring_next_entry(struct ring *self);
int ring_hand_over(struct ring *self, int64_t deadline);
unsigned ring_take_ends(struct ring *self, struct io_uring_cqe *ret_ends, unsigned count);
int ring_descriptor(struct ring *self);
int ring_make_group(struct ring *self, unsigned number, unsigned count);
void ring_give_buffer(struct ring *self, unsigned number, unsigned id, void *buffer, size_t size);
void ring_end_all(void);
// For findings: what is under way.
void ring_describe_wait(const struct file *file, char *ret_text, size_t size);
// Something has happened to its file.
void operation_wake(struct operation *operation);
// It may be carried out from `delay` on.
void operation_is_due(struct operation *operation, int64_t delay);
// Tells one of several ends. False when there is no room: it was not told.
bool operation_tell(struct operation *operation, int result, unsigned flags);
// Tells the last one, and frees the operation.
void operation_end(struct operation *operation, int result, unsigned flags);
// Frees it without a word.
void operation_drop(struct operation *operation);

// ---- ring_do.c
const char *operation_name(const struct operation *operation);
// Looks whether it can be simulated, and takes what must not change afterwards. A negative errno is its end.
int operation_begin(struct operation *operation);
// Carries it out as far as it goes. True when it has ended by that, and has gone.
bool operation_carry_out(struct operation *operation);

// ---- ring_cancel.c
// What IORING_OP_ASYNC_CANCEL and IORING_OP_POLL_REMOVE end with.
int operation_cancel_others(struct operation *canceller);
// The end of one that was cancelled.
void operation_die(struct operation *operation);
