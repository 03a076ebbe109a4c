// Names the handler whose stack overflowed, when the guard below it is touched.

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "coro/coro.h"
#include "coro/stack.h"
#include "kernel/kernel.h"

enum { SIGNAL_STACK_SIZE = 32 * 1024 };

static struct sigaction previous;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int outcome; // of installing
static pthread_key_t signal_stack_key;
static _Thread_local bool has_signal_stack;

static void say(const char *text)
{
    (void)kernel->write(2, text, strlen(text));
}

// Lets the fault happen again, and end the program as it would have without us.
static void restore_default(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)kernel->sigaction(SIGSEGV, &action, NULL);
}

static void segv(int number, siginfo_t *info, void *context)
{
    const char *name;
    if (info->si_code > 0 && stack_overflowed(info->si_addr, &name)) {
        say("doorbell: handler ");
        say(name);
        say(" overflowed its stack of 64 KiB; large buffers belong on the heap\n");
        restore_default();
    } else if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    } else {
        restore_default(); // a fault cannot be ignored: returning would make it for ever
    }
}

static void free_signal_stack(void *memory)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    (void)sigaltstack(&none, NULL);
    kernel->unmap(memory, SIGNAL_STACK_SIZE);
}

static void install(void)
{
    outcome = -pthread_key_create(&signal_stack_key, free_signal_stack);
    if (outcome < 0)
        return;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    action.sa_sigaction = segv;
    outcome = kernel->sigaction(SIGSEGV, &action, &previous);
}

int coro_watch_overflow(void)
{
    (void)pthread_once(&once, install);
    if (outcome < 0 || has_signal_stack)
        return outcome;
    stack_t present;
    if (sigaltstack(NULL, &present) == 0 && !(present.ss_flags & SS_DISABLE)) {
        has_signal_stack = true; // the application's own does as well
        return 0;
    }
    void *memory = kernel->map(SIGNAL_STACK_SIZE, false);
    if (!memory)
        return -ENOMEM;
    stack_t stack = {.ss_sp = memory, .ss_size = SIGNAL_STACK_SIZE};
    if (sigaltstack(&stack, NULL) < 0) {
        kernel->unmap(memory, SIGNAL_STACK_SIZE);
        return -EINVAL;
    }
    (void)pthread_setspecific(signal_stack_key, memory);
    has_signal_stack = true;
    return 0;
}
