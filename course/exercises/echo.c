// Exercise of lecture 4: send back what comes, until the caller ends. Whatever one caller does, the server goes on.
//
// What is wrong here: n cannot be negative; write() may take less than n; a line is waited for, though some send a
// word without one; and a caller who has gone ends the program by SIGPIPE.
//
//     course/exercises/check echo

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

void echo(int connfd)
{
    size_t n;
    char line[1024];

    do {
        for (n = 0; n < sizeof line; n++)
            if (read(connfd, &line[n], 1) <= 0 || line[n] == '\n')
                break;
        n += n < sizeof line;
    } while (write(connfd, line, n) > 0 && line[n - 1] == '\n');
}
