// The sentence client: reads lines, has the server put them in capitals, and shows the answers.
//
//     upper_client [HOST [PORT]]     this machine, port 6789
//
// A line goes out with its newline in one piece. Its answer ends at a newline, at a NUL, or
// when the server hangs up; it may come in any number of pieces.

#define _POSIX_C_SOURCE 200809L

#include "nethelp_converse.h"

// Shows a piece of an answer. Returns 1 if it holds the end. What some servers send after the
// end is not shown: a fixed number of bytes, whatever they were.
static int show(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n' || text[i] == '\0')
            return 1;
        if (text[i] != '\r') // a newline is CR LF for some
            putchar(text[i]);
    }
    return 0;
}

// Sends a line, shows its answer. Listens while it sends, as a long line comes back early.
static void ask(int server, const char *line, size_t size)
{
    char piece[BUFSIZE], name[ADDRESS_TEXT];
    size_t said = 0, heard = 0;
    ssize_t n;
    peer_text(server, name);

    for (;;) {
        n = say_or_hear(server, line + said, size - said);
        if (n > 0) {
            said += (size_t)n;
            continue;
        }
        if (n == 0)
            n = receive(server, piece, sizeof piece);
        if (n <= 0)
            break;
        if (heard == 0)
            fputs("FROM SERVER: ", stdout);
        heard += (size_t)n;
        if (show(piece, (size_t)n))
            break;
    }

    if (heard == 0 && (n == 0 || errno == ECONNRESET))
        DieWithUserMessage(name, "the server closed without an answer");
    if (n < 0) {
        complain("recv()", name);
        exit(1);
    }
    putchar('\n');
    flush_output();
}

int main(int argc, char **argv)
{
    int server = call_from(argc, argv, 6789);
    char *line = NULL;
    size_t room = 0;
    ssize_t size;

    while ((size = getline(&line, &room, stdin)) > 0) {
        if (line[size - 1] != '\n')
            line[size++] = '\n'; // over the NUL: the last line of a file may lack its newline
        ask(server, line, (size_t)size);
    }
    if (ferror(stdin))
        DieWithSystemMessage("standard input");
    free(line);
    close(server);
    return 0;
}
