// Calling: one address text to one connection.

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "addr/addr.h"
#include "conn/conn.h"
#include "door/sctp.h"
#include "door/sockopts.h"
#include "door/udp.h"
#include "kernel/kernel.h"
#include "name/name.h"
#include "wait/failure.h"

#define CONNECT_TIMEOUT (30 * BELL_SECOND)
// RFC 8305, 5: "One recommended value for a default delay is 250 milliseconds" between attempts.
#define ATTEMPT_DELAY (250 * BELL_MS)
// A Unix listener whose queue is full tells nobody when there is room again.
#define QUEUE_RETRY_MIN BELL_MS
#define QUEUE_RETRY_MAX (50 * BELL_MS)

// What is asked for, checked and with its defaults.
struct calling {
    const char *text; // the address as it was given
    const struct bell_options *options;
    struct addr addr;
    enum addr_family family; // ADDR_ANY, or the only one that may be called
    bool bound;              // calls from an address of the caller's choice, `from`
    struct addr from;
    int64_t begin, deadline;
};

// Whether the machine or the other end is to blame decides which error is told in the end.
enum { RANK_NO_WAY = 1, RANK_UNREACHABLE, RANK_OTHER, RANK_REFUSED };

struct attempt {
    struct race *race;
    const union name_address *address;
    struct endpoint endpoint; // fd -1: not begun, or closed
    struct wait_call call;
    bool bind_failed;
    char refused[SOCKOPT_NAME_SIZE]; // the option of the user that the kernel did not take, or ""
};

// RFC 8305, Happy Eyeballs Version 2: attempts at several addresses, the first that succeeds wins.
//
// There is no limit to those under way other than that of the list. RFC 8305, 5: "Starting a new connection
// attempt does not affect previous attempts": to wait for the old ones, or to give them up, would be to
// never reach the last of many addresses, or the one that is far away.
struct race {
    const struct calling *calling;
    struct loop *loop;
    struct wait_call news; // the calling task waits for it
    int64_t next_start;    // when the next attempt may begin though others are under way
    int begun, under_way;
    bool over; // there is a winner, or nobody waits for one any more
    int error; // the most telling so far, and whose it is
    const struct attempt *failed;
    struct attempt *winner;
    int count;
    struct attempt attempts[];
};

// ---- One attempt ------------------------------------------------------------------------------

static int rank(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -EAFNOSUPPORT:
    case -EADDRNOTAVAIL:
    case -ENETUNREACH:
        return RANK_NO_WAY;
    case -EHOSTUNREACH:
        return RANK_UNREACHABLE;
    case -ECONNREFUSED:
        return RANK_REFUSED;
    default:
        return RANK_OTHER;
    }
}

static void note_error(struct attempt *attempt, int error)
{
    struct race *race = attempt->race;
    if (rank(error) >= rank(race->error)) {
        race->error = error;
        race->failed = attempt;
    }
    race->next_start = 0; // the next one need not wait for its time
}

// A caller on the same machine may be given just the port that he calls; then TCP connects the socket with
// itself, though nobody listens there.
static bool reached_itself(const struct attempt *attempt)
{
    union name_address own;
    socklen_t size = sizeof own;
    memset(&own, 0, sizeof own);
    return !attempt->race->calling->bound &&
           kernel->getsockname(attempt->endpoint.fd, &own.any, &size) == 0 &&
           name_is_same(&own, attempt->address);
}

static void attempt_ended(struct wait_call *call)
{
    struct attempt *attempt = LIST_ENTRY(call, struct attempt, call);
    struct race *race = attempt->race;
    race->under_way--;
    if (race->over)
        return; // too late, whatever it says: end_race closes it
    if (call->result == 0 && reached_itself(attempt))
        call->result = -ECONNREFUSED;
    if (call->result < 0) {
        note_error(attempt, (int)call->result);
        wait_close(&attempt->endpoint);
    } else if (!race->winner) {
        race->winner = attempt;
    }
    if (wait_is_waiting(&race->news))
        wait_complete(&race->news, 0);
}

