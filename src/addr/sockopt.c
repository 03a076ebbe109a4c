// Socket options as people write them.

#include "addr/sockopt.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum kind {
    KIND_FLAG,    // 0 or 1, off or on, no or yes
    KIND_NUMBER,  // any int
    KIND_SIZE,    // bytes: 4k
    KIND_SECONDS, // 30s
    KIND_MS,      // 250ms
    KIND_LINGER,  // seconds, or off
    KIND_WORD,    // the name of something
};

// Time-outs of socket(7) are left out, since no call here blocks in the kernel.
static const struct row {
    const char *name;
    enum kind kind;
    int level, number;
    int level6, number6; // 0: the same
} rows[] = {
    {"reuseaddr", KIND_FLAG, SOL_SOCKET, SO_REUSEADDR, 0, 0},
    {"reuseport", KIND_FLAG, SOL_SOCKET, SO_REUSEPORT, 0, 0},
    {"keepalive", KIND_FLAG, SOL_SOCKET, SO_KEEPALIVE, 0, 0},
    {"broadcast", KIND_FLAG, SOL_SOCKET, SO_BROADCAST, 0, 0},
    {"oobinline", KIND_FLAG, SOL_SOCKET, SO_OOBINLINE, 0, 0},
    {"dontroute", KIND_FLAG, SOL_SOCKET, SO_DONTROUTE, 0, 0},
    {"linger", KIND_LINGER, SOL_SOCKET, SO_LINGER, 0, 0},
    {"sndbuf", KIND_SIZE, SOL_SOCKET, SO_SNDBUF, 0, 0},
    {"rcvbuf", KIND_SIZE, SOL_SOCKET, SO_RCVBUF, 0, 0},
    {"sndbufforce", KIND_SIZE, SOL_SOCKET, SO_SNDBUFFORCE, 0, 0},
    {"rcvbufforce", KIND_SIZE, SOL_SOCKET, SO_RCVBUFFORCE, 0, 0},
    {"rcvlowat", KIND_SIZE, SOL_SOCKET, SO_RCVLOWAT, 0, 0},
    {"priority", KIND_NUMBER, SOL_SOCKET, SO_PRIORITY, 0, 0},
    {"mark", KIND_NUMBER, SOL_SOCKET, SO_MARK, 0, 0},
    {"busy_poll", KIND_NUMBER, SOL_SOCKET, SO_BUSY_POLL, 0, 0},
    {"incoming_cpu", KIND_NUMBER, SOL_SOCKET, SO_INCOMING_CPU, 0, 0},
    {"bindtodevice", KIND_WORD, SOL_SOCKET, SO_BINDTODEVICE, 0, 0},
    {"nodelay", KIND_FLAG, IPPROTO_TCP, TCP_NODELAY, 0, 0},
    {"cork", KIND_FLAG, IPPROTO_TCP, TCP_CORK, 0, 0},
    {"quickack", KIND_FLAG, IPPROTO_TCP, TCP_QUICKACK, 0, 0},
    {"maxseg", KIND_SIZE, IPPROTO_TCP, TCP_MAXSEG, 0, 0},
    {"keepidle", KIND_SECONDS, IPPROTO_TCP, TCP_KEEPIDLE, 0, 0},
    {"keepintvl", KIND_SECONDS, IPPROTO_TCP, TCP_KEEPINTVL, 0, 0},
    {"keepcnt", KIND_NUMBER, IPPROTO_TCP, TCP_KEEPCNT, 0, 0},
    {"syncnt", KIND_NUMBER, IPPROTO_TCP, TCP_SYNCNT, 0, 0},
    {"linger2", KIND_SECONDS, IPPROTO_TCP, TCP_LINGER2, 0, 0},
    {"defer_accept", KIND_SECONDS, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, 0},
    {"window_clamp", KIND_SIZE, IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, 0},
    {"user_timeout", KIND_MS, IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0},
    {"notsent_lowat", KIND_SIZE, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0, 0},
    {"congestion", KIND_WORD, IPPROTO_TCP, TCP_CONGESTION, 0, 0},
    {"fastopen", KIND_NUMBER, IPPROTO_TCP, TCP_FASTOPEN, 0, 0},
    {"ttl", KIND_NUMBER, IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {"tos", KIND_NUMBER, IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS},
    {"multicast_ttl", KIND_NUMBER, IPPROTO_IP, IP_MULTICAST_TTL, IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
    {"multicast_loop", KIND_FLAG, IPPROTO_IP, IP_MULTICAST_LOOP, IPPROTO_IPV6, IPV6_MULTICAST_LOOP},
    {"mtu_discover", KIND_NUMBER, IPPROTO_IP, IP_MTU_DISCOVER, IPPROTO_IPV6, IPV6_MTU_DISCOVER},
    {"freebind", KIND_FLAG, IPPROTO_IP, IP_FREEBIND, 0, 0},
    {"transparent", KIND_FLAG, IPPROTO_IP, IP_TRANSPARENT, IPPROTO_IPV6, IPV6_TRANSPARENT},
};

static const struct row *find_row(const char *name, size_t length)
{
    static const char *const heads[] = {"", "SO_", "TCP_", "IPV6_", "IP_"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
            size_t head = strlen(heads[h]);
            if (length == head + strlen(rows[i].name) && !strncasecmp(name, heads[h], head) &&
                !strncasecmp(name + head, rows[i].name, length - head))
                return &rows[i];
        }
    return NULL;
}

// ---- Values -----------------------------------------------------------------------------------

static int fail(char *why, size_t why_size, const char *what, const char *text, size_t length)
{
    struct text reason;
    text_init(&reason, why, why_size);
    text_addf(&reason, "%s", what);
    text_escape(&reason, text, length < 48 ? length : 48);
    return -EINVAL;
}

// A whole number and what stands behind it; false when there is none.
static bool read_number(const char *text, long *ret_number, const char **ret_unit)
{
    char *end;
    errno = 0;
    *ret_number = strtol(text, &end, 0);
    *ret_unit = end;
    return !errno && end != text && text[0] > ' ';
}

static bool times(long number, long by, int *ret)
{
    if (number < INT_MIN / by || number > INT_MAX / by)
        return false;
    *ret = (int)(number * by);
    return true;
}

static bool read_size(const char *text, int *ret)
{
    static const struct {
        const char *unit;
        long bytes;
    } units[] = {{"", 1}, {"k", 1L << 10}, {"M", 1L << 20}, {"G", 1L << 30}};
    long number;
    const char *unit;
    if (!read_number(text, &number, &unit) || number < 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(unit, units[i].unit))
            return times(number, units[i].bytes, ret);
    return false;
}

// In milliseconds. A number without a unit means what the kernel takes: that many `own_ms`.
static bool read_time(const char *text, long own_ms, int *ret_ms)
{
    long number;
    const char *unit;
    if (!read_number(text, &number, &unit) || number < 0)
        return false;
    long ms = !*unit                ? own_ms
              : !strcmp(unit, "ms") ? 1
              : !strcmp(unit, "s")  ? 1000
              : !strcmp(unit, "m")  ? 60000
                                    : 0;
    return ms && times(number, ms, ret_ms);
}

static bool read_seconds(const char *text, int *ret)
{
    if (!read_time(text, 1000, ret))
        return false;
    *ret = *ret / 1000 + (*ret % 1000 > 0);
    return true;
}

static bool read_flag(const char *text, int *ret)
{
    static const char *const words[] = {"0", "1", "off", "on", "no", "yes"};
    for (int i = 0; i < 6; i++)
        if (!strcasecmp(text, words[i])) {
            *ret = i % 2;
            return true;
        }
    return false;
}

static bool read_any(const char *text, int *ret)
{
    long number;
    const char *unit;
    return read_number(text, &number, &unit) && !*unit && times(number, 1, ret);
}

static bool read_linger(const char *text, struct linger *ret)
{
    ret->l_onoff = strcasecmp(text, "off") != 0;
    ret->l_linger = 0;
    return !ret->l_onoff || read_seconds(text, &ret->l_linger);
}

static bool read_value(enum kind kind, const char *text, struct sockopt *ret)
{
    int number = 0;
    bool ok = false;
    struct linger linger;
    switch (kind) {
    case KIND_FLAG:
        ok = read_flag(text, &number);
        break;
    case KIND_NUMBER:
        ok = read_any(text, &number);
        break;
    case KIND_SIZE:
        ok = read_size(text, &number);
        break;
    case KIND_SECONDS:
        ok = read_seconds(text, &number);
        break;
    case KIND_MS:
        ok = read_time(text, 1, &number);
        break;
    case KIND_LINGER:
        ret->size = sizeof linger;
        ok = read_linger(text, &linger);
        memcpy(ret->value, &linger, sizeof linger);
        return ok;
    case KIND_WORD:
        ret->size = (socklen_t)strlen(text);
        memcpy(ret->value, text, ret->size);
        return ret->size > 0;
    }
    ret->size = sizeof number;
    memcpy(ret->value, &number, sizeof number);
    return ok;
}

// ---- Texts ------------------------------------------------------------------------------------

static const char *wanted(enum kind kind)
{
    switch (kind) {
    case KIND_FLAG:
        return "0 or 1 is wanted, not ";
    case KIND_NUMBER:
        return "a number is wanted, not ";
    case KIND_SIZE:
        return "a size is wanted (4096, 4k, 1M), not ";
    case KIND_SECONDS:
        return "a time is wanted (30s, 2m), not ";
    case KIND_MS:
        return "a time is wanted (250ms, 30s), not ";
    case KIND_LINGER:
        return "a time or off is wanted, not ";
    default:
        return "a name is wanted, not ";
    }
}

static int fail_value(const struct row *row, char *why, size_t why_size, const char *text,
                      size_t length)
{
    struct text reason;
    text_init(&reason, why, why_size);
    text_addf(&reason, "socket option %s: %s", row->name, wanted(row->kind));
    text_escape(&reason, text, length < 48 ? length : 48);
    if (length == 0)
        text_add(&reason, "nothing");
    return -EINVAL;
}

int sockopt_next(const char **text, struct sockopt *ret, char *why, size_t why_size)
{
    const char *at = *text + strspn(*text, ", ");
    if (!*at)
        return 0;
    size_t size = strcspn(at, ", ");
    size_t length = strcspn(at, "=, ");
    const struct row *row = find_row(at, length);
    if (!row)
        return fail(why, why_size, "there is no socket option ", at, length);
    bool alone = length == size && (row->kind == KIND_FLAG || row->kind == KIND_NUMBER);
    const char *from = length == size ? at + size : at + length + 1;
    size_t count = (size_t)(at + size - from);
    char value[SOCKOPT_VALUE_SIZE] = "1";
    if (!alone && (count == 0 || count >= sizeof value))
        return fail_value(row, why, why_size, from, count);
    if (!alone) {
        memcpy(value, from, count);
        value[count] = '\0';
    }
    *ret = (struct sockopt){
        .level = row->level,
        .number = row->number,
        .level6 = row->level6 ? row->level6 : row->level,
        .number6 = row->level6 ? row->number6 : row->number,
    };
    memcpy(ret->name, row->name, strlen(row->name));
    if (!read_value(row->kind, value, ret))
        return fail_value(row, why, why_size, from, count);
    *text = at + size;
    return 1;
}
