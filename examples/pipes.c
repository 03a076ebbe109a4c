// The sentence service between processes of one machine, which need no socket: two pipes.
//
//     pipes < text      what is read comes out in capitals
//
//     stdin -> feeder ==there==> service ==back==> this process -> stdout
//
// Each process closes the ends that it does not use. Whoever still has a writing end open is
// somebody who might write: the reader would wait for him for ever.

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void capitalize(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)(text[i] - 'a' + 'A');
}

static int fail(const char *name, const char *call)
{
    fprintf(stderr, "pipes: %s: %s: %s\n", name, call, strerror(errno));
    return 1;
}

// A pipe takes what there is room for: PIPE_BUF bytes as a whole, more in pieces (pipe(7)).
static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

// Returns an exit code.
static int copy(const char *name, int from, int to, bool in_capitals)
{
    char text[4096];
    for (;;) {
        ssize_t n = read(from, text, sizeof text);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(name, "read");
        if (n == 0)
            return 0;
        if (in_capitals)
            capitalize(text, (size_t)n);
        if (!write_all(to, text, (size_t)n))
            return fail(name, "write");
    }
}

enum { READ, WRITE };

static pid_t start_service(const int there[2], const int back[2])
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    close(there[WRITE]);
    close(back[READ]);
    _exit(copy("service", there[READ], back[WRITE], true));
}

static pid_t start_feeder(const int there[2], const int back[2])
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    close(there[READ]);
    close(back[READ]);
    close(back[WRITE]);
    _exit(copy("feeder", STDIN_FILENO, there[WRITE], false));
}

static bool has_ended_well(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(void)
{
    int there[2], back[2];
    (void)signal(SIGPIPE, SIG_IGN); // a write to nobody is an error like others: EPIPE
    if (pipe(there) < 0 || pipe(back) < 0)
        return fail("main", "pipe");
    pid_t service = start_service(there, back);
    pid_t feeder = service < 0 ? -1 : start_feeder(there, back);
    close(there[READ]);
    close(there[WRITE]);
    close(back[WRITE]);
    if (feeder < 0)
        return fail("main", "fork");
    int code = copy("main", back[READ], STDOUT_FILENO, false);
    close(back[READ]); // who still writes is told so
    bool fed = has_ended_well(feeder), served = has_ended_well(service);
    return code || !fed || !served;
}
