// Lecture 1, "Client Code": the slide has call_socket and no program; this is the least one around it.

#include <doorbell/textbook.h>

int main(int argc, char **argv)
{
    int s, n;
    char buffer[BUFSIZE];

    if (argc < 3 || (s = call_socket(argv[1], (unsigned short)atoi(argv[2]))) < 0) {
        fprintf(stderr, "call_socket: %s\n", textbook_reason());
        exit(1);
    }
    while ((n = read(s, buffer, BUFSIZE)) > 0)
        fwrite(buffer, 1, n, stdout);
    close(s);
    exit(n < 0);
}
