// Listening: on which sockets, and why not.

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "door/door.h"
#include "kernel/kernel.h"

static struct kernel_ops table;

static int set_up(void **state)
{
    (void)state;
    table = kernel_real;
    kernel = &table;
    return 0;
}

static bell_server *server;

static int be_polite(bell_conn *conn, void *arg)
{
    (void)conn, (void)arg;
    return 0;
}

static int be_silent(bell_dgram *dgram, void *arg)
{
    (void)dgram, (void)arg;
    return 0;
}

static void open_server(struct bell_server_options options)
{
    options.size = sizeof options;
    assert_non_null(server = bell_server_open(be_polite, NULL, &options));
}

static void assert_listens(const char *address, const char *first, const char *second)
{
    assert_int_equal(bell_server_listen(server, address), 0);
    const char *texts[] = {first, second};
    for (int i = 0; i < 2; i++) {
        const char *text = bell_server_address(server, i);
        if (!texts[i] && !text)
            continue;
        if (!texts[i] || !text || strncmp(text, texts[i], strlen(texts[i])) != 0)
            fail_msg("%s: address %d is %s, and not %s", address, i, text, texts[i]);
    }
    bell_server_close(server);
}

static void assert_refused(const char *address, int error, const char *why)
{
    errno = 0;
    assert_int_equal(bell_server_listen(server, address), -1);
    assert_string_equal(strerrorname_np(errno), strerrorname_np(error));
    if (!strstr(bell_error(), why))
        fail_msg("%s: %s, and not %s", address, bell_error(), why);
    assert_null(bell_server_address(server, 0));
    bell_server_close(server);
}

// ---- Families -----------------------------------------------------------------------------------

static int no_ipv6(int family, int type, int protocol)
{
    return family == AF_INET6 ? -EAFNOSUPPORT : kernel_real.socket(family, type, protocol);
}

static int no_ipv6_address(int fd, const struct sockaddr *address, socklen_t size)
{
    return address->sa_family == AF_INET6 ? -EADDRNOTAVAIL : kernel_real.bind(fd, address, size);
}

static void a_machine_without_ipv6_is_served_by_ipv4(void **state)
{
    (void)state;
    table.socket = no_ipv6;
    open_server((struct bell_server_options){.backlog = 3});
    assert_listens("*:0", "tcp:0.0.0.0:", NULL);
    open_server((struct bell_server_options){0});
    assert_listens("localhost:0", "tcp:127.0.0.1:", NULL);
    open_server((struct bell_server_options){.flags = BELL_IPV6_ONLY});
    assert_refused("*:0", EADDRNOTAVAIL, "*:0");
    open_server((struct bell_server_options){.flags = BELL_IPV6_ONLY});
    assert_refused("localhost:0", EADDRNOTAVAIL, "localhost:0");
}

static void an_address_that_is_not_there_is_told(void **state)
{
    (void)state;
    table.bind = no_ipv6_address;
    open_server((struct bell_server_options){.flags = BELL_IPV6_ONLY});
    assert_refused("[::1]:0", EADDRNOTAVAIL, "[::1]:0");
}

// ---- Names --------------------------------------------------------------------------------------

static const char *const *hosts;
static int resolve_error;

static int resolve_hosts(const char *name, const char *service, const struct addrinfo *hints,
                         struct addrinfo **ret_list)
{
    (void)name, (void)hints;
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo **end = ret_list;
    if (resolve_error)
        return resolve_error;
    for (int i = 0; hosts[i]; i++) {
        assert_int_equal(getaddrinfo(hosts[i], service, &numeric, end), 0);
        end = &(*end)->ai_next;
    }
    return 0;
}

static void all_addresses_of_a_name_are_listened_on(void **state)
{
    (void)state;
    static const char *const two[] = {"127.0.0.1", "127.0.0.2", NULL},
                             *const one_of_two[] = {"127.0.0.1", "192.0.2.1", NULL},
                             *const none[] = {"192.0.2.1", "127.0.0.1", NULL};
    table.resolve = resolve_hosts;
    resolve_error = 0;
    hosts = two;
    open_server((struct bell_server_options){0});
    assert_listens("host:0", "tcp:127.0.0.1:", "tcp:127.0.0.2:");
    hosts = one_of_two; // where one works, others may be of interfaces that are not there now
    open_server((struct bell_server_options){0});
    assert_listens("host:0", "tcp:127.0.0.1:", NULL);
    hosts = none;
    open_server((struct bell_server_options){0});
    assert_refused("host:0", EADDRNOTAVAIL, "host:0");
}

static int port_is_taken(int fd, const struct sockaddr *address, socklen_t size)
{
    static int binds;
    return ++binds % 2 == 0 && binds < 6 ? -EADDRINUSE : kernel_real.bind(fd, address, size);
}

static void a_port_that_is_free_for_all_addresses_is_looked_for(void **state)
{
    (void)state;
    static const char *const two[] = {"127.0.0.1", "127.0.0.2", NULL};
    table.resolve = resolve_hosts;
    table.bind = port_is_taken;
    hosts = two;
    resolve_error = 0;
    open_server((struct bell_server_options){0});
    assert_int_equal(bell_server_listen(server, "host:0"), 0);
    const char *first = bell_server_address(server, 0), *second = bell_server_address(server, 1);
    assert_string_equal(strrchr(first, ':'), strrchr(second, ':'));
    bell_server_close(server);
}

