// Opening under a kernel that fails, each call by itself, once or from then on: it is told, or borne, and
// nothing is left behind.

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "door/door.h"
#include "kernel/kernel.h"

// ---- The kernel ---------------------------------------------------------------------------------

// Each call that can fail, with its parameters, and an error that is told as it is.
#define CALLS(X)                                                                                   \
    X(socket, (int a, int b, int c), (a, b, c), EMFILE)                                            \
    X(socketpair, (int a, int b, int c[2]), (a, b, c), EMFILE)                                     \
    X(bind, (int a, const struct sockaddr *b, socklen_t c), (a, b, c), EACCES)                     \
    X(listen, (int a, int b), (a, b), ENOMEM)                                                      \
    X(connect, (int a, const struct sockaddr *b, socklen_t c), (a, b, c), ENOMEM)                  \
    X(getsockname, (int a, struct sockaddr *b, socklen_t *c), (a, b, c), ENOBUFS)                  \
    X(getpeername, (int a, struct sockaddr *b, socklen_t *c), (a, b, c), ENOBUFS)                  \
    X(setsockopt, (int a, int b, int c, const void *d, socklen_t e), (a, b, c, d, e), ENOPROTOOPT) \
    X(getsockopt, (int a, int b, int c, void *d, socklen_t *e), (a, b, c, d, e), ENOBUFS)          \
    X(set_flags, (int a), (a), EBADF)                                                              \
    X(interface, (const char *a), (a), ENODEV)                                                     \
    X(lock_file, (const char *a), (a), EACCES)                                                     \
    X(epoll_create, (void), (), EMFILE)                                                            \
    X(epoll_ctl, (int a, int b, int c, struct epoll_event *d), (a, b, c, d), ENOSPC)               \
    X(eventfd, (void), (), ENFILE)                                                                 \
    X(timerfd, (void), (), ENFILE)                                                                 \
    X(timerfd_set, (int a, int64_t b), (a, b), ENOMEM)                                             \
    X(sigaction, (int a, const struct sigaction *b, struct sigaction *c), (a, b, c), EINVAL)

enum call {
#define NUMBER(name, parameters, arguments, number) CALL_##name,
    CALLS(NUMBER) CALL_ALLOCATE,
    CALL_MAP,
    CALLS_MAX
};

static const struct {
    const char *name;
    int error;
} calls[] = {
#define DESCRIBE(name, parameters, arguments, number) {#name, number},
    CALLS(DESCRIBE){"allocate", ENOMEM},
    {"map", ENOMEM},
};

static struct {
    enum call call;
    int which;
    bool ever, struck;
    int seen;
} failing;

static struct kernel_ops failing_kernel;
static long memory_in_use;

static bool fails(enum call call)
{
    if (call != failing.call)
        return false;
    failing.seen++;
    bool now = failing.seen == failing.which || (failing.ever && failing.seen > failing.which);
    failing.struck |= now;
    return now;
}

#define FAIL(name, parameters, arguments, number)                                           \
    static int fail_##name parameters                                                       \
    {                                                                                       \
        return fails(CALL_##name) ? -calls[CALL_##name].error : kernel_real.name arguments; \
    }
CALLS(FAIL)

static void *fail_allocate(size_t size)
{
    void *memory = fails(CALL_ALLOCATE) ? NULL : kernel_real.allocate(size);
    memory_in_use += memory != NULL;
    return memory;
}

static void *count_reallocate(void *memory, size_t size)
{
    memory_in_use += memory == NULL;
    return kernel_real.reallocate(memory, size);
}

static void count_release(void *memory)
{
    memory_in_use -= memory != NULL;
    kernel_real.release(memory);
}

static void *fail_map(size_t size, bool shared)
{
    return fails(CALL_MAP) ? NULL : kernel_real.map(size, shared);
}

static void use_failing_kernel(void)
{
    failing_kernel = kernel_real;
#define PUT(name, parameters, arguments, number) failing_kernel.name = fail_##name;
    CALLS(PUT)
    failing_kernel.allocate = fail_allocate;
    failing_kernel.reallocate = count_reallocate;
    failing_kernel.release = count_release;
    failing_kernel.map = fail_map;
    failing.call = CALLS_MAX;
    kernel = &failing_kernel;
}

// ---- What is left ---------------------------------------------------------------------------------

static char folder[] = "/tmp/failing_test.XXXXXX";

static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    int count = 0;
    while (readdir(directory))
        count++;
    (void)closedir(directory);
    return count;
}

