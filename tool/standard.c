// stdin and stdout, by helper threads.

#include "standard.h"

#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

// One read or write on a helper thread.
struct transfer {
    char *into;
    const char *from;
    size_t size;
    ssize_t count; // of bytes, or -1
    int error;
};

// A helper thread could not do its work: this task was cancelled, or there was no thread.
static int no_helper(void)
{
    int error = errno;
    if (error != ECANCELED)
        complain("%s", bell_error());
    errno = error;
    return -1;
}

// ---- stdin ------------------------------------------------------------------------------------

static int read_stdin(void *arg)
{
    struct transfer *t = arg;
    do
        t->count = read(STDIN_FILENO, t->into, t->size);
    while (t->count < 0 && errno == EINTR);
    t->error = errno;
    return 0;
}

// NOLINTNEXTLINE(readability-non-const-parameter): read(2) stores there
ssize_t standard_read(char *into, size_t size)
{
    static struct transfer in;
    in = (struct transfer){.into = into, .size = size};
    if (bell_block(read_stdin, &in, NULL) < 0)
        return no_helper();
    if (in.count > 0 && isatty(STDIN_FILENO))
        shown_at_terminal(into[in.count - 1]); // it was echoed
    if (in.count >= 0 || in.error == EBADF)
        return in.count < 0 ? 0 : in.count;
    complain("stdin: %s", strerror(in.error));
    errno = in.error;
    return -1;
}

size_t standard_add_returns(const char *from, size_t size, char before, char *into)
{
    size_t used = 0;
    for (size_t i = 0; i < size; before = from[i++]) {
        if (from[i] == '\n' && before != '\r')
            into[used++] = '\r';
        into[used++] = from[i];
    }
    return used;
}

// ---- stdout -----------------------------------------------------------------------------------

static int write_stdout(void *arg)
{
    struct transfer *t = arg;
    while (t->size > 0) {
        ssize_t n = write(STDOUT_FILENO, t->from, t->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) { // somebody made it non-blocking
            struct pollfd room = {.fd = STDOUT_FILENO, .events = POLLOUT};
            (void)poll(&room, 1, -1);
            continue;
        }
        if (n < 0) {
            t->error = errno;
            return -1;
        }
        t->from += n;
        t->size -= (size_t)n;
    }
    return 0;
}

// As a filter ends whose reader has gone: silently, if the signal is not ignored.
static void die_of_broken_pipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(SIGPIPE);
}

void standard_complain(int error)
{
    if (error == EPIPE)
        die_of_broken_pipe();
    complain("stdout: %s", strerror(error));
}

int standard_write(struct cleaner *cleaner, const char *data, size_t size)
{
    static struct transfer out;
    static char cleaned[CLEAN_GROWTH * STANDARD_WRITE_MAX + CLEAN_LEFT_MAX];
    int result = 0;
    out = (struct transfer){.from = data, .size = size};
    if (cleaner) {
        out.from = cleaned;
        out.size = clean(cleaner, data, size, cleaned);
    }
    if (out.size == 0)
        return 0;
    // Before it is shown: what somebody types when he has seen it comes later.
    if (isatty(STDOUT_FILENO))
        shown_at_terminal(out.from[out.size - 1]);
    if (bell_block(write_stdout, &out, &result) < 0)
        return no_helper();
    if (result == 0)
        return 0;
    standard_complain(out.error);
    errno = out.error;
    return -1;
}

// ---- What is expected -------------------------------------------------------------------------

// (Knuth, Morris and Pratt, without a table: after a mismatch the longest beginning that is also an end is looked
// for; the texts are short.)
bool standard_expect(struct expectation *e, const char *data, size_t size)
{
    for (size_t i = 0; i < size && e->text; i++) {
        while (e->matched > 0 && e->text[e->matched] != data[i]) {
            size_t shorter = e->matched - 1;
            while (shorter > 0 && memcmp(e->text, e->text + e->matched - shorter, shorter) != 0)
                shorter--;
            e->matched = shorter;
        }
        if (e->text[e->matched] == data[i] && ++e->matched == e->size)
            return true;
    }
    return false;
}
