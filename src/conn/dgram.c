// Datagrams: receiving with all about them, and replying from the address that was asked.

#include "conn/dgram.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "addr/addr.h"
#include "kernel/kernel.h"
#include "wait/failure.h"

// A Unix socket whose owner does not read tells nobody when there is room again.
#define ROOM_RETRY_MIN BELL_MS
#define ROOM_RETRY_MAX (50 * BELL_MS)

// The addresses that go with a datagram. What else the kernel may have to say is left out.
union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static int failed(const char *call, bell_dgram *dgram, ssize_t error, size_t done)
{
    failure_note_done(done);
    return failure_set((int)error, "%s %s", call, bell_dgram_local(dgram));
}

// ---- Making and ending ------------------------------------------------------------------------

// A socket that has one address needs no word of it with each datagram.
static bool has_every_address(const struct sockaddr *address)
{
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)address;
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&ipv6->sin6_addr);
    return address->sa_family == AF_INET && ipv4->sin_addr.s_addr == htonl(INADDR_ANY);
}

static int switch_on(int fd, int level, int name)
{
    static const int one = 1;
    int is_on = 0;
    socklen_t size = sizeof is_on;
    int rc = kernel->getsockopt(fd, level, name, &is_on, &size);
    return rc == 0 && !is_on ? kernel->setsockopt(fd, level, name, &one, sizeof one) : rc;
}

// Of an IPv4 datagram at a socket of both families only IPv4's word tells whether it went to everybody: a
// broadcast address looks like any other.
static int ask_for_ipv4(int fd)
{
    int only = 0;
    socklen_t size = sizeof only;
    int rc = kernel->getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size);
    return rc == 0 && !only ? switch_on(fd, IPPROTO_IP, IP_PKTINFO) : rc;
}

int dgram_ask_for_local(int fd, const struct sockaddr *address)
{
    if (!has_every_address(address))
        return 0;
    if (address->sa_family == AF_INET)
        return switch_on(fd, IPPROTO_IP, IP_PKTINFO);
    int rc = switch_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
    return rc == 0 ? ask_for_ipv4(fd) : rc;
}

int dgram_init(bell_dgram *dgram, int fd)
{
    memset(dgram, 0, sizeof *dgram);
    wait_open(&dgram->endpoint, fd);
    dgram->deadline = BELL_NEVER;
    dgram->bound_size = sizeof dgram->bound;
    int rc = kernel->getsockname(fd, (struct sockaddr *)&dgram->bound, &dgram->bound_size);
    if (rc < 0)
        return rc;
    dgram->is_unix = dgram->bound.ss_family == AF_UNIX;
    dgram->endpoint.is_unixgram = dgram->is_unix;
    dgram->tells_local = has_every_address((const struct sockaddr *)&dgram->bound);
    return dgram_ask_for_local(fd, (const struct sockaddr *)&dgram->bound);
}

void dgram_finish(bell_dgram *dgram)
{
    wait_release(&dgram->endpoint);
    dgram->endpoint.fd = -1;
}

void dgram_stop(bell_dgram *dgram, int64_t drain_until)
{
    dgram->stopping = true;
    dgram->drain_until = drain_until;
    dgram->last_datagrams = drain_until ? DGRAM_LAST : 0;
    if (dgram->endpoint.calls[WAIT_IN])
        wait_cancel(dgram->endpoint.calls[WAIT_IN], -ESHUTDOWN);
    else if (dgram->receiving) // it was woken, and would wait again if there is nothing
        dgram->receiving->deadline = WAIT_NOT;
}

// ---- Receiving --------------------------------------------------------------------------------

static in_port_t port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return ((const struct sockaddr_in6 *)address)->sin6_port;
    return ((const struct sockaddr_in *)address)->sin_port;
}

