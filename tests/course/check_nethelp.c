// The helpers of course/posix, one case per run: check_nethelp CASE. Exit 0 is success.

#define _POSIX_C_SOURCE 200809L

#include "nethelp.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

// ---- What the cases need ------------------------------------------------------------------------

static int open_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static int port_of(int s)
{
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    CHECK(getsockname(s, (SA *)&address, &size) == 0);
    return ntohs(address.sin6_port);
}

static void tcp_pair(int pair[2])
{
    int s = open_listenfd(0);
    CHECK(s >= 0);
    pair[0] = open_clientfd("127.0.0.1", port_of(s));
    CHECK(pair[0] >= 0);
    pair[1] = get_connection(s);
    CHECK(pair[1] >= 0);
    close(s);
}

static void send_text(int fd, const char *text)
{
    CHECK(writen(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

// Interrupts whatever the process waits in, again and again, without SA_RESTART.
static void alarm_every_ms(void)
{
    struct sigaction action = {.sa_handler = count_alarm, .sa_flags = 0};
    struct itimerval each = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &each, NULL) == 0);
}

static void wait_for_alarms(int count)
{
    int end = alarms + count;
    while (alarms < end)
        poll(NULL, 0, 1);
}

// Runs work(argument) in a thread that gets no signals, so that they interrupt the caller.
static pthread_t start(void *(*work)(void *), void *argument)
{
    sigset_t all, usual;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &usual);
    CHECK(pthread_create(&thread, NULL, work, argument) == 0);
    pthread_sigmask(SIG_SETMASK, &usual, NULL);
    return thread;
}

// ---- Listening and calling ----------------------------------------------------------------------

static void second_listener_is_refused(void)
{
    int before = open_descriptors();
    int s = open_listenfd(0);
    CHECK(s >= 0);
    CHECK(open_listenfd(port_of(s)) == -1 && errno == EADDRINUSE);
    CHECK(strstr(net_error, "bind() failed: Address already in use ("));
    CHECK(establish((unsigned short)port_of(s)) == -1 && errno == EADDRINUSE);
    CHECK(open_descriptors() == before + 1);
    CHECK(fcntl(s, F_GETFD) == FD_CLOEXEC);
}

static void unknown_name_is_told_from_refusal(void)
{
    int before = open_descriptors();
    CHECK(open_clientfd("no.such.host.invalid", 5000) == -2);
    CHECK(strstr(net_error, "getaddrinfo() failed: ") && strstr(net_error, "no.such.host.invalid"));
    CHECK(call_socket("no.such.host.invalid", 5000) < 0);
    CHECK(open_clientfd("127.0.0.1", 70000) < 0 && open_clientfd("127.0.0.1", -1) < 0);
    CHECK(open_descriptors() == before);
}

static void refusal_is_told(void)
{
    int s = open_listenfd(0);
    int port = port_of(s);
    close(s);
    int before = open_descriptors();
    CHECK(open_clientfd("127.0.0.1", port) == -1 && errno == ECONNREFUSED);
    CHECK(strstr(net_error, "connect() failed: Connection refused (127.0.0.1:"));
    CHECK(open_descriptors() == before);
}

// The test gives "localhost" the addresses ::1 and 127.0.0.1, and nobody listens at ::1.
static void second_address_is_tried(void)
{
    int s = listen_on("127.0.0.1", 0);
    CHECK(s >= 0);
    int fd = open_clientfd("localhost", port_of(s));
    CHECK(fd >= 0);
    CHECK(open_clientfd("::1", port_of(s)) == -1 && errno == ECONNREFUSED);
}

static void connection_is_limited_and_not_inherited(void)
{
    int pair[2];
    tcp_pair(pair);
    for (int i = 0; i < 2; i++) {
        struct timeval limit = {0};
        socklen_t size = sizeof limit;
        CHECK(fcntl(pair[i], F_GETFD) == FD_CLOEXEC);
        CHECK(getsockopt(pair[i], SOL_SOCKET, SO_RCVTIMEO, &limit, &size) == 0);
        CHECK(limit.tv_sec == SILENCE_SECONDS);
        CHECK(getsockopt(pair[i], SOL_SOCKET, SO_SNDTIMEO, &limit, &size) == 0);
        CHECK(limit.tv_sec == SILENCE_SECONDS);
    }
}

