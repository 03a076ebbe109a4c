// The echo client: sends its input to the server, and shows what comes back.
//
//     echo_client [ADDRESS]     localhost:5000

#include <doorbell.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static size_t said, heard;

// Beside the hearing: neither waits for the other, line by line or at the end.
static int talk(void *server)
{
    char text[1024];
    ssize_t n = 1;
    while (n > 0 && bell_wait_fd(STDIN_FILENO, POLLIN, BELL_NEVER) > 0) {
        n = read(STDIN_FILENO, text, sizeof text);
        said += n > 0 ? (size_t)n : 0;
        if (n > 0 && bell_write(server, text, (size_t)n) < 0)
            return -1;
    }
    return bell_shutdown(server, SHUT_WR);
}

int main(int argc, char **argv)
{
    bell_conn *server = bell_connect(argc > 1 ? argv[1] : "localhost:5000", NULL);
    bell_group *talker = bell_group_open();
    char text[1024];
    ssize_t n = -1;
    if (server && talker && bell_go(talker, talk, server) == 0)
        while ((n = bell_read(server, text, sizeof text)) > 0)
            heard += fwrite(text, 1, (size_t)n, stdout);
    if (n == 0 && heard == said)
        return bell_group_close(talker), bell_close(server), 0;
    return fprintf(stderr, "%s: %s\n", argv[0], n == 0 ? "not all is back" : bell_error()), 1;
}
