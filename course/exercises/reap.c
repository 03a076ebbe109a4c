// Exercise of lecture 1: a process for each caller, and no zombies.
//
// serve_in_child() is called for each caller; serve() is his conversation. When it returns the server is back at the
// door. A child that has ended stays as a zombie until somebody waits for it; the server must not wait for one that
// still talks.
//
//     course/exercises/check reap

#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

void serve(int caller);

void serve_in_child(int door, int caller)
{
    if (fork() == 0) {
        close(door);
        serve(caller);
        exit(0);
    }
    close(caller);
}
