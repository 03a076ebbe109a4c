// The phone server that talks with one caller at a time. The next one waits at the door until
// the call is over, however long that takes.
//
//     phone_server_iterative [PORT [HOST]]     port 5000, callers from this machine

#define _POSIX_C_SOURCE 200809L

#include "nethelp.h"

#define PORTNUM 5000 // a number that is free on most machines; take another one if it is not

static void do_something(int t);

int main(int argc, char **argv)
{
    int s = open_doorbell(argc, argv, PORTNUM); // plug in the phone
    int t;

    while ((t = get_connection(s)) >= 0) { // loop for phone calls
        do_something(t);
        hang_up(t);
    }
    if (!stopping)
        DieWithSystemMessage("accept() failed");
    return 0;
}

// This function plays with the socket. It is called once for each call; the connection is
// closed for it when it returns. Try echo(t) in it.
static void do_something(int t)
{
    (void)t; // do your thing with the socket here
}
