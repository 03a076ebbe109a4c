// pthread_mutex_t and pthread_cond_t of handlers. Simulated threads are all on one thread of the system: one
// that waited for another's lock in the C library would keep the other from ever giving it back. So this
// library has definitions of its own, in front of the C library's, which in a run let the other threads go on
// meanwhile. Outside a run, and on other threads of the system, the C library's are called as if these were
// not there.

#include "sim/lock.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#include "sim/sim.h"

#define IN_FRONT __attribute__((visibility("default")))

// A lock that a simulated thread has. The C library's own is locked, too; but to it all of them are one
// thread, so who has it is noted here.
struct held {
    struct list node; // in world.locks
    pthread_mutex_t *lock;
    struct program *owner;
    unsigned times; // of a recursive one
};

static _Thread_local bool simulates;

void lock_begin_run(void)
{
    simulates = true;
}

void lock_end_run(void)
{
    simulates = false;
}

// ---- Those behind -----------------------------------------------------------------------------

typedef int lock_call(pthread_mutex_t *lock);
typedef int cond_call(pthread_cond_t *cond);
typedef int wait_call(pthread_cond_t *cond, pthread_mutex_t *lock);

// NULL in a program that is linked statically, where nothing is behind by this name.
static void *find_behind(_Atomic(void *) *kept, const char *name)
{
    void *found = atomic_load_explicit(kept, memory_order_relaxed);
    if (!found) {
        found = dlsym(RTLD_NEXT, name);
        atomic_store_explicit(kept, found, memory_order_relaxed);
    }
    return found;
}

#define BEHIND(type, name)                                   \
    static type *behind_##name(void)                         \
    {                                                        \
        static _Atomic(void *) kept;                         \
        return (type *)find_behind(&kept, "pthread_" #name); \
    }

BEHIND(lock_call, mutex_lock)
BEHIND(lock_call, mutex_unlock)
BEHIND(wait_call, cond_wait)
BEHIND(cond_call, cond_signal)
BEHIND(cond_call, cond_broadcast)

// There calls with other names do the same. Those of C11 take the same types in all C libraries of Linux,
// and tell errors less exactly.

static int real_lock(pthread_mutex_t *lock)
{
    static const struct timespec never = {.tv_sec = INT32_MAX};
    lock_call *behind = behind_mutex_lock();
    return behind ? behind(lock) : pthread_mutex_timedlock(lock, &never);
}

// -1: it is taken. EDEADLK comes from one that checks for errors.
static int real_try(pthread_mutex_t *lock)
{
    static const struct timespec past = {0};
    int rc = pthread_mutex_timedlock(lock, &past);
    return rc == ETIMEDOUT ? -1 : rc;
}

static int real_unlock(pthread_mutex_t *lock)
{
    lock_call *behind = behind_mutex_unlock();
    if (behind)
        return behind(lock);
    return mtx_unlock((mtx_t *)(void *)lock) == thrd_success ? 0 : EPERM;
}

static int real_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
    wait_call *behind = behind_cond_wait();
    if (behind)
        return behind(cond, lock);
    return cnd_wait((cnd_t *)(void *)cond, (mtx_t *)(void *)lock) == thrd_success ? 0 : EINVAL;
}

static int real_signal(pthread_cond_t *cond)
{
    cond_call *behind = behind_cond_signal();
    return behind ? behind(cond) : cnd_signal((cnd_t *)(void *)cond);
}

static int real_broadcast(pthread_cond_t *cond)
{
    cond_call *behind = behind_cond_broadcast();
    return behind ? behind(cond) : cnd_broadcast((cnd_t *)(void *)cond);
}

// ---- Locks ------------------------------------------------------------------------------------

static struct held *held_of(const pthread_mutex_t *lock)
{
    for (struct list *node = world.locks.next; node != &world.locks; node = node->next) {
        struct held *held = LIST_ENTRY(node, struct held, node);
        if (held->lock == lock)
            return held;
    }
    return NULL;
}

static const char *owner_name(const pthread_mutex_t *lock)
{
    const struct held *held = held_of(lock);
    return held && held->owner ? held->owner->name : "nobody";
}

