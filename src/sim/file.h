// Descriptors, and who is told when something changes behind them.

#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "sim/sim.h"

struct epoll_item;
struct operation;

struct file_ops {
    const char *name;
    unsigned (*poll)(struct file *file); // which events hold: EPOLLIN and so on
    void (*close)(struct file *file);    // the last descriptor has gone: frees it
    void (*describe)(const struct file *file, char *ret_text, size_t size);
};

// What a descriptor stands for. The first member of its kinds.
struct file {
    const struct file_ops *ops;
    struct list node; // in world.all_files
    struct list watches;
    struct program *owner; // who opened it
    int references;
    int fd; // the first of its descriptors
};

// Somebody who wants to be told.
struct watch {
    struct list node;
    struct program *program;     // either it
    struct epoll_item *item;     // or this
    struct operation *operation; // or this, of a ring
    unsigned events;
};

// Makes a descriptor; `high` is for what only the library sees. -EMFILE, and the file is as before.
int file_open(struct file *file, const struct file_ops *ops, bool high);
// The file behind a descriptor, or NULL.
struct file *file_of(int fd);
// The same if it is of this kind.
struct file *file_of_kind(int fd, const struct file_ops *ops);
int file_close(int fd);
int file_dup(int fd);
// What the system does for a process that has ended.
void file_close_all_of(int pid);
// Keeps it open without a descriptor.
void file_hold(struct file *file);
void file_release(struct file *file);
void file_end_all(void);

// Tells those who watch for any of these events. Errors and ends are for all.
void file_wake(struct file *file, unsigned events);
unsigned file_poll(struct file *file);

// For findings: what a program waits for, and its open descriptors.
void file_describe_wait(const struct program *program, char *ret_text, size_t size);
const char *file_list_of(const struct program *program, char *ret_text, size_t size);

// ---- poll.c
int poll_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline);

// ---- epoll.c
extern const struct file_ops epoll_ops;
int epoll_make(void);
int epoll_control(int epoll_fd, int operation, int fd, struct epoll_event *event);
int epoll_look(int epoll_fd, struct epoll_event *events, int count, int64_t deadline);
void epoll_item_wake(struct epoll_item *item);
void epoll_forget(struct epoll_item *item);
void epoll_describe_wait(int epoll_fd, char *ret_text, size_t size);

// ---- number.c: eventfd and timerfd
int number_eventfd(void);
int number_timerfd(void);
int number_timerfd_set(int fd, int64_t deadline);
ssize_t number_read(int fd, void *into, size_t size);
ssize_t number_write(int fd, const void *from, size_t size);
