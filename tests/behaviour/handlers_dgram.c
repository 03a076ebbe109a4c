// Handlers of datagrams and of messages.

#include "handlers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BIGGEST = 65536 };

// ---- Servers of datagrams ---------------------------------------------------------------------

// The loop of the slide.
static int dgram_echo(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char *text = malloc(BIGGEST);
    struct bell_datagram about;
    ssize_t n;
    while ((n = bell_recvfrom(dgram, text, BIGGEST, &about)) >= 0)
        if (bell_sendto(dgram, text, (size_t)n, &about) < 0)
            say_result("sendto", -1);
    say_result("recvfrom", n);
    free(text);
    return 0;
}

// Has room for `number` bytes and says what did not fit.
static int dgram_cut(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[256], reply[512];
    struct bell_datagram about;
    for (;;) {
        ssize_t n = bell_recvfrom(dgram, text, (size_t)number, &about);
        if (n < 0 && errno != EMSGSIZE)
            return 0;
        size_t there = n < 0 ? bell_done() : (size_t)n;
        int length = snprintf(reply, sizeof reply, "%s %zu of %zu: %.*s", n < 0 ? "cut" : "whole",
                              there, about.size, (int)there, text);
        bell_sendto(dgram, reply, (size_t)length, &about);
    }
}

static int dgram_about(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[64], reply[512], peer[128], local[128];
    struct bell_datagram about;
    while (bell_recvfrom(dgram, text, sizeof text, &about) >= 0) {
        int length = snprintf(
            reply, sizeof reply, "%s %s %u %d", bell_datagram_peer(&about, peer, sizeof peer),
            bell_datagram_local(&about, local, sizeof local), about.interface, about.to_group);
        if (bell_sendto(dgram, reply, (size_t)length, &about) < 0)
            say_result("sendto", -1);
    }
    return 0;
}

// Takes `number` milliseconds for each.
static int dgram_slow(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[64];
    struct bell_datagram about;
    ssize_t n;
    while ((n = bell_recvfrom(dgram, text, sizeof text, &about)) >= 0) {
        say("slow begins");
        if (bell_sleep(number * BELL_MS) < 0) {
            say_result("sleep", -1);
            return -1;
        }
        bell_sendto(dgram, text, (size_t)n, &about);
    }
    say_result("recvfrom", n);
    return 0;
}

// The textbook's loop that ends at the first failure: here, a datagram of more than 4 bytes.
static int dgram_frail(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[4];
    struct bell_datagram about;
    ssize_t n;
    while ((n = bell_recvfrom(dgram, text, sizeof text, &about)) >= 0)
        bell_sendto(dgram, text, (size_t)n, &about);
    return (int)n;
}

struct late_reply {
    bell_dgram *dgram;
    struct bell_datagram about;
    char text[64];
    size_t size;
};

static int reply_late(void *arg)
{
    struct late_reply *reply = arg;
    bell_sleep(5 * BELL_MS);
    bell_sendto(reply->dgram, reply->text, reply->size, &reply->about);
    free(reply);
    return 0;
}

// A task for each datagram.
static int dgram_tasks(bell_dgram *dgram, void *arg)
{
    (void)arg;
    for (;;) {
        struct late_reply *reply = malloc(sizeof *reply);
        ssize_t n = bell_recvfrom(dgram, reply->text, sizeof reply->text, &reply->about);
        reply->dgram = dgram;
        reply->size = (size_t)n;
        if (n < 0 || bell_go(NULL, reply_late, reply) < 0) {
            free(reply);
            return 0;
        }
    }
}

// Stops its server, and `number` times more when it has answered.
static int dgram_stop(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[64];
    struct bell_datagram about;
    ssize_t n;
    while ((n = bell_recvfrom(dgram, text, sizeof text, &about)) >= 0) {
        bool stops = n == 4 && !memcmp(text, "stop", 4);
        if (stops)
            bell_server_stop(bell_dgram_server(dgram));
        bell_sendto(dgram, text, (size_t)n, &about);
        for (int i = 0; stops && i < number; i++)
            bell_server_stop(bell_dgram_server(dgram));
    }
    return 0;
}

