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

#include "kernel/kernel.h"

// Every member that can fail, as X(name, its parameters, what is passed on). Those that return memory are
// apart. No `close`: it fails in no way that means anything on Linux, and its descriptor is gone.
#define NUMBERS(X)                                                                            \
    X(int, socket, (int a, int b, int c), (a, b, c))                                          \
    X(int, socketpair, (int a, int b, int c[2]), (a, b, c))                                   \
    X(int, bind, (int a, const struct sockaddr *b, socklen_t c), (a, b, c))                   \
    X(int, listen, (int a, int b), (a, b))                                                    \
    X(int, accept, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))                      \
    X(int, connect, (int a, const struct sockaddr *b, socklen_t c), (a, b, c))                \
    X(int, getsockname, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))                 \
    X(int, getpeername, (int a, struct sockaddr *b, socklen_t *c), (a, b, c))                 \
    X(ssize_t, recv, (int a, void *b, size_t c, int d), (a, b, c, d))                         \
    X(ssize_t, recvfrom, (int a, void *b, size_t c, int d, struct sockaddr *e, socklen_t *f), \
      (a, b, c, d, e, f))                                                                     \
    X(ssize_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c))                          \
    X(ssize_t, sendto,                                                                        \
      (int a, const void *b, size_t c, int d, const struct sockaddr *e, socklen_t f),         \
      (a, b, c, d, e, f))                                                                     \
    X(ssize_t, send, (int a, const void *b, size_t c, int d), (a, b, c, d))                   \
    X(ssize_t, sendmsg, (int a, const struct msghdr *b, int c), (a, b, c))                    \
    X(ssize_t, sendfile, (int a, int b, off_t *c, size_t d), (a, b, c, d))                    \
    X(int, shutdown, (int a, int b), (a, b))                                                  \
    X(int, setsockopt, (int a, int b, int c, const void *d, socklen_t e), (a, b, c, d, e))    \
    X(int, getsockopt, (int a, int b, int c, void *d, socklen_t *e), (a, b, c, d, e))         \
    X(int, dup, (int a), (a))                                                                 \
    X(int, set_flags, (int a), (a))                                                           \
    X(int, lock_file, (const char *a), (a))                                                   \
    X(int, ppoll, (struct pollfd * a, nfds_t b, int64_t c), (a, b, c))                        \
    X(int, epoll_create, (void), ())                                                          \
    X(int, epoll_ctl, (int a, int b, int c, struct epoll_event *d), (a, b, c, d))             \
    X(int, epoll_wait, (int a, struct epoll_event *b, int c, int64_t d), (a, b, c, d))        \
    X(int, eventfd, (void), ())                                                               \
    X(int, timerfd, (void), ())                                                               \
    X(int, fork, (void), ())                                                                  \
    X(int, pidfd_open, (int a), (a))                                                          \
    X(int, thread_start, (void (*a)(void *), void *b, size_t c), (a, b, c))                   \
    X(int, guard, (void *a, size_t b), (a, b))                                                \
    X(int, protect, (void *a, size_t b), (a, b))                                              \
    X(int, give_back, (void *a, size_t b), (a, b))

#define MEMORY(X)                              \
    X(allocate, (size_t a), (a))               \
    X(reallocate, (void *a, size_t b), (a, b)) \
    X(map, (size_t a, bool b), (a, b))

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