static void *call_after_ten_alarms(void *port)
{
    wait_for_alarms(10);
    CHECK(open_clientfd("127.0.0.1", *(int *)port) >= 0);
    return NULL;
}

static void signals_do_not_end_get_connection(void)
{
    int s = open_listenfd(0), port = port_of(s);
    alarm_every_ms();
    pthread_t thread = start(call_after_ten_alarms, &port);
    CHECK(get_connection(s) >= 0);
    CHECK(pthread_join(thread, NULL) == 0 && alarms >= 10);
}

static void *accept_after_ten_alarms(void *s)
{
    wait_for_alarms(10);
    CHECK(accept(*(int *)s, NULL, NULL) >= 0);
    return NULL;
}

// The queue is full, so the call waits, the signal comes, and then there is room.
static void call_goes_on_after_a_signal(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(s, (SA *)&here, sizeof here) == 0 && listen(s, 0) == 0);
    CHECK(open_clientfd("127.0.0.1", port_of(s)) >= 0);

    alarm_every_ms();
    pthread_t thread = start(accept_after_ten_alarms, &s);
    int fd = open_clientfd("127.0.0.1", port_of(s));
    CHECK(fd >= 0);
    CHECK(pthread_join(thread, NULL) == 0);
    int t = accept(s, NULL, NULL);
    while (t < 0 && errno == EINTR)
        t = accept(s, NULL, NULL);
    char text[8];
    send_text(fd, "ding\n");
    CHECK(readline(t, text, sizeof text) == 5);
}

// ---- Reading ------------------------------------------------------------------------------------

static void *send_odd_pieces(void *fd)
{
    const char *pieces[] = {"ab", "c\nde", "\n"};
    for (size_t i = 0; i < 3; i++) {
        wait_for_alarms(5);
        send_text(*(int *)fd, pieces[i]);
    }
    close(*(int *)fd);
    return NULL;
}

static void expect_line(int fd, size_t size, const char *line)
{
    char text[64];
    memset(text, '#', sizeof text);
    CHECK(readline(fd, text, size) == (ssize_t)strlen(line));
    CHECK(strcmp(text, line) == 0);
}

static void lines_come_out_of_odd_pieces(void)
{
    int pair[2];
    tcp_pair(pair);
    alarm_every_ms(); // and signals do not show
    pthread_t thread = start(send_odd_pieces, &pair[0]);
    expect_line(pair[1], 64, "abc\n");
    expect_line(pair[1], 64, "de\n");
    expect_line(pair[1], 64, "");
    CHECK(pthread_join(thread, NULL) == 0);
}

static void last_line_may_lack_its_newline(void)
{
    int pair[2];
    tcp_pair(pair);
    send_text(pair[0], "abc");
    close(pair[0]);
    expect_line(pair[1], 64, "abc");
    expect_line(pair[1], 64, "");
}

static void long_lines_come_in_parts(void)
{
    int pair[2];
    tcp_pair(pair);
    send_text(pair[0], "abcdefg\nh\n");
    expect_line(pair[1], 5, "abcd");
    expect_line(pair[1], 5, "efg\n");
    expect_line(pair[1], 5, "h\n");
}

static void line_may_hold_a_nul(void)
{
    int pair[2];
    char text[64];
    tcp_pair(pair);
    CHECK(writen(pair[0], "a\0b\n", 4) == 4);
    CHECK(readline(pair[1], text, sizeof text) == 4);
    CHECK(memcmp(text, "a\0b\n", 5) == 0);
}

