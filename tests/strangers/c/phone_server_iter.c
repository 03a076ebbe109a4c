// Takes one call after the other, does something, and hangs up.
//
//     phone_server_iter [PORT [none|echo]]     port 5000, and nothing is done

#include "phone.h"

int main(int argc, char **argv)
{
    int door = listen_at(argc > 1 ? port_of(argv[1]) : PHONE_PORT, PHONE_BACKLOG);
    if (door < 0)
        die("establish");
    for (;;) {
        int line = accept(door, NULL, NULL);
        if (line < 0)
            die("accept");
        do_something(line, argc > 2 ? argv[2] : "none");
        close(line);
    }
}
