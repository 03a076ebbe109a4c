// Lecture 2, "Example: C server (TCP)". Retyped: what the compiler refuses is mended, and no more.

#include <doorbell/textbook.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    int welcomeSocket, connectionSocket, bytesRead;
    char clientSentence[MAX_LINE];
    struct sockaddr_in servaddr;

    welcomeSocket = socket(AF_INET, SOCK_STREAM, 0);

    servaddr.sin_family = AF_INET;
    servaddr.sin_addr.s_addr = htonl(INADDR_ANY);
    servaddr.sin_port = htons(6789);

    bind(welcomeSocket, (struct sockaddr *)&servaddr, sizeof(servaddr));

    listen(welcomeSocket, LISTENQ);
    for (;;) {
        connectionSocket = accept(welcomeSocket, (struct sockaddr *)NULL, NULL);

        bytesRead = read(connectionSocket, clientSentence, MAXLINE);
        (void)bytesRead;

        capitalize(clientSentence);

        write(connectionSocket, clientSentence, MAXLINE);

        close(connectionSocket);
    }

    close(welcomeSocket);
}
