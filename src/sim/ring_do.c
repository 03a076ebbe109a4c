// What the operations of a ring do. Those that cannot be carried out yet wait for their file.

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "sim/ring.h"
#include "sim/tcp.h"

enum { PIECES_MOST = 64 };

// Addresses of the program's memory, as an operation writes them.
static void *memory_at(uint64_t address)
{
    return (void *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr): the kernel's interface
}

static struct socket_file *socket_of_operation(const struct operation *operation)
{
    return (struct socket_file *)(void *)operation->file;
}

// ---- What is known ------------------------------------------------------------------------------

static const struct {
    unsigned char code;
    bool is_socket; // its descriptor is
    unsigned events;
    unsigned ways; // of sqe.ioprio
    const char *name;
} kinds[] = {
    {IORING_OP_NOP, false, 0, 0, "nop"},
    {IORING_OP_ACCEPT, true, EPOLLIN, IORING_ACCEPT_MULTISHOT, "accept"},
    {IORING_OP_RECV, true, EPOLLIN | EPOLLRDHUP, IORING_RECV_MULTISHOT, "recv"},
    {IORING_OP_RECVMSG, true, EPOLLIN | EPOLLRDHUP, 0, "recvmsg"},
    {IORING_OP_SEND, true, EPOLLOUT, 0, "send"},
    {IORING_OP_SENDMSG, true, EPOLLOUT, 0, "sendmsg"},
    {IORING_OP_CONNECT, true, EPOLLOUT, 0, "connect"},
    {IORING_OP_POLL_ADD, false, 0, 0, "poll"},
    {IORING_OP_POLL_REMOVE, false, 0, 0, "poll_remove"},
    {IORING_OP_ASYNC_CANCEL, false, 0, 0, "cancel"},
    {IORING_OP_CLOSE, false, 0, 0, "close"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static unsigned kind_of(const struct operation *operation)
{
    unsigned i = 0;
    while (i < KINDS && kinds[i].code != operation->sqe.opcode)
        i++;
    return i;
}

const char *operation_name(const struct operation *operation)
{
    unsigned kind = kind_of(operation);
    return kind < KINDS ? kinds[kind].name : "?";
}

// The ring of the system refuses some of these with EACCES or EINVAL; nobody means to be refused.
static void refuse_unknown(const struct operation *operation)
{
    const struct io_uring_sqe *sqe = &operation->sqe;
    const unsigned flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    unsigned kind = kind_of(operation);
    const char *owner = operation->ring->file.owner->name;
    if (kind == KINDS)
        world_fail("%s: operation %d of a ring is not simulated", owner, sqe->opcode);
    if (sqe->flags & ~flags)
        world_fail("%s: %s with flags %#x: not simulated", owner, kinds[kind].name, sqe->flags);
    if (sqe->ioprio & ~kinds[kind].ways)
        world_fail("%s: %s with ioprio %#x: not simulated", owner, kinds[kind].name, sqe->ioprio);
    if (sqe->personality || (sqe->file_index && sqe->opcode != IORING_OP_SEND))
        world_fail("%s: %s with a registered file: not simulated", owner, kinds[kind].name);
    if (sqe->opcode == IORING_OP_POLL_ADD && sqe->len & ~(unsigned)IORING_POLL_ADD_MULTI)
        world_fail("%s: poll with flags %#x: not simulated", owner, sqe->len);
    if (sqe->opcode == IORING_OP_POLL_REMOVE && sqe->len)
        world_fail("%s: a poll that is changed: not simulated", owner);
    bool selects = sqe->flags & IOSQE_BUFFER_SELECT;
    if (selects && sqe->opcode != IORING_OP_RECV && sqe->opcode != IORING_OP_RECVMSG)
        world_fail("%s: %s with a buffer of a group", owner, kinds[kind].name);
}

// The kernel has its own copies of what describes the bytes, but not of the bytes.
static int copy_message(struct operation *operation)
{
    const struct msghdr *from = memory_at(operation->sqe.addr);
    if (from->msg_iovlen > PIECES_MOST)
        return -EMSGSIZE;
    size_t pieces = from->msg_iovlen * sizeof(struct iovec);
    struct msghdr *copy =
        world_take(sizeof *copy + pieces + from->msg_namelen + from->msg_controllen);
    *copy = *from;
    copy->msg_iov = (struct iovec *)(copy + 1);
    char *end = (char *)(copy + 1) + pieces;
    if (pieces)
        memcpy(copy->msg_iov, from->msg_iov, pieces);
    if (from->msg_controllen)
        copy->msg_control = memcpy(end, from->msg_control, from->msg_controllen);
    if (from->msg_name)
        copy->msg_name = memcpy(end + from->msg_controllen, from->msg_name, from->msg_namelen);
    operation->message = copy;
    return 0;
}

static int copy_address(struct operation *operation)
{
    size_t size = operation->sqe.off;
    if (size > sizeof operation->address)
        return -EINVAL;
    memcpy(&operation->address, memory_at(operation->sqe.addr), size);
    return 0;
}

static bool is_multishot(const struct operation *operation)
{
    const struct io_uring_sqe *sqe = &operation->sqe;
    return sqe->opcode == IORING_OP_POLL_ADD ? (sqe->len & IORING_POLL_ADD_MULTI) != 0
                                             : sqe->ioprio != 0;
}

static bool needs_file(const struct operation *operation)
{
    unsigned char code = operation->sqe.opcode;
    return kinds[kind_of(operation)].is_socket || code == IORING_OP_POLL_ADD;
}

static int hold_file(struct operation *operation)
{
    unsigned kind = kind_of(operation);
    struct file *file = file_of(operation->sqe.fd);
    if (!file)
        return -EBADF;
    if (kinds[kind].is_socket && file->ops != &socket_file_ops)
        return -ENOTSOCK;
    if (file == &operation->ring->file)
        world_fail("%s: a ring that watches itself: not simulated",
                   operation->ring->file.owner->name);
    file_hold(file);
    operation->file = file;
    operation->watch.events = operation->sqe.opcode == IORING_OP_POLL_ADD
                                  ? operation->sqe.poll32_events | EPOLLRDHUP // unasked
                                  : kinds[kind].events;
    return 0;
}

int operation_begin(struct operation *operation)
{
    const struct io_uring_sqe *sqe = &operation->sqe;
    refuse_unknown(operation);
    int rc = needs_file(operation) ? hold_file(operation) : 0;
    if (rc < 0)
        return rc;
    if (sqe->opcode == IORING_OP_RECV && is_multishot(operation) &&
        (sqe->msg_flags & MSG_WAITALL || !(sqe->flags & IOSQE_BUFFER_SELECT)))
        return -EINVAL;
    if (sqe->opcode == IORING_OP_CONNECT)
        return copy_address(operation);
    if (sqe->opcode == IORING_OP_SENDMSG)
        return copy_message(operation);
    return 0;
}

// ---- Receiving ----------------------------------------------------------------------------------

// Takes from a connection what it has, or what there is room for.
static ssize_t receive(struct operation *operation, void *into, size_t size)
{
    struct iovec piece = {into, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    struct socket_file *socket = socket_of_operation(operation);
    int flags = (int)operation->sqe.msg_flags;
    return socket->ops->receive(socket, &message, flags & ~(MSG_DONTWAIT | MSG_WAITALL));
}

// MSG_WAITALL: goes on where the last try ended.
static ssize_t receive_into(struct operation *operation)
{
    char *into = memory_at(operation->sqe.addr);
    size_t size = operation->sqe.len;
    for (;;) {
        ssize_t n = receive(operation, into + operation->done, size - operation->done);
        bool is_all = (operation->sqe.msg_flags & (MSG_WAITALL | MSG_PEEK)) != MSG_WAITALL ||
                      n <= 0 || socket_of_operation(operation)->type != SOCK_STREAM;
        if (n > 0)
            operation->done += (size_t)n;
        if (is_all || operation->done == size)
            return operation->done > 0 && n != -EAGAIN ? (ssize_t)operation->done : n;
    }
}

static struct ring_group *group_of(const struct operation *operation)
{
    unsigned number = operation->sqe.buf_group;
    return number < RING_GROUPS ? &operation->ring->groups[number] : NULL;
}

// Is something left, as far as Linux knows: the end counts, too. Of others than TCP it does not know.
static bool has_more(const struct operation *operation, bool *ret_known)
{
    const struct socket_file *socket = socket_of_operation(operation);
    *ret_known = socket->tcp != NULL;
    return socket->tcp && (socket->tcp->in.size > 0 || socket->shut_read);
}

// A buffer of the group, and the bytes in it. *ret_flags says which one; an empty one stays in its group.
static ssize_t receive_selected(struct operation *operation, unsigned *ret_flags)
{
    struct ring_group *group = group_of(operation);
    bool known;
    if (!group || group->filled == 0 || world_chance(world.faults.ring_buffers))
        return -ENOBUFS;
    const struct ring_buffer *buffer = &group->buffers[group->first];
    size_t room = buffer->size;
    if (operation->sqe.len > 0 && operation->sqe.len < room)
        room = operation->sqe.len;
    ssize_t n;
    if (operation->sqe.opcode == IORING_OP_RECVMSG) {
        struct msghdr *header = memory_at(operation->sqe.addr);
        struct iovec piece = {buffer->memory, buffer->size};
        struct msghdr message = *header;
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        n = socket_of_operation(operation)->ops->receive(socket_of_operation(operation), &message,
                                                         (int)operation->sqe.msg_flags &
                                                             ~MSG_DONTWAIT);
        header->msg_namelen = message.msg_namelen;
        header->msg_controllen = message.msg_controllen;
        header->msg_flags = message.msg_flags;
    } else {
        n = receive(operation, buffer->memory, room);
    }
    if (n <= 0)
        return n;
    *ret_flags = IORING_CQE_F_BUFFER | buffer->id << IORING_CQE_BUFFER_SHIFT;
    group->first = (group->first + 1) % group->count;
    group->filled--;
    // A hint that need not come.
    if (has_more(operation, &known) && !world_chance(world.faults.ring_late))
        *ret_flags |= IORING_CQE_F_SOCK_NONEMPTY;
    return n;
}

static ssize_t do_recvmsg(struct operation *operation)
{
    struct socket_file *socket = socket_of_operation(operation);
    int flags = (int)operation->sqe.msg_flags & ~(MSG_DONTWAIT | MSG_WAITALL);
    return socket->ops->receive(socket, memory_at(operation->sqe.addr), flags);
}

// ---- Sending ------------------------------------------------------------------------------------

static ssize_t send_part(struct operation *operation)
{
    const struct io_uring_sqe *sqe = &operation->sqe;
    struct socket_file *socket = socket_of_operation(operation);
    struct iovec piece = {(char *)memory_at(sqe->addr) + operation->done,
                          sqe->len - operation->done};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (sqe->addr2) {
        message.msg_name = memory_at(sqe->addr2);
        message.msg_namelen = sqe->file_index & 0xffff; // addr_len lies there
    }
    const struct msghdr *what = operation->message ? operation->message : &message;
    return socket->ops->send(socket, what, (int)sqe->msg_flags);
}

static ssize_t do_send(struct operation *operation)
{
    const struct io_uring_sqe *sqe = &operation->sqe;
    bool all = sqe->msg_flags & MSG_WAITALL && sqe->opcode == IORING_OP_SEND;
    for (;;) {
        ssize_t n = send_part(operation);
        if (n == -EPIPE && !(sqe->msg_flags & MSG_NOSIGNAL))
            world_fail("%s: %s without MSG_NOSIGNAL to who is gone: SIGPIPE would end it",
                       operation->ring->file.owner->name, operation_name(operation));
        if (!all || n == -EAGAIN)
            return n;
        if (n < 0)
            return operation->done ? (ssize_t)operation->done : n;
        operation->done += (size_t)n;
        if (operation->done == sqe->len)
            return (ssize_t)operation->done;
    }
}

// ---- The others ---------------------------------------------------------------------------------

static ssize_t do_accept(struct operation *operation)
{
    return socket_accept_caller(socket_of_operation(operation), memory_at(operation->sqe.addr),
                                memory_at(operation->sqe.addr2));
}

static ssize_t do_connect(struct operation *operation)
{
    struct socket_file *socket = socket_of_operation(operation);
    int rc = socket->ops->connect(socket, (struct sockaddr *)&operation->address,
                                  (socklen_t)operation->sqe.off);
    bool was_begun = operation->begun;
    operation->begun = true;
    if (rc == -EINPROGRESS || (rc == -EALREADY && was_begun))
        return -EAGAIN;
    return rc == -EISCONN && was_begun ? 0 : rc;
}

static ssize_t do_poll(struct operation *operation)
{
    unsigned wanted = operation->watch.events | EPOLLERR | EPOLLHUP;
    unsigned events = file_poll(operation->file) & wanted;
    return events ? (ssize_t)events : -EAGAIN;
}

// One try. -EAGAIN: it must wait.
static ssize_t try_once(struct operation *operation, unsigned *ret_flags)
{
    const struct io_uring_sqe *sqe = &operation->sqe;
    if (sqe->flags & IOSQE_BUFFER_SELECT)
        return receive_selected(operation, ret_flags);
    switch (sqe->opcode) {
    case IORING_OP_ACCEPT:
        return do_accept(operation);
    case IORING_OP_RECV:
        return receive_into(operation);
    case IORING_OP_RECVMSG:
        return do_recvmsg(operation);
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
        return do_send(operation);
    case IORING_OP_CONNECT:
        return do_connect(operation);
    case IORING_OP_POLL_ADD:
        return do_poll(operation);
    case IORING_OP_POLL_REMOVE:
    case IORING_OP_ASYNC_CANCEL:
        return operation_cancel_others(operation);
    case IORING_OP_CLOSE:
        return file_close(sqe->fd);
    default:
        return 0;
    }
}

static bool may_wait(const struct operation *operation)
{
    unsigned char code = operation->sqe.opcode;
    bool transfers = code == IORING_OP_RECV || code == IORING_OP_RECVMSG ||
                     code == IORING_OP_SEND || code == IORING_OP_SENDMSG;
    return !transfers || !(operation->sqe.msg_flags & MSG_DONTWAIT);
}

static void wait_for_file(struct operation *operation)
{
    if (!list_is_linked(&operation->watch.node))
        list_append(&operation->file->watches, &operation->watch.node);
    // A queue of callers that is full tells nobody when it is not.
    if (operation->sqe.opcode == IORING_OP_CONNECT && operation->sqe.fd >= 0 &&
        socket_of_operation(operation)->family == AF_UNIX)
        operation_is_due(operation, SIM_MS);
}

// Does an operation of many ends have one more, after this result?
static bool goes_on(struct operation *operation, ssize_t n, unsigned flags)
{
    bool is_last = n < 0 || (operation->sqe.opcode == IORING_OP_RECV && n == 0) ||
                   operation->tries_once || world_chance(world.faults.ring_ends);
    return is_multishot(operation) && !is_last &&
           operation_tell(operation, (int)n, flags | IORING_CQE_F_MORE);
}

// Whether it is worth trying at once: else its file tells.
static bool tries_again(const struct operation *operation, unsigned flags)
{
    bool known;
    if (operation->sqe.opcode == IORING_OP_POLL_ADD)
        return false;
    if (operation->sqe.opcode == IORING_OP_ACCEPT)
        return true;
    return has_more(operation, &known) || !known || flags & IORING_CQE_F_SOCK_NONEMPTY;
}

bool operation_carry_out(struct operation *operation)
{
    bool dies = operation->dies && !operation->tries_once;
    ssize_t n = -EAGAIN;
    unsigned flags;
    do {
        flags = 0;
        n = dies ? -EAGAIN : try_once(operation, &flags);
        if (n != -EAGAIN && !goes_on(operation, n, flags)) {
            operation_end(operation, (int)n, flags);
            return true;
        }
    } while (n != -EAGAIN && tries_again(operation, flags));
    if (dies || operation->tries_once)
        operation_die(operation);
    else if (may_wait(operation))
        wait_for_file(operation);
    else
        operation_end(operation, -EAGAIN, 0);
    return false;
}