static int bind_from(const struct calling *calling, const union name_address *whom, int fd)
{
    static const int one = 1;
    enum addr_family family = whom->any.sa_family == AF_INET6 ? ADDR_V6 : ADDR_V4;
    struct sockaddr_storage from;
    int size = addr_to_sockaddr(&calling->from, family, &from);
    if (size < 0)
        return size;
    // Without this the kernel would reserve a port for all destinations at once, and be out of them soon.
    (void)kernel->setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return kernel->bind(fd, (struct sockaddr *)&from, (socklen_t)size);
}

static int bind_attempt(struct attempt *attempt, int fd)
{
    int rc = bind_from(attempt->race->calling, attempt->address, fd);
    attempt->bind_failed = rc < 0;
    return rc;
}

static int open_socket(struct attempt *attempt)
{
    static const int one = 1;
    int fd = kernel->socket(attempt->address->any.sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    const struct calling *calling = attempt->race->calling;
    (void)kernel->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int rc = sockopts_set(fd, calling->options->sockopts, attempt->refused);
    if (rc == 0 && calling->bound)
        rc = bind_attempt(attempt, fd);
    if (rc == 0)
        return fd;
    (void)kernel->close(fd);
    return rc;
}

static void begin_attempt(struct race *race)
{
    struct attempt *attempt = &race->attempts[race->begun++];
    race->next_start = kernel->now() + ATTEMPT_DELAY;
    int fd = open_socket(attempt);
    if (fd < 0) {
        note_error(attempt, fd);
        return;
    }
    wait_open(&attempt->endpoint, fd);
    attempt->call.kind = WAIT_CONNECT;
    attempt->call.endpoint = &attempt->endpoint;
    attempt->call.from = &attempt->address->any;
    attempt->call.size = name_address_size(attempt->address);
    attempt->call.deadline = INT64_MAX; // the race's is kept by the task that waits for it
    attempt->call.done = attempt_ended;
    race->under_way++;
    wait_start(race->loop, &attempt->call);
}

// ---- The race ---------------------------------------------------------------------------------

// Waits for news of an attempt, or for the time of the next one. 0, -ETIMEDOUT: the caller's own
// deadline, -ECANCELED.
static int wait_for_news(struct race *race)
{
    int64_t deadline = race->calling->deadline;
    bool more = race->begun < race->count;
    int64_t until = more && race->next_start < deadline ? race->next_start : deadline;
    race->news = (struct wait_call){.kind = WAIT_WAKE, .deadline = until};
    int rc = (int)wait_for(&race->news);
    return rc == -ETIMEDOUT && until != deadline ? 0 : rc;
}

// Until there is a winner, or a reason why there is none.
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
        if (rc < 0 && !race->winner)
            return rc;
    }
    return 0;
}

// RFC 8305, 5: "Once one of the connection attempts succeeds [...], all other connections attempts that
// have not yet succeeded SHOULD be canceled." Waits for a backend that still has them in its hands.
// Returns the descriptor of the winner, or -1.
static int end_race(struct race *race)
{
    struct attempt *winner = race->winner;
    race->over = true;
    for (int i = 0; i < race->begun; i++) {
        struct attempt *attempt = &race->attempts[i];
        if (attempt == winner)
            continue;
        wait_cancel(&attempt->call, -ECANCELED);
        wait_close(&attempt->endpoint);
    }
    if (!winner)
        return -1;
    wait_release(&winner->endpoint);
    return winner->endpoint.fd;
}

static struct race *new_race(const struct calling *calling, const struct name_list *list)
{
    struct race *race =
        kernel->allocate(sizeof *race + (size_t)list->count * sizeof *race->attempts);
    if (!race)
        return NULL;
    race->calling = calling;
    race->loop = loop_here();
    race->count = list->count;
    for (int i = 0; i < list->count; i++) {
        race->attempts[i].race = race;
        race->attempts[i].address = &list->addresses[i];
        race->attempts[i].endpoint.fd = -1;
    }
    return race;
}
// ---- Failures ---------------------------------------------------------------------------------

// A socket for datagrams has ports of its own: if it can be connected, there is a way and an address of
// ours for it, and only the ports of TCP were missing.
static bool is_out_of_ports(const union name_address *address)
{
    int fd = kernel->socket(address->any.sa_family, SOCK_DGRAM, 0);
    if (fd < 0)
        return false;
    int rc = kernel->connect(fd, &address->any, name_address_size(address));
    (void)kernel->close(fd);
    return rc == 0;
}