// Several threads have the same name.
void lock_describe_wait(const struct program *program, char *ret_text, size_t size)
{
    const struct held *held = held_of(program->lock);
    if (held && held->owner == program)
        (void)snprintf(ret_text, size, "a lock that it holds itself");
    else
        (void)snprintf(ret_text, size, "a lock that %s%s holds",
                       !strcmp(owner_name(program->lock), program->name) ? "another " : "",
                       owner_name(program->lock));
}

static void note_taken(pthread_mutex_t *lock, struct held *held)
{
    if (!held) {
        held = world_take(sizeof *held);
        held->lock = lock;
        held->owner = world.running;
        list_append(&world.locks, &held->node);
    }
    held->times++;
}

// Takes it if nobody has it, or if it is recursive and ours. -1: it is taken.
static int try_lock(pthread_mutex_t *lock)
{
    struct held *held = held_of(lock);
    if (held && held->owner != world.running)
        return -1;
    int rc = real_try(lock);
    if (rc == 0)
        note_taken(lock, held);
    return rc;
}

static int wait_for_lock(pthread_mutex_t *lock)
{
    int rc;
    while ((rc = try_lock(lock)) == -1) {
        if (!world.running) {
            world_find("at the end: a lock is still held by %s", owner_name(lock));
            return 0;
        }
        if (world.trace)
            world_trace("%-12s waits for a lock that %s holds", world.running->name,
                        owner_name(lock));
        world.running->lock = lock;
        (void)program_wait("lock", INT64_MAX);
        world.running->lock = NULL;
    }
    return rc;
}

// All who wait for it may try again: chance decides who is first.
static void wake_waiting(const pthread_mutex_t *lock)
{
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->lock == lock)
            program_wake(program);
    }
}

static int give_lock(pthread_mutex_t *lock)
{
    struct held *held = held_of(lock);
    int rc = real_unlock(lock);
    if (rc != 0 || !held || --held->times > 0)
        return rc;
    list_remove(&held->node);
    world_release(held);
    wake_waiting(lock);
    return 0;
}

static void release(struct held *held)
{
    list_remove(&held->node);
    while (held->times-- > 0)
        (void)real_unlock(held->lock);
    wake_waiting(held->lock);
    world_release(held);
}

void lock_release_all_of(int pid)
{
    struct list *next;
    for (struct list *node = world.locks.next; node != &world.locks; node = next) {
        struct held *held = LIST_ENTRY(node, struct held, node);
        next = node->next;
        if (held->owner && held->owner->pid == pid)
            release(held);
    }
}

// What programs that were given up in their middle have locked is free for the next run.
void lock_release_all(void)
{
    while (!list_is_empty(&world.locks))
        release(LIST_ENTRY(world.locks.next, struct held, node));
}

// ---- In front of the C library ------------------------------------------------------------------

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): theirs begin with underscores
IN_FRONT int pthread_mutex_lock(pthread_mutex_t *lock)
{
    return simulates ? wait_for_lock(lock) : real_lock(lock);
}

IN_FRONT int pthread_mutex_trylock(pthread_mutex_t *lock)
{
    int rc = simulates ? try_lock(lock) : real_try(lock);
    return rc == -1 || rc == EDEADLK ? EBUSY : rc;
}

IN_FRONT int pthread_mutex_unlock(pthread_mutex_t *lock)
{
    return simulates ? give_lock(lock) : real_unlock(lock);
}

// May return early, as it may everywhere.
IN_FRONT int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
    if (!simulates || !world.running)
        return real_wait(cond, lock);
    bool early = world_chance(world.faults.spurious);
    (void)program_cond_wait(cond, lock, early ? world.now + SIM_MS : INT64_MAX);
    return 0;
}

IN_FRONT int pthread_cond_signal(pthread_cond_t *cond)
{
    if (!simulates)
        return real_signal(cond);
    program_cond_signal(cond);
    return 0;
}

IN_FRONT int pthread_cond_broadcast(pthread_cond_t *cond)
{
    if (!simulates)
        return real_broadcast(cond);
    for (struct list *node = world.programs.next; node != &world.programs; node = node->next) {
        struct program *program = LIST_ENTRY(node, struct program, node);
        if (program->cond == cond)
            program_wake(program);
    }
    return 0;
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
