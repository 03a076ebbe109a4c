// The sentence client by datagram: asks for each line until it is answered, or given up.
//
//     upper_udp_client [ADDRESS]     udp:localhost:9876

#include <doorbell.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 65507 // bytes of a datagram

int main(int argc, char **argv)
{
    bell_conn *server = bell_connect(argc > 1 ? argv[1] : "udp:localhost:9876", NULL);
    char *line = NULL, *answer = malloc(MOST);
    size_t room = 0;
    ssize_t size, n = server && answer ? 0 : -1;

    while (n >= 0 && (size = getline(&line, &room, stdin)) > 0) {
        if (line[size - 1] == '\n')
            size--; // a datagram has an end of its own
        n = bell_call(server, line, (size_t)size, answer, MOST, NULL);
        if (n >= 0) // what is more than we sent is not meant for us
            printf("FROM SERVER: %.*s\n", (int)(n < size ? n : size), answer);
    }
    if (n < 0)
        return fprintf(stderr, "%s: %s\n", argv[0], bell_error()), 1;
    free(line);
    free(answer);
    bell_close(server);
    return 0;
}
