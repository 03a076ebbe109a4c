// Tasks and the scheduler: who runs next, and when to look for events.
//
// Tasks run in rounds: all that were ready when the backend last looked run once, each switching
// straight to the next; then the root task looks again. Only the root task, on the thread's own
// stack, ever looks, so that a parked handler's stack stays as shallow as its own calls.

#include "wait/wait.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "kernel/kernel.h"
#include "wait/backend.h"
#include "wait/closing.h"
#include "wait/failure.h"

enum { SPARE_BUFFERS_MAX = 64 };

static _Thread_local struct loop *current_loop;

// ---- The ready queue --------------------------------------------------------------------------

static void push_ready(struct loop *loop, struct task *task)
{
    list_append(&loop->ready, &task->ready);
    loop->ready_count++;
}

static struct task *first_ready(const struct loop *loop)
{
    return LIST_ENTRY(loop->ready.next, struct task, ready);
}

static struct task *take_ready(struct loop *loop)
{
    struct task *task = first_ready(loop);
    list_remove(&task->ready);
    loop->ready_count--;
    loop->round--;
    return task;
}

void task_wake(struct task *task)
{
    if (!list_is_linked(&task->ready))
        push_ready(task->loop, task);
}

static void run_posts(struct loop *loop)
{
    // A look costs nothing; an exchange is a locked instruction, and most of the time there is no post.
    if (!atomic_load_explicit(&loop->posts, memory_order_relaxed))
        return;
    struct post *posts = atomic_exchange_explicit(&loop->posts, NULL, memory_order_acquire);
    struct post *in_order = NULL;
    while (posts) {
        struct post *next = posts->next;
        posts->next = in_order;
        in_order = posts;
        posts = next;
    }
    while (in_order) {
        struct post *post = in_order;
        in_order = post->next;
        post->run(post);
    }
}

static void look_for_events(struct loop *loop)
{
    if (loop->stalled) {
        int64_t busy = kernel->now_coarse() - loop->now;
        if (busy >= STALL_TIME)
            loop->stalled(loop, busy);
    }
    loop->backend->poll(loop, loop->ready_count ? 0 : timers_next(&loop->timers));
    loop->now = kernel->now();
    run_posts(loop);
    timers_expire(&loop->timers, loop->now);
    loop->round = loop->ready_count;
    coro_trim_crowd();
}

// The task that should run next, or NULL when it is the root task's turn.
static struct task *next_of_round(struct loop *loop)
{
    if (loop->ready_count == 0 || loop->round == 0 || first_ready(loop) == &loop->root)
        return NULL;
    struct task *next = take_ready(loop);
    if (loop->ready_count)
        coro_prefetch(&first_ready(loop)->coro);
    return next;
}

// The root task's way to wait: runs the others until it is its own turn.
static void run_others(struct loop *loop)
{
    for (;;) {
        if (loop->ready_count == 0 || loop->round == 0) {
            look_for_events(loop);
            continue;
        }
        struct task *next = next_of_round(loop);
        if (!next) {
            (void)take_ready(loop); // it is root
            loop->current = &loop->root;
            return;
        }
        loop->current = next;
        coro_switch(&loop->root.coro, &next->coro);
    }
}

void task_pause(struct task *self)
{
    struct loop *loop = self->loop;
    self->streak = 0;
    if (self == &loop->root) {
        run_others(loop);
        return;
    }
    struct task *next =
        next_of_round(loop); // not self, which stands behind the round if it is ready
    loop->current = next ? next : &loop->root;
    coro_switch(&self->coro, &loop->current->coro);
}

void task_yield(struct task *self)
{
    push_ready(self->loop, self);
    task_pause(self);
}

// ---- Tasks ------------------------------------------------------------------------------------

static void run_task(void *arg)
{
    struct task *self = arg;
    self->run(self->arg);

    struct loop *loop = self->loop;
    loop->tasks--;
    failure_forget(self);
    struct task *next = next_of_round(loop);
    loop->current = next ? next : &loop->root;
    coro_switch_and_end(&self->coro, &loop->current->coro);
}

static void task_init(struct task *task, struct loop *loop)
{
    memset(task, 0, sizeof *task);
    task->loop = loop;
}

int task_start(struct loop *loop, const char *name, void (*run)(void *arg), void *arg,
               struct task **ret_task)
{
    char *end = coro_take_stack();
    if (!end)
        return -ENOMEM;

    // The task lies at the high end of its own stack: a task costs no other memory.
    size_t room = (sizeof(struct task) + 63) & ~(size_t)63;
    struct task *task = (struct task *)(void *)(end - room);
    task_init(task, loop);
    task->run = run;
    task->arg = arg;
    coro_init(&task->coro, task, name, run_task, task);
    loop->tasks++;
    push_ready(loop, task);
    if (ret_task)
        *ret_task = task;
    return 0;
}

void task_cancel(struct task *task, int why)
{
    task->cancelled = why;
    if (task->parked)
        wait_cancel(task->parked, why);
}

// ---- Loops ------------------------------------------------------------------------------------