static void reset_is_told_from_the_end(void)
{
    int pair[2];
    char text[64];
    struct linger at_once = {.l_onoff = 1};
    tcp_pair(pair);
    CHECK(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    close(pair[0]);
    CHECK(readline(pair[1], text, sizeof text) == -1 && errno == ECONNRESET);
}

static void tiny_buffers_are_refused(void)
{
    int pair[2];
    char text[2] = {'#', '#'};
    tcp_pair(pair);
    send_text(pair[0], "ab\n");
    CHECK(readline(pair[1], text, 0) == -1 && errno == EINVAL);
    CHECK(readline(pair[1], text, 1) == -1 && errno == EINVAL && text[0] == '#');
    CHECK(readline(pair[1], text, 2) == 1 && text[0] == 'a' && text[1] == '\0');
}

static void expect_line_and_rest(int from, int to)
{
    char text[64];
    send_text(to, "line\nrest");
    expect_line(from, 64, "line\n");
    CHECK(read(from, text, sizeof text) == 4 && memcmp(text, "rest", 4) == 0);
}

static void nothing_is_taken_after_the_newline(void)
{
    int pair[2];
    tcp_pair(pair);
    expect_line_and_rest(pair[0], pair[1]);
    CHECK(pipe(pair) == 0); // which cannot be looked into
    expect_line_and_rest(pair[0], pair[1]);
}

static void silence_is_a_time_out(void)
{
    int pair[2];
    char text[64];
    struct timeval limit = {.tv_usec = 20000};
    tcp_pair(pair);
    CHECK(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(setsockopt(pair[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    CHECK(receive(pair[1], text, sizeof text) == -1 && errno == ETIMEDOUT);
    CHECK(readline(pair[1], text, sizeof text) == -1 && errno == ETIMEDOUT);
    char *much = calloc(1, 64 << 20);
    CHECK(much && writen(pair[1], much, 64 << 20) == -1 && errno == ETIMEDOUT);
    free(much);
}

// ---- Writing ------------------------------------------------------------------------------------

#define MUCH ((size_t)5 << 20)

static void *read_slowly(void *fd)
{
    char text[30000];
    size_t total = 0;
    ssize_t n;
    while ((n = receive(*(int *)fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++, total++)
            CHECK((unsigned char)text[i] == total % 251);
        poll(NULL, 0, 1);
    }
    CHECK(n == 0 && total == MUCH);
    return NULL;
}

static void everything_is_written_despite_signals(void)
{
    int pair[2], little = 4096;
    tcp_pair(pair);
    CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof little) == 0);
    unsigned char *much = malloc(MUCH);
    CHECK(much);
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (unsigned char)(i % 251);
    alarm_every_ms();
    pthread_t thread = start(read_slowly, &pair[1]);
    CHECK(writen(pair[0], much, MUCH) == (ssize_t)MUCH);
    CHECK(alarms > 0);
    close(pair[0]);
    CHECK(pthread_join(thread, NULL) == 0);
    free(much);
}

static void writing_to_who_has_left_is_an_error(void)
{
    int pair[2];
    tcp_pair(pair);
    close(pair[1]);
    ssize_t n = 1;
    while (n > 0)
        n = writen(pair[0], "x", 1);
    CHECK(errno == EPIPE || errno == ECONNRESET);
    while (n < 0 && errno == ECONNRESET)
        n = writen(pair[0], "x", 1);
    CHECK(n == -1 && errno == EPIPE); // and we are still here
}

static void only_small_letters_change(void)
{
    char text[256];
    for (int i = 0; i < 256; i++)
        text[i] = (char)i;
    capitalize(text, 0);
    for (int i = 0; i < 256; i++)
        CHECK(text[i] == (char)i);
    capitalize(text, sizeof text);
    for (int i = 0; i < 256; i++)
        CHECK(text[i] == (char)(i >= 0x61 && i <= 0x7a ? i - 0x20 : i));
}

static void die_with_user_message(void)
{
    DieWithUserMessage("x", "y");
}

static void die_with_system_message(void)
{
    errno = ECONNREFUSED;
    DieWithSystemMessage("x");
}

// ---- The list -----------------------------------------------------------------------------------

#define CASE(name)  \
    {               \
#name, name \
    }

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    CASE(second_listener_is_refused),
    CASE(unknown_name_is_told_from_refusal),
    CASE(refusal_is_told),
    CASE(second_address_is_tried),
    CASE(connection_is_limited_and_not_inherited),
    CASE(signals_do_not_end_get_connection),
    CASE(call_goes_on_after_a_signal),
    CASE(lines_come_out_of_odd_pieces),
    CASE(last_line_may_lack_its_newline),
    CASE(long_lines_come_in_parts),
    CASE(line_may_hold_a_nul),
    CASE(reset_is_told_from_the_end),
    CASE(tiny_buffers_are_refused),
    CASE(nothing_is_taken_after_the_newline),
    CASE(silence_is_a_time_out),
    CASE(everything_is_written_despite_signals),
    CASE(writing_to_who_has_left_is_an_error),
    CASE(only_small_letters_change),
    CASE(die_with_user_message),
    CASE(die_with_system_message),
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    fprintf(stderr, "no such case\n");
    return 2;
}
