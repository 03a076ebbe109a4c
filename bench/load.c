// The load generator: calls servers on loopback and says what CPU time that cost them.
//
//     load echo    [OPTIONS] NAME=PORT:PID...    keeps connections and sends messages over them
//     load udp     [OPTIONS] NAME=PORT:PID...    the same with datagrams
//     load connect [OPTIONS] NAME=PORT:PID...    connects, sends one message, closes
//     load idle    PORT                          holds silent connections, see hold_connections
//
//     --connections N   at a time, with each server              [64]
//     --in-flight N     messages under way in each connection    [1]
//     --size N          bytes of a message, 9 or more            [64]
//     --slice MS        measured time of one server              [50]
//     --time MS         in all                                   [10000]
//     --callers N       connections made in all by `connect`     [120000]
//
// The first server is the yardstick. One visit to another one is a pair of short slices, one with each
// of the two in random order, so that a machine whose speed drifts drifts for both. A slice begins and
// ends with nothing under way and the server asleep: the kernel's account of CPU time is exact then,
// and up to a tick old at other times. Each pair gives a line, nanoseconds of CPU and messages:
//
//     NAME CPU_YARDSTICK MESSAGES_YARDSTICK CPU MESSAGES
//
// All bytes that come back are compared with what was sent. Anything unexpected ends the program.

#include "loopback.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
    UNDER_WAY_MAX = 65536, // bytes per connection: what two sockets' buffers surely take
    SERVERS_MAX = 16,
    EVENTS = 256,
    LEAD_IN_MS = 10,   // of each slice, not measured
    SILENCE_MS = 5000, // with something under way: the server has failed
};

struct conn {
    int fd;
    uint32_t id;
    uint64_t sent;           // messages
    uint64_t received_bytes; // of the same stream
};

struct server {
    const char *name;
    struct conn *conns;
    size_t under_way; // messages that have not come back
    uint64_t answers; // messages that have
    pid_t pid;
    int epoll;
    uint16_t port;
    bool sending; // each answer is followed by a new message
};

static struct {
    size_t connections, in_flight, size;
    int64_t slice_ms, time_ms, callers_max;
} settings = {64, 1, 64, 50, 10000, 120000};

static struct server servers[SERVERS_MAX];
static size_t server_count;
static bool connecting;     // a connection for each message
static bool datagrams;      // over UDP
static int64_t callers;     // connections made so far
static uint64_t dice_state; // never 0

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) < 0)
        err(1, "clock_gettime");
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

// A number below `sides` (xorshift64).
static size_t throw_dice(size_t sides)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (size_t)(dice_state >> 16) % sides;
}

// ---- What is sent -----------------------------------------------------------------------------

// Message number `number` of a connection: both their numbers, then a pattern that begins elsewhere in
// each. No two messages of a run are alike as long as numbers are below 2^32.
static void write_message(char *message, uint32_t id, uint64_t number)
{
    static char pattern[UNDER_WAY_MAX + 256];
    if (!pattern[1])
        for (size_t i = 0; i < sizeof pattern; i++)
            pattern[i] = (char)(i * 31 + i / 256);

    uint32_t header[2] = {id, (uint32_t)number};
    memcpy(message, header, sizeof header);
    memcpy(message + sizeof header, pattern + (id + number) % 256, settings.size - sizeof header);
}

static void send_messages(struct server *server, struct conn *conn, size_t count)
{
    static char bytes[UNDER_WAY_MAX];
    for (size_t i = 0; i < count; i++)
        write_message(bytes + i * settings.size, conn->id, conn->sent + i);
    size_t piece = datagrams ? settings.size : count * settings.size;
    for (size_t done = 0; done < count * settings.size; done += piece)
        if (send(conn->fd, bytes + done, piece, MSG_NOSIGNAL) != (ssize_t)piece)
            err(1, "%s: send", server->name);
    conn->sent += count;
    server->under_way += count;
}

// Compares bytes that came back with what was sent.
static void check_bytes(const struct server *server, struct conn *conn, const char *bytes, size_t n)
{
    static char expected[UNDER_WAY_MAX];
    if (conn->received_bytes + n > conn->sent * settings.size)
        errx(1, "%s: more came back than was sent", server->name);
    while (n > 0) {
        size_t begin = conn->received_bytes % settings.size;
        size_t size = settings.size - begin < n ? settings.size - begin : n;
        write_message(expected, conn->id, conn->received_bytes / settings.size);
        if (memcmp(bytes, expected + begin, size) != 0)
            errx(1, "%s: what came back is not what was sent", server->name);
        conn->received_bytes += size;
        bytes += size;
        n -= size;
    }
}

// ---- Connections ------------------------------------------------------------------------------

