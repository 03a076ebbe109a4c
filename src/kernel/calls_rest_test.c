// The calls that are shown only with everything: what stands in their lines, and that each is passed on as it is.

#include "kernel/calls_test.h"

// ---- A kernel that answers -------------------------------------------------------------------------

static const char *passed; // the last call that reached it

static int say(const char *what)
{
    passed = what;
    return answer;
}

static int answer_getsockname(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    (void)fd;
    give_peer(ret_address, size);
    return say("getsockname");
}

static int answer_getpeername(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    (void)fd;
    give_peer(ret_address, size);
    return say("getpeername");
}

static int answer_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *size)
{
    (void)fd, (void)level, (void)name;
    memset(ret_value, 0, *size);
    *size = sizeof(int);
    return say("getsockopt");
}

static int answer_dup(int fd)
{
    (void)fd;
    return say("dup");
}

static ssize_t answer_read(int fd, void *into, size_t size)
{
    (void)fd, (void)into, (void)size;
    return say("read");
}

static ssize_t answer_write(int fd, const void *from, size_t size)
{
    (void)fd, (void)from, (void)size;
    return say("write");
}

static int answer_unlink(const char *path)
{
    (void)path;
    return say("unlink");
}

static int answer_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    (void)fds, (void)count, (void)deadline;
    return say("ppoll");
}

static int answer_epoll_create(void)
{
    return say("epoll_create");
}

static int answer_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    (void)epoll, (void)operation, (void)fd, (void)event;
    return say("epoll_ctl");
}

static int answer_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t deadline)
{
    (void)epoll, (void)events, (void)count, (void)deadline;
    return say("epoll_wait");
}

static int answer_eventfd(void)
{
    return say("eventfd");
}

static int answer_timerfd(void)
{
    return say("timerfd");
}

static int answer_timerfd_set(int fd, int64_t deadline)
{
    (void)fd, (void)deadline;
    return say("timerfd_set");
}

static int answer_pidfd_open(int pid)
{
    (void)pid;
    return say("pidfd_open");
}

static int answer_kill(int pidfd, int signal)
{
    (void)pidfd, (void)signal;
    return say("kill");
}

static int answer_close(int fd)
{
    (void)fd;
    return say("close");
}

static int begin_rest(void **state)
{
    int rc = begin(state);
    fake.getsockname = answer_getsockname;
    fake.getpeername = answer_getpeername;
    fake.getsockopt = answer_getsockopt;
    fake.dup = answer_dup;
    fake.read = answer_read;
    fake.write = answer_write;
    fake.unlink = answer_unlink;
    fake.ppoll = answer_ppoll;
    fake.epoll_create = answer_epoll_create;
    fake.epoll_ctl = answer_epoll_ctl;
    fake.epoll_wait = answer_epoll_wait;
    fake.eventfd = answer_eventfd;
    fake.timerfd = answer_timerfd;
    fake.timerfd_set = answer_timerfd_set;
    fake.pidfd_open = answer_pidfd_open;
    fake.kill = answer_kill;
    fake.close = answer_close;
    return rc;
}

// ---- Calls that tests make -------------------------------------------------------------------------

static ssize_t make_getsockname(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    return kernel->getsockname(3, (struct sockaddr *)&address, &size);
}

static ssize_t make_getpeername(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    return kernel->getpeername(3, (struct sockaddr *)&address, &size);
}

static ssize_t make_getsockopt(void)
{
    int value;
    socklen_t size = sizeof value;
    return kernel->getsockopt(3, SOL_SOCKET, SO_TYPE, &value, &size);
}

static ssize_t make_dup(void)
{
    return kernel->dup(3);
}

static ssize_t make_read(void)
{
    char byte;
    return kernel->read(3, &byte, 1);
}

static ssize_t make_write(void)
{
    return kernel->write(3, "12345678", 8);
}

static ssize_t make_unlink(void)
{
    return kernel->unlink("/tmp/\033[2J.sock");
}

static ssize_t make_poll_of_none(void)
{
    return kernel->ppoll(NULL, 0, 0);
}

static ssize_t make_poll_of_two(void)
{
    struct pollfd two[] = {{.fd = 3}, {.fd = 4}};
    return kernel->ppoll(two, 2, 0);
}

static ssize_t make_epoll_create(void)
{
    return kernel->epoll_create();
}

static ssize_t make_epoll_add(void)
{
    return kernel->epoll_ctl(960, EPOLL_CTL_ADD, 3, NULL);
}

