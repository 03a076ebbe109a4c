// The steps about the ring.

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "parity.h"
#include "steps.h"

enum { NAMES = 26, ROOM = 8192, BUFFERS = 16, ENDS = 64 };

// An operation has a small letter, and memory of its own.
static struct {
    char bytes[ROOM];
    struct iovec pieces[2];
    struct msghdr message;
    struct sockaddr_storage address;
    char *accepts; // the letter of its next descriptor
} own[NAMES];

static struct ring *ring;
static char buffers[BUFFERS][ROOM], letters[NAMES], full[1 << 20];

const char *ring_is_missing(bool is_simulated)
{
    struct ring *tried = NULL;
    int rc = is_simulated ? 0 : kernel_real.ring_open(4, &tried);
    if (rc == 0 && !is_simulated)
        kernel_real.ring_close(tried, false);
    return rc == -ENOSYS || rc == -EPERM ? strerrorname_np(-rc) : NULL;
}

void do_ring(char **words)
{
    memset(own, 0, sizeof own);
    memset(full, 1, sizeof full);
    memset(buffers, 0, sizeof buffers);
    int rc = kernel->ring_open((unsigned)number(words[1]), &ring);
    say_fd("R", rc < 0 ? rc : kernel->ring_descriptor(ring));
}

void end_ring(void)
{
    if (!ring)
        return;
    kernel->ring_close(ring, false);
    ring = NULL;
    *fd_of("R") = -1;
}

// ---- Operations -------------------------------------------------------------------------------

static int flags_of(const char *word)
{
    if (!word)
        return MSG_NOSIGNAL;
    return MSG_NOSIGNAL | (!strcmp(word, "peek")       ? MSG_PEEK
                           : !strcmp(word, "all")      ? MSG_WAITALL
                           : !strcmp(word, "dontwait") ? MSG_DONTWAIT
                                                       : 0);
}

// The word may be the name of an operation, or none.
static int fd_of_word(const char *word)
{
    return word && word[0] >= 'A' && word[0] <= 'Z' ? *fd_of(word) : -1;
}