// Connects from one of eight addresses in turn, because one has no more than 28,000 ports. The socket
// blocks: a send is whole then, and connect over loopback has no need to wait.
static void open_conn(struct server *server, struct conn *conn)
{
    static uint32_t id;
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + id % 8)};
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons(server->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if ((!datagrams && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0) ||
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = SILENCE_MS / 1000},
                   sizeof(struct timeval)) < 0)
        err(1, "setsockopt");
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0 ||
        connect(fd, (struct sockaddr *)&there, sizeof there) < 0)
        err(1, "%s: connect", server->name);

    *conn = (struct conn){.fd = fd, .id = id};
    id++;
    callers++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
}

// Answers came in: goes on, while the slice lasts.
static void follow_up(struct server *server, struct conn *conn, size_t answers)
{
    if (!connecting) {
        if (server->sending && answers > 0)
            send_messages(server, conn, answers);
    } else if (answers > 0) {
        (void)close(conn->fd);
        conn->fd = -1;
        if (server->sending) {
            open_conn(server, conn);
            send_messages(server, conn, 1);
        }
    }
}

static void receive(struct server *server, struct conn *conn)
{
    static char bytes[UNDER_WAY_MAX];
    ssize_t n = recv(conn->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        errx(1, "%s: recv: %s", server->name, n < 0 ? strerror(errno) : "the server hung up");
    uint64_t before = conn->received_bytes / settings.size;
    check_bytes(server, conn, bytes, (size_t)n);
    size_t answers = (size_t)(conn->received_bytes / settings.size - before);
    server->answers += answers;
    server->under_way -= answers;
    follow_up(server, conn, answers);
}

// Receives once; returns whether something came within SILENCE_MS.
static bool receive_some(struct server *server)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(server->epoll, events, EVENTS, SILENCE_MS);
    for (int i = 0; i < count; i++)
        receive(server, events[i].data.ptr);
    return count > 0;
}

// Keeps a server busy for a time, and waits for the last answer.
static void exchange(struct server *server, int64_t duration)
{
    int64_t end = clock_ns(CLOCK_MONOTONIC) + duration;
    server->sending = true;
    for (size_t i = 0; i < settings.connections; i++) {
        if (connecting)
            open_conn(server, &server->conns[i]);
        send_messages(server, &server->conns[i], settings.in_flight);
    }
    while (server->under_way > 0) {
        if (!receive_some(server))
            errx(1, "%s: no answer", server->name);
        if (server->sending && clock_ns(CLOCK_MONOTONIC) >= end)
            server->sending = false;
    }
}

// ---- Measuring --------------------------------------------------------------------------------

static int64_t cpu_of_process(pid_t pid)
{
    clockid_t clock;
    int error = clock_getcpuclockid(pid, &clock);
    if (error != 0)
        errx(1, "process %d: %s", (int)pid, strerror(error));
    return clock_ns(clock);
}

// What a server has used so far: all its threads, those that ended too, and its worker processes.
static int64_t cpu_of_server(const struct server *server)
{
    int64_t sum = cpu_of_process(server->pid);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server->pid,
                   (int)server->pid);
    FILE *children = fopen(path, "re");
    if (!children)
        return sum;
    char word[16];
    while (fscanf(children, "%15s", word) == 1)
        sum += cpu_of_process((pid_t)strtol(word, NULL, 10));
    (void)fclose(children);
    return sum;
}

// After the last answer the server has still to hear of closed connections, and to fall asleep.
static void let_it_settle(void)
{
    struct timespec time = {.tv_nsec = connecting ? 2000000 : 400000};
    (void)nanosleep(&time, NULL);
}

struct slice {
    int64_t cpu_ns;
    uint64_t messages;
};

static struct slice measure_slice(struct server *server)
{
    exchange(server, (int64_t)LEAD_IN_MS * 1000000);
    let_it_settle();
    int64_t cpu = cpu_of_server(server);
    uint64_t answers = server->answers;
    exchange(server, settings.slice_ms * 1000000);
    let_it_settle();
    return (struct slice){cpu_of_server(server) - cpu, server->answers - answers};
}

static void measure_pair(struct server *yardstick, struct server *other)
{
    struct slice y, o;
    if (throw_dice(2) == 0) {
        y = measure_slice(yardstick);
        o = measure_slice(other);
    } else {
        o = measure_slice(other);
        y = measure_slice(yardstick);
    }
    printf("%s %lld %llu %lld %llu\n", other->name, (long long)y.cpu_ns,
           (unsigned long long)y.messages, (long long)o.cpu_ns, (unsigned long long)o.messages);
}

