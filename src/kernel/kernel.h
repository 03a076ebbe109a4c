// Every call that the library makes into the system, as one table.
//
// Nothing above this folder makes a system call, reads a clock, draws a random number, asks for
// memory or starts a thread except through `kernel->…`. So a test can put a table in front that
// fails the n-th call, and a simulated network is a second table, below the backends.
//
// All members return >= 0 on success and a negative errno on failure; errno itself means nothing
// after them (a signal handler that calls `write` saves it). They are named after the system calls
// that they make; only what differs from the man page is said here. New descriptors are
// close-on-exec and, where they can be, non-blocking. -EINTR comes through: the callers know their
// deadlines. Descriptors that only the library sees (epoll, eventfd, timerfd, pidfd, lock files)
// get high numbers, so that the sockets have the low ones.
//
// The table has no state of its own: `struct kernel_ops mine = kernel_real;`, one member replaced,
// is a table.

#pragma once

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct addrinfo;
struct io_uring_cqe;
struct io_uring_sqe;

// A ring of operations; see ring_open. It belongs to the thread that opened it.
struct ring {
    int fd; // its name; to wait for it, there is ring_descriptor
};

struct kernel_ops {
    // ---- sockets. SOCK_NONBLOCK | SOCK_CLOEXEC are added to every new descriptor; MSG_DONTWAIT to
    // every receive and send, since whoever has a copy of a descriptor can take O_NONBLOCK from it;
    // MSG_NOSIGNAL to every send.
    int (*socket)(int family, int type, int protocol);
    int (*socketpair)(int family, int type, int ret_fds[2]);
    int (*bind)(int fd, const struct sockaddr *address, socklen_t size);
    int (*listen)(int fd, int backlog);
    int (*accept)(int fd, struct sockaddr *ret_peer, socklen_t *size);
    int (*connect)(int fd, const struct sockaddr *address, socklen_t size);
    int (*getsockname)(int fd, struct sockaddr *ret_address, socklen_t *size);
    int (*getpeername)(int fd, struct sockaddr *ret_address, socklen_t *size);
    ssize_t (*recv)(int fd, void *into, size_t size, int flags);
    ssize_t (*recvfrom)(int fd, void *into, size_t size, int flags, struct sockaddr *ret_peer,
                        socklen_t *peer_size);
    ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags); // MSG_CMSG_CLOEXEC is added
    ssize_t (*send)(int fd, const void *from, size_t size, int flags);
    ssize_t (*sendto)(int fd, const void *from, size_t size, int flags, const struct sockaddr *peer,
                      socklen_t peer_size);
    ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
    // Blocks SIGPIPE around the call, since sendfile has no MSG_NOSIGNAL.
    ssize_t (*sendfile)(int fd, int file, off_t *offset, size_t count);
    int (*shutdown)(int fd, int how);
    int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t size);
    int (*getsockopt)(int fd, int level, int name, void *ret_value, socklen_t *size);
    int (*interface)(const char *name); // its number, as if_nametoindex; -ENODEV

    // ---- descriptors and files
    int (*close)(int fd); // never -EINTR: on Linux the descriptor is gone then, too
    int (*dup)(int fd);   // close-on-exec
    ssize_t (*read)(int fd, void *into, size_t size);
    ssize_t (*write)(int fd, const void *from, size_t size); // for eventfd; async-signal-safe
    int (*set_flags)(int fd); // close-on-exec and non-blocking, on a descriptor from elsewhere
    // Opens or makes the file, mode 0600, not through a link, and takes flock. Returns the
    // descriptor that holds the lock; -EWOULDBLOCK when another one does.
    int (*lock_file)(const char *path);
    // Is `path` (not followed, if a link) the open file? 1, or 0 (also when nothing is there).
    int (*same_file)(int fd, const char *path);
    // Device and inode of the socket file at `path`; -ENOTSOCK when it is something else, also a
    // link to one.
    int (*socket_file)(const char *path, uint64_t ret_id[2]);
    int (*unlink)(const char *path);
    int64_t (*descriptor_limit)(void); // soft RLIMIT_NOFILE, at most INT32_MAX
    // The least of soft RLIMIT_NPROC (for others than root), the control group's and the system's
    // limit of processes and threads; INT32_MAX when there is none. Reads files: ask once.
    int64_t (*process_limit)(void);

    // ---- waiting
    // deadline is a point of CLOCK_MONOTONIC, INT64_MAX for never; one in the past looks and does
    // not wait. All of them may be late but never early. Both waits return 0 at the deadline.
    int (*ppoll)(struct pollfd *fds, nfds_t count, int64_t deadline);
    int (*epoll_create)(void);
    int (*epoll_ctl)(int epoll, int operation, int fd, struct epoll_event *event);
    // Spans are of nanoseconds; of milliseconds, rounded up, before Linux 5.11.
    int (*epoll_wait)(int epoll, struct epoll_event *events, int count, int64_t deadline);
    int (*eventfd)(void);
    int (*timerfd)(void);
    int (*timerfd_set)(int fd, int64_t deadline); // INT64_MAX disarms; the past fires at once

    // ---- the ring, io_uring(7). An operation is a struct io_uring_sqe, filled in by liburing's
    // io_uring_prep_... functions and given a user_data; its end is a struct io_uring_cqe, with a result
    // as of the call. Between them its buffers and its descriptor's file are the kernel's: who closes
    // the descriptor says nothing to the peer before the operation has ended, and who cancels it may
    // use its buffers when it has ended, and not before.
    //
    // An operation that would have to wait does so in the ring, on any descriptor, unless it says
    // MSG_DONTWAIT. Its flags are passed as they are: SOCK_CLOEXEC and MSG_NOSIGNAL are the caller's to
    // say. Of several at once none is sure to be carried out before another.
    //
    // Operations: NOP, ACCEPT, RECV, RECVMSG, SEND, SENDMSG, CONNECT, POLL_ADD, POLL_REMOVE,
    // ASYNC_CANCEL, CLOSE; flags of theirs: IOSQE_BUFFER_SELECT, IOSQE_CQE_SKIP_SUCCESS. The ring refuses
    // all others (-EACCES), so that who breaks in has no more. No timeouts: a loop has its timers, waits
    // until the next one, and cancels.

    // Makes a ring for `entries` operations at a time (a power of two), and four times as many ends.
    // It has been tried with an operation. -ENOSYS: the kernel (before 6.0) or the library has none;
    // -EPERM: it is forbidden here. It belongs to the calling thread; a child of fork has none.
    int (*ring_open)(unsigned entries, struct ring **ret_ring);
    // What is under way is cancelled and has ended when this returns: no buffer is in use any more.
    // `abandon`: in the child of a fork, where the ring is the parent's and goes on.
    void (*ring_close)(struct ring *ring, bool abandon);
    // The next operation to fill in; NULL when there are `entries` of them: enter first.
    struct io_uring_sqe *(*ring_next)(struct ring *ring);
    // Hands over what was filled in, and waits (as above) until an operation has ended. Returns how
    // many ends can be taken, 0 at the deadline. What a call that fails has not handed over the next
    // one does.
    int (*ring_enter)(struct ring *ring, int64_t deadline);
    // Takes the first ends, `count` at most; returns how many.
    unsigned (*ring_take)(struct ring *ring, struct io_uring_cqe *ret_ends, unsigned count);
    // A descriptor, which belongs to the ring, that is readable when ring_enter has something to do, for
    // the loop of somebody else; sometimes also when it has not. (The ring's own would not wake who
    // waits for it: what is to be done is deferred until ring_enter.)
    int (*ring_descriptor)(struct ring *ring);
    // Makes the group of buffers (0..3) from which IOSQE_BUFFER_SELECT takes, `count` at most: a power
    // of two. Once for a group; it ends with the ring.
    int (*ring_buffers)(struct ring *ring, unsigned group, unsigned count);
    // Gives a buffer to a group, under a number that no other one in it has now. It comes back with
    // the end of an operation that says IORING_CQE_F_BUFFER and its number. No more than `count`.
    void (*ring_give)(struct ring *ring, unsigned group, unsigned id, void *buffer, size_t size);

    // ---- processes and threads
    int (*fork)(void); // flushes stdio first; -EBUSY when the process has more than one thread
    int (*pidfd_open)(int pid);
    // Reaps the child behind pidfd. 1 and ret_status (as of waitpid) when it has ended, 0 when it
    // runs, -ECHILD when somebody else reaped it.
    int (*reap)(int pidfd, int *ret_status);
    int (*kill)(int pidfd, int signal); // -ESRCH when it was reaped
    // Kills a child that cannot be watched, and waits for its end.
    void (*kill_and_reap)(int pid);
    int (*getpid)(void);
    int (*getppid)(void);
    void (*exit_child)(int status); // flushes stdio and calls _exit; does not return
    // How many this process may use, at least 1: its affinity and its control group's quota,
    // rounded up. Reads files: ask once.
    int (*processors)(void);
    // Starts a detached thread with at least stack_size bytes of stack (0: the system's default, which
    // helper threads have).
    // All signals are blocked in it, so that they reach the application's threads; but not faults
    // nor SIGPROF.
    int (*thread_start)(void (*run)(void *arg), void *arg, size_t stack_size);
    // Waits until `cond` is signalled, with the lock held before and after; may return early. 0, or
    // -ETIMEDOUT at the deadline (as below). A thread that waits for another one does it here only:
    // in a simulated kernel both are the same.
    int (*cond_wait)(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);
    void (*cond_signal)(pthread_cond_t *cond);
    int (*sigaction)(int number, const struct sigaction *action, struct sigaction *ret_old);
    int (*sigprocmask)(int how, const sigset_t *set, sigset_t *ret_old); // of the calling thread

    // ---- time, chance, memory
    int64_t (*now)(void);           // nanoseconds of CLOCK_MONOTONIC
    int64_t (*now_coarse)(void);    // the same, some milliseconds late, for a fifth of the price
    uint64_t (*random)(void);       // unpredictable
    void *(*allocate)(size_t size); // zeroed; NULL when there is none
    void *(*reallocate)(void *memory, size_t size); // size > 0; what is added is not zeroed
    void (*release)(void *memory);
    void *(*map)(size_t size, bool shared); // anonymous, zeroed, no reserve; NULL: there is none
    void (*unmap)(void *memory, size_t size);
    int (*guard)(void *memory, size_t size);     // MADV_GUARD_INSTALL, else -EINVAL
    int (*protect)(void *memory, size_t size);   // PROT_NONE
    int (*give_back)(void *memory, size_t size); // MADV_DONTNEED

    // ---- names. Returns 0 or an EAI_ code (> 0 or < 0, as getaddrinfo; errno counts after
    // EAI_SYSTEM); may block for long, so it is called on a helper thread only.
    int (*resolve)(const char *name, const char *service, const struct addrinfo *hints,
                   struct addrinfo **ret_list);
    void (*resolve_free)(struct addrinfo *list);
    // The name of an address, as getnameinfo with NI_NAMEREQD; the same holds for it.
    int (*name_of)(const struct sockaddr *address, socklen_t size, char *ret_name,
                   size_t name_size);
};

// The table in force. Changed by tests, by the simulator and by calls.c, before anything else runs.
extern const struct kernel_ops *kernel;

// The table of the system itself.
extern const struct kernel_ops kernel_real;
