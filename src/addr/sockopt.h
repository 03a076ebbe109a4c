// Socket options as people write them: "nodelay=1, rcvbuf=64k, linger=0". Data only, no I/O.
//
// The names are those of socket(7), tcp(7), ip(7) and ipv6(7) in small letters without SO_, TCP_, IP_ and
// IPV6_; with these they are understood, too, in any case of letters. A name alone is as good as name=1.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { SOCKOPT_VALUE_SIZE = 32, SOCKOPT_NAME_SIZE = 24 };

struct sockopt {
    char name[SOCKOPT_NAME_SIZE]; // as messages have it: "rcvbuf"
    int level, number;            // for a socket of any family but AF_INET6,
    int level6, number6;          // and for one of that
    socklen_t size;
    _Alignas(int) unsigned char value[SOCKOPT_VALUE_SIZE];
};

// Takes the first option of a text and moves the text past it.
//
// why      gets the reason of a failure, in printable ASCII; 256 bytes are enough
// returns  1 *ret is it; 0 the text is at its end; -EINVAL
int sockopt_next(const char **text, struct sockopt *ret, char *why, size_t why_size);

// A row of the table of options.
struct sockopt_about {
    const char *name, *type, *help;
    const char *page; // of the manual: "socket", "tcp", "ip"
    bool read_only;
    int level, number, level6, number6; // as in struct sockopt
};

// returns  false past the last one
bool sockopt_describe(int index, struct sockopt_about *ret_about);

// As a program writes it: "SO_REUSEADDR". Also of those that only the library sets.
//
// returns  NULL: it is not known here
const char *sockopt_symbol(int level, int number);

// Writes what getsockopt(2) has said of an option as sockopt_next reads it. "" for what it cannot have said.
void sockopt_print(int index, const void *value, socklen_t size, char *ret_text, size_t text_size);
