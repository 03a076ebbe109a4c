// Sends a word to an echo server and checks that the same word comes back (TCPEchoClient4).
//
//     echo_word HOST WORD [PORT]     port 7, the one of the echo service
//
// The word has no newline. What comes back may come in pieces, and is done when it is as long
// as the word.

#define _POSIX_C_SOURCE 200809L

#include "nethelp_converse.h"

// Sends the word and shows the echo. Returns 0 if they are the same.
static int try_echo(int sock, const char *word, size_t size)
{
    char buffer[BUFSIZE], peer[ADDRESS_TEXT];
    size_t sent = 0, received = 0;
    int differs = 0;
    peer_text(sock, peer);

    fputs("Received: ", stdout);
    while (received < size && !differs) {
        ssize_t n = say_or_hear(sock, word + sent, size - sent);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        if (n == 0)
            n = receive(sock, buffer, sizeof buffer);
        if (n < 0) {
            complain("recv()", peer);
            exit(1);
        }
        if (n == 0)
            DieWithUserMessage("recv()", "connection closed prematurely");

        fwrite(buffer, 1, (size_t)n, stdout); // not fputs: an echo may hold NULs
        differs = (size_t)n > size - received || memcmp(buffer, word + received, (size_t)n) != 0;
        received += (size_t)n;
    }
    putchar('\n');
    return differs;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fputs("Parameter(s): <Server Address> <Echo Word> [<Server Port>]\n", stderr);
        return 2;
    }
    const char *word = argv[2];
    int port = argc == 4 ? port_or_exit(argv[3]) : 7; // 7 is the echo service's
    int sock = call_or_exit(argv[0], host_or_exit(argv[1]), port);

    int differs = try_echo(sock, word, strlen(word));
    close(sock);
    flush_output();
    if (differs)
        DieWithUserMessage(argv[0], "the echo is not what was sent");
    return 0;
}
