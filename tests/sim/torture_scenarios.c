// What servers and callers do while calls fail. Whatever goes wrong, each call gives up in time and says one of the
// errors that doorbell.h tells of, and a reply that looks whole is whole.
//
// Of the command's services exec and files are not here: this network has neither processes nor files. The system's
// kernel has (tests/torture/torture.py).

int chat_main(int argc, char **argv);
#define main chat_main           // NOLINT(readability-identifier-naming)
#include "../../examples/chat.c" // NOLINT(bugprone-suspicious-include): with main as chat_main
#undef main

#include <errno.h>
#include <stdatomic.h>

#include "../../tool/services.h"
#include "torture.h"

enum { LARGE = 20000 };

static const int64_t patience = 10 * BELL_SECOND;
// What a call may take beyond its deadline: time goes on a little with each look.
static const int64_t slack = 20 * BELL_MS;

// ---- What may be told ---------------------------------------------------------------------------

#define TALKING "ETIMEDOUT EHOSTUNREACH ECONNRESET ECONNABORTED ECANCELED ENOMEM ENOBUFS ENOSPC "
#define WRITING TALKING "EPIPE "
// With what socket(2) and connect(2) say.
#define CALLING                                                                           \
    "ENOENT ECONNREFUSED ETIMEDOUT EADDRNOTAVAIL ECANCELED EACCES EMFILE ENFILE ENOBUFS " \
    "ENOMEM ENOSPC ENETUNREACH EAGAIN ECONNRESET EHOSTUNREACH "

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

void told(const char *call, int error, const char *may)
{
    const char *name = strerrorname_np(error);
    bell_sim_check(name && has_word(may, name), "%s says %s, which is not in the manual: %s", call,
                   name ? name : "?", bell_error());
}

static int failed(const char *call, const char *may)
{
    told(call, errno, may);
    return -1;
}

// ---- Handlers -----------------------------------------------------------------------------------

static int echo(bell_conn *conn, void *arg)
{
    char data[4096];
    ssize_t n;
    (void)arg;
    while ((n = bell_read(conn, data, sizeof data)) > 0)
        if (bell_write(conn, data, (size_t)n) < 0)
            return failed("bell_write", WRITING);
    return n < 0 ? failed("bell_read", TALKING) : 0;
}

static int answer_lines(bell_conn *conn, void *arg)
{
    char line[64];
    ssize_t n;
    (void)arg;
    while ((n = bell_readline(conn, line, sizeof line)) > 0) {
        if (!strcmp(line, "stop\n"))
            bell_server_stop(bell_conn_server(conn));
        if (bell_printf(conn, "%s", line) < 0)
            return failed("bell_printf", WRITING);
    }
    return n < 0 ? failed("bell_readline", TALKING) : 0;
}

static int relay(bell_conn *conn, void *arg)
{
    const struct bell_options options = {.size = sizeof options, .timeout = 3 * BELL_SECOND};
    (void)arg;
    bell_conn *onward = bell_connect("origin:7", &options);
    if (!onward)
        return failed("bell_connect", CALLING);
    bell_deadline(onward, bell_in(patience));
    if (bell_relay(conn, onward, NULL) == 0)
        return bell_close(onward) < 0
                   ? failed("bell_close", "ETIMEDOUT ECONNRESET EHOSTUNREACH ENOMEM ENOBUFS ENOSPC")
                   : 0;
    told("bell_relay", errno, WRITING);
    bell_abort(onward);
    return -1;
}

static int half_close(bell_conn *conn, void *arg)
{
    char data[64];
    ssize_t n;
    (void)arg;
    if (bell_write(conn, "before\n", 7) < 0)
        return failed("bell_write", WRITING);
    if (bell_shutdown(conn, SHUT_WR) < 0)
        return failed("bell_shutdown", "ENOTCONN EBADF ENOBUFS");
    while ((n = bell_read(conn, data, sizeof data)) > 0)
        ;
    return n < 0 ? failed("bell_read", TALKING) : 0;
}

static const char *large_text(void)
{
    static char text[LARGE + 1];
    for (int i = 0; !text[0] && i < LARGE; i++)
        text[LARGE - 1 - i] = (char)('a' + i % 23);
    return text;
}

