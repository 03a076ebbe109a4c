// Exercise of lectures 3 and 4: read a line from a socket, with its newline, and put a NUL after it.
//
// Returns its length; 0 at the end of the stream; -1 if read() fails. The last line may lack its newline. Of a line
// that is longer than size - 1 it gives the first size - 1 bytes, and the next call goes on. It must take nothing that
// comes after the newline: whoever calls read() next wants it.
//
//     course/exercises/check readline

#include <sys/types.h>
#include <unistd.h>

ssize_t readline(int fd, char *line, size_t size)
{
    ssize_t n = read(fd, line, size - 1);
    if (n >= 0)
        line[n] = '\0';
    return n;
}
