// The calls of the book that are about processes and threads; and closing, which in a server with
// processes ends a connection only when the last of them has done it.

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/calls_line.h"
#include "kernel/calls_print.h"
#include "kernel/real.h"

// The processes that may share a descriptor with this one by its last fork; 0: there is none.
static atomic_int last_child, parent;

// ---- Closing ----------------------------------------------------------------------------------

enum { LINK_SIZE = 64 };

// What descriptor `fd` of a process is: "socket:[8412]". "" when it has none, or we may not know.
static void read_link(int pid, int fd, char ret_link[LINK_SIZE])
{
    char path[LINK_SIZE];
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    ssize_t n = readlink(path, ret_link, LINK_SIZE - 1);
    ret_link[n > 0 ? n : 0] = '\0';
}

static bool has_still(int pid, int fd, const char *link)
{
    char theirs[LINK_SIZE];
    if (pid == 0 || link[0] == '\0')
        return false;
    read_link(pid, fd, theirs);
    return !strcmp(link, theirs);
}

// The library closes descriptors of its own, too, which are in no book.
static bool is_of_the_book(int fd)
{
    int type;
    socklen_t size = sizeof type;
    return calls_line_shows_all() ||
           calls_behind->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != -ENOTSOCK;
}

int calls_close(int fd)
{
    if (!is_of_the_book(fd))
        return calls_behind->close(fd);
    char link[LINK_SIZE] = "";
    if (last_child || parent)
        read_link(calls_behind->getpid(), fd, link);
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->close(fd);
    calls_line_end(&line);
    text_addf(&line.text, "close(%d)", fd);
    calls_line_result(&line, rc);
    if (rc == 0 && has_still(last_child, fd, link))
        calls_line_remark(&line, "the child still has it");
    else if (rc == 0 && has_still(parent, fd, link))
        calls_line_remark(&line, "the parent still has it");
    calls_line_write(&line);
    return rc;
}

// ---- Processes --------------------------------------------------------------------------------

int calls_fork(void)
{
    struct call_line line;
    int self = calls_behind->getpid();
    calls_line_begin(&line);
    int pid = calls_behind->fork();
    if (pid == 0) {
        calls_line_after_fork();
        parent = self;
        last_child = 0;
    } else if (pid > 0) {
        last_child = pid;
    }
    calls_line_end(&line);
    text_add(&line.text, "fork()");
    calls_line_count(&line, pid);
    calls_line_write(&line);
    return pid;
}

static void tell_end(struct call_line *line, int pid, int status)
{
    if (last_child == pid)
        last_child = 0;
    calls_line_end(line);
    text_addf(&line->text, "wait() = %d", pid);
    calls_line_remark(line, "");
    calls_print_status(&line->text, status);
    calls_line_write(line);
}

int calls_reap(int pidfd, int *ret_status)
{
    struct call_line line;
    int pid = real_ended_child(pidfd);
    calls_line_begin(&line);
    int rc = calls_behind->reap(pidfd, ret_status);
    if (rc > 0)
        tell_end(&line, pid, *ret_status);
    else if (rc < 0)
        calls_line_tell(&line, rc, "wait()");
    return rc;
}

void calls_kill_and_reap(int pid)
{
    struct call_line line;
    calls_line_begin(&line);
    calls_behind->kill_and_reap(pid);
    tell_end(&line, pid, SIGKILL);
}

void calls_exit_child(int status)
{
    struct call_line line;
    calls_line_begin(&line);
    calls_line_tell(&line, 0, "exit(%d)", status);
    calls_behind->exit_child(status);
}

// Helper threads, which have a stack of the system's size, serve the library and not a model.
int calls_thread_start(void (*run)(void *arg), void *arg, size_t stack_size)
{
    if (stack_size == 0 && !calls_line_shows_all())
        return calls_behind->thread_start(run, arg, stack_size);
    struct call_line line;
    calls_line_begin(&line);
    int rc = calls_behind->thread_start(run, arg, stack_size);
    calls_line_tell(&line, rc, "pthread_create()");
    return rc;
}
