// The table that shows calls, in front of one that answers what a test wants. The lines go into a pipe.

#include <sys/wait.h>

#include "kernel/calls_test.h"

static const struct kernel_ops *shown_table;

#define PATIENCE ((int64_t)20 * 1000000000)

static void what_never_was_on_goes_off(void **state)
{
    (void)state;
    assert_int_equal(calls_show(-1, 0), 0);
    assert_ptr_equal(kernel, &fake);
}

static void off_is_the_table_that_was_there(void **state)
{
    (void)state;
    assert_ptr_equal(kernel, &fake);
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    assert_ptr_not_equal(kernel, &fake);
    assert_int_equal(calls_show(-1, 0), 0);
    assert_ptr_equal(kernel, &fake);
    assert_int_equal(calls_show(-1, 0), 0);
    assert_ptr_equal(kernel, &fake);
}

// One test's table calls the one behind it, another one's is a copy.
static int listen_behind(int fd, int backlog)
{
    return shown_table->listen(fd, backlog);
}

static void a_table_in_front_stays_and_shows_nothing(void **state)
{
    (void)state;
    answer = 0;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    shown_table = kernel;
    struct kernel_ops front = fake, copy = *kernel;
    front.listen = listen_behind;
    kernel = &front;
    assert_int_equal(kernel->listen(3, 5), 0);
    assert_string_equal(lines(), "listen(3, 5)\n");

    assert_int_equal(calls_show(-1, 0), 0);
    assert_ptr_equal(kernel, &front);
    assert_int_equal(kernel->listen(3, 5), 0);
    kernel = &copy;
    assert_int_equal(kernel->listen(3, 5), 0);
    assert_string_equal(lines(), "");
    kernel = &fake;
}

// ---- The variable ---------------------------------------------------------------------------------

static void words_of_the_variable_say_what_is_shown(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        bool shows, shows_all;
        const char *line;
    } cases[] = {
        {NULL, false, false, ""},
        {"", false, false, ""},
        {"0", false, false, ""},
        {"1", true, false, "listen(3, 5)\n"},
        {"yes", true, false, "listen(3, 5)\n"},
        {"all", true, true, "listen(3, 5)\n"},
        {"times", true, false, "7.000000000 7.000000000 listen(3, 5)\n"},
        {"times,all", true, true, "7.000000000 7.000000000 listen(3, 5)\n"},
        {"1,,all", true, true, "listen(3, 5)\n"},
        {"allow,timesheet,al,time", true, false, "listen(3, 5)\n"},
        {"alt,tiles", true, false, "listen(3, 5)\n"},
    };
    answer = 0;
    clock_now = (int64_t)7 * 1000000000;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].words)
            assert_int_equal(setenv("BELL_CALLS", cases[i].words, 1), 0);
        int standard_error = fcntl(2, F_DUPFD_CLOEXEC, 100);
        assert_int_equal(dup2(pipe_fds[1], 2), 2);
        calls_show_if_wished();
        bool shows = kernel != &fake, shows_all = kernel->epoll_wait != fake.epoll_wait;
        (void)kernel->listen(3, 5);
        assert_int_equal(dup2(standard_error, 2), 2);
        (void)close(standard_error);
        (void)calls_show(-1, 0);
        assert_int_equal(unsetenv("BELL_CALLS"), 0);
        assert_int_equal(shows, cases[i].shows);
        assert_int_equal(shows_all, cases[i].shows_all);
        assert_string_equal(lines(), cases[i].line);
    }
}

static void what_is_not_shown_is_not_passed_on_but_the_same(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    assert_ptr_equal(kernel->allocate, kernel_real.allocate);
    assert_ptr_equal(kernel->now, fake_now);
    assert_ptr_equal(kernel->epoll_wait, kernel_real.epoll_wait);
    assert_ptr_equal(kernel->getsockname, kernel_real.getsockname);
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_ALL), 0);
    assert_ptr_not_equal(kernel->epoll_wait, kernel_real.epoll_wait);
    assert_ptr_equal(kernel->allocate, kernel_real.allocate);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    assert_int_equal(calls_show(1000000, 0), -EBADF);
    assert_int_equal(calls_show(pipe_fds[1], 1 << 7), -EINVAL);
    assert_ptr_equal(kernel, &fake);
    assert_int_equal(bell_show_calls(1000000, 0), -1);
    assert_int_equal(errno, EBADF);
    assert_string_equal(bell_error(), "show calls: 1000000 is no open descriptor");
    assert_int_equal(bell_show_calls(pipe_fds[1], 1 << 7), -1);
    assert_int_equal(errno, EINVAL);
    (void)calls_show(-1, 0);
}