static int dgram_misuse(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char text[64];
    struct bell_datagram about, nobody = {0};
    ssize_t n;
    bell_dgram_deadline(dgram, bell_in(5 * BELL_MS));
    say_result("recvfrom", bell_recvfrom(dgram, text, sizeof text, &about));
    bell_dgram_deadline(dgram, BELL_NEVER);
    say_result("close", bell_dgram_close(dgram));
    say_result("sendto nobody", bell_sendto(dgram, "x", 1, &nobody));
    say_result("sendto NULL", bell_sendto(dgram, "x", 1, NULL));
    say_result("fd of NULL", bell_dgram_fd(NULL));
    say_result("close of NULL", bell_dgram_close(NULL));
    say("result fd %d", bell_dgram_fd(dgram) >= 0);
    while ((n = bell_recvfrom(dgram, text, sizeof text, NULL)) >= 0)
        say("result got %zd", n);
    return 0;
}

bell_dgram_handler *find_dgram_handler(const char *name)
{
    static const struct {
        const char *name;
        bell_dgram_handler *handler;
    } handlers[] = {
        {"dgram_echo", dgram_echo}, {"dgram_cut", dgram_cut},       {"dgram_about", dgram_about},
        {"dgram_slow", dgram_slow}, {"dgram_frail", dgram_frail},   {"dgram_tasks", dgram_tasks},
        {"dgram_stop", dgram_stop}, {"dgram_misuse", dgram_misuse},
    };
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (!strcmp(name, handlers[i].name))
            return handlers[i].handler;
    return NULL;
}

// ---- Messages ---------------------------------------------------------------------------------

// Each message comes back; one of more than 100 bytes as "cut".
int messages(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[100];
    ssize_t n;
    say_result("read", bell_read(conn, text, sizeof text));
    say_result("readline", bell_readline(conn, text, sizeof text));
    say_result("write", bell_write(conn, "x", 1));
    say_result("skip", bell_skip(conn, 0));
    for (;;) {
        n = bell_recv(conn, text, sizeof text);
        if (n < 0 && errno != EMSGSIZE)
            break;
        if (bell_send(conn, n < 0 ? "cut" : text, n < 0 ? 3 : (size_t)n) < 0)
            return -1;
    }
    say_result("recv", n);
    return errno == ESHUTDOWN ? 0 : -1;
}

// ---- A client that does what it is told, line by line -----------------------------------------

struct client {
    bell_conn *teller, *conn;
    bell_dgram *dgram;
    struct bell_datagram about;
    char *text;    // BIGGEST bytes
    char from[64]; // the address to call from, or ""
    struct bell_call_options options;
};

static int tell_failure(struct client *client)
{
    const char *name = strerrorname_np(errno);
    size_t done = bell_done();
    return bell_printf(client->teller, "-%s %zu %s\n", name, done, bell_error());
}

static int tell_size(struct client *client, ssize_t n)
{
    return n < 0 ? tell_failure(client) : bell_printf(client->teller, "%zd\n", n);
}

static int tell_text(struct client *client, ssize_t n)
{
    if (n < 0)
        return tell_failure(client);
    return bell_printf(client->teller, "%zd %.*s\n", n, (int)(n < 100 ? n : 100), client->text);
}

static int do_connect(struct client *client, const char *address)
{
    struct bell_options options = {.size = sizeof options, .bind = client->from};
    client->conn = bell_connect(address, *client->from ? &options : NULL);
    if (!client->conn)
        return tell_failure(client);
    return bell_printf(client->teller, "%s %s\n", bell_peer(client->conn),
                       bell_local(client->conn));
}

