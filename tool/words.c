// What people write on a command line, and what they are told.

#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void complain(const char *command, const char *sentence, ...)
{
    va_list arguments;
    fprintf(stderr, "doorbell %s: ", command);
    va_start(arguments, sentence);
    vfprintf(stderr, sentence, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

enum exit_code exit_code_of(int error)
{
    switch (error) {
    case EINVAL:
    case ENAMETOOLONG:
    case EPROTONOSUPPORT:
    case EBADF:
    case ENOTSOCK:
    case EPROTOTYPE:
        return EXIT_USAGE;
    case ENOENT:
        return EXIT_NAME;
    case ETIMEDOUT:
        return EXIT_TIME;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
        return EXIT_REFUSED;
    default:
        return EXIT_BROKEN;
    }
}

bool parse_time(const char *text, int64_t *ret_ns)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"us", 1000}, {"ms", BELL_MS}, {"s", BELL_SECOND}, {"m", BELL_MINUTE}};
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (errno || end == text || !isdigit((unsigned char)text[0]) || number > 1e9)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(end, units[i].unit)) {
            double ns = number * (double)units[i].ns;
            if (ns > 9e18)
                return false;
            *ret_ns = (int64_t)ns;
            return true;
        }
    return false;
}

bool parse_number(const char *text, int min, int max, int *ret_number)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno || end == text || *end || !isdigit((unsigned char)text[0]) || number < min ||
        number > max)
        return false;
    *ret_number = (int)number;
    return true;
}

// Letters that differ, are missing, or are too many (Levenshtein's distance), for short words.
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    size_t row[MAX + 1];
    size_t b_length = strlen(b);
    if (strlen(a) > MAX || b_length > MAX)
        return MAX;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = corner + (a[i - 1] != b[j - 1]);
            size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            corner = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[b_length];
}

const char *nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = 3;
    for (; *names; names++) {
        size_t d = distance(word, *names);
        if (d < best_distance) {
            best_distance = d;
            best = *names;
        }
    }
    return best;
}
