// See course/exercises/readline.c. Byte by byte is slow and right; course/posix/nethelp_talk.h looks into the socket
// first (MSG_PEEK), which is fast and right.

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

ssize_t readline(int fd, char *line, size_t size)
{
    size_t length = 0;
    while (length < size - 1) {
        ssize_t n = read(fd, line + length, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        if (line[length++] == '\n')
            break;
    }
    line[length] = '\0';
    return (ssize_t)length;
}
