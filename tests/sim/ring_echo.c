// An echo server written on the ring alone, without a backend, and what it met. Wrong: it gives the place
// of a silent caller to the next one as soon as it has cancelled what is under way there, and does not
// wait until that has ended.
//
//     ring_echo wrong|right SEEDS

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>

#include "kernel/kernel.h"
#include "planted.h"
#include "sim/net.h"
#include "sim/sim.h"

enum { CALLERS = 6, VISITS = 3, ROUNDS = 4, SLOTS = 16, BUFFERS = 8, PIECE = 400, MOST = 2000 };

#define IDLE BELL_SECOND

// What the server has met in all runs, by name.
static struct {
    const char *name;
    long count;
} odd[] = {{"late", 0},         {"swapped", 0}, {"short", 0},       {"lost more", 0},
           {"no buffer", 0},    {"used up", 0}, {"cancelled", 0},   {"had ended", 0},
           {"nobody knows", 0}, {"raced", 0},   {"interrupted", 0}, {"no descriptor", 0}};
enum odd {
    LATE,
    SWAPPED,
    SHORT,
    LOST,
    NO_BUFFER,
    USED_UP,
    CANCELLED,
    GONE,
    UNKNOWN,
    RACED,
    INTERRUPTED,
    FULL,
    ODDS
};

enum kind { ACCEPT, RECV, SEND, CANCEL, FIRST, SECOND };

struct chunk {
    char *data;
    size_t size;
    int buffer; // of the group; -1: the slot's own
};

struct slot {
    int fd; // -1: nobody
    unsigned generation;
    bool many; // one operation receives all
    bool receiving, sending, ended, dead;
    bool cancels_recv, cancels_send;
    int64_t deadline;
    struct chunk queue[BUFFERS];
    int first, count;
    size_t sent; // of the first
    char *own;
};

struct server {
    struct ring *ring;
    int listener;
    bool accepting;
    int pings; // under way
    int64_t accept_at, pinged_at;
    int given; // buffers that the ring has
    char *memory;
    struct slot slots[SLOTS];
};

// ---- Operations -------------------------------------------------------------------------------

static struct io_uring_sqe *next(struct server *server, enum kind kind, const struct slot *slot)
{
    struct io_uring_sqe *sqe = kernel->ring_next(server->ring);
    if (!sqe) {
        (void)kernel->ring_enter(server->ring, 0);
        sqe = kernel->ring_next(server->ring);
    }
    uint64_t whose =
        slot ? (uint64_t)(slot - server->slots) << 8 | (uint64_t)slot->generation << 32 : 0;
    sqe->user_data = whose | (uint64_t)kind;
    return sqe;
}

static void give(struct server *server, int id)
{
    kernel->ring_give(server->ring, 0, (unsigned)id, server->memory + (size_t)id * PIECE, PIECE);
    server->given++;
}

static void cancel(struct server *server, struct slot *slot, enum kind kind)
{
    struct io_uring_sqe *sqe = next(server, CANCEL, slot);
    io_uring_prep_cancel64(sqe, (sqe->user_data & ~0xffULL) | (uint64_t)kind, 0);
}

