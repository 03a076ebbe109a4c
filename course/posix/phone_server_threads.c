// The phone server that starts a thread for each call.
//
//     phone_server_threads [PORT [HOST]]     port 5000, callers from this machine

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>

#include "nethelp.h"

#define PORTNUM 5000
#define THREADS_MAX 256 // calls at once; the next caller waits at the door

static void do_something(int t);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t thread_ended = PTHREAD_COND_INITIALIZER;
static int threads; // guarded by lock

static void wait_for_fewer_than(int limit)
{
    pthread_mutex_lock(&lock);
    while (threads >= limit)
        pthread_cond_wait(&thread_ended, &lock);
    pthread_mutex_unlock(&lock);
}

static void count_threads(int change)
{
    pthread_mutex_lock(&lock);
    threads += change;
    pthread_cond_signal(&thread_ended);
    pthread_mutex_unlock(&lock);
}

static void *serve(void *argument)
{
    int t = *(int *)argument;
    free(argument);
    do_something(t);
    hang_up(t);
    count_threads(-1);
    return NULL;
}

// Each thread gets an int of its own. The address of one variable for all would be the usual
// mistake: the next call can overwrite it before the thread has looked.
static int start_thread(int t)
{
    int *argument = malloc(sizeof *argument);
    pthread_t thread;
    if (!argument)
        return ENOMEM;
    *argument = t;
    int error = pthread_create(&thread, NULL, serve, argument);
    if (error != 0)
        free(argument);
    else
        pthread_detach(thread); // nobody will join it
    return error;
}

int main(int argc, char **argv)
{
    int s = open_doorbell(argc, argv, PORTNUM);
    sigset_t stop_signals, usual;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);

    int t;
    while ((t = get_connection(s)) >= 0) {
        // The thread begins with the signals held back: these are to wake the accept() of main.
        pthread_sigmask(SIG_BLOCK, &stop_signals, &usual);
        count_threads(+1);
        int error = start_thread(t);
        if (error != 0) { // bad news for this caller, and for no other
            fprintf(stderr, "pthread_create() failed: %s\n", strerror(error));
            close(t);
            count_threads(-1);
        }
        pthread_sigmask(SIG_SETMASK, &usual, NULL);
        wait_for_fewer_than(THREADS_MAX);
    }
    if (!stopping)
        DieWithSystemMessage("accept() failed");
    wait_for_fewer_than(1); // the calls that are under way are finished
    return 0;
}

// This function plays with the socket, in a thread of its own: what it shares with others needs
// a lock. The connection is closed for it when it returns. Try echo(t) in it.
static void do_something(int t)
{
    (void)t; // do your thing with the socket here
}