// For a datagram to a group or to everybody the kernel names another address to reply from, but for one that
// came before it was asked to.
static bool is_to_many(const struct in_pktinfo *info)
{
    return info->ipi_ifindex && info->ipi_addr.s_addr != info->ipi_spec_dst.s_addr;
}

static void note_ipv4(struct bell_datagram *about, const struct in_pktinfo *info, in_port_t port)
{
    struct sockaddr_in *local = (struct sockaddr_in *)&about->local;
    *local =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port, .sin_addr = info->ipi_addr};
    about->local_size = sizeof *local;
    about->interface = (unsigned)info->ipi_ifindex;
    about->to_group =
        addr_is_group((const struct sockaddr *)local, sizeof *local) || is_to_many(info);
}

static void note_ipv6(struct bell_datagram *about, const struct in6_pktinfo *info, in_port_t port)
{
    struct sockaddr_in6 *local = (struct sockaddr_in6 *)&about->local;
    *local = (struct sockaddr_in6){
        .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = info->ipi6_addr};
    if (IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
        local->sin6_scope_id = info->ipi6_ifindex;
    about->local_size = sizeof *local;
    about->interface = info->ipi6_ifindex;
    about->to_group = addr_is_group((const struct sockaddr *)local, sizeof *local);
}

static void note_local(const bell_dgram *dgram, struct msghdr *message, struct bell_datagram *about)
{
    in_port_t port = port_of(&dgram->bound);
    about->interface = 0;
    about->to_group = false;
    about->local_size = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        const struct in_pktinfo *ipv4 = (const struct in_pktinfo *)(const void *)CMSG_DATA(c);
        bool is_ipv4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO;
        if (is_ipv4 && dgram->bound.ss_family == AF_INET6)
            about->to_group |= is_to_many(ipv4); // the rest is in its other word, which comes first
        else if (is_ipv4)
            note_ipv4(about, ipv4, port);
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
            note_ipv6(about, (const struct in6_pktinfo *)(const void *)CMSG_DATA(c), port);
    }
}

static void note_bound(const bell_dgram *dgram, struct bell_datagram *about)
{
    about->interface = 0;
    about->local_size = dgram->bound_size;
    memcpy(&about->local, &dgram->bound, dgram->bound_size);
    about->to_group = addr_is_group((const struct sockaddr *)&about->local, about->local_size);
}

// What somebody's network says of a reply that left earlier is no failure of this socket.
static bool is_about_a_reply(ssize_t error)
{
    switch (error) {
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EPROTO:
        return true;
    default:
        return false;
    }
}

static ssize_t wait_in(bell_dgram *dgram, struct wait_call *call)
{
    bool is_first = !dgram->receiving; // who comes second is refused
    if (is_first)
        dgram->receiving = call;
    ssize_t n = wait_for(call);
    if (is_first)
        dgram->receiving = NULL;
    return n;
}

static ssize_t receive(bell_dgram *dgram, struct msghdr *message)
{
    struct wait_call call = {.kind = WAIT_RECVMSG, .endpoint = &dgram->endpoint, .into = message};
    ssize_t n;
    do {
        bool drains = dgram->stopping;
        if (drains && --dgram->last_datagrams < 0 && kernel->now() >= dgram->drain_until)
            return -ESHUTDOWN;
        call.deadline = drains ? WAIT_NOT : dgram->deadline;
        n = wait_in(dgram, &call);
        if (n == -ETIMEDOUT && dgram->stopping)
            return -ESHUTDOWN;
    } while (n == -ESHUTDOWN || is_about_a_reply(n));
    return n;
}