struct loop *loop_here(void)
{
    return current_loop;
}

struct loop *loop_exchange(struct loop *loop)
{
    struct loop *before = current_loop;
    current_loop = loop;
    return before;
}

int loop_open(struct loop *loop, const struct backend_ops *backend)
{
    memset(loop, 0, sizeof *loop);
    loop->backend = backend;
    list_init(&loop->ready);
    list_init(&loop->closing);
    list_init(&loop->spare_buffers);
    loop->wake_fd = kernel->eventfd();
    if (loop->wake_fd < 0)
        return loop->wake_fd;
    int rc = backend->open(loop);
    if (rc < 0) {
        (void)kernel->close(loop->wake_fd);
        return rc;
    }
    loop->now = kernel->now();
    task_init(&loop->root, loop);
    coro_adopt(&loop->root.coro);
    loop->current = &loop->root;
    loop_enter(loop);
    return 0;
}

void loop_enter(struct loop *loop)
{
    loop->outer = current_loop;
    current_loop = loop;
}

void loop_leave(struct loop *loop)
{
    current_loop = loop->outer;
}

static void forget_loop(struct loop *loop, bool abandon)
{
    loop->backend->close(loop, abandon);
    (void)kernel->close(loop->wake_fd);
    failure_forget(&loop->root);
    struct list *node;
    while ((node = list_take(&loop->spare_buffers)))
        kernel->release(LIST_ENTRY(node, struct buffer, spare));
    current_loop = abandon ? NULL : loop->outer;
}

void loop_close(struct loop *loop)
{
    assert(loop->tasks == 0);
    while (atomic_load_explicit(&loop->posting, memory_order_acquire))
        (void)sched_yield();
    closing_end_all(loop);
    closing_wait(loop);
    coro_forget(&loop->root.coro);
    coro_trim();
    forget_loop(loop, false);
}

void loop_abandon(struct loop *loop)
{
    struct loop *outer;
    for (; loop; loop = outer) {
        outer = loop->outer;
        closing_abandon_all(loop);
        forget_loop(loop, true);
    }
}

void loop_step(struct loop *loop)
{
    assert(loop->current == &loop->root);
    task_yield(&loop->root);
}

int loop_descriptor(struct loop *loop)
{
    return loop->backend->descriptor(loop);
}

void loop_post(struct loop *loop, struct post *post)
{
    // As soon as the post is visible the loop may run it and want to end: loop_close waits until
    // nobody is in here, so that we never write to a descriptor that is somebody else's by then.
    atomic_fetch_add_explicit(&loop->posting, 1, memory_order_acquire);
    struct post *last = atomic_load_explicit(&loop->posts, memory_order_relaxed);
    do
        post->next = last;
    while (!atomic_compare_exchange_weak_explicit(&loop->posts, &last, post, memory_order_release,
                                                  memory_order_relaxed));
    if (!last)
        (void)kernel->write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    atomic_fetch_sub_explicit(&loop->posting, 1, memory_order_release);
}

// ---- The private loop of a thread -------------------------------------------------------------

static pthread_key_t private_loop_key;
static pthread_once_t private_loop_once = PTHREAD_ONCE_INIT;
static bool private_loop_key_is_made;

static void close_private_loop(void *arg)
{
    struct loop *loop = arg;
    current_loop = loop; // other destructors may have run already
    loop_close(loop);
    kernel->release(loop);
}

static void make_private_loop_key(void)
{
    private_loop_key_is_made = pthread_key_create(&private_loop_key, close_private_loop) == 0;
}

__attribute__((cold, noinline)) static int open_private_loop(void)
{
    (void)pthread_once(&private_loop_once, make_private_loop_key);
    struct loop *loop = kernel->allocate(sizeof *loop);
    if (!loop)
        return -ENOMEM;
    int rc = loop_open(loop, &backend_block);
    if (rc < 0) {
        kernel->release(loop);
        return rc;
    }
    if (private_loop_key_is_made)
        (void)pthread_setspecific(private_loop_key, loop);
    return 0;
}

struct task *task_here(int *ret_error)
{
    if (!current_loop) {
        int rc = open_private_loop();
        if (rc < 0) {
            if (ret_error)
                *ret_error = rc;
            return NULL;
        }
    }
    return current_loop->current;
}

// ---- Buffers ----------------------------------------------------------------------------------

struct buffer *buffer_take(struct loop *loop)
{
    struct list *node = list_take(&loop->spare_buffers);
    if (!node)
        return kernel->allocate(sizeof(struct buffer) + BUFFER_SIZE);
    loop->spare_buffer_count--;
    return LIST_ENTRY(node, struct buffer, spare);
}

void buffer_give(struct loop *loop, struct buffer *buffer)
{
    if (!buffer)
        return;
    if (loop->spare_buffer_count >= SPARE_BUFFERS_MAX) {
        kernel->release(buffer);
        return;
    }
    list_prepend(&loop->spare_buffers, &buffer->spare); // it is the warmest in the cache
    loop->spare_buffer_count++;
}
