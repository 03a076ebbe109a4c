// The phone server with a fixed number of threads, which take the calls in turn.
//
//     phone_server_pool [PORT [HOST]]     port 5000, callers from this machine

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>

#include "nethelp.h"

#define PORTNUM 5000
#define WORKERS 4

static void do_something(int t);

// The hand-over from main to the workers: room for one call. The others wait at the door, where
// the system keeps them; a queue of our own would only be a second one.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int call = -1; // guarded by lock; -1 is free
static int closing;   // guarded by lock; no more calls will come

static void hand_over(int t)
{
    pthread_mutex_lock(&lock);
    while (call >= 0)
        pthread_cond_wait(&changed, &lock);
    call = t;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int take_over(void)
{
    pthread_mutex_lock(&lock);
    while (call < 0 && !closing)
        pthread_cond_wait(&changed, &lock);
    int t = call;
    call = -1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return t;
}

static void *work(void *unused)
{
    int t;
    while ((t = take_over()) >= 0) {
        do_something(t);
        hang_up(t);
    }
    return unused;
}

static void start_workers(pthread_t workers[WORKERS])
{
    sigset_t stop_signals, usual;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    // The threads begin with the signals held back: these are to wake the accept() of main.
    pthread_sigmask(SIG_BLOCK, &stop_signals, &usual);
    for (int i = 0; i < WORKERS; i++) {
        int error = pthread_create(&workers[i], NULL, work, NULL);
        if (error != 0)
            DieWithUserMessage("pthread_create() failed", strerror(error));
    }
    pthread_sigmask(SIG_SETMASK, &usual, NULL);
}

int main(int argc, char **argv)
{
    int s = open_doorbell(argc, argv, PORTNUM);
    pthread_t workers[WORKERS];
    start_workers(workers);

    int t;
    while ((t = get_connection(s)) >= 0)
        hand_over(t);
    if (!stopping)
        DieWithSystemMessage("accept() failed");

    pthread_mutex_lock(&lock);
    closing = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < WORKERS; i++) // the calls that are under way are finished
        pthread_join(workers[i], NULL);
    return 0;
}

// This function plays with the socket, in one of WORKERS threads: what it shares with others
// needs a lock. The connection is closed for it when it returns. Try echo(t) in it.
static void do_something(int t)
{
    (void)t; // do your thing with the socket here
}