struct left {
    int descriptors, files;
    long memory;
};

static struct left what_is_there(void)
{
    return (struct left){count_entries("/proc/self/fd"), count_entries(folder), memory_in_use};
}

// ---- Every call of one way to open ----------------------------------------------------------------

// Opens something and ends it again. False, and errno, when it could not be opened.
typedef bool opening(const char *address);

// A failure may be told as another one where that says more.
static bool may_be_told_as(enum call call, int error)
{
    if (error == calls[call].error)
        return true;
    // A socket file whose server cannot be asked is in use.
    return (call == CALL_socket || call == CALL_connect) && error == EADDRINUSE;
}

// Returns whether the kernel was asked for it so often.
static bool run_once(opening *open, const char *address)
{
    struct left before = what_is_there();
    failing.seen = 0;
    failing.struck = false;
    errno = 0;
    bool opened = open(address);
    int error = errno;
    enum call call = failing.call;
    failing.call = CALLS_MAX;
    if (!opened && (!failing.struck || !may_be_told_as(call, error) || !*bell_error()))
        fail_msg("%s: call %d of %s fails: %s (%s)", address, failing.which, calls[call].name,
                 strerrorname_np(error), bell_error());
    struct left after = what_is_there();
    if (memcmp(&before, &after, sizeof before) != 0)
        fail_msg("%s: call %d of %s fails, and leaves %d descriptors, %d files, %ld of memory",
                 address, failing.which, calls[call].name, after.descriptors - before.descriptors,
                 after.files - before.files, after.memory - before.memory);
    return failing.struck;
}

static bool call_plainly(const char *address);

static void fail_each_call(opening *open, const char *address)
{
    // What is made at the first time stays: the thread's loop, and the place of a failure.
    assert_non_null(task_here(NULL));
    assert_false(call_plainly("unix:"));
    assert_true(open(address));
    for (int ever = 0; ever < 2; ever++)
        for (enum call call = 0; call < CALLS_MAX; call++) {
            bool struck = true;
            for (int which = 1; struck; which++) {
                failing.call = call;
                failing.which = which;
                failing.ever = ever;
                struck = run_once(open, address);
            }
        }
    assert_true(open(address)); // and nothing stands in the way
}

// ---- Calling --------------------------------------------------------------------------------------