static ssize_t make_epoll_mod(void)
{
    return kernel->epoll_ctl(960, EPOLL_CTL_MOD, 3, NULL);
}

static ssize_t make_epoll_del(void)
{
    return kernel->epoll_ctl(960, EPOLL_CTL_DEL, 3, NULL);
}

static ssize_t make_epoll_wait(void)
{
    return kernel->epoll_wait(960, NULL, 0, 0);
}

static ssize_t make_eventfd(void)
{
    return kernel->eventfd();
}

static ssize_t make_timerfd(void)
{
    return kernel->timerfd();
}

static ssize_t make_timerfd_set(void)
{
    return kernel->timerfd_set(961, 0);
}

static ssize_t make_pidfd_open(void)
{
    return kernel->pidfd_open(812);
}

static ssize_t make_kill(void)
{
    return kernel->kill(962, 15);
}

static ssize_t make_close(void)
{
    return kernel->close(960); // no socket: but everything is shown
}

static ssize_t make_helper_thread(void)
{
    passed = "thread_start";
    return kernel->thread_start(NULL, NULL, 0);
}

static const struct {
    ssize_t (*make)(void);
    const char *member;
    int answer;
    const char *line;
} rows[] = {
    {make_getsockname, "getsockname", 0, "getsockname(3)\n"},
    {make_getpeername, "getpeername", -ENOTCONN,
     "getpeername(3) failed: transport endpoint is not connected\n"},
    {make_getsockopt, "getsockopt", 0, "getsockopt(3, 1:3)\n"},
    {make_dup, "dup", 5, "dup(3) = 5\n"},
    {make_read, "read", 8, "read(3) = 8\n"},
    {make_write, "write", 8, "write(3, 8) = 8\n"},
    {make_unlink, "unlink", 0, "unlink(/tmp/\\x1b[2J.sock)\n"},
    {make_unlink, "unlink", -ENOENT,
     "unlink(/tmp/\\x1b[2J.sock) failed: no such file or directory\n"},
    {make_poll_of_none, "ppoll", 0, "poll() = 0\n"},
    {make_poll_of_two, "ppoll", 1, "poll(3, 4) = 1\n"},
    {make_epoll_create, "epoll_create", 960, "epoll_create() = 960\n"},
    {make_epoll_add, "epoll_ctl", 0, "epoll_ctl(960, EPOLL_CTL_ADD, 3)\n"},
    {make_epoll_mod, "epoll_ctl", 0, "epoll_ctl(960, EPOLL_CTL_MOD, 3)\n"},
    {make_epoll_del, "epoll_ctl", -ENOENT,
     "epoll_ctl(960, EPOLL_CTL_DEL, 3) failed: no such file or directory\n"},
    {make_epoll_wait, "epoll_wait", 0, "epoll_wait(960) = 0\n"},
    {make_epoll_wait, "epoll_wait", 2, "epoll_wait(960) = 2\n"},
    {make_eventfd, "eventfd", 963, "eventfd() = 963\n"},
    {make_timerfd, "timerfd", -EMFILE, "timerfd_create() failed: too many open files\n"},
    {make_timerfd_set, "timerfd_set", 0, "timerfd_settime(961)\n"},
    {make_pidfd_open, "pidfd_open", 962, "pidfd_open(812) = 962\n"},
    {make_kill, "kill", -ESRCH, "pidfd_send_signal(962, 15) failed: no such process\n"},
    {make_close, "close", 0, "close(960)\n"},
    {make_helper_thread, "thread_start", 0, "pthread_create()\n"},
};

static void with_everything_each_call_has_a_line(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_ALL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answer = rows[i].answer;
        passed = "nothing";
        assert_int_equal(rows[i].make(), rows[i].answer);
        assert_string_equal(passed, rows[i].member);
        assert_string_equal(lines(), rows[i].line);
    }
}

static void without_it_they_have_none(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].make == make_close) // a socket's is of the book
            continue;
        answer = rows[i].answer;
        assert_int_equal(rows[i].make(), rows[i].answer);
        assert_string_equal(lines(), "");
    }
}

// The lines' own number is somebody else's now.
static void a_copy_with_the_number_of_the_lines_gets_none(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_ALL), 0);
    answer = pipe_fds[1];
    assert_int_equal(kernel->dup(3), answer);
    assert_string_equal(lines(), "");
}

#define REST(name) cmocka_unit_test_setup_teardown(name, begin_rest, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REST(with_everything_each_call_has_a_line),
        REST(without_it_they_have_none),
        REST(a_copy_with_the_number_of_the_lines_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
