// Handlers that read, write and end, and what their calls say when that fails.

#include "handlers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- Reading and writing ----------------------------------------------------------------------

int echo(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[1024];
    ssize_t n;
    while ((n = bell_read(conn, text, sizeof text)) > 0)
        if (bell_write(conn, text, (size_t)n) < 0)
            return -1;
    return (int)n;
}

int echo_lent(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &data)) > 0)
        if (bell_write(conn, data, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

// Lines of at most `number` bytes come back as "LENGTH:LINE"; a longer one as "long LENGTH:PIECE".
int lines(bell_conn *conn, void *arg)
{
    (void)arg;
    size_t size = number ? (size_t)number : 4096;
    char *line = malloc(size);
    ssize_t n;
    for (;;) {
        n = bell_readline(conn, line, size);
        bool is_long = n < 0 && errno == EMSGSIZE;
        size_t length = is_long ? bell_done() : (size_t)n;
        if (n <= 0 && !is_long)
            break;
        if (line[length] || bell_printf(conn, "%s%zu:", is_long ? "long " : "", length) < 0 ||
            bell_write(conn, line, length) < 0)
            break;
    }
    free(line);
    return (int)n;
}

// Blocks of exactly `number` bytes come back; what is left at the end as "rest COUNT".
int blocks(bell_conn *conn, void *arg)
{
    (void)arg;
    char block[256];
    ssize_t n;
    while ((n = bell_readn(conn, block, (size_t)number)) == number)
        if (bell_write(conn, block, (size_t)n) < 0)
            return -1;
    return n < 0 ? -1 : bell_printf(conn, "rest %zd", n) < 0;
}

// Reads with a deadline of 20 ms, again and again, until a whole line (number=0) or block has come.
int patient(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[256];
    ssize_t n;
    int timeouts = 0;
    do {
        bell_deadline(conn, bell_in(20 * BELL_MS));
        n = number ? bell_readn(conn, text, (size_t)number)
                   : bell_readline(conn, text, sizeof text);
        if (n < 0 && errno != ETIMEDOUT)
            return -1;
        if (n < 0)
            say("result timeout %d after %zu bytes: %s", ++timeouts, bell_done(), bell_error());
    } while (n < 0);
    bell_deadline(conn, BELL_NEVER);
    return bell_write(conn, text, (size_t)n) < 0;
}

static char pattern(size_t i)
{
    return (char)('a' + i % 26);
}

static char alphabets[40 * 1000];

void make_alphabets(void)
{
    for (size_t i = 0; i < sizeof alphabets; i++)
        alphabets[i] = pattern(i);
}

// Writes so many bytes of the pattern.
static int write_pattern(bell_conn *conn, size_t left)
{
    while (left > 0) {
        size_t whole = (size_t)26 * 1000, count = left < whole ? left : whole;
        if (bell_write(conn, alphabets, count) < 0) {
            say_result("write", -1);
            return -1;
        }
        left -= count;
    }
    return 0;
}

// Writes `number` bytes and returns: the end comes after the last one.
int talk(bell_conn *conn, void *arg)
{
    (void)arg;
    return write_pattern(conn, (size_t)number);
}

// Answers the first byte with 300,000 and returns, whatever else the caller has said.
int answer_first_byte(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    return bell_read(conn, &byte, 1) == 1 ? write_pattern(conn, 300000) : -1;
}

int pieces(bell_conn *conn, void *arg)
{
    (void)arg;
    struct iovec array[40];
    for (size_t i = 0; i < 40; i++)
        array[i] = (struct iovec){alphabets + i * 1000, i == 7 ? 0 : 1000};
    say_result("writev", bell_writev(conn, array, 40));
    say_result("writev of none", bell_writev(conn, array, 0));
    return 0;
}

int send_file(bell_conn *conn, void *arg)
{
    (void)arg;
    FILE *file = tmpfile();
    for (size_t i = 0; i < 100000; i++)
        putc(pattern(i), file);
    fflush(file);
    say_result("sendfile", bell_sendfile(conn, fileno(file), 26, 50000));
    say_result("sendfile past the end", bell_sendfile(conn, fileno(file), 99990, 50000));
    fclose(file);
    return 0;
}

__attribute__((format(printf, 2, 3))) static int print(bell_conn *conn, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = bell_vprintf(conn, format, arguments);
    va_end(arguments);
    return n;
}

int formatted(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    if (print(conn, "%s %d %.2f\n", "a", 42, 1.5) < 0)
        return -1;
    return bell_printf(conn, "%s\n", text) < 0;
}

// ---- Failures ---------------------------------------------------------------------------------

// Reads to the end or the failure, and says which.
int read_to_the_end(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[1000];
    ssize_t n;
    while ((n = bell_read(conn, text, sizeof text)) > 0)
        continue;
    say_result("read", n);
    say_result("read again", bell_read(conn, text, sizeof text));
    return (int)n;
}

// Writes without reading until that fails.
int write_to_the_end(bell_conn *conn, void *arg)
{
    (void)arg;
    static const char bytes[100000];
    if (number)
        bell_deadline(conn, bell_in(number * BELL_MS));
    ssize_t n;
    while ((n = bell_write(conn, bytes, sizeof bytes)) > 0)
        continue;
    say_result("write", n);
    bell_deadline(conn, BELL_NEVER);
    say_result("write again", bell_write(conn, bytes, 1));
    return -1;
}

// Says something and then fails: the caller must not take it for a whole answer.
int fail_half_way(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    if (bell_read(conn, &byte, 1) < 1)
        return -1;
    bell_write(conn, "half an ans", 11);
    return -1;
}

int misuse(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[16];
    const void *data;
    say_result("readline of 1", bell_readline(conn, text, 1));
    say_result("peek of 0", bell_peek(conn, 0, &data));
    say_result("peek of 1 MiB", bell_peek(conn, 1 << 20, &data));
    say_result("skip", bell_skip(conn, 1));
    say_result("read of 0", bell_read(conn, text, 0));
    say_result("close", bell_close(conn));
    say_result("close again", bell_close(conn));
    say_result("read", bell_read(conn, text, 1));
    say_result("write", bell_write(conn, text, 1));
    say_result("shutdown", bell_shutdown(conn, SHUT_WR));
    say_result("fd", bell_fd(conn));
    bell_abort(conn);
    return 0;
}

int half_close(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[100];
    bell_write(conn, "before", 6);
    say_result("shutdown", bell_shutdown(conn, SHUT_WR));
    say_result("write", bell_write(conn, "x", 1));
    say_result("readline", bell_readline(conn, text, sizeof text));
    return 0;
}

int stop_reading(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    bell_read(conn, &byte, 1);
    say_result("shutdown", bell_shutdown(conn, SHUT_RD));
    say_result("read", bell_read(conn, &byte, 1));
    return bell_write(conn, "still talking", 13) < 0;
}

int take_out(bell_conn *conn, void *arg)
{
    (void)arg;
    char line[100], unread[100];
    size_t count = 0;
    bell_readline(conn, line, sizeof line);
    say_result("detach without room", bell_detach(conn, unread, 1, &count));
    int fd = bell_detach(conn, unread, sizeof unread, &count);
    say_result("read", bell_read(conn, line, 1));
    bell_conn *again = bell_attach(fd);
    bell_write(again, unread, count);
    bell_write(again, "|", 1);
    ssize_t n = bell_readline(again, line, sizeof line);
    bell_write(again, line, (size_t)n);
    say_result("close", bell_close(again));
    return 0;
}

int names(bell_conn *conn, void *arg)
{
    (void)arg;
    return bell_printf(conn, "%s %s %d\n", bell_peer(conn), bell_local(conn),
                       bell_conn_server(conn) == the_server) < 0;
}

// errno belongs to the task: others that fail meanwhile do not change it.
int keep_errno(bell_conn *conn, void *arg)
{
    (void)arg;
    char byte;
    ssize_t n = bell_read(conn, &byte, 1);
    errno = (int)getpid() % 100 + 1000;
    bell_sleep(20 * BELL_MS);
    bool kept = errno == (int)getpid() % 100 + 1000;
    return bell_printf(conn, "%zd %d\n", n, kept) < 0;
}
