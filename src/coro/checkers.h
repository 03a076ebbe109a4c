// What AddressSanitizer, ThreadSanitizer and valgrind must be told of coroutines, so that coro.c
// and stack.c have no #if. A program has at most one of them; without any, all of this is nothing.
//
//     checkers_adopt        this coroutine is the running stack
//     checkers_init         this one is to begin on that stack
//     checkers_before_swap  right before the stack is left,
//     checkers_before_end   or left for good,
//     checkers_after_swap   and the first thing on the one that goes on
//     checkers_drop         this one will not go on
//     checkers_new_arena    these are to become stacks
//     checkers_new_slot     here is a new one; it stays until the process ends
//     checkers_open_stack   it was taken: all of it may be used
//     checkers_close_stack  it was given back: nobody has any business there

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "coro/coro.h"

#if defined(__SANITIZE_ADDRESS__)
#define CHECKERS_ASAN
#elif defined(__SANITIZE_THREAD__)
#define CHECKERS_TSAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECKERS_ASAN
#elif __has_feature(thread_sanitizer)
#define CHECKERS_TSAN
#endif
#endif

#if !defined(CHECKERS_ASAN) && !defined(CHECKERS_TSAN) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define CHECKERS_VALGRIND
#endif
#endif

// The functions of a switch must not have frames of their own: they are entered on one coroutine
// and left on another, which the checkers would count.
#define CHECKERS_INLINE static inline __attribute__((always_inline))

#ifdef CHECKERS_ASAN // ---------------------------------------------------------------------------

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>

enum {
    CHECKER_FAKE_STACK, // where locals live, for detect_stack_use_after_return
    CHECKER_BOTTOM,     // of the real stack
    CHECKER_SIZE,
    CHECKER_PREVIOUS, // the coroutine that switched to this one; NULL when it ended by that
};

static inline void checkers_open_stack(void *low, size_t size)
{
    __asan_unpoison_memory_region(low, size);
}

// Any use of a task after its end is found; and LeakSanitizer takes no old pointer there for one
// that counts.
static inline void checkers_close_stack(void *low, size_t size)
{
    __asan_poison_memory_region(low, size);
}

static inline void checkers_new_arena(void *low, size_t size)
{
    (void)low;
    (void)size;
}

// What only a parked coroutine points at is no leak.
static inline void checkers_new_slot(void *low, size_t size)
{
    __lsan_register_root_region(low, size);
}

static inline void checkers_adopt(struct coro *self)
{
    (void)self; // its bounds are learnt when it is left
}

static inline void checkers_init(struct coro *self, void *low, size_t size)
{
    self->checker[CHECKER_BOTTOM] = low;
    self->checker[CHECKER_SIZE] = (void *)size;
}

CHECKERS_INLINE void checkers_start(void **ret_fake_stack, const struct coro *to)
{
    __sanitizer_start_switch_fiber(ret_fake_stack, to->checker[CHECKER_BOTTOM],
                                   (size_t)to->checker[CHECKER_SIZE]);
}

CHECKERS_INLINE void checkers_before_swap(struct coro *from, struct coro *to)
{
    to->checker[CHECKER_PREVIOUS] = from;
    checkers_start(&from->checker[CHECKER_FAKE_STACK], to);
}

CHECKERS_INLINE void checkers_before_end(struct coro *self, struct coro *to)
{
    (void)self;
    to->checker[CHECKER_PREVIOUS] = NULL;
    checkers_start(NULL, to);
}

CHECKERS_INLINE void checkers_after_swap(struct coro *self)
{
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(self->checker[CHECKER_FAKE_STACK], &low, &size);
    struct coro *previous = self->checker[CHECKER_PREVIOUS];
    if (previous)
        checkers_init(previous, (void *)(uintptr_t)low, size);
    else
        checkers_close_stack((void *)(uintptr_t)low, size);
}

static inline void checkers_drop(struct coro *self)
{
    checkers_close_stack(self->checker[CHECKER_BOTTOM], (size_t)self->checker[CHECKER_SIZE]);
}

#else

#ifndef CHECKERS_VALGRIND
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_MAKE_MEM_DEFINED(low, size) 0
#define VALGRIND_MAKE_MEM_UNDEFINED(low, size) 0
#define VALGRIND_MAKE_MEM_NOACCESS(low, size) 0
#endif

// Or memcheck would look for pointers in 33 GiB at the end.
static inline void checkers_new_arena(void *low, size_t size)
{
    (void)low;
    (void)size;
    (void)VALGRIND_MAKE_MEM_NOACCESS(low, size);
}

static inline void checkers_new_slot(void *low, size_t size)
{
    (void)low;
    (void)size;
    (void)VALGRIND_MAKE_MEM_DEFINED(low, size);
    (void)VALGRIND_STACK_REGISTER(low, (char *)low + size);
}

// Frames that were left are closed to memcheck, and nobody enters them again.
static inline void checkers_open_stack(void *low, size_t size)
{
    (void)low;
    (void)size;
    (void)VALGRIND_MAKE_MEM_UNDEFINED(low, size);
}

static inline void checkers_close_stack(void *low, size_t size)
{
    (void)low;
    (void)size;
}

#endif

#ifdef CHECKERS_TSAN // ---------------------------------------------------------------------------

#include <sanitizer/tsan_interface.h>

enum {
    CHECKER_FIBER,
    CHECKER_ENDED, // the fiber that switched to this one and ended; only another may destroy it
};

static inline void checkers_adopt(struct coro *self)
{
    self->checker[CHECKER_FIBER] = __tsan_get_current_fiber();
}

static inline void checkers_init(struct coro *self, void *low, size_t size)
{
    (void)low;
    (void)size;
    self->checker[CHECKER_FIBER] = __tsan_create_fiber(0);
}

CHECKERS_INLINE void checkers_before_swap(struct coro *from, struct coro *to)
{
    (void)from;
    __tsan_switch_to_fiber(to->checker[CHECKER_FIBER], 0);
}

CHECKERS_INLINE void checkers_before_end(struct coro *self, struct coro *to)
{
    to->checker[CHECKER_ENDED] = self->checker[CHECKER_FIBER];
    __tsan_switch_to_fiber(to->checker[CHECKER_FIBER], 0);
}

CHECKERS_INLINE void checkers_after_swap(struct coro *self)
{
    if (self->checker[CHECKER_ENDED])
        __tsan_destroy_fiber(self->checker[CHECKER_ENDED]);
    self->checker[CHECKER_ENDED] = NULL;
}

static inline void checkers_drop(struct coro *self)
{
    __tsan_destroy_fiber(self->checker[CHECKER_FIBER]);
}

#endif

#if !defined(CHECKERS_ASAN) && !defined(CHECKERS_TSAN) // ------------------------------------------

static inline void checkers_adopt(struct coro *self)
{
    (void)self;
}

static inline void checkers_init(struct coro *self, void *low, size_t size)
{
    (void)self;
    (void)low;
    (void)size;
}

CHECKERS_INLINE void checkers_before_swap(struct coro *from, struct coro *to)
{
    (void)from;
    (void)to;
}

CHECKERS_INLINE void checkers_before_end(struct coro *self, struct coro *to)
{
    (void)self;
    (void)to;
}

CHECKERS_INLINE void checkers_after_swap(struct coro *self)
{
    (void)self;
}

static inline void checkers_drop(struct coro *self)
{
    (void)self;
}

#endif
