// The sentence server in C. One read is the request; the answer is the whole buffer, with what is left
// in it of earlier callers; then it hangs up.
//
//     quirky_cap_tcp_server [PORT [MAX_LINE]]     6789, 1024

#include "stranger.h"

enum { LISTENQ = 1024 };

int main(int argc, char **argv)
{
    size_t max_line = argc > 2 ? strtoul(argv[2], NULL, 10) : 1024;
    char *sentence = calloc(1, max_line);
    int door = listen_at(argc > 1 ? port_of(argv[1]) : 6789, LISTENQ);
    if (!sentence || door < 0)
        die("listen");
    for (;;) {
        int line = accept(door, NULL, NULL);
        if (line < 0)
            die("accept");
        if (read(line, sentence, max_line) < 0)
            perror("read");
        capitalize(sentence, max_line);
        if (write(line, sentence, max_line) < 0)
            perror("write");
        close(line);
    }
}
