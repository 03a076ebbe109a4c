// Closing a connection so that what was written arrives.
//
// To close a TCP socket on which unread bytes lie, or come later, resets the connection, and the
// reset may destroy what the peer has not read yet (RFC 9293, 3.10.4, CLOSE; RFC 2525, 2.17). So a
// connection lingers: it has sent its FIN, what still comes is read and thrown away until the peer's
// FIN, and then it is closed. Both time and bytes are limited, and so is the number of connections
// that linger in a loop: the oldest makes room for a new one by a reset.
//
// Nobody waits for it: it goes on beside whatever the loop does.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

enum { CLOSING_MAX = 64 };

// Takes over `fd`, whose FIN has been sent. Without memory, and after closing_end_all, it is closed at once.
void closing_begin(struct loop *loop, int fd, int64_t deadline, size_t bytes_max);

// Waits until nothing lingers. For loops that end.
void closing_wait(struct loop *loop);

// Resets all that linger, and lets nothing linger from now on: the loop is to end. With a completion backend that
// takes until the loop has looked for events.
void closing_end_all(struct loop *loop);

// Resets the oldest one. False when none lingers.
bool closing_end_oldest(struct loop *loop);

// In the child of a fork: they are the parent's.
void closing_abandon_all(struct loop *loop);

// Closes by a reset (SO_LINGER of zero seconds).
void closing_reset(int fd);