static void receive(struct server *server, struct slot *slot)
{
    struct io_uring_sqe *sqe = next(server, RECV, slot);
    if (slot->many) {
        io_uring_prep_recv_multishot(sqe, slot->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
    } else {
        io_uring_prep_recv(sqe, slot->fd, slot->own, PIECE, 0);
    }
    slot->receiving = true;
}

static void send_first(struct server *server, struct slot *slot)
{
    const struct chunk *chunk = &slot->queue[slot->first];
    io_uring_prep_send(next(server, SEND, slot), slot->fd, chunk->data + slot->sent,
                       chunk->size - slot->sent, MSG_NOSIGNAL);
    slot->sending = true;
}

// ---- Slots ------------------------------------------------------------------------------------

static void pop(struct server *server, struct slot *slot)
{
    int buffer = slot->queue[slot->first].buffer;
    slot->first = (slot->first + 1) % BUFFERS;
    slot->count--;
    slot->sent = 0;
    if (buffer >= 0)
        give(server, buffer);
}

static void free_slot(struct server *server, struct slot *slot)
{
    char *own = slot->own;
    unsigned generation = slot->generation;
    while (slot->count > 0)
        pop(server, slot);
    (void)kernel->close(slot->fd);
    *slot = (struct slot){.fd = -1, .own = own, .generation = generation + !is_wrong};
}

static void take_in(struct server *server, int fd)
{
    struct slot *slot = server->slots;
    while (slot < server->slots + SLOTS && slot->fd >= 0)
        slot++;
    bell_sim_check(slot < server->slots + SLOTS, "there are more callers than there can be");
    slot->fd = fd;
    slot->many = bell_sim_random(2);
    slot->deadline = kernel->now() + IDLE;
}

static void bury(struct server *server, struct slot *slot)
{
    if (slot->receiving && !slot->cancels_recv) {
        slot->cancels_recv = true;
        cancel(server, slot, RECV);
    }
    if (slot->sending && !slot->cancels_send) {
        slot->cancels_send = true;
        cancel(server, slot, SEND);
    }
    if (is_wrong ? !slot->sending : !slot->receiving && !slot->sending)
        free_slot(server, slot);
}

static void tend(struct server *server, struct slot *slot)
{
    if (slot->fd < 0)
        return;
    bool has_ended = slot->ended && slot->count == 0;
    if (kernel->now() >= slot->deadline || has_ended)
        slot->dead = true;
    if (slot->dead) {
        bury(server, slot);
        return;
    }
    if (slot->count > 0 && !slot->sending)
        send_first(server, slot);
    if (!slot->receiving && !slot->ended && (slot->many ? server->given > 0 : slot->count == 0))
        receive(server, slot);
}

// ---- Ends -------------------------------------------------------------------------------------

static void end_accept(struct server *server, const struct io_uring_cqe *end)
{
    if (end->res >= 0)
        take_in(server, end->res);
    else
        server->accept_at = kernel->now() + 5 * BELL_MS;
    odd[FULL].count += end->res == -EMFILE;
    server->accepting = end->flags & IORING_CQE_F_MORE;
}

static void end_bytes(struct server *server, struct slot *slot, const struct io_uring_cqe *end)
{
    bool selected = end->flags & IORING_CQE_F_BUFFER;
    int id = selected ? (int)(end->flags >> IORING_CQE_BUFFER_SHIFT) : -1;
    char *data = selected ? server->memory + (size_t)id * PIECE : slot->own;
    server->given -= selected;
    odd[RACED].count += slot->cancels_recv;
    odd[LOST].count += slot->many && !(end->flags & IORING_CQE_F_MORE) && !slot->cancels_recv;
    if (slot->dead || slot->fd < 0) {
        if (selected)
            give(server, id);
        return;
    }
    slot->queue[(slot->first + slot->count++) % BUFFERS] =
        (struct chunk){data, (size_t)end->res, id};
    slot->deadline = kernel->now() + IDLE;
}

static void end_recv(struct server *server, struct slot *slot, const struct io_uring_cqe *end)
{
    if (!(end->flags & IORING_CQE_F_MORE))
        slot->receiving = false;
    if (end->res > 0)
        end_bytes(server, slot, end);
    else if (end->res == -ENOBUFS)
        odd[server->given > 0 ? NO_BUFFER : USED_UP].count++;
    else if (end->res == 0)
        slot->ended = true;
    else
        slot->dead = true;
}

static void end_send(struct server *server, struct slot *slot, const struct io_uring_cqe *end)
{
    slot->sending = false;
    if (end->res < 0) {
        slot->dead = true;
        return;
    }
    slot->sent += (size_t)end->res;
    slot->deadline = kernel->now() + IDLE;
    if (slot->sent == slot->queue[slot->first].size)
        pop(server, slot);
    else
        odd[SHORT].count++;
}

// Two operations that do nothing: whether they are late, or the second ends first.
static void end_ping(struct server *server, enum kind kind)
{
    odd[LATE].count += kernel->now() - server->pinged_at > 5000;
    odd[SWAPPED].count += server->pings == 2 && kind == SECOND;
    server->pings--;
}

static void end_one(struct server *server, const struct io_uring_cqe *end)
{
    enum kind kind = end->user_data & 0xff;
    struct slot *slot = &server->slots[end->user_data >> 8 & 0xff];
    bool is_of_slot = kind == RECV || kind == SEND;
    bell_sim_check(!is_of_slot || slot->generation == end->user_data >> 32,
                   "an end that is nobody's");
    if (kind == ACCEPT)
        end_accept(server, end);
    else if (kind == RECV)
        end_recv(server, slot, end);
    else if (kind == SEND)
        end_send(server, slot, end);
    else if (kind == CANCEL)
        odd[end->res == 0 ? CANCELLED : end->res == -ENOENT ? GONE : UNKNOWN].count++;
    else
        end_ping(server, kind);
}

// ---- The server -------------------------------------------------------------------------------

static void begin_what_is_missing(struct server *server)
{
    if (!server->accepting && kernel->now() >= server->accept_at) {
        io_uring_prep_multishot_accept(next(server, ACCEPT, NULL), server->listener, NULL, NULL,
                                       SOCK_NONBLOCK | SOCK_CLOEXEC);
        server->accepting = true;
    }
    for (int i = 0; i < SLOTS; i++)
        tend(server, &server->slots[i]);
}

static void ping(struct server *server)
{
    server->pings = 2;
    server->pinged_at = kernel->now();
    io_uring_prep_nop(next(server, FIRST, NULL));
    io_uring_prep_nop(next(server, SECOND, NULL));
}

static int look(struct server *server, int64_t deadline)
{
    struct io_uring_cqe ends[8];
    unsigned count;
    int n = kernel->ring_enter(server->ring, deadline);
    odd[INTERRUPTED].count += n == -EINTR;
    while ((count = kernel->ring_take(server->ring, ends, 8)) > 0)
        for (unsigned i = 0; i < count; i++)
            end_one(server, &ends[i]);
    return n;
}

static int listen_here(struct server *server)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(7464)};
    server->listener = kernel->socket(AF_INET, SOCK_STREAM, 0);
    int rc = kernel->bind(server->listener, (struct sockaddr *)&where, sizeof where);
    return rc < 0 ? rc : kernel->listen(server->listener, CALLERS * VISITS);
}

