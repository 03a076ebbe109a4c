// Lecture 1, "Concurrent Server", faults included.

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
        switch (fork()) {
        case -1:
            perror("fork");
            close(s);
            close(t);
            exit(1);
        case 0:
            close(s);
            do_something(t);
            close(t);
            exit(0);
        default:
            close(t);
            continue;
        }
    }
}
