// Listening sockets, of an address text.

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "conn/dgram.h"
#include "door/door.h"
#include "door/sctp.h"
#include "door/sockopts.h"
#include "door/udp.h"
#include "kernel/kernel.h"
#include "name/name.h"
#include "wait/failure.h"

// A port that the kernel chose for the first family may be taken in the second one.
enum { PORT_TRIES = 20 };

// What is being opened: shared by the functions below.
struct opening {
    const char *address; // the text, for sentences
    struct addr addr;
    const struct bell_server_options *options;
    bool dgrams; // sockets for datagrams are wanted
    struct listener *list;
    struct listener **end;
    char refused[SOCKOPT_NAME_SIZE]; // the option of the user that the kernel did not take, or ""
};

static int fail(const struct opening *opening, int error)
{
    if (opening->refused[0])
        return failure_set(error, "listen %.300s: socket option %s", opening->address,
                           opening->refused),
               error;
    return failure_set(error, "listen %.300s", opening->address), error;
}

static void close_all(struct opening *opening)
{
    while (opening->list) {
        struct listener *listener = opening->list;
        opening->list = listener->next;
        listener_close(listener, true);
        kernel->release(listener);
    }
    opening->end = &opening->list;
}

static struct listener *new_listener(int fd)
{
    struct listener *listener = kernel->allocate(sizeof *listener);
    if (listener) {
        listener->fd = fd;
        listener->lock_fd = -1;
    }
    return listener;
}

static int set_option(int fd, int level, int name)
{
    static const int one = 1;
    return kernel->setsockopt(fd, level, name, &one, sizeof one);
}

static int backlog_of(const struct opening *opening)
{
    return opening->options->backlog ? opening->options->backlog : SOMAXCONN;
}

// The address as the kernel has it now, with the real port.
static int note_address(struct listener *listener)
{
    listener->is_tcp = wait_is_tcp(listener->fd);
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    int rc = kernel->getsockname(listener->fd, (struct sockaddr *)&bound, &size);
    if (rc == 0)
        (void)addr_print_of(listener->type, (struct sockaddr *)&bound, size, listener->text,
                            sizeof listener->text);
    return rc;
}

// Takes over fd, which is closed on failure.
static int append(struct opening *opening, int fd, struct listener **ret_listener)
{
    struct listener *listener = new_listener(fd);
    if (!listener) {
        (void)kernel->close(fd);
        return -ENOMEM;
    }
    listener->type = opening->addr.type;
    *opening->end = listener;
    opening->end = &listener->next;
    *ret_listener = listener;
    return note_address(listener);
}

// ---- TCP and UDP ------------------------------------------------------------------------------

static int set_tcp_options(struct opening *opening, int fd, const struct sockaddr *address,
                           bool dual)
{
    unsigned flags = opening->options->flags;
    int rc = 0;
    if (!(flags & BELL_NO_REUSEADDR))
        rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (rc == 0 && (flags & BELL_REUSEPORT))
        rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    if (rc == 0 && address->sa_family == AF_INET6) {
        int only = !dual;
        rc = kernel->setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    }
    // Accepted sockets inherit it, and what the user asks for: one call for all of them.
    if (rc == 0)
        rc = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (rc == 0)
        rc = sockopts_set(fd, opening->options->sockopts, opening->refused);
    return rc;
}

static int open_tcp(struct opening *opening, const struct sockaddr *address, socklen_t size,
                    bool dual)
{
    int fd = kernel->socket(address->sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    int rc = set_tcp_options(opening, fd, address, dual);
    if (rc == 0)
        rc = kernel->bind(fd, address, size);
    if (rc == 0)
        rc = kernel->listen(fd, backlog_of(opening));
    if (rc == 0)
        return fd;
    (void)kernel->close(fd);
    return rc;
}

static int listen_inet(struct opening *opening, const struct sockaddr *address, socklen_t size,
                       bool dual)
{
    const struct udp_wish wish = {
        .sockopts = opening->options->sockopts,
        .flags = opening->options->flags,
        .both_families = dual,
        .addr = &opening->addr,
    };
    int fd = opening->addr.type == SOCK_DGRAM ? udp_open(address, size, &wish, opening->refused)
                                              : open_tcp(opening, address, size, dual);
    struct listener *listener;
    return fd < 0 ? fd : append(opening, fd, &listener);
}

static in_port_t *port_of(struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        return &((struct sockaddr_in6 *)(void *)address)->sin6_port;
    return &((struct sockaddr_in *)(void *)address)->sin_port;
}

// Every interface: one IPv6 socket that takes IPv4, too; one for IPv4 where there is no IPv6.
static int listen_everywhere(struct opening *opening, in_port_t port)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = port};
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = port};
    int rc = listen_inet(opening, (struct sockaddr *)&any6, sizeof any6, true);
    if (rc == -EAFNOSUPPORT)
        rc = listen_inet(opening, (struct sockaddr *)&any4, sizeof any4, false);
    return rc;
}