ssize_t bell_recvfrom(bell_dgram *dgram, void *buf, size_t size, struct bell_datagram *about)
{
    struct iovec piece = {.iov_base = buf, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union control control;
    if (about) {
        message.msg_name = &about->peer;
        message.msg_namelen = sizeof about->peer;
    }
    if (about && dgram->tells_local) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    ssize_t n = receive(dgram, &message);
    if (n < 0)
        return failed("receive at", dgram, n, 0);
    if (about) {
        about->size = (size_t)n;
        about->peer_size = message.msg_namelen;
        if (dgram->tells_local)
            note_local(dgram, &message, about);
        else
            note_bound(dgram, about);
    }
    dgram->received++;
    if (dgram->count)
        dgram->count(dgram, true, (size_t)n);
    if ((size_t)n <= size)
        return n;
    failure_note_done(size);
    return failure_say(-EMSGSIZE,
                       "receive at %s: a datagram of %zd bytes, and there is room for %zu",
                       bell_dgram_local(dgram), n, size);
}

// ---- Sending ----------------------------------------------------------------------------------

// An interface is named only where the address leaves it open: else the routes know better.
static unsigned interface_for(const struct bell_datagram *about)
{
    const struct sockaddr *peer = (const struct sockaddr *)&about->peer;
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&about->peer;
    bool link_local = peer->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&ipv6->sin6_addr);
    return link_local || addr_is_group(peer, about->peer_size) ? about->interface : 0;
}

static void add_control(struct msghdr *message, union control *control, int type, const void *info,
                        size_t size)
{
    memset(control, 0, sizeof *control);
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(size);
    control->head.cmsg_level = type == IP_PKTINFO ? IPPROTO_IP : IPPROTO_IPV6;
    control->head.cmsg_type = type;
    control->head.cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(&control->head), info, size);
}

// From which address of ours, and by which interface.
static void set_origin(const struct bell_datagram *about, struct msghdr *message,
                       union control *control)
{
    unsigned interface = interface_for(about);
    int family = about->local_size && !about->to_group ? about->local.ss_family : AF_UNSPEC;
    if (family == AF_UNSPEC && !interface)
        return;
    if (about->peer.ss_family == AF_INET && family != AF_INET6) {
        struct in_pktinfo info = {.ipi_ifindex = (int)interface};
        if (family == AF_INET)
            info.ipi_spec_dst = ((const struct sockaddr_in *)&about->local)->sin_addr;
        add_control(message, control, IP_PKTINFO, &info, sizeof info);
    } else if (about->peer.ss_family == AF_INET6 && family != AF_INET) {
        struct in6_pktinfo info = {.ipi6_ifindex = interface};
        if (family == AF_INET6)
            info.ipi6_addr = ((const struct sockaddr_in6 *)&about->local)->sin6_addr;
        else if (IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)&about->peer)->sin6_addr))
            memset(&info.ipi6_addr.s6_addr[10], 0xff, 2); // any address, but of IPv4
        add_control(message, control, IPV6_PKTINFO, &info, sizeof info);
    }
}

// A Unix socket that is full makes its senders wait, and no event tells them when it is not; and of two
// tasks that wait for room in our own socket only one can be told.
static ssize_t pause_for_room(const bell_dgram *dgram, int64_t *pause)
{
    int64_t now = kernel->now();
    if (dgram->deadline <= now)
        return -ETIMEDOUT;
    int64_t until = now + *pause;
    *pause = *pause * 2 < ROOM_RETRY_MAX ? *pause * 2 : ROOM_RETRY_MAX;
    return wait_sleep(until < dgram->deadline ? until : dgram->deadline);
}

// One try, since no event tells when there is room: -ENOBUFS when there is none. A backend that waits for
// room in our own socket all the same gets a moment for it.
static ssize_t try_unix(bell_dgram *dgram, struct wait_call *call)
{
    int64_t now = kernel->now();
    if (dgram->deadline <= now)
        return -ETIMEDOUT;
    call->deadline = now + ROOM_RETRY_MIN;
    ssize_t n = wait_for(call);
    return n == -ETIMEDOUT ? -ENOBUFS : n;
}

