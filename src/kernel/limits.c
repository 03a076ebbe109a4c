#include "kernel/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Reads a file of this process's control group. Inside a container the group's path is "/", and
// the files are the container's. Version 1 groups are not asked.
static bool read_group_file(limits_read *read, const char *name, char *ret_text, size_t size)
{
    char groups[1024], path[1200];
    if (!read("/proc/self/cgroup", groups, sizeof groups))
        return false;
    const char *line = strncmp(groups, "0::", 3) == 0 ? groups : strstr(groups, "\n0::");
    if (!line)
        return false;
    const char *group = strchr(line, ':') + 2;
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/%s", (int)strcspn(group, "\n"), group,
                   name); // there is room
    return read(path, ret_text, size);
}

static int64_t smaller(int64_t limit, const char *text)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return errno == 0 && end != text && n > 0 && n < limit ? n : limit;
}

int64_t limits_number(rlim_t limit)
{
    return limit < INT32_MAX ? (int64_t)limit : INT32_MAX;
}

int64_t limits_processes(limits_read *read, uid_t user, rlim_t of_user)
{
    int64_t least = user == 0 ? INT32_MAX : limits_number(of_user);
    char text[64];
    if (read_group_file(read, "pids.max", text, sizeof text))
        least = smaller(least, text);
    if (read("/proc/sys/kernel/threads-max", text, sizeof text))
        least = smaller(least, text);
    if (read("/proc/sys/kernel/pid_max", text, sizeof text))
        least = smaller(least, text);
    return least;
}

// "max 100000" or "quota period" in microseconds: a container with a quota of 1.5 processors gets
// two workers.
static int64_t limit_by_quota(int64_t count, const char *text)
{
    char *end;
    long long quota = strtoll(text, &end, 10);
    long long period = strtoll(end, NULL, 10);
    if (quota <= 0 || period <= 0)
        return count;
    long long whole = quota / period + (quota % period != 0);
    return whole < count ? whole : count;
}

int limits_processors(limits_read *read, long allowed, long there)
{
    char text[64];
    int64_t count = allowed > 0 ? allowed : there;
    if (read_group_file(read, "cpu.max", text, sizeof text))
        count = limit_by_quota(count, text);
    return count < 1 ? 1 : count < INT32_MAX ? (int)count : INT32_MAX;
}