static in_port_t bound_port(const struct listener *listener)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    if (kernel->getsockname(listener->fd, (struct sockaddr *)&bound, &size) < 0)
        return 0;
    return *port_of((struct sockaddr *)&bound);
}

// Listens on each address of the list, on the same port if the first was given one by the kernel.
static int listen_on_list(struct opening *opening, const struct addrinfo *list)
{
    in_port_t chosen = 0;
    int rc = -EADDRNOTAVAIL;
    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        struct sockaddr_storage address;
        memcpy(&address, info->ai_addr, info->ai_addrlen);
        in_port_t *port = port_of((struct sockaddr *)&address);
        if (!*port)
            *port = chosen;
        int one = listen_inet(opening, (struct sockaddr *)&address, info->ai_addrlen, false);
        // A family that this machine does not have is no failure if the other works.
        if (one == -EAFNOSUPPORT || (one == -EADDRNOTAVAIL && opening->list))
            continue;
        if (one < 0)
            return one;
        rc = 0;
        if (!chosen)
            chosen = bound_port(opening->list);
    }
    return opening->list ? 0 : rc;
}

static int listen_on_names(struct opening *opening, const struct addrinfo *list, bool any_port)
{
    int rc = -EADDRINUSE;
    for (int tries = 0; tries < PORT_TRIES && rc == -EADDRINUSE; tries++) {
        close_all(opening);
        rc = listen_on_list(opening, list);
        if (!any_port)
            break;
    }
    return rc;
}

static int family_of(const struct addr *addr, unsigned flags)
{
    if (addr->family == ADDR_V4 || (flags & BELL_IPV4_ONLY))
        return AF_INET;
    if (addr->family == ADDR_V6 || (flags & BELL_IPV6_ONLY))
        return AF_INET6;
    return AF_UNSPEC;
}

static int resolve_failed(const struct opening *opening, const struct addr *addr, int code)
{
    int error = code == EAI_MEMORY ? -ENOMEM : code == EAI_SERVICE ? -EINVAL : -EADDRNOTAVAIL;
    (void)failure_say(error, "listen %.200s: %.100s: %s", opening->address,
                      code == EAI_SERVICE ? addr->port : addr->host, name_reason(code));
    return error;
}

// The resolver knows interfaces behind IPv6 addresses only.
static void host_of(const struct addr *addr, char ret_host[ADDR_HOST_SIZE])
{
    memcpy(ret_host, addr->host, ADDR_HOST_SIZE);
    if (addr->family == ADDR_V4)
        ret_host[strcspn(ret_host, "%")] = '\0';
}

// A server starts with this, before it has callers who would have to wait: so the resolver is asked
// here and now. (A helper thread would also be one thread too many for the models that fork.)
static int listen_host(struct opening *opening, const struct addr *addr)
{
    struct addrinfo hints = {
        .ai_family = family_of(addr, opening->options->flags),
        .ai_socktype = addr->type,
        .ai_flags = AI_PASSIVE,
    };
    char host[ADDR_HOST_SIZE];
    host_of(addr, host);
    struct addrinfo *list = NULL;
    int code = kernel->resolve(addr->wildcard ? NULL : host, addr->port, &hints, &list);
    if (code != 0)
        return resolve_failed(opening, addr, code);
    in_port_t port = *port_of(list->ai_addr);
    int rc;
    if (addr->wildcard && hints.ai_family == AF_UNSPEC)
        rc = listen_everywhere(opening, port);
    else
        rc = listen_on_names(opening, list, port == 0);
    kernel->resolve_free(list);
    return rc < 0 ? fail(opening, rc) : 0;
}