static bool put_transfer(struct io_uring_sqe *sqe, char **words, int i)
{
    const char *what = words[2];
    int fd = fd_of_word(words[3]);
    size_t size = words[3] && words[4] ? (size_t)number(words[4]) : 0;
    struct msghdr *message = &own[i].message;
    if (!strcmp(what, "recv")) {
        io_uring_prep_recv(sqe, fd, own[i].bytes, size, flags_of(words[5]) & ~MSG_NOSIGNAL);
    } else if (!strcmp(what, "recvb")) {
        io_uring_prep_recv(sqe, fd, NULL, size, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
    } else if (!strcmp(what, "recvs")) {
        io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
    } else if (!strcmp(what, "send")) {
        io_uring_prep_send(sqe, fd, full, size, flags_of(words[5]));
    } else if (!strcmp(what, "recvm")) {
        own[i].pieces[0] = (struct iovec){own[i].bytes, size};
        *message = (struct msghdr){.msg_iov = own[i].pieces, .msg_iovlen = 1};
        io_uring_prep_recvmsg(sqe, fd, message, 0);
    } else if (!strcmp(what, "sendm")) {
        own[i].pieces[0] = own[i].pieces[1] = (struct iovec){full, size};
        *message = (struct msghdr){.msg_iov = own[i].pieces, .msg_iovlen = 2};
        io_uring_prep_sendmsg(sqe, fd, message, MSG_NOSIGNAL);
    } else {
        return false;
    }
    return true;
}

static bool put_connection(struct io_uring_sqe *sqe, char **words, int i)
{
    const char *what = words[2];
    int fd = fd_of_word(words[3]);
    if (!strcmp(what, "accept") || !strcmp(what, "accepts")) {
        letters[i] = words[4][0];
        own[i].accepts = &letters[i];
        io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (!strcmp(what, "accepts"))
            sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
    } else if (!strcmp(what, "connect")) {
        socklen_t size = address_of_word(fd, words[4], &own[i].address);
        io_uring_prep_connect(sqe, fd, (struct sockaddr *)&own[i].address, size);
    } else if (!strcmp(what, "close")) {
        io_uring_prep_close(sqe, fd);
        *fd_of(words[3]) = -1;
    } else if (!strcmp(what, "poll")) {
        io_uring_prep_poll_add(sqe, fd, events_of(words[4]));
    } else if (!strcmp(what, "polls")) {
        io_uring_prep_poll_multishot(sqe, fd, events_of(words[4]));
    } else {
        return false;
    }
    return true;
}

static void put_cancel(struct io_uring_sqe *sqe, char **words)
{
    const char *what = words[2];
    uint64_t whom = words[3] ? (uint64_t)words[3][0] : 0;
    if (!strcmp(what, "nop"))
        io_uring_prep_nop(sqe);
    else if (!strcmp(what, "unpoll"))
        io_uring_prep_poll_remove(sqe, whom);
    else if (!strcmp(what, "cancelfd"))
        io_uring_prep_cancel_fd(sqe, *fd_of(words[3]), words[4] ? IORING_ASYNC_CANCEL_ALL : 0);
    else
        io_uring_prep_cancel64(sqe, whom,
                               !strcmp(what, "cancelall")   ? IORING_ASYNC_CANCEL_ALL
                               : !strcmp(what, "cancelany") ? IORING_ASYNC_CANCEL_ANY
                                                            : 0);
}

void do_put(char **words)
{
    struct io_uring_sqe *sqe = kernel->ring_next(ring);
    int i = words[1][0] - 'a';
    if (!sqe) {
        say("full");
        return;
    }
    if (!put_transfer(sqe, words, i) && !put_connection(sqe, words, i))
        put_cancel(sqe, words);
    sqe->user_data = (unsigned char)words[1][0];
    if (!strcmp(words[0], "putq"))
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    say("ok");
}

// ---- Ends -------------------------------------------------------------------------------------

static void add_end(const struct io_uring_cqe *end)
{
    size_t at = strlen(outcome);
    char letter = (char)end->user_data, result[40];
    char **accepts = &own[letter - 'a'].accepts;
    if (end->res < 0)
        (void)snprintf(result, sizeof result, "%s", strerrorname_np(-end->res));
    else if (*accepts)
        (void)snprintf(result, sizeof result, "fd");
    else
        (void)snprintf(result, sizeof result, "%d", end->res);
    if (end->res >= 0 && *accepts)
        *fd_of((char[]){(**accepts)++, '\0'}) = end->res;
    (void)snprintf(outcome + at, sizeof outcome - at, "%s%c:%s%s", at ? " " : "", letter, result,
                   end->flags & IORING_CQE_F_MORE ? "+" : "");
    at = strlen(outcome);
    if (end->flags & IORING_CQE_F_BUFFER)
        (void)snprintf(outcome + at, sizeof outcome - at, "#%u",
                       end->flags >> IORING_CQE_BUFFER_SHIFT);
}

// What is there, or (ends) as soon as there is something.
void do_ends(char **words)
{
    struct io_uring_cqe ends[ENDS];
    int64_t deadline = !strcmp(words[0], "ends") ? kernel->now() + 2000000000 : 0;
    int n;
    do
        n = kernel->ring_enter(ring, deadline);
    while (n == -EINTR);
    if (n <= 0) {
        say("%s", n < 0 ? strerrorname_np(-n) : "nothing");
        return;
    }
    unsigned count = kernel->ring_take(ring, ends, ENDS);
    outcome[0] = '\0';
    for (unsigned i = 0; i < count; i++)
        add_end(&ends[i]);
}

void do_hand(char **words)
{
    (void)words;
    say_result(kernel->ring_enter(ring, 0));
}

// ---- Buffers ----------------------------------------------------------------------------------

void do_buffers(char **words)
{
    say_result(kernel->ring_buffers(ring, 0, (unsigned)number(words[1])));
}

void do_give(char **words)
{
    unsigned id = (unsigned)number(words[1]);
    kernel->ring_give(ring, 0, id, buffers[id], (size_t)number(words[2]));
    say("ok");
}

// How many bytes were written to the memory of an operation, or to a buffer.
void do_holds(char **words)
{
    int count = 0;
    const char *bytes =
        words[1][0] >= 'a' ? own[words[1][0] - 'a'].bytes : buffers[number(words[1])];
    for (int i = 0; i < ROOM; i++)
        count += bytes[i] != 0;
    say("%d", count);
}
