// Data of a stranger, made fit to be looked at.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What is left of a character whose bytes have not all come.
struct cleaner {
    unsigned char bytes[4];
    int have, want;
};

enum { CLEAN_GROWTH = 4, CLEAN_LEFT_MAX = 4 * CLEAN_GROWTH };

// Makes text harmless for a terminal: characters of UTF-8, newlines and tabs stay; other control
// characters become ^X, and what is no character \xHH.
//
// into     room for CLEAN_GROWTH * size + CLEAN_LEFT_MAX bytes
// size     0: the end of the text
// returns  how many bytes were stored
size_t clean(struct cleaner *cleaner, const char *data, size_t size, char *into);

// Shows bytes on stderr as a table of hexadecimal digits and ASCII.
//
// mark    '>' for what goes there, '<' for what comes
// offset  of the first byte in its direction
void show_hex(char mark, uint64_t offset, const char *data, size_t size);

// Bytes in the digits of base64 (RFC 4648).
//
// into     room for 4 characters for each begun three bytes, and a NUL
// returns  into
const char *put_base64(const char *data, size_t size, char *into);
