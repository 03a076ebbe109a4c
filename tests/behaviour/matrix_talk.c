// Reading: what has arrived, so many bytes, lines, a look ahead; and how time and the ends show.

#include <sys/socket.h>

#include "matrix.h"
#include "proc.h"
#include "server.h"
#include "stranger.h"

enum { MIB = 1 << 20 };

// ---- What has arrived ---------------------------------------------------------------------------

// Reads until the caller has said so many bytes. "Often fewer than size", but never none.
static void read_pieces(bell_conn *conn, char *into, size_t size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = bell_read(conn, into + got, size - got);
        if (n < 1)
            FAIL("a read gave %zd before the end", n);
        got += (size_t)n;
    }
}

static int reads(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[64] = "";
    observe_call("read of no bytes", bell_read(conn, text, 0)); // although nothing has come
    CHECK_EQ(bell_write(conn, "ready\n", 6), 6);
    read_pieces(conn, text, 5);
    observe("%s", text);
    observe_call("read at the end", bell_read(conn, text, sizeof text));
    observe_call("and again", bell_read(conn, text, sizeof text));
    return 0;
}

CASE(a_read_gives_what_has_arrived_and_0_at_the_end)
{
    struct server server = SERVE(.handler = reads);
    int fd = call(&server);
    hear(fd, "ready\n");
    say(fd, "hello");
    say_the_end(fd);
    EXPECT_TEXT(observed(1), "read of no bytes 0\n"
                             "hello\n"
                             "read at the end 0\n"
                             "and again 0\n");
    hear_a_polite_end(fd);
    hang_up(fd);
    server_end(&server);
}

static int reads_exactly(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[16] = "";
    observe_call("readn of 3", bell_readn(conn, text, 3));
    observe("%.3s", text);
    observe_call("readn of 0", bell_readn(conn, text, 0));
    observe_call("readn of 8", bell_readn(conn, text, 8));
    observe("%.4s", text);
    observe_call("readn at the end", bell_readn(conn, text, 8));
    return 0;
}

CASE(readn_gives_all_and_less_only_at_the_end)
{
    struct server server = SERVE(.handler = reads_exactly);
    int fd = call(&server);
    for (const char *c = "abcdefg"; *c; c++)
        say_bytes(fd, c, 1);
    say_the_end(fd);
    EXPECT_TEXT(observed(1), "readn of 3 3\n"
                             "abc\n"
                             "readn of 0 0\n"
                             "readn of 8 4\n"
                             "defg\n"
                             "readn at the end 0\n");
    hang_up(fd);
    server_end(&server);
}

// ---- Lines --------------------------------------------------------------------------------------

// Lines of all forms, read with room for `size - 1` bytes each, shown with \n and \0 in words.
static int shows_lines(bell_conn *conn, void *arg)
{
    size_t size = *(size_t *)arg;
    char line[64], shown[160];
    for (;;) {
        memset(line, '~', sizeof line);
        ssize_t n = bell_readline(conn, line, size);
        bool cut = n < 0 && errno == EMSGSIZE;
        size_t length = cut ? bell_done() : n > 0 ? (size_t)n : 0;
        size_t at = 0;
        for (size_t i = 0; i < length; i++)
            at += (size_t)snprintf(shown + at, sizeof shown - at, line[i] ? "%c" : "NUL",
                                   line[i] == '\n' ? '$' : line[i]);
        shown[at] = 0;
        if (n == 0 || (n < 0 && !cut)) {
            observe_call("line", n);
            return 0;
        }
        observe("%s%s %zu%s", cut ? "a part " : "", shown, length, line[length] ? " no NUL" : "");
    }
}

// With `how` 1 each byte is on its way alone.
static void say_slowly(int fd, const char *text, size_t size, int how)
{
    for (size_t i = 0; how && i < size; i++) {
        say_bytes(fd, text + i, 1);
        matrix_sleep(BELL_MS / 2);
    }
    if (!how)
        say_bytes(fd, text, size);
}

static void lines_come_as(const char *said, size_t size, size_t room, const char *wanted)
{
    for (int how = 0; how < 2; how++) {
        board->text_size = 0;
        memset(board->text, 0, sizeof board->text);
        struct server server = SERVE(.handler = shows_lines, .arg = &room);
        int fd = call(&server);
        say_slowly(fd, said, size, how);
        say_the_end(fd);
        EXPECT_TEXT(observed(how + 1), wanted);
        hear_a_polite_end(fd);
        hang_up(fd);
        server_end(&server);
    }
}

