// Lecture 4, "Echo Server: Main Routine" and "Echo Server: echo", faults included.

#include <netinet/in.h>

#include "slides.h"

static int open_listenfd(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (SA *)&address, sizeof address) < 0 || listen(fd, 1024) < 0)
        return -1;
    return fd;
}

int main(int argc, char **argv)
{
    int listenfd, connfd, port;
    socklen_t clientlen;
    struct sockaddr clientaddr;

    port = atoi(argv[1]); // the server listens on a port passed on the command line
    clientlen = sizeof(clientaddr);
    listenfd = open_listenfd(port);

    while (1) {
        connfd = accept(listenfd, &clientaddr, &clientlen);
        echo(connfd);
        close(connfd);
    }
}
