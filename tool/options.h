// The options of a command as one table. The parser, the help text, the manual page and the completion
// of shells are all made of it, so that none of them can say what another does not.

#pragma once

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
    OPTION_SET,    // bool
    OPTION_COUNT,  // int, one more each time
    OPTION_BIT,    // unsigned, gets the bit `max`
    OPTION_TIME,   // int64_t, nanoseconds; each of `words` stands for BELL_NEVER
    OPTION_NUMBER, // int, from min to max
    OPTION_SIZE,   // size_t, at least 1
    OPTION_TEXT,   // const char *
    OPTION_CHOICE, // const char *, one of `words`
    OPTION_LIST,   // struct text_list, one more each time
    OPTION_HELP,
    OPTION_VERSION,
};

struct text_list {
    const char *texts[32];
    int count;
};

struct option_row {
    char letter;          // 0: it has none
    const char *name;     // NULL ends a table
    const char *argument; // what it is called in the help; NULL: it takes none
    enum option_kind kind;
    size_t offset;       // of its field in the command's settings
    const char *help;    // what it does; lines end with '\n', except the last
    const char *initial; // what holds without it, for the help; NULL: nothing worth telling
    int min, max;
    const char *words; // what its argument can be, between blanks; "@address", "@file"
};

// What all rows have, and then what only some have: .initial, .min, .max, .words.
#define OPTION(letter_, name_, argument_, kind_, offset_, help_, ...)                   \
    {                                                                                   \
        .letter = (letter_), .name = (name_), .argument = (argument_), .kind = (kind_), \
        .offset = (offset_), .help = (help_), ##__VA_ARGS__                             \
    }
#define OPTION_END   \
    {                \
        .name = NULL \
    }

// What every command takes. The settings of a command begin with it.
struct common {
    bool quiet;
    int verbose;
    bool json;
    bool numeric;
    bool calls;
    const char *color;
    unsigned flags; // BELL_IPV4_ONLY, BELL_IPV6_ONLY
};

extern const struct option_row common_options[];

struct page;

enum { PARSED_BAD = -1, PARSED_ALL = -2 };

// Fills in the settings of a command from its words. Operands are moved behind the options.
//
// settings  begins with struct common
// returns   where in argv the operands begin; PARSED_BAD after a complaint; PARSED_ALL when that was all
//           there is to do (the help, say)
int parse_options(const struct page *page, void *settings, int argc, char **argv);