// Loopback is both families whatever /etc/hosts says of localhost.
static int listen_loopback(struct opening *opening, const struct addr *addr)
{
    struct addr both = *addr;
    struct addrinfo hints = {.ai_socktype = addr->type};
    hints.ai_family = family_of(addr, opening->options->flags);
    struct addrinfo *list = NULL;
    int code = kernel->resolve(NULL, both.port, &hints, &list);
    if (code != 0)
        return resolve_failed(opening, addr, code);
    int rc = listen_on_names(opening, list, *port_of(list->ai_addr) == 0);
    kernel->resolve_free(list);
    return rc < 0 ? fail(opening, rc) : 0;
}

// ---- Unix sockets -----------------------------------------------------------------------------

static int bind_unix(int fd, const struct addr *addr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, addr->path, addr->path_size);
    size_t size = offsetof(struct sockaddr_un, sun_path) + addr->path_size;
    return kernel->bind(fd, (struct sockaddr *)&address, (socklen_t)size);
}

static bool somebody_answers(const struct addr *addr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, addr->path, addr->path_size);
    int fd = kernel->socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return true; // better to refuse than to take a living server's file away
    size_t size = offsetof(struct sockaddr_un, sun_path) + addr->path_size;
    int rc = kernel->connect(fd, (struct sockaddr *)&address, (socklen_t)size);
    (void)kernel->close(fd);
    return rc != -ECONNREFUSED && rc != -ENOENT;
}

// Two servers that start at once over the file of a dead one must not take each other's away: the
// lock beside it is held as long as the server lives.
static int lock_path(const struct addr *addr)
{
    char path[sizeof addr->path + 8];
    (void)snprintf(path, sizeof path, "%s.lock", addr->path);
    for (;;) {
        int fd = kernel->lock_file(path);
        if (fd < 0)
            return fd == -EWOULDBLOCK ? -EADDRINUSE : fd;
        // It may have been unlinked between opening and locking, by a server that ended.
        if (kernel->same_file(fd, path) == 1)
            return fd;
        (void)kernel->close(fd);
    }
}

static int bind_path(int fd, const struct addr *addr)
{
    uint64_t id[2];
    int rc = bind_unix(fd, addr);
    if (rc != -EADDRINUSE)
        return rc;
    if (kernel->socket_file(addr->path, id) < 0 || somebody_answers(addr))
        return -EADDRINUSE;
    rc = kernel->unlink(addr->path);
    return rc < 0 ? rc : bind_unix(fd, addr);
}

// Gives up what was opened of a Unix listener so far. `bound`: the socket file is ours. The lock's goes
// while it is locked, or it could be that of the next one already.
static void give_up_path(const struct addr *addr, int fd, int lock_fd, bool bound)
{
    char lock[sizeof addr->path + 8];
    (void)snprintf(lock, sizeof lock, "%s.lock", addr->path);
    if (bound && addr->path[0])
        (void)kernel->unlink(addr->path);
    if (fd >= 0)
        (void)kernel->close(fd);
    if (lock_fd < 0)
        return;
    (void)kernel->unlink(lock);
    (void)kernel->close(lock_fd);
}

static int listen_on_path(struct opening *opening, const struct addr *addr)
{
    bool abstract = addr->path[0] == 0, bound = false;
    int lock_fd = abstract ? -1 : lock_path(addr);
    if (lock_fd < 0 && !abstract)
        return lock_fd;
    int fd = kernel->socket(AF_UNIX, addr->type, 0);
    int rc = fd < 0 ? fd : sockopts_set(fd, opening->options->sockopts, opening->refused);
    struct listener *listener = NULL;
    if (rc == 0) {
        rc = abstract ? bind_unix(fd, addr) : bind_path(fd, addr);
        bound = rc == 0;
    }
    if (rc == 0 && addr->type != SOCK_DGRAM)
        rc = kernel->listen(fd, backlog_of(opening));
    if (rc < 0) {
        give_up_path(addr, fd, lock_fd, bound);
        return rc;
    }
    rc = append(opening, fd, &listener);
    if (!listener) {
        give_up_path(addr, -1, lock_fd, bound);
    } else if (!abstract) {
        listener->lock_fd = lock_fd;
        memcpy(listener->path, addr->path, sizeof listener->path);
        (void)kernel->socket_file(addr->path, listener->file_id);
    }
    return rc;
}

static int listen_unix(struct opening *opening, const struct addr *addr)
{
    int rc = listen_on_path(opening, addr);
    return rc < 0 ? fail(opening, rc) : 0;
}

// ---- Inherited --------------------------------------------------------------------------------

