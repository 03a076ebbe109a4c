#include "fake_kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"

enum { FIRST = 3, MOST = 64, QUEUE_MAX = 16 };

enum kind { FREE, EVENTFD, EPOLL, TIMER, SOCKET, LISTENER };

// What one epoll instance wants to know of a file.
struct interest {
    int epoll; // 0: nobody
    bool edge; // something has happened since it was told last
    uint32_t events;
    uint64_t mark;
};

struct file {
    enum kind kind;
    unsigned id;
    uint64_t number;               // of an eventfd
    size_t arrived, read;          // bytes of a socket, from the beginning
    size_t room, written;          // the same
    unsigned writes;               // whose bytes are to be written
    bool ended, reset, told, shut; // by the other end; a reset was told; by us
    bool is_inet;
    size_t waiting, queue_max; // callers of a listener
    int64_t due;               // of a timer
    struct interest interests[2];
};

static struct file files[MOST];
static int top; // above all that were ever open
static struct kernel_ops table;
static unsigned next_id, order_first, order_most, allocations_left, accepted, turned_away;
static int accept_error;
static bool allocation_fails, ran_out;
static long allocated;
static int64_t now;

static void blame(const char *what, int fd)
{
    fprintf(stderr, "fake kernel: %s, descriptor %d\n", what, fd);
    abort();
}

static struct file *file_of(int fd)
{
    if (fd < FIRST || fd >= MOST || files[fd].kind == FREE)
        blame("a call on what is not open", fd);
    return &files[fd];
}

static struct file *socket_of(int fd)
{
    struct file *file = file_of(fd);
    if (file->kind != SOCKET)
        blame("a call on what is no socket", fd);
    return file;
}

static int open_file(enum kind kind)
{
    int fd = FIRST;
    while (fd < MOST && files[fd].kind != FREE)
        fd++;
    if (fd == MOST) {
        ran_out = true;
        return -EMFILE;
    }
    files[fd] = (struct file){.kind = kind, .id = next_id++};
    top = fd >= top ? fd + 1 : top;
    return fd;
}

static void note_edge(struct file *file)
{
    for (int i = 0; i < 2; i++)
        file->interests[i].edge = true;
}

// ---- What the other end does --------------------------------------------------------------------

static struct file *far_end(int fd)
{
    static struct file nobody;
    struct file *file = fd >= FIRST && fd < MOST && files[fd].kind == SOCKET ? &files[fd] : &nobody;
    note_edge(file);
    return file;
}

// Every other one is of TCP.
int fake_connected(void)
{
    int fd = open_file(SOCKET);
    if (fd < 0)
        return fd;
    files[fd].writes = files[fd].id + FAKE_OUT;
    files[fd].is_inet = files[fd].id % 2;
    return fd;
}

void fake_arrive(int fd, size_t count)
{
    struct file *file = far_end(fd);
    if (!file->ended && !file->reset)
        file->arrived += count;
}

void fake_end(int fd)
{
    far_end(fd)->ended = true;
}

void fake_reset(int fd)
{
    far_end(fd)->reset = true;
}

void fake_make_room(int fd, size_t count)
{
    far_end(fd)->room += count;
}

void fake_pass_time(int64_t ns)
{
    now += ns;
}

void fake_call(void)
{
    for (int fd = FIRST; fd < top; fd++) {
        struct file *file = &files[fd];
        if (file->kind != LISTENER || file->shut || file->waiting >= file->queue_max)
            continue;
        file->waiting++;
        note_edge(file);
    }
}

void fake_fail_accept(int error)
{
    accept_error = error;
}

int fake_socket(unsigned number)
{
    int sockets[MOST], count = 0;
    for (int fd = FIRST; fd < top; fd++)
        if (files[fd].kind == SOCKET)
            sockets[count++] = fd;
    return count ? sockets[number % (unsigned)count] : -1;
}

void fake_join(int from, int to)
{
    socket_of(to)->writes = socket_of(from)->id;
}

void fake_fail_allocation(unsigned after)
{
    allocation_fails = true;
    allocations_left = after;
}

void fake_order(unsigned first, unsigned most)
{
    order_first = first;
    order_most = most;
}

unsigned fake_id(int fd)
{
    return file_of(fd)->id;
}

// One of seven ends a line.
uint8_t fake_byte(unsigned id, size_t position)
{
    uint8_t byte = (uint8_t)((size_t)id * 59 + position * 31 + (position >> 8));
    return byte % 7 == 0 ? '\n' : byte;
}

