// Lecture 1, "Server Code: main program", faults included.

#include "phone.h"

#define PORTNUM 5000

int main(int argc, char **argv)
{
    int s, t;

    if ((s = establish(port_of(argc, argv, PORTNUM))) < 0) {
        perror("establish");
        exit(1);
    }
    for (;;) {
        if ((t = get_connection(s)) < 0) {
            perror("accept");
            exit(1);
        }
        do_something(t);
        close(t);
        continue;
    }
}