static void open_server(struct server *server)
{
    server->memory = kernel->allocate((size_t)(BUFFERS + SLOTS) * PIECE);
    bell_sim_check(server->memory &&
                       kernel->ring_open(4u << bell_sim_random(4), &server->ring) == 0,
                   "there is no ring");
    bell_sim_check(kernel->ring_buffers(server->ring, 0, BUFFERS) == 0 && listen_here(server) == 0,
                   "the server cannot listen");
    for (int i = 0; i < BUFFERS; i++)
        give(server, i);
    for (int i = 0; i < SLOTS; i++)
        server->slots[i] =
            (struct slot){.fd = -1, .own = server->memory + (size_t)(BUFFERS + i) * PIECE};
}

// Whatever is under way ends with the ring.
static void close_server(struct server *server)
{
    kernel->ring_close(server->ring, false);
    for (int i = 0; i < SLOTS; i++)
        if (server->slots[i].fd >= 0)
            (void)kernel->close(server->slots[i].fd);
    (void)kernel->close(server->listener);
    kernel->release(server->memory);
}

static void serve(struct program *self)
{
    struct server server = {0};
    (void)self;
    open_server(&server);
    while (world.clients > 1) {
        begin_what_is_missing(&server);
        if (server.pings == 0 && kernel->now() - server.pinged_at > 20 * BELL_MS)
            ping(&server);
        (void)look(&server, kernel->now() + 50 * BELL_MS);
    }
    while (look(&server, 0) > 0)
        continue;
    close_server(&server);
}

// ---- Callers ----------------------------------------------------------------------------------

// No two callers have the same byte at the same place.
static char byte_at(long caller, size_t position)
{
    return (char)(caller * 37 + (long)(position % 31));
}

static int talk(bell_conn *conn, long caller, size_t *position)
{
    char bytes[MOST];
    size_t size = 1 + bell_sim_random(sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(caller, *position + i);
    if (bell_write(conn, bytes, size) < 0 || bell_readn(conn, bytes, size) != (ssize_t)size)
        return -1;
    for (size_t i = 0; i < size; i++)
        bell_sim_check(bytes[i] == byte_at(caller, *position + i),
                       "byte %zu of caller %ld is another's", *position + i, caller);
    *position += size;
    return 0;
}

// Silent for about as long as the server bears it.
static void be_silent(void)
{
    (void)bell_sleep(IDLE - 25 * BELL_MS + (int64_t)bell_sim_random(30) * BELL_MS);
}

static int visit(long caller, bool is_silent)
{
    size_t position = 0;
    bell_conn *conn = bell_connect("server:7464", NULL);
    if (!conn)
        return -1;
    bell_deadline(conn, bell_in(BELL_MINUTE));
    int rc = 0;
    for (int i = 0; i < ROUNDS && rc == 0; i++) {
        if (is_silent && i > 0)
            be_silent();
        rc = talk(conn, caller, &position);
    }
    if (rc == 0 && bell_shutdown(conn, SHUT_WR) == 0)
        rc = bell_read(conn, &(char){0}, 1) == 0 ? 0 : -1;
    return planted_end(conn, rc);
}

static int call(void *arg)
{
    long caller = (long)(intptr_t)arg;
    int rc = 0;
    for (int i = 0; i < VISITS && rc == 0; i++) {
        bool is_silent = bell_sim_random(3) == 0;
        rc = visit(caller, is_silent);
        rc = is_silent ? 0 : rc;
    }
    return rc;
}

static void set_up(bell_sim *sim, void *arg)
{
    (void)arg;
    struct host *host = host_add("server");
    host->serves = true;
    program_add(PROGRAM_CLIENT, "server", host, 0)->run = serve;
    for (long i = 1; i <= CALLERS; i++)
        bell_sim_client(sim, NULL, call, (void *)(intptr_t)i);
}

int main(int argc, char **argv)
{
    int rc = planted_main(argc, argv, set_up);
    for (int i = 0; rc == 0 && i < ODDS; i++)
        printf("%s: %ld\n", odd[i].name, odd[i].count);
    return rc;
}
