// bell_connect: races in a simulated network, whose time is exact; and real sockets of this machine.

#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn/conn.h"
#include "door/connect_test.h"

// ---- Races ------------------------------------------------------------------------------------------

#define V6 "2001:db8::" // and a digit
#define V4 "192.0.2."

// `places` are words in the order of the resolver: the family, and after how many ms which answer comes.
// "6:10" is connected after 10 ms, "4:0!refused" refused at once, "6:-" silent. `outcome` is who wins, as
// "6.1", the first one of IPv6, or the error; "?" when either is right.
static const struct race_case {
    const char *what, *places, *outcome;
    int timeout_ms, lasts_ms, attempts, open_max;
} race_cases[] = {
    {"IPv6 is preferred", "4:10 6:10", "6.1", 0, 10, 1, 1},
    {"a silent IPv6 costs one delay", "6:- 4:10", "4.1", 0, 260, 2, 2},
    {"a refusal starts the next one", "6:5!refused 4:10", "4.1", 0, 15, 2, 1},
    {"so does a failure at once", "6:0!no-net 4:10", "4.1", 0, 10, 2, 1},
    {"who answers at once wins", "6:0 4:0", "6.1", 0, 0, 1, 1},
    {"a slow one may still win", "6:400 4:-", "6.1", 0, 400, 2, 2},
    {"the first answer wins", "6:400 4:20", "4.1", 0, 270, 2, 2},
    {"two at the same time", "6:270 4:20", "?", 0, 270, 2, 2},
    {"a failure beside a silent one", "6:- 4:100!reset 6:10 4:0", "6.2", 0, 360, 3, 2},
    {"the delay is from the last start", "6:100!refused 4:- 6:10", "6.2", 0, 360, 3, 2},
    {"the last of many", "6:- 6:- 6:- 6:- 6:- 6:- 6:- 6:1", "6.8", 0, 1751, 8, 8},
    {"all refuse", "6:10!refused 6:10!refused 4:492!refused", "refused", 0, 502, 3, 2},
    {"refused says more than no way", "6:10!refused 4:10!no-net", "refused", 0, 20, 2, 1},
    {"in any order", "6:0!no-host 4:10!refused 6:0!reset", "refused", 0, 10, 3, 1},
    {"no host says more than no way", "6:10!no-host 4:0!no-net", "no-host", 0, 10, 2, 1},
    {"nor does a family that is not there", "6:10!no-host 4:0!no-family", "no-host", 0, 10, 2, 1},
    {"else the last one's failure", "6:0!no-host 4:0!reset 6:0!denied", "denied", 0, 0, 3, 1},
    {"all are silent", "6:- 6:- 4:- 4:- 4:- 4:-", "late", 1000, 1000, 4, 4},
    {"the time is 30 s", "6:-", "late", 0, 30000, 1, 1},
    {"the time may be shorter than the delay", "6:- 4:0", "late", 100, 100, 1, 1},
};

static int error_of(const char *word)
{
    static const struct {
        const char *word;
        int error;
    } words[] = {
        {"refused", -ECONNREFUSED},   {"no-net", -ENETUNREACH}, {"no-host", -EHOSTUNREACH},
        {"reset", -ECONNRESET},       {"denied", -EACCES},      {"late", -ETIMEDOUT},
        {"no-family", -EAFNOSUPPORT},
    };
    size_t i = 0;
    while (strcmp(words[i].word, word) != 0)
        i++;
    return words[i].error;
}

static void parse_places(const char *text, struct place *ret_places)
{
    static char addresses[PLACES_MAX][32];
    char copy[256], *rest = copy;
    int counts[2] = {0, 0};
    snprintf(copy, sizeof copy, "%s", text);
    for (int i = 0; rest; i++) {
        const char *word = strsep(&rest, " ");
        bool ipv6 = word[0] == '6';
        const char *error = strchr(word, '!');
        snprintf(addresses[i], sizeof addresses[i], ipv6 ? V6 "%d" : V4 "%d", ++counts[ipv6]);
        ret_places[i].address = addresses[i];
        ret_places[i].delay_ms = word[2] == '-' ? SILENT : (int)strtol(word + 2, NULL, 10);
        ret_places[i].result = error ? error_of(error + 1) : 0;
    }
}

