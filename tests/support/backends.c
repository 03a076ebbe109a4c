// The table of backends for the conformance suite: the library's, and `completion`.

#include <string.h>

#include "wait/backend.h"

extern const struct backend_ops backend_completion;

const struct backend_ops *backend_find(const char *name)
{
    enum { BACKENDS = 3 };
    static const struct backend_ops *const backends[BACKENDS] = {&backend_epoll, &backend_block,
                                                                 &backend_completion};
    if (!name || !strcmp(name, "auto"))
        return backends[0];
    for (size_t i = 0; i < BACKENDS; i++)
        if (!strcmp(name, backends[i]->name))
            return backends[i];
    return NULL;
}
