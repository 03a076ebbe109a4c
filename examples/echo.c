// A server that says back what it hears.
//
//     echo [ADDRESS]              localhost:7464 if none is given
//     BELL_MODEL=threads echo     the same with a thread for each caller; iterative, fork, prefork,
//                                 pool, coroutines
//     doorbell connect            is a caller; so is nc -N localhost 7464

#include <doorbell.h>
#include <stdio.h>

static int echo(bell_conn *conn, void *arg)
{
    (void)arg;
    char text[1024];
    ssize_t n;
    while ((n = bell_read(conn, text, sizeof text)) > 0)
        if (bell_write(conn, text, (size_t)n) < 0)
            return -1;
    return (int)n;
}

static void print_event(const struct bell_event *event, void *arg)
{
    (void)arg;
    if (event->kind != BELL_EVENT_CALLER && event->kind != BELL_EVENT_ENDED)
        fprintf(stderr, "echo: %s\n", event->text);
}

int main(int argc, char **argv)
{
    struct bell_server_options options = {
        .size = sizeof options,
        .name = "echo",
        .flags = BELL_STOP_ON_SIGNALS,
        .log = print_event,
    };
    if (bell_serve(argc > 1 ? argv[1] : "localhost:7464", echo, NULL, &options) == 0)
        return 0;
    fprintf(stderr, "echo: %s\n", bell_error());
    return 1;
}
