// Writing, and how a conversation ends: all of it or an error, in words, and nothing lost.

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <wchar.h>

#include "matrix.h"
#include "server.h"
#include "stranger.h"

// ---- All of it ----------------------------------------------------------------------------------

enum { MUCH = 5 * 1000 * 1000 };

static int writes_much(bell_conn *conn, void *arg)
{
    (void)arg;
    char *bytes = malloc(MUCH);
    CHECK(bytes);
    pattern_fill(3, 0, bytes, MUCH);
    observe_call("write", bell_write(conn, bytes, MUCH));
    observe_call("write of nothing", bell_write(conn, bytes, 0));
    free(bytes);
    return 0;
}

static void hear_pattern(int fd, uint32_t seed, size_t size)
{
    char bytes[4096];
    size_t heard = 0, n;
    while ((n = hear_bytes(fd, bytes, sizeof bytes)) > 0) {
        CHECK(pattern_fits(seed, heard, bytes, n));
        heard += n;
    }
    CHECK_EQ(heard, size);
}

CASE(a_write_is_whole_however_slowly_it_is_read)
{
    struct server server = SERVE(.handler = writes_much);
    int fd = call_with_buffer(&server, 4096);
    hear_pattern(fd, 3, MUCH);
    EXPECT_TEXT(observed(1), "write 5000000\n"
                             "write of nothing 0\n");
    hang_up(fd);
    server_end(&server);
}

static int writes_pieces(bell_conn *conn, void *arg)
{
    (void)arg;
    static const char text[] = "0123456789";
    struct iovec *pieces = calloc(1025, sizeof *pieces), *copy = calloc(1025, sizeof *pieces);
    CHECK(pieces && copy);
    for (int i = 0; i < 1025; i++) // one byte, none, two bytes, none...
        pieces[i] = (struct iovec){(char *)text + i % 10, i % 2 ? 0 : (size_t)(1 + i / 2 % 2)};
    memcpy(copy, pieces, 1025 * sizeof *pieces);
    observe_call("writev of 0", bell_writev(conn, pieces, 0));
    observe_call("writev of -1", bell_writev(conn, pieces, -1));
    observe_call("writev of 1025", bell_writev(conn, pieces, 1025));
    observe_call("writev of 1 without bytes", bell_writev(conn, pieces + 1, 1));
    observe_call("writev of 1024", bell_writev(conn, pieces, 1024));
    observe("%s", memcmp(copy, pieces, 1025 * sizeof *pieces) ? "changed" : "not changed");
    free(pieces);
    free(copy);
    return 0;
}

CASE(pieces_are_written_as_one)
{
    struct server server = SERVE(.handler = writes_pieces);
    int fd = call(&server);
    char heard[1024], wanted[1024];
    size_t size = 0;
    for (size_t i = 0; i < 1024; i += 2)
        for (size_t j = 0; j < 1 + i / 2 % 2; j++)
            wanted[size++] = (char)('0' + i % 10 + j);
    CHECK_EQ(size, 768);
    CHECK_EQ(hear_bytes(fd, heard, sizeof heard), size);
    CHECK(!memcmp(heard, wanted, size));
    EXPECT_TEXT(observed(1), "writev of 0 -1 EINVAL\n"
                             "writev of -1 -1 EINVAL\n"
                             "writev of 1025 -1 EINVAL\n"
                             "writev of 1 without bytes 0\n"
                             "writev of 1024 768\n"
                             "not changed\n");
    hang_up(fd);
    server_end(&server);
}

static int writes_large_pieces(bell_conn *conn, void *arg)
{
    (void)arg;
    char *bytes = malloc(MUCH);
    CHECK(bytes);
    pattern_fill(9, 0, bytes, MUCH);
    struct iovec pieces[100];
    for (size_t i = 0; i < 100; i++)
        pieces[i] = (struct iovec){bytes + i * (MUCH / 100), MUCH / 100};
    observe_call("writev", bell_writev(conn, pieces, 100));
    free(bytes);
    return 0;
}

CASE(large_pieces_are_whole_however_slowly_they_are_read)
{
    struct server server = SERVE(.handler = writes_large_pieces);
    int fd = call_with_buffer(&server, 4096);
    hear_pattern(fd, 9, MUCH);
    EXPECT_TEXT(observed(1), "writev 5000000\n");
    hang_up(fd);
    server_end(&server);
}

