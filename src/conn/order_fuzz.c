// libFuzzer: bytes choose what happens next. Connections are read, written, relayed, cancelled and closed by tasks,
// while their other ends send, end, reset or are silent, time passes, and memory is wanting; on either backend.
//
// Whatever the order: each byte comes once, in its order and from its own connection, a descriptor that was closed
// is not used, every error is one of those that are documented, and in the end no task, descriptor or memory is left.

#include <doorbell.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/conn.h"
#include "fake_kernel.h"
#include "kernel/kernel.h"
#include "wait/backend.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's word
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOTS = 4, ROUNDS_MAX = 2000 };

// A connection and the tasks that use it. Whoever is the last one closes it, unless somebody else has: `gone`.
struct slot {
    bell_conn *conn;
    struct task *reader;
    struct slot *partner; // in a relay
    size_t heard, said;
    unsigned id;
    int fd, users;
    uint8_t style;
    bool gone;
    bool unsure; // bytes may be missing: its reads were ended, or there was no memory
    bool busy;   // from the first task on until it is closed
};

static struct slot slots[SLOTS];
static struct loop loop;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "order: %s: %s\n", what, bell_error());
    abort();
}

static void check_error(int error)
{
    static const int documented[] = {ETIMEDOUT, ECANCELED, ECONNRESET, EBADF,   EBUSY,
                                     EPIPE,     ENOMEM,    EMSGSIZE,   ENOTCONN};
    for (size_t i = 0; i < sizeof documented / sizeof *documented; i++)
        if (error == documented[i])
            return;
    require(false, strerrorname_np(error));
}

// ---- The tasks of a connection ------------------------------------------------------------------

static void leave(struct slot *slot)
{
    if (--slot->users > 0)
        return;
    bell_conn *conn = slot->conn;
    if (!slot->gone) {
        slot->gone = true;
        if (bell_close(conn) < 0)
            check_error(errno);
    }
    slot->busy = false;
}

static ssize_t hear(struct slot *slot, char *bytes, size_t size)
{
    const void *data;
    ssize_t n;
    switch (slot->style % 4) {
    case 0:
        return bell_read(slot->conn, bytes, size);
    case 1:
        return bell_readn(slot->conn, bytes, size / 2);
    case 2:
        n = bell_readline(slot->conn, bytes, size / 4);
        return n < 0 && errno == EMSGSIZE ? (ssize_t)bell_done() : n;
    default:
        n = bell_peek(slot->conn, 3, &data);
        if (n > (ssize_t)size)
            n = (ssize_t)size;
        if (n <= 0 || slot->gone)
            return n;
        memcpy(bytes, data, (size_t)n);
        return bell_skip(slot->conn, (size_t)n) < 0 ? -1 : n;
    }
}

static void check_bytes(struct slot *slot, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && !slot->unsure; i++)
        require((uint8_t)bytes[i] == fake_byte(slot->id, slot->heard++), "a wrong byte is read");
}

// What had come before is there still, and then it is told again.
static void check_reset(struct slot *slot)
{
    char bytes[64];
    ssize_t n = 1;
    while (n > 0 && !slot->gone) {
        n = bell_read(slot->conn, bytes, sizeof bytes);
        require(n != 0 || slot->unsure || slot->gone, "a reset looks like the end");
    }
}

// A deadline is no end; anything else is. What was reset does not look as if it had ended.
static void read_on(void *arg)
{
    struct slot *slot = arg;
    char bytes[5000];
    size_t size = slot->style & 16 ? sizeof bytes : 64;
    ssize_t n = 1;
    while (n > 0 && !slot->gone) {
        n = hear(slot, bytes, size);
        int error = errno;
        if (n > 0)
            check_bytes(slot, bytes, (size_t)n);
        if (n >= 0)
            continue;
        check_error(error);
        slot->unsure |= error == ENOMEM;
        if (error == ECONNRESET)
            check_reset(slot);
        if (error == ETIMEDOUT && !slot->gone) {
            bell_deadline(slot->conn, BELL_NEVER);
            n = 1;
        }
    }
    slot->reader = NULL;
    leave(slot);
}

static ssize_t say_some(struct slot *slot)
{
    uint8_t bytes[100];
    struct iovec pieces[] = {{bytes, 30}, {bytes + 30, 0}, {bytes + 30, 7}, {bytes + 37, 63}};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = fake_byte(slot->id + FAKE_OUT, slot->said + i);
    slot->said += sizeof bytes;
    return slot->style & 32 ? bell_writev(slot->conn, pieces, 4)
                            : bell_write(slot->conn, bytes, sizeof bytes);
}

// After a write that was cut short nothing may follow, or what follows would be taken for its rest.
static void write_on(void *arg)
{
    struct slot *slot = arg;
    ssize_t n = 1;
    for (int i = 0; i < 5 && n > 0 && !slot->gone; i++)
        n = say_some(slot);
    if (n < 0) {
        check_error(errno);
        if (bell_done() > 0 && !slot->gone)
            require(bell_write(slot->conn, "x", 1) < 0, "it goes on in the middle");
    }
    leave(slot);
}

