// The path that a request asks for.

#include "webpath.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NAME_SIZE_MAX = 255 }; // of a part of a path, as Linux has it

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One character of the path, with its escape undone. Moves *at past it. Negative: it cannot be one.
static int take_character(const char **at, const char *end)
{
    unsigned char c = (unsigned char)*(*at)++;
    if (c == '%') {
        int high = end - *at >= 2 ? digit_of((*at)[0]) : -1;
        int low = high >= 0 ? digit_of((*at)[1]) : -1;
        *at += low >= 0 ? 2 : 0;
        return low >= 0 && high + low > 0 ? high * 16 + low : -1;
    }
    return c <= ' ' || c == 0x7f || c == '#' || c == '\\' ? -1 : c;
}

// Adds what stands before the next slash. "a//b" is "a/b", and "a/./b" too.
static enum webpath_answer take_part(const char **at, const char *end, struct webpath *path,
                                     size_t *used)
{
    char part[NAME_SIZE_MAX + 1];
    size_t size = 0;
    bool has_slash = false;
    while (*at < end && **at != '/') {
        int c = take_character(at, end);
        if (c < 0)
            return WEBPATH_WRONG;
        has_slash |= c == '/';
        if (size == NAME_SIZE_MAX)
            return WEBPATH_NONE;
        part[size++] = (char)c;
    }
    part[size] = '\0';
    if (!strcmp(part, ".."))
        return WEBPATH_WRONG;
    if (has_slash)
        return WEBPATH_NONE;
    path->is_folder = *at < end || size == 0 || !strcmp(part, ".");
    if (size == 0 || !strcmp(part, "."))
        return WEBPATH_GOOD;
    path->has_hidden |= part[0] == '.';
    if (*used + size + 2 > sizeof path->name)
        return WEBPATH_LONG;
    *used += (size_t)sprintf(path->name + *used, "%s%s", *used ? "/" : "", part);
    return WEBPATH_GOOD;
}

// RFC 9112, section 3.2.2: a server must accept the absolute form, too. Whose host it names does not
// matter here: there is one folder for all of them.
static const char *skip_host(const char *target, const char *end)
{
    static const char scheme[] = "http://";
    size_t size = sizeof scheme - 1;
    if ((size_t)(end - target) <= size || strncasecmp(target, scheme, size) != 0)
        return target;
    target += size;
    while (target < end && *target != '/' && *target != '?')
        target++;
    return target;
}

enum webpath_answer webpath_parse(const char *target, size_t size, struct webpath *ret_path)
{
    const char *end = target + size;
    const char *at = skip_host(target, end);
    bool was_absolute = at > target;
    const char *query = memchr(at, '?', (size_t)(end - at));
    end = query ? query : end;
    memset(ret_path, 0, sizeof *ret_path);
    ret_path->is_folder = true;
    if (at == end)
        return was_absolute ? WEBPATH_GOOD : WEBPATH_WRONG;
    if (*at != '/')
        return WEBPATH_WRONG;
    size_t used = 0;
    enum webpath_answer answer = WEBPATH_GOOD;
    while (at < end && answer == WEBPATH_GOOD) {
        at++; // the slash
        answer = take_part(&at, end, ret_path, &used);
    }
    return answer;
}

void webpath_escape(const char *name, char *ret_text, size_t text_size)
{
    size_t used = 0;
    for (; *name && used + 4 <= text_size; name++) {
        unsigned char c = (unsigned char)*name;
        bool is_plain =
            (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || strchr("-._~", c);
        used += (size_t)sprintf(ret_text + used, is_plain ? "%c" : "%%%02X", c);
    }
    ret_text[used] = '\0';
}
