// The message server: takes one call, one read is the message; shows it, answers without a newline, and
// that was it.
//
//     msg_server PORT

#include "stranger.h"

int main(int argc, char **argv)
{
    static const char answer[] = "I got your message";
    if (argc < 2) {
        fprintf(stderr, "ERROR, no port provided\n");
        return 1;
    }
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (door < 0)
        die("ERROR opening socket");
    struct sockaddr_in address = here(port_of(argv[1]));
    if (bind(door, (struct sockaddr *)&address, sizeof address) < 0)
        die("ERROR on binding");
    listen(door, 5);
    tell_port(door, port_of(argv[1]));

    int line = accept(door, NULL, NULL);
    if (line < 0)
        die("ERROR on accept");
    char message[256] = "";
    if (read(line, message, sizeof message - 1) < 0)
        die("ERROR reading from socket");
    printf("Here is the message: %s\n", message);
    if (write(line, answer, sizeof answer - 1) < 0)
        die("ERROR writing to socket");
    return 0;
}
