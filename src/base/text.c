#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void text_init(struct text *text, char *at, size_t size)
{
    *text = (struct text){.at = at, .size = size};
    if (size > 0)
        at[0] = '\0';
}

// Ends a text that is full, with as much of "..." as there is room for, and not within a character
// of UTF-8.
static void mark_cut(struct text *text)
{
    text->cut = true;
    if (text->size == 0)
        return;
    size_t room = text->size - 1;
    size_t dots = room < 3 ? room : 3;
    size_t end = room - dots;
    while (end > 0 && ((unsigned char)text->at[end] & 0xc0) == 0x80)
        end--;
    memset(text->at + end, '.', dots);
    text->length = end + dots;
    text->at[text->length] = '\0';
}

static void add_bytes(struct text *text, const char *bytes, size_t size)
{
    if (text->cut || size == 0)
        return;
    size_t room = text->size > 0 ? text->size - 1 - text->length : 0;
    size_t fits = size < room ? size : room;
    if (fits > 0) {
        memcpy(text->at + text->length, bytes, fits);
        text->length += fits;
        text->at[text->length] = '\0';
    }
    if (fits < size)
        mark_cut(text);
}

void text_add(struct text *text, const char *string)
{
    add_bytes(text, string, strlen(string));
}

void text_addf(struct text *text, const char *format, ...)
{
    if (text->cut)
        return;
    size_t room = text->size - text->length; // with the NUL
    va_list list;
    va_start(list, format);
    int n = vsnprintf(room > 0 ? text->at + text->length : NULL, room, format, list);
    va_end(list);
    if (n <= 0)
        return;
    if ((size_t)n < room) {
        text->length += (size_t)n;
        return;
    }
    text->length = text->size > 0 ? text->size - 1 : 0;
    mark_cut(text);
}

static bool is_harmless(uint8_t byte)
{
    return byte >= 0x20 && byte <= 0x7e && byte != '\\' && byte != '"';
}

void text_escape(struct text *text, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size && !text->cut; i++) {
        char piece[5] = {(char)from[i]};
        if (!is_harmless(from[i]))
            snprintf(piece, sizeof piece, "\\x%02x", from[i]);
        add_bytes(text, piece, is_harmless(from[i]) ? 1 : 4);
    }
}
