// The language of a scripted peer: what somebody at the other end does, step by step. Data only, no I/O.
//
//     # a caller who asks in pieces and does not read to the end
//     send "GET / HT"
//     wait 20ms
//     send "TP/1.0\r\n\r\n"
//     expect "HTTP/1."
//     reset

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum step_kind {
    STEP_CONNECT,        // text: the address, or NULL for that of the command line
    STEP_ACCEPT,         // the next caller
    STEP_SEND,           // text, count: so many times
    STEP_TRICKLE,        // text, a byte each `time`
    STEP_READ_BYTES,     // count
    STEP_READ_LINE,      //
    STEP_READ_END,       // all, up to the end of the stream
    STEP_EXPECT_TEXT,    // text is what comes next
    STEP_EXPECT_END,     // nothing comes any more
    STEP_EXPECT_RESET,   //
    STEP_EXPECT_SILENCE, // for `time`
    STEP_HALF_CLOSE,
    STEP_CLOSE,
    STEP_RESET,
    STEP_VANISH,  // goes without a word: neither FIN nor RST
    STEP_WAIT,    // for `time`
    STEP_WINDOW,  // count: receive buffer of connections from now on
    STEP_TIMEOUT, // time: for each step from now on
    STEP_REPEAT,  // count: up to its `again`, at step `other`
    STEP_AGAIN,   // back to step `other`
};

struct step {
    enum step_kind kind;
    int line;
    char *text; // NULL where there is none
    size_t size;
    size_t count;
    int64_t time;
    size_t other;
};

struct script {
    struct step *steps;
    size_t count;
};

// Reads a script. Steps stand on lines of their own, or have a semicolon between them.
//
// name     for messages: "greet.peer"
// returns  false after a complaint that names the line
bool script_parse(const char *name, const char *text, struct script *ret_script);

// Takes a script that was never parsed, too, if it is all zero.
void script_free(struct script *script);
