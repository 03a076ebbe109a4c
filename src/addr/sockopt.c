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
    KIND_FLAG,      // 0 or 1, off or on, no or yes
    KIND_NUMBER,    // any int
    KIND_SIZE,      // bytes: 4k
    KIND_SECONDS,   // 30s
    KIND_MS,        // 250ms
    KIND_LINGER,    // seconds, or off
    KIND_WORD,      // the name of something
    KIND_READ_FLAG, // these two can only be read
    KIND_READ_NUMBER,
};

// As a program writes it.
struct symbol {
    int level, number;
    const char *text;
};

#define NAMED(level, number)   \
    {                          \
        level, number, #number \
    }
#define ROW(name, kind, level, number, help)                     \
    {                                                            \
        name, kind, {level, number, #number}, {0, 0, NULL}, help \
    }
#define ROW6(name, kind, number, number6, help)                                            \
    {                                                                                      \
        name, kind, {IPPROTO_IP, number, #number}, {IPPROTO_IPV6, number6, #number6}, help \
    }

// Time-outs of socket(7) are left out, since no call here blocks in the kernel.
static const struct row {
    const char *name;
    enum kind kind;
    struct symbol symbol;
    struct symbol symbol6; // of a socket of IPv6; no text: the same
    const char *help;
} rows[] = {
    ROW("reuseaddr", KIND_FLAG, SOL_SOCKET, SO_REUSEADDR, "listen in spite of old connections"),
    ROW("reuseport", KIND_FLAG, SOL_SOCKET, SO_REUSEPORT, "several sockets listen on one port"),
    ROW("keepalive", KIND_FLAG, SOL_SOCKET, SO_KEEPALIVE, "ask whether a silent peer is there"),
    ROW("broadcast", KIND_FLAG, SOL_SOCKET, SO_BROADCAST, "may send datagrams to everybody"),
    ROW("oobinline", KIND_FLAG, SOL_SOCKET, SO_OOBINLINE, "urgent bytes stay in the stream"),
    ROW("dontroute", KIND_FLAG, SOL_SOCKET, SO_DONTROUTE, "only to hosts on the same link"),
    ROW("debug", KIND_FLAG, SOL_SOCKET, SO_DEBUG, "keep the kernel's debugging notes"),
    ROW("linger", KIND_LINGER, SOL_SOCKET, SO_LINGER, "how long close waits; 0 resets"),
    ROW("sndbuf", KIND_SIZE, SOL_SOCKET, SO_SNDBUF, "bytes that wait to be sent; doubled"),
    ROW("rcvbuf", KIND_SIZE, SOL_SOCKET, SO_RCVBUF, "bytes that wait to be read; doubled"),
    ROW("sndbufforce", KIND_SIZE, SOL_SOCKET, SO_SNDBUFFORCE, "sndbuf beyond the limit, as root"),
    ROW("rcvbufforce", KIND_SIZE, SOL_SOCKET, SO_RCVBUFFORCE, "rcvbuf beyond the limit, as root"),
    ROW("rcvlowat", KIND_SIZE, SOL_SOCKET, SO_RCVLOWAT, "as few bytes make it readable"),
    ROW("priority", KIND_NUMBER, SOL_SOCKET, SO_PRIORITY, "of its packets in the queue"),
    ROW("mark", KIND_NUMBER, SOL_SOCKET, SO_MARK, "of its packets, for routing rules"),
    ROW("busy_poll", KIND_NUMBER, SOL_SOCKET, SO_BUSY_POLL, "microseconds to look for packets"),
    ROW("incoming_cpu", KIND_NUMBER, SOL_SOCKET, SO_INCOMING_CPU,
        "processor that handles its packets"),
    ROW("bindtodevice", KIND_WORD, SOL_SOCKET, SO_BINDTODEVICE, "only by this interface"),
    ROW("type", KIND_READ_NUMBER, SOL_SOCKET, SO_TYPE, "1 stream, 2 datagram, 3 raw"),
    ROW("domain", KIND_READ_NUMBER, SOL_SOCKET, SO_DOMAIN, "the family: 2 IPv4, 10 IPv6, 1 Unix"),
    ROW("protocol", KIND_READ_NUMBER, SOL_SOCKET, SO_PROTOCOL, "6 TCP, 17 UDP"),
    ROW("acceptconn", KIND_READ_FLAG, SOL_SOCKET, SO_ACCEPTCONN, "it listens"),
    ROW("error", KIND_READ_NUMBER, SOL_SOCKET, SO_ERROR, "what went wrong; 0 when read again"),
    ROW("nodelay", KIND_FLAG, IPPROTO_TCP, TCP_NODELAY, "send small pieces at once"),
    ROW("cork", KIND_FLAG, IPPROTO_TCP, TCP_CORK, "hold back until a packet is full"),
    ROW("quickack", KIND_FLAG, IPPROTO_TCP, TCP_QUICKACK, "acknowledge at once"),
    ROW("maxseg", KIND_SIZE, IPPROTO_TCP, TCP_MAXSEG, "largest segment, in bytes"),
    ROW("keepidle", KIND_SECONDS, IPPROTO_TCP, TCP_KEEPIDLE, "silence before keepalive asks"),
    ROW("keepintvl", KIND_SECONDS, IPPROTO_TCP, TCP_KEEPINTVL,
        "between two questions of keepalive"),
    ROW("keepcnt", KIND_NUMBER, IPPROTO_TCP, TCP_KEEPCNT, "questions before it gives up"),
    ROW("syncnt", KIND_NUMBER, IPPROTO_TCP, TCP_SYNCNT, "times to call before connect fails"),
    ROW("linger2", KIND_SECONDS, IPPROTO_TCP, TCP_LINGER2, "in FIN_WAIT2 after close"),
    ROW("defer_accept", KIND_SECONDS, IPPROTO_TCP, TCP_DEFER_ACCEPT,
        "accept only when data are there"),
    ROW("window_clamp", KIND_SIZE, IPPROTO_TCP, TCP_WINDOW_CLAMP, "largest window that is offered"),
    ROW("user_timeout", KIND_MS, IPPROTO_TCP, TCP_USER_TIMEOUT, "how long data may go unanswered"),
    ROW("notsent_lowat", KIND_SIZE, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
        "writable when so few are unsent"),
    ROW("congestion", KIND_WORD, IPPROTO_TCP, TCP_CONGESTION, "algorithm of congestion control"),
    ROW("fastopen", KIND_NUMBER, IPPROTO_TCP, TCP_FASTOPEN, "queue of callers with data in SYN"),
    ROW6("ttl", KIND_NUMBER, IP_TTL, IPV6_UNICAST_HOPS, "hops that its packets live"),
    ROW6("tos", KIND_NUMBER, IP_TOS, IPV6_TCLASS, "class of service of its packets"),
    ROW6("multicast_ttl", KIND_NUMBER, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS,
         "the same for multicast"),
    ROW6("multicast_loop", KIND_FLAG, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP,
         "its multicast comes back here, too"),
    ROW6("mtu_discover", KIND_NUMBER, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER,
         "how the size of packets is found"),
    ROW("freebind", KIND_FLAG, IPPROTO_IP, IP_FREEBIND, "bind to addresses that are not here"),
    ROW6("transparent", KIND_FLAG, IP_TRANSPARENT, IPV6_TRANSPARENT, "bind to anybody's address"),
};

// Those that the library sets by itself, and nobody else has a use for.
static const struct symbol own[] = {
    NAMED(SOL_SOCKET, SO_TIMESTAMPNS),          NAMED(IPPROTO_IP, IP_PKTINFO),
    NAMED(IPPROTO_IP, IP_ADD_MEMBERSHIP),       NAMED(IPPROTO_IP, IP_MULTICAST_IF),
    NAMED(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), NAMED(IPPROTO_IPV6, IPV6_V6ONLY),
    NAMED(IPPROTO_IPV6, IPV6_RECVPKTINFO),      NAMED(IPPROTO_IPV6, IPV6_JOIN_GROUP),
    NAMED(IPPROTO_IPV6, IPV6_MULTICAST_IF),
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

static const struct symbol *symbol_of_ipv6(const struct row *row)
{
    return row->symbol6.text ? &row->symbol6 : &row->symbol;
}

// ---- Values -----------------------------------------------------------------------------------

// Of what somebody has written, so much is repeated; escaped it is four times as long.
enum { SHOWN = 40 };

static int fail(char *why, size_t why_size, const char *what, const char *text, size_t length)
{
    struct text reason;
    text_init(&reason, why, why_size);
    text_addf(&reason, "%s", what);
    text_escape(&reason, text, length < SHOWN ? length : SHOWN);
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
    default:
        return false;
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
    text_escape(&reason, text, length < SHOWN ? length : SHOWN);
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
    if (row->kind >= KIND_READ_FLAG)
        return fail(why, why_size, "this socket option can only be read: ", at, length);
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
    const struct symbol *symbol6 = symbol_of_ipv6(row);
    *ret = (struct sockopt){
        .level = row->symbol.level,
        .number = row->symbol.number,
        .level6 = symbol6->level,
        .number6 = symbol6->number,
    };
    memcpy(ret->name, row->name, strlen(row->name));
    if (!read_value(row->kind, value, ret))
        return fail_value(row, why, why_size, from, count);
    *text = at + size;
    return 1;
}

// ---- The table for others ---------------------------------------------------------------------

static const char *type_of(enum kind kind)
{
    static const char *const types[] = {
        [KIND_FLAG] = "flag",    [KIND_NUMBER] = "number",  [KIND_SIZE] = "size",
        [KIND_SECONDS] = "time", [KIND_MS] = "time",        [KIND_LINGER] = "time, off",
        [KIND_WORD] = "name",    [KIND_READ_FLAG] = "flag", [KIND_READ_NUMBER] = "number",
    };
    return types[kind];
}

static const char *page_of(int level)
{
    return level == SOL_SOCKET ? "socket" : level == IPPROTO_TCP ? "tcp" : "ip";
}

bool sockopt_describe(int index, struct sockopt_about *ret_about)
{
    if (index < 0 || (size_t)index >= sizeof rows / sizeof *rows)
        return false;
    const struct row *row = &rows[index];
    const struct symbol *symbol6 = symbol_of_ipv6(row);
    *ret_about = (struct sockopt_about){
        .name = row->name,
        .type = type_of(row->kind),
        .page = page_of(row->symbol.level),
        .help = row->help,
        .read_only = row->kind >= KIND_READ_FLAG,
        .level = row->symbol.level,
        .number = row->symbol.number,
        .level6 = symbol6->level,
        .number6 = symbol6->number,
    };
    return true;
}

static bool is_it(const struct symbol *symbol, int level, int number)
{
    return symbol->text && symbol->level == level && symbol->number == number;
}

const char *sockopt_symbol(int level, int number)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (is_it(&rows[i].symbol, level, number))
            return rows[i].symbol.text;
        if (is_it(&rows[i].symbol6, level, number))
            return rows[i].symbol6.text;
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (is_it(&own[i], level, number))
            return own[i].text;
    return NULL;
}

static void print_linger(const void *value, struct text *text)
{
    struct linger linger;
    memcpy(&linger, value, sizeof linger);
    if (linger.l_onoff)
        text_addf(text, "%ds", linger.l_linger);
    else
        text_add(text, "off");
}

static void print_word(const char *word, size_t size, struct text *text)
{
    size_t length = strnlen(word, size);
    text_escape(text, word, length);
    if (length == 0)
        text_add(text, "none");
}

void sockopt_print(int index, const void *value, socklen_t size, char *ret_text, size_t text_size)
{
    static const char *const units[] = {[KIND_SECONDS] = "s", [KIND_MS] = "ms"};
    enum kind kind = rows[index].kind;
    struct text text;
    int number = 0;
    text_init(&text, ret_text, text_size);
    if (kind == KIND_WORD)
        print_word(value, size, &text);
    else if (kind == KIND_LINGER && size == sizeof(struct linger))
        print_linger(value, &text);
    else if (size == sizeof number) {
        memcpy(&number, value, sizeof number);
        text_addf(&text, "%d%s", number,
                  kind == KIND_SECONDS || kind == KIND_MS ? units[kind] : "");
    }
}
