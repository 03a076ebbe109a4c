#include "task/helpers.h"

#include <doorbell.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "kernel/kernel.h"
#include "wait/failure.h"
#include "wait/wait.h"

enum { BLOCK_THREADS = 16, NAME_THREADS = 8 };

// So long a thread waits for more work. A process with threads cannot fork, so it is not longer than what
// makes the price of a thread not count.
#define IDLE_TIME (100 * BELL_MS)

// Resolvers and foreign libraries are written for the stack that every thread has.
enum { HELPER_STACK_SIZE = 0 };

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t more;
    int threads;       // guarded by lock, as is everything below and the waiters of all jobs
    int idle;          // that wait for `more`, or were told and have not looked yet
    int leaving;       // how many idle ones are to end
    struct list queue; // jobs that no thread has begun, in the order in which they came
    int queued;
};

struct helpers {
    struct pool pools[HELPER_POOLS];
};

static const int threads_max[HELPER_POOLS] = {
    [HELPERS_BLOCK] = BLOCK_THREADS,
    [HELPERS_NAMES] = NAME_THREADS,
};

#define EMPTY_POOL(number)                                                   \
    {                                                                        \
        .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, \
        .queue = {&own.pools[(number)].queue, &own.pools[(number)].queue},   \
    }

static struct helpers own = {{
    [HELPERS_BLOCK] = EMPTY_POOL(HELPERS_BLOCK),
    [HELPERS_NAMES] = EMPTY_POOL(HELPERS_NAMES),
}};
static struct helpers *helpers = &own;

// The task that waits for a job. It lies on the task's stack: whoever sets `told`, with the lock held, has
// a post under way to it, and until that has run it may not go.
struct job_waiter {
    struct task *task;
    struct wait_call call;
    struct post post;
    bool told;
    bool posted; // the post has run; only its own loop looks at this
};

// ---- The helpers' side; called with the lock held -----------------------------------------------

static void add_job(struct pool *pool, struct job *job)
{
    list_append(&pool->queue, &job->node);
    pool->queued++;
}

static void remove_job(struct pool *pool, struct job *job)
{
    list_remove(&job->node);
    pool->queued--;
}

// The next job, or NULL when none has come for a while.
static struct job *next_job(struct pool *pool)
{
    int64_t until = kernel->now() + IDLE_TIME;
    int rc = 0;
    while (rc == 0 && list_is_empty(&pool->queue) && !pool->leaving) {
        pool->idle++;
        rc = kernel->cond_wait(&pool->more, &pool->lock, until);
        pool->idle--;
    }
    if (list_is_empty(&pool->queue)) {
        pool->leaving -= pool->leaving > 0;
        return NULL;
    }
    struct job *job = LIST_ENTRY(pool->queue.next, struct job, node);
    remove_job(pool, job);
    return job;
}

static void job_is_done(struct post *post)
{
    struct job_waiter *waiter = LIST_ENTRY(post, struct job_waiter, post);
    waiter->posted = true;
    if (wait_is_waiting(&waiter->call))
        wait_complete(&waiter->call, 0);
    else
        task_wake(waiter->task); // it waits for the post alone
}

// False when nobody waits for the job any more. While the lock is held the waiter cannot go, so its loop
// is there for the post.
static bool tell_waiter(struct job *job)
{
    struct job_waiter *waiter = job->waiter;
    if (!waiter)
        return false;
    waiter->told = true;
    waiter->post.run = job_is_done;
    loop_post(waiter->task->loop, &waiter->post);
    return true;
}

static void helper_thread(void *arg)
{
    struct pool *pool = arg;
    struct job *job;
    (void)pthread_mutex_lock(&pool->lock);
    while ((job = next_job(pool))) {
        (void)pthread_mutex_unlock(&pool->lock);
        job->run(job);
        (void)pthread_mutex_lock(&pool->lock);
        if (tell_waiter(job))
            continue;
        (void)pthread_mutex_unlock(&pool->lock);
        job->release(job);
        (void)pthread_mutex_lock(&pool->lock);
    }
    pool->threads--;
    (void)pthread_mutex_unlock(&pool->lock);
}

