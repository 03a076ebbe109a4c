#include "kernel/calls_print.h"

#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include "addr/addr.h"
#include "addr/sockopt.h"

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

void calls_print_option(struct text *text, int level, int name, const void *value, socklen_t size)
{
    const char *word = sockopt_symbol(level, name);
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
