// The sentence client in C. Its string goes out with the NUL at its end; one read is the answer; it is
// printed up to a NUL, on stderr.
//
//     quirky_cap_tcp_client [HOST [PORT [MAX_LINE [FILL]]]]     this machine, 6789, 1024, 0
//
// FILL is the byte that the buffer is full of before the answer comes, so that one can see what is
// printed though it never came.

#include "stranger.h"

int main(int argc, char **argv)
{
    size_t max_line = argc > 3 ? strtoul(argv[3], NULL, 10) : 1024;
    char *sentence = calloc(1, max_line + 1);
    char *answer = calloc(1, max_line + 1);
    int line = call(argc > 1 ? argv[1] : "localhost", argc > 2 ? port_of(argv[2]) : 6789);
    if (line < 0)
        die("connect");
    if (!sentence || !answer)
        die("calloc");
    memset(answer, argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0, max_line);

    if (!fgets(sentence, (int)max_line, stdin))
        sentence[0] = '\0';
    if (write(line, sentence, strlen(sentence) + 1) < 0 || read(line, answer, max_line) < 0)
        perror("read");
    fprintf(stderr, "FROM SERVER: %s \n", answer);
    close(line);
    free(sentence);
    free(answer);
    return 0;
}
