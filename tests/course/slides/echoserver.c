// Lecture 4, "Echo Server: Main Routine". Retyped: what the compiler refuses is mended, and no more.

#include "nethelp.h"

int main(int argc, char **argv)
{
    (void)argc;
    int listenfd, connfd, port;
    struct sockaddr clientaddr;
    socklen_t clientlen;

    port = atoi(argv[1]); /* the server listens on a port passed
                             on the command line */
    clientlen = sizeof(clientaddr);
    listenfd = open_listenfd(port);

    while (1) {
        connfd = accept(listenfd, (SA *)&clientaddr, &clientlen);
        echo(connfd);

        close(connfd); /* Close connection with client */
    }
}
