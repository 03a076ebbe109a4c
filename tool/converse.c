// A conversation: stdin goes to a connection, and what comes from there goes to stdout.
//
// Two tasks, one for each direction, so that neither waits for the other; a third one, which is the
// caller, looks at the time. stdin and stdout may block, so helper threads read and write them.

#include "converse.h"

#include "show.h"
#include "terminal.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_SIZE = 128 * 1024 };

// One read or write on a helper thread.
struct transfer {
    char *into;
    const char *from;
    size_t size;
    ssize_t count; // of bytes, or -1
    int error;
};

struct conversation {
    bell_conn *conn;
    bell_group *group;
    struct talk talk;
    struct transfer in;
    uint64_t sent, received;
    int64_t moved;   // when bytes moved last
    int code;        // of the first failure
    bool over;       // nothing more is to be done, whatever the other task is at
    bool commanding; // the next line is a command
    bool their_end, sending_is_over;
    size_t matched;          // bytes of talk.expect that have come in a row
    struct cleaner *cleaner; // stdout is a terminal
};

// ---- Ends -------------------------------------------------------------------------------------

// Ends the conversation; the first reason counts.
static void end_with(struct conversation *c, int code)
{
    if (!c->over && c->code == EXIT_DONE)
        c->code = code;
    c->over = true;
    bell_group_cancel(c->group);
}

// A failure of the connection. What the other end said before is still read.
static void connection_failed(struct conversation *c)
{
    int error = errno;
    if (error == ECANCELED || c->over || c->code != EXIT_DONE)
        return;
    complain("%s (%llu bytes sent, %llu received)", bell_error(), (unsigned long long)c->sent,
             (unsigned long long)c->received);
    c->code = error == ETIMEDOUT ? EXIT_TIME : EXIT_BROKEN;
}

// A helper thread could not do its work: this task was cancelled, or there was no thread.
static bool no_helper(struct conversation *c)
{
    if (errno != ECANCELED) {
        complain("%s", bell_error());
        end_with(c, EXIT_BROKEN);
    }
    return false;
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

static void stdout_failed(struct conversation *c, int error)
{
    if (error == EPIPE)
        die_of_broken_pipe();
    complain("stdout: %s", strerror(error));
    end_with(c, EXIT_BROKEN);
}

// ---- Our side ---------------------------------------------------------------------------------

static int read_stdin(void *arg)
{
    struct transfer *t = arg;
    do
        t->count = read(STDIN_FILENO, t->into, t->size);
    while (t->count < 0 && errno == EINTR);
    t->error = errno;
    return 0;
}

// CR LF for each newline that has no CR. `before` is the byte before these.
static size_t add_returns(const char *from, size_t size, char before, char *into)
{
    size_t used = 0;
    for (size_t i = 0; i < size; before = from[i++]) {
        if (from[i] == '\n' && before != '\r')
            into[used++] = '\r';
        into[used++] = from[i];
    }
    return used;
}

static bool send_bytes(struct conversation *c, const char *data, size_t size)
{
    if (c->talk.hex)
        show_hex('>', c->sent, data, size);
    if (bell_write(c->conn, data, size) < 0) {
        c->sent += bell_done();
        connection_failed(c);
        return false;
    }
    c->sent += size;
    c->moved = bell_now();
    return true;
}

static bool send_input(struct conversation *c, const char *data, size_t size)
{
    static char with_returns[2 * CHUNK_SIZE];
    static char before;
    if (!c->talk.crlf || size == 0)
        return size == 0 || send_bytes(c, data, size);
    size_t count = add_returns(data, size, before, with_returns);
    before = data[size - 1];
    return send_bytes(c, with_returns, count);
}

static void tell_tcp_info(bell_conn *conn)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(bell_fd(conn), IPPROTO_TCP, TCP_INFO, &info, &size) < 0) {
        note("this is not a TCP connection, and has no such figures");
        return;
    }
    note("rtt %.3f ms, give or take %.3f; %u retransmissions; segments of %u bytes, congestion "
         "window of %u",
         info.tcpi_rtt / 1e3, info.tcpi_rttvar / 1e3, info.tcpi_total_retrans, info.tcpi_snd_mss,
         info.tcpi_snd_cwnd);
    tell("tcp_info", "s:i, s:i, s:i, s:i, s:i", "rtt_us", (int)info.tcpi_rtt, "rttvar_us",
         (int)info.tcpi_rttvar, "retransmissions", (int)info.tcpi_total_retrans, "mss",
         (int)info.tcpi_snd_mss, "cwnd", (int)info.tcpi_snd_cwnd);
}