// What the errors of an address of ours mean here.
static const char *word_of(const struct race *race, int error)
{
    const struct attempt *failed = race->failed;
    if (!failed || error != race->error || (error != -EADDRNOTAVAIL && error != -EADDRINUSE))
        return failure_word(error);
    if (failed->bind_failed && error == -EADDRNOTAVAIL)
        return "the address to call from is not one of this machine";
    if (race->calling->bound && addr_port_number(race->calling->from.port) != 0)
        return "the port to call from is in use";
    return is_out_of_ports(failed->address) ? "out of local ports"
                                            : "this machine has no address to call from";
}

static void tell_failure(const struct race *race, int error)
{
    const struct calling *calling = race->calling;
    const char *word = word_of(race, error);
    int ms = (int)((kernel->now() - calling->begin) / BELL_MS);
    if (race->failed && race->failed->refused[0] && error == race->error)
        failure_say(error, "connect %.200s: socket option %s: %s", calling->text,
                    race->failed->refused, word);
    else if (race->begun > 1)
        failure_say(error, "connect %.200s: %s (%d addresses tried in %d ms)", calling->text, word,
                    race->begun, ms);
    else
        failure_say(error, "connect %.200s: %s", calling->text, word);
}

// ---- What is asked for --------------------------------------------------------------------------

// Returns -1, with the failure told, when the caller's wishes make no sense.
static int refuse(const struct calling *calling, const char *why)
{
    return failure_say(-EINVAL, "connect %.200s: %s", calling->text, why);
}

static int check_options(const struct calling *calling)
{
    const struct bell_options *options = calling->options;
    const unsigned families = BELL_IPV4_ONLY | BELL_IPV6_ONLY;
    if (options->size != sizeof *options)
        return refuse(calling, "the size of the options is not that of this version");
    if (options->timeout < 0 || options->linger_time < 0)
        return refuse(calling, "a duration is negative");
    if ((options->flags & ~families) || options->flags == families)
        return refuse(calling, "the flags make no sense");
    char what[256];
    (void)snprintf(what, sizeof what, "connect %.200s", calling->text);
    return sockopts_check(options->sockopts, what);
}

static int parse_whom(struct calling *calling)
{
    char why[256];
    int rc = addr_parse(calling->text, &calling->addr, why, sizeof why);
    if (rc == -ESOCKTNOSUPPORT)
        return sctp_refuse("connect", calling->text);
    if (rc < 0)
        return failure_say(rc, "connect %.200s: %s", calling->text, why);
    if (calling->addr.wildcard)
        return refuse(calling, "* is for servers; whom?");
    return 0;
}

// The address to call from: nothing in it is looked up.
static int parse_from(struct calling *calling)
{
    const char *text = calling->options->bind;
    char why[256];
    int rc = addr_parse(text, &calling->from, why, sizeof why);
    if (rc < 0)
        return failure_say(rc, "call from %.100s: %s", text, why);
    struct sockaddr_storage address;
    bool in_numbers = calling->from.scheme == ADDR_INET &&
                      addr_to_sockaddr(&calling->from, ADDR_ANY, &address) > 0;
    if (!in_numbers)
        return failure_say(-EINVAL, "call from %.100s: an address in numbers is wanted", text);
    if (calling->addr.scheme != ADDR_INET)
        return refuse(calling, "only tcp and udp have an address to call from");
    calling->bound = true;
    return 0;
}

// The flags, the address and the one to call from may each ask for a family.
static int choose_family(struct calling *calling)
{
    unsigned flags = calling->options->flags;
    const enum addr_family wishes[] = {
        calling->addr.family,
        calling->bound ? calling->from.family : ADDR_ANY,
        flags & BELL_IPV4_ONLY   ? ADDR_V4
        : flags & BELL_IPV6_ONLY ? ADDR_V6
                                 : ADDR_ANY,
    };
    calling->family = ADDR_ANY;
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        if (wishes[i] == ADDR_ANY)
            continue;
        if (calling->family != ADDR_ANY && calling->family != wishes[i])
            return refuse(calling, "both IPv4 and IPv6 are asked for");
        calling->family = wishes[i];
    }
    return 0;
}

