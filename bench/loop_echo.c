// The yardstick: an echo server as a careful programmer writes it by hand, without any library. One
// thread, level-triggered epoll, one recv and one send for each event, and an answer that the kernel
// does not take at once is kept until it does.
//
//     loop_echo       listens on a free port of 127.0.0.1 and prints "port N"

#include "loopback.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256 };

// What a caller who does not read has still to get. By descriptor, and touched in no other case.
static struct rest {
    char *bytes; // from malloc
    size_t begin, end;
} * rests;

static int epoll;

static void watch(int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event) < 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void hang_up(int fd)
{
    free(rests[fd].bytes);
    rests[fd] = (struct rest){0};
    (void)close(fd);
}

// Reads no more from fd until it has taken these bytes.
static void keep_rest(int fd, const char *bytes, size_t size)
{
    char *copy = malloc(size);
    if (!copy) {
        hang_up(fd);
        return;
    }
    memcpy(copy, bytes, size);
    rests[fd] = (struct rest){copy, 0, size};
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void send_rest(int fd)
{
    struct rest *rest = &rests[fd];
    ssize_t sent = send(fd, rest->bytes + rest->begin, rest->end - rest->begin, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            hang_up(fd);
        return;
    }
    rest->begin += (size_t)sent;
    if (rest->begin == rest->end) {
        free(rest->bytes);
        *rest = (struct rest){0};
        watch(EPOLL_CTL_MOD, fd, EPOLLIN);
    }
}

static void echo(int fd)
{
    static char buffer[65536];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        hang_up(fd);
        return;
    }
    ssize_t sent = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        sent = 0;
    if (sent < 0)
        hang_up(fd);
    else if (sent < n)
        keep_rest(fd, buffer + sent, (size_t)(n - sent));
}

// Takes in all who wait.
static void welcome(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
}

int main(void)
{
    int listener = listen_on_loopback(SOCK_NONBLOCK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    rests = calloc((size_t)sysconf(_SC_OPEN_MAX), sizeof *rests);
    if (epoll < 0 || !rests) {
        perror("loop_echo");
        return 1;
    }
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);

    for (;;) {
        static struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                welcome(listener);
            else if (rests[fd].bytes)
                send_rest(fd);
            else
                echo(fd);
        }
    }
}
