// Lecture 2, "Example: C server (UDP)". Retyped: what the compiler refuses is mended, and no more.

#include <doorbell/textbook.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    int serverSocket;
    char clientSentence[MAX_LINE];
    struct sockaddr_in svrAddr, cliAddr;
    socklen_t cliLen = sizeof(cliAddr);

    serverSocket = socket(AF_INET, SOCK_DGRAM, 0);

    /* bind any port */
    svrAddr.sin_family = AF_INET;
    svrAddr.sin_addr.s_addr = htonl(INADDR_ANY);
    svrAddr.sin_port = htons(9876);

    bind(serverSocket, (struct sockaddr *)&svrAddr, sizeof(svrAddr));

    for (;;) {
        recvfrom(serverSocket, clientSentence, MAX_LINE, 0, (struct sockaddr *)&cliAddr, &cliLen);

        capitalize(clientSentence);

        sendto(serverSocket, clientSentence, MAX_LINE, 0, (struct sockaddr *)&cliAddr,
               sizeof(cliAddr));
    }
    close(serverSocket);
}
