// The sentence client in C, without the mistakes: a line goes out, a line comes back.
//
//     cap_tcp_client [HOST [PORT]]     this machine, 6789

#include "stranger.h"

int main(int argc, char **argv)
{
    int line = call(argc > 1 ? argv[1] : "localhost", argc > 2 ? port_of(argv[2]) : 6789);
    if (line < 0)
        die("connect");
    char sentence[1024];
    if (!fgets(sentence, sizeof sentence, stdin))
        return 0;
    size_t size = strlen(sentence);
    if (write(line, sentence, size) != (ssize_t)size)
        die("write");

    char byte;
    ssize_t n;
    printf("FROM SERVER: ");
    while ((n = read(line, &byte, 1)) > 0 && byte != '\n')
        putchar(byte);
    if (n < 0)
        die("read");
    putchar('\n');
    close(line);
    return 0;
}
