// Events as JSON.

#include "json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { FORMAT_SIZE = 128, LINE_SPARE = 1 };

bool json_is_there(void)
{
    return true;
}

// JSON is UTF-8; what somebody typed need not be.
static json_t *make_text(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    char ascii[1024];
    snprintf(ascii, sizeof ascii, "%s", text);
    for (char *at = ascii; *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    return json_string(ascii);
}

static json_t *pack(const char *members, va_list arguments)
{
    char format[FORMAT_SIZE];
    if (!strcmp(members, "s:s")) {
        const char *name = va_arg(arguments, const char *);
        return json_pack("{s:o}", name, make_text(va_arg(arguments, const char *)));
    }
    snprintf(format, sizeof format, "{%s}", members);
    return json_vpack_ex(NULL, 0, format, arguments);
}

size_t json_line(const struct json_event *event, va_list arguments, char *line, size_t size)
{
    json_t *object = json_pack("{s:i, s:s, s:f}", "v", 1, "type", event->type, "t", event->seconds);
    json_t *rest = pack(event->members, arguments);
    size_t length = 0;
    if (object && rest && json_object_update(object, rest) == 0)
        length = json_dumpb(object, line, size - LINE_SPARE, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(rest);
    json_decref(object);
    if (length == 0 || length > size - LINE_SPARE)
        return 0;
    line[length] = '\n';
    return length + 1;
}