static void relay(void *arg)
{
    struct slot *slot = arg, *partner = slot->partner;
    if (bell_relay(slot->conn, partner->conn, NULL) < 0)
        check_error(errno);
    slot->partner = partner->partner = NULL;
    leave(partner);
    leave(slot);
}

// ---- What happens -------------------------------------------------------------------------------

static void begin_task(struct slot *slot, void (*run)(void *arg), struct task **ret_task)
{
    slot->users++;
    if (task_start(&loop, "order", run, slot, ret_task) < 0)
        slot->users--;
}

static void open_slot(struct slot *slot, uint8_t how)
{
    if (slot->busy)
        return;
    int fd = fake_connected();
    require(fd >= 0, "descriptors are left open");
    bell_conn *conn = bell_attach(fd);
    if (!conn) {
        require(errno == ENOMEM, "attach");
        kernel->close(fd);
        return;
    }
    *slot = (struct slot){.conn = conn, .fd = fd, .id = fake_id(fd), .style = how, .busy = true};
    if (how & 4)
        begin_task(slot, write_on, NULL);
    if (!(how & 8))
        begin_task(slot, read_on, &slot->reader);
}

static bool is_alone(const struct slot *slot)
{
    return slot->busy && !slot->gone && slot->users == 0;
}

static void join_slots(struct slot *slot, struct slot *partner)
{
    if (slot == partner || !is_alone(slot) || !is_alone(partner))
        return;
    fake_join(slot->fd, partner->fd);
    fake_join(partner->fd, slot->fd);
    slot->partner = partner;
    partner->partner = slot;
    slot->users = partner->users = 1;
    if (task_start(&loop, "relay", relay, slot, NULL) == 0)
        return;
    slot->users = partner->users = 0;
    slot->partner = partner->partner = NULL;
}

// By somebody who is none of its tasks.
static void end_slot(struct slot *slot, int (*close)(bell_conn *conn))
{
    if (!slot->busy || slot->gone || slot->partner)
        return;
    slot->gone = true;
    if (close)
        (void)close(slot->conn);
    else
        bell_abort(slot->conn);
    slot->busy = slot->users > 0;
}

static void shut_slot(struct slot *slot, int how)
{
    if (!slot->busy || slot->gone)
        return;
    if (how != SHUT_WR)
        slot->unsure = true;
    if (bell_shutdown(slot->conn, how) < 0)
        check_error(errno);
}

static void happen(uint8_t what, uint8_t how)
{
    struct slot *slot = &slots[(what >> 4) % SLOTS];
    bool lives = slot->busy && !slot->gone;
    switch (what & 15) {
    case 0:
    case 1:
        open_slot(slot, how);
        break;
    case 2:
        fake_arrive(slot->fd, (size_t)how * how / 8);
        break;
    case 3:
        fake_end(slot->fd);
        break;
    case 4:
        fake_reset(slot->fd);
        break;
    case 5:
        fake_make_room(slot->fd, how);
        break;
    case 6:
        fake_pass_time(how * BELL_MS);
        break;
    case 7:
        if (lives)
            bell_cancel(slot->conn);
        break;
    case 8:
        end_slot(slot, NULL);
        break;
    case 9:
        end_slot(slot, bell_close);
        break;
    case 10:
        shut_slot(slot, how % 3);
        break;
    case 11:
        if (lives)
            bell_deadline(slot->conn, bell_in(how * BELL_MS));
        break;
    case 12:
        if (slot->reader)
            task_cancel(slot->reader, -ECANCELED);
        break;
    case 13:
        join_slots(slot, &slots[how % SLOTS]);
        break;
    case 14:
        fake_fail_allocation(how);
        break;
    default:
        fake_order(how, 1 + how % 3);
    }
}

// ---- The end ------------------------------------------------------------------------------------

static bool is_over(void)
{
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].busy)
            return false;
    return loop.tasks == 0;
}

// All other ends go, and whoever is left must notice.
static void finish(void)
{
    fake_fail_allocation(UINT32_MAX);
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &slots[i];
        if (is_alone(slot))
            end_slot(slot, NULL);
        if (slot->busy) {
            fake_make_room(slot->fd, 100000);
            fake_end(slot->fd);
        }
    }
    for (int i = 0; !is_over(); i++) {
        require(i < ROUNDS_MAX, "a task waits for ever");
        fake_pass_time(BELL_MS);
        task_yield(&loop.root);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    fake_begin();
    memset(slots, 0, sizeof slots);
    for (int i = 0; i < SLOTS; i++)
        slots[i].fd = -1;
    require(loop_open(&loop, data[0] & 1 ? &backend_block : &backend_epoll) == 0, "loop_open");
    for (size_t i = 1; i + 1 < size; i += 2) {
        happen(data[i], data[i + 1]);
        // Without a turn for the tasks several things happen at once.
        if (!(data[i] & 128))
            task_yield(&loop.root);
    }
    finish();
    loop_close(&loop);
    require(fake_descriptors() == 0, "descriptors are left open");
    require(fake_allocations() == 0, "memory is left");
    kernel = &kernel_real;
    return 0;
}
