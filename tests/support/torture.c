// With TORTURE=FILE in the environment: a kernel whose n-th call of a kind fails, in whichever process that is.
//
// FILE is a `struct page` that the test has made and that all processes of a server share: the test says in
// it which member of the table is to fail, which time, with which error and whether from then on, and reads
// in it how often each member was called. So one run without a failure tells how many runs with one there
// can be.

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/fallible.h"
#include "kernel/kernel.h"

#define NUMBERS(X) FALLIBLE_NUMBERS(X) FALLIBLE_STACK_NUMBERS(X)
#define MEMORY(X) FALLIBLE_MEMORY(X) FALLIBLE_STACK_MEMORY(X)

enum operation {
#define NAME_NUMBER(type, name, parameters, arguments) OPERATION_##name,
#define NAME_MEMORY(name, parameters, arguments) OPERATION_##name,
    NUMBERS(NAME_NUMBER) MEMORY(NAME_MEMORY) OPERATIONS
};

static const char *const names[] = {
#define SPELL_NUMBER(type, name, parameters, arguments) #name,
#define SPELL_MEMORY(name, parameters, arguments) #name,
    NUMBERS(SPELL_NUMBER) MEMORY(SPELL_MEMORY)};

enum { NAME_SIZE = 16, PAGE_SIZE = 4096 };

// The test has the same in Python: little-endian numbers of 32 bits.
struct page {
    _Atomic uint32_t active; // 0: nothing fails, and nothing is counted
    uint32_t operation;
    uint32_t which; // 1: the first call
    uint32_t error;
    uint32_t ever; // from that one on
    _Atomic uint32_t struck;
    uint32_t per_thousand; // instead of all that: so many of all calls
    _Atomic uint32_t chance;
    _Atomic uint32_t counts[64];
    char names[64][NAME_SIZE]; // for the test to read
    uint32_t errors[64];       // of per_thousand; 0: never
};

static struct page *page;
static struct kernel_ops table;
static const struct kernel_ops *behind;

// The same row of chances in whatever process it is (the finish of MurmurHash3, over a count).
static bool strikes_by_chance(enum operation operation)
{
    uint32_t x = atomic_fetch_add(&page->chance, 1) * 0x9e3779b9u;
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    x ^= x >> 16;
    return page->errors[operation] && x % 1000 < page->per_thousand;
}

static uint32_t error_of(enum operation operation)
{
    return page->per_thousand ? page->errors[operation] : page->error;
}

// Whether this call is the one.
static bool strikes(enum operation operation)
{
    if (!atomic_load(&page->active))
        return false;
    if (page->per_thousand)
        return strikes_by_chance(operation);
    uint32_t count = atomic_fetch_add(&page->counts[operation], 1) + 1;
    if (page->operation != (uint32_t)operation || count < page->which ||
        (count > page->which && !page->ever))
        return false;
    atomic_fetch_add(&page->struck, 1);
    return true;
}

#define FAIL_NUMBER(type, name, parameters, arguments)                              \
    static type torture_##name parameters                                           \
    {                                                                               \
        return strikes(OPERATION_##name) ? (type) - (int)error_of(OPERATION_##name) \
                                         : behind->name arguments;                  \
    }
#define FAIL_MEMORY(name, parameters, arguments)                          \
    static void *torture_##name parameters                                \
    {                                                                     \
        return strikes(OPERATION_##name) ? NULL : behind->name arguments; \
    }
// NOLINTNEXTLINE(readability-function-size): recvfrom and sendto have so many parameters
NUMBERS(FAIL_NUMBER)
MEMORY(FAIL_MEMORY)

static struct page *open_page(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *memory =
        fd < 0 ? MAP_FAILED : mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        abort();
    (void)close(fd);
    return memory;
}

__attribute__((constructor)) static void put_in_front(void)
{
    _Static_assert(sizeof(struct page) <= PAGE_SIZE, "the page is one page");
    const char *path = getenv("TORTURE");
    if (!path)
        return;
    page = open_page(path);
    for (size_t i = 0; i < OPERATIONS; i++)
        (void)snprintf(page->names[i], NAME_SIZE, "%s", names[i]);
    behind = kernel;
    table = *kernel;
#define SET_NUMBER(type, name, parameters, arguments) table.name = torture_##name;
#define SET_MEMORY(name, parameters, arguments) table.name = torture_##name;
    NUMBERS(SET_NUMBER)
    MEMORY(SET_MEMORY)
    kernel = &table;
    // The test says what is to fail as soon as it has seen the names.
    while (!atomic_load(&page->active))
        (void)usleep(1000);
}