static const char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *text_of(const char *format, ...)
{
    static char text[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

static int bind_inet(int type, int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static bool call(const char *address, const struct bell_options *options)
{
    bell_conn *conn = bell_connect(address, options);
    if (!conn)
        return false;
    bell_abort(conn);
    return true;
}

static bool call_plainly(const char *address)
{
    return call(address, NULL);
}

static bool call_with_wishes(const char *address)
{
    struct bell_options options = {
        .size = sizeof options, .sockopts = "rcvbuf=20000, sndbuf=20000", .bind = "127.0.0.2:0"};
    return call(address, &options);
}

static bool call_with_options(const char *address)
{
    struct bell_options options = {.size = sizeof options, .sockopts = "rcvbuf=20000"};
    return call(address, &options);
}

static void a_call_that_fails_leaves_nothing(void **state)
{
    (void)state;
    int port, tcp = bind_inet(SOCK_STREAM, &port);
    assert_int_equal(listen(tcp, 1000), 0);
    fail_each_call(call_plainly, text_of("127.0.0.1:%d", port));
    fail_each_call(call_with_wishes, text_of("127.0.0.1:%d", port));
    (void)close(tcp);
    int udp = bind_inet(SOCK_DGRAM, &port);
    fail_each_call(call_with_wishes, text_of("udp:127.0.0.1:%d", port));
    fail_each_call(call_plainly, "udp:239.1.2.3%lo:7464");
    (void)close(udp);
}

static void a_call_of_a_unix_socket_that_fails_leaves_nothing(void **state)
{
    (void)state;
    static const char *const schemes[] = {"unix", "unixpacket", "unixgram"};
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    for (int i = 0; i < 3; i++) {
        bell_dgram *dgram = NULL;
        bell_server *server = NULL;
        const char *address = text_of("%s:%s/called", schemes[i], folder);
        if (types[i] == SOCK_DGRAM) {
            assert_non_null(dgram = bell_dgram_open(address, NULL));
        } else {
            struct bell_server_options options = {.size = sizeof options};
            server = bell_server_open((bell_handler *)(void *)call, NULL, &options);
            assert_int_equal(bell_server_listen(server, address), 0);
        }
        fail_each_call(call_plainly, address);
        fail_each_call(call_with_options, address);
        assert_int_equal(bell_dgram_close(dgram), 0);
        bell_server_close(server);
    }
}

// What was handed over stays with who has it, if it could not be taken.
static bool attach_a_copy(const char *address)
{
    int fd = dup((int)strtol(address + 3, NULL, 10));
    assert_true(fd >= 0);
    struct bell_options options = {.size = sizeof options, .sockopts = "rcvbuf=20000"};
    char copy[32];
    (void)snprintf(copy, sizeof copy, "fd:%d", fd);
    bool called = call(copy, &options);
    int error = errno;
    assert_int_equal(close(fd), called ? -1 : 0);
    errno = error;
    return called;
}

static bool open_a_pair(const char *address)
{
    (void)address;
    bell_conn *pair[2];
    if (bell_pair(pair) < 0)
        return false;
    bell_abort(pair[0]);
    bell_abort(pair[1]);
    return true;
}

static void a_descriptor_that_cannot_be_taken_over_stays(void **state)
{
    (void)state;
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    for (int i = 0; i < 3; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, types[i], 0, fds), 0);
        fail_each_call(attach_a_copy, text_of("fd:%d", fds[0]));
        (void)close(fds[0]);
        (void)close(fds[1]);
    }
    fail_each_call(open_a_pair, "a pair");
}

// ---- Datagrams --------------------------------------------------------------------------------------

static bool open_dgram(const char *address, const struct bell_options *options)
{
    bell_dgram *dgram = bell_dgram_open(address, options);
    if (!dgram)
        return false;
    assert_int_equal(bell_dgram_close(dgram), 0);
    return true;
}

static bool open_dgram_plainly(const char *address)
{
    return open_dgram(address, NULL);
}

static bool open_dgram_with_wishes(const char *address)
{
    struct bell_options options = {
        .size = sizeof options, .sockopts = "rcvbuf=20000", .flags = BELL_REUSEPORT};
    return open_dgram(address, &options);
}

static bool open_dgram_over_a_dead_one(const char *address)
{
    const char *path = strchr(address, '/');
    struct sockaddr_un dead = {.sun_family = AF_UNIX};
    (void)snprintf(dead.sun_path, sizeof dead.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&dead, sizeof dead), 0);
    (void)close(fd);
    bool opened = open_dgram(address, NULL);
    int error = errno;
    (void)unlink(path); // the dead one's, if it was not taken over
    errno = error;
    return opened;
}

static void a_socket_for_datagrams_that_fails_leaves_nothing(void **state)
{
    (void)state;
    fail_each_call(open_dgram_plainly, "udp:127.0.0.1:0");
    fail_each_call(open_dgram_with_wishes, "udp:*:0");
    fail_each_call(open_dgram_with_wishes, "udp4:*:0");
    fail_each_call(open_dgram_with_wishes, "udp6:[::1]:0");
    fail_each_call(open_dgram_plainly, "udp:239.1.2.3%lo:0");
    fail_each_call(open_dgram_plainly, "udp:[ff02::1%lo]:0");
    fail_each_call(open_dgram_plainly, "unixgram:@");
    fail_each_call(open_dgram_plainly, text_of("unixgram:%s/opened", folder));
    fail_each_call(open_dgram_over_a_dead_one, text_of("unixgram:%s/dead", folder));
}

static int refuse_unlink(const char *path)
{
    (void)path;
    return -EPERM;
}

static void a_dead_ones_file_that_must_stay_is_told(void **state)
{
    (void)state;
    failing_kernel.unlink = refuse_unlink;
    assert_false(open_dgram_over_a_dead_one(text_of("unixgram:%s/dead", folder)));
    assert_int_equal(errno, EPERM);
    failing_kernel.unlink = kernel_real.unlink;
    (void)unlink(text_of("%s/dead.lock", folder));
}

