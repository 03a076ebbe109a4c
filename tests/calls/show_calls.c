// A program that shows its own calls: show_calls FD WHAT. It talks to itself.

#include <doorbell.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static int talk(void)
{
    bell_conn *pair[2];
    char line[16];
    if (bell_pair(pair) < 0)
        return -1;
    struct iovec pieces[] = {{"ding ", 5}, {"dong\n", 5}};
    bool arrived =
        bell_writev(pair[0], pieces, 2) == 10 && bell_readline(pair[1], line, sizeof line) == 10 &&
        bell_shutdown(pair[0], SHUT_WR) == 0 && bell_read(pair[1], line, sizeof line) == 0;
    bell_close(pair[1]);
    bell_close(pair[0]);
    return arrived ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    if (bell_show_calls((int)strtol(argv[1], NULL, 10), (unsigned)strtoul(argv[2], NULL, 10)) < 0 ||
        talk() < 0) {
        fprintf(stderr, "show_calls: %s\n", bell_error());
        return 1;
    }
    return bell_show_calls(-1, 0) < 0 || talk() < 0;
}
