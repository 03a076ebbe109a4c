// Who asks for BELL_STOP_ON_SIGNALS is listed, and one handler stops all who are.

#include "door/signals.h"

#include <doorbell.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "door/door.h"
#include "kernel/kernel.h"
#include "wait/failure.h"

enum { SIGNALLED_MAX = 16 };

static const int stop_signals[2] = {SIGTERM, SIGINT};

static bell_server *_Atomic signalled[SIGNALLED_MAX];
static pthread_mutex_t signals_lock = PTHREAD_MUTEX_INITIALIZER; // not for stop_on_signal
static struct sigaction old_actions[2];                          // guarded by signals_lock

// Ctrl-C goes to the whole group of processes, and may find one that has just been forked: stopping is
// the parent's affair, and a second stop would cut.
static void stop_on_signal(int number)
{
    (void)number;
    int error = errno;
    int pid = kernel->getpid();
    for (int i = 0; i < SIGNALLED_MAX; i++) {
        bell_server *server = signalled[i];
        if (server && server->owner_pid == pid)
            bell_server_stop(server);
    }
    errno = error;
}

// Puts `now` in the place of `before`; false when there is none.
static bool change_signalled(bell_server *before, bell_server *now)
{
    for (int i = 0; i < SIGNALLED_MAX; i++) {
        bell_server *expected = before;
        if (atomic_compare_exchange_strong(&signalled[i], &expected, now))
            return true;
    }
    return false;
}

static bool is_anybody_signalled(void)
{
    for (int i = 0; i < SIGNALLED_MAX; i++)
        if (signalled[i])
            return true;
    return false;
}

void signals_forget(int pid)
{
    for (int i = 0; i < SIGNALLED_MAX; i++) {
        bell_server *server = signalled[i];
        if (server && (pid == 0 || server->owner_pid == pid))
            signalled[i] = NULL;
    }
}

// What was there before is what was not ours: servers may end in any order.
static void take_signals(void)
{
    struct sigaction action = {.sa_handler = stop_on_signal, .sa_flags = SA_RESTART};
    for (int i = 0; i < 2; i++) {
        struct sigaction old;
        if (kernel->sigaction(stop_signals[i], &action, &old) == 0 &&
            old.sa_handler != stop_on_signal)
            old_actions[i] = old;
    }
}

int signals_listen(struct bell_server *server)
{
    if (!(server->options.flags & BELL_STOP_ON_SIGNALS))
        return 0;
    (void)pthread_mutex_lock(&signals_lock);
    bool listed = change_signalled(NULL, server);
    if (listed)
        take_signals();
    (void)pthread_mutex_unlock(&signals_lock);
    return listed ? 0
                  : failure_say(-EBUSY, "more than %d servers with BELL_STOP_ON_SIGNALS",
                                SIGNALLED_MAX);
}

void signals_restore(struct bell_server *server)
{
    if (!(server->options.flags & BELL_STOP_ON_SIGNALS))
        return;
    (void)pthread_mutex_lock(&signals_lock);
    // Before the server goes: a signal that comes now is for those that are left.
    bool last = change_signalled(server, NULL) && !is_anybody_signalled();
    for (int i = 0; last && i < 2; i++)
        (void)kernel->sigaction(stop_signals[i], &old_actions[i], NULL);
    (void)pthread_mutex_unlock(&signals_lock);
}

static void ignore_signal(int number)
{
    (void)number;
}

// Not SIG_IGN: a program that a handler executes would inherit that.
void signals_leave_to_parent(const struct bell_server *server)
{
    if (!(server->options.flags & BELL_STOP_ON_SIGNALS))
        return;
    struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
    for (int i = 0; i < 2; i++)
        (void)kernel->sigaction(stop_signals[i], &action, NULL);
}
