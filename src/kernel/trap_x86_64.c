// A system call on x86-64 (syscall(2), "Architecture calling conventions").

#include "kernel/trap.h"

// NOLINTNEXTLINE(readability-function-size): as many parameters as a system call has
long kernel_trap(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
