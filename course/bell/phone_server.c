// The phone server, in all its kinds: BELL_MODEL=iterative, fork, threads, pool, ... says who talks.
//
//     phone_server [ADDRESS]     localhost:5000

#include <doorbell.h>
#include <stdio.h>

static int do_something(bell_conn *caller, void *arg)
{
    (void)arg;
    (void)caller; // do your thing with the connection here
    return 0;
}

static void say(const struct bell_event *event, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s\n", event->text);
}

int main(int argc, char **argv)
{
    struct bell_server_options options = {
        .size = sizeof options, .flags = BELL_STOP_ON_SIGNALS, .log = say};
    if (bell_serve(argc > 1 ? argv[1] : "localhost:5000", do_something, NULL, &options) == 0)
        return 0;
    return fprintf(stderr, "%s: %s\n", argv[0], bell_error()), 1;
}