// In random order, too.
static void connect_to_all(void)
{
    size_t first = throw_dice(server_count);
    for (size_t k = 0; k < server_count; k++) {
        struct server *server = &servers[(first + k) % server_count];
        server->epoll = epoll_create1(EPOLL_CLOEXEC);
        server->conns = calloc(settings.connections + 1, sizeof *server->conns);
        if (server->epoll < 0 || !server->conns)
            err(1, "%s", server->name);
        for (size_t i = 0; i < settings.connections && !connecting; i++)
            open_conn(server, &server->conns[i]);
    }
}

// Visits the servers, all of them in each round, in an order that is random.
static void measure_all(void)
{
    int64_t end = clock_ns(CLOCK_MONOTONIC) + settings.time_ms * 1000000;
    size_t order[SERVERS_MAX] = {0};
    for (size_t i = 1; i < server_count; i++)
        order[i] = i;
    for (;;) {
        for (size_t i = 1; i < server_count; i++) {
            size_t with = i + throw_dice(server_count - i);
            size_t chosen = order[with];
            order[with] = order[i];
            order[i] = chosen;
            if (clock_ns(CLOCK_MONOTONIC) >= end || (connecting && callers > settings.callers_max))
                return;
            measure_pair(&servers[0], &servers[chosen]);
        }
    }
}

// ---- Silent connections -----------------------------------------------------------------------

// Obeys lines of standard input, and answers each with "ok" when it is done:
//
//     N      hold N connections in all
//     echo   send one message over each of them
static void hold_connections(struct server *server)
{
    enum { COUNT_MAX = 65536 }; // descriptors run out before
    static struct conn conns[COUNT_MAX];
    size_t count = 0;
    char line[32];
    server->conns = conns;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0)
        err(1, "epoll_create1");
    while (fgets(line, sizeof line, stdin)) {
        size_t wish = strtoul(line, NULL, 10);
        while (count < wish && count < COUNT_MAX)
            open_conn(server, &server->conns[count++]);
        if (wish == 0) {
            for (size_t i = 0; i < count; i++)
                send_messages(server, &server->conns[i], 1);
            while (server->under_way > 0)
                if (!receive_some(server))
                    errx(1, "no answer");
        }
        printf("ok\n");
        (void)fflush(stdout);
    }
}

// ---- Arguments --------------------------------------------------------------------------------

static void read_option(int option, const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (*end || number < 1)
        errx(2, "%s: not a number above 0", text);
    switch (option) {
    case 'c':
        settings.connections = (size_t)number;
        break;
    case 'f':
        settings.in_flight = (size_t)number;
        break;
    case 'z':
        settings.size = (size_t)number;
        break;
    case 'l':
        settings.slice_ms = number;
        break;
    case 't':
        settings.time_ms = number;
        break;
    default:
        settings.callers_max = number;
        break;
    }
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"connections", required_argument, NULL, 'c'},
        {"in-flight", required_argument, NULL, 'f'},
        {"size", required_argument, NULL, 'z'},
        {"slice", required_argument, NULL, 'l'},
        {"time", required_argument, NULL, 't'},
        {"callers", required_argument, NULL, 'n'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            exit(2);
        read_option(option, optarg);
    }
    if (settings.size < 9 || settings.size * settings.in_flight > UNDER_WAY_MAX)
        errx(2, "a message has 9 bytes or more, and no more than %d may be under way",
             UNDER_WAY_MAX);
    if (connecting && settings.in_flight != 1)
        errx(2, "connect sends one message");
}

// NAME=PORT:PID
static void read_server(char *text)
{
    char *port = strchr(text, '=');
    char *pid = port ? strchr(port, ':') : NULL;
    if (!pid || server_count == SERVERS_MAX)
        errx(2, "%s: not NAME=PORT:PID, or one too many", text);
    *port = 0;
    servers[server_count++] = (struct server){.name = text,
                                              .port = (uint16_t)strtol(port + 1, NULL, 10),
                                              .pid = (pid_t)strtol(pid + 1, NULL, 10)};
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[1] : "";
    raise_descriptor_limit();
    if (strcmp(mode, "idle") == 0) {
        hold_connections(
            &(struct server){.name = "idle", .port = (uint16_t)strtol(argv[2], NULL, 10)});
        return 0;
    }
    connecting = strcmp(mode, "connect") == 0;
    datagrams = strcmp(mode, "udp") == 0;
    if (!connecting && !datagrams && strcmp(mode, "echo") != 0)
        errx(2, "load echo|udp|connect [OPTIONS] NAME=PORT:PID..., or load idle PORT");
    read_options(argc - 1, argv + 1);
    for (int i = optind + 1; i < argc; i++)
        read_server(argv[i]);
    if (server_count < 2)
        errx(2, "two servers or more");

    dice_state = (uint64_t)clock_ns(CLOCK_REALTIME) | 1;
    connect_to_all();
    measure_all();
    return 0;
}
