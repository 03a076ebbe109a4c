// Events as JSON, where the library jansson is not.

#include "json.h"

bool json_is_there(void)
{
    return false;
}

size_t json_line(char *line, size_t size, const char *type, double seconds, const char *members,
                 va_list arguments)
{
    (void)line, (void)size, (void)type, (void)seconds, (void)members, (void)arguments;
    return 0;
}
