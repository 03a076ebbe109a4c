// See course/exercises/echo.c.

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void echo(int connfd)
{
    char text[1024];
    ssize_t n;

    while ((n = read(connfd, text, sizeof text)) > 0 || (n < 0 && errno == EINTR)) {
        for (ssize_t sent, done = 0; done<n; done += sent> 0 ? sent : 0) {
            sent = send(connfd, text + done, (size_t)(n - done), MSG_NOSIGNAL);
            if (sent < 0 && errno != EINTR)
                return; // he has gone
        }
    }
}
