// Lecture 2, "Example: C client (TCP)". Retyped: what the compiler refuses is mended, and no more.

#include <doorbell/textbook.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    int connectSocket;
    char sentence[MAX_LINE];
    char modifiedSentence[MAX_LINE];
    struct hostent *hp;
    struct sockaddr_in sin;

    connectSocket = socket(PF_INET, SOCK_STREAM, 0);

    /* translate host name into peer's IP address */
    hp = gethostbyname("hostname");

    bzero((char *)&sin, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(6789);
    bcopy(hp->h_addr, (char *)&sin.sin_addr, hp->h_length);

    connect(connectSocket, (struct sockaddr *)&sin, sizeof(sin));

    fgets(sentence, MAXLINE, stdin);
    sentence[MAXLINE - 1] = '\0';
    write(connectSocket, sentence, strlen(sentence) + 1);

    read(connectSocket, modifiedSentence, sizeof(modifiedSentence));

    fprintf(stderr, "FROM SERVER: %s \n", modifiedSentence);

    close(connectSocket);
}