static void assert_outcome(const char *expected, bell_conn *conn)
{
    if (*expected == '?')
        return;
    if (expected[0] != '4' && expected[0] != '6') {
        assert_null(conn);
        assert_int_equal(-errno, error_of(expected));
        return;
    }
    char peer[128];
    snprintf(peer, sizeof peer, expected[0] == '6' ? "tcp:[" V6 "%s]:5432" : "tcp:" V4 "%s:5432",
             expected + 2);
    assert_non_null(conn);
    assert_string_equal(bell_peer(conn), peer);
}

static void run_race_case(const struct race_case *expected)
{
    struct place answers[PLACES_MAX] = {{NULL, 0, 0}};
    parse_places(expected->places, answers);
    begin_simulation(answers);
    int64_t begin = now;
    struct bell_options options = {.size = sizeof options};
    options.timeout = expected->timeout_ms * BELL_MS;
    bell_conn *conn = bell_connect("db:5432", &options);
    assert_outcome(expected->outcome, conn);
    assert_int_equal(now - begin, expected->lasts_ms * BELL_MS);
    assert_int_equal(opened, expected->attempts);
    assert_int_equal(open_max, expected->open_max);
    assert_int_equal(open_now, conn != NULL);
    bell_abort(conn);
    end_simulation();
}

static void races_end_as_they_should(void)
{
    for (size_t i = 0; i < sizeof race_cases / sizeof race_cases[0]; i++) {
        print_message("# %s\n", race_cases[i].what);
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
    static const struct place silent[PLACES_MAX] = {{V6 "1", SILENT, 0}, {V4 "1", SILENT, 0}};
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
    static const struct place place[PLACES_MAX] = {{V4 "1", 0, -EADDRNOTAVAIL}};
    struct bell_options options = {.size = sizeof options};
    begin_simulation(place);
    asks = false;
    assert_fails_to_call(V4 "1:80", NULL, EADDRNOTAVAIL,
                         "connect 192.0.2.1:80: out of local ports");
    options.bind = "127.0.0.2:0";
    assert_fails_to_call(V4 "1:80", &options, EADDRNOTAVAIL,
                         "connect 192.0.2.1:80: out of local ports");
    options.bind = "127.0.0.2:5000";
    assert_fails_to_call(V4 "1:80", &options, EADDRNOTAVAIL,
                         "connect 192.0.2.1:80: the port to call from is in use");
    bind_result = -EADDRINUSE;
    assert_fails_to_call(V4 "1:80", &options, EADDRINUSE,
                         "connect 192.0.2.1:80: the port to call from is in use");
    bind_result = -EADDRNOTAVAIL;
    assert_fails_to_call(
        V4 "1:80", &options, EADDRNOTAVAIL,
        "connect 192.0.2.1:80: the address to call from is not one of this machine");
    datagram_result = -EADDRNOTAVAIL;
    assert_fails_to_call(V4 "1:80", NULL, EADDRNOTAVAIL,
                         "connect 192.0.2.1:80: this machine has no address to call from");
    end_simulation();
}

static void the_address_to_call_from_chooses_the_family(void)
{
    static const struct place both[PLACES_MAX] = {{V6 "1", 1, 0}, {V4 "1", 1, 0}};
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

static void a_sentence_tells_how_many_were_tried(void)
{
    static const struct place three[PLACES_MAX] = {
        {V6 "1", 10, -ECONNREFUSED}, {V6 "2", 10, -ECONNREFUSED}, {V4 "1", 492, -ECONNREFUSED}};
    begin_simulation(three);
    assert_fails_to_call("db:5432", NULL, ECONNREFUSED,
                         "connect db:5432: connection refused (3 addresses tried in 502 ms)");
    asks = false;
    assert_fails_to_call("192.0.2.1:5432", NULL, ECONNREFUSED,
                         "connect 192.0.2.1:5432: connection refused");
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
                         "connect db:postgres: postgres: there is no service of this name");
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
        {"tls:localhost:80", {.size = sizeof(struct bell_options)}, EPROTONOSUPPORT},
        {"udp:*:80", {.size = sizeof(struct bell_options)}, EINVAL},
        {"udp:239.1.2.3%nosuch:80", {.size = sizeof(struct bell_options)}, ENODEV},
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
        ON_EACH(a_sentence_tells_how_many_were_tried),
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
