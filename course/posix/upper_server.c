// The sentence server: what comes in goes back in capitals.
//
//     upper_server [PORT [HOST]]     port 6789, callers from this machine
//
// It maps bytes as they come, as many out as in, until the caller is finished. So it suits
// clients that send a line, a line and a NUL, a line byte by byte, or a word without any end; a
// server that waits for lines, or takes one read for the request, fails with some of them.

#define _POSIX_C_SOURCE 200809L

#include "nethelp.h"

static void upper(int caller)
{
    char text[BUFSIZE], name[ADDRESS_TEXT];
    ssize_t n;
    peer_text(caller, name);
    while ((n = receive(caller, text, sizeof text)) > 0) {
        capitalize(text, (size_t)n);
        if (writen(caller, text, (size_t)n) < 0) {
            complain("send()", name);
            return;
        }
    }
    if (n < 0)
        complain("recv()", name);
}

int main(int argc, char **argv)
{
    int welcome = open_doorbell(argc, argv, 6789);
    int caller;

    while ((caller = get_connection(welcome)) >= 0) {
        upper(caller);
        hang_up(caller);
    }
    if (!stopping)
        DieWithSystemMessage("accept() failed");
    return 0;
}
