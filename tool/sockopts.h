// Socket options by name, as the command takes them.

#pragma once

#include <stdbool.h>

// Whether there is each of the options in a text, "nodelay=0, rcvbuf=4k". False after a complaint with the
// nearest name.
bool sockopts_exist(const char *text);
