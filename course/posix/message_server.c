// The message server: shows each caller's message and says that it has got it.
//
//     message_server [PORT [HOST]]     port 5000, callers from this machine

#define _POSIX_C_SOURCE 200809L

#include <ctype.h>

#include "nethelp.h"

static const char answer[] = "I got your message"; // neither newline nor NUL follow on the wire

// A message ends with its newline, with the caller's end, after a second of silence (there are
// clients that send no newline and wait), or when it is as long as the buffer. Returns its
// size, or -1.
static ssize_t read_message(int caller, char *message, size_t size)
{
    size_t length = 0;
    char last = '\0';
    while (length < size && last != '\n') {
        struct pollfd more = {.fd = caller, .events = POLLIN};
        if (length > 0 && wait_for(&more, 1, 1000) < 0)
            break;
        ssize_t n = count_to_newline(caller, message + length, size - length);
        if (n > 0)
            n = receive(caller, message + length, (size_t)n);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        length += (size_t)n;
        last = message[length - 1];
    }
    return (ssize_t)length;
}

// Control characters are not shown as they are: they could command the terminal.
static void show(const char *message, size_t size)
{
    while (size > 0 && (message[size - 1] == '\n' || message[size - 1] == '\r'))
        size--;
    fputs("Here is the message: ", stdout);
    for (size_t i = 0; i < size; i++)
        putchar(iscntrl((unsigned char)message[i]) && message[i] != '\t' ? '?' : message[i]);
    putchar('\n');
}

static void take_message(int caller)
{
    char message[MAXLINE], name[ADDRESS_TEXT];
    peer_text(caller, name);
    ssize_t size = read_message(caller, message, sizeof message);
    if (size < 0)
        complain("recv()", name);
    if (size <= 0)
        return; // nothing said, nothing got

    show(message, (size_t)size);
    if (size == MAXLINE && message[MAXLINE - 1] != '\n')
        fprintf(stderr, "the message of %s is cut after %d bytes\n", name, MAXLINE);
    if (writen(caller, answer, sizeof answer - 1) < 0)
        complain("send()", name);
}

int main(int argc, char **argv)
{
    int sockfd = open_doorbell(argc, argv, 5000);
    int newsockfd;

    while ((newsockfd = get_connection(sockfd)) >= 0) {
        take_message(newsockfd);
        hang_up(newsockfd);
    }
    if (!stopping)
        DieWithSystemMessage("accept() failed");
    return 0;
}