static int do_open(struct client *client, const char *address)
{
    struct bell_options options = {.size = sizeof options,
                                   .sockopts = "multicast_loop=1, broadcast"};
    client->dgram = bell_dgram_open(*address ? address : NULL,
                                    *address == 'u' && address[4] != 'g' ? &options : NULL);
    return client->dgram ? bell_printf(client->teller, "%s\n", bell_dgram_local(client->dgram))
                         : tell_failure(client);
}

static int do_recvfrom(struct client *client, size_t size)
{
    char peer[128], local[128];
    ssize_t n = bell_recvfrom(client->dgram, client->text, size, &client->about);
    if (n < 0)
        return tell_failure(client);
    return bell_printf(client->teller, "%zd %.*s %s %s %d\n", n, (int)(n < 100 ? n : 100),
                       client->text, bell_datagram_peer(&client->about, peer, sizeof peer),
                       bell_datagram_local(&client->about, local, sizeof local),
                       client->about.to_group);
}

// The answer to a question is the question with a letter before it.
static bool is_answer(const void *request, size_t size, const void *answer, size_t answer_size,
                      void *arg)
{
    (void)arg;
    return answer_size == size + 1 && !memcmp(request, (const char *)answer + 1, size);
}

// "TRIES FIRST_MS TEXT"
static int do_call(struct client *client, char *what, bool matches)
{
    char *end;
    client->options = (struct bell_call_options){.size = sizeof client->options};
    client->options.tries = (int)strtol(what, &end, 10);
    client->options.first_wait = strtol(end, &end, 10) * BELL_MS;
    client->options.matches = matches ? is_answer : NULL;
    end += *end == ' ';
    return tell_text(
        client, bell_call(client->conn, end, strlen(end), client->text, 100, &client->options));
}

static int do_close(struct client *client)
{
    int rc = 0;
    if (client->conn)
        rc = bell_close(client->conn);
    if (client->dgram)
        rc = bell_dgram_close(client->dgram);
    client->conn = NULL;
    client->dgram = NULL;
    return tell_size(client, rc);
}

static int do_word(struct client *client, const char *word, char *rest)
{
    size_t size = (size_t)strtoul(rest, NULL, 10);
    if (!strcmp(word, "from"))
        return tell_size(client, snprintf(client->from, sizeof client->from, "%s", rest));
    if (!strcmp(word, "connect"))
        return do_connect(client, rest);
    if (!strcmp(word, "send"))
        return tell_size(client, bell_send(client->conn, rest, strlen(rest)));
    if (!strcmp(word, "fill")) // sends so many bytes
        return tell_size(client, bell_send(client->conn, memset(client->text, 'x', BIGGEST), size));
    if (!strcmp(word, "recv"))
        return tell_text(client, bell_recv(client->conn, client->text, size));
    if (!strcmp(word, "read"))
        return tell_text(client, bell_read(client->conn, client->text, size));
    if (!strcmp(word, "deadline"))
        return tell_size(client, bell_deadline(client->conn, bell_in((int64_t)size * BELL_MS)));
    if (!strcmp(word, "shutdown"))
        return tell_size(client, bell_shutdown(client->conn, SHUT_WR));
    if (!strcmp(word, "call"))
        return do_call(client, rest, false);
    if (!strcmp(word, "match"))
        return do_call(client, rest, true);
    if (!strcmp(word, "open"))
        return do_open(client, rest);
    if (!strcmp(word, "find"))
        return tell_size(client, bell_dgram_find(client->dgram, rest, &client->about));
    if (!strcmp(word, "sendto"))
        return tell_size(client, bell_sendto(client->dgram, rest, strlen(rest), &client->about));
    if (!strcmp(word, "recvfrom"))
        return do_recvfrom(client, size);
    if (!strcmp(word, "patience"))
        return tell_size(client,
                         bell_dgram_deadline(client->dgram, bell_in((int64_t)size * BELL_MS)));
    if (!strcmp(word, "dropped"))
        return tell_size(client, (ssize_t)bell_dgram_dropped(client->dgram));
    if (!strcmp(word, "close"))
        return do_close(client);
    return -1;
}

