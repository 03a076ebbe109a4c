// The steps about options and events.

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "steps.h"

// ---- Options ----------------------------------------------------------------------------------

static const struct {
    const char *name;
    int level, number;
} options[] = {
    {"error", SOL_SOCKET, SO_ERROR},           {"type", SOL_SOCKET, SO_TYPE},
    {"domain", SOL_SOCKET, SO_DOMAIN},         {"protocol", SOL_SOCKET, SO_PROTOCOL},
    {"listens", SOL_SOCKET, SO_ACCEPTCONN},    {"reuse", SOL_SOCKET, SO_REUSEADDR},
    {"reuseport", SOL_SOCKET, SO_REUSEPORT},   {"sndbuf", SOL_SOCKET, SO_SNDBUF},
    {"rcvbuf", SOL_SOCKET, SO_RCVBUF},         {"keepalive", SOL_SOCKET, SO_KEEPALIVE},
    {"broadcast", SOL_SOCKET, SO_BROADCAST},   {"nodelay", IPPROTO_TCP, TCP_NODELAY},
    {"keepidle", IPPROTO_TCP, TCP_KEEPIDLE},   {"keepcnt", IPPROTO_TCP, TCP_KEEPCNT},
    {"keepintvl", IPPROTO_TCP, TCP_KEEPINTVL}, {"usertimeout", IPPROTO_TCP, TCP_USER_TIMEOUT},
    {"only6", IPPROTO_IPV6, IPV6_V6ONLY},      {"pktinfo", IPPROTO_IP, IP_PKTINFO},
};

static size_t option_of(const char *name)
{
    size_t i = 0;
    while (strcmp(options[i].name, name) != 0)
        i++;
    return i;
}

void do_set(char **words)
{
    size_t i = option_of(words[2]);
    int value = number(words[3]);
    say_result(kernel->setsockopt(*fd_of(words[1]), options[i].level, options[i].number, &value,
                                  !strcmp(words[0], "set1") ? 1 : sizeof value));
}

void do_get(char **words)
{
    size_t i = option_of(words[2]);
    int value = 0;
    socklen_t size = sizeof value;
    int rc =
        kernel->getsockopt(*fd_of(words[1]), options[i].level, options[i].number, &value, &size);
    if (rc == 0 && !strcmp(words[2], "error") && value)
        say("%s", strerrorname_np(value));
    else
        say_result(rc < 0 ? rc : value);
}

// ---- Events -----------------------------------------------------------------------------------

static const struct {
    const char *name;
    unsigned bit;
} events[] = {{"in", EPOLLIN},    {"out", EPOLLOUT},        {"rdhup", EPOLLRDHUP},
              {"err", EPOLLERR},  {"hup", EPOLLHUP},        {"et", EPOLLET},
              {"nval", POLLNVAL}, {"excl", EPOLLEXCLUSIVE}, {"none", 0}};

unsigned events_of(const char *word)
{
    unsigned bits = 0;
    while (*word) {
        size_t length = strcspn(word, ",");
        for (size_t i = 0; i < sizeof events / sizeof *events; i++)
            if (strlen(events[i].name) == length && !strncmp(events[i].name, word, length))
                bits |= events[i].bit;
        word += length + (word[length] == ',');
    }
    return bits;
}

static void add_events(char *text, size_t size, unsigned bits)
{
    const char *comma = "";
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (!events[i].bit || !(bits & events[i].bit))
            continue;
        (void)snprintf(text + strlen(text), size - strlen(text), "%s%s", comma, events[i].name);
        comma = ",";
    }
}

void do_poll(char **words)
{
    struct pollfd fd = {.fd = *fd_of(words[1]), .events = (short)events_of(words[2])};
    bool waits = !strcmp(words[0], "poll");
    int n = kernel->ppoll(&fd, 1, waits ? kernel->now() + 2000000000 : 0);
    say("%s", n < 0 ? strerrorname_np(-n) : n == 0 ? "nothing" : "");
    if (n > 0)
        add_events(outcome, sizeof outcome, (unsigned)fd.revents);
}

void do_epoll(char **words)
{
    say_fd(words[1], kernel->epoll_create());
}

void do_control(char **words)
{
    int operation = !strcmp(words[0], "add")   ? EPOLL_CTL_ADD
                    : !strcmp(words[0], "mod") ? EPOLL_CTL_MOD
                                               : EPOLL_CTL_DEL;
    struct epoll_event event = {.data.u64 = (uint64_t)words[2][0]};
    event.events = words[3] ? events_of(words[3]) : 0;
    say_result(kernel->epoll_ctl(*fd_of(words[1]), operation, *fd_of(words[2]), &event));
}

void do_wait(char **words)
{
    struct epoll_event found[8];
    int most = words[2] ? number(words[2]) : 8;
    int n = kernel->epoll_wait(*fd_of(words[1]), found, most, 0);
    say("%s", n < 0 ? strerrorname_np(-n) : n == 0 ? "nothing" : "");
    for (int i = 0; i < n; i++) {
        size_t at = strlen(outcome);
        (void)snprintf(outcome + at, sizeof outcome - at, "%s%c:", i ? " " : "",
                       (int)found[i].data.u64);
        add_events(outcome + strlen(outcome), sizeof outcome - strlen(outcome), found[i].events);
    }
}

void do_event(char **words)
{
    say_fd(words[1], !strcmp(words[0], "event") ? kernel->eventfd() : kernel->timerfd());
}

void do_after(char **words)
{
    int ms = number(words[2]);
    say_result(kernel->timerfd_set(*fd_of(words[1]),
                                   ms < 0 ? INT64_MAX : kernel->now() + (int64_t)ms * 1000000));
}

void do_read(char **words)
{
    uint64_t value = 0;
    ssize_t n = kernel->read(*fd_of(words[1]), &value, words[2] ? (size_t)number(words[2]) : 8);
    say_result(n < 0 ? n : (ssize_t)value);
}

void do_write(char **words)
{
    uint64_t value = !strcmp(words[2], "most")   ? UINT64_MAX - 1
                     : !strcmp(words[2], "over") ? UINT64_MAX
                                                 : (uint64_t)number(words[2]);
    say_result(kernel->write(*fd_of(words[1]), &value, 8));
}
