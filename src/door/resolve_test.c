// bell_resolve, bell_reverse and bell_sockopt: what they give, and what they refuse.

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

#include "task/task_test.h"

static int resolve_error, name_error_code;
static const char *name_found;

static int resolve_one(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list)
{
    (void)name;
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    if (resolve_error)
        return resolve_error;
    return getaddrinfo(hints->ai_family == AF_INET6 ? "2001:db8::7" : "192.0.2.7", service,
                       &numeric, ret_list);
}

static int name_one(const struct sockaddr *address, socklen_t size, char *ret_name,
                    size_t name_size)
{
    (void)address, (void)size;
    if (name_error_code)
        return name_error_code;
    snprintf(ret_name, name_size, "%s", name_found);
    return 0;
}

static void use(int error, const char *name)
{
    resolve_error = name_error_code = error;
    name_found = name;
}

static void assert_why(const char *why)
{
    if (!strstr(bell_error(), why))
        fail_msg("%s, and not %s", bell_error(), why);
}

// ---- Addresses ----------------------------------------------------------------------------------

static void a_name_has_addresses(void)
{
    struct bell_host host;
    char text[64];
    use(0, NULL);
    assert_int_equal(bell_resolve("host:80", NULL, &host), 1);
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&host.addresses[0];
    assert_string_equal(inet_ntop(AF_INET, &ipv4->sin_addr, text, sizeof text), "192.0.2.7");
    assert_int_equal(ntohs(ipv4->sin_port), 80);
    struct bell_options options = {
        .size = sizeof options, .flags = BELL_IPV6_ONLY, .timeout = 20 * BELL_SECOND};
    assert_int_equal(bell_resolve("host:80", &options, &host), 1);
    assert_int_equal(host.addresses[0].ss_family, AF_INET6);
    options.flags = BELL_IPV4_ONLY;
    ASSERT_FAILS(bell_resolve("[::1]:80", &options, &host), EAFNOSUPPORT);
    assert_why("address of the other family");
}

static void a_name_that_has_none_is_told(void)
{
    struct bell_host host;
    use(EAI_NONAME, NULL);
    ASSERT_FAILS(bell_resolve("nosuch.example:80", NULL, &host), ENOENT);
    assert_why("nosuch.example: ");
    use(EAI_SERVICE, NULL);
    ASSERT_FAILS(bell_resolve("nosuch.example:nosuch", NULL, &host), EINVAL);
    assert_why("nosuch: there is no service of this name");
    use(EAI_MEMORY, NULL);
    ASSERT_FAILS(bell_resolve("nosuch.example:80", NULL, &host), ENOMEM);
    assert_why("nosuch.example: Cannot allocate memory");
}

static void what_makes_no_sense_is_refused(void)
{
    static const struct {
        struct bell_options options;
        const char *why;
    } wrong[] = {
        {{.size = 1}, "size of the options"},
        {{.size = sizeof wrong[0].options, .timeout = -1}, "duration is negative"},
        {{.size = sizeof wrong[0].options, .flags = BELL_REUSEPORT}, "flags make no sense"},
        {{.size = sizeof wrong[0].options, .flags = BELL_IPV4_ONLY | BELL_IPV6_ONLY},
         "flags make no sense"},
    };
    struct bell_host host;
    char name[64];
    struct sockaddr_storage address = {.ss_family = AF_INET}, local = {.ss_family = AF_UNIX};
    use(0, "somebody.example");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ASSERT_FAILS(bell_resolve("host:80", &wrong[i].options, &host), EINVAL);
        assert_why(wrong[i].why);
        ASSERT_FAILS(bell_reverse(&address, &wrong[i].options, name, sizeof name), EINVAL);
        assert_why(wrong[i].why);
    }
    ASSERT_FAILS(bell_resolve(NULL, NULL, &host), EINVAL);
    ASSERT_FAILS(bell_resolve("host:80", NULL, NULL), EINVAL);
    ASSERT_FAILS(bell_resolve("host:99999", NULL, &host), EINVAL);
    ASSERT_FAILS(bell_resolve("*:80", NULL, &host), EINVAL);
    ASSERT_FAILS(bell_resolve("unix:/x", NULL, &host), EINVAL);
    ASSERT_FAILS(bell_reverse(NULL, NULL, name, sizeof name), EINVAL);
    ASSERT_FAILS(bell_reverse(&local, NULL, name, sizeof name), EINVAL);
    ASSERT_FAILS(bell_reverse(&address, NULL, NULL, 0), EINVAL);
}

// ---- Names --------------------------------------------------------------------------------------

static void an_address_has_a_name(void)
{
    char name[64] = "before";
    struct sockaddr_storage ipv4 = {.ss_family = AF_INET}, ipv6 = {.ss_family = AF_INET6};
    use(0, "somebody.example");
    assert_int_equal(bell_reverse(&ipv4, NULL, name, sizeof name), 0);
    assert_string_equal(name, "somebody.example");
    use(0, "twelve.bytes");
    assert_int_equal(bell_reverse(&ipv6, NULL, name, 13), 0);
    assert_string_equal(name, "twelve.bytes");
    use(0, "more.than.twelve");
    ASSERT_FAILS(bell_reverse(&ipv4, NULL, name, 13), EMSGSIZE);
    assert_why("more.than.twelve needs 17 bytes");
    assert_string_equal(name, "twelve.bytes"); // nothing was cut
    use(EAI_NONAME, NULL);
    ASSERT_FAILS(bell_reverse(&ipv4, NULL, name, sizeof name), ENOENT);
    assert_why("tcp:0.0.0.0:0: ");
    use(EAI_MEMORY, NULL);
    ASSERT_FAILS(bell_reverse(&ipv4, NULL, name, sizeof name), ENOMEM);
    assert_why(": Cannot allocate memory");
}

// ---- Options of sockets -------------------------------------------------------------------------

static const char *value_of(int fd, const char *name)
{
    static struct bell_sockopt option;
    for (int i = 0; bell_sockopt(fd, i, &option) == 1; i++)
        if (!strcmp(option.name, name))
            return option.value;
    return NULL;
}

static void options_are_read_as_the_family_has_them(void)
{
    static const int families[] = {AF_INET, AF_INET6};
    for (int i = 0; i < 2; i++) {
        int fd = socket(families[i], SOCK_DGRAM, 0), hops = 37;
        assert_true(fd >= 0);
        if (families[i] == AF_INET)
            assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof hops), 0);
        else
            assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops),
                             0);
        assert_string_equal(value_of(fd, "ttl"), "37");
        assert_int_equal(close(fd), 0);
    }
    assert_string_equal(value_of(-1, "ttl"), "");
    struct bell_sockopt option;
    ASSERT_FAILS(bell_sockopt(-1, 0, NULL), EINVAL);
    assert_int_equal(bell_sockopt(-1, 100000, &option), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(a_name_has_addresses),
        ON_EACH(a_name_that_has_none_is_told),
        ON_EACH(what_makes_no_sense_is_refused),
        ON_EACH(an_address_has_a_name),
        ON_EACH(options_are_read_as_the_family_has_them),
    };
    use_table();
    table.resolve = resolve_one;
    table.name_of = name_one;
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
