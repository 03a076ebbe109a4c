// A system call by the C library: on other processors, and where sanitizers want to know of it.

#include "kernel/trap.h"

#include <errno.h>
#include <unistd.h>

// NOLINTNEXTLINE(readability-function-size): as many parameters as a system call has
long kernel_trap(long number, long a, long b, long c, long d, long e, long f)
{
    long result = syscall(number, a, b, c, d, e, f);
    return result >= 0 ? result : -errno;
}
