// Addresses to names, by the system's resolver.

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"
#include "name/name.h"
#include "task/helpers.h"

struct search {
    struct job job; // must be first
    struct sockaddr_storage address;
    socklen_t size;
    char name[ADDR_HOST_SIZE];
    int code, system_error;
};

static void run_search(struct job *job)
{
    struct search *search = (struct search *)(void *)job;
    search->code = kernel->name_of((const struct sockaddr *)&search->address, search->size,
                                   search->name, sizeof search->name);
    search->system_error = errno;
}

static void release_search(struct job *job)
{
    kernel->release(job);
}

static int take_name(const struct search *search, char *ret_name, const char **ret_reason)
{
    int rc = name_error(search->code, search->system_error);
    if (rc == 0)
        (void)snprintf(ret_name, ADDR_HOST_SIZE, "%s", search->name);
    else if (search->code != EAI_SYSTEM && search->code != EAI_MEMORY)
        *ret_reason = gai_strerror(search->code);
    return rc;
}

int name_reverse(const struct sockaddr *address, socklen_t size, int64_t deadline, char *ret_name,
                 const char **ret_reason)
{
    *ret_reason = NULL;
    struct search *search = kernel->allocate(sizeof *search);
    if (!search)
        return -ENOMEM;
    search->job.run = run_search;
    search->job.release = release_search;
    memcpy(&search->address, address, size);
    search->size = size;
    int rc = helpers_run(HELPERS_NAMES, &search->job, deadline);
    if (rc < 0)
        return rc;
    rc = take_name(search, ret_name, ret_reason);
    release_search(&search->job);
    return rc;
}
