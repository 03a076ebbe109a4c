// Datagrams under a kernel that says what a network may say.

#include "conn/dgram.h"

#include <netinet/in.h>
#include <stdio.h>

#include "conn/conn_test.h"

// The kernel's next answers, before it does what it is asked to: negative errnos, the last one 0.
static struct kernel_ops odd_kernel;
static const int *answers;
static int calls;

static int next_answer(void)
{
    calls++;
    return *answers ? *answers++ : 0;
}

static ssize_t answer_recv(int fd, void *into, size_t size, int flags)
{
    int rc = next_answer();
    return rc < 0 ? rc : kernel_real.recv(fd, into, size, flags);
}

// NOLINTNEXTLINE(readability-function-size): the parameters of recvfrom(2)
static ssize_t answer_recvfrom(int fd, void *into, size_t size, int flags, struct sockaddr *peer,
                               socklen_t *peer_size)
{
    int rc = next_answer();
    return rc < 0 ? rc : kernel_real.recvfrom(fd, into, size, flags, peer, peer_size);
}

static ssize_t answer_recvmsg(int fd, struct msghdr *message, int flags)
{
    int rc = next_answer();
    return rc < 0 ? rc : kernel_real.recvmsg(fd, message, flags);
}

// NOLINTNEXTLINE(readability-function-size): the parameters of sendto(2)
static ssize_t answer_sendto(int fd, const void *from, size_t size, int flags,
                             const struct sockaddr *peer, socklen_t peer_size)
{
    int rc = next_answer();
    return rc < 0 ? rc : kernel_real.sendto(fd, from, size, flags, peer, peer_size);
}

static ssize_t answer_sendmsg(int fd, const struct msghdr *message, int flags)
{
    int rc = next_answer();
    return rc < 0 ? rc : kernel_real.sendmsg(fd, message, flags);
}

static void answer(const int *list)
{
    answers = list;
    calls = 0;
    odd_kernel = kernel_real;
    odd_kernel.recv = answer_recv;
    odd_kernel.recvfrom = answer_recvfrom;
    odd_kernel.recvmsg = answer_recvmsg;
    odd_kernel.sendto = answer_sendto;
    odd_kernel.sendmsg = answer_sendmsg;
    kernel = &odd_kernel;
}

// ---- Two sockets ------------------------------------------------------------------------------

static bell_dgram one, other;

static void bind_one(bell_dgram *dgram, in_addr_t host)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    int fd = kernel_real.socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(kernel_real.bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(dgram_init(dgram, fd), 0);
}

static void open_two(in_addr_t host)
{
    bind_one(&one, host);
    bind_one(&other, host);
}

static void close_one(bell_dgram *dgram)
{
    int fd = dgram->endpoint.fd;
    dgram_finish(dgram);
    assert_int_equal(close(fd), 0);
}

static void close_two(void)
{
    kernel = &kernel_real;
    close_one(&one);
    close_one(&other);
}

// The other one of this machine.
static struct bell_datagram to(const bell_dgram *dgram)
{
    struct bell_datagram about = {.peer_size = dgram->bound_size};
    memcpy(&about.peer, &dgram->bound, dgram->bound_size);
    struct sockaddr_in *peer = (struct sockaddr_in *)&about.peer;
    peer->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return about;
}

static void send_one(const char *text)
{
    struct bell_datagram about = to(&other);
    assert_int_equal(bell_sendto(&one, text, strlen(text), &about), strlen(text));
}

static void hear_one(const char *text, struct bell_datagram *about)
{
    char heard[20] = "";
    bell_dgram_deadline(&other, bell_in(20 * BELL_SECOND));
    assert_int_equal(bell_recvfrom(&other, heard, sizeof heard, about), strlen(text));
    assert_string_equal(heard, text);
}

// ---- What is said of others -------------------------------------------------------------------

static const int network[] = {-ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -EHOSTDOWN,
                              -ENETDOWN,     -ENOPROTOOPT,  -EPROTO,      0};

static void the_fate_of_a_reply_does_not_end_a_receive(void)
{
    static const in_addr_t hosts[] = {INADDR_LOOPBACK, INADDR_ANY};
    for (int i = 0; i < 2; i++) {
        open_two(hosts[i]);
        struct bell_datagram about;
        send_one("known");
        send_one("nameless");
        answer(network);
        hear_one("known", &about);
        assert_int_equal(calls, 8);
        answer(network);
        hear_one("nameless", NULL);
        assert_int_equal(calls, 8);
        close_two();
    }
}

