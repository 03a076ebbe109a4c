// What the system allows this process: descriptors, processes, processors.

#include "kernel/real.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// The beginning of a small file as a string. Returns whether there was one.
static bool read_start(const char *path, char *ret_text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, ret_text, size - 1);
    (void)close(fd); // read side only
    ret_text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

// Reads a file of this process's control group. Inside a container the group's path is "/", and
// the files are the container's. Version 1 groups are not asked.
static bool read_group_file(const char *name, char *ret_text, size_t size)
{
    char groups[1024], path[1200];
    if (!read_start("/proc/self/cgroup", groups, sizeof groups))
        return false;
    const char *line = strncmp(groups, "0::", 3) == 0 ? groups : strstr(groups, "\n0::");
    if (!line)
        return false;
    const char *group = strchr(line, ':') + 2;
    int length = snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/%s", (int)strcspn(group, "\n"),
                          group, name);
    return length > 0 && (size_t)length < sizeof path && read_start(path, ret_text, size);
}

static int64_t smaller(int64_t limit, const char *text)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return errno == 0 && end != text && n > 0 && n < limit ? n : limit;
}

int64_t real_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    return limit.rlim_cur < INT32_MAX ? (int64_t)limit.rlim_cur : INT32_MAX;
}

// RLIMIT_NPROC counts the user's processes and threads, not this process's, and does not bind root;
// the control group's limit and the system's do.
int64_t real_process_limit(void)
{
    int64_t least = INT32_MAX;
    struct rlimit limit;
    if (geteuid() != 0 && getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur < INT32_MAX)
        least = (int64_t)limit.rlim_cur;

    char text[64];
    if (read_group_file("pids.max", text, sizeof text))
        least = smaller(least, text);
    if (read_start("/proc/sys/kernel/threads-max", text, sizeof text))
        least = smaller(least, text);
    if (read_start("/proc/sys/kernel/pid_max", text, sizeof text))
        least = smaller(least, text);
    return least;
}

// "max 100000" or "quota period" in microseconds: a container with a quota of 1.5 processors gets
// two workers.
static int limit_by_quota(int count)
{
    char text[64];
    if (!read_group_file("cpu.max", text, sizeof text))
        return count;
    char *end;
    long long quota = strtoll(text, &end, 10);
    long long period = strtoll(end, NULL, 10);
    if (quota <= 0 || period <= 0)
        return count;
    long long whole = quota / period + (quota % period != 0);
    return whole < count ? (int)whole : count;
}

int real_processors(void)
{
    cpu_set_t set;
    long count = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    if (count < 1) // more than the set has room for
        count = sysconf(_SC_NPROCESSORS_ONLN);
    return limit_by_quota(count < 1 ? 1 : count < INT32_MAX ? (int)count : INT32_MAX);
}