// A line that was typed after Ctrl-]. Returns false when it ended the conversation.
static bool obey(struct conversation *c, const char *line, size_t size)
{
    static const char *const commands[] = {"status", "hex", "reset", "quit", NULL};
    char word[32];
    size_t length = 0;
    while (length < size && line[length] != '\n' && length < sizeof word - 1)
        length++;
    memcpy(word, line, length);
    word[length] = '\0';
    if (!strcmp(word, "status")) {
        note("%s from %s: %llu bytes sent, %llu received", bell_peer(c->conn), bell_local(c->conn),
             (unsigned long long)c->sent, (unsigned long long)c->received);
        tell_tcp_info(c->conn);
    } else if (!strcmp(word, "hex")) {
        c->talk.hex = !c->talk.hex;
        note("hexadecimal is %s", c->talk.hex ? "on" : "off");
    } else if (!strcmp(word, "reset")) {
        end_with(c, EXIT_BROKEN);
        return false;
    } else if (!strcmp(word, "quit")) {
        end_with(c, EXIT_DONE);
        return false;
    } else if (word[0]) {
        const char *near = nearest(word, commands);
        note("there is no %s; did you mean %s?", word, near ? near : "status, hex, reset or quit");
    }
    return true;
}

// What was typed: bytes to send, Ctrl-] that asks for a command, the command.
static bool take_typed(struct conversation *c, const char *data, size_t size)
{
    while (size > 0) {
        if (c->commanding) {
            c->commanding = false;
            return obey(c, data, size);
        }
        const char *escape = c->talk.terminal ? memchr(data, TERMINAL_ESCAPE, size) : NULL;
        if (!escape)
            return send_input(c, data, size);
        if (!send_input(c, data, (size_t)(escape - data)))
            return false;
        fputs("\ndoorbell> ", stderr);
        c->commanding = true;
        size -= (size_t)(escape - data) + 1;
        data = escape + 1;
    }
    return true;
}

// All that stdin has. Returns false when it did not come to its end.
static bool send_stdin(struct conversation *c)
{
    struct transfer *in = &c->in;
    for (;;) {
        if (bell_block(read_stdin, in, NULL) < 0)
            return no_helper(c);
        if (in->count < 0 && in->error != EBADF) {
            complain("stdin: %s", strerror(in->error));
            end_with(c, EXIT_BROKEN);
            return false;
        }
        if (in->count <= 0) // a closed stdin has nothing to say
            return true;
        if (!take_typed(c, in->into, (size_t)in->count))
            return false;
    }
}

// Until the other end has everything, or has ended.
static void await_delivery(struct conversation *c)
{
    int64_t pause = BELL_MS;
    int left = 0;
    while (!c->over && !c->their_end && ioctl(bell_fd(c->conn), SIOCOUTQ, &left) == 0 && left > 0) {
        if (bell_sleep(pause) < 0)
            return;
        pause = pause < 64 * BELL_MS ? 2 * pause : pause;
    }
}

static void send_all(struct conversation *c)
{
    bool complete = c->talk.text ? send_input(c, c->talk.text, c->talk.text_size) : send_stdin(c);
    if (!complete)
        return;
    c->sending_is_over = true; // whether or not it has all arrived
    tell("eof", "s:s", "of", "stdin");
    // On a connection that was reset the other task learns why there is nothing to end any more.
    if (!c->talk.no_half_close && bell_shutdown(c->conn, SHUT_WR) < 0 && errno != ENOTCONN)
        connection_failed(c);
    if (c->talk.send_only) {
        await_delivery(c);
        end_with(c, c->code);
    }
}

static int send_task(void *arg)
{
    struct conversation *c = arg;
    if (!c->talk.recv_only)
        send_all(c);
    c->sending_is_over = true;
    if (c->their_end)
        end_with(c, c->code);
    return 0;
}

// ---- Their side -------------------------------------------------------------------------------

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

static bool put_out(struct conversation *c, const char *data, size_t size)
{
    static struct transfer out; // a helper may still have it when we have given up
    static char cleaned[CLEAN_GROWTH * CHUNK_SIZE + CLEAN_LEFT_MAX];
    int result = 0;
    out = (struct transfer){.from = data, .size = size};
    if (c->cleaner) {
        out.from = cleaned;
        out.size = clean(c->cleaner, data, size, cleaned);
    }
    if (out.size == 0)
        return true;
    if (bell_block(write_stdout, &out, &result) < 0)
        return no_helper(c);
    if (result == 0)
        return true;
    stdout_failed(c, out.error);
    return false;
}

// Whether the expected text is complete with these bytes. (Knuth, Morris and Pratt, without a table: after
// a mismatch the longest beginning that is also an end is looked for; the texts are short.)
static bool match(struct conversation *c, const char *data, size_t size)
{
    const char *expect = c->talk.expect;
    for (size_t i = 0; i < size; i++) {
        while (c->matched > 0 && expect[c->matched] != data[i]) {
            size_t shorter = c->matched - 1;
            while (shorter > 0 && memcmp(expect, expect + c->matched - shorter, shorter) != 0)
                shorter--;
            c->matched = shorter;
        }
        if (expect[c->matched] == data[i] && ++c->matched == c->talk.expect_size)
            return true;
    }
    return false;
}