#define LINES_COME_AS(said, room, wanted) lines_come_as(said, sizeof(said) - 1, room, wanted)

CASE(a_line_comes_whole_with_its_newline_and_a_nul_after_it)
{
    LINES_COME_AS("ab\ncd\r\n\n\nlast", 64, "ab$ 3\n"
                                           "cd\r$ 4\n"
                                           "$ 1\n"
                                           "$ 1\n"
                                           "last 4\n"
                                           "line 0\n");
}

CASE(nuls_in_a_line_are_kept)
{
    LINES_COME_AS("a\0b\n\0\n\0", 64, "aNULb$ 4\n"
                                      "NUL$ 2\n"
                                      "NUL 1\n"
                                      "line 0\n");
}

CASE(a_line_that_does_not_fit_comes_in_parts)
{
    LINES_COME_AS("abcdefghij\nxyz\nabcd\n", 5, "a part abcd 4\n"
                                               "a part efgh 4\n"
                                               "ij$ 3\n"
                                               "xyz$ 4\n"
                                               "a part abcd 4\n"
                                               "$ 1\n"
                                               "line 0\n");
}

CASE(a_last_line_that_just_fits_is_whole)
{
    LINES_COME_AS("abc\nabcd", 5, "abc$ 4\n"
                                  "abcd 4\n"
                                  "line 0\n");
}

CASE(the_least_room_for_a_line_is_two_bytes)
{
    LINES_COME_AS("a\nb", 2, "a part a 1\n"
                             "$ 1\n"
                             "b 1\n"
                             "line 0\n");
    LINES_COME_AS("a\nb", 1, "line -1 EINVAL\n");
}

// A line without end: 1 GiB of it pass through a buffer of 4 KiB.
static int counts_parts(bell_conn *conn, void *arg)
{
    (void)arg;
    char line[4096];
    size_t bytes = 0;
    bool warm = false;
    ssize_t n;
    while ((n = bell_readline(conn, line, sizeof line)) != 0) {
        if (n < 0 && errno != EMSGSIZE)
            return -1;
        bytes += n > 0 ? (size_t)n : bell_done();
        if (!warm && bytes >= MIB) {
            warm = true;
            CHECK_EQ(bell_write(conn, "warm", 4), 4);
        }
    }
    observe("%zu MiB", bytes / MIB);
    return 0;
}

static int64_t memory_of(const struct server *server)
{
    pid_t pids[64];
    int count = server_processes(server, pids, 64);
    int64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += proc_memory_kib(pids[i]);
    return sum;
}

CASE(a_line_of_1_gib_takes_no_memory)
{
    static char some[MIB];
    memset(some, 'x', sizeof some);
    struct server server = SERVE(.handler = counts_parts);
    int fd = call(&server);
    say_bytes(fd, some, sizeof some);
    hear(fd, "warm");
    int64_t before = memory_of(&server);
    int rounds = matrix_is_slow() ? 16 : 1024;
    for (int i = 1; i < rounds; i++)
        say_bytes(fd, some, sizeof some);
    int64_t after = memory_of(&server);
    say_the_end(fd);
    EXPECT_TEXT(observed(1), matrix_is_slow() ? "16 MiB\n" : "1024 MiB\n");
    hear_a_polite_end(fd);
    if (!matrix_is_slow()) // a sanitizer has a memory of its own
        CHECK_AT_MOST(after - before, 1024);
    hang_up(fd);
    server_end(&server);
}

// ---- Looking ahead ------------------------------------------------------------------------------

static void observe_peek(bell_conn *conn, size_t count_min)
{
    const void *data = NULL;
    ssize_t n = bell_peek(conn, count_min, &data);
    if (n < 0)
        observe_call("peek", n);
    else
        observe("peek at least %zu: %s, %.*s", count_min,
                n >= (ssize_t)count_min ? "there" : "the end", (int)n, (const char *)data);
}

static int peeks(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[8] = "";
    observe_peek(conn, 0);
    observe_peek(conn, 16385);
    observe_peek(conn, 6);
    observe_peek(conn, 1); // nothing was taken
    observe_call("skip 7", bell_skip(conn, 7));
    observe_call("skip 2", bell_skip(conn, 2));
    observe_call("skip 0", bell_skip(conn, 0));
    observe_call("readn", bell_readn(conn, text, 2));
    observe("%s", text);
    observe_peek(conn, 3); // two are there, and then the end
    CHECK_EQ(bell_write(conn, "go on", 5), 5);
    observe_peek(conn, 3);
    observe_call("skip 2", bell_skip(conn, 2));
    observe_peek(conn, 1);
    return 0;
}

