// The services of doorbell serve, each a handler of one caller.

#include "services.h"

#include <errno.h>
#include <stdio.h>

// Sends back what arrives, as it arrives: a map over bytes, which pleases every client whatever it
// takes for the end of a request. (RFC 862)
static int echo(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &data)) > 0)
        if (bell_write(conn, data, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

// Not inlined, so that a caller who is silent does not pay for this buffer.
__attribute__((noinline)) static int answer_in_capitals(bell_conn *conn, const char *data,
                                                        size_t size)
{
    char text[4096];
    while (size > 0) {
        size_t count = size < sizeof text ? size : sizeof text;
        for (size_t i = 0; i < count; i++)
            text[i] = data[i] >= 'a' && data[i] <= 'z' ? (char)(data[i] - 'a' + 'A') : data[i];
        if (bell_write(conn, text, count) < 0)
            return -1;
        data += count;
        size -= count;
    }
    return 0;
}

// The same as echo with a to z as capitals, and every other byte as it is: as many bytes out as in.
static int upper(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &data)) > 0)
        if (answer_in_capitals(conn, data, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

// Reads and forgets. (RFC 863)
static int discard(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &data)) > 0)
        if (bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

// The message server of the course: reads a message, shows it, answers without a newline. A message
// ends with a newline, with the sender's end, or when it is as long as a line may be.
static int message(bell_conn *conn, void *arg)
{
    (void)arg;
    static const char answer[] = "I got your message";
    char text[1024];
    ssize_t n = bell_readline(conn, text, sizeof text);
    if (n < 0 && errno == EMSGSIZE)
        n = (ssize_t)bell_done();
    if (n <= 0)
        return (int)n;
    if (text[n - 1] == '\n')
        n--;
    flockfile(stdout);
    fputs("Here is the message: ", stdout);
    fwrite(text, 1, (size_t)n, stdout);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    return bell_write(conn, answer, sizeof answer - 1) < 0 ? -1 : 0;
}

const struct service services[] = {
    {"echo", echo}, {"upper", upper}, {"discard", discard}, {"message", message}, {NULL, NULL},
};
