// Every member of the kernel table that can fail, as X(type, name, its parameters, what is passed on), for tables
// that stand in front and fail some of them. Those that return memory have no type. No `close`: it fails in no
// way that means anything on Linux, and its descriptor is gone. No `ring_next`: it only says that the ring is full,
// which entering it ends.

#pragma once

#define FALLIBLE_NUMBERS(X)                                                                   \
    X(int, socket, (int a, int b, int c), (a, b, c))                                          \
    X(int, socketpair, (int a, int b, int c[2]), (a, b, c))                                   \
    X(int, bind, (int a, const struct sockaddr *b, socklen_t c), (a, b, c))                   \
    X(int, listen, (int a, int b), (a, b))                                                    \
    X(int, accept, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))                      \
    X(int, connect, (int a, const struct sockaddr *b, socklen_t c), (a, b, c))                \
    X(int, getsockname, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))                 \
    X(int, getpeername, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))                 \
    X(ssize_t, recv, (int a, void *b, size_t c, int d), (a, b, c, d))                         \
    X(ssize_t, recvfrom, (int a, void *b, size_t c, int d, struct sockaddr *e, socklen_t *f), \
      (a, b, c, d, e, f))                                                                     \
    X(ssize_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c))                          \
    X(ssize_t, sendto,                                                                        \
      (int a, const void *b, size_t c, int d, const struct sockaddr *e, socklen_t f),         \
      (a, b, c, d, e, f))                                                                     \
    X(ssize_t, send, (int a, const void *b, size_t c, int d), (a, b, c, d))                   \
    X(ssize_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c))                    \
    X(ssize_t, sendfile, (int a, int b, off_t *c, size_t d), (a, b, c, d))                    \
    X(int, shutdown, (int a, int b), (a, b))                                                  \
    X(int, setsockopt, (int a, int b, int c, const void *d, socklen_t e), (a, b, c, d, e))    \
    X(int, getsockopt, (int a, int b, int c, void *d, socklen_t *e), (a, b, c, d, e))         \
    X(int, dup, (int a), (a))                                                                 \
    X(int, set_flags, (int a), (a))                                                           \
    X(int, lock_file, (const char *a), (a))                                                   \
    X(int, ppoll, (struct pollfd * a, nfds_t b, int64_t c), (a, b, c))                        \
    X(int, epoll_create, (void), ())                                                          \
    X(int, epoll_ctl, (int a, int b, int c, struct epoll_event *d), (a, b, c, d))             \
    X(int, epoll_wait, (int a, struct epoll_event *b, int c, int64_t d), (a, b, c, d))        \
    X(int, eventfd, (void), ())                                                               \
    X(int, timerfd, (void), ())                                                               \
    X(int, ring_open, (unsigned a, struct ring **b), (a, b))                                  \
    X(int, ring_enter, (struct ring * a, int64_t b), (a, b))                                  \
    X(int, ring_descriptor, (struct ring * a), (a))                                           \
    X(int, ring_buffers, (struct ring * a, unsigned b, unsigned c), (a, b, c))                \
    X(int, fork, (void), ())                                                                  \
    X(int, pidfd_open, (int a), (a))                                                          \
    X(int, thread_start, (void (*a)(void *), void *b, size_t c), (a, b, c))

#define FALLIBLE_MEMORY(X)       \
    X(allocate, (size_t a), (a)) \
    X(reallocate, (void *a, size_t b), (a, b))

// Of stacks, which outlive what they were made for: which call is the n-th depends on what was before.
#define FALLIBLE_STACK_NUMBERS(X)                \
    X(int, guard, (void *a, size_t b), (a, b))   \
    X(int, protect, (void *a, size_t b), (a, b)) \
    X(int, give_back, (void *a, size_t b), (a, b))

#define FALLIBLE_STACK_MEMORY(X) X(map, (size_t a, bool b), (a, b))
