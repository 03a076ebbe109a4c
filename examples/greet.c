// A protocol of one's own: the caller says a name on a line, the server greets it, until the caller
// says "bye". A caller who is silent for 30 seconds is asked to leave.
//
//     greet [ADDRESS]             localhost:7464 if none is given
//     printf 'Ada\nbye\n' | doorbell connect

#include <doorbell.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int greet(bell_conn *conn, void *arg)
{
    (void)arg;
    char name[80];
    ssize_t n;
    for (;;) {
        bell_deadline(conn, bell_in(30 * BELL_SECOND));
        n = bell_readline(conn, name, sizeof name);
        if (n < 0 && errno == ETIMEDOUT) {
            bell_deadline(conn, bell_in(BELL_SECOND));
            return bell_printf(conn, "you are very quiet; good bye\n") < 0 ? -1 : 0;
        }
        if (n <= 0)
            return (int)n; // the end, a name that is too long, or a broken connection
        name[strcspn(name, "\r\n")] = 0;
        if (!strcmp(name, "bye"))
            return bell_printf(conn, "good bye\n") < 0 ? -1 : 0;
        if (bell_printf(conn, "hello, %s\n", name) < 0)
            return -1;
    }
}

static void print_event(const struct bell_event *event, void *arg)
{
    (void)arg;
    fprintf(stderr, "greet: %s\n", event->text);
}

int main(int argc, char **argv)
{
    struct bell_server_options options = {
        .size = sizeof options,
        .name = "greet",
        .flags = BELL_STOP_ON_SIGNALS,
        .log = print_event,
    };
    if (bell_serve(argc > 1 ? argv[1] : "localhost:7464", greet, NULL, &options) == 0)
        return 0;
    fprintf(stderr, "greet: %s\n", bell_error());
    return 1;
}