static int prepare(struct calling *calling)
{
    static const struct bell_options none = {.size = sizeof none};
    if (!calling->options)
        calling->options = &none;
    if (!calling->text)
        return failure_say(-EINVAL, "bell_connect: no address");
    if (check_options(calling) < 0 || parse_whom(calling) < 0)
        return -1;
    if (calling->options->bind && parse_from(calling) < 0)
        return -1;
    if (choose_family(calling) < 0)
        return -1;
    int rc = 0;
    if (!task_here(&rc))
        return failure_set(rc, "connect %.200s", calling->text);
    int64_t timeout = calling->options->timeout;
    calling->begin = kernel->now();
    calling->deadline = bell_in(timeout ? timeout : CONNECT_TIMEOUT);
    return 0;
}

// ---- TCP --------------------------------------------------------------------------------------

// Takes fd over. `peer` is NULL unless it is a TCP connection's.
static bell_conn *make_conn(const struct calling *calling, int fd, const union name_address *peer)
{
    bell_conn *conn = NULL;
    int rc = conn_new(fd, &conn);
    if (rc < 0) {
        (void)kernel->close(fd);
        failure_set(rc, "connect %.200s", calling->text);
        return NULL;
    }
    conn->endpoint.is_tcp = peer != NULL;
    if (peer)
        conn_set_peer(conn, &peer->any, name_address_size(peer));
    return conn;
}

static int look_up(const struct calling *calling, struct name_list *ret_list)
{
    const struct addr *addr = &calling->addr;
    const char *reason = NULL;
    int rc = name_resolve(addr, calling->family, calling->deadline, ret_list, &reason);
    if (rc < 0 && reason)
        return failure_say(rc, "connect %.200s: %.100s: %s", calling->text,
                           rc == -EINVAL ? addr->port : addr->host, reason);
    if (rc < 0)
        return failure_set(rc, "connect %.200s: looking up %.100s", calling->text, addr->host);
    return 0;
}

static bell_conn *call_tcp(const struct calling *calling)
{
    struct name_list list;
    if (look_up(calling, &list) < 0)
        return NULL;
    struct race *race = new_race(calling, &list);
    if (!race) {
        failure_set(-ENOMEM, "connect %.200s", calling->text);
        return NULL;
    }
    bell_conn *conn = NULL;
    int rc = run_race(race);
    int fd = end_race(race);
    if (fd >= 0)
        conn = make_conn(calling, fd, race->winner->address);
    else
        tell_failure(race, rc);
    kernel->release(race);
    return conn;
}

// ---- UDP ----------------------------------------------------------------------------------------