static void what_the_resolver_says_is_told(void **state)
{
    (void)state;
    table.resolve = resolve_hosts;
    resolve_error = EAI_NONAME;
    open_server((struct bell_server_options){0});
    assert_refused("nosuch.example:80", EADDRNOTAVAIL, "nosuch.example:80: nosuch.example: ");
    resolve_error = EAI_SERVICE;
    open_server((struct bell_server_options){0});
    assert_refused("nosuch.example:nosuch", EINVAL, "nosuch.example:nosuch: nosuch: ");
    open_server((struct bell_server_options){0});
    assert_refused("localhost:nosuch", EINVAL, "localhost:nosuch: nosuch: ");
    resolve_error = EAI_MEMORY;
    open_server((struct bell_server_options){0});
    assert_refused("nosuch.example:80", ENOMEM, "nosuch.example");
}

// ---- Unix sockets -------------------------------------------------------------------------------

static int lost_locks;

static int other_file(int fd, const char *path)
{
    return lost_locks-- > 0 ? 0 : kernel_real.same_file(fd, path);
}

// A server that ended took its lock away between our opening it and locking it: so that is nobody's.
static void a_lock_that_was_taken_away_is_made_anew(void **state)
{
    (void)state;
    char folder[] = "/tmp/listen_test.XXXXXX", path[64], lock[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(lock, sizeof lock, "%s.lock", path);
    table.same_file = other_file;
    lost_locks = 3;
    open_server((struct bell_server_options){0});
    assert_int_equal(bell_server_listen(server, path), 0);
    assert_true(lost_locks < 0);
    assert_int_equal(access(lock, F_OK), 0);
    bell_server_close(server);
    assert_int_equal(rmdir(folder), 0);
}

// ---- Inherited ----------------------------------------------------------------------------------

static void assert_is_no_listener(int type, bool listens, bool dgrams)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char text[20];
    int fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (listens)
        assert_int_equal(listen(fd, 1), 0);
    snprintf(text, sizeof text, "fd:%d", fd);
    struct bell_server_options options = {.size = sizeof options};
    server = dgrams ? bell_server_open_dgram(be_silent, NULL, &options)
                    : bell_server_open(be_polite, NULL, &options);
    assert_refused(text, EINVAL,
                   dgrams ? "it is not a datagram socket" : "it is not a listening stream socket");
    assert_int_equal(close(fd), 0); // it stays with who has it
}

static void an_inherited_socket_must_fit(void **state)
{
    (void)state;
    assert_is_no_listener(SOCK_STREAM, false, false);
    assert_is_no_listener(SOCK_DGRAM, false, false);
    assert_is_no_listener(SOCK_STREAM, true, true);
    assert_is_no_listener(SOCK_STREAM, false, true);
}

// ---- SCTP ---------------------------------------------------------------------------------------

static int sctp_error;

static int socket_of_sctp(int family, int type, int protocol)
{
    if (protocol != IPPROTO_SCTP)
        return kernel_real.socket(family, type, protocol);
    return sctp_error ? sctp_error : kernel_real.socket(AF_INET, SOCK_DGRAM, 0);
}

static void sctp_is_refused_as_what_it_is(void **state)
{
    (void)state;
    static const struct {
        int says, error;
        const char *why;
    } kernels[] = {
        {-EPROTONOSUPPORT, EPROTONOSUPPORT, "SCTP is not available in this kernel"},
        {-ESOCKTNOSUPPORT, ESOCKTNOSUPPORT, "SCTP is not available in this kernel"},
        {-EACCES, EACCES, "sctp:127.0.0.1:80: Permission denied"},
        {0, EPROTONOSUPPORT, "this kernel has SCTP, but doorbell does not speak it"},
    };
    table.socket = socket_of_sctp;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        sctp_error = kernels[i].says;
        int next = dup(0);
        (void)close(next);
        open_server((struct bell_server_options){0});
        assert_refused("sctp:127.0.0.1:80", kernels[i].error, kernels[i].why);
        assert_null(bell_connect("sctp:127.0.0.1:80", NULL));
        assert_int_equal(errno, kernels[i].error);
        assert_non_null(strstr(bell_error(), kernels[i].why));
        int still = dup(0);
        assert_int_equal(still, next);
        (void)close(still);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_machine_without_ipv6_is_served_by_ipv4, set_up),
        cmocka_unit_test_setup(an_address_that_is_not_there_is_told, set_up),
        cmocka_unit_test_setup(all_addresses_of_a_name_are_listened_on, set_up),
        cmocka_unit_test_setup(a_port_that_is_free_for_all_addresses_is_looked_for, set_up),
        cmocka_unit_test_setup(what_the_resolver_says_is_told, set_up),
        cmocka_unit_test_setup(a_lock_that_was_taken_away_is_made_anew, set_up),
        cmocka_unit_test_setup(an_inherited_socket_must_fit, set_up),
        cmocka_unit_test_setup(sctp_is_refused_as_what_it_is, set_up),
    };
    return cmocka_run_group_tests_name("listening", tests, NULL, NULL);
}
