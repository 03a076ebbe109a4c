// Questions by datagram, each of which is repeated until it is answered.

#pragma once

#include "converse.h"

#include <doorbell.h>

// Asks all messages of stdin, one after the other, and closes the connection.
//
// returns  an exit code; failures are told
int ask(bell_conn *conn, const struct talk *talk);

// Whether anybody answers an empty datagram. Closes the connection; returns as ask.
int ask_whether_there(bell_conn *conn, const struct talk *talk);
