// Socket options that the user asked for by name.

#include "door/sockopts.h"

#include <doorbell.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kernel/kernel.h"
#include "wait/failure.h"

enum { WHY_SIZE = 256 };

static bool is_ipv6(int fd)
{
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    (void)kernel->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    return family == AF_INET6;
}

static int set_one(int fd, const struct sockopt *option)
{
    if (is_ipv6(fd))
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
    return rc < 0 ? failure_say(rc, "%s%s%s", what, *what ? ": " : "", why), rc : 0;
}

static void read_value(int fd, int index, const struct sockopt_about *about, char *ret_text,
                       size_t text_size)
{
    bool ipv6 = is_ipv6(fd);
    int level = ipv6 ? about->level6 : about->level;
    int number = ipv6 ? about->number6 : about->number;
    _Alignas(int) char value[SOCKOPT_VALUE_SIZE];
    socklen_t size = sizeof value;
    ret_text[0] = '\0';
    if (kernel->getsockopt(fd, level, number, value, &size) >= 0)
        sockopt_print(index, value, size, ret_text, text_size);
}

int bell_sockopt(int fd, int index, struct bell_sockopt *ret_option)
{
    struct sockopt_about about;
    if (!ret_option)
        return failure_say(-EINVAL, "bell_sockopt: nowhere to put the option");
    if (!sockopt_describe(index, &about))
        return 0;
    *ret_option = (struct bell_sockopt){
        .name = about.name,
        .type = about.type,
        .page = about.page,
        .help = about.help,
        .read_only = about.read_only,
    };
    if (fd >= 0)
        read_value(fd, index, &about, ret_option->value, sizeof ret_option->value);
    return 1;
}
