// What the library itself promises, over many seeds: nothing lost, nothing crossed, nothing left.
//
//     library CASE [SEEDS]

#include <doorbell/sim.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 3000, BLOCKS = 8 };

// Byte number n of a stream with this key: one that is lost, doubled or another's shows at once.
static char byte_of(unsigned key, size_t n)
{
    return (char)((key * 2654435761U + (unsigned)n * 40503U) >> 13);
}

static void make(char *data, unsigned key, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = byte_of(key, from + i);
}

static void compare(const char *data, unsigned key, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bell_sim_check(data[i] == byte_of(key, from + i), "byte %zu of stream %u is wrong",
                       from + i, key);
}

static int end(bell_conn *conn, int rc)
{
    if (rc == 0)
        return bell_close(conn) < 0 && bell_sim_is_calm() ? -1 : 0;
    bell_abort(conn);
    return -1;
}

static bell_conn *call(const char *address)
{
    bell_conn *conn = bell_connect(address, NULL);
    if (conn)
        bell_deadline(conn, bell_in(10 * BELL_MINUTE));
    return conn;
}

static struct bell_server_options usual(void)
{
    return (struct bell_server_options){
        .size = sizeof(struct bell_server_options),
        .model = bell_sim_random(3) ? "coroutines" : "iterative",
        .backend = bell_sim_random(2) ? "epoll" : "block",
        .idle_timeout = 10 * BELL_MINUTE,
        .callers_per_address_max = 1000,
    };
}

// ---- transfer: much, both ways at once, through a relay ----------------------------------------------

static int echo(bell_conn *conn, void *arg)
{
    (void)arg;
    char data[4096];
    ssize_t n;
    while ((n = bell_read(conn, data, sizeof data)) > 0)
        if (bell_write(conn, data, (size_t)n) < 0)
            return -1;
    return (int)n;
}

static int pass_on(bell_conn *conn, void *arg)
{
    bell_conn *onward = call(arg);
    if (!onward)
        return -1;
    int rc = bell_relay(conn, onward, NULL);
    bell_abort(onward);
    return rc;
}

struct transfer {
    bell_conn *conn;
    unsigned key;
};

static int send_all(void *arg)
{
    const struct transfer *transfer = arg;
    char data[BLOCK];
    for (size_t i = 0; i < BLOCKS; i++) {
        make(data, transfer->key, i * BLOCK, BLOCK);
        if (bell_write(transfer->conn, data, BLOCK) < 0)
            return -1;
    }
    return bell_shutdown(transfer->conn, SHUT_WR);
}

static int receive_all(const struct transfer *transfer)
{
    char data[BLOCK];
    size_t size = 0;
    ssize_t n;
    while ((n = bell_read(transfer->conn, data, 1 + bell_sim_random(BLOCK))) > 0) {
        compare(data, transfer->key, size, (size_t)n);
        size += (size_t)n;
    }
    return n == 0 && size == (size_t)BLOCK * BLOCKS ? 0 : -1;
}

static int transfer_both_ways(void *arg)
{
    struct transfer transfer = {.key = (unsigned)(uintptr_t)arg};
    transfer.conn = call("relay:80");
    bell_group *group = bell_group_open();
    int rc = transfer.conn && group ? bell_go(group, send_all, &transfer) : -1;
    if (rc == 0)
        rc = receive_all(&transfer);
    if (rc < 0 && group)
        bell_group_cancel(group);
    if (group && bell_group_wait(group, BELL_NEVER) != 0)
        rc = -1;
    bell_group_close(group);
    return end(transfer.conn, rc);
}

static void set_up_transfer(bell_sim *sim, void *arg)
{
    (void)arg;
    struct bell_server_options options = usual();
    bell_sim_serve(sim, "server", "*:7464", echo, NULL, &options);
    bell_sim_serve(sim, "relay", "*:80", pass_on, "server:7464", &options);
    for (uintptr_t i = 1; i <= 3; i++)
        bell_sim_client(sim, NULL, transfer_both_ways, (void *)i);
}

// ---- last: a reply is not lost because input was left unread --------------------------------------------

static int reply_and_leave(bell_conn *conn, void *arg)
{
    char line[64], data[BLOCK];
    (void)arg;
    if (bell_readline(conn, line, sizeof line) <= 0)
        return -1;
    unsigned key = (unsigned)strtoul(line, NULL, 10);
    for (size_t i = 0; i < 5; i++) {
        make(data, key, i * BLOCK, BLOCK);
        if (bell_write(conn, data, BLOCK) < 0)
            return -1;
    }
    return 0; // the rest of what he has said is not read
}

