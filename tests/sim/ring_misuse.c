// What a program must not do with a ring, and is told of. Prints the finding.
//
//     ring_misuse CASE

#include <doorbell/sim.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "sim/sim.h"

static struct ring *ring;
static int pair[2];
static char bytes[64];

static void enter(void)
{
    struct io_uring_cqe end;
    while (kernel->ring_enter(ring, 0) < 0)
        continue;
    (void)kernel->ring_take(ring, &end, 1);
}

static void unknown_operation(void)
{
    io_uring_prep_openat(kernel->ring_next(ring), AT_FDCWD, "/", O_RDONLY, 0);
}

static void linked(void)
{
    struct io_uring_sqe *sqe = kernel->ring_next(ring);
    io_uring_prep_nop(sqe);
    sqe->flags = IOSQE_IO_LINK;
}

static void not_filled_in(void)
{
    (void)kernel->ring_next(ring);
}

static void many_messages(void)
{
    static struct msghdr message;
    struct io_uring_sqe *sqe = kernel->ring_next(ring);
    io_uring_prep_recvmsg_multishot(sqe, pair[0], &message, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
}

static void changed_poll(void)
{
    io_uring_prep_poll_update(kernel->ring_next(ring), 1, 2, 1, IORING_POLL_UPDATE_EVENTS);
}

static void sigpipe(void)
{
    (void)kernel->close(pair[1]);
    io_uring_prep_send(kernel->ring_next(ring), pair[0], bytes, 1, 0);
}

static void given_twice(void)
{
    (void)kernel->ring_buffers(ring, 0, 4);
    kernel->ring_give(ring, 0, 1, bytes, 8);
    kernel->ring_give(ring, 0, 1, bytes + 8, 8);
}

static void given_too_many(void)
{
    (void)kernel->ring_buffers(ring, 0, 1);
    kernel->ring_give(ring, 0, 1, bytes, 8);
    kernel->ring_give(ring, 0, 2, bytes + 8, 8);
}

static void given_to_nobody(void)
{
    kernel->ring_give(ring, 0, 1, bytes, 8);
}

static void leaked_by_an_operation(void)
{
    io_uring_prep_recv(kernel->ring_next(ring), pair[0], bytes, 1, 0);
    enter();
    (void)kernel->close(pair[0]);
    (void)kernel->close(pair[1]);
    pair[0] = -1; // the end that it would have now is never taken
}

// The client waits for ever; what for is told.
static void waits(void)
{
    io_uring_prep_recv(kernel->ring_next(ring), pair[0], bytes, 1, 0);
    (void)kernel->ring_enter(ring, INT64_MAX);
}

static void three_entries(void)
{
    struct ring *other;
    (void)kernel->ring_open(3, &other);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"unknown-operation", unknown_operation},
    {"linked", linked},
    {"not-filled-in", not_filled_in},
    {"many-messages", many_messages},
    {"changed-poll", changed_poll},
    {"sigpipe", sigpipe},
    {"given-twice", given_twice},
    {"given-too-many", given_too_many},
    {"given-to-nobody", given_to_nobody},
    {"leaked-by-an-operation", leaked_by_an_operation},
    {"waits", waits},
    {"three-entries", three_entries},
};

static int use_wrongly(void *arg)
{
    if (kernel->ring_open(8, &ring) < 0 || kernel->socketpair(AF_UNIX, SOCK_STREAM, pair) < 0)
        return -1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(arg, cases[i].name))
            cases[i].run();
    if (pair[0] >= 0)
        enter();
    return 0;
}

static int open_ring(void *arg)
{
    (void)arg;
    (void)kernel->ring_open(8, &ring);
    return bell_sleep(BELL_MINUTE);
}

static int use_ring_of_other(void *arg)
{
    (void)arg;
    (void)bell_sleep(BELL_SECOND);
    (void)kernel->ring_next(ring);
    return 0;
}

static void set_up(bell_sim *sim, void *arg)
{
    if (!strcmp(arg, "of-another")) {
        bell_sim_client(sim, "owner", open_ring, NULL);
        bell_sim_client(sim, "other", use_ring_of_other, NULL);
    } else {
        bell_sim_client(sim, "client", use_wrongly, arg);
    }
}

int main(int argc, char **argv)
{
    const struct bell_sim_options options = {
        .size = sizeof options, .seeds = 1, .without = BELL_SIM_FAULTS};
    struct bell_sim_report report;
    if (argc != 2)
        return 2;
    int found = bell_sim_run(set_up, argv[1], &options, &report);
    printf("%s\n", report.finding);
    return found;
}
