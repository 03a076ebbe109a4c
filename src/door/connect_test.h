// A network for the tests of bell_connect, below the library's kernel table: addresses that answer after a
// while, or never, with whatever a test wants. Its time stands still until something happens, so that what
// lasts 30 s in it takes none, and is exact.

#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdatomic.h>

#include "name/name.h"
#include "task/task_test.h"

// ---- Its sockets ------------------------------------------------------------------------------------

enum { FIRST_FD = 100000, SOCKETS_MAX = 64, PLACES_MAX = 12 };

// What happens to those who call an address.
struct place {
    const char *address;
    int delay_ms; // until it answers; SILENT: never
    int result;
};

#define SILENT (-1)

struct simulated {
    const struct place *place;
    int64_t answer_at;
    uint64_t mark; // of epoll
    struct sockaddr_storage address;
    socklen_t address_size;
    int type;
    bool open, called, bound, without_port, no_delay, watched;
};

static atomic_bool simulating;
static _Atomic int64_t now;
static struct simulated sockets[SOCKETS_MAX];
static struct place places[PLACES_MAX]; // the resolver's answers, too
static int opened, open_now, open_max;  // sockets for streams
static int bind_result, datagram_result;
static bool reaches_itself, asks;

static inline struct simulated *simulated(int fd)
{
    return fd >= FIRST_FD ? &sockets[fd - FIRST_FD] : NULL;
}

static inline int64_t fake_now(void)
{
    return simulating ? now : kernel_real.now();
}

static inline int fake_socket(int family, int type, int protocol)
{
    if (!simulating)
        return kernel_real.socket(family, type, protocol);
    int fd = 0;
    while (sockets[fd].open)
        fd++;
    sockets[fd] = (struct simulated){.open = true, .type = type};
    if (type == SOCK_STREAM) {
        opened++;
        if (++open_now > open_max)
            open_max = open_now;
    }
    return FIRST_FD + fd;
}

static inline int fake_close(int fd)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.close(fd);
    assert_true(socket->open);
    open_now -= socket->type == SOCK_STREAM;
    socket->open = false;
    return 0;
}

static inline int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.setsockopt(fd, level, name, value, size);
    socket->without_port |= level == IPPROTO_IP && name == IP_BIND_ADDRESS_NO_PORT;
    socket->no_delay |= level == IPPROTO_TCP && name == TCP_NODELAY;
    return 0;
}

static inline int fake_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.bind(fd, address, size);
    assert_true(socket->without_port);
    socket->bound = true;
    return bind_result;
}

static inline const struct place *place_of(const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    const union name_address *any = (const void *)address;
    (void)inet_ntop(any->any.sa_family,
                    any->any.sa_family == AF_INET ? (const void *)&any->ipv4.sin_addr
                                                  : &any->ipv6.sin6_addr,
                    text, sizeof text);
    for (int i = 0; i < PLACES_MAX && places[i].address; i++)
        if (!strcmp(places[i].address, text))
            return &places[i];
    fail_msg("nobody expected a call of %s", text);
    return NULL;
}

static inline int fake_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.connect(fd, address, size);
    if (socket->type == SOCK_DGRAM)
        return datagram_result;
    if (!socket->called) {
        assert_true(socket->no_delay);
        socket->called = true;
        socket->place = place_of(address);
        memcpy(&socket->address, address, size);
        socket->address_size = size;
        int delay = socket->place->delay_ms;
        socket->answer_at = delay == SILENT ? INT64_MAX : now + delay * BELL_MS;
        if (delay == 0)
            return socket->place->result;
        return -EINPROGRESS;
    }
    if (socket->answer_at > now)
        return -EALREADY;
    return socket->place->result ? socket->place->result : -EISCONN;
}

static inline int fake_getsockname(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    const struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.getsockname(fd, ret_address, size);
    if (!reaches_itself)
        return -ENOBUFS;
    memcpy(ret_address, &socket->address, socket->address_size);
    *size = socket->address_size;
    return 0;
}

static inline int fake_getpeername(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    return simulated(fd) ? -ENOTCONN : kernel_real.getpeername(fd, ret_address, size);
}

// ---- Its time: nothing happens until the next answer, or the deadline ---------------------------------