static void other_failures_do(void)
{
    static const int errors[] = {-ENOMEM, 0};
    open_two(INADDR_LOOPBACK);
    send_one("later");
    char heard[20];
    answer(errors);
    ASSERT_FAILS(bell_recvfrom(&other, heard, sizeof heard, NULL), ENOMEM);
    hear_one("later", NULL);
    close_two();
}

static void an_earlier_reply_stands_in_the_way_of_one_once(void)
{
    static const int once[] = {-ECONNREFUSED, 0}, twice[] = {-ECONNREFUSED, -ECONNREFUSED, 0};
    open_two(INADDR_LOOPBACK);
    answer(once);
    send_one("innocent");
    assert_int_equal(calls, 2);
    struct bell_datagram about = to(&other);
    answer(twice);
    ASSERT_FAILS(bell_sendto(&one, "x", 1, &about), ECONNREFUSED);
    kernel = &kernel_real;
    hear_one("innocent", NULL);
    close_two();
}

// ---- Calls ------------------------------------------------------------------------------------

static int answerer;         // a socket that answers every datagram at once
static int same_again;       // how often the kernel chooses the port that it has chosen before
static in_port_t first_port; // that one
static int dissolved, by_chance;
static bool is_new_port;
static in_port_t last_port;

static ssize_t send_and_answer(int fd, const void *from, size_t size, int flags)
{
    ssize_t n = kernel_real.send(fd, from, size, flags);
    char text[20];
    struct sockaddr_in peer;
    socklen_t peer_size = sizeof peer;
    ssize_t heard = recvfrom(answerer, text, sizeof text, 0, (struct sockaddr *)&peer, &peer_size);
    assert_int_equal(heard, n);
    sendto(answerer, text, (size_t)heard, 0, (struct sockaddr *)&peer, peer_size);
    return n;
}

static int count_dissolved(int fd, const struct sockaddr *address, socklen_t size)
{
    dissolved += address->sa_family == AF_UNSPEC;
    is_new_port = address->sa_family != AF_UNSPEC;
    return kernel_real.connect(fd, address, size);
}

static int tell_port(int fd, struct sockaddr *address, socklen_t *size)
{
    int rc = kernel_real.getsockname(fd, address, size);
    struct sockaddr_in *here = (struct sockaddr_in *)(void *)address;
    // The kernel itself chooses the same one again now and then.
    by_chance += is_new_port && here->sin_port == last_port;
    is_new_port = false;
    last_port = here->sin_port ? here->sin_port : last_port;
    if (!first_port)
        first_port = here->sin_port;
    else if (here->sin_port && same_again-- > 0)
        here->sin_port = first_port;
    return rc;
}