// ---- Servers ----------------------------------------------------------------------------------------

static int be_polite(bell_conn *conn, void *arg)
{
    (void)conn;
    (void)arg;
    return 0;
}

static int receive(bell_dgram *dgram, void *arg)
{
    (void)arg;
    char byte;
    while (bell_recvfrom(dgram, &byte, 1, NULL) >= 0)
        continue;
    return 0;
}

// Serves for a step of a foreign loop; some servers bear a failure then, and must say so.
static bool serve_once(const char *address, bool dgrams, struct bell_server_options options)
{
    options.size = sizeof options;
    bell_server *server = dgrams ? bell_server_open_dgram(receive, NULL, &options)
                                 : bell_server_open(be_polite, NULL, &options);
    bool serves = server && bell_server_listen(server, address) == 0 && bell_server_fd(server) >= 0;
    int error = errno;
    bell_server_close(server);
    errno = error;
    return serves;
}

static bool serve_callers(const char *address)
{
    return serve_once(address, false,
                      (struct bell_server_options){.model = "coroutines", .backend = "epoll"});
}

static bool serve_with_wishes(const char *address)
{
    return serve_once(address, false,
                      (struct bell_server_options){.model = "coroutines",
                                                   .backend = "epoll",
                                                   .sockopts = "rcvbuf=20000",
                                                   .flags = BELL_REUSEPORT | BELL_STOP_ON_SIGNALS |
                                                            BELL_NO_OVERFLOW_MESSAGE});
}

static bool serve_datagrams(const char *address)
{
    return serve_once(address, true,
                      (struct bell_server_options){.model = "coroutines", .backend = "epoll"});
}

static void a_server_that_fails_leaves_nothing(void **state)
{
    (void)state;
    fail_each_call(serve_callers, "127.0.0.1:0");
    fail_each_call(serve_callers, "localhost:0");
    fail_each_call(serve_callers, "*:0");
    fail_each_call(serve_with_wishes, "127.0.0.1:0");
    fail_each_call(serve_with_wishes, "[::1]:0");
    fail_each_call(serve_with_wishes, "*:0");
    fail_each_call(serve_callers, "unix:@failing_test");
    fail_each_call(serve_with_wishes, text_of("unix:%s/served", folder));
    fail_each_call(serve_callers, text_of("unixpacket:%s/served", folder));
}

static void a_server_of_datagrams_that_fails_leaves_nothing(void **state)
{
    (void)state;
    fail_each_call(serve_datagrams, "udp:127.0.0.1:0");
    fail_each_call(serve_datagrams, "udp:localhost:0");
    fail_each_call(serve_datagrams, "udp:*:0");
    fail_each_call(serve_datagrams, text_of("unixgram:%s/served", folder));
}

static bool serve_a_copy(const char *address)
{
    int fd = dup((int)strtol(address + 3, NULL, 10));
    assert_true(fd >= 0);
    char copy[32];
    (void)snprintf(copy, sizeof copy, "fd:%d", fd);
    bool served = serve_with_wishes(copy);
    int error = errno;
    (void)close(fd); // still there when it was refused
    errno = error;
    return served;
}

static void an_inherited_listener_that_fails_leaves_nothing(void **state)
{
    (void)state;
    int port, tcp = bind_inet(SOCK_STREAM, &port);
    assert_int_equal(listen(tcp, 10), 0);
    fail_each_call(serve_a_copy, text_of("fd:%d", tcp));
    (void)close(tcp);
}

static int set_up(void **state)
{
    (void)state;
    use_failing_kernel();
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fails_leaves_nothing),
        cmocka_unit_test(a_call_of_a_unix_socket_that_fails_leaves_nothing),
        cmocka_unit_test(a_descriptor_that_cannot_be_taken_over_stays),
        cmocka_unit_test(a_socket_for_datagrams_that_fails_leaves_nothing),
        cmocka_unit_test(a_dead_ones_file_that_must_stay_is_told),
        cmocka_unit_test(a_server_that_fails_leaves_nothing),
        cmocka_unit_test(a_server_of_datagrams_that_fails_leaves_nothing),
        cmocka_unit_test(an_inherited_listener_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests_name("failing", tests, set_up, tear_down);
}