static void calls_are_lines(void **state)
{
    (void)state;
    char bytes[16];
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    answer = 0;
    assert_int_equal(kernel->listen(3, 5), 0);
    answer = 4;
    assert_int_equal(kernel->accept(3, (struct sockaddr *)&peer, &size), 4);
    assert_int_equal(kernel->accept(3, NULL, NULL), 4);
    answer = 6;
    assert_int_equal(kernel->recv(4, bytes, sizeof bytes, 0), 6);
    answer = 0;
    assert_int_equal(kernel->recv(4, bytes, sizeof bytes, 0), 0);
    assert_string_equal(lines(), "listen(3, 5)\n"
                                 "accept(3) = 4  from 127.0.0.1:51213\n"
                                 "accept(3) = 4\n"
                                 "recv(4) = 6  \"hello\\n\"\n"
                                 "recv(4) = 0  the other end has finished\n");
}

static void what_would_block_is_shown_when_it_has_ended(void **state)
{
    (void)state;
    static const int errors[] = {-EAGAIN, -EINTR};
    char bytes[16];
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    for (int i = 0; i < 2; i++) {
        answer = errors[i];
        assert_int_equal(kernel->recv(4, bytes, sizeof bytes, 0), answer);
        assert_int_equal(kernel->accept(3, NULL, NULL), answer);
    }
    assert_string_equal(lines(), "");
    answer = -ECONNRESET;
    assert_int_equal(kernel->recv(4, bytes, sizeof bytes, 0), -ECONNRESET);
    assert_string_equal(lines(), "recv(4) failed: connection reset by peer\n");

    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_ALL), 0);
    answer = -EAGAIN;
    assert_int_equal(kernel->recv(4, bytes, sizeof bytes, 0), -EAGAIN);
    assert_string_equal(lines(), "recv(4) would block\n");
}

static void want_of_threads_is_a_failure_though_it_is_eagain(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    answer = -EAGAIN;
    assert_int_equal(kernel->thread_start(NULL, NULL, 4096), -EAGAIN);
    assert_int_equal(kernel->thread_start(NULL, NULL, 0), -EAGAIN); // a helper: in no book
    assert_string_equal(lines(), "pthread_create() failed: resource temporarily unavailable\n");
}

static void a_connection_is_made_once(void **state)
{
    (void)state;
    struct sockaddr_in whom = {.sin_family = AF_INET, .sin_port = htons(9)};
    whom.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const struct sockaddr *address = (const struct sockaddr *)&whom;
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_TIMES), 0);

    clock_now = 5000000000;
    answer = -EINPROGRESS;
    assert_int_equal(kernel->connect(3, address, sizeof whom), -EINPROGRESS);
    assert_string_equal(lines(), "");
    clock_now = 6000000001;
    answer = -EISCONN; // the caller hears it, and takes it for success
    assert_int_equal(kernel->connect(3, address, sizeof whom), -EISCONN);
    assert_string_equal(lines(), "5.000000000 6.000000001 connect(3, 127.0.0.1:9)\n");

    clock_now = 7000000000;
    assert_int_equal(kernel->connect(3, address, sizeof whom), -EISCONN);
    assert_string_equal(
        lines(), "7.000000000 7.000000000 connect(3, 127.0.0.1:9) failed: transport endpoint is "
                 "already connected\n");
}

static void a_new_socket_has_no_old_connection(void **state)
{
    (void)state;
    struct sockaddr_in whom = {.sin_family = AF_INET, .sin_port = htons(9)};
    const struct sockaddr *address = (const struct sockaddr *)&whom;
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_TIMES), 0);
    clock_now = 1000000000;
    answer = -EINPROGRESS;
    assert_int_equal(kernel->connect(5, address, sizeof whom), -EINPROGRESS);
    clock_now = 2000000000;
    answer = 5;
    assert_int_equal(kernel->socket(AF_INET, SOCK_STREAM, 0), 5);
    answer = -ECONNREFUSED;
    assert_int_equal(kernel->connect(5, address, sizeof whom), -ECONNREFUSED);
    assert_string_equal(lines(), "2.000000000 2.000000000 socket(AF_INET, SOCK_STREAM, 0) = 5\n"
                                 "2.000000000 2.000000000 connect(5, 0.0.0.0:9) failed: "
                                 "connection refused\n");
}

static void only_sockets_are_closed_in_books(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    int event = kernel->eventfd();
    assert_int_equal(kernel->close(event), 0);
    assert_string_equal(lines(), "");
    assert_int_equal(kernel->close(1000000), -EBADF);
    assert_string_equal(lines(), "close(1000000) failed: bad file descriptor\n");
}