static inline void pass_time(int64_t deadline)
{
    int64_t next = deadline;
    for (int i = 0; i < SOCKETS_MAX; i++)
        if (sockets[i].open && sockets[i].watched && sockets[i].answer_at < next)
            next = sockets[i].answer_at;
    assert_true(next != INT64_MAX); // else it would hang
    if (next > now)
        now = next;
}

static inline bool has_answer(const struct simulated *socket)
{
    return socket->open && socket->watched && socket->answer_at <= now;
}

static inline int fake_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    if (!simulating)
        return kernel_real.ppoll(fds, count, deadline);
    if (asks) { // the resolver's thread takes real time
        int woken = kernel_real.ppoll(fds, 1, deadline ? INT64_MAX : 0);
        asks = woken <= 0;
        return woken;
    }
    for (int i = 0; i < SOCKETS_MAX; i++)
        sockets[i].watched = false;
    for (nfds_t i = 1; i < count; i++)
        if (simulated(fds[i].fd))
            simulated(fds[i].fd)->watched = fds[i].events & POLLOUT;
    pass_time(deadline);
    int ready = 0;
    fds[0].revents = 0;
    for (nfds_t i = 1; i < count; i++) {
        fds[i].revents = simulated(fds[i].fd) && has_answer(simulated(fds[i].fd)) ? POLLOUT : 0;
        ready += fds[i].revents != 0;
    }
    return ready;
}

static inline int fake_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct simulated *socket = simulated(fd);
    if (!socket)
        return kernel_real.epoll_ctl(epoll, operation, fd, event);
    socket->watched = operation != EPOLL_CTL_DEL && (event->events & EPOLLOUT);
    socket->mark = event->data.u64;
    return 0;
}

static inline int fake_epoll_wait(int epoll, struct epoll_event *events, int count,
                                  int64_t deadline)
{
    if (!simulating)
        return kernel_real.epoll_wait(epoll, events, count, deadline);
    if (asks) {
        int woken = kernel_real.epoll_wait(epoll, events, count, deadline ? INT64_MAX : 0);
        asks = woken <= 0;
        return woken;
    }
    pass_time(deadline);
    int ready = 0;
    for (int i = 0; i < SOCKETS_MAX && ready < count; i++)
        if (has_answer(&sockets[i]))
            events[ready++] = (struct epoll_event){.events = EPOLLOUT, .data.u64 = sockets[i].mark};
    return ready;
}

// ---- Its resolver -------------------------------------------------------------------------------------

static int resolve_error;

static inline int fake_resolve(const char *name, const char *service, const struct addrinfo *hints,
                               struct addrinfo **ret_list)
{
    if (!simulating)
        return kernel_real.resolve(name, service, hints, ret_list);
    if (resolve_error)
        return resolve_error;
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo **end = ret_list;
    for (int i = 0; i < PLACES_MAX && places[i].address; i++) {
        bool ipv6 = strchr(places[i].address, ':');
        if (hints->ai_family != AF_UNSPEC && (hints->ai_family == AF_INET6) != ipv6)
            continue;
        assert_int_equal(getaddrinfo(places[i].address, service, &numeric, end), 0);
        end = &(*end)->ai_next;
    }
    return *ret_list ? 0 : EAI_NONAME;
}

static inline void begin_simulation(const struct place *answers)
{
    memset(sockets, 0, sizeof sockets);
    memset(places, 0, sizeof places);
    for (int i = 0; i < PLACES_MAX && answers[i].address; i++)
        places[i] = answers[i];
    opened = open_now = open_max = 0;
    bind_result = datagram_result = resolve_error = 0;
    reaches_itself = false;
    asks = true;
    now = kernel_real.now();
    simulating = true;
}

static inline void end_simulation(void)
{
    assert_int_equal(open_now, 0);
    simulating = false;
    self()->loop->now = kernel_real.now(); // it was ahead
}

static inline void use_network(void)
{
    use_table();
    table.now = table.now_coarse = fake_now;
    table.socket = fake_socket;
    table.close = fake_close;
    table.setsockopt = fake_setsockopt;
    table.bind = fake_bind;
    table.connect = fake_connect;
    table.getsockname = fake_getsockname;
    table.getpeername = fake_getpeername;
    table.ppoll = fake_ppoll;
    table.epoll_ctl = fake_epoll_ctl;
    table.epoll_wait = fake_epoll_wait;
    table.resolve = fake_resolve;
}
