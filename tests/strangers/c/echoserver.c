// Serves one caller after the other: echoes each line when it is complete, and says how long it was.
//
//     echoserver PORT

#include "nethelp.h"

static void echo(int line)
{
    char text[MAXLINE];
    ssize_t n;
    while ((n = readline(line, text, sizeof text)) > 0) {
        printf("server received %zd bytes\n", n);
        if (write(line, text, (size_t)n) < 0)
            return;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s port\n", argv[0]);
        return 1;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0); // a pipe sees its lines as a terminal would
    int door = listen_at(port_of(argv[1]), 1024);
    if (door < 0)
        die("open_listenfd");
    for (;;) {
        int line = accept(door, NULL, NULL);
        if (line < 0)
            die("accept");
        echo(line);
        close(line);
    }
}
