// What the system allows this process: descriptors, processes, processors.

#include "kernel/real.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernel/limits.h"

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

// getrlimit fails for no resource that there is.
int64_t real_descriptor_limit(void)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limits_number(limit.rlim_cur);
}

int64_t real_process_limit(void)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_NPROC, &limit);
    return limits_processes(read_start, geteuid(), limit.rlim_cur);
}

// sched_getaffinity fails where there are more processors than the set has room for.
int real_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)sched_getaffinity(0, sizeof set, &set);
    return limits_processors(read_start, CPU_COUNT(&set), sysconf(_SC_NPROCESSORS_ONLN));
}
