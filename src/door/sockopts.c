// Socket options that the user asked for by name.

#include "door/sockopts.h"

#include <errno.h>
#include <string.h>

#include "kernel/kernel.h"
#include "wait/failure.h"

enum { WHY_SIZE = 256 };

static int set_one(int fd, const struct sockopt *option)
{
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    (void)kernel->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    if (family == AF_INET6)
        return kernel->setsockopt(fd, option->level6, option->number6, option->value, option->size);
    return kernel->setsockopt(fd, option->level, option->number, option->value, option->size);
}

int sockopts_set(int fd, const char *text, char refused[SOCKOPT_NAME_SIZE])
{
    struct sockopt option;
    char why[WHY_SIZE];
    refused[0] = '\0';
    while (text && sockopt_next(&text, &option, why, sizeof why) > 0) {
        int rc = set_one(fd, &option);
        if (rc < 0) {
            memcpy(refused, option.name, sizeof option.name);
            return rc;
        }
    }
    return 0;
}

int sockopts_check(const char *text, const char *what)
{
    struct sockopt option;
    char why[WHY_SIZE];
    int rc = 0;
    while (text && (rc = sockopt_next(&text, &option, why, sizeof why)) > 0)
        continue;
    return rc < 0 ? failure_say(rc, "%s: %s", what, why), rc : 0;
}