// Leaves most of what is said unread.
static int answer_first_byte(bell_conn *conn, void *arg)
{
    char byte;
    (void)arg;
    if (bell_read(conn, &byte, 1) < 0)
        return failed("bell_read", TALKING);
    return bell_write(conn, large_text(), LARGE) < 0 ? failed("bell_write", WRITING) : 0;
}

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

static int use_helper(bell_conn *conn, void *arg)
{
    int result = 0;
    if (bell_block(seven, NULL, &result) < 0)
        return failed("bell_block", "ECANCELED EAGAIN ENOMEM");
    bell_sim_check(result == 7, "bell_block gives %d", result);
    return answer_lines(conn, arg);
}

struct letters {
    bell_conn *conn;
    bell_channel *channel;
};

static int post_letters(void *arg)
{
    const struct letters *letters = arg;
    char *line = malloc(64);
    ssize_t n;
    while ((n = bell_readline(letters->conn, line, 64)) > 0) {
        if (bell_channel_send(letters->channel, line, BELL_NEVER) < 0)
            break;
        line = malloc(64);
    }
    free(line);
    bell_channel_end(letters->channel);
    return n < 0 ? failed("bell_readline", TALKING) : 0;
}

static int deliver_letters(const struct letters *letters)
{
    void *line;
    int rc = 0;
    while (bell_channel_receive(letters->channel, &line, BELL_NEVER) == 1) {
        if (rc == 0 && bell_printf(letters->conn, "%s", (char *)line) < 0)
            rc = failed("bell_printf", WRITING);
        free(line);
    }
    return rc;
}

// One task reads, and another writes.
static int use_tasks(bell_conn *conn, void *arg)
{
    (void)arg;
    struct letters letters = {.conn = conn, .channel = bell_channel_open(1)};
    bell_group *group = letters.channel ? bell_group_open() : NULL;
    int rc = -1;
    if (!group)
        (void)failed("bell_channel_open, bell_group_open", "ENOMEM");
    else if (bell_go(group, post_letters, &letters) < 0)
        (void)failed("bell_go", "ENOMEM");
    else
        rc = deliver_letters(&letters);
    if (group && bell_group_wait(group, BELL_NEVER) != 0)
        rc = -1;
    bell_group_close(group);
    bell_channel_close(letters.channel);
    return rc;
}

static int echo_datagrams(bell_dgram *dgram, void *arg)
{
    char data[200];
    struct bell_datagram about;
    (void)arg;
    for (;;) {
        ssize_t n = bell_recvfrom(dgram, data, sizeof data, &about);
        if (n < 0 && errno == ESHUTDOWN)
            return 0;
        if (n < 0)
            return failed("bell_recvfrom", "EMSGSIZE ETIMEDOUT ECANCELED ENOMEM ENOBUFS ENOSPC");
        if (bell_sendto(dgram, data, (size_t)n, &about) < 0)
            told("bell_sendto", errno,
                 "ENOBUFS ESHUTDOWN ETIMEDOUT ECANCELED EADDRNOTAVAIL ENETUNREACH ECONNREFUSED "
                 "ENOMEM ENOSPC EPERM EHOSTUNREACH ECONNRESET EPIPE");
    }
}

void scenario_handler(struct room *room, bell_handler **ret_handler, void **ret_arg)
{
    static struct shared shared;
    static const struct manner manner = {.text = "Not today.", .shared = &shared};
    const struct service *service = services;
    *ret_handler = room->scenario->handler;
    *ret_arg = room;
    if (!room->scenario->service)
        return;
    while (strcmp(service->name, room->scenario->service) != 0)
        service++;
    *ret_handler = service->handler;
    *ret_arg = (void *)(uintptr_t)&manner;
}

// ---- Callers ------------------------------------------------------------------------------------

static const char *address_of(const struct room *room)
{
    return room->scenario->dgram_handler ? "udp:server:7464" : "server:7464";
}

static bell_conn *call_server(struct room *room)
{
    const struct bell_options options = {
        .size = sizeof options, .timeout = patience, .linger_time = BELL_SECOND};
    int64_t began = bell_now();
    bell_conn *conn = bell_connect(address_of(room), &options);
    int64_t took = bell_now() - began;
    bell_sim_check(took <= patience + slack, "bell_connect took %lld ms",
                   (long long)(took / BELL_MS));
    if (!conn)
        (void)failed("bell_connect", CALLING);
    else
        bell_deadline(conn, bell_in(patience));
    return conn;
}