static int open_udp(const struct calling *calling, const union name_address *whom,
                    char refused[SOCKOPT_NAME_SIZE])
{
    int fd = kernel->socket(whom->any.sa_family, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    int rc = sockopts_set(fd, calling->options->sockopts, refused);
    if (rc == 0)
        rc = udp_send_by(fd, &calling->addr);
    if (rc == 0 && calling->bound)
        rc = bind_from(calling, whom, fd);
    if (rc == 0)
        rc = kernel->connect(fd, &whom->any, name_address_size(whom));
    if (rc == 0)
        return fd;
    (void)kernel->close(fd);
    return rc;
}

static bell_conn *make_message_conn(const struct calling *calling, int fd, enum conn_kind kind,
                                    const union name_address *peer)
{
    bell_conn *conn = make_conn(calling, fd, NULL);
    int rc = conn ? conn_carry_messages(conn, kind) : 0;
    if (rc < 0) {
        conn_free(conn);
        failure_set(rc, "connect %.200s", calling->text);
        return NULL;
    }
    if (conn && peer)
        conn_set_peer(conn, &peer->any, name_address_size(peer));
    return conn;
}

// There is nobody to say which address is good: the first that there is a way to is it.
static bell_conn *call_udp(struct calling *calling)
{
    struct name_list list;
    char refused[SOCKOPT_NAME_SIZE] = "";
    if (calling->addr.loopback_default && calling->family == ADDR_ANY)
        calling->family = ADDR_V4;
    if (look_up(calling, &list) < 0)
        return NULL;
    int rc = -ENOENT;
    for (int i = 0; i < list.count; i++) {
        rc = open_udp(calling, &list.addresses[i], refused);
        if (rc >= 0)
            return make_message_conn(calling, rc, CONN_DATAGRAM, &list.addresses[i]);
        if (refused[0])
            break;
    }
    failure_set(rc, "connect %.200s%s%s", calling->text, refused[0] ? ": socket option " : "",
                refused);
    return NULL;
}

// ---- Unix sockets and inherited ones ------------------------------------------------------------

// Waits a little until the listener may have room in its queue.
static int pause_for_queue(const struct calling *calling, int64_t *pause)
{
    int64_t until = kernel->now() + *pause;
    int rc = wait_sleep(until < calling->deadline ? until : calling->deadline);
    *pause = *pause * 2 < QUEUE_RETRY_MAX ? *pause * 2 : QUEUE_RETRY_MAX;
    return rc;
}

static int connect_unix(const struct calling *calling, int fd)
{
    struct sockaddr_storage address;
    int size = addr_to_sockaddr(&calling->addr, ADDR_ANY, &address);
    struct endpoint endpoint;
    wait_open(&endpoint, fd);
    int64_t pause = QUEUE_RETRY_MIN;
    int rc;
    do
        rc = wait_connect(&endpoint, (struct sockaddr *)&address, (socklen_t)size,
                          calling->deadline);
    while (rc == -ENOBUFS && (rc = pause_for_queue(calling, &pause)) == 0);
    wait_release(&endpoint);
    return rc;
}

// A datagram socket without a name could not be answered: the kernel gives it one.
static int name_unix(int fd)
{
    static const struct sockaddr unnamed = {.sa_family = AF_UNIX};
    return kernel->bind(fd, &unnamed, sizeof unnamed.sa_family);
}

static bell_conn *call_unix(const struct calling *calling)
{
    int type = calling->addr.type;
    int fd = kernel->socket(AF_UNIX, type, 0);
    char refused[SOCKOPT_NAME_SIZE] = "";
    int rc = fd < 0 ? fd : sockopts_set(fd, calling->options->sockopts, refused);
    if (rc == 0 && type == SOCK_DGRAM)
        rc = name_unix(fd);
    if (rc == 0)
        rc = connect_unix(calling, fd);
    if (rc == 0 && type == SOCK_STREAM)
        return make_conn(calling, fd, NULL);
    if (rc == 0)
        return make_message_conn(calling, fd, type == SOCK_DGRAM ? CONN_DATAGRAM : CONN_SEQPACKET,
                                 NULL);
    if (fd >= 0)
        (void)kernel->close(fd);
    if (refused[0])
        failure_set(rc, "connect %.200s: socket option %s", calling->text, refused);
    else
        failure_set(rc, "connect %.200s", calling->text);
    return NULL;
}

static bell_conn *call_inherited(const struct calling *calling)
{
    char refused[SOCKOPT_NAME_SIZE];
    int rc = sockopts_set(calling->addr.fd, calling->options->sockopts, refused);
    if (rc == 0)
        return bell_attach(calling->addr.fd);
    failure_set(rc, "connect %.200s: socket option %s", calling->text, refused);
    return NULL;
}

static bell_conn *call(struct calling *calling)
{
    switch (calling->addr.scheme) {
    case ADDR_FD:
        return call_inherited(calling);
    case ADDR_UNIX:
        return call_unix(calling);
    case ADDR_INET:
        break;
    }
    return calling->addr.type == SOCK_DGRAM ? call_udp(calling) : call_tcp(calling);
}

bell_conn *bell_connect(const char *address, const struct bell_options *options)
{
    struct calling calling = {.text = address, .options = options};
    if (prepare(&calling) < 0)
        return NULL;
    bell_conn *conn = call(&calling);
    if (conn && calling.options->linger_time)
        conn->linger_time = calling.options->linger_time;
    if (conn && calling.options->linger_bytes)
        conn->linger_bytes = calling.options->linger_bytes;
    return conn;
}
