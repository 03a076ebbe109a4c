// Names the handler whose stack overflowed, when the guard below it is touched.
//
// The fault comes where there is no stack left, so the signal handler needs one of its own, and
// each thread has one. All that happens in the signal handler is async-signal-safe.

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "coro/coro.h"
#include "coro/stack.h"
#include "kernel/kernel.h"

// The kernel's frame alone has 11 KiB on processors with AMX, and a handler from before may come on
// top.
enum { SIGNAL_STACK_SIZE = 64 * 1024 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int outcome;               // of installing
static struct sigaction previous; // written once, before ours can be called
static pthread_key_t signal_stack_key;
static _Thread_local bool has_signal_stack;

// ---- In the signal handler ---------------------------------------------------------------------

static char *append(char *at, const char *end, const char *string)
{
    while (at < end && *string)
        *at++ = *string++;
    return at;
}

// In one write, so that the line stays whole beside other threads' lines.
static void tell(const char *name)
{
    char line[256];
    char *at = append(line, line + sizeof line, "doorbell: handler ");
    at = append(at, line + 160, name ? name : "(without a name)");
    at = append(at, line + sizeof line,
                " overflowed its stack of 64 KiB; large buffers belong on the heap\n");
    (void)kernel->write(2, line, (size_t)(at - line));
}

static void set_default(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)kernel->sigaction(SIGSEGV, &action, NULL);
}

static bool is_function(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

// As the kernel would.
static void call(const struct sigaction *action, int number, siginfo_t *info, void *context)
{
    sigset_t blocked = action->sa_mask, before;
    if (!(action->sa_flags & SA_NODEFER))
        (void)sigaddset(&blocked, number);
    if ((unsigned)action->sa_flags & SA_RESETHAND)
        set_default();
    (void)kernel->sigprocmask(SIG_BLOCK, &blocked, &before);
    if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(number, info, context);
    else
        action->sa_handler(number);
    (void)kernel->sigprocmask(SIG_SETMASK, &before, NULL);
}

// Returning repeats a fault, which then ends the program where it happened, as the core dump should
// show; what kill(2) sent must be sent again.
static void handle(int number, siginfo_t *info, void *context)
{
    const char *name;
    bool fault = info->si_code > 0;
    if (fault && stack_overflowed(info->si_addr, &name)) {
        tell(name);
        set_default();
    } else if (is_function(&previous)) {
        call(&previous, number, info, context);
    } else {
        (void)kernel->sigaction(number, &previous, NULL);
        if (!fault)
            (void)raise(number);
    }
}

// ---- Installing it -----------------------------------------------------------------------------

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
    // SA_NODEFER: the fault that ends the program may come again from within.
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
    action.sa_sigaction = handle;
    outcome = kernel->sigaction(SIGSEGV, &action, &previous);
}

static int give_signal_stack(void)
{
    stack_t stack;
    (void)sigaltstack(NULL, &stack);
    if (!(stack.ss_flags & SS_DISABLE))
        return 0; // the application's own does as well
    void *memory = kernel->map(SIGNAL_STACK_SIZE, false);
    if (!memory)
        return -ENOMEM;
    stack = (stack_t){.ss_sp = memory, .ss_size = SIGNAL_STACK_SIZE};
    int rc = -pthread_setspecific(signal_stack_key, memory);
    if (rc < 0)
        kernel->unmap(memory, SIGNAL_STACK_SIZE);
    else
        (void)sigaltstack(&stack, NULL); // it is large enough, and none is in use
    return rc;
}

int coro_watch_overflow(void)
{
    (void)pthread_once(&once, install);
    if (outcome < 0 || has_signal_stack)
        return outcome;
    int rc = give_signal_stack();
    has_signal_stack = rc == 0;
    return rc;
}
