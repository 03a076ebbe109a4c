// The sentence client: reads lines, has the server put them in capitals, and shows the answers.
//
//     upper_client [ADDRESS]     localhost:6789

#include <doorbell.h>
#include <stdio.h>
#include <stdlib.h>

static char *line;
static ssize_t size;

static int send_line(void *server)
{
    size += line[size - 1] != '\n';
    line[size - 1] = '\n'; // in the NUL's place, if the last line had none
    return bell_write(server, line, (size_t)size) == size ? 0 : -1;
}

static int show_answer(bell_conn *server)
{
    size_t room = (size_t)size + 3; // it is as long as its line
    char *answer = malloc(room);
    ssize_t n = bell_readline(server, answer, room);
    if (n > 0)
        printf("FROM SERVER: %s%s", answer, answer[n - 1] == '\n' ? "" : "\n");
    free(answer);
    return n <= 0 && fprintf(stderr, "%s\n", n == 0 ? "no answer" : bell_error());
}

int main(int argc, char **argv)
{
    size_t room = 0;
    bell_conn *server = bell_connect(argc > 1 ? argv[1] : "localhost:6789", NULL);
    bell_group *sender = bell_group_open(); // an answer may begin before all of its line is sent
    int failed = !server && fprintf(stderr, "%s: %s\n", argv[0], bell_error());
    while (!failed && (size = getline(&line, &room, stdin)) > 0)
        failed = bell_go(sender, send_line, server) < 0 || show_answer(server);
    return bell_group_close(sender), bell_close(server), failed;
}
