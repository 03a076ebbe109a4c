// Sends a word to an echo server, and checks that the same word comes back (TCPEchoClient4).
//
//     echo_word ADDRESS WORD     localhost:echo is the port of the echo service

#include <doorbell.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return fputs("Parameter(s): <Server Address> <Echo Word>\n", stderr), 2;
    bell_conn *server = bell_connect(argv[1], NULL);
    size_t size = strlen(argv[2]);
    char *echo = malloc(size + 1);
    ssize_t n = -1;

    if (server && echo && bell_write(server, argv[2], size) == (ssize_t)size)
        n = bell_readn(server, echo, size);
    if (n < 0)
        return fprintf(stderr, "%s: %s\n", argv[0], bell_error()), 1;
    printf("Received: %.*s\n", (int)n, echo);
    if ((size_t)n < size || memcmp(echo, argv[2], size) != 0)
        return fprintf(stderr, "%s: the echo is not what was sent\n", argv[0]), 1;
    free(echo);
    bell_close(server);
    return 0;
}
