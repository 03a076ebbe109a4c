// The sentence client by datagram: sends a line, and shows it as it comes back in capitals.
//
//     upper_udp_client [HOST [PORT [OWN_PORT]]]     this machine, port 9876
//
// Datagrams get lost. A question is sent again until it is answered, or given up. So a server may
// see one twice, and an answer may come twice and late: therefore each question has a socket, and a
// port, of its own, at which nobody listens any more when the second answer comes.

#define _POSIX_C_SOURCE 200809L

#include "nethelp_datagram.h"

// An answer is as long as its question. Some servers send more: a fixed number of bytes, with what
// others have said before.
static void show(const char *answer, size_t size)
{
    fputs("FROM SERVER: ", stdout);
    fwrite(answer, 1, size, stdout);
    putchar('\n');
    flush_output();
}

static void explain(const char *server)
{
    if (errno == ETIMEDOUT)
        fprintf(stderr, "%s: no answer to %d datagrams\n", server, TRIES);
    else if (errno == EMSGSIZE)
        fprintf(stderr, "%s: the line is too long for a datagram: %d bytes are the most\n", server,
                DATAGRAM_MAX);
    else
        complain("send() or recv()", server);
    exit(1);
}

// Asks at one address, or the next one if nobody is there. Returns the one that answered.
static const struct addrinfo *ask(const struct addrinfo *at, int own_port, const char *line,
                                  size_t size)
{
    static char answer[DATAGRAM_MAX + 1];
    char server[ADDRESS_TEXT];
    for (;;) {
        address_text(at->ai_addr, at->ai_addrlen, server);
        int fd = open_datagrams(at, own_port);
        if (fd < 0)
            DieWithUserMessage(server, net_error);
        ssize_t n = ask_until_answered(fd, line, size, answer, sizeof answer);
        close(fd);
        if (n >= 0) {
            show(answer, (size_t)n < size ? (size_t)n : size);
            return at;
        }
        if (errno != ECONNREFUSED || !at->ai_next)
            explain(server);
        at = at->ai_next;
    }
}

int main(int argc, char **argv)
{
    if (argc > 4)
        usage(argv[0], "[HOST [PORT [OWN_PORT]]]");
    int port = argc > 2 ? port_or_exit(argv[2]) : 9876;
    int own_port = argc > 3 ? port_or_exit(argv[3]) : 0;
    const char *host = argc > 1 ? host_or_exit(argv[1]) : "localhost";
    fill_standard_streams();
    struct addrinfo *all = find_addresses(host, port, SOCK_DGRAM);
    if (!all)
        DieWithUserMessage(argv[0], net_error);

    const struct addrinfo *at = all;
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, stdin)) > 0) {
        if (line[size - 1] == '\n')
            size--; // a datagram has an end of its own
        at = ask(at, own_port, line, (size_t)size);
    }
    if (ferror(stdin))
        DieWithSystemMessage("standard input");
    free(line);
    freeaddrinfo(all);
    return 0;
}