static int bound_socket(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static bell_conn *caller_of_answerer(bool port_is_ours)
{
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    // Where nobody else takes the port meanwhile.
    struct sockaddr_in ours = {.sin_family = AF_INET,
                               .sin_addr.s_addr =
                                   htonl(0x7f400000 | ((in_addr_t)getpid() & 0x3fffff))};
    answerer = bound_socket(&there);
    int fd = bound_socket(&ours); // the kernel's choice, which it gives up when the socket does
    if (port_is_ours) {
        close(fd);
        fd = bound_socket(&ours);
    }
    assert_int_equal(connect(fd, (struct sockaddr *)&there, sizeof there), 0);
    odd_kernel = kernel_real;
    odd_kernel.connect = count_dissolved;
    odd_kernel.getsockname = tell_port;
    odd_kernel.send = send_and_answer;
    dissolved = by_chance = 0;
    first_port = last_port = 0;
    is_new_port = false;
    same_again = 0;
    bell_conn *conn = bell_attach(fd);
    assert_non_null(conn);
    kernel = &odd_kernel;
    return conn;
}

static void each_call_has_a_port_that_the_one_before_had_not(void)
{
    // How often the kernel repeats itself, and how often it is asked for a port then.
    static const int cases[][2] = {{0, 1}, {1, 2}, {3, 4}, {1000, 8}};
    for (int i = 0; i < 4; i++) {
        bell_conn *conn = caller_of_answerer(false);
        char text[20];
        assert_int_equal(bell_call(conn, "one", 3, text, sizeof text, NULL), 3);
        same_again = cases[i][0];
        assert_int_equal(bell_call(conn, "two!", 4, text, sizeof text, NULL), 4);
        assert_in_range(dissolved, cases[i][1], cases[i][1] + by_chance);
        kernel = &kernel_real;
        bell_close(conn);
        close(answerer);
    }
}

static void a_port_of_our_own_is_kept(void)
{
    bell_conn *conn = caller_of_answerer(true);
    char text[20];
    for (int i = 0; i < 3; i++)
        assert_int_equal(bell_call(conn, "ding", 4, text, sizeof text, NULL), 4);
    assert_int_equal(dissolved, 2 * 2); // whether it stays is seen at the second time
    kernel = &kernel_real;
    bell_close(conn);
    close(answerer);
}

// ---- Sizes, and nobody ------------------------------------------------------------------------

static void sizes_are_told_as_they_are(void)
{
    open_two(INADDR_LOOPBACK);
    struct bell_datagram about;
    char heard[4];
    send_one("");
    assert_int_equal(bell_recvfrom(&other, heard, sizeof heard, &about), 0);
    assert_int_equal(about.size, 0);
    send_one("1234");
    assert_int_equal(bell_recvfrom(&other, heard, sizeof heard, &about), 4);
    send_one("12345");
    ASSERT_FAILS(bell_recvfrom(&other, heard, sizeof heard, &about), EMSGSIZE);
    assert_int_equal(about.size, 5);
    assert_int_equal(bell_done(), 4);
    close_two();
}

static void somebody_must_be_named(void)
{
    open_two(INADDR_LOOPBACK);
    struct bell_datagram nobody = {.peer_size = 0}, too_much = {.peer_size = 1000};
    ASSERT_FAILS(bell_sendto(&one, "x", 1, NULL), EINVAL);
    ASSERT_FAILS(bell_sendto(&one, "x", 1, &nobody), EINVAL);
    ASSERT_FAILS(bell_sendto(&one, "x", 1, &too_much), EINVAL);
    close_two();
}

// ---- Which address was asked ------------------------------------------------------------------

// What the kernel says beside the next datagram, and what it was told with the last one that was sent.
static union {
    struct cmsghdr head;
    char room[200];
} said, told;
static size_t said_size, told_size;

static void say(int level, int type, const void *data, size_t size)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)(said.room + said_size);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
    memcpy(CMSG_DATA(c), data, size);
    said_size += CMSG_SPACE(size);
}

static ssize_t say_beside(int fd, struct msghdr *message, int flags)
{
    assert_true(said_size <= message->msg_controllen);
    ssize_t n = kernel_real.recvmsg(fd, message, flags);
    memcpy(message->msg_control, said.room, said_size);
    message->msg_controllen = said_size;
    return n;
}

