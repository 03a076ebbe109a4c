// bell_connect: races in a simulated network, whose time is exact; and real sockets of this machine.

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn/conn.h"
#include "name/name.h"
#include "task/task_test.h"

// ---- A simulated network --------------------------------------------------------------------------

enum { FIRST_FD = 100000, SOCKETS_MAX = 64, PLACES_MAX = 12 };

// What happens to those who call an address.
struct place {
    const char *address;
    int delay_ms; // until it answers; SILENT: never
    int result;
};

#define SILENT (-1)

struct simulated {
    bool open, called, bound, without_port, no_delay, watched;
    int type;
    const struct place *place;
    struct sockaddr_storage address;
    socklen_t address_size;
    int64_t answer_at;
    uint64_t mark; // of epoll
};

static atomic_bool simulating;
static _Atomic int64_t now;
static struct simulated sockets[SOCKETS_MAX];
static struct place places[PLACES_MAX]; // the resolver's answers, too
static int opened, open_now, open_max;  // sockets for streams
static int bind_result, datagram_result;
static bool reaches_itself, asks;

static struct simulated *simulated(int fd)
{
    return fd >= FIRST_FD ? &sockets[fd - FIRST_FD] : NULL;
}

static int64_t fake_now(void)
{
    return simulating ? now : kernel_real.now();
}

static int fake_socket(int family, int type, int protocol)
{
    if (!simulating)
        return kernel_real.socket(family, type, protocol);
    int fd = 0;
    while (sockets[fd].open)
        fd++;
    sockets[fd] = (struct simulated){.open = true, .type = type};
    if (type == SOCK_STREAM) {
        opened++;
        if (++open_now > open_max)
            open_max = open_now;
    }
    return FIRST_FD + fd;
}

static int fake_close(int fd)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.close(fd);
    assert_true(socket->open);
    open_now -= socket->type == SOCK_STREAM;
    socket->open = false;
    return 0;
}

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.setsockopt(fd, level, name, value, size);
    socket->without_port |= level == IPPROTO_IP && name == IP_BIND_ADDRESS_NO_PORT;
    socket->no_delay |= level == IPPROTO_TCP && name == TCP_NODELAY;
    return 0;
}

static int fake_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.bind(fd, address, size);
    assert_true(socket->without_port);
    socket->bound = true;
    return bind_result;
}

static const struct place *place_of(const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    const union name_address *any = (const void *)address;
    (void)inet_ntop(any->any.sa_family,
                    any->any.sa_family == AF_INET ? (const void *)&any->ipv4.sin_addr
                                                  : &any->ipv6.sin6_addr,
                    text, sizeof text);
    for (int i = 0; i < PLACES_MAX && places[i].address; i++)
        if (!strcmp(places[i].address, text))
            return &places[i];
    fail_msg("nobody expected a call of %s", text);
    return NULL;
}

static int fake_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.connect(fd, address, size);
    if (socket->type == SOCK_DGRAM)
        return datagram_result;
    if (!socket->called) {
        assert_true(socket->no_delay);
        socket->called = true;
        socket->place = place_of(address);
        memcpy(&socket->address, address, size);
        socket->address_size = size;
        int delay = socket->place->delay_ms;
        socket->answer_at = delay == SILENT ? INT64_MAX : now + delay * BELL_MS;
        if (delay == 0)
            return socket->place->result;
        return -EINPROGRESS;
    }
    if (socket->answer_at > now)
        return -EALREADY;
    return socket->place->result ? socket->place->result : -EISCONN;
}

static int fake_getsockname(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    const struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.getsockname(fd, ret_address, size);
    if (!reaches_itself)
        return -ENOBUFS;
    memcpy(ret_address, &socket->address, socket->address_size);
    *size = socket->address_size;
    return 0;
}

static int fake_getpeername(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    return simulated(fd) ? -ENOTCONN : kernel_real.getpeername(fd, ret_address, size);
}

// ---- Its time: nothing happens until the next answer, or the deadline ---------------------------------

static void pass_time(int64_t deadline)
{
    int64_t next = deadline;
    for (int i = 0; i < SOCKETS_MAX; i++)
        if (sockets[i].open && sockets[i].watched && sockets[i].answer_at < next)
            next = sockets[i].answer_at;
    assert_true(next != INT64_MAX); // else it would hang
    if (next > now)
        now = next;
}

