#include "wait/closing.h"

#include <errno.h>

#include "kernel/kernel.h"
#include "wait/wait.h"

struct closing {
    struct list node; // in loop->closing
    struct loop *loop;
    struct endpoint endpoint;
    struct wait_call call;
    size_t bytes_left;
};

void closing_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)kernel->setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)kernel->close(fd);
}

static void end(struct closing *closing, bool reset)
{
    struct loop *loop = closing->loop;
    int fd = closing->endpoint.fd;
    list_remove(&closing->node);
    loop->closing_count--;
    if (reset) {
        wait_release(&closing->endpoint);
        closing_reset(fd);
    } else {
        wait_close(&closing->endpoint);
    }
    kernel->release(closing);
    if (loop->closing_waiter)
        task_wake(loop->closing_waiter);
}

static void discarded_some(struct wait_call *call)
{
    struct closing *closing = LIST_ENTRY(call, struct closing, call);
    if (call->result > 0)
        buffer_give(closing->loop, call->buffer);
    if (call->result > 0 && (size_t)call->result < closing->bytes_left) {
        closing->bytes_left -= (size_t)call->result;
        wait_start(closing->loop, call);
        return;
    }
    // 0 is the peer's FIN. Whoever says too much, or nothing for too long, is reset: the bytes
    // that were sent had their time to arrive.
    end(closing, call->result > 0 || call->result == -ETIMEDOUT || call->result == -ECANCELED);
}

void closing_begin(struct loop *loop, int fd, int64_t deadline, size_t bytes_max)
{
    struct closing *closing = loop->closes_at_once ? NULL : kernel->allocate(sizeof *closing);
    if (!closing) {
        (void)kernel->close(fd);
        return;
    }
    if (loop->closing_count >= CLOSING_MAX)
        (void)closing_end_oldest(loop);
    closing->loop = loop;
    closing->bytes_left = bytes_max;
    wait_open(&closing->endpoint, fd);
    closing->call.kind = WAIT_RECV_LENT;
    closing->call.endpoint = &closing->endpoint;
    closing->call.deadline = deadline;
    closing->call.done = discarded_some;
    list_append(&loop->closing, &closing->node);
    loop->closing_count++;
    wait_start(loop, &closing->call);
}

void closing_wait(struct loop *loop)
{
    while (!list_is_empty(&loop->closing)) {
        loop->closing_waiter = loop->current;
        task_pause(loop->current);
    }
    loop->closing_waiter = NULL;
}

static void end_early(struct closing *closing)
{
    closing->bytes_left = 0; // what may have come already is the last
    wait_cancel(&closing->call, -ECANCELED);
}

bool closing_end_oldest(struct loop *loop)
{
    if (list_is_empty(&loop->closing))
        return false;
    end_early(LIST_ENTRY(loop->closing.next, struct closing, node));
    return true;
}

void closing_end_all(struct loop *loop)
{
    struct list *node, *next;
    loop->closes_at_once = true;
    for (node = loop->closing.next; node != &loop->closing; node = next) {
        next = node->next;
        end_early(LIST_ENTRY(node, struct closing, node));
    }
}

void closing_abandon_all(struct loop *loop)
{
    struct list *node;
    while ((node = list_take(&loop->closing))) {
        struct closing *closing = LIST_ENTRY(node, struct closing, node);
        (void)kernel->close(closing->endpoint.fd);
        kernel->release(closing);
    }
    loop->closing_count = 0;
}