static int vprints(bell_conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int vprints(bell_conn *conn, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = bell_vprintf(conn, format, arguments);
    va_end(arguments);
    return n;
}

static int prints(bell_conn *conn, void *arg)
{
    (void)arg;
    observe_call("printf", bell_printf(conn, "%s is %d, %.2f\n", "x", -7, 0.5));
    observe_call("vprintf", vprints(conn, "%c%c\n", 0, 'a'));
    observe_call("nothing", bell_printf(conn, "%s", ""));
    observe_call("long", bell_printf(conn, "%*d", 100000, 1));
    observe_call("wide", bell_printf(conn, "%ls", L"\xd800"));
    observe_call("and on", bell_printf(conn, "!"));
    return 0;
}

CASE(formatted_text_is_written_as_printf_makes_it)
{
    struct server server = SERVE(.handler = prints);
    int fd = call(&server);
    static char heard[100001];
    hear(fd, "x is -7, 0.50\n");
    CHECK(hear_bytes(fd, heard, 3) == 3 && !memcmp(heard, "\0a\n", 3));
    CHECK_EQ(hear_bytes(fd, heard, 100000), 100000);
    CHECK(heard[0] == ' ' && heard[99998] == ' ' && heard[99999] == '1');
    hear(fd, "!");
    EXPECT_TEXT(observed(1), "printf 14\n"
                             "vprintf 3\n"
                             "nothing 0\n"
                             "long 100000\n"
                             "wide -1 EILSEQ\n"
                             "and on 1\n");
    hang_up(fd);
    server_end(&server);
}

// ---- Files --------------------------------------------------------------------------------------

enum { FILE_SIZE = 3 * 1000 * 1000 };

static int sends_a_file(bell_conn *conn, void *arg)
{
    int file = *(int *)arg, pipes[2];
    CHECK(pipe2(pipes, O_CLOEXEC) == 0 && write(pipes[1], "abc", 3) == 3);
    observe_call("a pipe", bell_sendfile(conn, pipes[0], 0, 3));
    close(pipes[0]);
    close(pipes[1]);
    observe_call("no file", bell_sendfile(conn, -1, 0, 3));
    observe_call("before the file", bell_sendfile(conn, file, -1, 3));
    observe_call("behind the file", bell_sendfile(conn, file, FILE_SIZE, 3));
    observe_call("a part", bell_sendfile(conn, file, 1000, FILE_SIZE / 2));
    observe_call("the rest", bell_sendfile(conn, file, 1000 + FILE_SIZE / 2, FILE_SIZE));
    observe("at %jd", (intmax_t)lseek(file, 0, SEEK_CUR));
    return 0;
}

CASE(a_part_of_a_file_is_sent)
{
    static char bytes[FILE_SIZE];
    pattern_fill(5, 0, bytes, sizeof bytes);
    int file = memfd_create("file", MFD_CLOEXEC);
    CHECK(write(file, bytes, sizeof bytes) == (ssize_t)sizeof bytes && lseek(file, 77, SEEK_SET) == 77);
    struct server server = SERVE(.handler = sends_a_file, .arg = &file);
    int fd = call_with_buffer(&server, 8192);
    static char heard[FILE_SIZE];
    CHECK_EQ(hear_bytes(fd, heard, sizeof heard), FILE_SIZE - 1000);
    CHECK(!memcmp(heard, bytes + 1000, FILE_SIZE - 1000));
    EXPECT_TEXT(observed(1), "a pipe -1 EINVAL\n"
                             "no file -1 EBADF\n"
                             "before the file -1 EINVAL\n"
                             "behind the file 0\n"
                             "a part 1500000\n"
                             "the rest 1499000\n"
                             "at 77\n");
    hang_up(fd);
    server_end(&server);
    close(file);
}

// ---- Failures -----------------------------------------------------------------------------------

static int writes_to_nobody(bell_conn *conn, void *arg)
{
    int64_t deadline = *(int64_t *)arg;
    size_t size = (size_t)64 << 20;
    char *bytes = calloc(1, size), text[4];
    CHECK(bytes);
    CHECK_EQ(bell_readn(conn, text, 2), 2);
    int64_t begin = bell_now();
    bell_deadline(conn, bell_in(deadline));
    ssize_t n = bell_write(conn, bytes, size);
    size_t done = bell_done();
    observe_call("write", n);
    observe("%s done", done == 0 ? "nothing" : done < size ? "a part" : "all");
    if (deadline != BELL_NEVER)
        observe("%s", bell_now() - begin >= deadline ? "in time" : "too early");
    bell_deadline(conn, BELL_NEVER);
    observe_call("write again", bell_write(conn, bytes, 1));
    observe("%zu done", bell_done());
    observe_call("printf", bell_printf(conn, "x"));
    free(bytes);
    return -1;
}

CASE(a_write_gives_up_at_its_deadline_and_is_the_last_one)
{
    int64_t deadline = 50 * BELL_MS;
    struct server server = SERVE(.handler = writes_to_nobody, .arg = &deadline);
    int fd = call(&server);
    say(fd, "ab");
    EXPECT_TEXT(observed(1), "write -1 ETIMEDOUT\n"
                             "a part done\n"
                             "in time\n"
                             "write again -1 EPIPE\n"
                             "0 done\n"
                             "printf -1 EPIPE\n");
    CHECK_EQ(hear_the_end(fd, NULL), -ECONNRESET);
    hang_up(fd);
    server_end(&server);
}

CASE(a_write_to_one_who_resets_fails_and_is_the_last_one)
{
    int64_t never = BELL_NEVER;
    struct server server = SERVE(.handler = writes_to_nobody, .arg = &never);
    int fd = call(&server);
    char some[1000];
    say(fd, "ab");
    CHECK_EQ(hear_bytes(fd, some, sizeof some), sizeof some);
    crash(fd);
    EXPECT_TEXT(observed(1), "write -1 ECONNRESET\n"
                             "a part done\n"
                             "write again -1 EPIPE\n"
                             "0 done\n"
                             "printf -1 EPIPE\n");
    server_end(&server);
}

static int says_what_is_wrong(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    observe("first \"%s\"", bell_error());
    bell_deadline(conn, bell_in(BELL_MS));
    observe_call("read", bell_read(conn, &byte, 1));
    CHECK_HAS(bell_error(), "read");
    CHECK_HAS(bell_error(), bell_peer(conn));
    CHECK_HAS(bell_error(), "timed out");
    bell_deadline(conn, BELL_NEVER);
    CHECK_EQ(bell_write(conn, "x", 1), 1);
    CHECK_HAS(bell_error(), "timed out"); // until the next failure
    observe_call("shutdown", bell_shutdown(conn, 99));
    CHECK_EQ(bell_shutdown(conn, SHUT_WR), 0);
    observe_call("write", bell_write(conn, "y", 1));
    CHECK_HAS(bell_error(), "write");
    observe_call("read", bell_read(conn, &byte, 1)); // that goes on
    return 0;
}

CASE(a_failure_is_told_by_errno_and_in_a_sentence)
{
    struct server server = SERVE(.handler = says_what_is_wrong);
    int fd = call(&server);
    hear(fd, "x");
    hear_a_polite_end(fd);
    say(fd, "z");
    EXPECT_TEXT(observed(1), "first \"\"\n"
                             "read -1 ETIMEDOUT\n"
                             "shutdown -1 EINVAL\n"
                             "write -1 EPIPE\n"
                             "read 1\n");
    hang_up(fd);
    server_end(&server);
}

// ---- Ends ---------------------------------------------------------------------------------------

static int uses_a_closed_connection(bell_conn *conn, void *arg)
{
    bool abort = *(bool *)arg;
    char text[8];
    const void *data;
    const char *peer = bell_peer(conn), *local = bell_local(conn);
    if (abort)
        bell_abort(conn);
    else
        observe_call("close", bell_close(conn));
    observe_call("read", bell_read(conn, text, 1));
    observe_call("readn", bell_readn(conn, text, 1));
    observe_call("readline", bell_readline(conn, text, sizeof text));
    observe_call("peek", bell_peek(conn, 1, &data));
    observe_call("write", bell_write(conn, "x", 1));
    observe_call("writev", bell_writev(conn, &(struct iovec){text, 1}, 1));
    observe_call("printf", bell_printf(conn, "x"));
    observe_call("sendfile", bell_sendfile(conn, STDIN_FILENO, 0, 1));
    observe_call("shutdown", bell_shutdown(conn, SHUT_WR));
    observe_call("fd", bell_fd(conn));
    observe_call("detach", bell_detach(conn, NULL, 0, NULL));
    observe_call("close", bell_close(conn));
    bell_abort(conn);
    CHECK(!strcmp(peer, bell_peer(conn)) && !strcmp(local, bell_local(conn)));
    return 0;
}

#define ALL_EBADF                                                                                  \
    "read -1 EBADF\nreadn -1 EBADF\nreadline -1 EBADF\npeek -1 EBADF\nwrite -1 EBADF\n"            \
    "writev -1 EBADF\nprintf -1 EBADF\nsendfile -1 EBADF\nshutdown -1 EBADF\nfd -1 EBADF\n"        \
    "detach -1 EBADF\nclose -1 EBADF\n"

CASE(after_a_close_in_the_handler_every_call_fails)
{
    for (int abort = 0; abort < 2; abort++) {
        bool arg = abort;
        board->text_size = 0;
        memset(board->text, 0, sizeof board->text);
        struct server server = SERVE(.handler = uses_a_closed_connection, .arg = &arg);
        int fd = call(&server);
        EXPECT_TEXT(observed(abort + 1), abort ? ALL_EBADF : "close 0\n" ALL_EBADF);
        CHECK_EQ(hear_the_end(fd, NULL), abort ? -ECONNRESET : 0);
        hang_up(fd);
        server_end(&server);
    }
}

static int returns_as_told(bell_conn *conn, void *arg)
{
    (void)arg;
    char line[16];
    if (bell_readline(conn, line, sizeof line) < 0 || bell_printf(conn, "half a reply") < 0)
        return -1;
    return atoi(line);
}

CASE(what_the_handler_returns_decides_between_an_end_and_a_reset)
{
    struct server server = SERVE(.handler = returns_as_told);
    for (int result = -1; result < 3; result++) {
        int fd = call(&server);
        char line[16];
        (void)snprintf(line, sizeof line, "%d\n", result);
        say(fd, line);
        CHECK_EQ(hear_the_end(fd, NULL), result == 0 ? 0 : -ECONNRESET);
        hang_up(fd);
    }
    struct bell_counts counts = server_end(&server);
    EXPECT(counts.accepted, EVERYWHERE(4));
    EXPECT(counts.polite, EVERYWHERE(1));
    EXPECT(counts.aborted, EVERYWHERE(3));
    EXPECT(counts.bytes_in, EVERYWHERE(9));
    EXPECT(counts.bytes_out, EVERYWHERE(48));
}

static int shuts_down_reading(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[8];
    CHECK_EQ(bell_readn(conn, text, 1), 1);
    observe_call("shutdown", bell_shutdown(conn, SHUT_RD));
    observe_call("read", bell_read(conn, text, sizeof text));
    observe_call("readline", bell_readline(conn, text, sizeof text));
    observe_call("write", bell_write(conn, "ok", 2));
    observe_call("shutdown", bell_shutdown(conn, SHUT_RDWR));
    observe_call("write", bell_write(conn, "ok", 2));
    return 0;
}

CASE(each_direction_ends_alone)
{
    struct server server = SERVE(.handler = shuts_down_reading);
    int fd = call(&server);
    say(fd, "abc");
    hear(fd, "ok");
    hear_a_polite_end(fd);
    EXPECT_TEXT(observed(1), "shutdown 0\n"
                             "read 0\n"
                             "readline 0\n"
                             "write 2\n"
                             "shutdown 0\n"
                             "write -1 EPIPE\n");
    hang_up(fd);
    server_end(&server);
}

// ---- Who, and with which descriptor -------------------------------------------------------------

static int says_who(bell_conn *conn, void *arg)
{
    (void)arg;
    observe("%s %s", bell_peer(conn), bell_local(conn));
    observe("%s", bell_conn_server(conn) ? "has a server" : "has none");
    observe("%s", fcntl(bell_fd(conn), F_GETFL) & O_NONBLOCK ? "non-blocking" : "blocking");
    observe("%s", fcntl(bell_fd(conn), F_GETFD) & FD_CLOEXEC ? "closed on exec" : "left open");
    return 0;
}

CASE(a_connection_knows_both_ends)
{
    struct server server = SERVE(.handler = says_who);
    int fd = call(&server);
    struct sockaddr_in us;
    socklen_t size = sizeof us;
    CHECK(getsockname(fd, (struct sockaddr *)&us, &size) == 0);
    char wanted[256];
    (void)snprintf(wanted, sizeof wanted,
                   "tcp:127.0.0.1:%d %s\nhas a server\nnon-blocking\nclosed on exec\n",
                   ntohs(us.sin_port), server.address);
    EXPECT_TEXT(observed(1), wanted);
    hang_up(fd);
    server_end(&server);
}

static int takes_the_descriptor_out(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    char rest[8] = "";
    size_t unread = 0;
    CHECK(bell_peek(conn, 5, &data) >= 5);
    CHECK_EQ(bell_skip(conn, 1), 0);
    observe_call("no room", bell_detach(conn, NULL, 0, &unread));
    observe_call("little room", bell_detach(conn, rest, 3, &unread));
    observe("%zu unread", unread);
    int fd = bell_detach(conn, rest, sizeof rest, &unread);
    observe("%s %zu %s", fd >= 0 ? "detached" : bell_error(), unread, rest);
    observe_call("read", bell_read(conn, rest, 1));
    CHECK_EQ(write(fd, "by hand", 7), 7);
    close(fd);
    return -1; // which concerns the server no more
}

CASE(a_descriptor_that_was_taken_out_is_not_closed_by_the_server)
{
    struct server server = SERVE(.handler = takes_the_descriptor_out);
    int fd = call(&server);
    say(fd, "abcde");
    hear(fd, "by hand");
    hear_a_polite_end(fd);
    EXPECT_TEXT(observed(1), "no room -1 ENOBUFS\n"
                             "little room -1 ENOBUFS\n"
                             "4 unread\n"
                             "detached 4 bcde\n"
                             "read -1 EBADF\n");
    hang_up(fd);
    server_end(&server);
}
