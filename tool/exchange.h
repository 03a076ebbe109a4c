// Messages both ways at once: stdin's go there, and what comes goes to stdout.

#pragma once

#include "converse.h"

#include <doorbell.h>
#include <stdbool.h>

// With the other end of a message connection, to its end; a datagram socket has none, see doorbell-connect(1).
//
// owned    the connection is ours to close
// returns  an exit code; failures are told
int exchange(bell_conn *conn, const struct talk *talk, bool owned);

// With whoever is the first to send a datagram, and nobody else; or, when `whom` is there, with all that answer
// what is sent to it: a group, or everybody. The socket is closed.
int exchange_openly(bell_dgram *dgram, const struct bell_datagram *whom, const struct talk *talk);