static struct ring own_ring = {.fd = 9};

static int answer_ring_open(unsigned entries, struct ring **ret_ring)
{
    (void)entries;
    *ret_ring = &own_ring;
    return answer;
}

static int answer_ring_enter(struct ring *ring, int64_t deadline)
{
    (void)ring, (void)deadline;
    return 0;
}

static void answer_ring_close(struct ring *ring, bool abandon)
{
    (void)ring, (void)abandon;
}

static void use_ring(void)
{
    struct ring *ring = NULL;
    if (kernel->ring_open(64, &ring) < 0)
        return;
    (void)kernel->ring_enter(ring, 0);
    kernel->ring_close(ring, false);
}

static void a_ring_is_in_no_book(void **state)
{
    (void)state;
    fake.ring_open = answer_ring_open;
    fake.ring_enter = answer_ring_enter;
    fake.ring_close = answer_ring_close;
    answer = 0;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    use_ring();
    assert_string_equal(lines(), "");
    assert_int_equal(calls_show(pipe_fds[1], BELL_CALLS_ALL), 0);
    use_ring();
    answer = -EPERM;
    use_ring();
    assert_string_equal(lines(), "io_uring_setup(64) = 9\nio_uring_enter(9) = 0\nclose(9)\n"
                                 "io_uring_setup(64) failed: operation not permitted\n");
}

static void a_child_that_runs_is_not_waited_for_in_books(void **state)
{
    (void)state;
    int status = 0;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    answer = 0;
    assert_int_equal(kernel->reap(-1, &status), 0);
    assert_string_equal(lines(), "");
    answer = -ECHILD;
    assert_int_equal(kernel->reap(-1, &status), -ECHILD);
    assert_string_equal(lines(), "wait() failed: no child processes\n");
}

static int fail_fork(void)
{
    return -EAGAIN;
}

static void a_fork_may_fail(void **state)
{
    (void)state;
    fake.fork = fail_fork;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    assert_int_equal(kernel->fork(), -EAGAIN);
    assert_string_equal(lines(), "fork() failed: resource temporarily unavailable\n");
}

// ---- Processes --------------------------------------------------------------------------------

// Waits for the line with these words, and returns all until then as they are.
static const char *lines_until(const char *words)
{
    static char text[4096];
    size_t size = 0;
    do {
        struct pollfd lines = {.fd = pipe_fds[0], .events = POLLIN};
        assert_int_equal(kernel_real.ppoll(&lines, 1, kernel_real.now() + PATIENCE), 1);
        ssize_t n = read(pipe_fds[0], text + size, sizeof text - size - 1);
        assert_true(n > 0);
        size += (size_t)n;
        text[size] = '\0';
    } while (!strstr(text, words));
    return text;
}

static void assert_line(const char *text, int pid, const char *call, int number, const char *remark)
{
    char line[128];
    (void)snprintf(line, sizeof line, "[%d] %s%d%s\n", pid, call, number, remark);
    if (!strstr(text, line))
        fail_msg("there is no \"%s\" in \"%s\"", line, text);
}

// The child closes its copy of the first socket, and ends when nobody has that one any more.
static void be_child(const int pair[2])
{
    char byte;
    struct pollfd ended = {.fd = pair[1], .events = POLLIN};
    (void)kernel->close(pair[0]);
    while (kernel_real.recv(pair[1], &byte, 1, 0) == -EAGAIN)
        (void)kernel_real.ppoll(&ended, 1, INT64_MAX);
    kernel->exit_child(7);
}

static void parent_and_child_both_return_from_fork(void **state)
{
    (void)state;
    int pair[2], status = 0;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    int pid = kernel->fork();
    if (pid == 0)
        be_child(pair);
    const char *text = lines_until("the parent still has it");
    assert_non_null(strstr(text, "socketpair(AF_UNIX, SOCK_STREAM, 0, {"));
    assert_line(text, getpid(), "fork() = ", pid, "");
    assert_line(text, pid, "fork() = ", 0, "");
    assert_line(text, pid, "close(", pair[0], ")  the parent still has it");

    assert_int_equal(kernel->close(pair[1]), 0);
    text = lines_until("the child");
    assert_line(text, getpid(), "close(", pair[1], ")  the child still has it");
    assert_int_equal(kernel->close(pair[0]), 0);
    text = lines_until("exit");
    assert_line(text, getpid(), "close(", pair[0], ")"); // the child has closed it
    assert_line(text, pid, "exit(", 7, ")");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
}

static int fork_and_wait(void)
{
    int pid = kernel->fork();
    if (pid == 0)
        for (;;)
            (void)pause();
    (void)lines_until("fork");
    return pid;
}

