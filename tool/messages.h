// Messages of stdin: what is sent as one datagram.

#pragma once

#include "converse.h"

#include <stdbool.h>
#include <stddef.h>

// More than any datagram of UDP, and than a Unix socket takes with the buffers that systems come with.
enum { MESSAGE_MAX = 256 * 1024 };

// Where they come from: --send, or stdin, of which each line is one, or all of it.
struct messages {
    const struct talk *talk;
    size_t begin, end; // of what is left in the buffer
    bool ended, is_over;
};

// The next message, with the newline of its line. It is there until the next call.
//
// returns  1; 0: there are no more; -1: ECANCELED, or another errno after a complaint
int messages_next(struct messages *messages, const char **ret_data, size_t *ret_size);

// The complaint of a message that does not fit into a datagram.
void messages_complain_of(const char *peer, size_t size);
