// Switching, without cmocka and without the rest of the library, so that it can be compiled for
// another processor and run on an emulator. tests/coro/aarch64 does that; it runs anywhere.

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include "coro/coro.h"
#include "kernel/kernel.h"

// ---- As much of the kernel table as is needed --------------------------------------------------

static void *map(size_t size, bool shared)
{
    int flags = MAP_ANONYMOUS | MAP_NORESERVE | (shared ? MAP_SHARED : MAP_PRIVATE);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void unmap(void *memory, size_t size)
{
    (void)munmap(memory, size);
}

static int guard(void *memory, size_t size)
{
    (void)memory;
    (void)size;
    return -EINVAL; // emulators say that they did it, and do nothing
}

static int protect(void *memory, size_t size)
{
    return mprotect(memory, size, PROT_NONE) == 0 ? 0 : -errno;
}

static int give_back(void *memory, size_t size)
{
    return madvise(memory, size, MADV_DONTNEED) == 0 ? 0 : -errno;
}

static int set_action(int number, const struct sigaction *action, struct sigaction *ret_old)
{
    return sigaction(number, action, ret_old) == 0 ? 0 : -errno;
}

static const struct kernel_ops table = {
    .map = map,
    .unmap = unmap,
    .guard = guard,
    .protect = protect,
    .give_back = give_back,
    .write = write,
    .sigaction = set_action,
    .sigprocmask = sigprocmask,
};

const struct kernel_ops *kernel = &table;

// ---- Registers that a function keeps -----------------------------------------------------------

// Loads the KEPT registers, calls coro_switch(from, to), and stores them.
void switch_with(struct coro *from, struct coro *to, uint64_t *registers);

#if defined(__aarch64__)

enum { KEPT = 18 };

__asm__(".text\n"
        ".globl switch_with\n"
        "switch_with:\n"
        "  hint #34\n" // bti c
        "  sub sp, sp, #176\n"
        "  stp x19, x20, [sp]\n"
        "  stp x21, x22, [sp, #16]\n"
        "  stp x23, x24, [sp, #32]\n"
        "  stp x25, x26, [sp, #48]\n"
        "  stp x27, x28, [sp, #64]\n"
        "  stp x29, x30, [sp, #80]\n"
        "  stp d8, d9, [sp, #96]\n"
        "  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n"
        "  stp d14, d15, [sp, #144]\n"
        "  str x2, [sp, #160]\n"
        "  ldp x19, x20, [x2]\n"
        "  ldp x21, x22, [x2, #16]\n"
        "  ldp x23, x24, [x2, #32]\n"
        "  ldp x25, x26, [x2, #48]\n"
        "  ldp x27, x28, [x2, #64]\n"
        "  ldp d8, d9, [x2, #80]\n"
        "  ldp d10, d11, [x2, #96]\n"
        "  ldp d12, d13, [x2, #112]\n"
        "  ldp d14, d15, [x2, #128]\n"
        "  bl coro_switch\n"
        "  ldr x2, [sp, #160]\n"
        "  stp x19, x20, [x2]\n"
        "  stp x21, x22, [x2, #16]\n"
        "  stp x23, x24, [x2, #32]\n"
        "  stp x25, x26, [x2, #48]\n"
        "  stp x27, x28, [x2, #64]\n"
        "  stp d8, d9, [x2, #80]\n"
        "  stp d10, d11, [x2, #96]\n"
        "  stp d12, d13, [x2, #112]\n"
        "  stp d14, d15, [x2, #128]\n"
        "  ldp x19, x20, [sp]\n"
        "  ldp x21, x22, [sp, #16]\n"
        "  ldp x23, x24, [sp, #32]\n"
        "  ldp x25, x26, [sp, #48]\n"
        "  ldp x27, x28, [sp, #64]\n"
        "  ldp x29, x30, [sp, #80]\n"
        "  ldp d8, d9, [sp, #96]\n"
        "  ldp d10, d11, [sp, #112]\n"
        "  ldp d12, d13, [sp, #128]\n"
        "  ldp d14, d15, [sp, #144]\n"
        "  add sp, sp, #176\n"
        "  ret\n");

#elif defined(__x86_64__)

enum { KEPT = 6 };

__asm__(".text\n"
        ".globl switch_with\n"
        "switch_with:\n"
        "  endbr64\n"
        "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; "
        "push %rdx\n"
        "  mov (%rdx), %rbx; mov 8(%rdx), %rbp; mov 16(%rdx), %r12\n"
        "  mov 24(%rdx), %r13; mov 32(%rdx), %r14; mov 40(%rdx), %r15\n"
        "  call coro_switch\n"
        "  pop %rdx\n"
        "  mov %rbx, (%rdx); mov %rbp, 8(%rdx); mov %r12, 16(%rdx)\n"
        "  mov %r13, 24(%rdx); mov %r14, 32(%rdx); mov %r15, 40(%rdx)\n"
        "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "  ret\n");

#else

enum { KEPT = 1 };

void switch_with(struct coro *from, struct coro *to, uint64_t *registers)
{
    (void)registers;
    coro_switch(from, to);
}

#endif

// ---- Checks ------------------------------------------------------------------------------------

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

enum { COUNT = 20, ROUNDS = 1000 };

static struct coro root;
static struct coro coros[COUNT];
static int ended;

static void check_registers(int index, struct coro *from, struct coro *to)
{
    uint64_t before[KEPT], registers[KEPT];
    for (int i = 0; i < KEPT; i++)
        before[i] = registers[i] = (uint64_t)rand() << 32 | (uint64_t)rand();
    errno = index + 1;
    switch_with(from, to, registers);
    CHECK(errno == index + 1);
    CHECK(!memcmp(before, registers, sizeof before));
}

static void run(void *arg)
{
    int index = (int)((struct coro *)arg - coros);
    CHECK(errno == 0);
    for (int round = 0; round < ROUNDS; round++)
        check_registers(index, &coros[index], &root);
    ended++;
    coro_switch_and_end(&coros[index], &root);
}

static void begin_all(void)
{
    for (int i = 0; i < COUNT; i++) {
        void *stack_end = coro_take_stack();
        CHECK(stack_end);
        coro_init(&coros[i], stack_end, "self_check", run, &coros[i]);
    }
}

static void registers_and_errno_survive(void)
{
    begin_all();
    for (int round = 0; round <= ROUNDS; round++)
        for (int i = 0; i < COUNT; i++)
            check_registers(1000 + i, &root, &coros[i]);
    CHECK(ended == COUNT);
    coro_trim();
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg)
{
    (void)context;
    return ++*(int *)arg > 100 ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void unwind(void *arg)
{
    (void)_Unwind_Backtrace(count_frame, arg);
    coro_switch_and_end(&coros[0], &root);
}

static void unwinding_stops(void)
{
    int frames = 0;
    coro_init(&coros[0], coro_take_stack(), "self_check", unwind, &frames);
    coro_switch(&root, &coros[0]);
    CHECK(frames >= 1 && frames < 10);
}

// NOLINTNEXTLINE(misc-no-recursion): that is the point
__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[200];
    frame[0] = (char)depth;
    return depth == 0 ? 0 : recurse(depth + 1) + frame[0];
}

static void overflow(void *arg)
{
    *(int *)arg = recurse(1);
    coro_switch_and_end(&coros[0], &root);
}

static void overflow_in_child(int fd)
{
    int sum;
    (void)dup2(fd, 2);
    CHECK(coro_watch_overflow() == 0);
    coro_init(&coros[0], coro_take_stack(), "self_check", overflow, &sum);
    coro_switch(&root, &coros[0]);
}

static void an_overflow_is_named(void)
{
    int fds[2], status;
    char said[4096] = "";
    CHECK(pipe(fds) == 0);
    int pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        overflow_in_child(fds[1]);
        _exit(0);
    }
    (void)close(fds[1]);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(read(fds[0], said, sizeof said - 1) > 0);
    CHECK(strstr(said, "doorbell: handler self_check overflowed its stack of 64 KiB"));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

int main(void)
{
    coro_adopt(&root);
    registers_and_errno_survive();
    unwinding_stops();
    an_overflow_is_named();
    coro_forget(&root);
    (void)puts("coro: the self check passed");
    return 0;
}
