// A conversation: stdin goes to a connection, and what comes from there goes to stdout.

#pragma once

#include <doorbell.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct talk {
    const char *text; // what to send in place of stdin, or NULL
    size_t text_size;
    const char *expect; // what to wait for, or NULL
    size_t expect_size;
    int64_t idle; // give up when nothing moves for so long; 0: never
    bool crlf;    // CR LF for every newline that has no CR
    bool no_half_close, send_only, recv_only;
    bool hex; // show both directions
    bool raw; // a terminal gets everything as it comes
    bool tcp_info;
    bool verbose;
    bool listens; // we are called
    // Of messages and datagrams:
    bool whole;      // all of stdin is one message; else a line
    bool no_retry;   // send each once, and show whatever comes
    int tries;       // how often a question is asked; 0: bell_call's default
    int64_t retry;   // for the first answer, before it is asked again; 0: as above
    int64_t timeout; // for an answer, however often it is asked; 0: as long as the tries take
    int64_t wait;    // for somebody to be there at all; 0: not
    bool terminal;   // somebody types: see terminal_begin
};

// Runs it to its end, and closes the connection unless it is a handler's.
//
// owned    the connection is ours to close
// returns  an exit code; failures are told
int converse(bell_conn *conn, const struct talk *talk, bool owned);
