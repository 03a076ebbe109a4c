#include "kernel/calls.h"

#include <doorbell.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/calls_line.h"

// What doorbell.h offers.
enum { KNOWN = BELL_CALLS_ALL | BELL_CALLS_TIMES };

const struct kernel_ops *calls_behind;
static struct kernel_ops table;

static void fill_table(void)
{
    table = *calls_behind; // what is not shown costs nothing
    table.socket = calls_socket;
    table.socketpair = calls_socketpair;
    table.bind = calls_bind;
    table.listen = calls_listen;
    table.accept = calls_accept;
    table.connect = calls_connect;
    table.recv = calls_recv;
    table.recvfrom = calls_recvfrom;
    table.recvmsg = calls_recvmsg;
    table.send = calls_send;
    table.sendto = calls_sendto;
    table.sendmsg = calls_sendmsg;
    table.sendfile = calls_sendfile;
    table.shutdown = calls_shutdown;
    table.setsockopt = calls_setsockopt;
    table.close = calls_close;
    table.fork = calls_fork;
    table.reap = calls_reap;
    table.kill_and_reap = calls_kill_and_reap;
    table.exit_child = calls_exit_child;
    table.thread_start = calls_thread_start;
    if (calls_line_shows_all())
        calls_show_rest(&table);
}

// The table of a test may stand in front of this one, or be a copy of it: then it stays in its place, and
// shows nothing.
static void show_no_more(void)
{
    calls_line_close();
    if (kernel == &table)
        kernel = calls_behind;
    else if (calls_behind)
        table = *calls_behind;
}

int calls_show(int fd, unsigned what)
{
    if (what & ~(unsigned)KNOWN)
        return -EINVAL;
    if (fd < 0) {
        show_no_more();
        return 0;
    }
    int rc = calls_line_open(fd, what);
    if (rc < 0)
        return rc;
    if (!calls_behind)
        calls_behind = kernel;
    fill_table();
    if (kernel == calls_behind)
        kernel = &table;
    return 0;
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    while (*words) {
        size_t end = strcspn(words, ",");
        if (end == length && !strncmp(words, word, length))
            return true;
        words += end + (words[end] == ',');
    }
    return false;
}

void calls_show_if_wished(void)
{
    const char *words = secure_getenv("BELL_CALLS");
    if (!words || !*words || !strcmp(words, "0"))
        return;
    unsigned what = has_word(words, "all") ? BELL_CALLS_ALL : 0;
    if (has_word(words, "times"))
        what |= BELL_CALLS_TIMES;
    (void)calls_show(2, what); // with stderr closed there is nobody to show them to
}
