// The message client: says a line of at most 254 bytes, shows what one read brings. It ends with 0
// whatever happens, and its prompt is seen at its end when stdout is no terminal.
//
//     msg_client HOST PORT

#include "stranger.h"

static void give_up(const char *call)
{
    perror(call);
    exit(0);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage %s hostname port\n", argv[0]);
        return 0;
    }
    int line = call(argv[1], port_of(argv[2]));
    if (line < 0)
        give_up("ERROR connecting");

    char message[256] = "";
    printf("Please enter the message: ");
    if (!fgets(message, sizeof message - 1, stdin))
        message[0] = '\0';
    if (write(line, message, strlen(message)) < 0)
        give_up("ERROR writing to socket");
    memset(message, 0, sizeof message);
    if (read(line, message, sizeof message - 1) < 0)
        give_up("ERROR reading from socket");
    printf("%s\n", message);
    return 0;
}
