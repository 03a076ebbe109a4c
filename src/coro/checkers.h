// What AddressSanitizer, ThreadSanitizer and valgrind must be told of coroutines, so that coro.c has no
// #if. Without them all of it is nothing.

#pragma once

#include <pthread.h>
#include <stddef.h>

#include "coro/coro.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECKER_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CHECKER_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CHECKER_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define CHECKER_TSAN 1
#endif

// In coro.checker: ASan's fake stack and the bounds of the stack, TSan's fiber.
enum { CHECKER_FAKE_STACK, CHECKER_BOTTOM, CHECKER_SIZE, CHECKER_FIBER };

#ifdef CHECKER_ASAN

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>

static inline void checkers_set_stack(struct coro *coro, void *bottom, size_t size)
{
    coro->checker[CHECKER_BOTTOM] = bottom;
    coro->checker[CHECKER_SIZE] = (void *)size;
}

static inline void checkers_before_swap(struct coro *from, const struct coro *to, int ends)
{
    __sanitizer_start_switch_fiber(ends ? NULL : &from->checker[CHECKER_FAKE_STACK],
                                   to->checker[CHECKER_BOTTOM], (size_t)to->checker[CHECKER_SIZE]);
}

static inline void checkers_after_swap(struct coro *self)
{
    __sanitizer_finish_switch_fiber(self ? self->checker[CHECKER_FAKE_STACK] : NULL, NULL, NULL);
}

// Frames that were never left have poisoned it; and what only a parked coroutine points at is no leak.
static inline void checkers_new_slot(void *stack, size_t size)
{
    __lsan_register_root_region(stack, size);
}

static inline void checkers_clean_stack(void *stack, size_t size)
{
    __asan_unpoison_memory_region(stack, size);
}

#else

static inline void checkers_set_stack(struct coro *coro, void *bottom, size_t size)
{
    (void)coro;
    (void)bottom;
    (void)size;
}

static inline void checkers_before_swap(struct coro *from, const struct coro *to, int ends)
{
    (void)from;
    (void)to;
    (void)ends;
}

static inline void checkers_after_swap(struct coro *self)
{
    (void)self;
}

#if __has_include(<valgrind/valgrind.h>)

#include <valgrind/valgrind.h>

// Once for each slot: the stacks stay where they are until the process ends.
static inline void checkers_new_slot(void *stack, size_t size)
{
    (void)VALGRIND_STACK_REGISTER(stack, (char *)stack + size);
}

#else

static inline void checkers_new_slot(void *stack, size_t size)
{
    (void)stack;
    (void)size;
}

#endif

static inline void checkers_clean_stack(void *stack, size_t size)
{
    (void)stack;
    (void)size;
}

#endif

#ifdef CHECKER_TSAN

#include <sanitizer/tsan_interface.h>

static inline void checkers_adopt(struct coro *coro)
{
    coro->checker[CHECKER_FIBER] = __tsan_get_current_fiber();
}

static inline void checkers_new_fiber(struct coro *coro)
{
    coro->checker[CHECKER_FIBER] = __tsan_create_fiber(0);
}

static inline void checkers_enter_fiber(const struct coro *to)
{
    __tsan_switch_to_fiber(to->checker[CHECKER_FIBER], 0);
}

static inline void checkers_end_fiber(void *fiber)
{
    __tsan_destroy_fiber(fiber);
}

#else

static inline void checkers_adopt(struct coro *coro)
{
    (void)coro;
}

static inline void checkers_new_fiber(struct coro *coro)
{
    (void)coro;
}

static inline void checkers_enter_fiber(const struct coro *to)
{
    (void)to;
}

static inline void checkers_end_fiber(void *fiber)
{
    (void)fiber;
}

#endif
