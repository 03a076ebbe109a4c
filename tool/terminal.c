// The terminal that somebody types at.

#include "terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;

// Async-signal-safe.
static void restore(void)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void restore_and_die(int number)
{
    restore();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

bool terminal_begin(void)
{
    static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    // From the background it would stop us.
    if (tcgetpgrp(STDIN_FILENO) != getpgrp())
        return true;
    struct termios ours = before;
    ours.c_cc[VEOL] = TERMINAL_ESCAPE;
    struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        struct sigaction old;
        if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            (void)sigaction(deadly[i], &action, NULL);
    }
    if (tcsetattr(STDIN_FILENO, TCSANOW, &ours) == 0)
        (void)atexit(restore);
    return true;
}
