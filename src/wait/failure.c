#include "wait/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "wait/wait.h"

// strerrordesc_np gives "Connection refused"; sentences go on in lower case. Only the messages
// whose first letter is an ordinary capital are changed: "RFS specific error" stays.
const char *failure_word(int negative_errno)
{
    switch (negative_errno) {
    case -ECONNREFUSED:
        return "connection refused";
    case -ECONNRESET:
        return "connection reset by peer";
    case -ECONNABORTED:
        return "connection ended by a limit of the server";
    case -ETIMEDOUT:
        return "timed out";
    case -EPIPE:
        return "the other end does not read any more";
    case -ECANCELED:
        return "cancelled";
    case -EADDRINUSE:
        return "address already in use";
    case -EADDRNOTAVAIL:
        return "no such address here, or out of local ports";
    case -EBADF:
        return "the connection is closed";
    case -EBUSY:
        return "another task is in the same call";
    case -EXDEV:
        return "it belongs to another thread";
    default: {
        const char *text = strerrordesc_np(-negative_errno);
        return text ? text : "unknown error";
    }
    }
}

// The last failure of this thread when it has no loop (a loop needs descriptors, and they may be what is
// missing), or when there was no memory for one of the task's own.
static _Thread_local struct failure homeless;

// The failure of the running task, made at its first one. To have failed is no reason to make a loop.
static struct failure *own_failure(void)
{
    const struct loop *loop = loop_here();
    struct task *task = loop ? loop->current : NULL;
    if (task && !task->failure)
        task->failure = kernel->allocate(sizeof *task->failure);
    if (!task || !task->failure)
        return &homeless;
    homeless.text[0] = '\0';
    return task->failure;
}

// A sentence is one line of text, whatever names and addresses had in them.
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

int failure_set(int negative_errno, const char *what, ...)
{
    struct failure *failure = own_failure();
    va_list arguments;
    va_start(arguments, what);
    int length = vsnprintf(failure->text, FAILURE_SIZE, what, arguments);
    va_end(arguments);
    if (length >= 0 && length < FAILURE_SIZE)
        (void)snprintf(failure->text + length, FAILURE_SIZE - (size_t)length, ": %s",
                       failure_word(negative_errno));
    make_printable(failure->text);
    errno = -negative_errno;
    return -1;
}

int failure_say(int negative_errno, const char *sentence, ...)
{
    struct failure *failure = own_failure();
    va_list arguments;
    va_start(arguments, sentence);
    (void)vsnprintf(failure->text, FAILURE_SIZE, sentence, arguments);
    va_end(arguments);
    make_printable(failure->text);
    errno = -negative_errno;
    return -1;
}

void failure_note_done(size_t bytes)
{
    struct task *task = task_here(NULL);
    if (task)
        task->done = bytes;
}

const char *failure_text(void)
{
    struct loop *loop = loop_here();
    if (!loop || !loop->current->failure)
        return homeless.text;
    return loop->current->failure->text;
}

size_t failure_done(void)
{
    struct loop *loop = loop_here();
    return loop ? loop->current->done : 0;
}

void failure_forget(struct task *task)
{
    kernel->release(task->failure);
    task->failure = NULL;
}