static bool take_answer(struct conversation *c, const char *data, size_t size)
{
    if (c->talk.hex)
        show_hex('<', c->received, data, size);
    c->received += size;
    c->moved = bell_now();
    if (c->talk.send_only)
        return true;
    if (!put_out(c, data, size))
        return false;
    c->moved = bell_now();
    if (!c->talk.expect || !match(c, data, size))
        return true;
    end_with(c, EXIT_DONE);
    return false;
}

// Who reads our stdout learns of the end at once, even if we still have something to send.
static void end_stdout(struct conversation *c)
{
    if (c->cleaner)
        (void)put_out(c, NULL, 0);
    if (isatty(STDOUT_FILENO))
        return;
    if (close(STDOUT_FILENO) < 0 && c->received) {
        stdout_failed(c, errno);
        return;
    }
    // Nothing else may get its number.
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0 && nowhere != STDOUT_FILENO) {
        (void)dup2(nowhere, STDOUT_FILENO);
        (void)close(nowhere);
    }
}

// Once the other end has finished, only what we send would tell that it has gone for good; and stdin may be
// silent for ever. So the kernel asks now and then, and we look at what it has heard.
static void watch_for_death(struct conversation *c)
{
    static const int on = 1, seconds = 5;
    int fd = bell_fd(c->conn);
    struct pollfd end = {.fd = fd};
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    while (!c->over && poll(&end, 1, 0) == 0)
        if (bell_sleep(BELL_SECOND / 4) < 0)
            return;
    if (c->over || c->sending_is_over)
        return;
    complain("%s: the other end has gone (%llu bytes sent, %llu received)", bell_peer(c->conn),
             (unsigned long long)c->sent, (unsigned long long)c->received);
    end_with(c, EXIT_BROKEN);
}

static void take_end(struct conversation *c)
{
    c->their_end = true;
    tell("eof", "s:s", "of", "socket");
    if (c->talk.expect) {
        complain("the other end has finished, and what was expected did not come");
        end_with(c, EXIT_CHECK);
        return;
    }
    end_stdout(c);
    // Who types has seen that nothing more comes, and would have to end what nobody reads any more.
    if (c->talk.terminal || c->talk.recv_only)
        end_with(c, c->code);
    else if (!c->sending_is_over)
        watch_for_death(c);
}

static int receive_task(void *arg)
{
    static char chunk[CHUNK_SIZE]; // as above
    struct conversation *c = arg;
    ssize_t n;
    while ((n = bell_read(c->conn, chunk, sizeof chunk)) > 0)
        if (!take_answer(c, chunk, (size_t)n))
            return 0;
    if (n == 0)
        take_end(c);
    else
        connection_failed(c);
    if (n < 0)
        end_with(c, c->code);
    return 0;
}

// ---- Both -------------------------------------------------------------------------------------

// Waits for both tasks, or until nothing has moved for too long.
static void await_both(struct conversation *c)
{
    for (;;) {
        int64_t until = c->talk.idle ? c->moved + c->talk.idle : BELL_NEVER;
        if (bell_group_wait(c->group, until) >= 0 || errno != ETIMEDOUT)
            return;
        if (bell_now() < c->moved + c->talk.idle)
            continue;
        complain("%s: timed out: nothing came or went for %.3g s (%llu bytes sent, %llu received)",
                 bell_peer(c->conn), (double)c->talk.idle / (double)BELL_SECOND,
                 (unsigned long long)c->sent, (unsigned long long)c->received);
        end_with(c, EXIT_TIME);
    }
}

static void close_connection(struct conversation *c, bool owned)
{
    if (c->talk.tcp_info)
        tell_tcp_info(c->conn);
    if (!owned && c->code == EXIT_DONE)
        return; // the handler's return ends it
    if (c->code == EXIT_DONE)
        (void)bell_close(c->conn);
    else
        bell_abort(c->conn);
}

int converse(bell_conn *conn, const struct talk *talk, bool owned)
{
    // Not on the stack: a helper thread may still be reading when the conversation is over.
    static char chunk[CHUNK_SIZE];
    static struct conversation c;
    static struct cleaner cleaner;
    c = (struct conversation){.conn = conn,
                              .talk = *talk,
                              .in = {.into = chunk, .size = sizeof chunk},
                              .moved = bell_now(),
                              .group = bell_group_open()};
    if (!talk->raw && isatty(STDOUT_FILENO))
        c.cleaner = &cleaner;
    if (c.group && bell_go(c.group, receive_task, &c) == 0 &&
        bell_go(c.group, send_task, &c) == 0) {
        await_both(&c);
    } else {
        complain("%s", bell_error());
        c.code = EXIT_BROKEN;
    }
    bell_group_close(c.group);
    tell("summary", "s:I, s:I, s:i", "bytes_sent", (long long)c.sent, "bytes_received",
         (long long)c.received, "exit", c.code);
    close_connection(&c, owned);
    return c.code;
}
