// What the tests of shown calls share: a kernel that answers what a test wants, and a pipe into which the lines go.

#pragma once

#include <arpa/inet.h>
#include <doorbell.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "kernel/calls.h"
#include "kernel/kernel.h"

static struct kernel_ops fake; // in force while a test shows calls
static int pipe_fds[2];
static int answer; // of the next call
static int64_t clock_now;

static inline int64_t fake_now(void)
{
    return clock_now;
}

static inline struct sockaddr_in loopback(in_port_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// Of whoever calls.
static inline void give_peer(struct sockaddr *ret_peer, socklen_t *size)
{
    struct sockaddr_in peer = loopback(51213);
    if (!ret_peer)
        return;
    memcpy(ret_peer, &peer, sizeof peer);
    *size = sizeof peer;
}

static inline int answer_socket(int family, int type, int protocol)
{
    (void)family, (void)type, (void)protocol;
    return answer;
}

static inline int answer_listen(int fd, int backlog)
{
    (void)fd, (void)backlog;
    return answer;
}

static inline int answer_accept(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    (void)fd;
    give_peer(ret_peer, size);
    return answer;
}

static inline int answer_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    (void)fd, (void)address, (void)size;
    return answer;
}

static inline ssize_t answer_recv(int fd, void *into, size_t size, int flags)
{
    (void)fd, (void)size, (void)flags;
    memcpy(into, "hello\n", 6);
    return answer;
}

static inline int answer_reap(int pidfd, int *ret_status)
{
    (void)pidfd;
    *ret_status = 2 << 8;
    return answer;
}

static inline int answer_thread_start(void (*run)(void *arg), void *arg, size_t stack_size)
{
    (void)run, (void)arg, (void)stack_size;
    return answer;
}

static inline int begin(void **state)
{
    (void)state;
    fake = kernel_real;
    fake.now = fake_now;
    fake.socket = answer_socket;
    fake.listen = answer_listen;
    fake.accept = answer_accept;
    fake.connect = answer_connect;
    fake.recv = answer_recv;
    fake.reap = answer_reap;
    fake.thread_start = answer_thread_start;
    kernel = &fake;
    int fds[2];
    int rc = pipe2(fds, O_NONBLOCK | O_CLOEXEC);
    for (int i = 0; rc == 0 && i < 2; i++) {
        pipe_fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 100); // small numbers are for the answers
        (void)close(fds[i]);
    }
    return rc;
}

static inline int end(void **state)
{
    (void)state;
    (void)calls_show(-1, 0);
    kernel = &kernel_real;
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    return 0;
}

// What was written since, without the "[812] " of each line.
static inline const char *lines(void)
{
    static char raw[4096], memory[4096];
    char prefix[32];
    ssize_t n = read(pipe_fds[0], raw, sizeof raw - 1);
    raw[n > 0 ? n : 0] = '\0';
    int length = snprintf(prefix, sizeof prefix, "[%d] ", getpid());
    struct text text;
    text_init(&text, memory, sizeof memory);
    char *rest = raw, *line;
    while ((line = strsep(&rest, "\n")) && *line) {
        assert_memory_equal(line, prefix, (size_t)length);
        text_addf(&text, "%s\n", line + length);
    }
    return memory;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