CASE(a_peek_shows_bytes_and_takes_none)
{
    struct server server = SERVE(.handler = peeks);
    int fd = call(&server);
    say(fd, "abcdef");
    say_the_end(fd);
    EXPECT_TEXT(observed(1), "peek -1 EINVAL\n"
                             "peek -1 EINVAL\n"
                             "peek at least 6: there, abcdef\n"
                             "peek at least 1: there, abcdef\n"
                             "skip 7 -1 EINVAL\n"
                             "skip 2 0\n"
                             "skip 0 0\n"
                             "readn 2\n"
                             "cd\n"
                             "peek at least 3: the end, ef\n"
                             "peek at least 3: the end, ef\n"
                             "skip 2 0\n"
                             "peek at least 1: the end, \n");
    hang_up(fd);
    server_end(&server);
}

static int peeks_at_much(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    size_t offset = 0;
    ssize_t n;
    while ((n = bell_peek(conn, 16384, &data)) > 0) {
        CHECK(pattern_fits(7, offset, data, (size_t)n));
        size_t some = offset % 3 ? (size_t)n : ((size_t)n + 1) / 2;
        CHECK_EQ(bell_skip(conn, some), 0);
        offset += some;
    }
    observe("%zu bytes", offset);
    return (int)n;
}

CASE(a_peek_of_the_largest_size_goes_through_a_long_stream)
{
    static char bytes[300000];
    pattern_fill(7, 0, bytes, sizeof bytes);
    struct server server = SERVE(.handler = peeks_at_much);
    int fd = call(&server);
    say_bytes(fd, bytes, sizeof bytes);
    say_the_end(fd);
    EXPECT_TEXT(observed(1), "300000 bytes\n");
    hang_up(fd);
    server_end(&server);
}

// ---- Deadlines ----------------------------------------------------------------------------------

static void observe_timeout(const char *name, ssize_t result, int64_t begin)
{
    int64_t took = bell_now() - begin;
    observe_call(name, result);
    observe("%zu done, %s", bell_done(), took >= 30 * BELL_MS ? "in time" : "too early");
}

static int outlives_deadlines(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[32] = "";
    const void *data;
    int64_t begin = bell_now();
    bell_deadline(conn, bell_in(30 * BELL_MS));
    observe_timeout("read", bell_read(conn, text, sizeof text), begin);
    bell_deadline(conn, BELL_NEVER);
    CHECK_EQ(bell_write(conn, "1\n", 2), 2);
    CHECK(bell_peek(conn, 3, &data) >= 3); // they are there for sure

    begin = bell_now();
    bell_deadline(conn, bell_in(30 * BELL_MS));
    observe_timeout("readline", bell_readline(conn, text, sizeof text), begin);
    begin = bell_now();
    bell_deadline(conn, bell_in(30 * BELL_MS));
    observe_timeout("readn", bell_readn(conn, text, 5), begin);
    begin = bell_now();
    bell_deadline(conn, bell_in(30 * BELL_MS));
    observe_timeout("peek", bell_peek(conn, 4, &data), begin);
    observe("deadline %d", bell_deadline(conn, BELL_NEVER));
    CHECK_EQ(bell_write(conn, "2\n", 2), 2);
    observe_call("readline", bell_readline(conn, text, sizeof text));
    observe("%s", text);
    return 0;
}

CASE(after_a_deadline_the_bytes_are_kept_and_it_goes_on)
{
    struct server server = SERVE(.handler = outlives_deadlines);
    int fd = call(&server);
    hear(fd, "1\n");
    say(fd, "abc");
    hear(fd, "2\n");
    say(fd, "def\n");
    EXPECT_TEXT(observed(1), "read -1 ETIMEDOUT\n"
                             "0 done, in time\n"
                             "readline -1 ETIMEDOUT\n"
                             "3 done, in time\n"
                             "readn -1 ETIMEDOUT\n"
                             "3 done, in time\n"
                             "peek -1 ETIMEDOUT\n"
                             "3 done, in time\n"
                             "deadline 0\n"
                             "readline 7\n"
                             "abcdef\n\n");
    hear_a_polite_end(fd);
    hang_up(fd);
    server_end(&server);
}

