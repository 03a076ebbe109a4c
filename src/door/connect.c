// Calling: one address text to one connection.

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "addr/addr.h"
#include "conn/conn.h"
#include "kernel/kernel.h"
#include "name/name.h"
#include "wait/failure.h"

#define CONNECT_TIMEOUT (30 * BELL_SECOND)
// RFC 8305, 5: "a default value of 250 milliseconds is RECOMMENDED" between connection attempts.
#define ATTEMPT_DELAY (250 * BELL_MS)
// A Unix listener whose queue is full tells nobody when there is room again.
#define QUEUE_RETRY_MIN BELL_MS
#define QUEUE_RETRY_MAX (50 * BELL_MS)

struct race;

struct attempt {
    struct race *race;
    const union name_address *address;
    struct endpoint endpoint; // fd -1: not begun, or closed
    struct wait_call call;
};

// RFC 8305, Happy Eyeballs Version 2: attempts at several addresses, the first that succeeds wins.
struct race {
    const struct bell_options *options;
    const union name_address *from; // where to call from, or NULL
    struct loop *loop;
    struct wait_call news; // the calling task waits for it
    int64_t deadline;
    int64_t next_start;
    int begun, under_way;
    int error; // the most telling so far
    struct attempt *winner;
    int count;
    struct attempt attempts[];
};

// ---- One attempt ------------------------------------------------------------------------------

// What says most about why it does not work: somebody refused, rather than some network is not there.
static int rank(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -EAFNOSUPPORT:
    case -EADDRNOTAVAIL:
    case -ENETUNREACH:
        return 1;
    case -EHOSTUNREACH:
        return 2;
    case -ECONNREFUSED:
        return 4;
    default:
        return 3;
    }
}

static void note_error(struct race *race, int error)
{
    if (rank(error) >= rank(race->error))
        race->error = error;
    race->next_start = 0; // the next one need not wait for its time
}

static void attempt_ended(struct wait_call *call)
{
    struct attempt *attempt = LIST_ENTRY(call, struct attempt, call);
    struct race *race = attempt->race;
    race->under_way--;
    if (call->result == 0 && !race->winner)
        race->winner = attempt;
    else if (call->result < 0 && call->result != -ECANCELED)
        note_error(race, (int)call->result);
    if (wait_is_waiting(&race->news))
        wait_complete(&race->news, 0);
}

static int prepare_socket(const struct race *race, int fd, const union name_address *address)
{
    static const int one = 1;
    (void)kernel->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!race->from)
        return 0;
    if (race->from->any.sa_family != address->any.sa_family)
        return -EADDRNOTAVAIL;
    // Without this the kernel would reserve the port for all destinations at once.
    (void)kernel->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return kernel->bind(fd, &race->from->any, name_address_size(race->from));
}

static void begin_attempt(struct race *race)
{
    struct attempt *attempt = &race->attempts[race->begun++];
    race->next_start = kernel->now() + ATTEMPT_DELAY;
    int fd = kernel->socket(attempt->address->any.sa_family, SOCK_STREAM, 0);
    int rc = fd < 0 ? fd : prepare_socket(race, fd, attempt->address);
    if (rc < 0) {
        if (fd >= 0)
            (void)kernel->close(fd);
        note_error(race, rc);
        return;
    }
    wait_open(&attempt->endpoint, fd);
    attempt->call.kind = WAIT_CONNECT;
    attempt->call.endpoint = &attempt->endpoint;
    attempt->call.from = &attempt->address->any;
    attempt->call.size = name_address_size(attempt->address);
    attempt->call.deadline = INT64_MAX;
    attempt->call.done = attempt_ended;
    race->under_way++;
    wait_start(race->loop, &attempt->call);
}

// ---- The race ---------------------------------------------------------------------------------