static bool has_answer(const struct simulated *socket)
{
    return socket->open && socket->watched && socket->answer_at <= now;
}

static int fake_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    if (!simulating)
        return kernel_real.ppoll(fds, count, deadline);
    if (asks) { // the resolver's thread takes real time
        int woken = kernel_real.ppoll(fds, 1, deadline ? INT64_MAX : 0);
        asks = woken <= 0;
        return woken;
    }
    for (int i = 0; i < SOCKETS_MAX; i++)
        sockets[i].watched = false;
    for (nfds_t i = 1; i < count; i++)
        if (simulated(fds[i].fd))
            simulated(fds[i].fd)->watched = fds[i].events & POLLOUT;
    pass_time(deadline);
    int ready = 0;
    fds[0].revents = 0;
    for (nfds_t i = 1; i < count; i++) {
        fds[i].revents = simulated(fds[i].fd) && has_answer(simulated(fds[i].fd)) ? POLLOUT : 0;
        ready += fds[i].revents != 0;
    }
    return ready;
}

static int fake_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.epoll_ctl(epoll, operation, fd, event);
    socket->watched = operation != EPOLL_CTL_DEL && (event->events & EPOLLOUT);
    socket->mark = event->data.u64;
    return 0;
}

static int fake_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t deadline)
{
    if (!simulating)
        return kernel_real.epoll_wait(epoll, events, count, deadline);
    if (asks) {
        int woken = kernel_real.epoll_wait(epoll, events, count, deadline ? INT64_MAX : 0);
        asks = woken <= 0;
        return woken;
    }
    pass_time(deadline);
    int ready = 0;
    for (int i = 0; i < SOCKETS_MAX && ready < count; i++)
        if (has_answer(&sockets[i]))
            events[ready++] = (struct epoll_event){.events = EPOLLOUT, .data.u64 = sockets[i].mark};
    return ready;
}

// ---- Its resolver -------------------------------------------------------------------------------------

static int resolve_error;

static int fake_resolve(const char *name, const char *service, const struct addrinfo *hints,
                        struct addrinfo **ret_list)
{
    if (!simulating)
        return kernel_real.resolve(name, service, hints, ret_list);
    if (resolve_error)
        return resolve_error;
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo **end = ret_list;
    for (int i = 0; i < PLACES_MAX && places[i].address; i++) {
        bool ipv6 = strchr(places[i].address, ':');
        if (hints->ai_family != AF_UNSPEC && (hints->ai_family == AF_INET6) != ipv6)
            continue;
        assert_int_equal(getaddrinfo(places[i].address, service, &numeric, end), 0);
        end = &(*end)->ai_next;
    }
    return *ret_list ? 0 : EAI_NONAME;
}

static void begin_simulation(const struct place *answers)
{
    memset(sockets, 0, sizeof sockets);
    memset(places, 0, sizeof places);
    for (int i = 0; i < PLACES_MAX && answers[i].address; i++)
        places[i] = answers[i];
    opened = open_now = open_max = 0;
    bind_result = datagram_result = resolve_error = 0;
    reaches_itself = false;
    asks = true;
    now = kernel_real.now();
    simulating = true;
}

static void end_simulation(void)
{
    assert_int_equal(open_now, 0);
    simulating = false;
    self()->loop->now = kernel_real.now(); // it was ahead
}

// ---- Races ------------------------------------------------------------------------------------------

#define V6(n) "2001:db8::" #n
#define V4(n) "192.0.2." #n

struct race_case {
    const char *what;
    struct place places[PLACES_MAX];
    int timeout_ms;
    const char *winner; // or NULL, and
    int error;
    int lasts_ms, attempts, open_max;
    const char *sentence;
};

