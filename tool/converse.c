// A conversation: stdin goes to a connection, and what comes from there goes to stdout.
//
// Two tasks, one for each direction, so that neither waits for the other; a third one, which is the
// caller, looks at the time. stdin and stdout may block, so helper threads read and write them.

#include "converse.h"

#include "standard.h"
#include "terminal.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_SIZE = 128 * 1024 };

struct conversation {
    bell_conn *conn;
    bell_group *group;
    struct talk talk;
    char *chunk; // for stdin
    uint64_t sent, received;
    int64_t moved;   // when bytes moved last
    int code;        // of the first failure
    bool over;       // nothing more is to be done, whatever the other task is at
    bool commanding; // the next line is a command
    bool their_end, sending_is_over;
    struct expectation expectation;
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
    complain("%s (%llu byte%s sent, %llu received)", bell_error(), (unsigned long long)c->sent,
             plural(c->sent), (unsigned long long)c->received);
    c->code = error == ETIMEDOUT ? EXIT_TIME : EXIT_BROKEN;
}

// stdin or stdout; it has been told.
static bool standard_failed(struct conversation *c)
{
    if (errno != ECANCELED)
        end_with(c, EXIT_BROKEN);
    return false;
}

// ---- Our side ---------------------------------------------------------------------------------

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
    size_t count = standard_add_returns(data, size, before, with_returns);
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
        note("%s from %s: %llu byte%s sent, %llu received", bell_peer(c->conn), bell_local(c->conn),
             (unsigned long long)c->sent, plural(c->sent), (unsigned long long)c->received);
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
    ssize_t n;
    while ((n = standard_read(c->chunk, CHUNK_SIZE)) > 0)
        if (!take_typed(c, c->chunk, (size_t)n))
            return false;
    return n == 0 || standard_failed(c);
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

static void complain_of_absence(struct conversation *c)
{
    complain("%s: the other end has gone (%llu byte%s sent, %llu received)", bell_peer(c->conn),
             (unsigned long long)c->sent, plural(c->sent), (unsigned long long)c->received);
    end_with(c, EXIT_BROKEN);
}

static void end_sending(struct conversation *c)
{
    if (bell_shutdown(c->conn, SHUT_WR) == 0)
        return;
    if (errno != ENOTCONN)
        connection_failed(c);
    else if (c->their_end && c->sent) // it had finished, and what we sent then was refused
        complain_of_absence(c);
    // Otherwise the other task learns why there is nothing to end any more.
}

static void send_all(struct conversation *c)
{
    bool complete = c->talk.text ? send_input(c, c->talk.text, c->talk.text_size) : send_stdin(c);
    if (!complete)
        return;
    c->sending_is_over = true; // whether or not it has all arrived
    tell("eof", "s:s", "of", "stdin");
    if (!c->talk.no_half_close)
        end_sending(c);
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

static bool take_answer(struct conversation *c, const char *data, size_t size)
{
    if (c->talk.hex)
        show_hex('<', c->received, data, size);
    c->received += size;
    c->moved = bell_now();
    if (c->talk.send_only)
        return true;
    if (standard_write(c->cleaner, data, size) < 0)
        return standard_failed(c);
    c->moved = bell_now();
    if (!standard_expect(&c->expectation, data, size))
        return true;
    end_with(c, EXIT_DONE);
    return false;
}

// Who reads our stdout learns of the end at once, even if we still have something to send.
static void end_stdout(struct conversation *c)
{
    if (c->cleaner)
        (void)standard_write(c->cleaner, NULL, 0);
    if (isatty(STDOUT_FILENO))
        return;
    if (close(STDOUT_FILENO) < 0 && c->received) {
        standard_complain(errno);
        end_with(c, EXIT_BROKEN);
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
    complain_of_absence(c);
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
        complain("%s: timed out: nothing came or went for %.3g s (%llu byte%s sent, %llu received)",
                 bell_peer(c->conn), (double)c->talk.idle / (double)BELL_SECOND,
                 (unsigned long long)c->sent, plural(c->sent), (unsigned long long)c->received);
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
                              .chunk = chunk,
                              .expectation = {.text = talk->expect, .size = talk->expect_size},
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