static ssize_t note_told(int fd, const struct msghdr *message, int flags)
{
    (void)fd;
    (void)flags;
    told_size = message->msg_controllen;
    memcpy(told.room, message->msg_control, told_size);
    return (ssize_t)message->msg_iov->iov_len;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of sendto(2)
static ssize_t note_nothing_told(int fd, const void *from, size_t size, int flags,
                                 const struct sockaddr *peer, socklen_t peer_size)
{
    (void)fd, (void)from, (void)flags, (void)peer, (void)peer_size;
    told_size = 0;
    return (ssize_t)size;
}

static void say_ipv4(const char *asked, const char *reply_from, int interface)
{
    struct in_pktinfo info = {.ipi_ifindex = interface};
    assert_int_equal(inet_pton(AF_INET, asked, &info.ipi_addr), 1);
    assert_int_equal(inet_pton(AF_INET, reply_from, &info.ipi_spec_dst), 1);
    say(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
}

static void say_ipv6(const char *asked, unsigned interface)
{
    struct in6_pktinfo info = {.ipi6_ifindex = interface};
    assert_int_equal(inet_pton(AF_INET6, asked, &info.ipi6_addr), 1);
    say(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
}

static void open_listening_one(int family)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    struct sockaddr_in any4 = {.sin_family = AF_INET};
    int fd = kernel_real.socket(family, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    if (family == AF_INET6)
        assert_int_equal(kernel_real.bind(fd, (struct sockaddr *)&any6, sizeof any6), 0);
    else
        assert_int_equal(kernel_real.bind(fd, (struct sockaddr *)&any4, sizeof any4), 0);
    assert_int_equal(dgram_init(&other, fd), 0);
    bind_one(&one, INADDR_LOOPBACK);
    odd_kernel = kernel_real;
    odd_kernel.recvmsg = say_beside;
    odd_kernel.sendmsg = note_told;
    odd_kernel.sendto = note_nothing_told;
    kernel = &odd_kernel;
    said_size = 0;
}

// One datagram to `other`, with what was said beside it.
static void hear_with(struct bell_datagram *about)
{
    struct sockaddr_in to_other = {.sin_family = AF_INET};
    to_other.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to_other.sin_port =
        ((struct sockaddr_in *)&other.bound)->sin_port; // of IPv6 it lies there, too
    assert_int_equal(
        sendto(one.endpoint.fd, "?", 1, 0, (struct sockaddr *)&to_other, sizeof to_other), 1);
    hear_one("?", about);
    said_size = 0;
}

static void assert_asked(const struct bell_datagram *about, const char *address, unsigned interface,
                         bool to_group)
{
    char text[100], expected[100];
    snprintf(expected, sizeof expected, "udp:%s:%d", address,
             ntohs(((struct sockaddr_in *)&other.bound)->sin_port));
    assert_string_equal(bell_datagram_local(about, text, sizeof text), expected);
    assert_int_equal(about->interface, interface);
    assert_int_equal(about->to_group, to_group);
}

static void the_address_that_was_asked_is_told_of_ipv4(void)
{
    static const int something = 7;
    struct bell_datagram about;
    open_listening_one(AF_INET);
    say_ipv4("127.0.0.5", "127.0.0.5", 1);
    say(SOL_SOCKET, SO_TIMESTAMP, &something, sizeof something); // nobody asked for that
    hear_with(&about);
    assert_asked(&about, "127.0.0.5", 1, false);
    say(IPPROTO_IP, IP_TTL, &something, sizeof something); // nor for that
    say_ipv4("127.0.0.5", "127.0.0.5", 1);
    hear_with(&about);
    assert_asked(&about, "127.0.0.5", 1, false);
    say_ipv4("192.0.2.255", "192.0.2.7", 3); // to everybody
    hear_with(&about);
    assert_asked(&about, "192.0.2.255", 3, true);
    say_ipv4("239.1.2.3", "192.0.2.7", 3);
    hear_with(&about);
    assert_asked(&about, "239.1.2.3", 3, true);
    say_ipv4("192.0.2.7", "0.0.0.0", 0); // it came before the kernel was asked
    hear_with(&about);
    assert_asked(&about, "192.0.2.7", 0, false);
    hear_with(&about); // nothing is said
    assert_int_equal(about.local_size, 0);
    assert_false(about.to_group);
    close_two();
}

static void the_address_that_was_asked_is_told_of_ipv6(void)
{
    static const int something = 7;
    struct bell_datagram about;
    open_listening_one(AF_INET6);
    say_ipv6("2001:db8::5", 2);
    say(IPPROTO_IPV6, IPV6_HOPLIMIT, &something, sizeof something);
    hear_with(&about);
    assert_asked(&about, "[2001:db8::5]", 2, false);
    say_ipv6("fe80::1", 1); // which of them, says the interface
    hear_with(&about);
    assert_int_equal(((struct sockaddr_in6 *)&about.local)->sin6_scope_id, 1);
    assert_int_equal(about.interface, 1);
    say_ipv6("ff02::1", 2);
    hear_with(&about);
    assert_true(about.to_group);
    // Of IPv4 only its own word tells whether it went to everybody.
    say_ipv6("::ffff:192.0.2.255", 3);
    say_ipv4("192.0.2.255", "192.0.2.7", 3);
    hear_with(&about);
    assert_int_equal(about.interface, 3);
    assert_true(about.to_group);
    say_ipv6("::ffff:192.0.2.7", 3);
    say_ipv4("192.0.2.7", "192.0.2.7", 3);
    hear_with(&about);
    assert_false(about.to_group);
    close_two();
}

// ---- From which address a reply leaves ----------------------------------------------------------

static void set_address(struct sockaddr_storage *address, socklen_t *ret_size, const char *text)
{
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    *ret_size = 0;
    if (!text)
        return;
    bool is_ipv6 = strchr(text, ':');
    address->ss_family = is_ipv6 ? AF_INET6 : AF_INET;
    *ret_size = is_ipv6 ? sizeof *ipv6 : sizeof *ipv4;
    ipv4->sin_port = htons(7464); // lies at the same place in both
    assert_int_equal(inet_pton(address->ss_family, text,
                               is_ipv6 ? (void *)&ipv6->sin6_addr : (void *)&ipv4->sin_addr),
                     1);
}

// What the kernel is told when `peer` is replied to from `local`: as text "ADDRESS INTERFACE", or "".
static const char *origin_of(const char *peer, const char *local, unsigned interface, bool to_group)
{
    static char text[100];
    struct bell_datagram about = {.interface = interface, .to_group = to_group};
    set_address(&about.peer, &about.peer_size, peer);
    set_address(&about.local, &about.local_size, local);
    told_size = 0;
    assert_int_equal(bell_sendto(&other, "x", 1, &about), 1);
    char host[INET6_ADDRSTRLEN];
    const void *data = CMSG_DATA(&told.head);
    text[0] = '\0';
    if (told_size && told.head.cmsg_level == IPPROTO_IP) {
        const struct in_pktinfo *info = data;
        assert_int_equal(told.head.cmsg_type, IP_PKTINFO);
        snprintf(text, sizeof text, "%s %d",
                 inet_ntop(AF_INET, &info->ipi_spec_dst, host, sizeof host), info->ipi_ifindex);
    } else if (told_size) {
        const struct in6_pktinfo *info = data;
        assert_int_equal(told.head.cmsg_type, IPV6_PKTINFO);
        snprintf(text, sizeof text, "%s %u",
                 inet_ntop(AF_INET6, &info->ipi6_addr, host, sizeof host), info->ipi6_ifindex);
    }
    return text;
}

static void a_reply_leaves_from_the_address_that_was_asked(void)
{
    open_listening_one(AF_INET);
    assert_string_equal(origin_of("192.0.2.1", "127.0.0.5", 3, false), "127.0.0.5 0");
    assert_string_equal(origin_of("192.0.2.1", "192.0.2.255", 3, true), ""); // nobody has that
    assert_string_equal(origin_of("239.1.2.3", "192.0.2.7", 3, false), "192.0.2.7 3");
    assert_string_equal(origin_of("239.1.2.3", NULL, 3, false), "0.0.0.0 3");
    assert_string_equal(origin_of("192.0.2.1", NULL, 3, false), "");
    assert_string_equal(origin_of("192.0.2.1", "2001:db8::5", 3, false), ""); // they do not fit
    close_two();
    open_listening_one(AF_INET6);
    assert_string_equal(origin_of("2001:db8::1", "2001:db8::5", 3, false), "2001:db8::5 0");
    assert_string_equal(origin_of("fe80::1", "fe80::5", 3, false), "fe80::5 3");
    assert_string_equal(origin_of("ff02::1", "fe80::5", 3, true), ":: 3");
    assert_string_equal(origin_of("::ffff:239.1.2.3", NULL, 3, false), "::ffff:0.0.0.0 3");
    assert_string_equal(origin_of("2001:db8::1", "192.0.2.7", 3, false), "");
    close_two();
}

static void a_socket_of_one_address_names_an_interface_where_it_is_open(void)
{
    open_two(INADDR_LOOPBACK);
    odd_kernel = kernel_real;
    odd_kernel.sendmsg = note_told;
    odd_kernel.sendto = note_nothing_told;
    kernel = &odd_kernel;
    assert_string_equal(origin_of("239.1.2.3", NULL, 3, false), "0.0.0.0 3");
    assert_string_equal(origin_of("192.0.2.1", NULL, 3, false), "");
    assert_string_equal(origin_of("192.0.2.1", "127.0.0.1", 0, false), ""); // it has no other
    close_two();
}

// ---- Room -------------------------------------------------------------------------------------

static bool is_full;

// NOLINTNEXTLINE(readability-function-size): the parameters of sendto(2)
static ssize_t send_if_there_is_room(int fd, const void *from, size_t size, int flags,
                                     const struct sockaddr *peer, socklen_t peer_size)
{
    calls++;
    return is_full ? -EAGAIN : kernel_real.sendto(fd, from, size, flags, peer, peer_size);
}

static void fill(void)
{
    odd_kernel = kernel_real;
    odd_kernel.sendto = send_if_there_is_room;
    kernel = &odd_kernel;
    is_full = true;
    calls = 0;
}

static void bind_unix(bell_dgram *dgram)
{
    struct sockaddr unnamed = {.sa_family = AF_UNIX};
    int fd = kernel_real.socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(kernel_real.bind(fd, &unnamed, sizeof unnamed.sa_family), 0);
    assert_int_equal(dgram_init(dgram, fd), 0);
}

static struct bell_datagram to_unix(const bell_dgram *dgram)
{
    struct bell_datagram about = {.peer_size = dgram->bound_size};
    memcpy(&about.peer, &dgram->bound, dgram->bound_size);
    return about;
}

static void make_room_later(void *arg)
{
    (void)arg;
    while (calls < 8)
        (void)wait_sleep(bell_in(BELL_MS));
    is_full = false;
}

static void room_in_a_unix_socket_is_waited_for(void)
{
    bind_unix(&one);
    bind_unix(&other);
    struct bell_datagram about = to_unix(&other);
    fill();
    start(make_room_later, NULL);
    assert_int_equal(bell_sendto(&one, "at last", 7, &about), 7);
    assert_int_equal(calls, 9);
    hear_one("at last", NULL);
    await_others();
    // Not for longer than the deadline says.
    is_full = true;
    bell_dgram_deadline(&one, bell_in(3 * BELL_MS));
    ASSERT_FAILS(bell_sendto(&one, "x", 1, &about), ETIMEDOUT);
    calls = 0;
    bell_dgram_deadline(&one, bell_now());
    ASSERT_FAILS(bell_sendto(&one, "x", 1, &about), ETIMEDOUT);
    assert_int_equal(calls, 0);
    // A server waits for none of its callers.
    bell_dgram_deadline(&one, BELL_NEVER);
    one.server = (struct bell_server *)(void *)&one;
    ASSERT_FAILS(bell_sendto(&one, "x", 1, &about), ENOBUFS);
    assert_int_equal(calls, 1);
    close_two();
}

static void send_in_a_task(void *arg)
{
    struct bell_datagram about = to(&other);
    ssize_t n = bell_sendto(&one, "first", 5, &about);
    *(int *)arg = n < 0 ? -errno : (int)n;
}

static void empty_after_some_looks(void *arg)
{
    (void)arg;
    while (calls < 3)
        task_yield(task_here(NULL));
    for (int i = 0; i < 3; i++)
        (void)wait_sleep(bell_in(BELL_MS));
    is_full = false;
}

static void of_two_who_wait_for_room_both_are_served(void)
{
    int result = 0;
    open_two(INADDR_LOOPBACK);
    struct bell_datagram about = to(&other);
    fill();
    start(send_in_a_task, &result);
    while (!one.endpoint.calls[WAIT_OUT])
        task_yield(task_here(NULL));
    bell_dgram_deadline(&one, bell_in(2 * BELL_MS));
    ASSERT_FAILS(bell_sendto(&one, "x", 1, &about), ETIMEDOUT);
    bell_dgram_deadline(&one, bell_in(20 * BELL_SECOND));
    start(empty_after_some_looks, NULL);
    assert_int_equal(bell_sendto(&one, "second", 6, &about), 6);
    await_others();
    assert_int_equal(result, 5);
    char heard[10];
    for (int i = 0; i < 2; i++)
        assert_in_range(bell_recvfrom(&other, heard, sizeof heard, NULL), 5, 6);
    close_two();
}

// ---- Stopping ---------------------------------------------------------------------------------

static void what_lies_there_is_received_after_the_stop(void)
{
    open_two(INADDR_LOOPBACK);
    char heard[20];
    send_one("first");
    send_one("second");
    dgram_stop(&other, bell_in(20 * BELL_SECOND));
    hear_one("first", NULL);
    hear_one("second", NULL);
    ASSERT_FAILS(bell_recvfrom(&other, heard, sizeof heard, NULL), ESHUTDOWN);
    send_one("another server's");
    dgram_stop(&other, 0);
    ASSERT_FAILS(bell_recvfrom(&other, heard, sizeof heard, NULL), ESHUTDOWN);
    close_two();
}

// However late it is, on a busy machine; but not for ever.
static void some_are_received_though_the_time_is_over(void)
{
    open_two(INADDR_LOOPBACK);
    for (int i = 0; i <= DGRAM_LAST; i++)
        send_one("x");
    dgram_stop(&other, bell_now());
    for (int i = 0; i < DGRAM_LAST; i++)
        hear_one("x", NULL);
    char heard[20];
    ASSERT_FAILS(bell_recvfrom(&other, heard, sizeof heard, NULL), ESHUTDOWN);
    close_two();
}

static void receive_in_vain(void *arg)
{
    char heard[20];
    ssize_t n = bell_recvfrom(&other, heard, sizeof heard, NULL);
    *(int *)arg = n < 0 ? -errno : (int)n;
}

static void a_stop_ends_who_waits(void)
{
    open_two(INADDR_LOOPBACK);
    int result = 1;
    start(receive_in_vain, &result);
    while (!other.endpoint.calls[WAIT_IN])
        task_yield(task_here(NULL));
    dgram_stop(&other, bell_in(20 * BELL_SECOND));
    await_others();
    assert_int_equal(result, -ESHUTDOWN);
    close_two();
}

// An event has come, and the task has not run yet: it would find nothing, and wait again.
static void a_stop_ends_who_was_woken(void)
{
    open_two(INADDR_LOOPBACK);
    int result = 1;
    start(receive_in_vain, &result);
    while (!other.endpoint.calls[WAIT_IN])
        task_yield(task_here(NULL));
    assert_true(ready_signal(&other.endpoint, WAIT_IN));
    dgram_stop(&other, bell_in(20 * BELL_SECOND));
    await_others();
    assert_int_equal(result, -ESHUTDOWN);
    close_two();
}

static void a_second_receiver_is_refused(void)
{
    open_two(INADDR_LOOPBACK);
    int result = 1;
    char heard[20];
    start(receive_in_vain, &result);
    while (!other.endpoint.calls[WAIT_IN])
        task_yield(task_here(NULL));
    ASSERT_FAILS(bell_recvfrom(&other, heard, sizeof heard, NULL), EBUSY);
    send_one("for the first");
    await_others();
    assert_int_equal(result, 13);
    close_two();
}

// ---- What is not there --------------------------------------------------------------------------

static void what_is_closed_has_no_descriptor(void)
{
    bell_dgram closed = {.endpoint.fd = -1};
    ASSERT_FAILS(bell_dgram_fd(NULL), EBADF);
    ASSERT_FAILS(bell_dgram_fd(&closed), EBADF);
    assert_int_equal(bell_dgram_dropped(NULL), 0);
    assert_int_equal(bell_dgram_dropped(&closed), 0);
    assert_null(bell_dgram_server(NULL));
    assert_string_equal(bell_dgram_local(NULL), "no socket");
    assert_int_equal(dgram_init(&closed, -1), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(each_call_has_a_port_that_the_one_before_had_not),
        ON_EACH(a_port_of_our_own_is_kept),
        ON_EACH(some_are_received_though_the_time_is_over),
        ON_EACH(the_fate_of_a_reply_does_not_end_a_receive),
        ON_EACH(other_failures_do),
        ON_EACH(an_earlier_reply_stands_in_the_way_of_one_once),
        ON_EACH(sizes_are_told_as_they_are),
        ON_EACH(somebody_must_be_named),
        ON_EACH(the_address_that_was_asked_is_told_of_ipv4),
        ON_EACH(the_address_that_was_asked_is_told_of_ipv6),
        ON_EACH(a_reply_leaves_from_the_address_that_was_asked),
        ON_EACH(a_socket_of_one_address_names_an_interface_where_it_is_open),
        ON_EACH(room_in_a_unix_socket_is_waited_for),
        ON_EACH(of_two_who_wait_for_room_both_are_served),
        ON_EACH(what_lies_there_is_received_after_the_stop),
        ON_EACH(a_stop_ends_who_waits),
        ON_EACH(a_stop_ends_who_was_woken),
        ON_EACH(a_second_receiver_is_refused),
        ON_EACH(what_is_closed_has_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
