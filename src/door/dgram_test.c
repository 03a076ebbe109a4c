// Datagram sockets of a program's own: which address they get, and whom they can find.

#include "conn/dgram.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "task/task_test.h"

// ---- A resolver and a kernel that say what a test wants -------------------------------------------------

static const char *const *hosts; // what every name means
static int resolve_error, bind_error;

static int resolve_hosts(const char *name, const char *service, const struct addrinfo *hints,
                         struct addrinfo **ret_list)
{
    if (!hosts)
        return kernel_real.resolve(name, service, hints, ret_list);
    if (resolve_error)
        return resolve_error;
    struct addrinfo numeric = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo **end = ret_list;
    for (int i = 0; hosts[i]; i++) {
        bool ipv6 = strchr(hosts[i], ':');
        if (hints->ai_family != AF_UNSPEC && (hints->ai_family == AF_INET6) != ipv6)
            continue;
        assert_int_equal(getaddrinfo(hosts[i], service, &numeric, end), 0);
        end = &(*end)->ai_next;
    }
    return *ret_list ? 0 : EAI_NONAME;
}

static int bind_or_fail(int fd, const struct sockaddr *address, socklen_t size)
{
    return bind_error ? bind_error : kernel_real.bind(fd, address, size);
}

static void use_hosts(const char *const *list)
{
    hosts = list;
    resolve_error = bind_error = 0;
}

// ---- Which address it gets ------------------------------------------------------------------------------

static void assert_opens_at(const char *expected, const char *address, unsigned flags)
{
    struct bell_options options = {.size = sizeof options, .flags = flags};
    bell_dgram *dgram = bell_dgram_open(address, &options);
    if (!dgram)
        fail_msg("%s: %s", address ? address : "NULL", bell_error());
    if (strncmp(bell_dgram_local(dgram), expected, strlen(expected)) != 0)
        fail_msg("%s: opened at %s, not %s", address, bell_dgram_local(dgram), expected);
    assert_true(bell_dgram_fd(dgram) >= 0);
    assert_null(bell_dgram_server(dgram));
    assert_int_equal(bell_dgram_close(dgram), 0);
}

static void the_family_is_chosen(void)
{
    use_hosts(NULL);
    assert_opens_at("udp:127.0.0.1:", "udp:0", 0);
    assert_opens_at("udp:127.0.0.1:", "udp:localhost:0", 0);
    assert_opens_at("udp:127.0.0.1:", "udp:localhost:0", BELL_IPV4_ONLY);
    assert_opens_at("udp:[::1]:", "udp:localhost:0", BELL_IPV6_ONLY);
    assert_opens_at("udp:[::1]:", "udp6:localhost:0", 0);
    assert_opens_at("udp:[::]:", "udp:*:0", 0);
    assert_opens_at("udp:0.0.0.0:", "udp:*:0", BELL_IPV4_ONLY | BELL_REUSEPORT);
    assert_opens_at("udp:[::]:", NULL, 0);
}

static void the_first_address_that_can_be_had_is_it(void)
{
    static const char *const second[] = {"192.0.2.1", "127.0.0.1", "127.0.0.2", NULL},
                             *const none[] = {"192.0.2.1", "2001:db8::1", NULL};
    use_hosts(second);
    assert_opens_at("udp:127.0.0.1:", "udp:host:0", 0);
    use_hosts(none);
    assert_null(bell_dgram_open("udp:host:0", NULL));
    assert_int_equal(errno, EADDRNOTAVAIL);
    use_hosts(second);
    bind_error = -EAFNOSUPPORT; // as good as not there
    assert_null(bell_dgram_open("udp:host:0", NULL));
    assert_int_equal(errno, EAFNOSUPPORT);
    bind_error = -EACCES; // the others would not be better
    assert_null(bell_dgram_open("udp:host:0", NULL));
    assert_int_equal(errno, EACCES);
    bind_error = 0;
}