// Ends what began at `began`.
static int hang_up(bell_conn *conn, int64_t began, int rc)
{
    if (rc == 0 && bell_close(conn) < 0) {
        told("bell_close", errno, "ETIMEDOUT ECONNRESET EHOSTUNREACH ENOMEM ENOBUFS ENOSPC");
    } else if (rc != 0) {
        bell_abort(conn);
    }
    int64_t took = bell_now() - began;
    bell_sim_check(took <= patience + BELL_SECOND + slack, "a conversation took %lld ms",
                   (long long)(took / BELL_MS));
    return rc;
}

static int speak(bell_conn *conn, const char *text)
{
    if (bell_write(conn, text, strlen(text)) < 0)
        return failed("bell_write", WRITING);
    return bell_shutdown(conn, SHUT_WR) < 0 ? failed("bell_shutdown", "ENOTCONN EBADF ENOBUFS") : 0;
}

// All until the end, which must not come early. `heard` NULL: anything.
static int hear_all(bell_conn *conn, const char *heard)
{
    char data[1500];
    size_t size = 0;
    ssize_t n;
    while ((n = bell_read(conn, data, sizeof data)) > 0) {
        size_t whole = heard ? strlen(heard) : SIZE_MAX;
        bell_sim_check(size + (size_t)n <= whole, "%zu bytes of a reply", size + (size_t)n);
        bell_sim_check(!heard || !memcmp(heard + size, data, (size_t)n), "a wrong reply: %.*s",
                       (int)n, data);
        size += (size_t)n;
    }
    if (n < 0)
        return failed("bell_read", TALKING);
    bell_sim_check(heard ? size == strlen(heard) : size > 0, "a reply of %zu bytes looks whole",
                   size);
    return 0;
}

static int talk(struct room *room)
{
    const struct scenario *scenario = room->scenario;
    int64_t began;
    bell_conn *conn = call_server(room);
    began = bell_now();
    if (!conn)
        return -1;
    int rc = speak(conn, scenario->said);
    return hang_up(conn, began, rc == 0 ? hear_all(conn, scenario->heard) : rc);
}

static int talk_large(struct room *room)
{
    bell_conn *conn = call_server(room);
    int64_t began = bell_now();
    if (!conn)
        return -1;
    int rc = speak(conn, large_text());
    const char *heard = room->scenario->heard ? room->scenario->heard : large_text();
    return hang_up(conn, began, rc == 0 ? hear_all(conn, heard) : rc);
}

// Speaks after the other end has finished.
static int answer_after_end(struct room *room)
{
    bell_conn *conn = call_server(room);
    int64_t began = bell_now();
    if (!conn)
        return -1;
    int rc = hear_all(conn, "before\n");
    return hang_up(conn, began, rc == 0 ? speak(conn, "after your end\n") : rc);
}

static int leave_unread(struct room *room)
{
    char text[2000] = "";
    bell_conn *conn = call_server(room);
    int64_t began = bell_now();
    if (!conn)
        return -1;
    int rc = bell_write(conn, text, sizeof text) < 0 ? failed("bell_write", WRITING) : 0;
    return hang_up(conn, began, rc == 0 ? hear_all(conn, large_text()) : rc);
}

// A line of an answer that has no end.
static int hear_some(struct room *room)
{
    char line[74];
    bell_conn *conn = call_server(room);
    int64_t began = bell_now();
    if (!conn)
        return -1;
    ssize_t n = bell_readn(conn, line, sizeof line);
    if (n < 0)
        told("bell_readn", errno, TALKING);
    (void)hang_up(conn, began, -1);
    return n == (ssize_t)sizeof line ? 0 : -1;
}

static int ask_datagrams(struct room *room)
{
    const struct bell_call_options options = {.size = sizeof options, .tries = 3};
    char answer[100];
    ssize_t n = 0;
    bell_conn *conn = call_server(room);
    int64_t began = bell_now();
    for (int i = 0; conn && i < 3 && n >= 0; i++) {
        char question[20];
        int size = snprintf(question, sizeof question, "question %d", i);
        n = bell_call(conn, question, (size_t)size, answer, sizeof answer, &options);
        if (n < 0)
            told("bell_call", errno, WRITING CALLING);
        bell_sim_check(n < 0 || (n == size && !memcmp(question, answer, (size_t)n)),
                       "%s is answered %.*s", question, (int)n, answer);
    }
    if (!conn)
        return -1;
    return hang_up(conn, began, n < 0 ? -1 : 0);
}

