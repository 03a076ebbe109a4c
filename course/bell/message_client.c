// The message client: sends one line, and shows what the server says to it.
//
//     message_client [ADDRESS]     localhost:5000

#include <doorbell.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    bell_conn *server = bell_connect(argc > 1 ? argv[1] : "localhost:5000", NULL);
    char *message = NULL, answer[8192];
    size_t room = 0;
    ssize_t n = -1;

    if (server) {
        fputs("Please enter the message: ", stdout);
        fflush(stdout);
        ssize_t size = getline(&message, &room, stdin);
        if (size <= 0)
            return puts(""), 0; // nothing to say: there will be no answer
        if (bell_write(server, message, (size_t)size) > 0 && bell_shutdown(server, SHUT_WR) == 0)
            n = bell_readline(server, answer, sizeof answer);
    }
    if (n <= 0)
        return fprintf(stderr, "%s: %s\n", argv[0], n == 0 ? "no answer" : bell_error()), 1;
    fwrite(answer, 1, (size_t)n, stdout);
    if (answer[n - 1] != '\n')
        putchar('\n');
    free(message);
    bell_close(server);
    return 0;
}
