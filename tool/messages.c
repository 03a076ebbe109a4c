// Messages of stdin: what is sent as one datagram.

#include "messages.h"

#include "standard.h"
#include "tool.h"

#include <errno.h>
#include <string.h>

static char room[MESSAGE_MAX + 1]; // a helper may still have it when we have given up

void messages_complain_of(const char *peer, size_t size)
{
    if (!strncmp(peer, "udp:", 4))
        complain("%s: a datagram of %zu bytes is too long: UDP takes %d; nothing of it was sent",
                 peer, size, peer[4] == '[' ? 65527 : 65507);
    else
        complain("%s: a message of %zu bytes is too long: the socket's buffer is smaller "
                 "(--sockopt sndbuf=1M, if the system lets you); nothing of it was sent",
                 peer, size);
}

// Makes room and fills it. Returns as standard_read.
static ssize_t read_more(struct messages *m)
{
    memmove(room, room + m->begin, m->end - m->begin);
    m->end -= m->begin;
    m->begin = 0;
    ssize_t n = standard_read(room + m->end, sizeof room - m->end);
    if (n > 0)
        m->end += (size_t)n;
    m->ended = n == 0;
    return n;
}

// How many bytes the next message has; false when its end has not come.
static bool find_end(const struct messages *m, size_t *ret_size)
{
    const char *from = room + m->begin;
    size_t size = m->end - m->begin;
    const char *newline = m->talk->whole ? NULL : memchr(from, '\n', size);
    *ret_size = newline ? (size_t)(newline - from) + 1 : size;
    return newline || m->ended || size == sizeof room;
}

// What it is when it is sent: with --crlf it has grown.
static void hand_over(const struct messages *m, const char *data, size_t size,
                      const char **ret_data, size_t *ret_size)
{
    static char with_returns[2 * sizeof room];
    *ret_data = data;
    *ret_size = size;
    if (!m->talk->crlf)
        return;
    *ret_data = with_returns;
    *ret_size = standard_add_returns(data, size, '\0', with_returns);
}

static int next_of_stdin(struct messages *m, const char **ret_data, size_t *ret_size)
{
    size_t size;
    while (!find_end(m, &size))
        if (read_more(m) < 0)
            return -1;
    if (size > MESSAGE_MAX) {
        complain("stdin: more than %d bytes %s, which no datagram can have; nothing of it was sent",
                 MESSAGE_MAX, m->talk->whole ? "in all" : "without a newline");
        errno = EMSGSIZE;
        return -1;
    }
    // All of an empty stdin is an empty datagram; no line of it is none.
    m->is_over = m->ended && m->begin + size == m->end;
    if (size == 0 && !m->talk->whole)
        return 0;
    hand_over(m, room + m->begin, size, ret_data, ret_size);
    m->begin += size;
    return 1;
}

int messages_next(struct messages *m, const char **ret_data, size_t *ret_size)
{
    if (m->is_over)
        return 0;
    if (!m->talk->text)
        return next_of_stdin(m, ret_data, ret_size);
    m->is_over = true;
    hand_over(m, m->talk->text, m->talk->text_size, ret_data, ret_size);
    return 1;
}
