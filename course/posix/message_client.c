// The message client: sends one line, and shows what the server says to it.
//
//     message_client [HOST [PORT]]     this machine, port 5000

#define _POSIX_C_SOURCE 200809L

#include "nethelp.h"

// Shows what comes, to a newline or to the end: the answer need not have a newline.
static void show_answer(int server, const char *name)
{
    char answer[MAXLINE];
    size_t shown = 0;
    ssize_t n;

    do {
        n = readline(server, answer, sizeof answer);
        if (n <= 0)
            break;
        fwrite(answer, 1, (size_t)n, stdout);
        shown += (size_t)n;
    } while (answer[n - 1] != '\n');

    if (shown == 0 && (n == 0 || errno == ECONNRESET))
        DieWithUserMessage(name, "the server closed without an answer");
    if (n < 0) {
        complain("recv()", name);
        exit(1);
    }
    if (n == 0)
        putchar('\n');
}

int main(int argc, char **argv)
{
    int sockfd = call_from(argc, argv, 5000);
    char name[ADDRESS_TEXT], *message = NULL;
    size_t room = 0;
    peer_text(sockfd, name);

    fputs("Please enter the message: ", stdout);
    flush_output(); // as there is no newline, it would be shown at the end only
    ssize_t size = getline(&message, &room, stdin); // of any length: nothing is cut
    if (size < 0 && ferror(stdin))
        DieWithSystemMessage("standard input");
    if (size < 0) {
        putchar('\n');
        return 0; // nothing to say: to wait for an answer would be to wait for ever
    }

    if (writen(sockfd, message, (size_t)size) < 0) {
        complain("send()", name);
        return 1;
    }
    // Marks the end of the message for a server that does not look for a newline. It fails if
    // the server has gone; it may have answered all the same.
    shutdown(sockfd, SHUT_WR);
    show_answer(sockfd, name);
    flush_output();
    free(message);
    close(sockfd);
    return 0;
}