int fake_descriptors(void)
{
    int count = 0;
    for (int fd = FIRST; fd < top; fd++)
        count += files[fd].kind != FREE;
    return count;
}

unsigned fake_accepted(void)
{
    return accepted;
}

bool fake_ran_out(void)
{
    return ran_out;
}

unsigned fake_turned_away(void)
{
    return turned_away;
}

long fake_allocations(void)
{
    return allocated;
}

// ---- Sockets --------------------------------------------------------------------------------------

static ssize_t fail_reset(struct file *file)
{
    file->told = true;
    return -ECONNRESET;
}

static ssize_t fake_recv(int fd, void *into, size_t size, int flags)
{
    (void)flags;
    struct file *file = socket_of(fd);
    size_t there = file->arrived - file->read, count = size < there ? size : there;
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)into)[i] = fake_byte(file->id, file->read++);
    if (count > 0)
        return (ssize_t)count;
    if (file->reset && !file->told)
        return fail_reset(file);
    return file->ended || file->reset ? 0 : -EAGAIN;
}

static ssize_t fake_send(int fd, const void *from, size_t size, int flags)
{
    (void)flags;
    struct file *file = socket_of(fd);
    if (file->reset && !file->told)
        return fail_reset(file);
    if (file->reset || file->shut)
        return -EPIPE;
    size_t count = size < file->room ? size : file->room;
    for (size_t i = 0; i < count; i++)
        if (((const uint8_t *)from)[i] != fake_byte(file->writes, file->written++))
            blame("a wrong byte is written", fd);
    file->room -= count;
    return count > 0 || size == 0 ? (ssize_t)count : -EAGAIN;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t sum = 0, n = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *piece = &message->msg_iov[i];
        n = fake_send(fd, piece->iov_base, piece->iov_len, flags);
        if (n < 0)
            break;
        sum += n;
        if ((size_t)n < piece->iov_len)
            break;
    }
    return sum > 0 ? sum : n;
}

// Whoever waits at a listener is reset.
static void turn_away(struct file *file)
{
    turned_away += (unsigned)file->waiting;
    file->waiting = 0;
}

static int fake_shutdown(int fd, int how)
{
    struct file *file = file_of(fd);
    note_edge(file);
    if (file->kind == LISTENER) {
        turn_away(file);
        file->shut = true;
        return 0;
    }
    if (socket_of(fd)->reset)
        return -ENOTCONN;
    file->shut |= how != SHUT_RD;
    return 0;
}

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    (void)level, (void)name, (void)value, (void)size;
    (void)file_of(fd);
    return 0;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the type of the table
static int fake_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *size)
{
    bool is_tcp = file_of(fd)->is_inet;
    int value = name == SO_TYPE       ? SOCK_STREAM
                : name == SO_PROTOCOL ? (is_tcp ? IPPROTO_TCP : 0)
                                      : (is_tcp ? AF_INET : AF_UNIX);
    if (level != SOL_SOCKET || *size != sizeof value)
        return -ENOPROTOOPT;
    memcpy(ret_value, &value, sizeof value);
    return 0;
}

static void write_name(const struct file *file, uint32_t host, struct sockaddr *ret_address,
                       socklen_t *size)
{
    struct sockaddr_in name = {AF_INET, htons(7464), {htonl(host)}, {0}};
    *size = file->is_inet ? sizeof name : sizeof ret_address->sa_family;
    name.sin_family = file->is_inet ? AF_INET : AF_UNIX;
    memcpy(ret_address, &name, *size);
}

static int fake_name(int fd, struct sockaddr *ret_address, socklen_t *size)
{
    write_name(file_of(fd), INADDR_LOOPBACK, ret_address, size);
    return 0;
}

static int fake_close(int fd)
{
    struct file *file = file_of(fd);
    bool was_epoll = file->kind == EPOLL;
    turn_away(file);
    file->kind = FREE;
    for (int i = FIRST; i < top && was_epoll; i++)
        for (int j = 0; j < 2; j++)
            if (files[i].interests[j].epoll == fd)
                files[i].interests[j].epoll = 0;
    return 0;
}

static int fake_set_flags(int fd)
{
    (void)file_of(fd);
    return 0;
}

// ---- Listeners ------------------------------------------------------------------------------------

static int fake_new_socket(int family, int type, int protocol)
{
    (void)type, (void)protocol;
    int fd = open_file(SOCKET);
    if (fd >= 0)
        files[fd].is_inet = family == AF_INET;
    return fd;
}

static int fake_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    (void)address, (void)size;
    (void)socket_of(fd);
    return 0;
}

