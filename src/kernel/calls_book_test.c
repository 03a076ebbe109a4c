// Each call of the book as it is shown: how it ends well, how it fails, and when there is no line.

#include "kernel/calls_test.h"

// ---- A kernel that answers -------------------------------------------------------------------------

static struct sockaddr_in self, peer;
static bool is_named; // whoever sends

static int answer_socketpair(int family, int type, int ret_fds[2])
{
    (void)family, (void)type;
    ret_fds[0] = 6;
    ret_fds[1] = 7;
    return answer;
}

static int answer_shutdown(int fd, int how)
{
    (void)fd, (void)how;
    return answer;
}

static int answer_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    (void)fd, (void)level, (void)name, (void)value, (void)size;
    return answer;
}

static int answer_accept_of_whom(int fd, struct sockaddr *ret_peer, socklen_t *size)
{
    (void)fd;
    if (ret_peer && !is_named)
        *size = sizeof(sa_family_t);
    else
        give_peer(ret_peer, size);
    return answer;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of recvfrom(2)
static ssize_t answer_recvfrom(int fd, void *into, size_t size, int flags,
                               struct sockaddr *ret_peer, socklen_t *peer_size)
{
    *peer_size = 0;
    if (is_named)
        give_peer(ret_peer, peer_size);
    return answer_recv(fd, into, size, flags);
}

static ssize_t answer_recvmsg(int fd, struct msghdr *message, int flags)
{
    message->msg_namelen = 0;
    if (is_named)
        give_peer(message->msg_name, &message->msg_namelen);
    return answer_recv(fd, message->msg_iov->iov_base, message->msg_iov->iov_len, flags);
}

static ssize_t answer_send(int fd, const void *from, size_t size, int flags)
{
    (void)fd, (void)from, (void)size, (void)flags;
    return answer;
}

// NOLINTNEXTLINE(readability-function-size): the parameters of sendto(2)
static ssize_t answer_sendto(int fd, const void *from, size_t size, int flags,
                             const struct sockaddr *whom, socklen_t whom_size)
{
    (void)whom, (void)whom_size;
    return answer_send(fd, from, size, flags);
}

static ssize_t answer_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return answer_send(fd, message, 0, flags);
}

static ssize_t answer_sendfile(int fd, int file, off_t *offset, size_t count)
{
    (void)file;
    if (offset && answer > 0)
        *offset += answer;
    return answer_send(fd, NULL, count, 0);
}

static int begin_book(void **state)
{
    int rc = begin(state);
    self = loopback(7464);
    peer = loopback(9);
    is_named = true;
    fake.socketpair = answer_socketpair;
    fake.bind = answer_connect;
    fake.accept = answer_accept_of_whom;
    fake.shutdown = answer_shutdown;
    fake.setsockopt = answer_setsockopt;
    fake.recvfrom = answer_recvfrom;
    fake.recvmsg = answer_recvmsg;
    fake.send = answer_send;
    fake.sendto = answer_sendto;
    fake.sendmsg = answer_sendmsg;
    fake.sendfile = answer_sendfile;
    return rc;
}

// ---- Calls that tests make ---------------------------------------------------------------------------

static char bytes[16];

static ssize_t make_socket(void)
{
    return kernel->socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
}

static ssize_t make_pair(void)
{
    int fds[2];
    return kernel->socketpair(AF_UNIX, SOCK_STREAM, fds);
}

static ssize_t make_bind(void)
{
    return kernel->bind(3, (struct sockaddr *)&self, sizeof self);
}

static ssize_t make_listen(void)
{
    return kernel->listen(3, 5);
}

static ssize_t make_accept(void)
{
    return kernel->accept(3, NULL, NULL);
}

static ssize_t make_accept_of_whom(void)
{
    struct sockaddr_in whom;
    socklen_t size = sizeof whom;
    return kernel->accept(3, (struct sockaddr *)&whom, &size);
}

