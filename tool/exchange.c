// Messages both ways at once: stdin's go there, and what comes goes to stdout.
//
// Two tasks, one for each direction; a third one, which is the caller, looks at the time.

#include "exchange.h"

#include "messages.h"
#include "standard.h"
#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// After the end of stdin datagrams may still come; they have no end of their own.
#define AFTER_TIME (2 * BELL_SECOND)
#define DEATH_LOOK (BELL_SECOND / 4)

enum { PEER_SIZE = 160 };

struct exchange {
    bell_conn *conn;   // a message connection, or
    bell_dgram *dgram; // a socket that talks with
    struct bell_datagram whom;
    bool is_known; // whom
    bool is_many;  // so anybody may answer
    bool has_end;  // the other end says when it has finished
    const struct talk *talk;
    bell_group *group;
    struct messages messages;
    struct expectation expectation;
    struct cleaner *cleaner; // stdout is a terminal
    unsigned long long sent, received, messages_sent, messages_received;
    int64_t moved; // when a message moved last
    int code;      // of the first failure
    bool over, sending_is_over, their_end;
};

// ---- Ends -------------------------------------------------------------------------------------

static void end_with(struct exchange *x, int code)
{
    if (!x->over && x->code == EXIT_DONE)
        x->code = code;
    x->over = true;
    bell_group_cancel(x->group);
}

// stdin or stdout; it has been told.
static bool standard_failed(struct exchange *x)
{
    if (errno != ECANCELED)
        end_with(x, EXIT_BROKEN);
    return false;
}

static bool failed(struct exchange *x)
{
    int error = errno;
    if (error == ECANCELED || x->over)
        return false;
    complain("%s (messages: %llu sent, %llu received)", bell_error(), x->messages_sent,
             x->messages_received);
    int code = (int)exit_code_of(error);
    end_with(x, code == EXIT_REFUSED || code == EXIT_TIME ? code : EXIT_BROKEN);
    return false;
}

static const char *peer_of(const struct exchange *x, char *text)
{
    if (x->conn)
        return bell_peer(x->conn);
    return x->is_known ? bell_datagram_peer(&x->whom, text, PEER_SIZE) : bell_dgram_local(x->dgram);
}

// ---- Our side ---------------------------------------------------------------------------------

static bool send_one(struct exchange *x, const char *data, size_t size)
{
    char peer[PEER_SIZE];
    if (x->talk->hex)
        show_hex('>', x->sent, data, size);
    ssize_t n =
        x->conn ? bell_send(x->conn, data, size) : bell_sendto(x->dgram, data, size, &x->whom);
    if (n < 0 && errno == EMSGSIZE) {
        messages_complain_of(peer_of(x, peer), size);
        end_with(x, EXIT_BROKEN);
        return false;
    }
    if (n < 0)
        return failed(x);
    x->sent += size;
    x->messages_sent++;
    x->moved = bell_now();
    return true;
}

// On this machine the word that nobody is there has come by now.
static void look_for_refusal(struct exchange *x)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (x->has_end || !x->conn ||
        getsockopt(bell_fd(x->conn), SOL_SOCKET, SO_ERROR, &error, &size) < 0 || !error || x->over)
        return;
    complain("send to %s: %s", bell_peer(x->conn), strerror(error));
    end_with(x, (int)exit_code_of(error));
}

// As long as datagrams keep coming.
static void await_stragglers(struct exchange *x)
{
    int64_t limit = x->talk->idle ? x->talk->idle : AFTER_TIME;
    x->moved = bell_now();
    for (int64_t left = limit; left > 0; left = x->moved + limit - bell_now())
        if (bell_sleep(left) < 0)
            return;
    if (x->talk->expect) {
        complain("nothing more came for %.3g s, and what was expected did not",
                 (double)limit / (double)BELL_SECOND);
        end_with(x, EXIT_CHECK);
    } else if (x->messages_received == 0) {
        complain("nothing came back for %.3g s", (double)limit / (double)BELL_SECOND);
        end_with(x, EXIT_TIME);
    } else {
        end_with(x, EXIT_DONE);
    }
}