// Waits for news of an attempt, or for the time of the next one. 0, -ETIMEDOUT: the race's own
// deadline, -ECANCELED.
static int wait_for_news(struct race *race)
{
    bool more = race->begun < race->count;
    int64_t until = more && race->next_start < race->deadline ? race->next_start : race->deadline;
    race->news = (struct wait_call){.kind = WAIT_WAKE, .deadline = until};
    int rc = (int)wait_for(&race->news);
    return rc == -ETIMEDOUT && until != race->deadline ? 0 : rc;
}

static int run_race(struct race *race)
{
    while (!race->winner) {
        bool may_begin = race->begun < race->count;
        if (may_begin && (race->under_way == 0 || kernel->now() >= race->next_start)) {
            begin_attempt(race);
            continue;
        }
        if (race->under_way == 0)
            return race->error;
        int rc = wait_for_news(race);
        if (rc < 0)
            return rc;
    }
    return 0;
}

// Takes the winner's descriptor out, and closes the others'.
static int end_race(struct race *race)
{
    int fd = -1;
    if (race->winner) {
        fd = race->winner->endpoint.fd;
        wait_release(&race->winner->endpoint);
        race->winner->endpoint.fd = -1;
    }
    for (int i = 0; i < race->begun; i++)
        wait_close(&race->attempts[i].endpoint);
    return fd;
}

static struct race *new_race(const struct name_list *list)
{
    struct race *race =
        kernel->allocate(sizeof *race + (size_t)list->count * sizeof *race->attempts);
    if (!race)
        return NULL;
    race->count = list->count;
    for (int i = 0; i < list->count; i++) {
        race->attempts[i].race = race;
        race->attempts[i].address = &list->addresses[i];
        race->attempts[i].endpoint.fd = -1;
    }
    return race;
}

// ---- TCP --------------------------------------------------------------------------------------

struct calling {
    const char *text; // the address as it was given
    struct addr addr;
    const struct bell_options *options;
    int64_t begin, deadline;
};

static int family_of(const struct calling *calling)
{
    if (calling->addr.family == ADDR_V4 || (calling->options->flags & BELL_IPV4_ONLY))
        return AF_INET;
    if (calling->addr.family == ADDR_V6 || (calling->options->flags & BELL_IPV6_ONLY))
        return AF_INET6;
    return AF_UNSPEC;
}

static int look_up(const struct calling *calling, struct name_list *ret_list)
{
    const struct addr *addr = &calling->addr;
    const char *reason = NULL;
    const char *host = addr->loopback_default ? "localhost" : addr->host;
    int rc =
        name_resolve(host, addr->port, family_of(calling), calling->deadline, ret_list, &reason);
    if (rc < 0 && reason)
        failure_say(rc, "connect %.200s: %.100s: %s", calling->text,
                    rc == -EINVAL ? addr->port : addr->host, reason);
    else if (rc < 0)
        failure_set(rc, "connect %.200s: looking up %.100s", calling->text, addr->host);
    return rc;
}

// The address to call from: numbers only, so nothing is looked up.
static int parse_from(const struct calling *calling, union name_address *ret_from)
{
    struct addr addr;
    char why[256];
    const char *text = calling->options->bind;
    int rc = addr_parse(text, &addr, why, sizeof why);
    if (rc < 0)
        return failure_say(rc, "call from %.100s: %s", text, why), rc;
    struct name_list list = {0};
    const char *reason = NULL;
    rc = addr.scheme == ADDR_TCP && !addr.wildcard
             ? name_resolve(addr.host, addr.port, AF_UNSPEC, WAIT_NOT, &list, &reason)
             : -EINVAL;
    if (rc < 0)
        return failure_say(-EINVAL, "call from %.100s: an address in numbers is wanted", text),
               -EINVAL;
    *ret_from = list.addresses[0];
    return 0;
}

static int tcp_failed(const struct calling *calling, int error, int tried)
{
    if (tried > 1)
        return failure_say(error, "connect %.200s: %s (%d addresses tried in %d ms)", calling->text,
                           failure_word(error), tried,
                           (int)((kernel->now() - calling->begin) / BELL_MS));
    return failure_set(error, "connect %.200s", calling->text);
}

