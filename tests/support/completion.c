// A backend for the tests that works by completion, as io_uring does, and as unkindly as it may:
//
//   * no call is ever done when it is started; its result is delivered a look or more later
//   * it receives ahead: bytes lie in the endpoint before anybody asks for them
//   * transfers are split at random
//   * a receive now and then finds no buffer (ENOBUFS) and has to be made again
//   * a cancelled operation ends later, and may have succeeded by then
//
// If the layers above pass the conformance suite on it, they do not depend on readiness.

#include <errno.h>
#include <string.h>

#include "kernel/kernel.h"
#include "wait/backend.h"

enum { OPERATIONS_MAX = 4096, EARLY_MAX = 64 * 1024 };

struct operation {
    struct wait_call *call; // NULL: a free place
    int cancelled;          // 0, or why
    bool finished;          // the kernel is done with it; `result` waits to be delivered
    ssize_t result;
};

// An endpoint that somebody has received from: we go on receiving for it.
struct ahead {
    struct endpoint *endpoint; // NULL: a free place
    bool ended;
    int failed;
};

struct completion {
    uint64_t random;
    unsigned operation_count, ahead_count; // places in use, or that were
    struct operation operations[OPERATIONS_MAX];
    struct ahead aheads[OPERATIONS_MAX];
    struct pollfd fds[2 * OPERATIONS_MAX + 1];
};

static unsigned dice(struct completion *completion, unsigned sides)
{
    completion->random ^= completion->random << 13;
    completion->random ^= completion->random >> 7;
    completion->random ^= completion->random << 17;
    return (unsigned)(completion->random % sides);
}

static int completion_open(struct loop *loop)
{
    struct completion *completion = kernel->allocate(sizeof *completion);
    if (!completion)
        return -ENOMEM;
    completion->random = 0x9e3779b97f4a7c15u ^ (uint64_t)kernel->getpid();
    loop->private = completion;
    return 0;
}

static void completion_close(struct loop *loop, bool abandon)
{
    (void)abandon;
    kernel->release(loop->private);
}

// ---- Receiving ahead --------------------------------------------------------------------------

static struct ahead *ahead_of(struct completion *completion, const struct endpoint *endpoint)
{
    for (unsigned i = 0; i < completion->ahead_count; i++)
        if (completion->aheads[i].endpoint == endpoint)
            return &completion->aheads[i];
    return NULL;
}

static void receive_ahead_for(struct completion *completion, struct endpoint *endpoint)
{
    if (ahead_of(completion, endpoint))
        return;
    for (unsigned i = 0; i < OPERATIONS_MAX; i++)
        if (!completion->aheads[i].endpoint) {
            completion->aheads[i] = (struct ahead){.endpoint = endpoint};
            if (i >= completion->ahead_count)
                completion->ahead_count = i + 1;
            return;
        }
}

static bool wants_ahead(const struct ahead *ahead)
{
    if (!ahead->endpoint || ahead->ended || ahead->failed || ahead->endpoint->calls[WAIT_IN])
        return false;
    size_t early = 0;
    for (const struct buffer *buffer = ahead->endpoint->early; buffer; buffer = buffer->next)
        early += BUFFER_SIZE;
    return early < EARLY_MAX;
}

static void receive_ahead(struct loop *loop, struct ahead *ahead)
{
    struct buffer *buffer = buffer_take(loop);
    if (!buffer)
        return;
    size_t size = 1 + dice(loop->private, BUFFER_SIZE);
    ssize_t n = kernel->recv(ahead->endpoint->fd, buffer->data, size, 0);
    if (n > 0) {
        buffer->size = (size_t)n;
        endpoint_add_early(ahead->endpoint, buffer);
        return;
    }
    buffer_give(loop, buffer);
    if (n == 0)
        ahead->ended = true;
    else if (n != -EAGAIN && n != -EINTR)
        ahead->failed = (int)n;
}

// ---- Operations -------------------------------------------------------------------------------

static ssize_t completion_start(struct loop *loop, struct wait_call *call)
{
    struct completion *completion = loop->private;
    for (unsigned i = 0; i < OPERATIONS_MAX; i++) {
        struct operation *operation = &completion->operations[i];
        if (operation->call)
            continue;
        *operation = (struct operation){.call = call};
        if (i >= completion->operation_count)
            completion->operation_count = i + 1;
        if (call->kind == WAIT_RECV || call->kind == WAIT_RECV_LENT)
            receive_ahead_for(completion, call->endpoint);
        return BACKEND_WAITS;
    }
    return -ENOBUFS;
}

