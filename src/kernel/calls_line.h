// The line of one call, and the members of the table that shows calls. Only calls*.c include this.

#pragma once

#include "base/text.h"
#include "kernel/kernel.h"

enum { CALLS_LINE_SIZE = 640 };

// A call under way. The caller's memory, on his stack: nothing is allocated.
struct call_line {
    int64_t began;
    bool waits; // it would have to wait
    struct text text;
    char memory[CALLS_LINE_SIZE];
};

// The table that carries the calls out; NULL before the first calls_show.
extern const struct kernel_ops *calls_behind;

// ---- calls_line.c

// Where the lines go: see calls_show. Returns 0 or -EBADF.
int calls_line_open(int fd, unsigned what);

// From here on no line is written.
void calls_line_close(void);

// Whether everything is shown, and not only the calls of the book.
bool calls_line_shows_all(void);

// Descriptor `fd` has just been made. If it has the number of the lines', somebody closed that one:
// then no more lines are written, which would else go to whoever is connected to it.
void calls_line_yield(int fd);

// Around the call.
void calls_line_begin(struct call_line *line);
void calls_line_end(struct call_line *line);

// The same end for a call that may wait. False when it has to: there is no line then, unless
// everything is shown.
bool calls_line_has_ended(struct call_line *line, int64_t result);

// Adds the result. calls_line_count shows a 0, too.
void calls_line_result(struct call_line *line, int64_t result);
void calls_line_count(struct call_line *line, int64_t result);

// Adds what the reader should know, two spaces after the call.
void calls_line_remark(struct call_line *line, const char *remark);

void calls_line_write(struct call_line *line);

// All of it, for a call that does not wait and needs no remark: `format` is the call.
void calls_line_tell(struct call_line *line, int64_t result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// After fork, in the child: what the parent could not show is not the child's.
void calls_line_after_fork(void);

// ---- calls_book.c: the calls of the book
int calls_socket(int family, int type, int protocol);
int calls_socketpair(int family, int type, int ret_fds[2]);
int calls_bind(int fd, const struct sockaddr *address, socklen_t size);
int calls_listen(int fd, int backlog);
int calls_accept(int fd, struct sockaddr *ret_peer, socklen_t *size);
int calls_connect(int fd, const struct sockaddr *address, socklen_t size);
ssize_t calls_recv(int fd, void *into, size_t size, int flags);
ssize_t calls_recvfrom(int fd, void *into, size_t size, int flags, struct sockaddr *ret_peer,
                       socklen_t *peer_size);
ssize_t calls_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t calls_send(int fd, const void *from, size_t size, int flags);
ssize_t calls_sendto(int fd, const void *from, size_t size, int flags, const struct sockaddr *peer,
                     socklen_t peer_size);
ssize_t calls_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t calls_sendfile(int fd, int file, off_t *offset, size_t count);
int calls_shutdown(int fd, int how);
int calls_setsockopt(int fd, int level, int name, const void *value, socklen_t size);

// ---- calls_process.c: those of the book that are about processes, and closing, which is about who
// else has the descriptor
int calls_close(int fd);
int calls_fork(void);
int calls_reap(int pidfd, int *ret_status);
void calls_kill_and_reap(int pid);
void calls_exit_child(int status);
int calls_thread_start(void (*run)(void *arg), void *arg, size_t stack_size);

// ---- calls_rest.c: puts those into the table that are shown only with everything
void calls_show_rest(struct kernel_ops *table);