// Hears himself, and goes when he has.
static int join_chat(struct room *room)
{
    char line[200] = "";
    bell_conn *conn = call_server(room);
    int64_t began = bell_now();
    ssize_t n = 1;
    if (!conn)
        return -1;
    if (bell_printf(conn, "/nick me\nhello\n") < 0)
        n = failed("bell_printf", WRITING);
    while (n > 0 && strcmp(line, "me: hello\n") != 0)
        n = bell_readline(conn, line, sizeof line);
    if (n < 0)
        told("bell_readline", errno, WRITING);
    return hang_up(conn, began, n > 0 ? 0 : -1);
}

// ---- Servers behind the server ----------------------------------------------------------------------

static void serve_origin(bell_sim *sim, unsigned flags)
{
    const struct bell_server_options options = {.size = sizeof options,
                                                .model = "coroutines",
                                                .callers_per_address_max = 100,
                                                .idle_timeout = BELL_MINUTE,
                                                .flags = flags};
    bell_sim_serve(sim, "origin", "*:7", echo, NULL, &options);
}

static void build_origin(bell_sim *sim)
{
    serve_origin(sim, 0);
}

// So that the attempt at IPv6 loses.
static void build_old_origin(bell_sim *sim)
{
    serve_origin(sim, BELL_IPV4_ONLY);
}

static void build_chat(bell_sim *sim)
{
    (void)sim;
    members = NULL;
    guests = 0;
}

#define TOGETHER (MODEL_ALL & ~MODEL_ITERATIVE)

const struct scenario scenarios[] = {
    {"echo", MODEL_ALL, .handler = echo, .behave = talk, .said = "hello", .heard = "hello"},
    {"large", MODEL_ALL, .handler = echo, .behave = talk_large},
    {"line", MODEL_ALL, .handler = answer_lines, .second = "/tmp/x.sock", .behave = talk,
     .said = "one\ntwo", .heard = "one\ntwo"},
    {"relay", MODEL_ALL, .handler = relay, .behave = talk, .said = "hello", .heard = "hello",
     .build = build_origin},
    {"race", MODEL_ALL, .handler = relay, .behave = talk, .said = "hello", .heard = "hello",
     .build = build_old_origin},
    {"half-close", MODEL_ALL, .handler = half_close, .behave = answer_after_end},
    {"drain", MODEL_ALL, .handler = answer_first_byte, .behave = leave_unread},
    {"stop", MODEL_ALL, .handler = answer_lines, .behave = talk, .said = "one\nstop\ntwo\n",
     .heard = "one\nstop\ntwo\n", .stops = true},
    {"block", MODEL_ALL, .handler = use_helper, .behave = talk, .said = "one\n", .heard = "one\n"},
    {"tasks", MODEL_ALL, .handler = use_tasks, .behave = talk, .said = "one\ntwo\nthree\n",
     .heard = "one\ntwo\nthree\n"},
    {"chat", TOGETHER, .handler = chat, .behave = join_chat, .build = build_chat},
    {"datagrams", MODEL_ALL, .dgram_handler = echo_datagrams, .address = "udp:*:7464",
     .behave = ask_datagrams},
    {"serve-echo", MODEL_ALL, .service = "echo", .behave = talk, .said = "hi", .heard = "hi"},
    {"upper", MODEL_ALL, .service = "upper", .behave = talk, .said = "hi", .heard = "HI"},
    {"discard", MODEL_ALL, .service = "discard", .behave = talk_large, .heard = ""},
    {"chargen", MODEL_ALL, .service = "chargen", .behave = hear_some},
    {"daytime", MODEL_ALL, .service = "daytime", .behave = talk, .said = ""},
    {"time", MODEL_ALL, .service = "time", .behave = talk, .said = ""},
    {"quote", MODEL_ALL, .service = "quote", .behave = talk, .said = "", .heard = "Not today."},
    {"message", MODEL_ALL, .service = "message", .behave = talk, .said = "hi\n",
     .heard = "I got your message"},
    {.name = NULL},
};