static ssize_t make_connect(void)
{
    return kernel->connect(3, (struct sockaddr *)&peer, sizeof peer);
}

static ssize_t make_recv(void)
{
    return kernel->recv(4, bytes, sizeof bytes, 0);
}

static ssize_t make_recv_of_message(void)
{
    return kernel->recv(4, bytes, 2, MSG_TRUNC);
}

static ssize_t make_recvfrom(void)
{
    struct sockaddr_in whom;
    socklen_t size = sizeof whom;
    return kernel->recvfrom(4, bytes, sizeof bytes, MSG_TRUNC, (struct sockaddr *)&whom, &size);
}

static ssize_t receive_message(void *ret_whom)
{
    struct iovec piece = {bytes, sizeof bytes};
    struct msghdr message = {.msg_name = ret_whom, .msg_iov = &piece, .msg_iovlen = 1};
    return kernel->recvmsg(4, &message, 0);
}

static ssize_t make_recvmsg(void)
{
    struct sockaddr_in whom;
    return receive_message(&whom);
}

static ssize_t make_recvmsg_without_room_for_a_name(void)
{
    return receive_message(NULL);
}

static ssize_t make_send(void)
{
    return kernel->send(4, "ding\n", 5, 0);
}

static ssize_t make_sendto(void)
{
    return kernel->sendto(4, "ding\n", 5, 0, (struct sockaddr *)&peer, sizeof peer);
}

static ssize_t send_message(void *whom)
{
    struct iovec pieces[] = {{"di", 2}, {"ng\n", 3}};
    struct msghdr message = {.msg_name = whom, .msg_iov = pieces, .msg_iovlen = 2};
    message.msg_namelen = whom ? sizeof peer : 0;
    return kernel->sendmsg(4, &message, 0);
}

static ssize_t make_sendmsg(void)
{
    return send_message(NULL);
}

static ssize_t make_sendmsg_to(void)
{
    return send_message(&peer);
}

static ssize_t make_sendfile(void)
{
    off_t offset = 7;
    ssize_t n = kernel->sendfile(4, 8, &offset, 100);
    assert_int_equal(offset, n > 0 ? 7 + n : 7);
    return n;
}

static ssize_t make_shutdown(void)
{
    return kernel->shutdown(4, SHUT_WR);
}

static ssize_t make_setsockopt(void)
{
    int one = 1;
    return kernel->setsockopt(3, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
}

struct row {
    ssize_t (*make)(void);
    int answer;
    const char *line;
};

static void assert_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        answer = rows[i].answer;
        assert_int_equal(rows[i].make(), rows[i].answer);
        assert_string_equal(lines(), rows[i].line);
    }
}

#define ASSERT_ROWS(rows) assert_rows(rows, sizeof(rows) / sizeof *(rows))

// ---- Tests -----------------------------------------------------------------------------------------

static void each_call_has_a_line(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {make_socket, 5, "socket(AF_INET6, SOCK_DGRAM, 17) = 5\n"},
        {make_pair, 0, "socketpair(AF_UNIX, SOCK_STREAM, 0, {6, 7})\n"},
        {make_bind, 0, "bind(3, 127.0.0.1:7464)\n"},
        {make_listen, 0, "listen(3, 5)\n"},
        {make_accept_of_whom, 4, "accept(3) = 4  from 127.0.0.1:51213\n"},
        {make_connect, 0, "connect(3, 127.0.0.1:9)\n"},
        {make_recvfrom, 6, "recvfrom(4) = 6  \"hello\\n\" from 127.0.0.1:51213\n"},
        {make_recvmsg, 6, "recvmsg(4) = 6  \"hello\\n\" from 127.0.0.1:51213\n"},
        {make_recvmsg_without_room_for_a_name, 6, "recvmsg(4) = 6  \"hello\\n\"\n"},
        {make_send, 5, "send(4, \"ding\\n\", 5) = 5\n"},
        {make_sendto, 5, "sendto(4, \"ding\\n\", 5, 127.0.0.1:9) = 5\n"},
        {make_sendmsg, 5, "sendmsg(4, \"ding\\n\", 5) = 5\n"},
        {make_sendmsg_to, 5, "sendmsg(4, \"ding\\n\", 5, 127.0.0.1:9) = 5\n"},
        {make_sendfile, 100, "sendfile(4, 8, 100) = 100\n"},
        {make_shutdown, 0, "shutdown(4, SHUT_WR)\n"},
        {make_setsockopt, 0, "setsockopt(3, SO_REUSEADDR, 1)\n"},
    };
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    ASSERT_ROWS(rows);
}

