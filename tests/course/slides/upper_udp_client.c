// Lecture 2, "Example: C client (UDP)". Retyped: what the compiler refuses is mended, and no more, but for one
// thing: the slide forgets to read the sentence from the keyboard.

#include <doorbell/textbook.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    int clientSocket;
    char sentence[MAX_LINE];
    char modifiedSentence[MAX_LINE];
    struct hostent *hp;
    struct sockaddr_in cliAddr, remoteServAddr;
    socklen_t remoteServLen = sizeof(remoteServAddr);

    clientSocket = socket(AF_INET, SOCK_DGRAM, 0);

    /* translate host name into peer's IP address */
    hp = gethostbyname("hostname");

    /* bind any port */
    cliAddr.sin_family = AF_INET;
    cliAddr.sin_addr.s_addr = htonl(INADDR_ANY);
    cliAddr.sin_port = htons(0);

    bind(clientSocket, (struct sockaddr *)&cliAddr, sizeof(cliAddr));

    remoteServAddr.sin_family = hp->h_addrtype;
    memcpy((char *)&remoteServAddr.sin_addr.s_addr, hp->h_addr_list[0], hp->h_length);
    remoteServAddr.sin_port = htons(9876);

    fgets(sentence, MAX_LINE, stdin);

    sendto(clientSocket, sentence, MAX_LINE, 0, (struct sockaddr *)&remoteServAddr,
           sizeof(remoteServAddr));

    recvfrom(clientSocket, modifiedSentence, MAX_LINE, 0, (struct sockaddr *)&remoteServAddr,
             &remoteServLen);

    fprintf(stderr, "FROM SERVER: %s \n", modifiedSentence);
    close(clientSocket);
}
