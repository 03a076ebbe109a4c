// The phone server that starts a process for each call. The parent is back at the door at once.
//
//     phone_server_fork [PORT [HOST]]     port 5000, callers from this machine

#define _POSIX_C_SOURCE 200809L

#include <sys/wait.h>

#include "nethelp.h"

#define PORTNUM 5000
#define CHILDREN_MAX 64 // calls at once; the next caller waits at the door

static void do_something(int t);

static volatile sig_atomic_t children;

// A child that has ended remains as a zombie until somebody waits for it. Signals do not queue,
// one may stand for several children: hence the loop.
static void reap(int number)
{
    (void)number;
    int saved = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        children--;
    errno = saved;
}

// What the child does, and no more: the door is the parent's.
static void serve_and_exit(int t, const sigset_t *usual_signals)
{
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, usual_signals, NULL);
    close(doorbell);
    doorbell = -1;
    do_something(t);
    hang_up(t);
    fflush(stdout);
    _exit(0); // exit() would run what the parent has set up for its own end
}

int main(int argc, char **argv)
{
    int s = open_doorbell(argc, argv, PORTNUM);
    struct sigaction action = {.sa_handler = reap, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigset_t child_signal, usual;
    sigemptyset(&action.sa_mask);
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    if (sigaction(SIGCHLD, &action, NULL) < 0)
        DieWithSystemMessage("sigaction() failed");

    int t;
    while ((t = get_connection(s)) >= 0) {
        // While the signal is held back, reap() cannot change the count under our hands.
        sigprocmask(SIG_BLOCK, &child_signal, &usual);
        pid_t pid = fork();
        if (pid == 0)
            serve_and_exit(t, &usual);
        if (pid < 0)
            perror("fork() failed"); // bad news for this caller, and for no other
        else
            children++;
        close(t); // the child has it; the caller sees an end only when all have closed it
        while (children >= CHILDREN_MAX)
            sigsuspend(&usual); // lets the signal in and sleeps, in one step
        sigprocmask(SIG_SETMASK, &usual, NULL);
    }
    if (!stopping)
        DieWithSystemMessage("accept() failed");

    sigprocmask(SIG_BLOCK, &child_signal, &usual);
    while (children > 0) // the calls that are under way are finished
        sigsuspend(&usual);
    return 0;
}

// This function plays with the socket, in a process of its own. The connection is closed for it
// when it returns. Try echo(t) in it.
static void do_something(int t)
{
    (void)t; // do your thing with the socket here
}
