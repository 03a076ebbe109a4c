// Reading the options of a command by its table.

#include "options.h"

#include "pages.h"
#include "tool.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMON(field) offsetof(struct common, field)

const struct option_row common_options[] = {
    OPTION('4', "ipv4", NULL, OPTION_BIT, COMMON(flags), "only IPv4", .max = BELL_IPV4_ONLY),
    OPTION('6', "ipv6", NULL, OPTION_BIT, COMMON(flags), "only IPv6", .max = BELL_IPV6_ONLY),
    OPTION('n', "numeric", NULL, OPTION_SET, COMMON(numeric),
           "for the habit of nc: what is printed is always numbers"),
    OPTION('q', "quiet", NULL, OPTION_SET, COMMON(quiet), "no notes, only failures"),
    OPTION('v', "verbose", NULL, OPTION_COUNT, COMMON(verbose), "more notes; -vv: still more"),
    OPTION(0, "calls", NULL, OPTION_SET, COMMON(calls),
           "show each socket call on stderr, as a book writes it"),
    OPTION(0, "json", NULL, OPTION_SET, COMMON(json), "notes as JSON, one object a line"),
    OPTION(0, "color", "WHEN", OPTION_CHOICE, COMMON(color), "auto, always or never",
           .initial = "auto: at a terminal without NO_COLOR", .words = "auto always never"),
    OPTION('h', "help", NULL, OPTION_HELP, 0, "this text"),
    OPTION('V', "version", NULL, OPTION_VERSION, 0, "the version"),
    OPTION_END,
};

enum { ROWS_MAX = 64, FIRST_VALUE = 256 };

// What getopt_long(3) wants to know. Its value for a row is FIRST_VALUE and the row's number.
struct grammar {
    const struct option_row *rows[ROWS_MAX];
    struct option longs[ROWS_MAX + 1];
    char letters[2 * ROWS_MAX + 2];
    int count;
};

static void add_rows(struct grammar *grammar, const struct option_row *rows)
{
    char *letter = grammar->letters + strlen(grammar->letters);
    for (; rows->name && grammar->count < ROWS_MAX; rows++) {
        int number = grammar->count++;
        grammar->rows[number] = rows;
        grammar->longs[number] =
            (struct option){rows->name, rows->argument ? required_argument : no_argument, NULL,
                            FIRST_VALUE + number};
        if (!rows->letter)
            continue;
        *letter++ = rows->letter;
        if (rows->argument)
            *letter++ = ':';
    }
}

static const struct option_row *find_row(const struct grammar *grammar, int value)
{
    if (value >= FIRST_VALUE)
        return grammar->rows[value - FIRST_VALUE];
    for (int i = 0; i < grammar->count; i++)
        if (grammar->rows[i]->letter && grammar->rows[i]->letter == value)
            return grammar->rows[i];
    return NULL;
}

// "--idle TIME", or "-i TIME" when that was written.
static const char *name_of(const struct option_row *row)
{
    static char name[64];
    snprintf(name, sizeof name, "--%s", row->name);
    return name;
}

static bool is_one_of(const char *word, const char *words)
{
    size_t length = strlen(word);
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        if (size == length && !memcmp(at, word, size))
            return true;
        at += size;
    }
    return false;
}

static bool take_time(const struct option_row *row, const char *text, int64_t *ret_ns)
{
    if (row->words && is_one_of(text, row->words)) {
        *ret_ns = BELL_NEVER;
        return true;
    }
    if (parse_time(text, ret_ns) && *ret_ns > 0)
        return true;
    complain("%s %.60s: a time is a number above 0 with us, ms, s or m: 250ms", name_of(row), text);
    return false;
}

static bool take_number(const struct option_row *row, const char *text, int *ret_number)
{
    if (parse_number(text, row->min, row->max, ret_number))
        return true;
    complain("%s %.60s: a number from %d to %d is wanted", name_of(row), text, row->min, row->max);
    return false;
}

static bool take_size(const struct option_row *row, const char *text, size_t *ret_size)
{
    if (parse_size(text, ret_size) && *ret_size > 0)
        return true;
    complain("%s %.60s: a size is a number of bytes above 0, or one with k, M or G: 64k",
             name_of(row), text);
    return false;
}