static const struct race_case race_cases[] = {
    {"IPv6 is preferred", {{V4(1), 10, 0}, {V6(1), 10, 0}}, 0, V6(1), 0, 10, 1, 1, ""},
    {"a silent IPv6 costs one delay",
     {{V6(1), SILENT, 0}, {V4(1), 10, 0}},
     0,
     V4(1),
     0,
     260,
     2,
     2,
     ""},
    {"a refusal starts the next one",
     {{V6(1), 5, -ECONNREFUSED}, {V4(1), 10, 0}},
     0,
     V4(1),
     0,
     15,
     2,
     1,
     ""},
    {"so does a failure at once",
     {{V6(1), 0, -ENETUNREACH}, {V4(1), 10, 0}},
     0,
     V4(1),
     0,
     10,
     2,
     1,
     ""},
    {"who answers at once wins", {{V6(1), 0, 0}, {V4(1), 0, 0}}, 0, V6(1), 0, 0, 1, 1, ""},
    {"a slow one may still win", {{V6(1), 400, 0}, {V4(1), SILENT, 0}}, 0, V6(1), 0, 400, 2, 2, ""},
    {"the first answer wins", {{V6(1), 400, 0}, {V4(1), 20, 0}}, 0, V4(1), 0, 270, 2, 2, ""},
    {"two at the same time", {{V6(1), 270, 0}, {V4(1), 20, 0}}, 0, NULL, 1, 270, 2, 2, ""},
    {"a failure while others are silent starts the next",
     {{V6(1), SILENT, 0}, {V4(1), 100, -ECONNRESET}, {V6(2), 10, 0}, {V4(2), 0, 0}},
     0,
     V6(2),
     0,
     360,
     3,
     2,
     ""},
    {"the delay counts from the last start",
     {{V6(1), 100, -ECONNREFUSED}, {V4(1), SILENT, 0}, {V6(2), 10, 0}},
     0,
     V6(2),
     0,
     360,
     3,
     2,
     ""},
    {"the last of many is reached",
     {{V6(1), SILENT, 0},
      {V6(2), SILENT, 0},
      {V6(3), SILENT, 0},
      {V6(4), SILENT, 0},
      {V6(5), SILENT, 0},
      {V6(6), SILENT, 0},
      {V6(7), SILENT, 0},
      {V6(8), 1, 0}},
     0,
     V6(8),
     0,
     1751,
     8,
     8,
     ""},
    {"one that refuses",
     {{V6(1), 512, -ECONNREFUSED}},
     0,
     NULL,
     -ECONNREFUSED,
     512,
     1,
     1,
     "connect db:5432: connection refused"},
    {"all refuse",
     {{V6(1), 10, -ECONNREFUSED}, {V6(2), 10, -ECONNREFUSED}, {V4(1), 492, -ECONNREFUSED}},
     0,
     NULL,
     -ECONNREFUSED,
     502,
     3,
     2,
     "connect db:5432: connection refused (3 addresses tried in 502 ms)"},
    {"refused says more than unreachable",
     {{V6(1), 10, -ECONNREFUSED}, {V4(1), 10, -ENETUNREACH}},
     0,
     NULL,
     -ECONNREFUSED,
     20,
     2,
     1,
     "connect db:5432: connection refused (2 addresses tried in 20 ms)"},
    {"in any order",
     {{V6(1), 0, -EHOSTUNREACH}, {V4(1), 10, -ECONNREFUSED}, {V6(2), 0, -EACCES}},
     0,
     NULL,
     -ECONNREFUSED,
     10,
     3,
     1,
     NULL},
    {"no host says more than no network",
     {{V6(1), 10, -EHOSTUNREACH}, {V4(1), 0, -ENETUNREACH}},
     0,
     NULL,
     -EHOSTUNREACH,
     10,
     2,
     1,
     NULL},
    {"the last one's failure, if they say as much",
     {{V6(1), 0, -EACCES}, {V4(1), 0, -EPERM}},
     0,
     NULL,
     -EPERM,
     0,
     2,
     1,
     NULL},
    {"all are silent",
     {{V6(1), SILENT, 0},
      {V6(2), SILENT, 0},
      {V4(1), SILENT, 0},
      {V4(2), SILENT, 0},
      {V4(3), SILENT, 0},
      {V4(4), SILENT, 0}},
     1000,
     NULL,
     -ETIMEDOUT,
     1000,
     4,
     4,
     "connect db:5432: timed out (4 addresses tried in 1000 ms)"},
    {"the time is 30 s",
     {{V6(1), SILENT, 0}},
     0,
     NULL,
     -ETIMEDOUT,
     30000,
     1,
     1,
     "connect db:5432: timed out"},
    {"the time is shorter than the delay",
     {{V6(1), SILENT, 0}, {V4(1), 0, 0}},
     100,
     NULL,
     -ETIMEDOUT,
     100,
     1,
     1,
     NULL},
};

