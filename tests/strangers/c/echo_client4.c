// Sends a word, bare, and waits until as many bytes have come back. Dotted IPv4 addresses only.
//
//     echo_client4 ADDRESS WORD [PORT]     port 7

#include "stranger.h"

static void die_with(const char *message, const char *detail)
{
    fprintf(stderr, "%s: %s\n", message, detail);
    exit(1);
}

static int call_dotted(const char *host, in_port_t port)
{
    struct sockaddr_in address = here(port);
    int line = socket(AF_INET, SOCK_STREAM, 0);
    if (line < 0)
        die("socket() failed");
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        die_with("inet_pton() failed", "invalid address string");
    if (connect(line, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect() failed");
    return line;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4)
        die_with("Parameter(s)", "<Server Address> <Echo Word> [<Server Port>]");
    size_t size = strlen(argv[2]);
    int line = call_dotted(argv[1], argc > 3 ? port_of(argv[3]) : 7);
    if (send(line, argv[2], size, 0) != (ssize_t)size)
        die("send() failed");

    fputs("Received: ", stdout);
    for (size_t received = 0; received < size;) {
        char text[1024];
        ssize_t n = recv(line, text, sizeof text - 1, 0);
        if (n < 0)
            die("recv() failed");
        if (n == 0)
            die_with("recv()", "connection closed prematurely");
        received += (size_t)n;
        text[n] = '\0';
        fputs(text, stdout); // up to a NUL, if there is one
    }
    fputc('\n', stdout);
    close(line);
    return 0;
}
