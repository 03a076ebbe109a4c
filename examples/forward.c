// A relay: whoever calls here is joined to a server elsewhere, both ways, with each side's end
// passed on to the other.
//
//     forward LISTEN TARGET       forward 7465 localhost:7464
//
// It counts what passes in memory that all handlers share, so it wants a model without processes.

#include <doorbell.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic uint64_t there, back; // bytes

static int forward(bell_conn *caller, void *arg)
{
    const char *target = arg;
    struct bell_options options = {.size = sizeof options, .timeout = 10 * BELL_SECOND};
    bell_conn *server = bell_connect(target, &options);
    if (!server) {
        fprintf(stderr, "forward: %s\n", bell_error());
        return -1; // the caller is reset, as if nobody listened here
    }
    uint64_t bytes[2] = {0, 0};
    int rc = bell_relay(caller, server, bytes);
    atomic_fetch_add(&there, bytes[0]);
    atomic_fetch_add(&back, bytes[1]);
    if (rc == 0)
        return bell_close(server);
    bell_abort(server);
    return -1;
}

static void print_event(const struct bell_event *event, void *arg)
{
    (void)arg;
    if (event->kind == BELL_EVENT_LISTENING || event->kind == BELL_EVENT_TROUBLE)
        fprintf(stderr, "forward: %s\n", event->text);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: forward LISTEN TARGET\n");
        return 2;
    }
    struct bell_server_options options = {
        .size = sizeof options,
        .name = "forward",
        .flags = BELL_STOP_ON_SIGNALS | BELL_SHARES_MEMORY,
        .log = print_event,
    };
    int rc = bell_serve(argv[1], forward, argv[2], &options);
    if (rc < 0)
        fprintf(stderr, "forward: %s\n", bell_error());
    fprintf(stderr, "forward: %" PRIu64 " bytes there, %" PRIu64 " back\n", there, back);
    return rc < 0;
}