static int say_too_much(void *arg)
{
    unsigned key = (unsigned)(uintptr_t)arg;
    char more[2000] = "", data[BLOCK];
    bell_conn *conn = call("server:7464");
    if (!conn)
        return -1;
    if (bell_printf(conn, "%u\n", key) < 0 || bell_write(conn, more, sizeof more) < 0)
        return end(conn, -1);
    size_t size = 0;
    ssize_t n;
    while ((n = bell_read(conn, data, sizeof data)) > 0) {
        compare(data, key, size, (size_t)n);
        size += (size_t)n;
    }
    if (n == 0)
        bell_sim_check(size == (size_t)5 * BLOCK, "a reply of %zu bytes looks whole", size);
    return end(conn, n == 0 ? 0 : -1);
}

static void set_up_last(bell_sim *sim, void *arg)
{
    (void)arg;
    struct bell_server_options options = usual();
    bell_sim_serve(sim, "server", "*:7464", reply_and_leave, NULL, &options);
    for (uintptr_t i = 1; i <= 6; i++)
        bell_sim_client(sim, NULL, say_too_much, (void *)i);
}

// ---- stop: nobody who was accepted gets half a reply -----------------------------------------------------

static int answer_slowly(bell_conn *conn, void *arg)
{
    char line[64];
    (void)arg;
    ssize_t n;
    while ((n = bell_readline(conn, line, sizeof line)) > 0) {
        if (!strcmp(line, "stop\n"))
            bell_server_stop(bell_conn_server(conn));
        bell_sleep((int64_t)bell_sim_random(20) * BELL_MS);
        if (bell_write(conn, line, (size_t)n) < 0)
            return -1;
    }
    return (int)n;
}

static int ask_until_stopped(void *arg)
{
    char line[64];
    bell_conn *conn = call("server:7464");
    if (!conn)
        return arg ? -1 : 0;
    const char *word = arg ? "stop\n" : "hello\n";
    ssize_t n = 0;
    for (int i = 0; i < 3 && (n == 0 || !arg); i++) {
        if (bell_printf(conn, "%s", word) < 0 || (n = bell_readline(conn, line, sizeof line)) <= 0)
            break;
        bell_sim_check(!strncmp(line, word, (size_t)n), "an answer to %s is %s", word, line);
        bell_sim_check(n == (ssize_t)strlen(word) || !bell_sim_is_calm(), "half an answer: %s",
                       line);
    }
    // Who said stop must hear of it, since it was accepted.
    int rc = end(conn, n > 0 ? 0 : -1);
    return arg ? rc : 0;
}

static void set_up_stop(bell_sim *sim, void *arg)
{
    (void)arg;
    struct bell_server_options options = usual();
    options.model = "coroutines";
    bell_sim_serve(sim, "server", "*:7464", answer_slowly, NULL, &options);
    for (int i = 0; i < 5; i++)
        bell_sim_client(sim, NULL, ask_until_stopped, NULL);
    bell_sim_client(sim, NULL, ask_until_stopped, "stop");
}

// ---- cut: who is cut off sees it, and nobody hangs ----------------------------------------------------------

static int reply_in_pieces(bell_conn *conn, void *arg)
{
    char line[64], data[BLOCK];
    (void)arg;
    if (bell_readline(conn, line, sizeof line) <= 0)
        return -1;
    // A second stop cuts, which in a calm run would be a failure.
    for (int i = bell_sim_is_calm() ? 1 : 2; !strcmp(line, "stop\n") && i > 0; i--) {
        bell_server_stop(bell_conn_server(conn));
        bell_sleep((int64_t)bell_sim_random(40) * BELL_MS);
    }
    unsigned key = (unsigned)strtoul(line, NULL, 10);
    for (size_t i = 0; i < BLOCKS; i++) {
        make(data, key, i * BLOCK, BLOCK);
        if (bell_write(conn, data, BLOCK) < 0)
            return -1;
        bell_sleep((int64_t)bell_sim_random(20) * BELL_MS);
    }
    return 0;
}

static int hear_to_the_end(void *arg)
{
    unsigned key = (unsigned)(uintptr_t)arg;
    char data[BLOCK];
    bell_conn *conn = call("server:7464");
    if (!conn)
        return 0; // it came too late
    ssize_t n = key ? bell_printf(conn, "%u\n", key) : bell_printf(conn, "stop\n");
    size_t size = 0;
    while (n > 0 && (n = bell_read(conn, data, sizeof data)) > 0) {
        compare(data, key, size, (size_t)n);
        size += (size_t)n;
    }
    bell_sim_check(n < 0 || size == (size_t)BLOCK * BLOCKS, "%zu bytes of a reply look whole",
                   size);
    (void)end(conn, n < 0 ? -1 : 0);
    return 0;
}

static void set_up_cut(bell_sim *sim, void *arg)
{
    static const char *const models[] = {"coroutines", "threads", "pool", "iterative"};
    (void)arg;
    struct bell_server_options options = usual();
    options.model = models[bell_sim_random(4)];
    options.workers = 2;
    options.linger_time = (int64_t)bell_sim_random(3000) * BELL_MS;
    bell_sim_serve(sim, "server", "*:7464", reply_in_pieces, NULL, &options);
    for (uintptr_t i = 0; i <= 5; i++)
        bell_sim_client(sim, NULL, hear_to_the_end, (void *)i);
}

