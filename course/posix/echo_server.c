// The echo server: what comes in goes back as it is.
//
//     echo_server [PORT [HOST]]     port 5000, callers from this machine
//
// One caller at a time, the next ones wait at the door: until he leaves, or has been silent for
// SILENCE_SECONDS. For many at once see the phone servers.

#define _POSIX_C_SOURCE 200809L

#include "nethelp.h"

int main(int argc, char **argv)
{
    int listenfd = open_doorbell(argc, argv, 5000);
    int connfd;

    while ((connfd = get_connection(listenfd)) >= 0) {
        echo(connfd);
        hang_up(connfd);
    }
    if (!stopping)
        DieWithSystemMessage("accept() failed");
    return 0;
}