// "WORD REST", or "until MILLISECONDS WORD REST": with a deadline from here on.
static int do_line(struct client *client, char *line)
{
    if (!strncmp(line, "until ", 6)) {
        int64_t ms = strtol(line + 6, &line, 10);
        bell_deadline(client->conn, bell_in(ms * BELL_MS));
        line += *line == ' ';
    }
    char *rest = strchrnul(line, ' ');
    if (*rest)
        *rest++ = '\0';
    return do_word(client, line, rest);
}

int told_client(bell_conn *conn, void *arg)
{
    (void)arg;
    struct client client = {.teller = conn, .text = malloc(BIGGEST)};
    char line[1024];
    ssize_t n;
    while ((n = bell_readline(conn, line, sizeof line)) > 0) {
        line[n - 1] = '\0';
        if (do_line(&client, line) < 0)
            break;
    }
    bell_abort(client.conn);
    bell_dgram_close(client.dgram);
    free(client.text);
    return n < 0;
}

// ---- Many calls -------------------------------------------------------------------------------

enum { ASKERS = 50 };

struct asker {
    const char *address;
    int number;
    bool matches;
    int answered, reported, wrong;
};

static bool is_in_capitals(const void *request, size_t size, const void *answer, size_t answer_size,
                           void *arg)
{
    (void)arg;
    return size == answer_size &&
           !memcmp((const char *)request + 1, (const char *)answer + 1, size - 1);
}

// Each question is another one; its answer is the same in capitals.
static void ask_one(struct asker *asker, bell_conn *conn, int i)
{
    struct bell_call_options options = {
        .size = sizeof options, .tries = 8, .first_wait = 4 * BELL_MS};
    options.matches = asker->matches ? is_in_capitals : NULL;
    char question[64], answer[64], expected[64];
    int size = snprintf(question, sizeof question, "q%d.%d", asker->number, i);
    snprintf(expected, sizeof expected, "Q%d.%d", asker->number, i);
    ssize_t n = bell_call(conn, question, (size_t)size, answer, sizeof answer, &options);
    if (n < 0 && errno == ETIMEDOUT)
        asker->reported++;
    else if (n == size && !memcmp(answer, expected, (size_t)n))
        asker->answered++;
    else
        asker->wrong++;
}

static int ask_many(void *arg)
{
    struct asker *asker = arg;
    bell_conn *conn = bell_connect(asker->address, NULL);
    for (int i = 0; conn && i < (int)number / ASKERS; i++)
        ask_one(asker, conn, i);
    bell_close(conn);
    return conn ? 0 : -1;
}

// Reads an address, asks there (after "match " matching the answers) `number` questions, many at a time, and says how that went.
int many_calls(bell_conn *conn, void *arg)
{
    (void)arg;
    char address[256];
    struct asker askers[ASKERS];
    ssize_t n = bell_readline(conn, address, sizeof address);
    if (n < 1)
        return -1;
    address[n - 1] = '\0';
    bell_group *group = bell_group_open();
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.address = address, .number = i};
        askers[i].matches = !strncmp(address, "match ", 6);
        askers[i].address += askers[i].matches ? 6 : 0;
        bell_go(group, ask_many, &askers[i]);
    }
    int failed = bell_group_wait(group, BELL_NEVER);
    bell_group_close(group);
    struct asker sum = {0};
    for (int i = 0; i < ASKERS; i++) {
        sum.answered += askers[i].answered;
        sum.reported += askers[i].reported;
        sum.wrong += askers[i].wrong;
    }
    return bell_printf(conn, "%d answered, %d reported, %d wrong, %d failed\n", sum.answered,
                       sum.reported, sum.wrong, failed) < 0;
}