// Whether a descriptor is a socket that can be served: streams and seqpacket listen, datagrams are bound.
static int check_inherited(const struct opening *opening, int fd, int *ret_type)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    int rc = kernel->getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
    if (rc == -EBADF)
        return failure_say(rc, "listen %.100s: no such descriptor is open", opening->address), rc;
    if (rc < 0)
        return fail(opening, rc);
    size = sizeof *ret_type;
    rc = kernel->getsockopt(fd, SOL_SOCKET, SO_TYPE, ret_type, &size);
    if (rc < 0)
        return fail(opening, rc);
    bool fits = *ret_type == SOCK_DGRAM ? opening->dgrams : listens && !opening->dgrams;
    if (fits)
        return 0;
    (void)failure_say(-EINVAL, "listen %.100s: it is not a %s socket", opening->address,
                      opening->dgrams ? "datagram" : "listening stream");
    return -EINVAL;
}

static int listen_inherited(struct opening *opening, const struct addr *addr)
{
    int rc = check_inherited(opening, addr->fd, &opening->addr.type);
    if (rc < 0)
        return rc;
    rc = kernel->set_flags(addr->fd);
    if (rc == 0)
        rc = sockopts_set(addr->fd, opening->options->sockopts, opening->refused);
    if (rc < 0)
        return fail(opening, rc);
    struct listener *listener = NULL;
    rc = append(opening, addr->fd, &listener);
    if (listener)
        listener->inherited = true;
    return rc < 0 ? fail(opening, rc) : 0;
}

// ---- All of them ------------------------------------------------------------------------------

// A server has either callers or datagrams.
static int check_type(const struct opening *opening)
{
    if (opening->addr.scheme == ADDR_FD || (opening->addr.type == SOCK_DGRAM) == opening->dgrams)
        return 0;
    (void)failure_say(-EINVAL,
                      opening->dgrams
                          ? "listen %.100s: for datagrams it is udp:, unixgram: or fd:"
                          : "listen %.100s: datagrams have no callers: bell_serve_dgram",
                      opening->address);
    return -EINVAL;
}

static int open_listeners(struct opening *opening)
{
    const struct addr *addr = &opening->addr;
    if (addr->scheme == ADDR_UNIX)
        return listen_unix(opening, addr);
    if (addr->scheme == ADDR_FD)
        return listen_inherited(opening, addr);
    return addr->loopback_default ? listen_loopback(opening, addr) : listen_host(opening, addr);
}

int listener_open(const char *address, const struct bell_server_options *options, bool dgrams,
                  struct listener **ret_list)
{
    struct opening opening = {.address = address, .options = options, .dgrams = dgrams};
    opening.end = &opening.list;
    char why[256];
    int rc = addr_parse(address, &opening.addr, why, sizeof why);
    if (rc == -ESOCKTNOSUPPORT) {
        (void)sctp_refuse("listen", address);
        return -errno;
    }
    if (rc < 0) {
        (void)failure_say(rc, "listen %.100s: %s", address, why);
        return rc;
    }
    rc = check_type(&opening);
    if (rc == 0)
        rc = open_listeners(&opening);
    if (rc < 0) {
        close_all(&opening);
        return rc;
    }
    *ret_list = opening.list;
    return 0;
}

void listener_shut(const struct listener *listener)
{
    if (!listener->inherited && listener->fd >= 0 && listener->type != SOCK_DGRAM)
        (void)kernel->shutdown(listener->fd, SHUT_RDWR);
}

void listener_shrink_queue(const struct listener *listener)
{
    if (!listener->inherited && listener->fd >= 0 && listener->type != SOCK_DGRAM)
        (void)kernel->listen(listener->fd, 0);
}

static void remove_socket_file(const struct listener *listener)
{
    uint64_t id[2];
    if (kernel->socket_file(listener->path, id) == 0 && !memcmp(id, listener->file_id, sizeof id))
        (void)kernel->unlink(listener->path);
    char lock[sizeof listener->path + 8];
    (void)snprintf(lock, sizeof lock, "%s.lock", listener->path);
    (void)kernel->unlink(lock);
}

void listener_close(struct listener *listener, bool owner)
{
    if (listener->fd < 0)
        return;
    if (listener->type == SOCK_DGRAM)
        listener->dropped = dgram_dropped(listener->fd);
    if (owner && listener->path[0])
        remove_socket_file(listener);
    (void)kernel->close(listener->fd);
    listener->fd = -1;
    if (listener->lock_fd >= 0)
        (void)kernel->close(listener->lock_fd);
    listener->lock_fd = -1;
}