// ---- The tasks' side --------------------------------------------------------------------------

// Queues the job, with a new thread for it if each idle one has a job already. -EAGAIN when there is no
// thread at all.
static int queue_job(struct pool *pool, int most, struct job *job)
{
    int rc = 0;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->queued >= pool->idle && pool->threads < most &&
        kernel->thread_start(helper_thread, pool, HELPER_STACK_SIZE) == 0)
        pool->threads++;
    if (pool->threads > 0) {
        add_job(pool, job);
        kernel->cond_signal(&pool->more);
    } else {
        rc = -EAGAIN;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return rc;
}

// The task cannot wait longer, because of `why`. 0 when the job was done in the same moment, after all.
static int let_go(struct pool *pool, struct job *job, struct job_waiter *waiter, int why)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool told = waiter->told;
    bool begun = !list_is_linked(&job->node);
    if (!begun)
        remove_job(pool, job);
    else if (!told)
        job->waiter = NULL; // from here on it is the helper's
    (void)pthread_mutex_unlock(&pool->lock);
    if (!begun)
        job->release(job);
    while (told && !waiter->posted)
        task_pause(waiter->task);
    return told ? 0 : why;
}

int helpers_run(enum helper_pool number, struct job *job, int64_t deadline)
{
    struct pool *pool = &helpers->pools[number];
    int rc = 0;
    struct task *self = task_here(&rc);
    struct job_waiter waiter = {
        .task = self,
        .call = {.kind = WAIT_WAKE, .deadline = deadline},
    };
    job->waiter = &waiter;
    if (self)
        rc = self->cancelled;
    if (rc == 0)
        rc = queue_job(pool, threads_max[number], job);
    if (rc < 0) {
        job->release(job);
        return rc;
    }
    rc = (int)wait_for(&waiter.call);
    return rc < 0 ? let_go(pool, job, &waiter, rc) : 0;
}

bool helpers_end_idle(void)
{
    bool any = false;
    for (int i = 0; i < HELPER_POOLS; i++) {
        struct pool *pool = &helpers->pools[i];
        (void)pthread_mutex_lock(&pool->lock);
        any |= pool->threads > 0;
        pool->leaving = pool->idle;
        for (int k = 0; k < pool->idle; k++)
            kernel->cond_signal(&pool->more);
        (void)pthread_mutex_unlock(&pool->lock);
    }
    return any;
}

void helpers_after_fork(void)
{
    for (int i = 0; i < HELPER_POOLS; i++) {
        struct pool *pool = &helpers->pools[i];
        (void)pthread_mutex_init(&pool->lock, NULL);
        (void)pthread_cond_init(&pool->more, NULL);
        pool->threads = pool->idle = pool->leaving = pool->queued = 0;
        list_init(&pool->queue); // whoever waits for these is in the parent
    }
}

size_t helpers_size(void)
{
    return sizeof(struct helpers);
}

struct helpers *helpers_exchange(struct helpers *now)
{
    struct helpers *before = helpers;
    helpers = now ? now : &own;
    return before;
}

// ---- bell_block -------------------------------------------------------------------------------

struct block_job {
    struct job job; // must be first
    int (*run)(void *arg);
    void *arg;
    int result;
};

static void run_block(struct job *job)
{
    struct block_job *block = (struct block_job *)(void *)job;
    block->result = block->run(block->arg);
}

static void release_block(struct job *job)
{
    kernel->release(job);
}

int bell_block(int (*run)(void *arg), void *arg, int *ret_result)
{
    struct block_job *block = run ? kernel->allocate(sizeof *block) : NULL;
    if (!block)
        return failure_set(run ? -ENOMEM : -EINVAL, "bell_block");
    block->job.run = run_block;
    block->job.release = release_block;
    block->run = run;
    block->arg = arg;
    int rc = helpers_run(HELPERS_BLOCK, &block->job, INT64_MAX);
    if (rc == -EAGAIN)
        return failure_say(rc, "bell_block: no thread can be made");
    if (rc < 0)
        return failure_set(rc, "bell_block");
    if (ret_result)
        *ret_result = block->result;
    block->job.release(&block->job);
    return 0;
}