static void a_name_that_is_not_there_is_told(void)
{
    static const char *const nobody[] = {NULL};
    use_hosts(nobody);
    struct bell_options options = {.size = sizeof options, .timeout = 20 * BELL_SECOND};
    assert_null(bell_dgram_open("udp:nosuch.example:7464", &options));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(strncmp(bell_error(), "nosuch.example: ", 16), 0);
    resolve_error = EAI_SERVICE;
    assert_null(bell_dgram_open("udp:nosuch.example:nosuch", NULL));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(strncmp(bell_error(), "nosuch: ", 8), 0);
    resolve_error = EAI_MEMORY;
    assert_null(bell_dgram_open("udp:nosuch.example:7464", NULL));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(strncmp(bell_error(), "nosuch.example: ", 16), 0);
    resolve_error = 0;
}

static void what_makes_no_sense_is_refused(void)
{
    static const struct {
        const char *address, *why;
        struct bell_options options;
    } wrong[] = {
        {"udp:0", "size of the options", {.size = 1}},
        {"udp:0", "duration is negative", {.size = sizeof wrong[0].options, .timeout = -1}},
        {"udp:0",
         "is the one to bind to",
         {.size = sizeof wrong[0].options, .bind = "127.0.0.1:0"}},
        {"udp:0", "flags make no", {.size = sizeof wrong[0].options, .flags = 1u << 31}},
        {"udp:0",
         "flags make no",
         {.size = sizeof wrong[0].options, .flags = BELL_IPV4_ONLY | BELL_IPV6_ONLY}},
        {"udp:0", "nosuch", {.size = sizeof wrong[0].options, .sockopts = "nosuch=1"}},
        {"udp:127.0.0.1:99999", "99999", {.size = sizeof wrong[0].options}},
        {"tcp:127.0.0.1:0", "for datagrams it is", {.size = sizeof wrong[0].options}},
        {"unixpacket:@x", "for datagrams it is", {.size = sizeof wrong[0].options}},
    };
    use_hosts(NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_null(bell_dgram_open(wrong[i].address, &wrong[i].options));
        assert_int_equal(errno, EINVAL);
        if (!strstr(bell_error(), wrong[i].why))
            fail_msg("%s: %s, and not %s", wrong[i].address, bell_error(), wrong[i].why);
    }
}

// ---- Whom it finds ----------------------------------------------------------------------------------------

static bell_dgram *dgram;

static void open_one(const char *address)
{
    const char *const *list = hosts;
    use_hosts(NULL);
    dgram = bell_dgram_open(address, NULL);
    assert_non_null(dgram);
    use_hosts(list);
}

static void assert_finds(const char *expected, const char *address)
{
    struct bell_datagram about;
    char text[128];
    if (bell_dgram_find(dgram, address, &about) < 0)
        fail_msg("%s: %s", address, bell_error());
    assert_string_equal(bell_datagram_peer(&about, text, sizeof text), expected);
    assert_int_equal(about.local_size, 0);
}

static void assert_cannot_find(const char *address, int error)
{
    struct bell_datagram about;
    ASSERT_FAILS(bell_dgram_find(dgram, address, &about), error);
}

static void a_socket_finds_addresses_of_its_family(void)
{
    static const char *const both[] = {"2001:db8::7", "192.0.2.7", "192.0.2.8", NULL},
                             *const ipv4[] = {"192.0.2.7", NULL},
                             *const ipv6[] = {"2001:db8::7", NULL};
    use_hosts(both);
    open_one("udp:127.0.0.1:0");
    assert_finds("udp:192.0.2.7:7464", "udp:host:7464");
    use_hosts(ipv6);
    assert_cannot_find("udp:host:7464", EAFNOSUPPORT);
    assert_int_equal(bell_dgram_close(dgram), 0);
    open_one("udp6:localhost:0"); // of IPv6 only
    assert_finds("udp:[2001:db8::7]:7464", "udp:host:7464");
    use_hosts(ipv4);
    assert_cannot_find("udp:host:7464", EAFNOSUPPORT);
    assert_int_equal(bell_dgram_close(dgram), 0);
}