static void end_sending(struct exchange *x)
{
    x->sending_is_over = true;
    tell("eof", "s:s", "of", "stdin");
    if (x->has_end && !x->talk->no_half_close && bell_shutdown(x->conn, SHUT_WR) < 0 &&
        errno != ENOTCONN)
        (void)failed(x);
    if (x->talk->send_only) {
        look_for_refusal(x);
        end_with(x, x->code);
    }
}

static int send_task(void *arg)
{
    struct exchange *x = arg;
    const char *data;
    size_t size;
    int next = 0;
    while (!x->talk->recv_only && (next = messages_next(&x->messages, &data, &size)) > 0)
        if (!send_one(x, data, size))
            return 0;
    if (next < 0) {
        (void)standard_failed(x);
        return 0;
    }
    if (!x->talk->recv_only)
        end_sending(x);
    x->sending_is_over = true;
    if (x->their_end)
        end_with(x, x->code);
    else if (!x->has_end && !x->talk->recv_only && (x->talk->idle || !x->talk->listens))
        await_stragglers(x);
    return 0;
}

// ---- Their side -------------------------------------------------------------------------------

static bool is_same_peer(const struct bell_datagram *a, const struct bell_datagram *b)
{
    return a->peer_size == b->peer_size && !memcmp(&a->peer, &b->peer, a->peer_size);
}

// The first one that sends a datagram is the one, and is answered from the address that he asked.
static bool meet(struct exchange *x, const struct bell_datagram *about)
{
    char peer[PEER_SIZE];
    if (x->is_known)
        return x->is_many || is_same_peer(&x->whom, about);
    x->whom = *about;
    x->is_known = true;
    bell_datagram_peer(about, peer, sizeof peer);
    if (x->talk->verbose || isatty(STDERR_FILENO))
        note("called by %s", peer);
    tell("connected", "s:s, s:s", "peer", peer, "local", bell_dgram_local(x->dgram));
    if (bell_go(x->group, send_task, x) < 0)
        (void)failed(x);
    return !x->over;
}

static ssize_t receive_openly(struct exchange *x, char *data)
{
    struct bell_datagram about = {.size = 0};
    char peer[PEER_SIZE];
    for (;;) {
        ssize_t n = bell_recvfrom(x->dgram, data, MESSAGE_MAX, &about);
        if (n < 0 && errno != EMSGSIZE)
            return n;
        int error = errno;
        bool is_ours = meet(x, &about);
        if (x->talk->verbose && (x->is_many || !is_ours))
            note("%s: %zu bytes%s", bell_datagram_peer(&about, peer, sizeof peer), about.size,
                 is_ours ? "" : ", from somebody else");
        errno = error;
        if (is_ours)
            return n;
    }
}

static bool take_one(struct exchange *x, const char *data, size_t size)
{
    if (x->talk->hex)
        show_hex('<', x->received, data, size);
    x->received += size;
    x->messages_received++;
    x->moved = bell_now();
    if (x->talk->send_only)
        return true;
    if (standard_write(x->cleaner, data, size) < 0)
        return standard_failed(x);
    x->moved = bell_now();
    if (!standard_expect(&x->expectation, data, size))
        return true;
    end_with(x, EXIT_DONE);
    return false;
}

// Whether the other end has not only finished, but gone: then nothing that we would send arrives.
static void watch_for_death(struct exchange *x)
{
    struct pollfd end = {.fd = bell_fd(x->conn)};
    while (!x->over && !x->sending_is_over && !(poll(&end, 1, 0) > 0 && (end.revents & POLLHUP)))
        if (bell_sleep(DEATH_LOOK) < 0)
            return;
    if (x->over || x->sending_is_over)
        return;
    complain("%s: the other end has gone (messages: %llu sent, %llu received)", bell_peer(x->conn),
             x->messages_sent, x->messages_received);
    end_with(x, EXIT_BROKEN);
}

