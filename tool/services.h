// The services of doorbell serve: each a handler of a stream, and what it answers to a message.

#pragma once

#include <doorbell.h>
#include <stdatomic.h>

// What all processes of a server share.
struct shared {
    atomic_int callers;   // who came, with --once
    atomic_bool stopping; // what would never end by itself may end now
};

struct program;

enum show { SHOW_NOTHING, SHOW_TEXT, SHOW_HEX, SHOW_JSON };

// How a service behaves: the argument of its handler. Times are 0 for none.
struct manner {
    const char *text; // of quote; NULL: one of its own
    int64_t delay;    // before each answer
    int64_t first_byte, whole_request, write_stall;
    int64_t polite_idle; // upper --stay-open and files end then as if all had been said
    int64_t stop_look;   // how often files looks for a stop
    bool one_line, one_read, stay_open;
    enum show show;
    struct shared *shared;
    const struct program *program; // of exec
    int folder;                    // of files
    bool tells;                    // files: a line for each request
};

// Makes the answer to a message, in its place.
//
// data     the message, of `size` bytes; gets the answer
// room     of data: at least ANSWER_MAX, and size
// returns  the answer's size, or NO_ANSWER
typedef ssize_t answer_maker(const struct manner *manner, char *data, size_t size, size_t room);

// When it speaks on a connection of messages. A datagram is answered each.
enum turns { EACH_MESSAGE, ONE_MESSAGE, UNASKED, WITHOUT_END };

struct service {
    const char *name;
    bell_handler *handler; // of a stream; arg is a struct manner
    answer_maker *answer;  // to a message; NULL: it has to do with streams only
    enum turns turns;
};

// -vv and --hex: what comes is '<', what goes there '>'.
void show_traffic(const char *peer, const struct manner *manner, char mark, const char *data,
                  size_t size);

// Up to one without a name.
extern const struct service services[];