static void run_race_case(const struct race_case *expected)
{
    begin_simulation(expected->places);
    int64_t begin = now;
    struct bell_options options = {.size = sizeof options};
    options.timeout = expected->timeout_ms * BELL_MS;
    bell_conn *conn = bell_connect("db:5432", &options);
    int error = conn ? 0 : -errno;
    assert_int_equal(now - begin, expected->lasts_ms * BELL_MS);
    assert_int_equal(opened, expected->attempts);
    assert_int_equal(open_max, expected->open_max);
    if (expected->winner) {
        char peer[128];
        snprintf(peer, sizeof peer, strchr(expected->winner, ':') ? "tcp:[%s]:5432" : "tcp:%s:5432",
                 expected->winner);
        assert_non_null(conn);
        assert_string_equal(bell_peer(conn), peer);
    }
    if (expected->error <= 0)
        assert_int_equal(error, expected->error);
    if (expected->error < 0 && expected->sentence)
        assert_string_equal(bell_error(), expected->sentence);
    assert_int_equal(open_now, conn != NULL);
    bell_abort(conn);
    end_simulation();
}

static void races_end_as_they_should(void)
{
    for (size_t i = 0; i < sizeof race_cases / sizeof race_cases[0]; i++) {
        print_message("%s\n", race_cases[i].what);
        run_race_case(&race_cases[i]);
    }
}

// ---- Cancelling ---------------------------------------------------------------------------------------

static int call_db(void *arg)
{
    const char *address = arg;
    bell_conn *conn = bell_connect(address, NULL);
    assert_null(conn);
    return errno;
}

static int cancel_group(void *group)
{
    bell_group_cancel(group);
    return 0;
}

static void cancelling_leaves_nothing_open(void)
{
    static const struct place silent[PLACES_MAX] = {{V6(1), SILENT, 0}, {V4(1), SILENT, 0}};
    begin_simulation(silent);
    char address[] = "db:5432";
    bell_group *group = bell_group_open(), *other = bell_group_open();
    assert_int_equal(bell_go(group, call_db, address), 0);
    while (opened < 2)
        assert_int_equal(bell_sleep(10 * BELL_MS), 0);
    assert_int_equal(open_now, 2);
    assert_int_equal(bell_go(other, cancel_group, group), 0);
    assert_int_equal(bell_group_wait(group, BELL_NEVER), 1);
    bell_group_close(other);
    bell_group_close(group);
    end_simulation();
}

// What an attempt says at once is told to it later: by then it may be gone.
static void a_cancelled_task_leaves_no_attempt_behind(void)
{
    static const struct place both[PLACES_MAX] = {{"::1", 0, -ENETUNREACH}, {"127.0.0.1", 0, 0}};
    begin_simulation(both);
    asks = false;
    self()->cancelled = -ECANCELED;
    assert_null(bell_connect("localhost:80", NULL));
    assert_int_equal(errno, ECANCELED);
    self()->cancelled = 0;
    assert_int_equal(open_now, 0);
    assert_int_equal(bell_sleep(BELL_MS), 0);
    end_simulation();
}

static void news_in_a_yield_is_noticed(void)
{
    static const struct place place[PLACES_MAX] = {{"127.0.0.1", 0, 0}};
    begin_simulation(place);
    asks = false;
    int64_t begin = now;
    be_tired();
    bell_conn *conn = bell_connect("127.0.0.1:80", NULL);
    assert_non_null(conn);
    assert_int_equal(now - begin, 0);
    bell_abort(conn);
    end_simulation();
}

// ---- Addresses of ours, and names ---------------------------------------------------------------------

static void assert_fails_to_call(const char *address, const struct bell_options *options, int error,
                                 const char *sentence)
{
    errno = 0;
    assert_null(bell_connect(address, options));
    assert_int_equal(errno, error);
    assert_string_equal(bell_error(), sentence);
}

