#include "addr/sockopt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int number_of(const struct sockopt *option)
{
    int number;
    assert_int_equal(option->size, sizeof number);
    memcpy(&number, option->value, sizeof number);
    return number;
}

static void names_and_values_are_those_of_the_man_pages(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
        int level, number, value;
    } cases[] = {
        {"nodelay", "nodelay", IPPROTO_TCP, TCP_NODELAY, 1},
        {"nodelay=0", "nodelay", IPPROTO_TCP, TCP_NODELAY, 0},
        {"TCP_NODELAY=off", "nodelay", IPPROTO_TCP, TCP_NODELAY, 0},
        {"so_keepalive=yes", "keepalive", SOL_SOCKET, SO_KEEPALIVE, 1},
        {"rcvbuf=4096", "rcvbuf", SOL_SOCKET, SO_RCVBUF, 4096},
        {"rcvbuf=4k", "rcvbuf", SOL_SOCKET, SO_RCVBUF, 4096},
        {"SNDBUF=1M", "sndbuf", SOL_SOCKET, SO_SNDBUF, 1 << 20},
        {"keepidle=2m", "keepidle", IPPROTO_TCP, TCP_KEEPIDLE, 120},
        {"keepidle=1500ms", "keepidle", IPPROTO_TCP, TCP_KEEPIDLE, 2},
        {"keepidle=7", "keepidle", IPPROTO_TCP, TCP_KEEPIDLE, 7},
        {"user_timeout=7", "user_timeout", IPPROTO_TCP, TCP_USER_TIMEOUT, 7},
        {"user_timeout=3s", "user_timeout", IPPROTO_TCP, TCP_USER_TIMEOUT, 3000},
        {"ttl=64", "ttl", IPPROTO_IP, IP_TTL, 64},
        {"ttl=-1", "ttl", IPPROTO_IP, IP_TTL, -1},
        {"tos=0x10", "tos", IPPROTO_IP, IP_TOS, 16},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *text = cases[i].text;
        struct sockopt option;
        char why[256] = "";
        assert_int_equal(sockopt_next(&text, &option, why, sizeof why), 1);
        assert_string_equal(option.name, cases[i].name);
        assert_int_equal(option.level, cases[i].level);
        assert_int_equal(option.number, cases[i].number);
        assert_int_equal(number_of(&option), cases[i].value);
        assert_int_equal(sockopt_next(&text, &option, why, sizeof why), 0);
    }
}

static void ipv6_has_options_of_its_own(void **state)
{
    (void)state;
    const char *text = "ttl=3";
    struct sockopt option;
    assert_int_equal(sockopt_next(&text, &option, NULL, 0), 1);
    assert_int_equal(option.level6, IPPROTO_IPV6);
    assert_int_equal(option.number6, IPV6_UNICAST_HOPS);
    text = "nodelay";
    assert_int_equal(sockopt_next(&text, &option, NULL, 0), 1);
    assert_int_equal(option.level6, IPPROTO_TCP);
    assert_int_equal(option.number6, TCP_NODELAY);
}

static void several_follow_each_other(void **state)
{
    (void)state;
    const char *text = " nodelay=0, rcvbuf=4k  keepalive,";
    struct sockopt option;
    static const char *const names[] = {"nodelay", "rcvbuf", "keepalive"};
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(sockopt_next(&text, &option, NULL, 0), 1);
        assert_string_equal(option.name, names[i]);
    }
    assert_int_equal(sockopt_next(&text, &option, NULL, 0), 0);
}

static void linger_is_a_time_or_off(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int on, seconds;
    } cases[] = {{"linger=0", 1, 0}, {"linger=off", 0, 0}, {"linger=5s", 1, 5}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *text = cases[i].text;
        struct sockopt option;
        struct linger linger;
        assert_int_equal(sockopt_next(&text, &option, NULL, 0), 1);
        assert_int_equal(option.size, sizeof linger);
        memcpy(&linger, option.value, sizeof linger);
        assert_int_equal(linger.l_onoff, cases[i].on);
        assert_int_equal(linger.l_linger, cases[i].seconds);
    }
}

static void a_word_is_taken_as_it_is(void **state)
{
    (void)state;
    const char *text = "congestion=reno";
    struct sockopt option;
    assert_int_equal(sockopt_next(&text, &option, NULL, 0), 1);
    assert_int_equal(option.size, 4);
    assert_memory_equal(option.value, "reno", 4);
}