// With a queue of 0 the system keeps one.
static int fake_listen(int fd, int queue_max)
{
    struct file *file = file_of(fd);
    if (file->shut)
        blame("a listener that was shut is opened again", fd);
    file->kind = LISTENER;
    file->queue_max = queue_max < 1 ? 1 : queue_max < QUEUE_MAX ? (size_t)queue_max : QUEUE_MAX;
    return 0;
}

// All callers are of one network, so that their limit is met.
static int fake_accept(int listener, struct sockaddr *ret_address, socklen_t *size)
{
    struct file *file = file_of(listener);
    if (file->kind != LISTENER || file->shut)
        return -EINVAL;
    int error = accept_error;
    accept_error = 0;
    if (error)
        return -error;
    if (file->waiting == 0)
        return -EAGAIN;
    int fd = open_file(SOCKET);
    if (fd < 0)
        return fd;
    file->waiting--;
    accepted++;
    files[fd].is_inet = file->is_inet;
    files[fd].writes = files[fd].id + FAKE_OUT;
    if (ret_address)
        write_name(file, 0xc0000201, ret_address, size);
    return fd;
}

// ---- Events ---------------------------------------------------------------------------------------

static uint32_t events_of_socket(const struct file *file)
{
    bool gone = file->ended || file->reset;
    return (file->arrived > file->read || gone ? (uint32_t)EPOLLIN : 0) |
           (file->room || file->reset ? (uint32_t)EPOLLOUT : 0) |
           (gone ? (uint32_t)EPOLLRDHUP : 0) |
           ((file->ended && file->shut) || file->reset ? (uint32_t)EPOLLHUP : 0) |
           (file->reset && !file->told ? (uint32_t)EPOLLERR : 0);
}

// Of anything but an epoll instance.
static uint32_t events_of(const struct file *file)
{
    switch (file->kind) {
    case EVENTFD:
        return file->number ? EPOLLIN : 0;
    case TIMER:
        return file->due <= now ? EPOLLIN : 0;
    case LISTENER:
        return (file->waiting || file->shut ? (uint32_t)EPOLLIN : 0) |
               (file->shut ? (uint32_t)EPOLLHUP : 0);
    case SOCKET:
        return events_of_socket(file);
    default:
        return 0;
    }
}

static int wait_until(int64_t deadline)
{
    if (deadline == INT64_MAX)
        blame("it waits for ever", -1);
    if (deadline > now)
        now = deadline;
    return 0;
}

static int fake_ppoll(struct pollfd *fds, nfds_t count, int64_t deadline)
{
    int found = 0;
    for (nfds_t i = 0; i < count; i++) {
        uint32_t asked = (uint32_t)(fds[i].events | POLLERR | POLLHUP);
        fds[i].revents = (short)(events_of(file_of(fds[i].fd)) & asked);
        found += fds[i].revents != 0;
    }
    return found ? found : wait_until(deadline);
}

static int fake_epoll_create(void)
{
    return open_file(EPOLL);
}

// What this epoll instance has of the file, or a place for it.
static struct interest *interest_of(struct file *file, int epoll, bool *ret_there)
{
    for (int i = 0; i < 2; i++)
        if (file->interests[i].epoll == epoll) {
            *ret_there = true;
            return &file->interests[i];
        }
    *ret_there = false;
    return file->interests[0].epoll ? &file->interests[1] : &file->interests[0];
}

static int fake_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    bool there;
    struct interest *interest = interest_of(file_of(fd), epoll, &there);
    if (file_of(epoll)->kind != EPOLL)
        blame("this is no epoll instance", epoll);
    if (there == (operation == EPOLL_CTL_ADD))
        blame(there ? "it is watched already" : "it is not watched", fd);
    *interest = (struct interest){.epoll = operation == EPOLL_CTL_DEL ? 0 : epoll,
                                  .edge = true,
                                  .events = event->events,
                                  .mark = event->data.u64};
    return 0;
}

// What of the file this instance is told now.
static uint32_t due_events(const struct file *file, const struct interest *interest)
{
    if (file->kind == FREE || ((interest->events & EPOLLET) && !interest->edge))
        return 0;
    return events_of(file) & (interest->events | EPOLLERR | EPOLLHUP);
}

static bool has_events(int epoll)
{
    for (int fd = FIRST; fd < top; fd++)
        for (int i = 0; i < 2; i++)
            if (files[fd].interests[i].epoll == epoll &&
                due_events(&files[fd], &files[fd].interests[i]))
                return true;
    return false;
}