// A deadline every few ms, while a line comes byte by byte: no byte is lost, wherever it is cut.
static int reads_in_spite_of_deadlines(bell_conn *conn, void *arg)
{
    bool lines = *(bool *)arg;
    char text[64] = "";
    ssize_t n;
    for (;;) {
        bell_deadline(conn, bell_in(BELL_MS));
        n = lines ? bell_readline(conn, text, sizeof text) : bell_readn(conn, text, 26);
        if (n >= 0 || errno != ETIMEDOUT)
            break;
        atomic_fetch_add(&board->word[0], 1);
    }
    text[n > 0 ? n : 0] = 0;
    observe("%s", text);
    return 0;
}

CASE(no_byte_is_lost_by_any_number_of_deadlines)
{
    for (int lines = 0; lines < 2; lines++) {
        bool arg = lines;
        board->text_size = 0;
        struct server server = SERVE(.handler = reads_in_spite_of_deadlines, .arg = &arg);
        int fd = call(&server);
        for (const char *c = "abcdefghijklmnopqrstuvwxy\n"; *c; c++) {
            int64_t timeouts = board->word[0];
            WAIT_FOR(board->word[0] > timeouts);
            say_bytes(fd, c, 1);
        }
        EXPECT_TEXT(observed(lines + 1), "abcdefghijklmnopqrstuvwxy\n\n");
        hang_up(fd);
        server_end(&server);
    }
}

// The caller never lets the reader wait, and it gives up all the same.
static int reads_a_flood(bell_conn *conn, void *arg)
{
    (void)arg;
    char some[4096];
    int64_t begin = bell_now();
    bell_deadline(conn, bell_in(30 * BELL_MS));
    ssize_t n;
    while ((n = bell_readn(conn, some, sizeof some)) > 0)
        continue;
    observe_call("readn", n);
    observe("%s", bell_now() - begin >= 30 * BELL_MS ? "in time" : "too early");
    return -1;
}

CASE(a_fast_sender_does_not_outrun_a_deadline)
{
    static char some[64 * 1024];
    struct server server = SERVE(.handler = reads_a_flood);
    int fd = call(&server);
    while (atomic_load(&board->ended) == 0)
        if (send(fd, some, sizeof some, MSG_NOSIGNAL) < 0)
            break; // it was reset already
    EXPECT_TEXT(observed(1), "readn -1 ETIMEDOUT\n"
                             "in time\n");
    hang_up(fd);
    server_end(&server);
}

// ---- The other end ------------------------------------------------------------------------------

static int replies_after_the_end(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[4096];
    size_t size = 0;
    ssize_t n;
    while ((n = bell_read(conn, text + size, sizeof text - size)) > 0)
        size += (size_t)n;
    if (n < 0)
        return -1;
    return bell_write(conn, text, size) < 0;
}

CASE(after_the_callers_end_we_go_on_to_write)
{
    struct server server = SERVE(.handler = replies_after_the_end);
    for (int i = 0; i < 3; i++) {
        int fd = call(&server);
        say(fd, "abc");
        say_the_end(fd);
        hear(fd, "abc");
        hear_a_polite_end(fd);
        hang_up(fd);
    }
    server_end(&server);
}

CASE(all_values_of_a_byte_come_back)
{
    static char all[3 * 256];
    for (int i = 0; i < 3 * 256; i++)
        all[i] = (char)i;
    struct server server = SERVE(.handler = echo_bytes);
    int fd = call(&server);
    char back[sizeof all];
    say_bytes(fd, all, sizeof all);
    say(fd, "\x04\x1a\xff"); // no byte means an end
    CHECK_EQ(hear_bytes(fd, back, sizeof back), sizeof back);
    CHECK(!memcmp(all, back, sizeof all));
    hear(fd, "\x04\x1a\xff");
    say_the_end(fd);
    hear_a_polite_end(fd);
    hang_up(fd);
    server_end(&server);
}

static int reads_until_reset(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[16];
    CHECK_EQ(bell_readn(conn, text, 2), 2);
    CHECK_EQ(bell_write(conn, "!", 1), 1);
    observe_call("read", bell_read(conn, text, sizeof text));
    observe("%s", strstr(bell_error(), bell_peer(conn)) ? "the sentence says who" : bell_error());
    return -1;
}

CASE(a_reset_is_no_end)
{
    struct server server = SERVE(.handler = reads_until_reset);
    int fd = call(&server);
    say(fd, "ab");
    hear(fd, "!");
    crash(fd);
    EXPECT_TEXT(observed(1), "read -1 ECONNRESET\n"
                             "the sentence says who\n");
    server_end(&server);
}