static void addresses_that_are_missing_are_told_in_words(void)
{
    static const struct place place[PLACES_MAX] = {{V4(1), 0, -EADDRNOTAVAIL}};
    struct bell_options options = {.size = sizeof options};
    begin_simulation(place);
    asks = false;
    assert_fails_to_call(V4(1) ":80", NULL, EADDRNOTAVAIL,
                         "connect 192.0.2.1:80: out of local ports");
    options.bind = "127.0.0.2:0";
    assert_fails_to_call(V4(1) ":80", &options, EADDRNOTAVAIL,
                         "connect 192.0.2.1:80: out of local ports");
    options.bind = "127.0.0.2:5000";
    assert_fails_to_call(V4(1) ":80", &options, EADDRNOTAVAIL,
                         "connect 192.0.2.1:80: the port to call from is in use");
    bind_result = -EADDRINUSE;
    assert_fails_to_call(V4(1) ":80", &options, EADDRINUSE,
                         "connect 192.0.2.1:80: the port to call from is in use");
    bind_result = -EADDRNOTAVAIL;
    assert_fails_to_call(
        V4(1) ":80", &options, EADDRNOTAVAIL,
        "connect 192.0.2.1:80: the address to call from is not one of this machine");
    datagram_result = -EADDRNOTAVAIL;
    assert_fails_to_call(V4(1) ":80", NULL, EADDRNOTAVAIL,
                         "connect 192.0.2.1:80: this machine has no address to call from");
    end_simulation();
}

static void the_address_to_call_from_chooses_the_family(void)
{
    static const struct place both[PLACES_MAX] = {{V6(1), 1, 0}, {V4(1), 1, 0}};
    struct bell_options options = {.size = sizeof options, .bind = "127.0.0.2:0"};
    begin_simulation(both);
    bell_conn *conn = bell_connect("db:5432", &options);
    assert_non_null(conn);
    assert_string_equal(bell_peer(conn), "tcp:192.0.2.1:5432");
    assert_true(sockets[0].bound);
    assert_int_equal(opened, 1);
    bell_abort(conn);
    end_simulation();
}

static void a_socket_that_reaches_itself_is_refused(void)
{
    static const struct place place[PLACES_MAX] = {{"127.0.0.1", 1, 0}};
    begin_simulation(place);
    asks = false;
    reaches_itself = true;
    assert_fails_to_call("127.0.0.1:40000", NULL, ECONNREFUSED,
                         "connect 127.0.0.1:40000: connection refused");
    end_simulation();
}

static void names_that_are_not_there_are_told(void)
{
    static const struct place none[PLACES_MAX];
    begin_simulation(none);
    assert_fails_to_call("db:5432", NULL, ENOENT, "connect db:5432: db: Name or service not known");
    resolve_error = EAI_SERVICE;
    asks = true;
    assert_fails_to_call("db:postgres", NULL, EINVAL,
                         "connect db:postgres: postgres: Servname not supported for ai_socktype");
    resolve_error = EAI_AGAIN;
    asks = true;
    assert_fails_to_call("db:5432", NULL, EAGAIN,
                         "connect db:5432: db: Temporary failure in name resolution");
    end_simulation();
}

