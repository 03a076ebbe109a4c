// Memory: small pieces from the C library, large ones from the system.

#include "kernel/real.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 // since Linux 6.13
#endif

void *real_allocate(size_t size)
{
    return calloc(1, size);
}

void *real_reallocate(void *memory, size_t size)
{
    return realloc(memory, size);
}

void real_release(void *memory)
{
    free(memory);
}

// Huge pages would turn the first touched page of one stack into 2 MiB.
void *real_map(size_t size, bool shared)
{
    int flags = MAP_ANONYMOUS | MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, size, MADV_NOHUGEPAGE); // refused where there are none
    return memory;
}

void real_unmap(void *memory, size_t size)
{
    if (memory)
        (void)munmap(memory, size); // fails only for what real_map did not give
}

int real_guard(void *memory, size_t size)
{
    int n = madvise(memory, size, MADV_GUARD_INSTALL);
    return n >= 0 ? n : -errno;
}

int real_protect(void *memory, size_t size)
{
    int n = mprotect(memory, size, PROT_NONE);
    return n >= 0 ? n : -errno;
}

int real_give_back(void *memory, size_t size)
{
    int n = madvise(memory, size, MADV_DONTNEED);
    return n >= 0 ? n : -errno;
}