static bell_conn *make_conn(const struct calling *calling, int fd)
{
    bell_conn *conn = NULL;
    int rc = conn_new(fd, &conn);
    if (rc < 0) {
        (void)kernel->close(fd);
        failure_set(rc, "connect %.200s", calling->text);
        return NULL;
    }
    if (calling->options->linger_time)
        conn->linger_time = calling->options->linger_time;
    if (calling->options->linger_bytes)
        conn->linger_bytes = calling->options->linger_bytes;
    return conn;
}

static bell_conn *call_tcp(const struct calling *calling)
{
    struct name_list list;
    union name_address from;
    if (calling->addr.wildcard) {
        failure_say(-EINVAL, "connect %.200s: * is for servers; whom?", calling->text);
        return NULL;
    }
    if (calling->options->bind && parse_from(calling, &from) < 0)
        return NULL;
    if (look_up(calling, &list) < 0)
        return NULL;
    struct race *race = new_race(&list);
    if (!race) {
        failure_set(-ENOMEM, "connect %.200s", calling->text);
        return NULL;
    }
    race->options = calling->options;
    race->from = calling->options->bind ? &from : NULL;
    race->loop = loop_here();
    race->deadline = calling->deadline;
    int rc = run_race(race);
    int fd = end_race(race);
    int tried = race->begun;
    kernel->release(race);
    if (rc < 0) {
        tcp_failed(calling, rc, tried);
        return NULL;
    }
    return make_conn(calling, fd);
}

// ---- Unix sockets and inherited ones ----------------------------------------------------------

static int connect_unix(const struct calling *calling, int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, calling->addr.path, calling->addr.path_size);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + calling->addr.path_size);
    struct endpoint endpoint;
    wait_open(&endpoint, fd);
    int64_t pause = QUEUE_RETRY_MIN;
    int rc;
    for (;;) {
        rc = wait_connect(&endpoint, (struct sockaddr *)&address, size, calling->deadline);
        if (rc != -ENOBUFS)
            break;
        rc = wait_sleep(kernel->now() + pause);
        if (rc < 0)
            break;
        pause = pause * 2 < QUEUE_RETRY_MAX ? pause * 2 : QUEUE_RETRY_MAX;
    }
    wait_release(&endpoint);
    return rc;
}

static bell_conn *call_unix(const struct calling *calling)
{
    int fd = kernel->socket(AF_UNIX, SOCK_STREAM, 0);
    int rc = fd < 0 ? fd : connect_unix(calling, fd);
    if (rc < 0) {
        if (fd >= 0)
            (void)kernel->close(fd);
        failure_set(rc, "connect %.200s", calling->text);
        return NULL;
    }
    return make_conn(calling, fd);
}

bell_conn *bell_connect(const char *address, const struct bell_options *options)
{
    static const struct bell_options none = {.size = sizeof none};
    struct calling calling = {.text = address, .options = options ? options : &none};
    if (!address || calling.options->size != sizeof *options || calling.options->timeout < 0) {
        failure_say(-EINVAL, "bell_connect: %s",
                    !address ? "no address" : "the options make no sense");
        return NULL;
    }
    char why[256];
    int rc = addr_parse(address, &calling.addr, why, sizeof why);
    if (rc < 0) {
        failure_say(rc, "connect %.200s: %s", address, why);
        return NULL;
    }
    calling.begin = kernel->now();
    calling.deadline = bell_in(options && options->timeout ? options->timeout : CONNECT_TIMEOUT);
    if (!task_here(&rc)) {
        failure_set(rc, "connect %.200s", address);
        return NULL;
    }
    if (calling.addr.scheme == ADDR_FD)
        return bell_attach(calling.addr.fd);
    return calling.addr.scheme == ADDR_UNIX ? call_unix(&calling) : call_tcp(&calling);
}
