// The yardstick of the model `threads`: a thread for each caller, blocking read and write.
//
//     thread_echo     listens on a free port of 127.0.0.1 and prints "port N"

#include "loopback.h"

#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

static void *echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[1500];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
        ssize_t sent = 0;
        while (sent < n) {
            ssize_t more = write(fd, buffer + sent, (size_t)(n - sent));
            if (more < 0)
                goto close_fd;
            sent += more;
        }
    }
close_fd:
    (void)close(fd);
    return NULL;
}

int main(void)
{
    int listener = listen_on_loopback(0);
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, 65536);

    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (fd >= 0 && pthread_create(&thread, &attributes, echo, (void *)(intptr_t)fd) != 0)
            (void)close(fd);
    }
}
