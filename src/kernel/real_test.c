// A few facts about the real table. What the system itself promises is not tested here.

#include "kernel/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/real.h"

#define MILLISECOND 1000000

static int64_t in(int64_t ms)
{
    return kernel->now() + ms * MILLISECOND;
}

static void assert_flags(int fd, bool non_blocking)
{
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    if (non_blocking)
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

static void the_table_is_whole_and_can_be_copied(void **state)
{
    (void)state;
    assert_ptr_equal(kernel, &kernel_real);
    struct kernel_ops copy = kernel_real;
    void *members[sizeof copy / sizeof(void *)];
    memcpy(members, &copy, sizeof copy);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        assert_non_null(members[i]);
}

static void failure_is_a_negative_errno(void **state)
{
    (void)state;
    char byte;
    int status;
    assert_int_equal(kernel->close(-1), -EBADF);
    assert_int_equal(kernel->recv(-1, &byte, 1, 0), -EBADF);
    assert_int_equal(kernel->sendfile(-1, -1, NULL, 1), -EBADF);
    assert_int_equal(kernel->epoll_wait(-1, NULL, 1, 0), -EBADF);
    assert_int_equal(kernel->reap(-1, &status), -EINVAL);
    assert_int_equal(kernel->sigprocmask(-1, NULL, NULL), 0); // set NULL: `how` is not looked at
    assert_int_equal(kernel->guard((void *)1, 1), -EINVAL);
    assert_int_equal(kernel->protect((void *)1, 1), -EINVAL);
    assert_int_equal(kernel->give_back((void *)1, 1), -EINVAL);
    assert_int_equal(kernel->timerfd_set(-1, 0), -EBADF);
    assert_int_equal(kernel->sigaction(0, NULL, NULL), -EINVAL);
    assert_int_equal(kernel->set_flags(-1), -EBADF);
    assert_int_equal(kernel->same_file(-1, "/"), -EBADF);
    assert_int_equal(kernel->interface("no-such-thing"), -ENODEV);
    assert_int_equal(real_ended_child(-1), -EINVAL);
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    char name[NI_MAXHOST];
    assert_int_equal(kernel->name_of(&nobody, sizeof nobody, name, sizeof name), EAI_FAMILY);
    assert_int_equal(kernel->unlink("/nowhere/at/all"), -ENOENT);
}

static void every_descriptor_is_close_on_exec(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX}, peer;
    socklen_t size = sizeof address;
    int server = kernel->socket(AF_UNIX, SOCK_STREAM, 0);
    assert_flags(server, true);
    assert_int_equal(kernel->bind(server, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(kernel->listen(server, 1), 0);
    assert_int_equal(kernel->getsockname(server, (struct sockaddr *)&address, &size), 0);
    int client = kernel->socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(kernel->connect(client, (struct sockaddr *)&address, size), 0);
    size = sizeof peer;
    int accepted = kernel->accept(server, (struct sockaddr *)&peer, &size);
    assert_flags(accepted, true);
    int copy = kernel->dup(accepted);
    assert_flags(copy, false);

    int foreign = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(kernel->set_flags(foreign), 0);
    assert_flags(foreign, true);

    // A name of a file, and no open file: nothing can be read of it, so it cannot be made not to wait.
    int name = open("/", O_PATH | O_CLOEXEC);
    assert_int_equal(kernel->set_flags(name), -EBADF);
    assert_int_equal(kernel->close(name), 0);

    int all[] = {server, client, accepted, copy, foreign};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        assert_int_equal(kernel->close(all[i]), 0);
}

static void internal_descriptors_leave_the_low_numbers_free(void **state)
{
    (void)state;
    int lowest = kernel->socket(AF_INET, SOCK_STREAM, 0);
    int internal[] = {kernel->epoll_create(), kernel->eventfd(), kernel->timerfd(),
                      kernel->pidfd_open(kernel->getpid())};
    int next = kernel->socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(next, lowest + 1);
    for (size_t i = 0; i < 4; i++) {
        assert_true(internal[i] > next);
        assert_flags(internal[i], i == 1 || i == 2);
        kernel->close(internal[i]);
    }
    kernel->close(lowest);
    kernel->close(next);
}

static void without_room_above_an_internal_descriptor_is_low(void **state)
{
    (void)state;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    small = old;
    small.rlim_cur = 24;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    assert_int_equal(kernel->descriptor_limit(), 24);

    int fds[32] = {0}, count = 0, fd;
    while ((fd = kernel->eventfd()) >= 0 && count < 31)
        fds[count++] = fd;
    assert_int_equal(fd, -EMFILE);
    assert_true(count > 0);
    assert_true(fds[0] >= 12);
    assert_true(fds[count - 1] < 12);
    assert_int_equal(kernel->epoll_create(), -EMFILE);
    assert_int_equal(kernel->timerfd(), -EMFILE);
    assert_int_equal(kernel->pidfd_open(kernel->getpid()), -EMFILE);
    while (count > 0)
        kernel->close(fds[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

// The upper part is a quarter or more of what there is, and stays that when sockets fill the lower one.
static void an_internal_descriptor_is_high_under_each_limit(void **state)
{
    (void)state;
    static const struct {
        rlim_t limit;
        int floor;
    } cases[] = {{100, 50}, {200, 136}, {1000, 936}, {1024, 960}};
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    small = old;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        small.rlim_cur = cases[i].limit;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
        int fd = kernel->eventfd();
        assert_int_equal(fd, cases[i].floor);
        kernel->close(fd);
    }
    small.rlim_cur = 24;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    int lowest = kernel->socket(AF_UNIX, SOCK_STREAM, 0), next = lowest;
    while (next < 11)
        next = kernel->socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(next, 11);
    int event = kernel->eventfd();
    assert_int_equal(event, 12);
    kernel->close(event);
    for (int fd = lowest; fd <= next; fd++)
        kernel->close(fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static int to_closed_peer(int file)
{
    int pair[2];
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    kernel->close(pair[1]);
    off_t offset = 0;
    ssize_t n = kernel->sendfile(pair[0], file, &offset, 1);
    assert_int_equal(kernel->send(pair[0], "x", 1, 0), -EPIPE);
    kernel->close(pair[0]);
    return (int)n;
}

static bool is_pending(int number)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, number) == 1;
}

static void nothing_raises_sigpipe(void **state)
{
    (void)state;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    sigset_t set, old;
    assert_int_equal(to_closed_peer(file), -EPIPE); // the default action would end the program

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    assert_int_equal(kernel->sigprocmask(SIG_BLOCK, &set, &old), 0);
    assert_int_equal(to_closed_peer(file), -EPIPE);
    assert_false(is_pending(SIGPIPE));

    raise(SIGPIPE); // the application's own stays
    assert_int_equal(to_closed_peer(file), -EPIPE);
    assert_true(is_pending(SIGPIPE));
    const struct timespec at_once = {0};
    assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGPIPE);
    assert_int_equal(kernel->sigprocmask(SIG_SETMASK, &old, NULL), 0);
    close(file);
}

// As a program does that was given a copy of it.
static void make_blocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

static void no_call_waits_on_a_descriptor_that_was_made_to_block(void **state)
{
    static char bytes[4096];
    int pair[2];
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    make_blocking(pair[0]);
    struct iovec piece = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    assert_int_equal(kernel->recv(pair[0], bytes, sizeof bytes, 0), -EAGAIN);
    assert_int_equal(kernel->recvfrom(pair[0], bytes, sizeof bytes, 0, NULL, NULL), -EAGAIN);
    assert_int_equal(kernel->recvmsg(pair[0], &message, 0), -EAGAIN);
    ssize_t n;
    while ((n = kernel->send(pair[0], bytes, sizeof bytes, 0)) > 0)
        continue;
    assert_int_equal(n, -EAGAIN);
    assert_int_equal(kernel->sendto(pair[0], bytes, sizeof bytes, 0, NULL, 0), -EAGAIN);
    assert_int_equal(kernel->sendmsg(pair[0], &message, 0), -EAGAIN);
    kernel->close(pair[0]);
    kernel->close(pair[1]);
    (void)state;
}

static void waits_end_at_their_deadline_and_not_before(void **state)
{
    (void)state;
    int epoll = kernel->epoll_create(), timer = kernel->timerfd();
    struct epoll_event event;
    struct pollfd pfd = {.fd = timer, .events = POLLIN};

    // In the past: a look, also at the end of the range.
    assert_int_equal(kernel->epoll_wait(epoll, &event, 1, 0), 0);
    assert_int_equal(kernel->epoll_wait(epoll, &event, 1, INT64_MIN), 0);
    assert_int_equal(kernel->epoll_wait(epoll, &event, 1, kernel->now()), 0);
    assert_int_equal(kernel->ppoll(&pfd, 1, 0), 0);
    assert_int_equal(kernel->ppoll(&pfd, 1, INT64_MIN), 0);

    int64_t deadline = kernel->now() + 300000;
    assert_int_equal(kernel->epoll_wait(epoll, &event, 1, deadline), 0);
    assert_true(kernel->now() >= deadline);
    deadline = kernel->now() + 300000;
    assert_int_equal(kernel->ppoll(&pfd, 1, deadline), 0);
    assert_true(kernel->now() >= deadline);

    // A timer in the past fires, and one at the end of time is none.
    assert_int_equal(kernel->timerfd_set(timer, 0), 0);
    assert_int_equal(kernel->ppoll(&pfd, 1, in(5000)), 1);
    assert_int_equal(kernel->timerfd_set(timer, INT64_MAX), 0);
    assert_int_equal(kernel->ppoll(&pfd, 1, 0), 0);
    deadline = in(1);
    assert_int_equal(kernel->timerfd_set(timer, deadline), 0);
    assert_int_equal(kernel->ppoll(&pfd, 1, INT64_MAX), 1);
    assert_true(kernel->now() >= deadline);

    event = (struct epoll_event){.events = EPOLLIN, .data.u64 = 7};
    assert_int_equal(kernel->epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event), 0);
    assert_int_equal(kernel->epoll_wait(epoll, &event, 1, INT64_MAX), 1);
    assert_int_equal(event.data.u64, 7);
    kernel->close(timer);
    kernel->close(epoll);
}

static int wait_for_child(int pidfd, int *ret_status)
{
    struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(kernel->ppoll(&pfd, 1, in(5000)), 1);
    return kernel->reap(pidfd, ret_status);
}

static void a_child_is_reaped_by_its_pidfd(void **state)
{
    (void)state;
    int status = -1;
    int hold[2];
    assert_int_equal(pipe(hold), 0);
    int pid = kernel->fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char byte;
        close(hold[1]);
        (void)!read(hold[0], &byte, 1);
        kernel->exit_child(7);
    }
    int pidfd = kernel->pidfd_open(pid);
    assert_int_equal(kernel->reap(pidfd, &status), 0);
    close(hold[1]);
    assert_int_equal(wait_for_child(pidfd, &status), 1);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(kernel->reap(pidfd, &status), -ECHILD);
    assert_int_equal(kernel->kill(pidfd, SIGTERM), -ESRCH);
    kernel->close(pidfd);
    close(hold[0]);

    pid = kernel->fork();
    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    pidfd = kernel->pidfd_open(pid);
    assert_int_equal(kernel->kill(pidfd, SIGKILL), 0);
    assert_int_equal(wait_for_child(pidfd, &status), 1);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    kernel->close(pidfd);
}

// For a child that could not be watched.
static void a_child_is_killed_and_reaped(void **state)
{
    (void)state;
    int pid = kernel->fork();
    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    kernel->kill_and_reap(pid);
    assert_int_equal(waitpid(pid, NULL, 0), -1);
    assert_int_equal(errno, ECHILD);
}

static void an_end_is_told_as_waitpid_does(void **state)
{
    (void)state;
    const siginfo_t returned = {.si_code = CLD_EXITED, .si_status = 300};
    const siginfo_t killed = {.si_code = CLD_KILLED, .si_status = SIGTERM};
    const siginfo_t dumped = {.si_code = CLD_DUMPED, .si_status = SIGSEGV};
    int status = real_wait_status(&returned);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 300 & 0xff);
    status = real_wait_status(&killed);
    assert_true(WIFSIGNALED(status) && !WCOREDUMP(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    status = real_wait_status(&dumped);
    assert_true(WIFSIGNALED(status) && WCOREDUMP(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void what_stdio_holds_is_written_once(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    fputs("parent ", file);
    int pid = kernel->fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fputs("child", file);
        kernel->exit_child(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    char text[32] = "";
    assert_int_equal(pread(fileno(file), text, sizeof text - 1, 0), 12);
    assert_string_equal(text, "parent child");
    fclose(file);
}

// Semaphores, since ThreadSanitizer loses sight of a descriptor that was moved.
struct visit {
    sem_t started, go_on, left;
    sigset_t mask;
    size_t stack_size;
};

static void visit_thread(void *arg)
{
    struct visit *visit = arg;
    pthread_attr_t attributes;
    kernel->sigprocmask(SIG_BLOCK, NULL, &visit->mask);
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstacksize(&attributes, &visit->stack_size);
        pthread_attr_destroy(&attributes);
    }
    sem_post(&visit->started);
    sem_wait(&visit->go_on);
    sem_post(&visit->left);
}

static void begin_visit(struct visit *visit, size_t stack_size)
{
    sem_init(&visit->started, 0, 0);
    sem_init(&visit->go_on, 0, 0);
    sem_init(&visit->left, 0, 0);
    assert_int_equal(kernel->thread_start(visit_thread, visit, stack_size), 0);
    sem_wait(&visit->started);
}

static void end_visit(struct visit *visit)
{
    sem_post(&visit->go_on);
    sem_wait(&visit->left);
}

static void a_stack_is_no_smaller_than_the_system_wants_it(void **state)
{
    (void)state;
    static struct visit visit; // outlives the thread, which may still be in its last call
    begin_visit(&visit, 1);
    assert_true(visit.stack_size >= (size_t)PTHREAD_STACK_MIN);
    end_visit(&visit);
}

static void a_thread_whose_stack_cannot_be_is_none(void **state)
{
    (void)state;
    sigset_t before, after;
    kernel->sigprocmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(kernel->thread_start(visit_thread, NULL, SIZE_MAX), -EINVAL);
    assert_int_equal(kernel->thread_start(visit_thread, NULL, SIZE_MAX / 4), -EAGAIN);
    kernel->sigprocmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

static void a_thread_takes_no_signals_and_forbids_fork(void **state)
{
    (void)state;
    static struct visit visit;
    sigset_t before, after;
    kernel->sigprocmask(SIG_BLOCK, NULL, &before);
    begin_visit(&visit, 200001);
    assert_true(sigismember(&visit.mask, SIGTERM));
    assert_true(sigismember(&visit.mask, SIGCHLD));
    assert_false(sigismember(&visit.mask, SIGSEGV));
    assert_true(visit.stack_size >= 200001);
    kernel->sigprocmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    assert_int_equal(kernel->fork(), -EBUSY);

    end_visit(&visit);
}

static void a_lock_has_one_holder(void **state)
{
    (void)state;
    char folder[] = "/tmp/doorbell-kernel-XXXXXX", path[64], other[64], below[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/lock", folder);
    snprintf(other, sizeof other, "%s/other", folder);

    int lock = kernel->lock_file(path);
    assert_flags(lock, true);
    assert_int_equal(kernel->lock_file(path), -EWOULDBLOCK);
    assert_int_equal(kernel->same_file(lock, path), 1);
    assert_int_equal(kernel->same_file(lock, other), 0);
    assert_int_equal(kernel->same_file(lock, folder), 0);
    assert_int_equal(kernel->same_file(lock, "/proc"), 0);
    snprintf(below, sizeof below, "%s/nothing", path);
    assert_int_equal(kernel->same_file(lock, below), 0);
    static char endless[8192];
    memset(endless, 'x', sizeof endless - 1);
    assert_int_equal(kernel->same_file(lock, endless), -ENAMETOOLONG);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(kernel->lock_file(other), -ELOOP);
    assert_int_equal(kernel->same_file(lock, other), 0);
    assert_int_equal(kernel->unlink(other), 0);
    assert_int_equal(kernel->unlink(path), 0);
    assert_int_equal(kernel->same_file(lock, path), 0);
    kernel->close(lock);
    rmdir(folder);
}

static void only_a_socket_is_a_socket_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/doorbell-kernel-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    uint64_t id[2], again[2];
    int fd = kernel->socket(AF_UNIX, SOCK_STREAM, 0);

    assert_int_equal(kernel->socket_file(address.sun_path, id), -ENOENT);
    assert_int_equal(kernel->socket_file(folder, id), -ENOTSOCK);
    assert_int_equal(kernel->bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(kernel->socket_file(address.sun_path, id), 0);
    assert_int_equal(kernel->socket_file(address.sun_path, again), 0);
    assert_memory_equal(id, again, sizeof id);
    kernel->unlink(address.sun_path);
    kernel->close(fd);
    rmdir(folder);
}

static void memory_is_zeroed_and_can_be_given_back(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = kernel->map(4 * page, false);
    assert_non_null(memory);
    memory[0] = 'x';
    assert_int_equal(kernel->give_back(memory, page), 0);
    assert_int_equal(memory[0], 0);
    int guarded = kernel->guard(memory + page, page);
    assert_true(guarded == 0 || guarded == -EINVAL);
    assert_int_equal(kernel->protect(memory + 2 * page, page), 0);

    // Neither kind of guard can be read; a system call says so without a fault.
    int pair[2];
    assert_int_equal(kernel->socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    assert_int_equal(kernel->write(pair[0], memory + 2 * page, 1), -EFAULT);
    if (guarded == 0)
        assert_int_equal(kernel->write(pair[0], memory + page, 1), -EFAULT);
    kernel->close(pair[0]);
    kernel->close(pair[1]);
    kernel->unmap(memory, 4 * page);
    kernel->unmap(NULL, 0);

    char *small = kernel->allocate(16);
    assert_int_equal(small[15], 0);
    small = kernel->reallocate(small, 32);
    assert_non_null(small);
    kernel->release(small);
    kernel->release(NULL);
    assert_null(kernel->map(SIZE_MAX / 2, false));
}

static void limits_are_positive_and_chance_differs(void **state)
{
    (void)state;
    assert_true(kernel->processors() >= 1);
    assert_in_range(kernel->process_limit(), 1, INT32_MAX);
    assert_in_range(kernel->descriptor_limit(), 1, INT32_MAX);
    assert_true(kernel->random() != kernel->random());
    assert_int_equal(kernel->getpid(), getpid());
    assert_int_equal(kernel->getppid(), getppid());
}

static void digits_are_resolved(void **state)
{
    (void)state;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    assert_int_equal(kernel->resolve("127.0.0.1", "7", &hints, &list), 0);
    assert_int_equal(list->ai_family, AF_INET);
    kernel->resolve_free(list);
    kernel->resolve_free(NULL);
    assert_int_equal(kernel->resolve("localhost", "7", &hints, &list), EAI_NONAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_whole_and_can_be_copied),
        cmocka_unit_test(failure_is_a_negative_errno),
        cmocka_unit_test(every_descriptor_is_close_on_exec),
        cmocka_unit_test(internal_descriptors_leave_the_low_numbers_free),
        cmocka_unit_test(without_room_above_an_internal_descriptor_is_low),
        cmocka_unit_test(an_internal_descriptor_is_high_under_each_limit),
        cmocka_unit_test(nothing_raises_sigpipe),
        cmocka_unit_test(no_call_waits_on_a_descriptor_that_was_made_to_block),
        cmocka_unit_test(waits_end_at_their_deadline_and_not_before),
        cmocka_unit_test(a_child_is_reaped_by_its_pidfd),
        cmocka_unit_test(a_child_is_killed_and_reaped),
        cmocka_unit_test(an_end_is_told_as_waitpid_does),
        cmocka_unit_test(what_stdio_holds_is_written_once),
        cmocka_unit_test(a_lock_has_one_holder),
        cmocka_unit_test(only_a_socket_is_a_socket_file),
        cmocka_unit_test(memory_is_zeroed_and_can_be_given_back),
        cmocka_unit_test(limits_are_positive_and_chance_differs),
        cmocka_unit_test(digits_are_resolved),
        cmocka_unit_test(a_thread_whose_stack_cannot_be_is_none),
        // The last: their threads may still be ending when they return.
        cmocka_unit_test(a_stack_is_no_smaller_than_the_system_wants_it),
        cmocka_unit_test(a_thread_takes_no_signals_and_forbids_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
