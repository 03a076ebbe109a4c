// The command: one file for each subcommand, and what they share. It sees <doorbell.h> only.

#pragma once

#include <doorbell.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Exit codes: what a script can tell apart.
enum exit_code {
    EXIT_DONE = 0,
    EXIT_CHECK = 1,   // a check failed
    EXIT_USAGE = 2,   // wrong usage, or an address that cannot be
    EXIT_NAME = 3,    // name not found
    EXIT_REFUSED = 4, // refused, unreachable
    EXIT_TIME = 5,    // timed out
    EXIT_BROKEN = 6,  // broken in the middle: data may be missing
    EXIT_LISTEN = 8,  // cannot listen there
    EXIT_KERNEL = 9,  // this kernel does not have it
    EXIT_NOT_RUN = 126,
    EXIT_NOT_FOUND = 127,
};

// The address of all commands when none is given: RING on a phone's keys.
#define DEFAULT_ADDRESS "localhost:7464"

int serve_main(int argc, char **argv);
int connect_main(int argc, char **argv);
int resolve_main(int argc, char **argv);

// The exit code for an errno of a failed call.
enum exit_code exit_code_of(int error);

// The same for a call that was to listen.
enum exit_code exit_code_of_listen(int error);

// ---- notes.c: everything that is said on stderr -------------------------------------------------

struct common;

// How to say things from now on.
//
// times  begin each line with the seconds since now
void begin_notes(const struct common *common, bool times);

// "doorbell: SENTENCE": a failure, or as JSON {"type":"error","text":"SENTENCE"}.
void complain(const char *sentence, ...) __attribute__((format(printf, 1, 2)));

// A line for whoever watches; not when --quiet or --json.
void note(const char *sentence, ...) __attribute__((format(printf, 1, 2)));

// The last character that a terminal has been shown of the data: a note begins on a line of its own.
void shown_at_terminal(char last);

// With --json: an event as an object on a line, {"v":1,"type":TYPE,"t":SECONDS, ...}; the rest is a
// format of json_pack(3) for the members: "s:s, s:i". Without --json: nothing.
//
// returns  false: it cannot be said in JSON (a text is not UTF-8), or is too long for a line
bool tell(const char *type, const char *members, ...);

// The same on stdout, for a command whose result it is.
void give(const char *type, const char *members, ...);

// ---- words.c: what people write on a command line -----------------------------------------------

// What kind of socket an address is of: SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
int socket_type_of(const char *address);

// The same of a descriptor; SOCK_STREAM when it is none.
int socket_type(int fd);

// A time with its unit: 250us 10ms 5s 2m. False when it is none.
bool parse_time(const char *text, int64_t *ret_ns);

// A whole number from min to max. False when it is none.
bool parse_number(const char *text, int min, int max, int *ret_number);

// A number of bytes: 64 4k 1M 2G, by 1024. False when it is none.
bool parse_size(const char *text, size_t *ret_size);

// A text with \n \r \t \0 \\ \xHH in it, for the bytes that it means. The bytes are allocated.
//
// returns  false after a complaint about `option`
bool parse_escapes(const char *option, const char *text, char **ret_bytes, size_t *ret_size);

// Bytes as a text in quotes with the same escapes. What does not fit ends in "...".
//
// text_size  at least 16
void quote(const char *bytes, size_t size, char *ret_text, size_t text_size);

// Puts question marks for what is not printable ASCII in a name that somebody else has chosen.
void make_printable(char *text);

// A word as it is told to people: '' when there is nothing to see.
const char *shown(const char *word);

// What is behind a word for so many: "s", or "" for one.
const char *plural(unsigned long long count);

// The nearest of `names` to a word that is none of them; NULL when none is near.
const char *nearest(const char *word, const char *const *names);