// ---- limits: who says nothing is ended, and only he ------------------------------------------------------

static int stay_silent(void *arg)
{
    (void)arg;
    char byte;
    bell_conn *conn = call("server:7464");
    if (!conn)
        return -1;
    int64_t began = bell_now();
    ssize_t n = bell_read(conn, &byte, 1);
    if (n < 0 && errno == ECONNRESET && bell_sim_is_calm()) {
        int64_t took = bell_now() - began;
        bell_sim_check(took >= 4 * BELL_SECOND && took < 6 * BELL_SECOND, "5 s of silence: %lld ns",
                       (long long)took);
        bell_abort(conn);
        return 0;
    }
    return end(conn, -1);
}

static int talk_slowly(void *arg)
{
    (void)arg;
    char line[64];
    bell_conn *conn = call("server:7464");
    for (int i = 0; conn && i < 5; i++) {
        bell_sleep(3 * BELL_SECOND);
        if (bell_printf(conn, "still here\n") < 0 || bell_readline(conn, line, sizeof line) <= 0)
            return end(conn, -1);
    }
    return conn ? end(conn, 0) : -1;
}

static void set_up_limits(bell_sim *sim, void *arg)
{
    (void)arg;
    struct bell_server_options options = usual();
    options.model = "coroutines";
    options.idle_timeout = 5 * BELL_SECOND;
    bell_sim_serve(sim, "server", "*:7464", echo, NULL, &options);
    for (int i = 0; i < 2; i++) {
        bell_sim_client(sim, NULL, stay_silent, NULL);
        bell_sim_client(sim, NULL, talk_slowly, NULL);
    }
}

// ---- eyes: a family that does not work costs a quarter of a second ----------------------------------------

static int connect_quickly(void *arg)
{
    (void)arg;
    int64_t began = bell_now();
    bell_conn *conn = call("server:7464");
    if (!conn)
        return -1;
    int64_t took = bell_now() - began;
    bell_sim_check(took < BELL_SECOND || !bell_sim_is_calm(), "connecting took %lld ns",
                   (long long)took);
    return end(conn, 0);
}

static void set_up_eyes(bell_sim *sim, void *arg)
{
    (void)arg;
    struct bell_server_options options = usual();
    options.flags = bell_sim_random(2) ? BELL_IPV4_ONLY : BELL_IPV6_ONLY;
    bell_sim_serve(sim, "server", "*:7464", echo, NULL, &options);
    for (int i = 0; i < 3; i++)
        bell_sim_client(sim, NULL, connect_quickly, NULL);
}

// ---- datagrams: each answer is of its question; echo to the address that was asked -----------------------

static int echo_dgram(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char data[2000];
    struct bell_datagram about;
    ssize_t n;
    while ((n = bell_recvfrom(dgram, data, sizeof data, &about)) >= 0)
        if (bell_sendto(dgram, data, (size_t)n, &about) < 0 && errno == ESHUTDOWN)
            break;
    return 0;
}

static int ask_datagrams(void *arg)
{
    const char *address = arg;
    bell_conn *conn = bell_connect(address, NULL);
    if (!conn)
        return -1;
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++) {
        char question[64], answer[64];
        int size = snprintf(question, sizeof question, "%d of %s", i, bell_local(conn));
        ssize_t n = bell_call(conn, question, (size_t)size, answer, sizeof answer, NULL);
        rc = n < 0 ? -1 : 0;
        bell_sim_check(n < 0 || (n == size && !memcmp(question, answer, (size_t)size)),
                       "asked %s, answered %.*s", question, (int)(n > 0 ? n : 0), answer);
    }
    bell_abort(conn);
    return rc;
}

static void set_up_datagrams(bell_sim *sim, void *arg)
{
    (void)arg;
    struct bell_server_options options = usual();
    bell_sim_serve_dgram(sim, "server", "udp:*:7464", echo_dgram, NULL, &options);
    bell_sim_serve_dgram(sim, "server", "unixgram:/tmp/d", echo_dgram, NULL, &options);
    for (int i = 0; i < 3; i++)
        bell_sim_client(sim, NULL, ask_datagrams, "udp:server:7464");
    bell_sim_client(sim, NULL, ask_datagrams, "udp6:server:7464");
    bell_sim_client(sim, "server", ask_datagrams, "udp:localhost:7464");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bell_sim_setup *set_up;
    } cases[] = {
        {"transfer", set_up_transfer}, {"last", set_up_last}, {"stop", set_up_stop},
        {"limits", set_up_limits},     {"eyes", set_up_eyes}, {"datagrams", set_up_datagrams},
        {"cut", set_up_cut},
    };
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(argv[1], cases[i].name))
            return bell_sim_main(argc - 1, argv + 1, cases[i].set_up, NULL, NULL);
    fprintf(stderr, "usage: %s transfer|last|stop|cut|limits|eyes|datagrams [SEEDS]\n", argv[0]);
    return 2;
}