// Splits a transfer.
static ssize_t transfer(struct loop *loop, struct wait_call *call)
{
    struct completion *completion = loop->private;
    size_t whole = call->size;
    bool bytes = call->kind == WAIT_RECV || call->kind == WAIT_SEND || call->kind == WAIT_SENDFILE;
    if (bytes && whole > 1)
        call->size = 1 + dice(completion, whole > 100000 ? 100000 : (unsigned)whole);
    call->endpoint->drained = false;
    ssize_t n = ready_try(loop, call);
    call->size = whole;
    return n;
}

static void try_operation(struct loop *loop, struct operation *operation)
{
    struct completion *completion = loop->private;
    struct wait_call *call = operation->call;
    struct ahead *ahead = ahead_of(completion, call->endpoint);
    bool receives = call->kind == WAIT_RECV || call->kind == WAIT_RECV_LENT;
    ssize_t n;
    if (receives && dice(completion, 8) == 0)
        return; // ENOBUFS: it has to be armed anew
    if (receives && ahead && ahead->failed) {
        n = ahead->failed;
        ahead->failed = 0;
    } else {
        n = transfer(loop, call);
    }
    if (n == -EAGAIN)
        return;
    operation->result = n;
    operation->finished = true;
}

static void completion_cancel(struct loop *loop, struct wait_call *call, int why)
{
    struct completion *completion = loop->private;
    for (unsigned i = 0; i < completion->operation_count; i++)
        if (completion->operations[i].call == call)
            completion->operations[i].cancelled = why;
}

// What succeeded before the cancelling was seen has succeeded.
static bool deliver(struct operation *operation)
{
    struct wait_call *call = operation->call;
    if (!operation->finished && !operation->cancelled)
        return false;
    bool success = operation->finished && (operation->result >= 0 || !operation->cancelled);
    ssize_t result = success ? operation->result : operation->cancelled;
    operation->call = NULL;
    wait_complete(call, result);
    return true;
}

static bool has_results(const struct completion *completion)
{
    for (unsigned i = 0; i < completion->operation_count; i++)
        if (completion->operations[i].call &&
            (completion->operations[i].finished || completion->operations[i].cancelled))
            return true;
    return false;
}

static nfds_t list_descriptors(struct completion *completion, int wake_fd)
{
    nfds_t count = 0;
    completion->fds[count++] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
    for (unsigned i = 0; i < completion->operation_count; i++) {
        const struct operation *operation = &completion->operations[i];
        bool open = operation->call && !operation->finished;
        short events = open && wait_side_of(operation->call) == WAIT_OUT ? POLLOUT : POLLIN;
        int fd = open ? operation->call->endpoint->fd : -1;
        completion->fds[count++] = (struct pollfd){.fd = fd, .events = events};
    }
    for (unsigned i = 0; i < completion->ahead_count; i++) {
        const struct ahead *ahead = &completion->aheads[i];
        int fd = wants_ahead(ahead) ? ahead->endpoint->fd : -1;
        completion->fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    return count;
}

static void completion_poll(struct loop *loop, int64_t deadline)
{
    struct completion *completion = loop->private;
    unsigned operations = completion->operation_count;
    unsigned aheads = completion->ahead_count;
    if (has_results(completion))
        deadline = 0;
    nfds_t count = list_descriptors(completion, loop->wake_fd);
    int ready = kernel->ppoll(completion->fds, count, deadline);

    for (unsigned i = 0; i < operations; i++)
        if (completion->operations[i].call)
            (void)deliver(&completion->operations[i]);
    if (ready <= 0)
        return;
    if (completion->fds[0].revents) {
        uint64_t number;
        (void)kernel->read(loop->wake_fd, &number, sizeof number);
    }
    for (unsigned i = 0; i < operations; i++) {
        struct operation *operation = &completion->operations[i];
        if (operation->call && !operation->finished && completion->fds[1 + i].revents &&
            operation->call->endpoint->fd == completion->fds[1 + i].fd)
            try_operation(loop, operation);
    }
    for (unsigned i = 0; i < aheads; i++) {
        struct ahead *ahead = &completion->aheads[i];
        if (wants_ahead(ahead) && completion->fds[1 + operations + i].revents &&
            ahead->endpoint->fd == completion->fds[1 + operations + i].fd)
            receive_ahead(loop, ahead);
    }
}

static void completion_release(struct loop *loop, struct endpoint *endpoint, bool closes)
{
    (void)closes;
    struct ahead *ahead = ahead_of(loop->private, endpoint);
    if (ahead)
        ahead->endpoint = NULL;
}

static int completion_descriptor(struct loop *loop)
{
    (void)loop;
    return -ENOTSUP;
}

const struct backend_ops backend_completion = {
    .name = "completion",
    .open = completion_open,
    .close = completion_close,
    .start = completion_start,
    .cancel = completion_cancel,
    .poll = completion_poll,
    .release = completion_release,
    .descriptor = completion_descriptor,
};
