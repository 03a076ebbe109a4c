// The arena of stacks.
//
//     slot:  | 64 KiB guard | 64 KiB stack, growing down <- ... | task | colour |
//
// Address space is reserved once for all slots and costs nothing until it is touched. The guard of a slot
// is installed when the slot is used for the first time, and stays. Free slots are linked through their
// last words, which lie in a page that was touched anyway.

#include "coro/stack.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "coro/checkers.h"
#include "coro/coro.h"
#include "kernel/kernel.h"

enum {
    SLOTS_MAX = 262144,         // 32 GiB of address space
    SLOTS_MIN = 64,             // with less there is no use in going on
    MPROTECT_SLOTS_MAX = 30000, // each is two mappings, of 65,530 that a process may have
    COLOURS = 16,               // of a cache line each
    COLOUR_SIZE = 64,
    LOCAL_MAX = 256, // free slots that a thread keeps warm
};

static struct {
    pthread_mutex_t lock;
    char *base;         // NULL: not reserved yet
    size_t slots;       // reserved
    size_t used;        // slots that were ever taken; guarded by lock
    bool mprotect;      // the kernel has no MADV_GUARD_INSTALL
    char *free;         // cold ones; guarded by lock
    const char **names; // of each slot's coroutine
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

// The thread's own free slots, the warmest first.
static _Thread_local char *local_free;
static _Thread_local unsigned local_count;

static char **link_of(char *slot)
{
    return (char **)(void *)(slot + CORO_SLOT_SIZE) - 1;
}

static void push(char **list, char *slot)
{
    *link_of(slot) = *list;
    *list = slot;
}

static char *pop(char **list)
{
    char *slot = *list;
    if (slot)
        *list = *link_of(slot);
    return slot;
}

// ---- Slots that are new -----------------------------------------------------------------------

static bool reserve(void)
{
    if (arena.base)
        return true;
    if (!arena.names)
        arena.names = kernel->map(SLOTS_MAX * sizeof *arena.names, false);
    if (!arena.names)
        return false;
    for (size_t slots = SLOTS_MAX; slots >= SLOTS_MIN && !arena.base; slots /= 2) {
        arena.base = kernel->map(slots * CORO_SLOT_SIZE, false);
        arena.slots = slots;
    }
    return arena.base;
}

static bool guard(char *slot)
{
    if (!arena.mprotect && kernel->guard(slot, CORO_GUARD_SIZE) == 0)
        return true;
    arena.mprotect = true;
    return arena.used < MPROTECT_SLOTS_MAX && kernel->protect(slot, CORO_GUARD_SIZE) == 0;
}

// With the lock held.
static char *new_slot(void)
{
    if (!reserve() || arena.used == arena.slots)
        return NULL;
    char *slot = arena.base + arena.used * CORO_SLOT_SIZE;
    if (!guard(slot))
        return NULL;
    arena.used++;
    checkers_new_slot(slot + CORO_GUARD_SIZE, CORO_STACK_SIZE);
    return slot;
}

static char *shared_slot(void)
{
    (void)pthread_mutex_lock(&arena.lock);
    char *slot = pop(&arena.free);
    if (!slot)
        slot = new_slot();
    (void)pthread_mutex_unlock(&arena.lock);
    return slot;
}

// ---- Taking and giving ------------------------------------------------------------------------

static size_t index_of(const void *address)
{
    return (size_t)((const char *)address - arena.base) / CORO_SLOT_SIZE;
}

void *coro_take_stack(void)
{
    char *slot = pop(&local_free);
    if (slot)
        local_count--;
    else
        slot = shared_slot();
    if (!slot)
        return NULL;
    checkers_clean_stack(slot + CORO_GUARD_SIZE, CORO_STACK_SIZE);
    // One line for the link; the rest is the colour.
    size_t colour = (index_of(slot) % COLOURS + 1) * COLOUR_SIZE;
    return slot + CORO_SLOT_SIZE - colour;
}

char *stack_name_slot(const void *stack_end, const char *name)
{
    size_t index = index_of((const char *)stack_end - 1);
    arena.names[index] = name;
    return arena.base + index * CORO_SLOT_SIZE;
}

static void give_cold(char *slot)
{
    // All but the page with the link: a crowd that has left must not keep its memory.
    (void)kernel->give_back(slot + CORO_GUARD_SIZE, CORO_STACK_SIZE - 4096);
    (void)pthread_mutex_lock(&arena.lock);
    push(&arena.free, slot);
    (void)pthread_mutex_unlock(&arena.lock);
}

void stack_give(char *slot)
{
    push(&local_free, slot);
    local_count++;
}

void coro_return_stack(void *stack_end)
{
    stack_give(arena.base + index_of((const char *)stack_end - 1) * CORO_SLOT_SIZE);
}

void coro_trim(void)
{
    char *slot;
    while ((slot = pop(&local_free)))
        give_cold(slot);
    local_count = 0;
}

void coro_trim_crowd(void)
{
    while (local_count > LOCAL_MAX) {
        local_count--;
        give_cold(pop(&local_free));
    }
}

// ---- Guards and use ---------------------------------------------------------------------------

bool stack_overflowed(const void *address, const char **ret_name)
{
    const char *at = address;
    if (!arena.base || at < arena.base || at >= arena.base + arena.slots * CORO_SLOT_SIZE)
        return false;
    if ((size_t)(at - arena.base) % CORO_SLOT_SIZE >= CORO_GUARD_SIZE)
        return false;
    const char *name = arena.names[index_of(at)];
    *ret_name = name ? name : "of a task";
    return true;
}

int coro_is_guard(const void *address)
{
    const char *name;
    return stack_overflowed(address, &name);
}