static void what_makes_no_sense_is_refused(void)
{
    static const struct {
        const char *address;
        struct bell_options options;
        int error;
    } cases[] = {
        {NULL, {.size = sizeof(struct bell_options)}, EINVAL},
        {"localhost:80", {.size = 0}, EINVAL},
        {"localhost:80", {.size = sizeof(struct bell_options), .timeout = -1}, EINVAL},
        {"localhost:80", {.size = sizeof(struct bell_options), .linger_time = -1}, EINVAL},
        {"localhost:80", {.size = sizeof(struct bell_options), .flags = BELL_REUSEPORT}, EINVAL},
        {"localhost:80",
         {.size = sizeof(struct bell_options), .flags = BELL_IPV4_ONLY | BELL_IPV6_ONLY},
         EINVAL},
        {"tcp4:localhost:80",
         {.size = sizeof(struct bell_options), .flags = BELL_IPV6_ONLY},
         EINVAL},
        {"[::1]:80", {.size = sizeof(struct bell_options), .bind = "127.0.0.1:0"}, EINVAL},
        {"localhost:80", {.size = sizeof(struct bell_options), .bind = "myhost:0"}, EINVAL},
        {"localhost:80", {.size = sizeof(struct bell_options), .bind = "/tmp/x"}, EINVAL},
        {"localhost:80", {.size = sizeof(struct bell_options), .bind = ""}, EINVAL},
        {"/tmp/x.sock", {.size = sizeof(struct bell_options), .bind = "127.0.0.1:0"}, EINVAL},
        {"*:80", {.size = sizeof(struct bell_options)}, EINVAL},
        {"localhost", {.size = sizeof(struct bell_options)}, EINVAL},
        {"udp:localhost:80", {.size = sizeof(struct bell_options)}, EPROTONOSUPPORT},
        {"fd:99999", {.size = sizeof(struct bell_options)}, EBADF},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        errno = 0;
        assert_null(bell_connect(cases[i].address, &cases[i].options));
        assert_int_equal(errno, cases[i].error);
        assert_true(*bell_error());
    }
}

// ---- Real sockets ---------------------------------------------------------------------------------------

// A socket that has this address; its port is returned if `port` is 0. -1 when that cannot be.
static int bind_to(const char *host, int *port)
{
    char text[64];
    struct addr addr;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    snprintf(text, sizeof text, "%s:%d", host, *port);
    assert_int_equal(addr_parse(text, &addr, NULL, 0), 0);
    int length = addr_to_sockaddr(&addr, ADDR_ANY, &address);
    int fd = socket(address.ss_family, SOCK_STREAM, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, (socklen_t)length) < 0) {
        close(fd);
        return -1;
    }
    if (fd >= 0 && *port == 0) {
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
        *port = ntohs(((struct sockaddr_in *)&address)->sin_port); // at the same place in both
    }
    return fd;
}

static void assert_localhost_works(const char *who_listens, const char *who_does_not)
{
    int listener = -1, silent = -1, port = 0;
    for (int tries = 0; silent < 0 && tries < 20; tries++) {
        port = 0;
        listener = bind_to(who_listens, &port);
        if (listener < 0)
            skip();                            // no IPv6 here
        silent = bind_to(who_does_not, &port); // so that nobody else has it
        if (silent < 0)
            close(listener);
    }
    assert_true(silent >= 0);
    assert_int_equal(listen(listener, 1), 0);
    char address[64], peer[64];
    snprintf(address, sizeof address, "localhost:%d", port);
    snprintf(peer, sizeof peer, "tcp:%s:%d", who_listens, port);
    bell_conn *conn = bell_connect(address, NULL);
    assert_non_null(conn);
    assert_string_equal(bell_peer(conn), peer);
    bell_abort(conn);
    close(listener);
    close(silent);
}

static void localhost_is_who_listens_of_both(void)
{
    assert_localhost_works("127.0.0.1", "[::1]");
    assert_localhost_works("[::1]", "127.0.0.1");
}

