// doorbell help options: the socket options by name, and what they are here.

#include "sockopts.h"

#include "pages.h"
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OPTIONS_MAX = 128 };

// One option on a socket of TCP and one of UDP; "-" where it has none.
struct pair {
    struct bell_sockopt tcp, udp;
};

static const char *value_of(const struct bell_sockopt *option)
{
    return option->value[0] ? option->value : "-";
}

static void print_row(const struct pair *pair, bool present, FILE *to)
{
    char type[16];
    const struct bell_sockopt *option = &pair->tcp;
    snprintf(type, sizeof type, "%s%s", option->type, option->read_only ? "*" : "");
    fprintf(to, "  %-14s %-9s ", option->name, type);
    if (present)
        fprintf(to, "%-8s %-8s ", value_of(option), value_of(&pair->udp));
    fprintf(to, "%s\n", option->help);
}

static bool get(int index, const int sockets[2], struct pair *ret_pair)
{
    return bell_sockopt(sockets[0], index, &ret_pair->tcp) == 1 &&
           bell_sockopt(sockets[1], index, &ret_pair->udp) == 1;
}

static void open_sockets(int sockets[2])
{
    sockets[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockets[1] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void close_sockets(const int sockets[2])
{
    for (int i = 0; i < 2; i++)
        if (sockets[i] >= 0)
            (void)close(sockets[i]);
}

static void print_table(bool present, FILE *to)
{
    int sockets[2] = {-1, -1};
    const char *page = "";
    struct pair pair;
    if (present)
        open_sockets(sockets);
    fprintf(to, "  %-14s %s\n", "name", present ? "type      TCP      UDP" : "type");
    for (int i = 0; get(i, sockets, &pair); i++) {
        if (strcmp(page, pair.tcp.page) != 0)
            fprintf(to, "%s(7)\n", pair.tcp.page);
        page = pair.tcp.page;
        print_row(&pair, present, to);
    }
    close_sockets(sockets);
}

// ---- By name ----------------------------------------------------------------------------------

static void list_names(const char *names[OPTIONS_MAX + 1])
{
    struct bell_sockopt option;
    int count = 0;
    while (count < OPTIONS_MAX && bell_sockopt(-1, count, &option) == 1)
        names[count++] = option.name;
    names[count] = NULL;
}

// A name as the table has it: SO_RCVBUF is rcvbuf.
static const char *bare(const char *name, char *ret_name, size_t size)
{
    static const char *const heads[] = {"so_", "tcp_", "ipv6_", "ip_"};
    snprintf(ret_name, size, "%.*s", (int)strcspn(name, "=, "), name);
    for (char *at = ret_name; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + 'a' - 'A' : *at);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (!strncmp(ret_name, heads[i], strlen(heads[i])))
            return ret_name + strlen(heads[i]);
    return ret_name;
}

static int find(const char *name, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(name, names[i]))
            return i;
    return -1;
}

static bool complain_of_option(const char *name, const char *const *names)
{
    const char *near = nearest(name, names);
    if (near)
        complain("there is no socket option %.60s; did you mean %s?", name, near);
    else
        complain("there is no socket option %.60s; doorbell help options lists them", name);
    return false;
}

bool sockopts_exist(const char *text)
{
    const char *names[OPTIONS_MAX + 1];
    char name[64];
    list_names(names);
    while (*(text += strspn(text, ", "))) {
        const char *word = bare(text, name, sizeof name);
        if (find(word, names) < 0)
            return complain_of_option(word, names);
        text += strcspn(text, ", ");
    }
    return true;
}

void sockopts_note(int fd, const char *text)
{
    const char *names[OPTIONS_MAX + 1];
    char name[64];
    list_names(names);
    while (text && *(text += strspn(text, ", "))) {
        struct bell_sockopt option;
        if (bell_sockopt(fd, find(bare(text, name, sizeof name), names), &option) == 1)
            note("socket option %s is %s", option.name, value_of(&option));
        text += strcspn(text, ", ");
    }
}

static int answer(int count, char **words)
{
    const char *names[OPTIONS_MAX + 1];
    char name[64];
    int sockets[2];
    list_names(names);
    open_sockets(sockets);
    int code = EXIT_DONE;
    for (int i = 0; i < count; i++) {
        struct pair pair;
        const char *word = bare(words[i], name, sizeof name);
        if (get(find(word, names), sockets, &pair)) {
            print_row(&pair, true, stdout);
        } else {
            (void)complain_of_option(word, names);
            code = EXIT_USAGE;
        }
    }
    close_sockets(sockets);
    return code;
}

const struct page options_page = {
    .name = "options",
    .summary = "the socket options by name, their types, and their present values",
    .usage = (const char *const[]){NULL},
    .description =
        "--sockopt NAME=VALUE, of serve and connect, sets one before a socket listens or\n"
        "calls; --sockopt NAME is NAME=1. The names are those of the manual's pages\n"
        "socket(7), tcp(7), ip(7) and ipv6(7) in small letters; SO_RCVBUF is understood,\n"
        "too. What the kernel refuses is told by its name.\n"
        "\n"
        "A flag is 0, 1, off, on, no or yes; a size 4096, 4k or 1M; a time 250ms, 30s or\n"
        "2m. What is marked * can only be read. doorbell help options NAME... shows some\n"
        "only, and doorbell help options what they are on a new socket of this machine.\n"
        "\n"
        "The kernel doubles sndbuf and rcvbuf, for its own book-keeping, and holds them\n"
        "to /proc/sys/net/core/wmem_max and rmem_max: what it tells is the double.",
    .print_table = print_table,
    .answer = answer,
};