static void a_failure_is_told_in_words(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {make_socket, -EMFILE, "socket(AF_INET6, SOCK_DGRAM, 17) failed: too many open files\n"},
        {make_pair, -EMFILE, "socketpair(AF_UNIX, SOCK_STREAM, 0) failed: too many open files\n"},
        {make_bind, -EADDRINUSE, "bind(3, 127.0.0.1:7464) failed: address already in use\n"},
        {make_listen, -EADDRINUSE, "listen(3, 5) failed: address already in use\n"},
        {make_accept, -EMFILE, "accept(3) failed: too many open files\n"},
        {make_connect, -ECONNREFUSED, "connect(3, 127.0.0.1:9) failed: connection refused\n"},
        {make_recv, -ECONNRESET, "recv(4) failed: connection reset by peer\n"},
        {make_recvfrom, -ECONNREFUSED, "recvfrom(4) failed: connection refused\n"},
        {make_recvmsg, -ECONNREFUSED, "recvmsg(4) failed: connection refused\n"},
        {make_send, -EPIPE, "send(4, \"ding\\n\", 5) failed: broken pipe\n"},
        {make_sendto, -EMSGSIZE,
         "sendto(4, \"ding\\n\", 5, 127.0.0.1:9) failed: message too long\n"},
        {make_sendmsg, -EMSGSIZE, "sendmsg(4, \"ding\\n\", 5) failed: message too long\n"},
        {make_sendfile, -EPIPE, "sendfile(4, 8, 100) failed: broken pipe\n"},
        {make_shutdown, -ENOTCONN,
         "shutdown(4, SHUT_WR) failed: transport endpoint is not connected\n"},
        {make_setsockopt, -EPERM,
         "setsockopt(3, SO_REUSEADDR, 1) failed: operation not permitted\n"},
    };
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    ASSERT_ROWS(rows);
}

static void nothing_is_an_end_of_a_stream_and_a_message_of_no_bytes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {make_recv, 0, "recv(4) = 0  the other end has finished\n"},
        {make_recv_of_message, 0, "recv(4) = 0  \"\"\n"},
        {make_recvfrom, 0, "recvfrom(4) = 0  \"\" from 127.0.0.1:51213\n"},
        {make_recvmsg, 0, "recvmsg(4) = 0  from 127.0.0.1:51213\n"},
        {make_recvmsg_without_room_for_a_name, 0, "recvmsg(4) = 0\n"},
        {make_send, 0, "send(4, \"ding\\n\", 5) = 0\n"},
    };
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    ASSERT_ROWS(rows);
}

// Its size is told, but only what was received is there to be shown.
static void of_a_message_that_was_cut_the_beginning_is_shown(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {make_recv_of_message, 6, "recv(4) = 6  \"he\"\n"},
    };
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    ASSERT_ROWS(rows);
}

// As from a Unix socket that was never bound.
static void who_has_no_name_is_not_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {make_accept_of_whom, 4, "accept(3) = 4\n"},
        {make_recvfrom, 6, "recvfrom(4) = 6  \"hello\\n\"\n"},
        {make_recvfrom, 0, "recvfrom(4) = 0  \"\"\n"},
        {make_recvmsg, 6, "recvmsg(4) = 6  \"hello\\n\"\n"},
        {make_recvmsg, 0, "recvmsg(4) = 0\n"},
    };
    is_named = false;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    ASSERT_ROWS(rows);
}

