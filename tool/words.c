// What people write on a command line, and what they are told.

#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum exit_code exit_code_of(int error)
{
    switch (error) {
    case EINVAL:
    case ENAMETOOLONG:
    case EPROTONOSUPPORT:
    case EBADF:
    case ENOTSOCK:
    case EPROTOTYPE:
    case ENODEV: // an interface that a socket option names
        return EXIT_USAGE;
    case ESOCKTNOSUPPORT:
        return EXIT_KERNEL;
    case ENOENT:
        return EXIT_NAME;
    case ETIMEDOUT:
    case EAGAIN: // name servers that do not answer
        return EXIT_TIME;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
        return EXIT_REFUSED;
    default:
        return EXIT_BROKEN;
    }
}

enum exit_code exit_code_of_listen(int error)
{
    enum exit_code code = exit_code_of(error);
    bool is_place = error == EADDRINUSE || error == ENOENT; // ENOENT: the folder of a socket file
    return code == EXIT_REFUSED || is_place ? EXIT_LISTEN : code;
}

static int type_of(const char *address)
{
    static const struct {
        const char *scheme;
        int type;
    } others[] = {{"udp:", SOCK_DGRAM},
                  {"udp4:", SOCK_DGRAM},
                  {"udp6:", SOCK_DGRAM},
                  {"unixgram:", SOCK_DGRAM},
                  {"unixpacket:", SOCK_SEQPACKET}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strncasecmp(address, others[i].scheme, strlen(others[i].scheme)))
            return others[i].type;
    return SOCK_STREAM;
}

int socket_type(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? type : SOCK_STREAM;
}

int socket_type_of(const char *address)
{
    int fd;
    bool is_fd = !strncasecmp(address, "fd:", 3) && parse_number(address + 3, 0, INT_MAX, &fd);
    return is_fd ? socket_type(fd) : type_of(address);
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

bool parse_size(const char *text, size_t *ret_size)
{
    static const char units[] = "kMG";
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || end == text || !isdigit((unsigned char)text[0]))
        return false;
    const char *unit = *end ? strchr(units, *end) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    if ((*end && (!unit || end[1])) || number > (unsigned long long)(SIZE_MAX >> 1) >> shift)
        return false;
    *ret_size = (size_t)(number << shift);
    return true;
}

// ---- Escapes ----------------------------------------------------------------------------------

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One escape after its backslash. Returns how many characters it has, 0 when there is no such escape.
static size_t parse_escape(const char *text, char *ret_byte)
{
    static const char names[] = "nrt0\\\"", bytes[] = "\n\r\t\0\\\"";
    const char *name = *text ? strchr(names, *text) : NULL;
    if (name) {
        *ret_byte = bytes[name - names];
        return 1;
    }
    if (*text != 'x' || hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0)
        return 0;
    *ret_byte = (char)(16 * hex_digit(text[1]) + hex_digit(text[2]));
    return 3;
}

bool parse_escapes(const char *option, const char *text, char **ret_bytes, size_t *ret_size)
{
    char *bytes = malloc(strlen(text) + 1);
    size_t size = 0;
    if (!bytes) {
        complain("out of memory");
        return false;
    }
    while (*text) {
        if (*text != '\\') {
            bytes[size++] = *text++;
            continue;
        }
        size_t length = parse_escape(text + 1, &bytes[size++]);
        if (length == 0) {
            complain("%s: \\%.3s: there are \\n \\r \\t \\0 \\\\ and \\xHH", option, text + 1);
            free(bytes);
            return false;
        }
        text += length + 1;
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return true;
}

void quote(const char *bytes, size_t size, char *ret_text, size_t text_size)
{
    static const char escapes[] = "n\nr\rt\t0\0\\\\\"\"";
    size_t used = 0;
    ret_text[used++] = '"';
    for (size_t i = 0; i < size; i++) {
        if (used + 8 > text_size) {
            used += (size_t)snprintf(ret_text + used, text_size - used, "...");
            break;
        }
        const char *escape = NULL;
        for (size_t e = 0; e + 1 < sizeof escapes && !escape; e += 2)
            if (escapes[e + 1] == bytes[i])
                escape = &escapes[e];
        if (escape)
            used += (size_t)snprintf(ret_text + used, text_size - used, "\\%c", *escape);
        else if (bytes[i] >= ' ' && bytes[i] < 0x7f)
            ret_text[used++] = bytes[i];
        else
            used += (size_t)snprintf(ret_text + used, text_size - used, "\\x%02x",
                                     (unsigned char)bytes[i]);
    }
    (void)snprintf(ret_text + used, text_size - used, "\"");
}

void make_printable(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

// ---- Near words -------------------------------------------------------------------------------

const char *plural(unsigned long long count)
{
    return count == 1 ? "" : "s";
}

const char *shown(const char *word)
{
    return *word ? word : "''";
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

// Capitals are no other letters here.
static bool is_same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

// Letters that differ, are missing, too many, or have changed places with their neighbours (the distance
// of optimal string alignment), for short words.
static int distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    unsigned char rows[MAX + 1][MAX + 1];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > MAX || b_length > MAX)
        return MAX;
    for (size_t i = 0; i <= a_length; i++)
        for (size_t j = 0; j <= b_length; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = (unsigned char)(i + j);
                continue;
            }
            int least_so_far = least(rows[i - 1][j], rows[i][j - 1]) + 1;
            least_so_far = least(least_so_far, rows[i - 1][j - 1] + !is_same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1]))
                least_so_far = least(least_so_far, rows[i - 2][j - 2] + 1);
            rows[i][j] = (unsigned char)least_so_far;
        }
    return rows[a_length][b_length];
}

const char *nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    int best_distance = 3;
    for (; *names; names++) {
        int d = distance(word, *names);
        if (d < best_distance) {
            best_distance = d;
            best = *names;
        }
    }
    return best;
}
