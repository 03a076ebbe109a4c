// Calls, says what is on stdin, says that this was all, and shows what comes until the other side
// hangs up.
//
//     phone_client [HOST [PORT]]     this machine, port 5000

#include "stranger.h"

static void pass_on(int from, int to)
{
    char data[1024];
    ssize_t n;
    while ((n = read(from, data, sizeof data)) > 0)
        if (write(to, data, (size_t)n) != n)
            die("write");
}

int main(int argc, char **argv)
{
    int line = call(argc > 1 ? argv[1] : "localhost", argc > 2 ? port_of(argv[2]) : 5000);
    if (line < 0)
        die("call_socket");
    pass_on(STDIN_FILENO, line);
    shutdown(line, SHUT_WR);
    pass_on(line, STDOUT_FILENO);
    close(line);
    return 0;
}
