// Why nobody can listen on an address: who has it.

#pragma once

#include <stdbool.h>

// Complains that it is not possible to listen on `address`, with the reason: "in use by socat (pid 31420)".
// To be called right after the failure: bell_error() tells what else there is to tell.
//
// error   errno of the failure
// reuses  SO_REUSEADDR was set
void complain_of_listening(const char *address, int error, bool reuses);