static void what_makes_no_sense_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"rcvbuff=4k", "there is no socket option rcvbuff"},
        {"=4k", "there is no socket option "},
        {"SO_SO_RCVBUF=1", "there is no socket option SO_SO_RCVBUF"},
        {"nodelay=2", "socket option nodelay: 0 or 1 is wanted, not 2"},
        {"nodelay=", "socket option nodelay: 0 or 1 is wanted, not nothing"},
        {"rcvbuf", "socket option rcvbuf: a size is wanted (4096, 4k, 1M), not nothing"},
        {"rcvbuf=4K", "socket option rcvbuf: a size is wanted (4096, 4k, 1M), not 4K"},
        {"rcvbuf=-1", "socket option rcvbuf: a size is wanted (4096, 4k, 1M), not -1"},
        {"rcvbuf=3G", "socket option rcvbuf: a size is wanted (4096, 4k, 1M), not 3G"},
        {"linger=x", "socket option linger: a time or off is wanted, not x"},
        {"ttl=1s", "socket option ttl: a number is wanted, not 1s"},
        {"ttl=3000000000", "socket option ttl: a number is wanted, not 3000000000"},
        {"ttl=-3000000000", "socket option ttl: a number is wanted, not -3000000000"},
        {"ttl=99999999999999999999",
         "socket option ttl: a number is wanted, not 99999999999999999999"},
        {"ttl=\t5", "socket option ttl: a number is wanted, not \\x095"},
        {"keepidle=-5", "socket option keepidle: a time is wanted (30s, 2m), not -5"},
        {"keepidle=5h", "socket option keepidle: a time is wanted (30s, 2m), not 5h"},
        {"keepidle=99999m", "socket option keepidle: a time is wanted (30s, 2m), not 99999m"},
        {"keepidle=\x1b", "socket option keepidle: a time is wanted (30s, 2m), not \\x1b"},
        {"congestion=0123456789012345678901234567890123456789",
         "socket option congestion: a name is wanted, not "
         "0123456789012345678901234567890123456789"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *text = cases[i].text;
        struct sockopt option;
        char why[256] = "";
        assert_int_equal(sockopt_next(&text, &option, why, sizeof why), -EINVAL);
        assert_string_equal(why, cases[i].why);
    }
}

static void values_are_printed_as_they_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"nodelay", "1"},      {"rcvbuf=4k", "4096"},       {"keepidle=2m", "120s"},
        {"linger=off", "off"}, {"linger=3s", "3s"},         {"user_timeout=2s", "2000ms"},
        {"ttl=-1", "-1"},      {"congestion=reno", "reno"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *text = cases[i].text;
        struct sockopt option;
        struct sockopt_about about;
        char printed[32] = "";
        int index = 0;
        assert_int_equal(sockopt_next(&text, &option, NULL, 0), 1);
        while (sockopt_describe(index, &about) && strcmp(about.name, option.name) != 0)
            index++;
        sockopt_print(index, option.value, option.size, printed, sizeof printed);
        assert_string_equal(printed, cases[i].printed);
    }
}

static int index_of(const char *name)
{
    struct sockopt_about about;
    int index = 0;
    while (sockopt_describe(index, &about) && strcmp(about.name, name) != 0)
        index++;
    return index;
}

// A kernel may know more, or less, than we do.
static void what_the_kernel_says_otherwise_is_nothing(void **state)
{
    (void)state;
    char printed[32] = "before";
    sockopt_print(index_of("congestion"), "\0ignored", 8, printed, sizeof printed);
    assert_string_equal(printed, "none");
    sockopt_print(index_of("bindtodevice"), "", 0, printed, sizeof printed);
    assert_string_equal(printed, "none");
    sockopt_print(index_of("linger"), "abc", 3, printed, sizeof printed);
    assert_string_equal(printed, "");
    sockopt_print(index_of("nodelay"), "1", 1, printed, sizeof printed);
    assert_string_equal(printed, "");
}

static void each_option_of_the_table_can_be_found(void **state)
{
    (void)state;
    struct sockopt_about about;
    int count = 0;
    while (sockopt_describe(count, &about)) {
        const char *text = about.name;
        struct sockopt option;
        char why[256] = "";
        int rc = sockopt_next(&text, &option, why, sizeof why);
        if (rc == 1)
            assert_string_equal(option.name, about.name);
        else if (about.read_only)
            assert_non_null(strstr(why, "this socket option can only be read: "));
        else
            assert_true(strstr(why, " is wanted") && strstr(why, ", not nothing"));
        assert_true(strlen(about.help) > 0 && strlen(about.help) <= 35);
        count++;
    }
    assert_true(count > 40);
    assert_false(sockopt_describe(-1, &about));
}

static void options_have_the_names_that_a_program_writes(void **state)
{
    (void)state;
    struct sockopt_about about;
    assert_string_equal(sockopt_symbol(SOL_SOCKET, SO_REUSEADDR), "SO_REUSEADDR");
    assert_string_equal(sockopt_symbol(IPPROTO_IPV6, IPV6_UNICAST_HOPS), "IPV6_UNICAST_HOPS");
    assert_string_equal(sockopt_symbol(IPPROTO_IPV6, IPV6_V6ONLY), "IPV6_V6ONLY");
    assert_null(sockopt_symbol(IPPROTO_TCP, 999));
    assert_null(sockopt_symbol(0, 0));
    for (int i = 0; sockopt_describe(i, &about); i++) {
        // tcp(7) has TCP_NODELAY for nodelay.
        const char *symbol = sockopt_symbol(about.level, about.number);
        assert_non_null(symbol);
        assert_int_equal(strcasecmp(strchr(symbol, '_') + 1, about.name), 0);
        assert_non_null(sockopt_symbol(about.level6, about.number6));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_those_of_the_man_pages),
        cmocka_unit_test(ipv6_has_options_of_its_own),
        cmocka_unit_test(several_follow_each_other),
        cmocka_unit_test(values_are_printed_as_they_are_read),
        cmocka_unit_test(what_the_kernel_says_otherwise_is_nothing),
        cmocka_unit_test(options_have_the_names_that_a_program_writes),
        cmocka_unit_test(each_option_of_the_table_can_be_found),
        cmocka_unit_test(linger_is_a_time_or_off),
        cmocka_unit_test(a_word_is_taken_as_it_is),
        cmocka_unit_test(what_makes_no_sense_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
