// doorbell connect with a datagram socket that is not connected to anybody.

#pragma once

#include "converse.h"

#include <doorbell.h>
#include <stdbool.h>

// Whether an address as it is written is that of a multicast group, or broadcast is asked for.
bool is_to_many(const char *address, const char *sockopts);

// -l: talks with whoever is the first to send a datagram to the address. Returns an exit code; failures are told.
int listen_openly(const char *address, const struct bell_options *how, const struct talk *talk);

// Sends to a group, or to everybody, and takes the answers of all. Returns as above.
int call_openly(const char *address, const struct bell_options *how, const struct talk *talk);
