// Socket options by name, as the command takes them.

#pragma once

#include <stdbool.h>

// Whether there is each of the options in a text, "nodelay=0, rcvbuf=4k". False after a complaint with the
// nearest name.
bool sockopts_exist(const char *text);

// Notes what each of them is now on a socket: the kernel has its own mind, and doubles rcvbuf, say.
//
// text  of options that exist, or NULL
void sockopts_note(int fd, const char *text);
