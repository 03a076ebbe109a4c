#include "kernel/calls_print.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include "addr/addr.h"

#define SECOND 1000000000

void calls_print_who(struct text *text, int pid, int thread)
{
    if (thread == pid)
        text_addf(text, "[%d] ", pid);
    else
        text_addf(text, "[%d/%d] ", pid, thread);
}

void calls_print_time(struct text *text, int64_t time)
{
    text_addf(text, "%lld.%09d ", (long long)(time / SECOND), (int)(time % SECOND));
}

// The system's own words, "Connection refused", which go on in a line in lower case. Only those
// whose first letter is an ordinary capital are changed: "RFS specific error" stays.
static void add_error(struct text *text, int error)
{
    const char *words = strerrordesc_np(error);
    if (!words) {
        text_addf(text, "error %d", error);
        return;
    }
    bool is_capital = (unsigned)(words[0] - 'A') < 26,
         goes_on_small = (unsigned)(words[1] - 'a') < 26;
    char first = is_capital && goes_on_small ? (char)(words[0] - 'A' + 'a') : words[0];
    text_addf(text, "%c%s", first, words + 1);
}

void calls_print_result(struct text *text, int64_t result, bool shows_zero)
{
    if (result > 0 || (result == 0 && shows_zero))
        text_addf(text, " = %lld", (long long)result);
    if (result >= 0)
        return;
    text_add(text, " failed: ");
    add_error(text, (int)-result);
}

static void add_byte(struct text *text, unsigned char byte)
{
    static const char plain[] = {'\n', '\r', '\t', '"', '\\'};
    static const char *const escaped[] = {"\\n", "\\r", "\\t", "\\\"", "\\\\"};
    for (size_t i = 0; i < sizeof plain; i++)
        if (byte == (unsigned char)plain[i]) {
            text_add(text, escaped[i]);
            return;
        }
    text_escape(text, &byte, 1);
}

static void add_bytes(struct text *text, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        add_byte(text, bytes[i]);
}

static void end_data(struct text *text, size_t size)
{
    text_add(text, size > CALLS_DATA_MAX ? "\"..." : "\"");
}

void calls_print_data(struct text *text, const void *data, size_t size)
{
    text_add(text, "\"");
    add_bytes(text, data, size < CALLS_DATA_MAX ? size : CALLS_DATA_MAX);
    end_data(text, size);
}

void calls_print_pieces(struct text *text, const struct msghdr *message, size_t size)
{
    size_t left = size < CALLS_DATA_MAX ? size : CALLS_DATA_MAX;
    text_add(text, "\"");
    for (size_t i = 0; i < message->msg_iovlen && left > 0; i++) {
        const struct iovec *piece = &message->msg_iov[i];
        size_t part = piece->iov_len < left ? piece->iov_len : left;
        add_bytes(text, piece->iov_base, part);
        left -= part;
    }
    end_data(text, size);
}

// Without the scheme that addr_print begins with: the book's calls have none.
void calls_print_address(struct text *text, const struct sockaddr *address, socklen_t size)
{
    char whole[ADDR_TEXT_SIZE];
    (void)addr_print(address, size, whole, sizeof whole);
    static const char *const schemes[] = {"tcp:", "unix:"};
    const char *rest = whole;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (!strncmp(whole, schemes[i], strlen(schemes[i])))
            rest = whole + strlen(schemes[i]);
    text_add(text, rest);
}

struct word {
    int number;
    const char *text;
};

static void add_word(struct text *text, const struct word *words, int number)
{
    while (words->text && words->number != number)
        words++;
    if (words->text)
        text_add(text, words->text);
    else
        text_addf(text, "%d", number);
}

void calls_print_kind(struct text *text, int family, int type)
{
    static const struct word families[] = {
        {AF_INET, "AF_INET"}, {AF_INET6, "AF_INET6"}, {AF_UNIX, "AF_UNIX"}, {0, NULL}};
    static const struct word types[] = {{SOCK_STREAM, "SOCK_STREAM"},
                                        {SOCK_DGRAM, "SOCK_DGRAM"},
                                        {SOCK_SEQPACKET, "SOCK_SEQPACKET"},
                                        {SOCK_RAW, "SOCK_RAW"},
                                        {0, NULL}};
    add_word(text, families, family);
    text_add(text, ", ");
    add_word(text, types, type);
}

static void add_value(struct text *text, const void *value, socklen_t size)
{
    int number;
    struct linger linger;
    if (size == sizeof number) {
        memcpy(&number, value, sizeof number);
        text_addf(text, "%d", number);
    } else if (size == sizeof linger) {
        memcpy(&linger, value, sizeof linger);
        text_addf(text, "{%d, %d}", linger.l_onoff, linger.l_linger);
    } else {
        text_addf(text, "%u bytes", size);
    }
}

#define NAMED(option) option, #option