static void take_end(struct exchange *x)
{
    x->their_end = true;
    tell("eof", "s:s", "of", "socket");
    if (x->talk->expect) {
        complain("the other end has finished, and what was expected did not come");
        end_with(x, EXIT_CHECK);
    } else if (x->talk->recv_only || x->sending_is_over || isatty(STDIN_FILENO)) {
        end_with(x, x->code); // who types has seen that nothing more comes
    } else {
        watch_for_death(x);
    }
}

static int receive_task(void *arg)
{
    static char data[MESSAGE_MAX]; // a helper may still have it when we have given up
    struct exchange *x = arg;
    for (;;) {
        ssize_t n = x->conn ? bell_recv(x->conn, data, sizeof data) : receive_openly(x, data);
        if (n >= 0 && !take_one(x, data, (size_t)n))
            return 0;
        if (n >= 0)
            continue;
        if (errno == ESHUTDOWN && x->has_end)
            take_end(x);
        else
            (void)failed(x);
        return 0;
    }
}

// ---- Both -------------------------------------------------------------------------------------

// Waits for both tasks, or until nothing has moved for too long.
static void await_both(struct exchange *x)
{
    char peer[PEER_SIZE];
    int64_t idle = x->talk->idle;
    for (;;) {
        int64_t until = idle ? x->moved + idle : BELL_NEVER;
        if (bell_group_wait(x->group, until) >= 0 || errno != ETIMEDOUT)
            return;
        bool somebody_looks = x->sending_is_over && !x->has_end && !x->talk->recv_only;
        if (bell_now() < x->moved + idle)
            continue;
        if (somebody_looks) { // the other task does
            (void)bell_group_wait(x->group, BELL_NEVER);
            return;
        }
        complain(
            "%s: timed out: nothing came or went for %.3g s (messages: %llu sent, %llu received)",
            peer_of(x, peer), (double)idle / (double)BELL_SECOND, x->messages_sent,
            x->messages_received);
        end_with(x, EXIT_TIME);
    }
}

static void run(struct exchange *x)
{
    static struct cleaner cleaner;
    x->moved = bell_now();
    x->messages.talk = x->talk;
    x->expectation = (struct expectation){.text = x->talk->expect, .size = x->talk->expect_size};
    x->cleaner = !x->talk->raw && isatty(STDOUT_FILENO) ? &cleaner : NULL;
    x->group = bell_group_open();
    if (x->group && bell_go(x->group, receive_task, x) == 0 &&
        (!(x->conn || x->is_known) || bell_go(x->group, send_task, x) == 0)) {
        await_both(x);
    } else {
        complain("%s", bell_error());
        x->code = EXIT_BROKEN;
    }
    bell_group_close(x->group);
    if (x->cleaner)
        (void)standard_write(x->cleaner, NULL, 0);
    tell("summary", "s:I, s:I, s:I, s:I, s:i", "bytes_sent", (long long)x->sent, "bytes_received",
         (long long)x->received, "messages_sent", (long long)x->messages_sent, "messages_received",
         (long long)x->messages_received, "exit", x->code);
}

int exchange(bell_conn *conn, const struct talk *talk, bool owned)
{
    static struct exchange x; // helper threads may still have parts of it
    x = (struct exchange){.conn = conn, .talk = talk};
    x.has_end = socket_type(bell_fd(conn)) == SOCK_SEQPACKET;
    run(&x);
    if (owned && x.code == EXIT_DONE)
        (void)bell_close(conn);
    else if (owned || x.code != EXIT_DONE)
        bell_abort(conn);
    return x.code;
}

int exchange_openly(bell_dgram *dgram, const struct bell_datagram *whom, const struct talk *talk)
{
    static struct exchange x;
    x = (struct exchange){.dgram = dgram, .talk = talk};
    if (whom) {
        x.whom = *whom;
        x.is_known = x.is_many = true;
    }
    run(&x);
    (void)bell_dgram_close(dgram);
    return x.code;
}