static void a_socket_of_both_families_finds_both(void)
{
    static const char *const ipv4[] = {"192.0.2.7", NULL}, *const both[] = {"192.0.2.7",
                                                                            "2001:db8::7", NULL};
    use_hosts(ipv4);
    open_one("udp:*:0");
    assert_finds("udp:192.0.2.7:7464", "udp:host:7464");
    use_hosts(both);
    assert_finds("udp:[2001:db8::7]:7464", "udp:host:7464"); // the better one
    // Of this machine itself IPv4 comes first, as for who listens there.
    use_hosts(NULL);
    assert_finds("udp:127.0.0.1:7464", "udp:7464");
    assert_cannot_find("udp:[ff02::1%nosuch]:7464", ENODEV);
    struct bell_datagram about;
    assert_int_equal(bell_dgram_find(dgram, "udp:[ff02::1%lo]:7464", &about), 0);
    assert_int_equal(about.interface, 1);
    assert_int_equal(bell_dgram_close(dgram), 0);
}

// NOLINTNEXTLINE(readability-non-const-parameter): the type of the table
static int fail_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *size)
{
    (void)fd, (void)level, (void)name, (void)ret_value, (void)size;
    return -ENOBUFS;
}

static void where_nothing_is_known_of_a_socket_little_is_promised(void)
{
    static const char *const ipv4[] = {"192.0.2.7", NULL};
    use_hosts(ipv4);
    open_one("udp:*:0");
    table.getsockopt = fail_getsockopt;
    assert_cannot_find("udp:host:7464", EAFNOSUPPORT); // it may be of IPv6 only
    assert_int_equal(bell_dgram_dropped(dgram), 0);
    table.getsockopt = kernel_real.getsockopt;
    assert_int_equal(bell_dgram_close(dgram), 0);
}

static void what_cannot_be_sent_to_is_refused(void)
{
    static const char *const nobody[] = {NULL};
    use_hosts(nobody);
    open_one("udp:127.0.0.1:0");
    assert_cannot_find("udp:nosuch.example:7464", ENOENT);
    assert_cannot_find("udp:127.0.0.1:99999", EINVAL);
    static const char *const wrong[] = {"tcp:127.0.0.1:80", "udp:*:80", "fd:0", "unixgram:@x"};
    for (int i = 0; i < 4; i++) {
        assert_cannot_find(wrong[i], EINVAL);
        assert_non_null(strstr(bell_error(), "cannot send there"));
    }
    assert_int_equal(bell_dgram_close(dgram), 0);
    open_one("unixgram:@");
    assert_finds("unixgram:@somebody", "unixgram:@somebody");
    assert_cannot_find("udp:127.0.0.1:80", EINVAL);
    assert_int_equal(bell_dgram_close(dgram), 0);
}

// ---- Closing ----------------------------------------------------------------------------------------------

static void receive_in_vain(void *arg)
{
    char byte;
    *(int *)arg = bell_recvfrom(dgram, &byte, 1, NULL) < 0 ? -errno : 0;
}

static void another_loops_socket_is_not_closed(void)
{
    use_hosts(NULL);
    open_one("udp:127.0.0.1:0");
    int result = 0;
    assert_int_equal(task_start(self()->loop, "test", receive_in_vain, &result, NULL), 0);
    while (!dgram->endpoint.calls[WAIT_IN])
        task_yield(self());
    struct loop other; // as of another thread
    assert_int_equal(loop_open(&other, &backend_epoll), 0);
    ASSERT_FAILS(bell_dgram_close(dgram), EXDEV);
    loop_close(&other);
    wait_cancel_endpoint(&dgram->endpoint, -ECANCELED);
    while (!result)
        task_yield(self());
    assert_int_equal(result, -ECANCELED);
    assert_int_equal(bell_dgram_close(dgram), 0);
    assert_int_equal(bell_dgram_close(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(the_family_is_chosen),
        ON_EACH(the_first_address_that_can_be_had_is_it),
        ON_EACH(a_name_that_is_not_there_is_told),
        ON_EACH(what_makes_no_sense_is_refused),
        ON_EACH(a_socket_finds_addresses_of_its_family),
        ON_EACH(a_socket_of_both_families_finds_both),
        ON_EACH(where_nothing_is_known_of_a_socket_little_is_promised),
        ON_EACH(what_cannot_be_sent_to_is_refused),
        ON_EACH(another_loops_socket_is_not_closed),
    };
    use_table();
    table.resolve = resolve_hosts;
    table.bind = bind_or_fail;
    return cmocka_run_group_tests_name("datagram sockets", tests, NULL, NULL);
}