static ssize_t send_unix(bell_dgram *dgram, struct wait_call *call)
{
    int64_t pause = ROOM_RETRY_MIN;
    ssize_t n = try_unix(dgram, call);
    while ((n == -EBUSY || (n == -ENOBUFS && !dgram->server)) &&
           (n = pause_for_room(dgram, &pause)) == 0)
        n = try_unix(dgram, call);
    return n;
}

static ssize_t send_udp(bell_dgram *dgram, struct wait_call *call)
{
    int64_t pause = ROOM_RETRY_MIN;
    call->deadline = dgram->deadline;
    ssize_t n = wait_for(call);
    while (n == -EBUSY && (n = pause_for_room(dgram, &pause)) == 0)
        n = wait_for(call);
    // The word of an earlier datagram's fate stood in the way of this one, once.
    return is_about_a_reply(n) ? wait_for(call) : n;
}

ssize_t bell_sendto(bell_dgram *dgram, const void *data, size_t size,
                    const struct bell_datagram *about)
{
    union { // sendmsg only reads them
        const void *constant;
        void *base;
    } bytes = {.constant = data}, peer = {.constant = about ? &about->peer : NULL};
    struct iovec piece = {.iov_base = bytes.base, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union control control;
    if (!about || about->peer_size == 0 || about->peer_size > sizeof about->peer) {
        failure_note_done(0);
        return failure_say(-EINVAL, "send from %s: nobody is named to send to",
                           bell_dgram_local(dgram));
    }
    message.msg_name = peer.base;
    message.msg_namelen = about->peer_size;
    if (!dgram->is_unix && (dgram->tells_local || about->interface))
        set_origin(about, &message, &control);
    struct wait_call call = {.kind = WAIT_SENDMSG, .endpoint = &dgram->endpoint, .from = &message};
    ssize_t n = dgram->is_unix ? send_unix(dgram, &call) : send_udp(dgram, &call);
    if (n < 0) {
        char to[ADDR_TEXT_SIZE];
        failure_note_done(0);
        return failure_set((int)n, "send to %s", bell_datagram_peer(about, to, sizeof to));
    }
    if (dgram->count)
        dgram->count(dgram, false, size);
    return n;
}

// ---- What is known of it ----------------------------------------------------------------------

int bell_dgram_deadline(bell_dgram *dgram, int64_t deadline)
{
    dgram->deadline = deadline;
    return 0;
}

const char *bell_dgram_local(bell_dgram *dgram)
{
    if (!dgram)
        return "no socket";
    if (!dgram->text[0])
        (void)addr_print_of(SOCK_DGRAM, (const struct sockaddr *)&dgram->bound, dgram->bound_size,
                            dgram->text, sizeof dgram->text);
    return dgram->text;
}

int bell_dgram_fd(bell_dgram *dgram)
{
    if (!dgram || dgram->endpoint.fd < 0)
        return failed("descriptor of", dgram, -EBADF, 0);
    return dgram->endpoint.fd;
}

uint64_t dgram_dropped(int fd)
{
    uint32_t numbers[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof numbers;
    int rc = fd < 0 ? fd : kernel->getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &size);
    return rc < 0 ? 0 : numbers[SK_MEMINFO_DROPS];
}

uint64_t bell_dgram_dropped(bell_dgram *dgram)
{
    return dgram ? dgram_dropped(dgram->endpoint.fd) : 0;
}

bell_server *bell_dgram_server(bell_dgram *dgram)
{
    return dgram ? dgram->server : NULL;
}

const char *bell_datagram_peer(const struct bell_datagram *about, char *ret_text, size_t size)
{
    (void)addr_print_of(SOCK_DGRAM, (const struct sockaddr *)&about->peer, about->peer_size,
                        ret_text, size);
    return ret_text;
}

const char *bell_datagram_local(const struct bell_datagram *about, char *ret_text, size_t size)
{
    (void)addr_print_of(SOCK_DGRAM, (const struct sockaddr *)&about->local, about->local_size,
                        ret_text, size);
    return ret_text;
}
