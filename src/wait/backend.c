// The table of backends, by name.

#include "wait/backend.h"

#include <string.h>

// The best first.
enum { BACKENDS = 2 };

static const struct backend_ops *const backends[BACKENDS] = {&backend_epoll, &backend_block};

const struct backend_ops *backend_find(const char *name)
{
    if (!name || !strcmp(name, "auto"))
        return backends[0];
    for (size_t i = 0; i < BACKENDS; i++)
        if (!strcmp(name, backends[i]->name))
            return backends[i];
    return NULL;
}