// Those that the library sets, and those of options.sockopts.
static const struct {
    int level, name;
    const char *word;
} options[] = {
    {SOL_SOCKET, NAMED(SO_REUSEADDR)},
    {SOL_SOCKET, NAMED(SO_REUSEPORT)},
    {SOL_SOCKET, NAMED(SO_KEEPALIVE)},
    {SOL_SOCKET, NAMED(SO_BROADCAST)},
    {SOL_SOCKET, NAMED(SO_OOBINLINE)},
    {SOL_SOCKET, NAMED(SO_DONTROUTE)},
    {SOL_SOCKET, NAMED(SO_LINGER)},
    {SOL_SOCKET, NAMED(SO_SNDBUF)},
    {SOL_SOCKET, NAMED(SO_RCVBUF)},
    {SOL_SOCKET, NAMED(SO_SNDBUFFORCE)},
    {SOL_SOCKET, NAMED(SO_RCVBUFFORCE)},
    {SOL_SOCKET, NAMED(SO_RCVLOWAT)},
    {SOL_SOCKET, NAMED(SO_PRIORITY)},
    {SOL_SOCKET, NAMED(SO_MARK)},
    {SOL_SOCKET, NAMED(SO_BUSY_POLL)},
    {SOL_SOCKET, NAMED(SO_INCOMING_CPU)},
    {SOL_SOCKET, NAMED(SO_BINDTODEVICE)},
    {SOL_SOCKET, NAMED(SO_TIMESTAMPNS)},
    {IPPROTO_TCP, NAMED(TCP_NODELAY)},
    {IPPROTO_TCP, NAMED(TCP_CORK)},
    {IPPROTO_TCP, NAMED(TCP_QUICKACK)},
    {IPPROTO_TCP, NAMED(TCP_MAXSEG)},
    {IPPROTO_TCP, NAMED(TCP_KEEPIDLE)},
    {IPPROTO_TCP, NAMED(TCP_KEEPINTVL)},
    {IPPROTO_TCP, NAMED(TCP_KEEPCNT)},
    {IPPROTO_TCP, NAMED(TCP_SYNCNT)},
    {IPPROTO_TCP, NAMED(TCP_LINGER2)},
    {IPPROTO_TCP, NAMED(TCP_DEFER_ACCEPT)},
    {IPPROTO_TCP, NAMED(TCP_WINDOW_CLAMP)},
    {IPPROTO_TCP, NAMED(TCP_USER_TIMEOUT)},
    {IPPROTO_TCP, NAMED(TCP_NOTSENT_LOWAT)},
    {IPPROTO_TCP, NAMED(TCP_CONGESTION)},
    {IPPROTO_TCP, NAMED(TCP_FASTOPEN)},
    {IPPROTO_IP, NAMED(IP_TTL)},
    {IPPROTO_IP, NAMED(IP_TOS)},
    {IPPROTO_IP, NAMED(IP_PKTINFO)},
    {IPPROTO_IP, NAMED(IP_ADD_MEMBERSHIP)},
    {IPPROTO_IP, NAMED(IP_MULTICAST_IF)},
    {IPPROTO_IP, NAMED(IP_MULTICAST_TTL)},
    {IPPROTO_IP, NAMED(IP_MULTICAST_LOOP)},
    {IPPROTO_IP, NAMED(IP_MTU_DISCOVER)},
    {IPPROTO_IP, NAMED(IP_FREEBIND)},
    {IPPROTO_IP, NAMED(IP_TRANSPARENT)},
    {IPPROTO_IP, NAMED(IP_BIND_ADDRESS_NO_PORT)},
    {IPPROTO_IPV6, NAMED(IPV6_V6ONLY)},
    {IPPROTO_IPV6, NAMED(IPV6_RECVPKTINFO)},
    {IPPROTO_IPV6, NAMED(IPV6_JOIN_GROUP)},
    {IPPROTO_IPV6, NAMED(IPV6_MULTICAST_IF)},
    {IPPROTO_IPV6, NAMED(IPV6_UNICAST_HOPS)},
    {IPPROTO_IPV6, NAMED(IPV6_TCLASS)},
    {IPPROTO_IPV6, NAMED(IPV6_MULTICAST_HOPS)},
    {IPPROTO_IPV6, NAMED(IPV6_MULTICAST_LOOP)},
    {IPPROTO_IPV6, NAMED(IPV6_MTU_DISCOVER)},
    {IPPROTO_IPV6, NAMED(IPV6_TRANSPARENT)},
};

void calls_print_option(struct text *text, int level, int name, const void *value, socklen_t size)
{
    const char *word = NULL;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i].level == level && options[i].name == name)
            word = options[i].word;
    if (word)
        text_addf(text, "%s, ", word);
    else
        text_addf(text, "%d:%d, ", level, name);
    add_value(text, value, size);
}

void calls_print_direction(struct text *text, int how)
{
    static const struct word words[] = {
        {SHUT_RD, "SHUT_RD"}, {SHUT_WR, "SHUT_WR"}, {SHUT_RDWR, "SHUT_RDWR"}, {0, NULL}};
    add_word(text, words, how);
}

void calls_print_status(struct text *text, int status)
{
    if (WIFEXITED(status))
        text_addf(text, "it returned %d", WEXITSTATUS(status));
    else
        text_addf(text, "killed by signal %d", WTERMSIG(status));
}
