// The table in force: the system's own, until a test or the simulator puts another one in front.

#include "kernel/kernel.h"

const struct kernel_ops *kernel = &kernel_real;
