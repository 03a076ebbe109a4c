// For each line of stdin: says it, waits for a line, shows it. A last line without a newline is
// waited for in vain.
//
//     echoclient HOST PORT

#include "nethelp.h"

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s host port\n", argv[0]);
        return 1;
    }
    char text[MAXLINE];
    int line = call(argv[1], port_of(argv[2]));
    if (line < 0)
        die("open_clientfd");
    while (fgets(text, sizeof text, stdin)) {
        if (write(line, text, strlen(text)) < 0)
            die("write");
        ssize_t n = readline(line, text, sizeof text);
        if (n < 0)
            die("readline");
        if (write(STDOUT_FILENO, text, (size_t)n) < 0)
            die("stdout");
    }
    close(line);
    return 0;
}
