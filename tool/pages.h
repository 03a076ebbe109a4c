// What a command says of itself: shown as help, as a manual page, and to the completion of shells.

#pragma once

#include "options.h"

#include <stdio.h>

struct example {
    const char *command;
    const char *remark; // or NULL
};

// A letter that the users of nc are used to, which is no option here.
struct habit {
    char letter;
    const char *instead; // what does the same, or why nothing is needed
};

// How several of what a command does are joined, for completion.
struct joining {
    const char *word;      // between two; behind it one of `operands` is wanted again
    const char *of_folder; // of `operands`: a folder comes before its addresses
    const char *alone;     // of `operands`: cannot be joined
};

struct page {
    const char *name;         // "connect"; "doorbell" for the command as a whole
    const char *summary;      // a line
    const char *const *usage; // what follows "doorbell ", up to NULL
    const char *description;  // paragraphs, lines of at most 78 columns
    const char *table_title;  // of words that the command takes, such as services; or NULL
    const char *table;        // lines, indented
    const struct option_row *options;
    const struct habit *habits;     // up to one without a letter; or NULL
    const char *notes;              // after the options; or NULL
    const struct example *examples; // up to one without a command
    // Lines of a table that the program makes itself, after `description`; or NULL.
    //
    // present  with what this machine says now; else as the manual has it
    void (*print_table)(bool present, FILE *to);
    // Answers about the words that follow the topic: doorbell help ports 80; or NULL. Returns an exit code.
    int (*answer)(int count, char **words);
    const char *operands;          // for completion: words between blanks, "@address"
    const struct joining *joining; // NULL: there is one of them
};

extern const struct page doorbell_page, serve_page, connect_page, resolve_page, addresses_page,
    exit_codes_page, script_page, options_page, ports_page, types_page, transports_page;

// All of them, up to NULL.
extern const struct page *const pages[];

// The help text, at most 80 columns wide.
void print_help(const struct page *page, FILE *to);

// The manual page, for man(1).
void print_manual(const struct page *page, FILE *to);

// What a shell is to run to complete the words of this command.
//
// returns  false: there is no such shell
bool print_completion(const char *shell, FILE *to);
