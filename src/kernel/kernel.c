// The table in force: the system's own, until a test or the simulator puts another one in front, or
// somebody wants to see the calls.

#include "kernel/kernel.h"

#include "kernel/calls.h"

const struct kernel_ops *kernel = &kernel_real;

// Before main, so that nothing has been called yet.
__attribute__((constructor)) static void look_at_environment(void)
{
    calls_show_if_wished();
}
