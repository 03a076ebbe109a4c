// Socket options that the user asked for by name.

#pragma once

#include "addr/sockopt.h"

// Sets the options of a text on a socket. NULL is none.
//
// refused  gets the name of the option that failed, else ""
// returns  0, or a negative errno
int sockopts_set(int fd, const char *text, char refused[SOCKOPT_NAME_SIZE]);

// Whether the text makes sense.
//
// what     the beginning of the sentence for bell_error: "connect db:5432"
// returns  0, or -EINVAL with the failure told
int sockopts_check(const char *text, const char *what);
