// libFuzzer: whatever a target is, what it names lies beneath the folder, and each name can be asked for.

#include "webpath.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's word
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const char *part, size_t size, bool may_be_hidden)
{
    bool is_dots = (size == 1 && part[0] == '.') || (size == 2 && !strncmp(part, "..", 2));
    if (size == 0 || size > 255 || is_dots || (part[0] == '.' && !may_be_hidden))
        abort();
}

static void check_name(const struct webpath *path)
{
    const char *at = path->name;
    while (*at) {
        size_t size = strcspn(at, "/");
        check_part(at, size, path->has_hidden);
        at += size;
        if (*at && !*++at)
            abort(); // a slash at the end
    }
}

// A name with its escapes is a target for the same name.
static void check_way_back(const struct webpath *path)
{
    static char target[3 * WEBPATH_SIZE + 2], part[256];
    static struct webpath again;
    size_t used = 0;
    for (const char *at = path->name; *at; at += *at == '/') {
        size_t size = strcspn(at, "/");
        memcpy(part, at, size);
        part[size] = '\0';
        target[used++] = '/';
        webpath_escape(part, target + used, sizeof target - used);
        used += strlen(target + used);
        at += size;
    }
    target[used++] = '/';
    if (webpath_parse(target, used, &again) != WEBPATH_GOOD || strcmp(again.name, path->name) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct webpath path;
    char *exact = malloc(size ? size : 1); // so that a read past its end is seen
    if (!exact)
        return 0;
    if (size > 0)
        memcpy(exact, data, size);
    if (webpath_parse(exact, size, &path) == WEBPATH_GOOD) {
        check_name(&path);
        check_way_back(&path);
    }
    free(exact);
    return 0;
}
