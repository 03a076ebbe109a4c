// Lecture 2, "Example: C server (TCP)", faults included; only what the compiler refuses is mended, and the port is an
// argument. MAX_LINE and MAXLINE are one, LISTENQ is a number, `capitalize` is the C string function that it looks like.

#include <ctype.h>
#include <netinet/in.h>

#include "slides.h"

#define MAX_LINE 1024
#define LISTENQ 10

static void capitalize(char *sentence)
{
    for (; *sentence; sentence++)
        *sentence = toupper(*sentence);
}

int main(int argc, char **argv)
{
    int welcomeSocket, connectionSocket;
    char clientSentence[MAX_LINE];
    struct sockaddr_in servaddr;

    welcomeSocket = socket(AF_INET, SOCK_STREAM, 0);

    servaddr.sin_family = AF_INET;
    servaddr.sin_addr.s_addr = htonl(INADDR_ANY);
    servaddr.sin_port = htons(port_of(argc, argv, 6789));

    bind(welcomeSocket, (struct sockaddr *)&servaddr, sizeof(servaddr));
    listen(welcomeSocket, LISTENQ);

    for (;;) {
        connectionSocket = accept(welcomeSocket, (struct sockaddr *)NULL, NULL);
        read(connectionSocket, clientSentence, MAX_LINE);
        capitalize(clientSentence);
        write(connectionSocket, clientSentence, MAX_LINE);
        close(connectionSocket);
    }
}
