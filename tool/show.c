// Data of a stranger, made fit to be looked at.

#include "show.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// ---- For terminals ----------------------------------------------------------------------------

// How many bytes a character has whose first one this is; 0: it is none.
static int length_of(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first < 0xe0)
        return 2;
    if (first >= 0xe0 && first < 0xf0)
        return 3;
    return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

static size_t put_code(unsigned char byte, char *into)
{
    static const char digits[] = "0123456789abcdef";
    into[0] = '\\';
    into[1] = 'x';
    into[2] = digits[byte >> 4];
    into[3] = digits[byte & 15];
    return 4;
}

static size_t put_ascii(unsigned char byte, char *into)
{
    if ((byte >= ' ' && byte < 0x7f) || byte == '\n' || byte == '\t') {
        into[0] = (char)byte;
        return 1;
    }
    into[0] = '^';
    into[1] = (char)(byte ^ 0x40);
    return 2;
}

// The bytes that have come of a character that will not come whole.
static size_t put_broken(struct cleaner *cleaner, char *into)
{
    size_t used = 0;
    for (int i = 0; i < cleaner->have; i++)
        used += cleaner->bytes[i] < 0x80 ? put_ascii(cleaner->bytes[i], into + used)
                                         : put_code(cleaner->bytes[i], into + used);
    cleaner->have = 0;
    return used;
}

// A carriage return before a newline is the end of a line; alone it would let a line be overwritten.
static size_t put_return(struct cleaner *cleaner, unsigned char next, char *into)
{
    if (next != '\n')
        return put_broken(cleaner, into);
    cleaner->have = 0;
    into[0] = '\r';
    return 1;
}

// The codes from 0x80 to 0x9f, and the beginnings of surrogates and of longer forms than need be.
static bool is_forbidden(unsigned char first, unsigned char second)
{
    return (first == 0xc2 && second < 0xa0) || (first == 0xe0 && second < 0xa0) ||
           (first == 0xed && second >= 0xa0) || (first == 0xf0 && second < 0x90) ||
           (first == 0xf4 && second >= 0x90);
}

static size_t take_byte(struct cleaner *cleaner, unsigned char byte, char *into)
{
    size_t used = 0;
    if (cleaner->have > 0 && cleaner->bytes[0] == '\r')
        used = put_return(cleaner, byte, into);
    else if (cleaner->have > 0 && ((byte & 0xc0) != 0x80 ||
                                   (cleaner->have == 1 && is_forbidden(cleaner->bytes[0], byte))))
        used = put_broken(cleaner, into);
    into += used;
    if (cleaner->have == 0) {
        cleaner->want = length_of(byte);
        if (cleaner->want == 0)
            return used + put_code(byte, into);
        if (cleaner->want == 1 && byte != '\r')
            return used + put_ascii(byte, into);
    }
    cleaner->bytes[cleaner->have++] = byte;
    if (cleaner->have < cleaner->want || byte == '\r')
        return used;
    memcpy(into, cleaner->bytes, (size_t)cleaner->have);
    used += (size_t)cleaner->have;
    cleaner->have = 0;
    return used;
}

size_t clean(struct cleaner *cleaner, const char *data, size_t size, char *into)
{
    size_t used = 0;
    if (size == 0)
        return put_broken(cleaner, into);
    for (size_t i = 0; i < size; i++)
        used += take_byte(cleaner, (unsigned char)data[i], into + used);
    return used;
}

// ---- In hexadecimal ---------------------------------------------------------------------------

enum { HEX_BYTES = 16, HEX_LINE = 96 };

static size_t put_hex_line(char *line, char mark, uint64_t offset, const char *data, size_t size)
{
    size_t used = (size_t)snprintf(line, HEX_LINE, "%c %08llx ", mark, (unsigned long long)offset);
    for (size_t i = 0; i < HEX_BYTES; i++) {
        const char *gap = i == HEX_BYTES / 2 ? "  " : " ";
        if (i < size)
            used += (size_t)snprintf(line + used, HEX_LINE - used, "%s%02x", gap,
                                     (unsigned char)data[i]);
        else
            used += (size_t)snprintf(line + used, HEX_LINE - used, "%s  ", gap);
    }
    used += (size_t)snprintf(line + used, HEX_LINE - used, "  |");
    for (size_t i = 0; i < size; i++)
        line[used++] = data[i] >= ' ' && data[i] < 0x7f ? data[i] : '.';
    line[used++] = '|';
    line[used++] = '\n';
    return used;
}

void show_hex(char mark, uint64_t offset, const char *data, size_t size)
{
    while (size > 0) {
        char line[HEX_LINE];
        size_t count = size < HEX_BYTES ? size : HEX_BYTES;
        size_t length = put_hex_line(line, mark, offset, data, count);
        (void)!write(STDERR_FILENO, line, length);
        data += count;
        offset += count;
        size -= count;
    }
}

// ---- In base64 --------------------------------------------------------------------------------

// RFC 4648, 4.
const char *put_base64(const char *data, size_t size, char *into)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = (const unsigned char *)data;
    char *at = into;
    for (size_t i = 0; i < size; i += 3) {
        bool has_second = i + 1 < size, has_third = i + 2 < size;
        unsigned group = (unsigned)from[i] << 16 | (has_second ? (unsigned)from[i + 1] << 8 : 0) |
                         (has_third ? from[i + 2] : 0);
        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        *at++ = has_second ? digits[group >> 6 & 63] : '=';
        *at++ = has_third ? digits[group & 63] : '=';
    }
    *at = '\0';
    return into;
}