// Of each call that may wait the tries are not shown, but with everything they are.
static void a_try_is_no_call_of_the_book(void **state)
{
    (void)state;
    static const struct row hidden[] = {
        {make_accept, -EAGAIN, ""},    {make_connect, -EINPROGRESS, ""},
        {make_connect, -EALREADY, ""}, {make_recv, -EINTR, ""},
        {make_recvfrom, -EAGAIN, ""},  {make_recvmsg, -EAGAIN, ""},
        {make_send, -EAGAIN, ""},      {make_sendto, -EAGAIN, ""},
        {make_sendmsg, -EAGAIN, ""},   {make_sendfile, -EAGAIN, ""},
    };
    static const struct row shown[] = {
        {make_accept, -EAGAIN, "accept(3) would block\n"},
        {make_connect, -EINPROGRESS, "connect(3, 127.0.0.1:9) would block\n"},
        {make_connect, 0, "connect(3, 127.0.0.1:9)\n"},
        {make_recv, -EINTR, "recv(4) would block\n"},
        {make_recvfrom, -EAGAIN, "recvfrom(4) would block\n"},
        {make_recvmsg, -EAGAIN, "recvmsg(4) would block\n"},
        {make_send, -EAGAIN, "send(4, \"ding\\n\", 5) would block\n"},
        {make_sendto, -EAGAIN, "sendto(4, \"ding\\n\", 5, 127.0.0.1:9) would block\n"},
        {make_sendmsg, -EAGAIN, "sendmsg(4, \"ding\\n\", 5) would block\n"},
        {make_sendfile, -EAGAIN, "sendfile(4, 8, 100) would block\n"},
    };
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    ASSERT_ROWS(hidden);
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_ALL), 0);
    ASSERT_ROWS(shown);
}

// ---- Connections that are being made -------------------------------------------------------------

static void connect_to(int fd, int64_t when, int result)
{
    clock_now = when * 1000000000;
    answer = result;
    assert_int_equal(kernel->connect(fd, (struct sockaddr *)&peer, sizeof peer), result);
}

static bool shows(const char *line, int began, int fd)
{
    char expected[96];
    (void)snprintf(expected, sizeof expected,
                   "%d.000000000 50.000000000 connect(%d, 127.0.0.1:9)\n", began, fd);
    return !strcmp(line, expected);
}

static void each_connection_began_with_its_own_first_try(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_TIMES), 0);
    for (int fd = 20; fd < 28; fd++)
        connect_to(fd, fd, -EINPROGRESS);
    assert_string_equal(lines(), "");
    for (int fd = 27; fd >= 20; fd--) {
        connect_to(fd, 50, 0);
        assert_true(shows(lines(), fd, fd));
    }
}

// There is room for eight: the ninth takes the place of another one, and no more.
static void of_too_many_connections_one_counts_from_its_last_try(void **state)
{
    (void)state;
    int late = 0;
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_TIMES), 0);
    for (int fd = 40; fd < 49; fd++)
        connect_to(fd, fd, -EINPROGRESS);
    for (int fd = 40; fd < 49; fd++) {
        connect_to(fd, 50, 0);
        const char *line = lines();
        assert_true(shows(line, fd, fd) || shows(line, 50, fd));
        late += shows(line, 50, fd);
    }
    assert_int_equal(late, 1);
}

#define BOOK(name) cmocka_unit_test_setup_teardown(name, begin_book, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOOK(each_call_has_a_line),
        BOOK(a_failure_is_told_in_words),
        BOOK(nothing_is_an_end_of_a_stream_and_a_message_of_no_bytes),
        BOOK(of_a_message_that_was_cut_the_beginning_is_shown),
        BOOK(who_has_no_name_is_not_told),
        BOOK(a_try_is_no_call_of_the_book),
        BOOK(each_connection_began_with_its_own_first_try),
        BOOK(of_too_many_connections_one_counts_from_its_last_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
