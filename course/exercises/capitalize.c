// Exercise of lecture 2: turn a to z into A to Z, in size bytes, and change nothing else.
//
// The text is not a C string: it may hold NULs, and what lies behind it is not yours. It is not in a language
// either: toupper() follows the locale.
//
//     course/exercises/check capitalize

#include <ctype.h>
#include <stddef.h>

void capitalize(char *text, size_t size)
{
    (void)size;
    for (; *text; text++)
        *text = (char)toupper(*text);
}
