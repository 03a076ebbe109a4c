// One run: chance, what was found, memory.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "door/signals.h"
#include "sim/file.h"
#include "sim/lock.h"
#include "sim/net.h"
#include "sim/sim.h"
#include "sim/tcp.h"
#include "task/helpers.h"

struct world world;

// ---- Chance -----------------------------------------------------------------------------------

// splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
uint64_t world_random(void)
{
    uint64_t z = world.chance += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t world_below(uint64_t below)
{
    return below > 1 ? world_random() % below : 0;
}

bool world_chance(unsigned rate)
{
    return rate > 0 && world_below(1000) < rate;
}

int64_t world_between(int64_t least, int64_t most)
{
    return least + (int64_t)world_below((uint64_t)(most - least) + 1);
}

// ---- What was found, and the trace ------------------------------------------------------------

__attribute__((format(printf, 1, 0))) static void note(const char *format, va_list arguments)
{
    if (world.failed)
        return;
    world.failed = true;
    (void)vsnprintf(world.finding, sizeof world.finding, format, arguments);
    if (world.trace)
        world_trace("%-12s %s", "FOUND", world.finding);
}

void world_find(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(format, arguments);
    va_end(arguments);
}

void world_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(format, arguments);
    va_end(arguments);
    program_stop_here();
}

// FNV-1a: Fowler, Noll, Vo.
static void add_to_hash(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        world.trace_hash = (world.trace_hash ^ (unsigned char)line[i]) * 0x100000001b3;
}

void world_trace(const char *format, ...)
{
    char line[700];
    int64_t since = world.now - SIM_SECOND;
    int head = snprintf(line, sizeof line, "%4d.%09d ", (int)(since / SIM_SECOND),
                        (int)(since % SIM_SECOND));
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line + head, sizeof line - (size_t)head - 1, format, arguments);
    va_end(arguments);
    size_t size = strlen(line);
    line[size++] = '\n';
    add_to_hash(line, size);
    world.trace(world.trace_arg, line, size);
}

// ---- Memory -----------------------------------------------------------------------------------

// In front of what a program has allocated.
struct block {
    _Alignas(16) struct list node;
    size_t size;
    struct program *owner;
};

void *world_take(size_t size)
{
    void *memory = kernel_real.allocate(size);
    if (!memory)
        __builtin_trap(); // the machine has none: that is no part of the model
    return memory;
}

void world_release(void *memory)
{
    kernel_real.release(memory);
}

void *world_allocate(size_t size)
{
    bool bears = world.running && world.running->bears_faults;
    if (size > SIZE_MAX / 2 || (bears && world_chance(world.faults.no_memory)))
        return NULL;
    struct block *block = world_take(sizeof *block + size);
    block->size = size;
    block->owner = world.running;
    list_append(&world.memory, &block->node);
    return block + 1;
}

void world_free(void *memory)
{
    if (!memory)
        return;
    struct block *block = (struct block *)memory - 1;
    list_remove(&block->node);
    world_release(block);
}

void *world_reallocate(void *memory, size_t size)
{
    void *larger = world_allocate(size);
    if (!larger || !memory)
        return larger;
    size_t before = ((struct block *)memory - 1)->size;
    memcpy(larger, memory, before < size ? before : size);
    ((struct block *)larger - 1)->owner = ((struct block *)memory - 1)->owner;
    world_free(memory);
    return larger;
}

size_t world_memory_of(const struct program *program)
{
    size_t sum = 0;
    for (struct list *node = world.memory.next; node != &world.memory; node = node->next) {
        const struct block *block = LIST_ENTRY(node, struct block, node);
        if (block->owner == program)
            sum += block->size;
    }
    return sum;
}

void *world_give(size_t size)
{
    struct list *gift = world_take(32 + size);
    list_append(&world.gifts, gift);
    return (char *)gift + 32;
}

void world_take_back(void *memory)
{
    struct list *gift = (struct list *)(void *)((char *)memory - 32);
    list_remove(gift);
    world_release(gift);
}

// ---- The beginning and the end ----------------------------------------------------------------

// A long run of the generator's first numbers would be alike for neighbours: mix once more.
void world_begin(uint64_t seed)
{
    struct program **ready = world.ready;
    int room = world.ready_room;
    memset(&world, 0, sizeof world);
    world.ready = ready;
    world.ready_room = room;
    world.seed = seed;
    world.chance = seed * 0xd1342543de82ef95 + 0x2545f4914f6cdd1d;
    world.now = SIM_SECOND;
    world.trace_hash = 0xcbf29ce484222325;
    struct list *lists[] = {&world.programs, &world.all_files, &world.packets, &world.memory,
                            &world.gifts,    &world.finals,    &world.locks};
    for (size_t i = 0; i < sizeof lists / sizeof(void *); i++)
        list_init(lists[i]);
    for (size_t i = 0; i < sizeof world.tcps / sizeof *world.tcps; i++)
        list_init(&world.tcps[i]);
    world.last_pid = 100;
    world.high_free = SIM_FILES_MAX;
    world.low_free = 3;
    signals_forget(0); // those of a world that has gone
}

// Programs that were given up in their middle keep their stacks: nobody knows them all.
static void drop_programs(void)
{
    struct list *node;
    while ((node = list_take(&world.programs)))
        world_release(LIST_ENTRY(node, struct program, node));
}

void world_end(void)
{
    struct list *node;
    world.trace = NULL; // what is said now is no part of the run
    lock_release_all();
    file_end_all();
    tcp_end_all();
    net_end();
    while ((node = list_take(&world.memory)))
        world_release(LIST_ENTRY(node, struct block, node));
    while ((node = list_take(&world.gifts)))
        world_release(node);
    drop_programs();
    net_forget_hosts();
}