static void an_end_is_told_with_its_reason(void **state)
{
    (void)state;
    char line[64];
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    int pid = fork_and_wait();
    kernel->kill_and_reap(pid);
    (void)snprintf(line, sizeof line, "wait() = %d  killed by signal 9\n", pid);
    assert_non_null(strstr(lines_until("wait"), line));

    // And one that has ended by itself is asked for.
    fake.reap = kernel_real.reap;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    pid = fork_and_wait();
    int status, pidfd = kernel->pidfd_open(pid);
    if (pidfd == -ENOSYS) { // as valgrind says
        kernel->kill_and_reap(pid);
        return;
    }
    assert_int_equal(kernel->kill(pidfd, SIGTERM), 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(kernel_real.ppoll(&ended, 1, kernel_real.now() + PATIENCE), 1);
    assert_int_equal(kernel->reap(pidfd, &status), 1);
    (void)snprintf(line, sizeof line, "wait() = %d  killed by signal 15\n", pid);
    assert_non_null(strstr(lines_until("wait"), line));
    (void)kernel->close(pidfd);
}

// ---- Readers who are gone or asleep -----------------------------------------------------------

static void a_line_never_waits_and_says_what_is_missing(void **state)
{
    (void)state;
    char filling[4096];
    memset(filling, 'x', sizeof filling);
    int flags = fcntl(pipe_fds[1], F_GETFL);
    while (write(pipe_fds[1], filling, sizeof filling) > 0)
        continue;
    assert_int_equal(fcntl(pipe_fds[1], F_SETFL, flags & ~O_NONBLOCK), 0);

    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    answer = 0;
    errno = 77;
    assert_int_equal(kernel->listen(3, 1), 0);
    assert_int_equal(kernel->listen(3, 2), 0);
    assert_int_equal(errno, 77);

    while (read(pipe_fds[0], filling, sizeof filling) > 0)
        continue;
    assert_int_equal(kernel->listen(3, 3), 0);
    assert_string_equal(lines(), "(2 calls are not shown)\nlisten(3, 3)\n");
}

// A file never keeps its writer.
static void lines_may_go_into_a_file(void **state)
{
    (void)state;
    char text[128] = "";
    FILE *file = tmpfile();
    assert_int_equal(calls_show(fileno(file), 0), 0);
    answer = 0;
    assert_int_equal(kernel->listen(3, 1), 0);
    assert_int_equal(kernel->listen(3, 2), 0);
    assert_true(pread(fileno(file), text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "listen(3, 1)\n["));
    assert_non_null(strstr(text, "listen(3, 2)\n"));
    (void)fclose(file);
}

static void a_reader_who_left_is_no_reason_to_die(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    assert_int_equal(close(pipe_fds[0]), 0);
    pipe_fds[0] = -1;
    answer = 0;
    errno = 77;
    assert_int_equal(kernel->listen(3, 1), 0);
    assert_int_equal(errno, 77);
}

static void a_socket_with_the_number_of_the_lines_gets_none(void **state)
{
    (void)state;
    assert_int_equal(calls_show(pipe_fds[1], 0), 0);
    answer = pipe_fds[1]; // somebody has closed it, and a caller has its number now
    assert_int_equal(kernel->accept(3, NULL, NULL), answer);
    answer = 0;
    assert_int_equal(kernel->listen(3, 1), 0);
    assert_string_equal(lines(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_never_was_on_goes_off), // the first: nothing was
        CASE(off_is_the_table_that_was_there),
        CASE(a_table_in_front_stays_and_shows_nothing),
        CASE(words_of_the_variable_say_what_is_shown),
        CASE(what_is_not_shown_is_not_passed_on_but_the_same),
        CASE(what_makes_no_sense_is_refused),
        CASE(calls_are_lines),
        CASE(what_would_block_is_shown_when_it_has_ended),
        CASE(want_of_threads_is_a_failure_though_it_is_eagain),
        CASE(a_connection_is_made_once),
        CASE(a_new_socket_has_no_old_connection),
        CASE(only_sockets_are_closed_in_books),
        CASE(a_ring_is_in_no_book),
        CASE(a_child_that_runs_is_not_waited_for_in_books),
        CASE(a_fork_may_fail),
        CASE(an_end_is_told_with_its_reason),
        CASE(parent_and_child_both_return_from_fork),
        CASE(a_line_never_waits_and_says_what_is_missing),
        CASE(lines_may_go_into_a_file),
        CASE(a_reader_who_left_is_no_reason_to_die),
        CASE(a_socket_with_the_number_of_the_lines_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