static void a_call_has_its_options(void)
{
    int port = 0, no_delay = 0;
    socklen_t size = sizeof no_delay;
    int listener = bind_to("127.0.0.1", &port);
    assert_int_equal(listen(listener, 1), 0);
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    struct bell_options options = {.size = sizeof options, .bind = "127.0.0.2:0"};
    options.linger_time = 5;
    options.linger_bytes = 6;
    bell_conn *conn = bell_connect(address, &options);
    assert_non_null(conn);
    assert_int_equal(strncmp(bell_local(conn), "tcp:127.0.0.2:", 14), 0);
    assert_int_equal(getsockopt(bell_fd(conn), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
    assert_int_equal(no_delay, 1);
    assert_int_equal(conn->linger_time, 5);
    assert_int_equal(conn->linger_bytes, 6);
    bell_abort(conn);
    options.bind = "203.0.113.1:0";
    assert_null(bell_connect(address, &options));
    assert_int_equal(errno, EADDRNOTAVAIL);
    close(listener);
}

static void who_does_not_listen_refuses(void)
{
    int port = 0;
    int bound = bind_to("127.0.0.1", &port);
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    assert_null(bell_connect(address, NULL));
    assert_int_equal(errno, ECONNREFUSED);
    close(bound);
}

static void an_inherited_descriptor_becomes_a_connection(void)
{
    int fds[2];
    char address[32];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    snprintf(address, sizeof address, "fd:%d", fds[0]);
    struct bell_options options = {.size = sizeof options, .linger_time = 7};
    bell_conn *conn = bell_connect(address, &options);
    assert_non_null(conn);
    assert_int_equal(conn->linger_time, 7);
    bell_abort(conn);
    close(fds[1]);
}

// ---- Unix sockets ---------------------------------------------------------------------------------------

static int listen_on(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (*path == '@')
        address.sun_path[0] = '\0';
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*path != '@'));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void unix_sockets_are_called_by_path_and_by_name(void)
{
    char folder[] = "/tmp/connect_test.XXXXXX", path[64], name[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(name, sizeof name, "@connect_test.%d", getpid());
    assert_null(bell_connect(path, NULL));
    assert_int_equal(errno, ENOENT);
    int listeners[] = {listen_on(path, 1), listen_on(name, 1)};
    bell_conn *one = bell_connect(path, NULL), *other = bell_connect(name, NULL);
    assert_non_null(one);
    assert_non_null(other);
    bell_abort(one);
    bell_abort(other);
    close(listeners[0]);
    close(listeners[1]);
    assert_null(bell_connect(path, NULL));
    assert_int_equal(errno, ECONNREFUSED);
    unlink(path);
    rmdir(folder);
}

static int accept_some(void *arg)
{
    int *listener = arg;
    assert_int_equal(bell_sleep(0), 0); // whoever calls has found the queue full
    int fd;
    while ((fd = accept(*listener, NULL, NULL)) >= 0)
        close(fd);
    return 0;
}

static void a_full_queue_is_waited_for(void)
{
    char name[64];
    snprintf(name, sizeof name, "@connect_test.%d", getpid());
    int listener = listen_on(name, 1), count = 0;
    bell_conn *conns[8];
    struct bell_options options = {.size = sizeof options, .timeout = 2 * BELL_MS};
    while (count < 8 && (conns[count] = bell_connect(name, &options)))
        count++;
    assert_int_equal(errno, ETIMEDOUT);
    assert_in_range(count, 1, 7);

    bell_group *group = bell_group_open();
    assert_int_equal(bell_go(group, accept_some, &listener), 0);
    bell_conn *late = bell_connect(name, NULL);
    assert_non_null(late);
    bell_abort(late);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    bell_group_close(group);
    while (count > 0)
        bell_abort(conns[--count]);
    close(listener);
}

static void use_network(void)
{
    use_table();
    table.now = table.now_coarse = fake_now;
    table.socket = fake_socket;
    table.close = fake_close;
    table.setsockopt = fake_setsockopt;
    table.bind = fake_bind;
    table.connect = fake_connect;
    table.getsockname = fake_getsockname;
    table.getpeername = fake_getpeername;
    table.ppoll = fake_ppoll;
    table.epoll_ctl = fake_epoll_ctl;
    table.epoll_wait = fake_epoll_wait;
    table.resolve = fake_resolve;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(races_end_as_they_should),
        ON_EACH(cancelling_leaves_nothing_open),
        ON_EACH(a_cancelled_task_leaves_no_attempt_behind),
        ON_EACH(news_in_a_yield_is_noticed),
        ON_EACH(addresses_that_are_missing_are_told_in_words),
        ON_EACH(the_address_to_call_from_chooses_the_family),
        ON_EACH(a_socket_that_reaches_itself_is_refused),
        ON_EACH(names_that_are_not_there_are_told),
        ON_EACH(what_makes_no_sense_is_refused),
        ON_EACH(localhost_is_who_listens_of_both),
        ON_EACH(a_call_has_its_options),
        ON_EACH(who_does_not_listen_refuses),
        ON_EACH(an_inherited_descriptor_becomes_a_connection),
        ON_EACH(unix_sockets_are_called_by_path_and_by_name),
        ON_EACH(a_full_queue_is_waited_for),
    };
    use_network();
    return cmocka_run_group_tests_name("connecting", tests, NULL, NULL);
}