// An epoll instance may be watched by another.
bool fake_is_readable(int fd)
{
    if (file_of(fd)->kind != EPOLL)
        return events_of(file_of(fd)) & EPOLLIN;
    bool readable = has_events(fd);
    for (int inner = FIRST; inner < top; inner++)
        for (int i = 0; i < 2; i++)
            if (files[inner].kind == EPOLL && files[inner].interests[i].epoll == fd)
                readable |= has_events(inner);
    return readable;
}

static int fake_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t deadline)
{
    (void)file_of(epoll);
    int found = 0;
    if (order_most > 0 && (int)order_most < count)
        count = (int)order_most;
    for (unsigned i = 0; i < (unsigned)top && found < count; i++) {
        struct file *file = &files[(order_first + i) % (unsigned)top];
        bool there;
        struct interest *interest = interest_of(file, epoll, &there);
        uint32_t due = there ? due_events(file, interest) : 0;
        if (!due)
            continue;
        interest->edge = false;
        events[found++] = (struct epoll_event){.events = due, .data.u64 = interest->mark};
    }
    order_most = 0;
    return found ? found : wait_until(deadline);
}

// No backend of completion here: the test says itself what happens, and when.
static int fake_ring_open(unsigned entries, struct ring **ret_ring)
{
    (void)entries;
    (void)ret_ring;
    return -ENOSYS;
}

// ---- Descriptors that only the library sees ---------------------------------------------------------

static int fake_eventfd(void)
{
    return open_file(EVENTFD);
}

static int fake_timerfd(void)
{
    int fd = open_file(TIMER);
    if (fd >= 0)
        files[fd].due = INT64_MAX;
    return fd;
}

static int fake_timerfd_set(int fd, int64_t deadline)
{
    file_of(fd)->due = deadline;
    return 0;
}

static ssize_t fake_read(int fd, void *into, size_t size)
{
    struct file *file = file_of(fd);
    if (file->kind == TIMER && file->due <= now) {
        file->due = INT64_MAX;
        memset(into, 1, size);
        return (ssize_t)size;
    }
    if (!file->number)
        return -EAGAIN;
    memcpy(into, &file->number, size);
    file->number = 0;
    return (ssize_t)size;
}

static ssize_t fake_write(int fd, const void *from, size_t size)
{
    (void)from;
    file_of(fd)->number++;
    return (ssize_t)size;
}

// ---- Time and memory --------------------------------------------------------------------------------

static int64_t fake_now(void)
{
    return now;
}

static bool is_refused(void)
{
    if (!allocation_fails || allocations_left-- > 0)
        return false;
    allocation_fails = false;
    return true;
}

static void *fake_allocate(size_t size)
{
    void *memory = is_refused() ? NULL : calloc(1, size);
    allocated += memory != NULL;
    return memory;
}

static void *fake_reallocate(void *memory, size_t size)
{
    if (is_refused())
        return NULL;
    allocated += memory == NULL;
    return realloc(memory, size);
}

static void fake_release(void *memory)
{
    allocated -= memory != NULL;
    free(memory);
}

void fake_begin(void)
{
    memset(files, 0, sizeof files);
    top = 0;
    next_id = order_first = order_most = accepted = turned_away = 0;
    accept_error = 0;
    allocation_fails = ran_out = false;
    allocated = 0;
    now = 1000000000;
    table = kernel_real;
    table.socket = fake_new_socket;
    table.bind = fake_bind;
    table.listen = fake_listen;
    table.accept = fake_accept;
    table.timerfd = fake_timerfd;
    table.timerfd_set = fake_timerfd_set;
    table.recv = fake_recv;
    table.send = fake_send;
    table.sendmsg = fake_sendmsg;
    table.shutdown = fake_shutdown;
    table.setsockopt = fake_setsockopt;
    table.getsockopt = fake_getsockopt;
    table.getpeername = fake_name;
    table.getsockname = fake_name;
    table.close = fake_close;
    table.set_flags = fake_set_flags;
    table.ppoll = fake_ppoll;
    table.epoll_create = fake_epoll_create;
    table.epoll_ctl = fake_epoll_ctl;
    table.epoll_wait = fake_epoll_wait;
    table.ring_open = fake_ring_open;
    table.eventfd = fake_eventfd;
    table.read = fake_read;
    table.write = fake_write;
    table.now = fake_now;
    table.now_coarse = fake_now;
    table.allocate = fake_allocate;
    table.reallocate = fake_reallocate;
    table.release = fake_release;
    kernel = &table;
}
