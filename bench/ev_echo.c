// An echo server on libev, as its manual has it: a watcher for each caller, one recv and one send for
// each event. It shows whether the measurement is sound: a library on top of epoll_wait cannot cost
// less than the loop by hand.
//
//     ev_echo         listens on a free port of 127.0.0.1 and prints "port N"

#include "loopback.h"

#include <errno.h>
#include <ev.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct caller {
    ev_io watcher;
    char *rest; // from malloc: bytes that the kernel has not taken yet, or NULL
    size_t begin, end;
};

static void hang_up(struct ev_loop *loop, struct caller *caller)
{
    ev_io_stop(loop, &caller->watcher);
    (void)close(caller->watcher.fd);
    free(caller->rest);
    free(caller);
}

static void watch_for(struct ev_loop *loop, struct caller *caller, int events)
{
    ev_io_stop(loop, &caller->watcher);
    ev_io_set(&caller->watcher, caller->watcher.fd, events);
    ev_io_start(loop, &caller->watcher);
}

static void send_rest(struct ev_loop *loop, struct caller *caller)
{
    ssize_t sent = send(caller->watcher.fd, caller->rest + caller->begin,
                        caller->end - caller->begin, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return;
    if (sent < 0) {
        hang_up(loop, caller);
        return;
    }
    caller->begin += (size_t)sent;
    if (caller->begin == caller->end) {
        free(caller->rest);
        caller->rest = NULL;
        watch_for(loop, caller, EV_READ);
    }
}

// Reads no more from the caller until he has taken these bytes.
static void keep_rest(struct ev_loop *loop, struct caller *caller, const char *bytes, size_t size)
{
    caller->rest = malloc(size);
    if (!caller->rest) {
        hang_up(loop, caller);
        return;
    }
    memcpy(caller->rest, bytes, size);
    caller->begin = 0;
    caller->end = size;
    watch_for(loop, caller, EV_WRITE);
}

static void echo(struct ev_loop *loop, ev_io *watcher, int events)
{
    static char buffer[65536];
    struct caller *caller = watcher->data;
    if (events & EV_WRITE) {
        send_rest(loop, caller);
        return;
    }
    ssize_t n = recv(watcher->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        hang_up(loop, caller);
        return;
    }
    ssize_t sent = send(watcher->fd, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        sent = 0;
    if (sent < 0)
        hang_up(loop, caller);
    else if (sent < n)
        keep_rest(loop, caller, buffer + sent, (size_t)(n - sent));
}

// Takes in all who wait.
static void welcome(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    int fd;
    while ((fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct caller *caller = calloc(1, sizeof *caller);
        if (!caller) {
            (void)close(fd);
            continue;
        }
        ev_io_init(&caller->watcher, echo, fd, EV_READ);
        caller->watcher.data = caller;
        ev_io_start(loop, &caller->watcher);
    }
}

int main(void)
{
    int listener = listen_on_loopback(SOCK_NONBLOCK);
    struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
    if (!loop)
        return 1;
    ev_io welcomer;
    ev_io_init(&welcomer, welcome, listener, EV_READ);
    ev_io_start(loop, &welcomer);
    ev_run(loop, 0);
    return 0;
}
