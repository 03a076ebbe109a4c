// The arena of stacks.
//
//     slot:  | guard, 68 KiB | stack, 64 KiB, growing down <- ... | task | colour | foot |
//
// Address space is reserved once for all slots and costs nothing until it is touched. The guard of
// a slot is installed when the slot is used for the first time, and stays, also over fork.
//
// A free slot is in one of three lists:
//
//     warm      its thread's own, the last one given is the first one taken: no lock, no system
//               call, and its top is still in the cache
//     shared    some of threads that ended, with their pages, for a server with a thread a caller
//     cold      without a page, 4 bytes each
//
// Pages go back by whole slots, when a slot becomes cold. To give back only what lies deeper than
// the top page of warm ones would need a call for each to find out whether there is anything: the
// 256 warm ones of a thread hold 1 MiB if their coroutines were shallow, and 16 MiB at the most.

#include "coro/stack.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "coro/checkers.h"
#include "coro/coro.h"
#include "kernel/kernel.h"

enum {
    SLOTS_MAX = 262144,    // 33 GiB of address space
    SLOTS_MIN = 64,        // with less there is no use in going on
    PROTECTED_MAX = 30000, // each makes two mappings more, of 65,530 that a process may have
    // Of 64 bytes each. The deepest one, 1 KiB for the handler's frame, 600 bytes for ours and 256
    // for the task must be within one page: it is what a parked coroutine costs.
    COLOURS = 16,
    WARM_MAX = 256,
    SHARED_MAX = 64,
};

// The last line of each slot.
struct foot {
    char *next;       // in the list of free slots
    const char *name; // of the coroutine that runs here
};

_Static_assert(sizeof(struct foot) <= STACK_FOOT_SIZE, "the foot outgrew its line");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(char *) base; // NULL: not reserved yet. Read without the lock by who has a slot
static atomic_size_t used;   // slots that were ever taken; they have guards
static size_t reserved;      // slots; this and all below is guarded by lock
static size_t protected;     // slots whose guards are by mprotect
static char *shared;
static size_t shared_count;
static uint32_t *cold; // indexes
static size_t cold_count;

static _Thread_local char *warm;
static _Thread_local size_t warm_count;

static struct foot *foot_of(char *slot)
{
    return (struct foot *)(void *)(slot + CORO_SLOT_SIZE - STACK_FOOT_SIZE);
}

static void push(char **list, char *slot)
{
    foot_of(slot)->next = *list;
    *list = slot;
}

static char *pop(char **list)
{
    char *slot = *list;
    if (slot)
        *list = foot_of(slot)->next;
    return slot;
}

static size_t index_of(const void *address)
{
    return (size_t)((const char *)address - base) / CORO_SLOT_SIZE;
}

static char *slot_at(size_t index)
{
    return base + index * CORO_SLOT_SIZE;
}

// ---- Slots that are new; with the lock held ----------------------------------------------------

// Where address space is limited the program needs some, too: takes at most half of what there is.
static char *map_half(size_t size)
{
    void *other_half = kernel->map(size, false);
    if (!other_half)
        return NULL;
    char *memory = kernel->map(size, false);
    kernel->unmap(other_half, size);
    return memory;
}

static bool reserve(void)
{
    for (size_t slots = SLOTS_MAX; slots >= SLOTS_MIN && !base; slots /= 2) {
        char *memory = map_half(slots * (CORO_SLOT_SIZE + sizeof *cold));
        cold = (uint32_t *)(void *)(memory ? memory + slots * CORO_SLOT_SIZE : NULL);
        reserved = slots;
        base = memory;
    }
    checkers_new_arena(base, base ? reserved * CORO_SLOT_SIZE : 0);
    return base;
}

static bool guard(char *slot)
{
    int rc = kernel->guard(slot, CORO_GUARD_SIZE);
    if (rc != -EINVAL)
        return rc == 0;
    // Before Linux 6.13.
    if (protected == PROTECTED_MAX || kernel->protect(slot, CORO_GUARD_SIZE) < 0)
        return false;
    protected++;
    return true;
}

static char *new_slot(void)
{
    if ((!base && !reserve()) || used == reserved)
        return NULL;
    char *slot = slot_at(used);
    if (!guard(slot))
        return NULL;
    used++;
    checkers_new_slot(slot + CORO_GUARD_SIZE, CORO_STACK_SIZE);
    return slot;
}

// ---- Between threads ---------------------------------------------------------------------------

static char *take_of_all(void)
{
    (void)pthread_mutex_lock(&lock);
    char *slot = pop(&shared);
    if (slot)
        shared_count--;
    else if (cold_count)
        slot = slot_at(cold[--cold_count]);
    else
        slot = new_slot();
    (void)pthread_mutex_unlock(&lock);
    return slot;
}

static bool share(char *slot)
{
    (void)pthread_mutex_lock(&lock);
    bool room = shared_count < SHARED_MAX;
    if (room) {
        push(&shared, slot);
        shared_count++;
    }
    (void)pthread_mutex_unlock(&lock);
    return room;
}

static void make_cold(char *slot)
{
    (void)kernel->give_back(slot + CORO_GUARD_SIZE, CORO_STACK_SIZE); // costs memory if it fails
    (void)pthread_mutex_lock(&lock);
    cold[cold_count++] = (uint32_t)index_of(slot);
    (void)pthread_mutex_unlock(&lock);
}

static char *take_warm(void)
{
    char *slot = pop(&warm);
    if (slot)
        warm_count--;
    return slot;
}

void coro_trim(void)
{
    for (char *slot; (slot = take_warm());)
        if (!share(slot))
            make_cold(slot);
}

// As many as there are: they ended since the last round, and each of those ends took longer.
void coro_trim_crowd(void)
{
    while (warm_count > WARM_MAX)
        make_cold(take_warm());
}

// ---- Taking and giving -------------------------------------------------------------------------

void *coro_take_stack(void)
{
    char *slot = take_warm();
    if (!slot)
        slot = take_of_all();
    if (!slot)
        return NULL;
    checkers_open_stack(slot + CORO_GUARD_SIZE, STACK_CLEAN_SIZE);
    foot_of(slot)->name = NULL;
    return (char *)foot_of(slot) - index_of(slot) % COLOURS * 64;
}

char *stack_begin(const void *stack_end, const char *name)
{
    char *slot = slot_at(index_of((const char *)stack_end - 1));
    foot_of(slot)->name = name;
    return slot;
}

void stack_give(char *slot)
{
    push(&warm, slot);
    warm_count++;
}

void coro_return_stack(void *stack_end)
{
    char *slot = slot_at(index_of((char *)stack_end - 1));
    checkers_close_stack(slot + CORO_GUARD_SIZE, STACK_CLEAN_SIZE);
    stack_give(slot);
}

// ---- Guards and use ----------------------------------------------------------------------------

bool stack_overflowed(const void *address, const char **ret_name)
{
    uintptr_t first = (uintptr_t)base, at = (uintptr_t)address;
    if (!first || at < first || (at - first) / CORO_SLOT_SIZE >= used)
        return false;
    if ((at - first) % CORO_SLOT_SIZE >= CORO_GUARD_SIZE)
        return false;
    *ret_name = foot_of(slot_at(index_of(address)))->name;
    return true;
}

int coro_is_guard(const void *address)
{
    const char *name;
    return stack_overflowed(address, &name);
}
