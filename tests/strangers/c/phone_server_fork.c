// Has a child take each call. Nobody waits for the children: they stay as zombies.
//
//     phone_server_fork [PORT [none|echo]]     port 5000, and nothing is done

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
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child == 0) {
            close(door);
            do_something(line, argc > 2 ? argv[2] : "none");
            close(line);
            exit(0);
        }
        close(line);
    }
}
