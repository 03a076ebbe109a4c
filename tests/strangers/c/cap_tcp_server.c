// The sentence server in C, without the mistakes: waits for a line in however many pieces, answers as
// many bytes, and hangs up.
//
//     cap_tcp_server [PORT]     6789

#include "stranger.h"

// Returns the size of what came up to a newline, or an end, or as much as there is room for.
static size_t read_request(int line, char *text, size_t room)
{
    size_t size = 0;
    ssize_t n;
    while (size < room && !memchr(text, '\n', size) &&
           (n = read(line, text + size, room - size)) > 0)
        size += (size_t)n;
    return size;
}

int main(int argc, char **argv)
{
    int door = listen_at(argc > 1 ? port_of(argv[1]) : 6789, 5);
    if (door < 0)
        die("listen");
    for (;;) {
        char sentence[4096];
        int line = accept(door, NULL, NULL);
        if (line < 0)
            die("accept");
        size_t size = read_request(line, sentence, sizeof sentence);
        capitalize(sentence, size);
        if (send(line, sentence, size, MSG_NOSIGNAL) < 0)
            perror("send");
        close(line);
    }
}
