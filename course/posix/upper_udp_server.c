// The sentence server by datagram: each one goes back in capitals to whoever sent it.
//
//     upper_udp_server [PORT [HOST]]     port 9876, callers from this machine
//
// No listen, no accept, no connection: one socket for all. An answer is as long as its question, so
// that nobody gets what another one has said, and nobody can be flooded with large answers to small
// questions of somebody who pretends to be him.

#define _POSIX_C_SOURCE 200809L

#include "nethelp_datagram.h"

int main(int argc, char **argv)
{
    static char text[DATAGRAM_MAX + 1];
    int s = open_door(argc, argv, 9876, receive_on);
    struct sender sender;
    ssize_t n;

    while ((n = next_datagram(s, text, sizeof text, &sender)) >= 0) {
        capitalize(text, (size_t)n);
        if (sendto(s, text, (size_t)n, 0, (SA *)&sender.address, sender.size) < 0 && !stopping)
            complain("sendto()", sender.text);
    }
    return 0;
}
