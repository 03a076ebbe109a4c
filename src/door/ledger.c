#include "door/ledger.h"

#include <stddef.h>
#include <string.h>

#include "kernel/kernel.h"

// A column keeps its addresses in buckets of 16 places. A place is an address and how many callers
// it has; at 0 the place may be given to another. When all 16 places of a bucket are taken the 17th
// address is not counted: it has few callers, or the bucket's others have gone.
enum { PLACES = 16 };

struct place {
    _Atomic uint64_t key;
    _Atomic uint32_t count;
};

struct column {
    _Alignas(64) _Atomic uint64_t active;
    struct place *places;                    // bucket_count * PLACES
    _Atomic uint64_t datagrams[2], bytes[2]; // out, in
};

struct ledger {
    size_t size; // of the mapping
    int workers;
    uint32_t bucket_count; // a power of two
    _Atomic uint32_t stops;
    atomic_bool stopped;
    _Atomic uint64_t counts[LEDGER_COUNTS];
    struct column columns[];
};

struct ledger *ledger_open(int workers, int callers_max)
{
    uint32_t buckets = 1;
    while ((uint64_t)buckets * PLACES < 2 * (uint64_t)(unsigned)callers_max && buckets < 1u << 14)
        buckets *= 2;
    size_t columns = (size_t)(unsigned)workers * sizeof(struct column);
    size_t places = (size_t)buckets * PLACES * sizeof(struct place);
    size_t size = sizeof(struct ledger) + columns + (size_t)(unsigned)workers * places;

    struct ledger *ledger = kernel->map(size, true);
    if (!ledger)
        return NULL;
    ledger->size = size;
    ledger->workers = workers;
    ledger->bucket_count = buckets;
    char *at = (char *)ledger + sizeof *ledger + columns;
    for (int i = 0; i < workers; i++, at += places)
        ledger->columns[i].places = (struct place *)(void *)at;
    return ledger;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger)
        kernel->unmap(ledger, ledger->size);
}

void ledger_add(struct ledger *ledger, enum ledger_count count, uint64_t number)
{
    atomic_fetch_add_explicit(&ledger->counts[count], number, memory_order_relaxed);
}

uint64_t ledger_read(const struct ledger *ledger, enum ledger_count count)
{
    return atomic_load_explicit(&ledger->counts[count], memory_order_relaxed);
}

static void add_own(_Atomic uint64_t *number, uint64_t more)
{
    uint64_t old = atomic_load_explicit(number, memory_order_relaxed);
    atomic_store_explicit(number, old + more, memory_order_relaxed);
}

void ledger_add_datagram(struct ledger *ledger, int worker, bool in, size_t bytes)
{
    add_own(&ledger->columns[worker].datagrams[in], 1);
    add_own(&ledger->columns[worker].bytes[in], bytes);
}

uint64_t ledger_datagrams(const struct ledger *ledger, bool in, uint64_t *ret_bytes)
{
    uint64_t sum = 0;
    *ret_bytes = 0;
    for (int i = 0; i < ledger->workers; i++) {
        sum += atomic_load_explicit(&ledger->columns[i].datagrams[in], memory_order_relaxed);
        *ret_bytes += atomic_load_explicit(&ledger->columns[i].bytes[in], memory_order_relaxed);
    }
    return sum;
}

void ledger_enter(struct ledger *ledger, int worker)
{
    atomic_fetch_add_explicit(&ledger->columns[worker].active, 1, memory_order_relaxed);
}

void ledger_leave(struct ledger *ledger, int worker)
{
    atomic_fetch_sub_explicit(&ledger->columns[worker].active, 1, memory_order_relaxed);
}

uint64_t ledger_active(const struct ledger *ledger)
{
    uint64_t sum = 0;
    for (int i = 0; i < ledger->workers; i++)
        sum += atomic_load_explicit(&ledger->columns[i].active, memory_order_relaxed);
    return sum;
}

static struct place *bucket_of(const struct ledger *ledger, int worker, uint64_t key)
{
    uint64_t hash = key * 0x9e3779b97f4a7c15u >> 32;
    return ledger->columns[worker].places + (hash & (ledger->bucket_count - 1)) * PLACES;
}

static struct place *find_place(struct place *bucket, uint64_t key)
{
    for (int i = 0; i < PLACES; i++)
        if (atomic_load_explicit(&bucket[i].key, memory_order_relaxed) == key)
            return &bucket[i];
    return NULL;
}

// The place of the address in the worker's own column, made if need be; NULL when there is none.
static struct place *own_place(struct place *bucket, uint64_t key)
{
    struct place *place = find_place(bucket, key);
    if (place)
        return place;
    for (int i = 0; i < PLACES; i++)
        if (atomic_load_explicit(&bucket[i].count, memory_order_relaxed) == 0) {
            atomic_store_explicit(&bucket[i].key, key, memory_order_relaxed);
            return &bucket[i];
        }
    return NULL;
}

static uint64_t count_address(const struct ledger *ledger, uint64_t key)
{
    uint64_t sum = 0;
    for (int i = 0; i < ledger->workers; i++) {
        const struct place *place = find_place(bucket_of(ledger, i, key), key);
        if (place)
            sum += atomic_load_explicit(&place->count, memory_order_seq_cst);
    }
    return sum;
}

bool ledger_enter_address(struct ledger *ledger, int worker, uint64_t key, uint32_t limit)
{
    struct place *place = own_place(bucket_of(ledger, worker, key), key);
    if (!place)
        return true;
    // Counted first and looked at then, so that two workers at once can be too strict, but never
    // let in one too many.
    atomic_fetch_add_explicit(&place->count, 1, memory_order_seq_cst);
    if (count_address(ledger, key) <= limit)
        return true;
    atomic_fetch_sub_explicit(&place->count, 1, memory_order_relaxed);
    return false;
}

void ledger_leave_address(struct ledger *ledger, int worker, uint64_t key)
{
    struct place *place = find_place(bucket_of(ledger, worker, key), key);
    if (place && atomic_load_explicit(&place->count, memory_order_relaxed) > 0)
        atomic_fetch_sub_explicit(&place->count, 1, memory_order_relaxed);
}

uint64_t ledger_clear(struct ledger *ledger, int worker)
{
    struct column *column = &ledger->columns[worker];
    for (uint32_t i = 0; i < ledger->bucket_count * PLACES; i++)
        if (atomic_load_explicit(&column->places[i].count, memory_order_relaxed))
            atomic_store_explicit(&column->places[i].count, 0, memory_order_relaxed);
    return atomic_exchange_explicit(&column->active, 0, memory_order_relaxed);
}

unsigned ledger_stop(struct ledger *ledger)
{
    return atomic_fetch_add_explicit(&ledger->stops, 1, memory_order_relaxed);
}

void ledger_announce_stop(struct ledger *ledger)
{
    atomic_store_explicit(&ledger->stopped, true, memory_order_release);
}

bool ledger_is_stopped(const struct ledger *ledger)
{
    return atomic_load_explicit(&ledger->stopped, memory_order_acquire);
}
