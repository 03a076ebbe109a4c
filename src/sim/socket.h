// Sockets: what all of them share, and the calls on them.

#pragma once

#include <sys/un.h>

#include "sim/file.h"
#include "sim/net.h"
#include "sim/sim.h"

// Bytes in order, of which the first are taken and to which more are added.
struct bytes {
    char *data;
    size_t room, begin, size;
};

void bytes_add(struct bytes *bytes, const void *data, size_t size);
void bytes_skip(struct bytes *bytes, size_t size);
void bytes_free(struct bytes *bytes);
static inline const char *bytes_at(const struct bytes *bytes, size_t offset)
{
    return bytes->data + bytes->begin + offset;
}

// The name of a Unix socket: as in sockaddr_un.
struct local_name {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    size_t size; // bytes of it that count; 0: it has none
};

// A message that waits to be received.
struct message {
    struct list node;
    struct place from, to;
    struct local_name name;      // of the sender
    struct socket_file *charged; // whose room it takes: the sender, of Unix datagrams; or NULL
    size_t size;
    char data[];
};

struct tcp;

struct socket_file {
    struct file file;
    const struct socket_ops *ops;
    struct host *host;
    int family, type, protocol;
    int error; // pending, >= 0
    bool shut_read, shut_write;
    bool listening;
    int backlog;
    struct list queue; // of a listener: tcp or Unix sockets that are not accepted yet
    int queued;
    struct list in_queue; // of a Unix socket that is in such a queue
    // Options.
    bool reuse_address, reuse_port, only_ipv6, nodelay, keepalive, broadcast, timestamps,
        tells_local;
    bool lingers;
    int linger;
    int send_room, receive_room;
    size_t squeezed; // a send moved fewer bytes than it could: what is unsent then is all its room,
                     // until it is writable again; 0: it has send_room
    int64_t user_timeout, keep_idle, keep_interval;
    int keep_count;
    struct list options; // those that mean nothing here: they are kept as they were set

    // Of the internet.
    struct list bound; // in host->sockets
    struct place local, peer;
    bool is_bound, is_connected;
    bool told_connected; // connect(2) has said so
    struct tcp *tcp;
    int64_t last_arrival;

    // Of Unix sockets.
    struct local_name name, peer_name;
    struct socket_file *other; // the other end; NULL when it has gone
    bool had_other;
    struct bytes in;
    struct list messages; // and of UDP
    size_t messages_size;
    uint64_t dropped;
    size_t out_size; // bytes of ours that lie unread at others'
};

struct socket_ops {
    const char *name;
    unsigned (*poll)(struct socket_file *socket);
    void (*close)(struct socket_file *socket);
    int (*bind)(struct socket_file *socket, const struct sockaddr *address, socklen_t size);
    int (*connect)(struct socket_file *socket, const struct sockaddr *address, socklen_t size);
    int (*listen)(struct socket_file *socket, int backlog);
    int (*accept)(struct socket_file *socket, struct socket_file **ret_socket);
    ssize_t (*receive)(struct socket_file *socket, struct msghdr *message, int flags);
    ssize_t (*send)(struct socket_file *socket, const struct msghdr *message, int flags);
    int (*shutdown)(struct socket_file *socket, int how);
    int (*name_of)(struct socket_file *socket, bool peer, struct sockaddr *ret_address,
                   socklen_t *size);
};

extern const struct socket_ops tcp_socket_ops, udp_socket_ops, local_socket_ops;
extern const struct file_ops socket_file_ops;

// ---- socket.c
struct socket_file *socket_new(struct host *host, int family, int type, int protocol);
int socket_open(int family, int type, int protocol);
int socket_pair(int family, int type, int ret_fds[2]);
struct socket_file *socket_of(int fd, int *ret_error);
int socket_bind(int fd, const struct sockaddr *address, socklen_t size);
int socket_listen(int fd, int backlog);
int socket_accept(int fd, struct sockaddr *ret_peer, socklen_t *size);
int socket_accept_caller(struct socket_file *listener, struct sockaddr *ret_peer, socklen_t *size);
int socket_connect(int fd, const struct sockaddr *address, socklen_t size);
int socket_shutdown(int fd, int how);
int socket_name(int fd, bool peer, struct sockaddr *ret_address, socklen_t *size);
ssize_t socket_receive(int fd, struct msghdr *message, int flags);
ssize_t socket_send(int fd, const struct msghdr *message, int flags);
ssize_t socket_sendfile(int fd, int file, off_t *offset, size_t count);
// Takes the pending error: negative, or 0.
int socket_take_error(struct socket_file *socket);
// How many bytes a call moves when it could move `size`.
size_t socket_part(size_t size);
// How many bytes a stream takes of `size`, when so many lie unsent already: 0 when there is no room.
// It takes fewer than it could only when it has no room for more, as on a real system; so whoever
// sends the rest has to wait, and others run meanwhile.
size_t socket_take_room(struct socket_file *socket, size_t size, size_t unsent, bool is_writable);
// How many bytes may lie unsent, or unread at the other end of a Unix socket.
static inline size_t socket_send_room(const struct socket_file *socket)
{
    return socket->squeezed ? socket->squeezed : (size_t)socket->send_room;
}

size_t message_size(const struct msghdr *message);
void message_gather(const struct msghdr *message, void *into, size_t size);
void message_scatter(const struct msghdr *message, const void *data, size_t size);

// ---- option.c
int option_set(int fd, int level, int name, const void *value, socklen_t size);
int option_get(int fd, int level, int name, void *ret_value, socklen_t *size);
void option_forget_all(struct socket_file *socket);
void option_inherit(struct socket_file *socket, const struct socket_file *from);

// ---- inet.c: ports, for TCP and UDP
int inet_bind(struct socket_file *socket, const struct sockaddr *address, socklen_t size);
// Gives it a local address for a peer.
int inet_choose_local(struct socket_file *socket, const struct place *peer);
void inet_unbind(struct socket_file *socket);
int inet_name_of(struct socket_file *socket, bool peer, struct sockaddr *ret_address,
                 socklen_t *size);
// Does what comes to `place` go to this socket?
bool inet_takes(const struct socket_file *socket, const struct place *place);

// ---- local.c: files of Unix sockets
int local_lock_file(const char *text);
int local_same_file(int fd, const char *text);
int local_socket_file(const char *text, uint64_t ret_id[2]);
int local_unlink(const char *text);
int local_pair(struct socket_file *one, struct socket_file *other);
