// The line of one call: its beginning, its end, and how it gets to its reader.

#include "kernel/calls_line.h"

#include <doorbell.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/calls_print.h"
#include "kernel/real.h"

static unsigned shown; // BELL_CALLS_..., set before anything runs
static bool is_file;   // a regular one, which never makes a writer wait for its reader
static atomic_int out = -1;
static atomic_uint missing; // lines that could not be written

int calls_line_open(int fd, unsigned what)
{
    struct stat target;
    if (fstat(fd, &target) < 0)
        return -EBADF;
    is_file = S_ISREG(target.st_mode);
    shown = what;
    out = fd;
    return 0;
}

void calls_line_close(void)
{
    out = -1;
}

bool calls_line_shows_all(void)
{
    return shown & BELL_CALLS_ALL;
}

void calls_line_yield(int fd)
{
    int lost = fd;
    if (fd >= 0)
        (void)atomic_compare_exchange_strong(&out, &lost, -1);
}

void calls_line_begin(struct call_line *line)
{
    line->waits = false;
    line->began = calls_behind->now();
}

void calls_line_end(struct call_line *line)
{
    // Room for the newline is kept free.
    text_init(&line->text, line->memory, sizeof line->memory - 1);
    calls_print_who(&line->text, calls_behind->getpid(), gettid());
    if (!(shown & BELL_CALLS_TIMES))
        return;
    calls_print_time(&line->text, line->began);
    calls_print_time(&line->text, calls_behind->now());
}

bool calls_line_has_ended(struct call_line *line, int64_t result)
{
    line->waits =
        result == -EAGAIN || result == -EINPROGRESS || result == -EALREADY || result == -EINTR;
    if (line->waits && !calls_line_shows_all())
        return false;
    calls_line_end(line);
    return true;
}

void calls_line_result(struct call_line *line, int64_t result)
{
    if (line->waits)
        text_add(&line->text, " would block");
    else
        calls_print_result(&line->text, result, false);
}

void calls_line_count(struct call_line *line, int64_t result)
{
    if (result == 0)
        calls_print_result(&line->text, result, true);
    else
        calls_line_result(line, result);
}

void calls_line_remark(struct call_line *line, const char *remark)
{
    text_addf(&line->text, "  %s", remark);
}

// ---- To the reader ----------------------------------------------------------------------------

// A pipe whose reader sleeps, or a terminal that was stopped by Ctrl-S, must not keep the program:
// fails with EAGAIN then. RWF_NOWAIT works on pipes since Linux 6.4, on terminals never, and the C
// library says the same (EOPNOTSUPP) where there is no such call; filters say EPERM. Between
// the look and the write another process may fill a pipe, but not for long if it has a reader.
static ssize_t write_at_once(int fd, const char *bytes, size_t size)
{
    if (is_file)
        return write(fd, bytes, size);
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    ssize_t n = pwritev2(fd, &piece, 1, -1, RWF_NOWAIT);
    if (n >= 0 || (errno != EOPNOTSUPP && errno != EPERM))
        return n;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) > 0)
        return write(fd, bytes, size);
    errno = EAGAIN;
    return -1;
}

// False when there is no room for it now.
static bool put(const char *bytes, size_t size)
{
    struct sigpipe_guard guard;
    real_hold_sigpipe(&guard);
    ssize_t n = write_at_once(out, bytes, size);
    int error = n < 0 ? errno : 0;
    real_release_sigpipe(&guard, error == EPIPE);
    return error != EAGAIN;
}

// Says that lines are missing, before the first one that gets through again.
static bool put_missing(void)
{
    unsigned count = atomic_exchange(&missing, 0);
    if (count == 0)
        return true;
    char memory[64];
    struct text text;
    text_init(&text, memory, sizeof memory);
    calls_print_who(&text, calls_behind->getpid(), gettid());
    text_addf(&text, "(%u calls are not shown)\n", count);
    if (put(memory, text.length))
        return true;
    atomic_fetch_add(&missing, count);
    return false;
}

void calls_line_write(struct call_line *line)
{
    if (out < 0)
        return;
    int error = errno;
    line->memory[line->text.length] = '\n';
    if (!put_missing() || !put(line->memory, line->text.length + 1))
        atomic_fetch_add(&missing, 1);
    errno = error;
}

void calls_line_tell(struct call_line *line, int64_t result, const char *format, ...)
{
    char call[128];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(call, sizeof call, format, arguments);
    va_end(arguments);
    calls_line_end(line);
    text_add(&line->text, call);
    calls_line_result(line, result);
    calls_line_write(line);
}

void calls_line_after_fork(void)
{
    missing = 0;
}
