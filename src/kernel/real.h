// The members of kernel_real that live outside real.c. Only the files of this folder include this.

#pragma once

#include "kernel/kernel.h"

// real_socket.c
int real_socket(int family, int type, int protocol);
int real_socketpair(int family, int type, int ret_fds[2]);
int real_bind(int fd, const struct sockaddr *address, socklen_t size);
int real_listen(int fd, int backlog);
int real_accept(int fd, struct sockaddr *ret_peer, socklen_t *size);
int real_connect(int fd, const struct sockaddr *address, socklen_t size);
int real_getsockname(int fd, struct sockaddr *ret_address, socklen_t *size);
int real_getpeername(int fd, struct sockaddr *ret_address, socklen_t *size);
ssize_t real_recv(int fd, void *into, size_t size, int flags);
ssize_t real_recvfrom(int fd, void *into, size_t size, int flags, struct sockaddr *ret_peer,
                      socklen_t *peer_size);
ssize_t real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t real_send(int fd, const void *from, size_t size, int flags);
ssize_t real_sendto(int fd, const void *from, size_t size, int flags, const struct sockaddr *peer,
                    socklen_t peer_size);
ssize_t real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t real_sendfile(int fd, int file, off_t *offset, size_t count);
int real_shutdown(int fd, int how);
int real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int real_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *size);
int real_interface(const char *name);

// real_file.c
int real_close(int fd);
int real_dup(int fd);
ssize_t real_read(int fd, void *into, size_t size);
ssize_t real_write(int fd, const void *from, size_t size);
int real_set_flags(int fd);
int real_lock_file(const char *path);
int real_same_file(int fd, const char *path);
int real_socket_file(const char *path, uint64_t ret_id[2]);
int real_unlink(const char *path);
// Moves a descriptor of the library's own use to a high number, so that sockets get the low ones.
// Takes fd over and returns the new number, or fd itself when there is no room up there.
int real_lift(int fd);

// real_wait.c
int real_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline);
int real_epoll_create(void);
int real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int real_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t deadline);
int real_eventfd(void);
int real_timerfd(void);
int real_timerfd_set(int fd, int64_t deadline);
// Nanoseconds from now to the deadline, at least 0.
int64_t real_span_until(int64_t deadline);

// real_ring.c, or no_ring.c
int real_ring_open(unsigned entries, struct ring **ret_ring);
void real_ring_close(struct ring *self, bool abandon);
struct io_uring_sqe *real_ring_next(struct ring *self);
int real_ring_enter(struct ring *self, int64_t deadline);
unsigned real_ring_take(struct ring *self, struct io_uring_cqe *ret_ends, unsigned count);
int real_ring_descriptor(struct ring *self);
int real_ring_buffers(struct ring *self, unsigned number, unsigned count);
void real_ring_give(struct ring *self, unsigned number, unsigned id, void *buffer, size_t size);
int64_t real_now(void);
int64_t real_now_coarse(void);

// real_process.c
int real_fork(void);
int real_pidfd_open(int pid);
int real_reap(int pidfd, int *ret_status);
int real_kill(int pidfd, int signal);
void real_kill_and_reap(int pid);
int real_getpid(void);
int real_getppid(void);
void real_exit_child(int status);
int real_thread_start(void (*run)(void *arg), void *arg, size_t stack_size);
int real_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);
void real_cond_signal(pthread_cond_t *cond);
int real_sigaction(int number, const struct sigaction *action, struct sigaction *ret_old);
int real_sigprocmask(int how, const sigset_t *set, sigset_t *ret_old);
// How a child ended, as waitpid would have said it.
int real_wait_status(const siginfo_t *info);
// The child behind pidfd, if it has ended; 0 while it runs. It is not reaped by this.
int real_ended_child(int pidfd);
// Around a call that may raise SIGPIPE and has no MSG_NOSIGNAL: `raised` says that it has.
struct sigpipe_guard {
    sigset_t pipe_set, old;
    bool was_blocked, was_pending;
};
void real_hold_sigpipe(struct sigpipe_guard *ret_guard);
void real_release_sigpipe(const struct sigpipe_guard *guard, bool raised);

// real_limits.c
int64_t real_descriptor_limit(void);
int64_t real_process_limit(void);
int real_processors(void);

// real_memory.c
void *real_allocate(size_t size);
void *real_reallocate(void *memory, size_t size);
void real_release(void *memory);
void *real_map(size_t size, bool shared);
void real_unmap(void *memory, size_t size);
int real_guard(void *memory, size_t size);
int real_protect(void *memory, size_t size);
int real_give_back(void *memory, size_t size);
