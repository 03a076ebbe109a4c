// Datagrams under a kernel that says what a network may say.

#include "conn/dgram.h"

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
    send_one("too late");
    dgram_stop(&other, bell_now());
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
        ON_EACH(the_fate_of_a_reply_does_not_end_a_receive),
        ON_EACH(other_failures_do),
        ON_EACH(an_earlier_reply_stands_in_the_way_of_one_once),
        ON_EACH(sizes_are_told_as_they_are),
        ON_EACH(somebody_must_be_named),
        ON_EACH(what_lies_there_is_received_after_the_stop),
        ON_EACH(a_stop_ends_who_waits),
        ON_EACH(what_is_closed_has_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
