// Waiting for a descriptor of the program's own.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "task/task_test.h"

static int ends[2]; // of a pipe: to read, to write

static void make_pipe(void)
{
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void close_pipe(void)
{
    close(ends[0]);
    close(ends[1]);
}

static void fill_pipe(void)
{
    static const char zeros[4096];
    while (write(ends[1], zeros, sizeof zeros) > 0)
        continue;
}

static int write_byte(void *arg)
{
    (void)arg;
    return (int)write(ends[1], "x", 1) - 1;
}

static int empty_pipe(void *arg)
{
    (void)arg;
    char bytes[4096];
    while (read(ends[0], bytes, sizeof bytes) > 0)
        continue;
    return 0;
}

static int close_writer(void *arg)
{
    (void)arg;
    return close(ends[1]);
}

// A task of this group does it as soon as somebody waits.
static bell_group *meanwhile(int (*run)(void *arg), void *arg)
{
    bell_group *group = bell_group_open();
    assert_non_null(group);
    assert_int_equal(bell_go(group, run, arg), 0);
    return group;
}

static void what_is_ready_need_not_wait(void)
{
    make_pipe();
    assert_int_equal(bell_wait_fd(ends[1], POLLOUT, 0), POLLOUT);
    ASSERT_FAILS(bell_wait_fd(ends[0], POLLIN, 0), ETIMEDOUT);
    write_byte(NULL);
    assert_int_equal(bell_wait_fd(ends[0], POLLIN, 0), POLLIN);
    assert_int_equal(bell_wait_fd(ends[0], POLLIN, bell_now() - 1), POLLIN);
    close_pipe();
}

static void a_byte_ends_the_wait(void)
{
    make_pipe();
    bell_group *group = meanwhile(write_byte, NULL);
    assert_int_equal(bell_wait_fd(ends[0], POLLIN, SOON), POLLIN);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    bell_group_close(group);
    close_pipe();
}

static void room_ends_the_wait(void)
{
    make_pipe();
    fill_pipe();
    bell_group *group = meanwhile(empty_pipe, NULL);
    assert_int_equal(bell_wait_fd(ends[1], POLLOUT, SOON), POLLOUT);
    bell_group_close(group);
    close_pipe();
}

static void a_hang_up_ends_the_wait(void)
{
    make_pipe();
    bell_group *group = meanwhile(close_writer, NULL);
    assert_int_equal(bell_wait_fd(ends[0], POLLIN, SOON), POLLHUP);
    bell_group_close(group);
    close(ends[0]);
}

static int close_reader(void *arg)
{
    (void)arg;
    return close(ends[0]);
}

// The pipe stays full: nothing but the error tells of it.
static void a_hang_up_ends_the_wait_for_room(void)
{
    make_pipe();
    fill_pipe();
    bell_group *group = meanwhile(close_reader, NULL);
    assert_int_equal(bell_wait_fd(ends[1], POLLOUT, SOON), POLLERR);
    bell_group_close(group);
    close(ends[1]);
}

static void either_side_ends_a_wait_for_both(void)
{
    static const char zeros[4096];
    static char bytes[4096];
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(bell_wait_fd(pair[0], POLLIN | POLLOUT, SOON), POLLOUT);
    while (send(pair[0], zeros, sizeof zeros, 0) > 0)
        continue;
    ASSERT_FAILS(bell_wait_fd(pair[0], POLLIN | POLLOUT, bell_in(BELL_MS)), ETIMEDOUT);
    assert_int_equal(send(pair[1], "x", 1, 0), 1);
    assert_int_equal(bell_wait_fd(pair[0], POLLIN | POLLOUT, SOON), POLLIN);
    assert_int_equal(recv(pair[0], bytes, 1, 0), 1);
    while (recv(pair[1], bytes, sizeof bytes, 0) > 0)
        continue;
    assert_int_equal(bell_wait_fd(pair[0], POLLIN | POLLOUT, SOON), POLLOUT);
    close(pair[0]);
    close(pair[1]);
}

static void a_wait_ends_at_its_deadline(void)
{
    make_pipe();
    int64_t begin = bell_now();
    ASSERT_FAILS(bell_wait_fd(ends[0], POLLIN, begin + BELL_MS), ETIMEDOUT);
    assert_true(bell_now() - begin >= BELL_MS);
    ASSERT_FAILS(bell_wait_fd(ends[0], POLLIN, begin), ETIMEDOUT);
    close_pipe();
}

static int await_byte(void *arg)
{
    *(int *)arg = bell_wait_fd(ends[0], POLLIN, SOON);
    return 0;
}

// The loop knows each descriptor once; they do not know of each other.
static void several_may_wait_for_one(void)
{
    make_pipe();
    int found[3] = {0};
    bell_group *group = meanwhile(await_byte, &found[0]);
    bell_go(group, await_byte, &found[1]);
    bell_go(group, await_byte, &found[2]);
    assert_int_equal(bell_sleep(0), 0);
    assert_int_equal(found[0] + found[1] + found[2], 0);
    write_byte(NULL);
    assert_int_equal(bell_group_wait(group, SOON), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(found[i], POLLIN);
    bell_group_close(group);
    close_pipe();
}

static int await_for_ever(void *arg)
{
    *(int *)arg = bell_wait_fd(ends[0], POLLIN, BELL_NEVER) < 0 ? errno : 0;
    return 0;
}

static void cancelling_ends_present_and_later_waits(void)
{
    make_pipe();
    int why = 0;
    bell_group *group = meanwhile(await_for_ever, &why);
    assert_int_equal(bell_sleep(0), 0);
    bell_group_close(group);
    assert_int_equal(why, ECANCELED);

    write_byte(NULL);
    task_cancel(self(), -ECANCELED);
    ASSERT_FAILS(bell_wait_fd(ends[0], POLLIN, SOON), ECANCELED);
    self()->cancelled = 0;
    close_pipe();
}

static int count_up(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void who_never_waits_lets_others_run_now_and_then(void)
{
    make_pipe();
    int count = 0;
    bell_group *group = meanwhile(count_up, &count);
    be_tired();
    assert_int_equal(bell_wait_fd(ends[1], POLLOUT, SOON), POLLOUT);
    assert_int_equal(count, 1);
    bell_group_close(group);
    close_pipe();
}

static void what_makes_no_sense_is_refused(void)
{
    make_pipe();
    ASSERT_FAILS(bell_wait_fd(ends[0], 0, SOON), EINVAL);
    ASSERT_FAILS(bell_wait_fd(ends[0], POLLIN | POLLNVAL, SOON), EINVAL);
    ASSERT_FAILS(bell_wait_fd(-1, POLLIN, bell_in(BELL_MS)), EBADF);
    close_pipe();
    ASSERT_FAILS(bell_wait_fd(ends[0], POLLIN, SOON), EBADF);
}

static int refuse_dup(int fd)
{
    (void)fd;
    return -EMFILE;
}

static void without_a_second_descriptor_it_says_so(void)
{
    make_pipe();
    table.dup = refuse_dup;
    ASSERT_FAILS(bell_wait_fd(ends[0], POLLIN, SOON), EMFILE);
    assert_int_equal(bell_wait_fd(ends[1], POLLOUT, SOON), POLLOUT);
    table.dup = kernel_real.dup;
    close_pipe();
}

static int refuse_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    (void)epoll, (void)operation, (void)fd, (void)event;
    return -ENOSPC; // /proc/sys/fs/epoll/max_user_watches
}

static void without_room_in_epoll_it_says_so(void)
{
    make_pipe();
    table.epoll_ctl = refuse_epoll_ctl;
    ASSERT_FAILS(bell_wait_fd(ends[0], POLLIN, SOON), ENOSPC);
    table.epoll_ctl = kernel_real.epoll_ctl;
    close_pipe();
}

static int interruptions;

static int interrupted_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    return interruptions-- > 0 ? -EINTR : kernel_real.ppoll(fds, count, deadline);
}

static void a_signal_ends_no_look(void)
{
    make_pipe();
    interruptions = 2;
    table.ppoll = interrupted_ppoll;
    assert_int_equal(bell_wait_fd(ends[1], POLLOUT, 0), POLLOUT);
    table.ppoll = kernel_real.ppoll;
    assert_true(interruptions < 0);
    close_pipe();
}

static void *wait_without_a_loop(void *arg)
{
    ASSERT_FAILS_WITHOUT_A_LOOP(bell_wait_fd(ends[1], POLLOUT, SOON));
    return arg;
}

static void without_a_loop_nobody_waits(void)
{
    make_pipe();
    on_a_thread_without_a_loop(wait_without_a_loop, NULL);
    close_pipe();
}

// A file is always ready, and epoll does not take it.
static void a_file_is_ready(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(bell_wait_fd(fd, POLLIN | POLLOUT, SOON), POLLIN | POLLOUT);
    close(fd);
}

int main(void)
{
    use_table();
    const struct CMUnitTest tests[] = {
        ON_EACH(what_is_ready_need_not_wait),
        ON_EACH(a_byte_ends_the_wait),
        ON_EACH(room_ends_the_wait),
        ON_EACH(a_hang_up_ends_the_wait),
        ON_EACH(a_hang_up_ends_the_wait_for_room),
        ON_EACH(either_side_ends_a_wait_for_both),
        ON_EACH(a_wait_ends_at_its_deadline),
        ON_EACH(several_may_wait_for_one),
        ON_EACH(cancelling_ends_present_and_later_waits),
        ON_EACH(who_never_waits_lets_others_run_now_and_then),
        ON_EACH(what_makes_no_sense_is_refused),
        ON_EACH(without_a_second_descriptor_it_says_so),
        IN_A_TASK(without_room_in_epoll_it_says_so),
        ON_EACH(a_signal_ends_no_look),
        ON_EACH(without_a_loop_nobody_waits),
        ON_EACH(a_file_is_ready),
    };
    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