static bool take_choice(const struct option_row *row, const char *text, const char **ret_word)
{
    *ret_word = text;
    if (is_one_of(text, row->words))
        return true;
    complain("%s %.60s: there are %s", name_of(row), text, row->words);
    return false;
}

static bool take_one_more(const struct option_row *row, const char *text, struct text_list *list)
{
    if (list->count < (int)(sizeof list->texts / sizeof *list->texts)) {
        list->texts[list->count++] = text;
        return true;
    }
    complain("%s: at most %d of them", name_of(row), list->count);
    return false;
}

static bool take(const struct option_row *row, void *settings, const char *text)
{
    void *field = (char *)settings + row->offset;
    switch (row->kind) {
    case OPTION_SET:
        *(bool *)field = true;
        return true;
    case OPTION_COUNT:
        ++*(int *)field;
        return true;
    case OPTION_BIT:
        *(unsigned *)field |= (unsigned)row->max;
        return true;
    case OPTION_TIME:
        return take_time(row, text, field);
    case OPTION_NUMBER:
        return take_number(row, text, field);
    case OPTION_SIZE:
        return take_size(row, text, field);
    case OPTION_TEXT:
        *(const char **)field = text;
        return true;
    case OPTION_CHOICE:
        return take_choice(row, text, field);
    case OPTION_LIST:
        return take_one_more(row, text, field);
    default:
        return true;
    }
}

static void complain_of_letter(const struct page *page, char letter)
{
    for (const struct habit *habit = page->habits; habit && habit->letter; habit++)
        if (habit->letter == letter) {
            complain("there is no option -%c: %s", letter, habit->instead);
            return;
        }
    complain("there is no option -%c; doorbell %s --help lists them", letter, page->name);
}

// What getopt_long(3) did not like, in a sentence.
static void complain_of(const struct page *page, const struct grammar *grammar, int answer,
                        char **argv)
{
    const char *word = argv[optind - 1];
    if (answer == ':') {
        const struct option_row *row = find_row(grammar, optopt);
        if (row)
            complain("%s needs %s after it", name_of(row), row->argument);
        return;
    }
    if (optopt >= FIRST_VALUE) {
        complain("%s takes nothing after =", name_of(find_row(grammar, optopt)));
        return;
    }
    if (optopt) {
        complain_of_letter(page, (char)optopt);
        return;
    }
    const char *names[ROWS_MAX + 1] = {NULL};
    for (int i = 0; i < grammar->count; i++)
        names[i] = grammar->rows[i]->name;
    char wrong[64];
    snprintf(wrong, sizeof wrong, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *near = nearest(wrong, names);
    if (near)
        complain("there is no option --%s; did you mean --%s?", wrong, near);
    else
        complain("there is no option --%s; doorbell %s --help lists them", wrong, page->name);
}

int parse_options(const struct page *page, void *settings, int argc, char **argv)
{
    struct grammar grammar = {.letters = ":"};
    int value;
    add_rows(&grammar, page->options);
    add_rows(&grammar, common_options);
    opterr = 0;
    optind = 0; // begin anew, also what a call before left
    while ((value = getopt_long(argc, argv, grammar.letters, grammar.longs, NULL)) != -1) {
        const struct option_row *row =
            value == '?' || value == ':' ? NULL : find_row(&grammar, value);
        if (!row) {
            complain_of(page, &grammar, value, argv);
            return PARSED_BAD;
        }
        if (row->kind == OPTION_HELP) {
            print_help(page, stdout);
            return PARSED_ALL;
        }
        if (row->kind == OPTION_VERSION) {
            puts("doorbell " BELL_VERSION);
            return PARSED_ALL;
        }
        if (!take(row, settings, optarg))
            return PARSED_BAD;
    }
    const struct common *common = settings;
    const unsigned families = BELL_IPV4_ONLY | BELL_IPV6_ONLY;
    if ((common->flags & families) != families)
        return optind;
    complain("--ipv6 makes no sense with --ipv4");
    return PARSED_BAD;
}
