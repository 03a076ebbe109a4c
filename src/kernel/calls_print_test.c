#include "kernel/calls_print.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static char memory[256];
static struct text text;

static struct text *empty(void)
{
    text_init(&text, memory, sizeof memory);
    return &text;
}

static void a_line_says_who_and_when(void **state)
{
    (void)state;
    calls_print_who(empty(), 812, 812);
    assert_string_equal(memory, "[812] ");
    calls_print_who(empty(), 812, 815);
    assert_string_equal(memory, "[812/815] ");
    calls_print_time(empty(), 5123000000042);
    assert_string_equal(memory, "5123.000000042 ");
}

static void a_result_is_a_number_or_words(void **state)
{
    (void)state;
    calls_print_result(empty(), 4, false);
    assert_string_equal(memory, " = 4");
    calls_print_result(empty(), 0, true);
    assert_string_equal(memory, " = 0");
    calls_print_result(empty(), 0, false);
    assert_string_equal(memory, "");
    calls_print_result(empty(), -ECONNREFUSED, true);
    assert_string_equal(memory, " failed: connection refused");
    calls_print_result(empty(), -ENOTSOCK, false);
    assert_string_equal(memory, " failed: socket operation on non-socket");
}

static void not_every_capital_is_made_small(void **state)
{
    (void)state;
    calls_print_result(empty(), -EADV, false);
    assert_string_equal(memory, " failed: advertise error");
    calls_print_result(empty(), -EDOTDOT, false);
    assert_string_equal(memory, " failed: RFS specific error");
    calls_print_result(empty(), -ELIBSCN, false);
    assert_string_equal(memory, " failed: .lib section in a.out corrupted");
    calls_print_result(empty(), -4000, false);
    assert_string_equal(memory, " failed: error 4000");
}

static void data_are_written_as_in_c(void **state)
{
    (void)state;
    calls_print_data(empty(), "hello\r\n\t", 8);
    assert_string_equal(memory, "\"hello\\r\\n\\t\"");
    calls_print_data(empty(), "say \"\\\"", 7);
    assert_string_equal(memory, "\"say \\\"\\\\\\\"\"");
    calls_print_data(empty(), "", 0);
    assert_string_equal(memory, "\"\"");
}

static void no_byte_of_a_stranger_gets_through(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char data = (char)byte;
        calls_print_data(empty(), &data, 1);
        for (const char *c = memory; *c; c++)
            assert_in_range(*c, 0x20, 0x7e);
    }
    calls_print_data(empty(), "\033[2J\a\0\x9b\xff", 8);
    assert_string_equal(memory, "\"\\x1b[2J\\x07\\x00\\x9b\\xff\"");
}

static void long_data_are_cut_with_dots_outside_the_quotes(void **state)
{
    (void)state;
    calls_print_data(empty(), "0123456789abcdef", 16);
    assert_string_equal(memory, "\"0123456789abcdef\"");
    calls_print_data(empty(), "0123456789abcdefg", 17);
    assert_string_equal(memory, "\"0123456789abcdef\"...");
}

static void pieces_are_shown_as_one(void **state)
{
    (void)state;
    struct iovec pieces[] = {{"HTTP/1.1", 8}, {NULL, 0}, {" 200 OK\r\n\r\n", 11}};
    const struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};
    calls_print_pieces(empty(), &message, 19);
    assert_string_equal(memory, "\"HTTP/1.1 200 OK\\r\"...");
    calls_print_pieces(empty(), &message, 8);
    assert_string_equal(memory, "\"HTTP/1.1\"");
    calls_print_pieces(empty(), &message, 25); // of a message that was cut
    assert_string_equal(memory, "\"HTTP/1.1 200 OK\\r\"...");
    const struct msghdr small = {.msg_iov = pieces, .msg_iovlen = 1};
    calls_print_pieces(empty(), &small, 12); // there was no room for the rest
    assert_string_equal(memory, "\"HTTP/1.1\"");
    calls_print_pieces(empty(), &message, 10); // of a recvmsg that got fewer
    assert_string_equal(memory, "\"HTTP/1.1 2\"");
}

static void addresses_have_no_scheme(void **state)
{
    (void)state;
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(7464)};
    ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    calls_print_address(empty(), (struct sockaddr *)&ipv4, sizeof ipv4);
    assert_string_equal(memory, "127.0.0.1:7464");

    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    ipv6.sin6_addr = in6addr_loopback;
    calls_print_address(empty(), (struct sockaddr *)&ipv6, sizeof ipv6);
    assert_string_equal(memory, "[::1]:80");

    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/tmp/\033.sock"};
    calls_print_address(empty(), (struct sockaddr *)&path, sizeof path);
    assert_string_equal(memory, "/tmp/\\x1b.sock");

    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0echo"};
    calls_print_address(empty(), (struct sockaddr *)&name, sizeof(sa_family_t) + 5);
    assert_string_equal(memory, "@echo");
}

static void words_of_the_book_stand_for_numbers(void **state)
{
    (void)state;
    calls_print_kind(empty(), AF_INET6, SOCK_DGRAM);
    assert_string_equal(memory, "AF_INET6, SOCK_DGRAM");
    calls_print_kind(empty(), 99, 98);
    assert_string_equal(memory, "99, 98");
    calls_print_direction(empty(), SHUT_WR);
    assert_string_equal(memory, "SHUT_WR");
    calls_print_direction(empty(), 9);
    assert_string_equal(memory, "9");
}

static void options_have_their_names_and_values(void **state)
{
    (void)state;
    int one = 1;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    calls_print_option(empty(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_string_equal(memory, "SO_REUSEADDR, 1");
    static const int room = 4096;
    calls_print_option(empty(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    assert_string_equal(memory, "SO_RCVBUF, 4096");
    calls_print_option(empty(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    assert_string_equal(memory, "SO_LINGER, {1, 0}");
    calls_print_option(empty(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    assert_string_equal(memory, "IPV6_V6ONLY, 1");
    calls_print_option(empty(), IPPROTO_TCP, 999, "abc", 3);
    assert_string_equal(memory, "6:999, 3 bytes");
}

static void the_end_of_a_child_is_told(void **state)
{
    (void)state;
    calls_print_status(empty(), 3 << 8);
    assert_string_equal(memory, "it returned 3");
    calls_print_status(empty(), SIGKILL);
    assert_string_equal(memory, "killed by signal 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_who_and_when),
        cmocka_unit_test(a_result_is_a_number_or_words),
        cmocka_unit_test(not_every_capital_is_made_small),
        cmocka_unit_test(data_are_written_as_in_c),
        cmocka_unit_test(no_byte_of_a_stranger_gets_through),
        cmocka_unit_test(long_data_are_cut_with_dots_outside_the_quotes),
        cmocka_unit_test(pieces_are_shown_as_one),
        cmocka_unit_test(addresses_have_no_scheme),
        cmocka_unit_test(words_of_the_book_stand_for_numbers),
        cmocka_unit_test(options_have_their_names_and_values),
        cmocka_unit_test(the_end_of_a_child_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
