// The echo client: sends its input to the server and shows what comes back.
//
//     echo_client [HOST [PORT]]     this machine, port 5000
//
// It does not wait for one line before it sends the next: with a last line that has no newline,
// or one that is longer than the server's buffer, both sides would wait for ever.

#define _POSIX_C_SOURCE 200809L

#include "nethelp_converse.h"

int main(int argc, char **argv)
{
    int clientfd = call_from(argc, argv, 5000);
    size_t said, heard;

    if (converse(clientfd, &said, &heard) < 0)
        return 1;
    if (heard < said)
        DieWithUserMessage(argv[0], "the server closed before everything had come back");
    close(clientfd);
    return 0;
}
