#include "task/helpers.h"

#include <doorbell.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "kernel/kernel.h"
#include "wait/failure.h"
#include "wait/wait.h"

enum { BLOCK_THREADS = 16, NAME_THREADS = 8, HELPER_STACK_SIZE = 512 * 1024, IDLE_SECONDS = 5 };

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t more;
    int threads_max;
    int threads, idle;        // guarded by lock
    struct job *first, *last; // guarded by lock: those that no thread has begun
};

static struct pool pools[HELPER_POOLS] = {
    [HELPERS_BLOCK] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, BLOCK_THREADS, 0, 0,
                       NULL, NULL},
    [HELPERS_NAMES] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NAME_THREADS, 0, 0,
                       NULL, NULL},
};

// The task that waits for a job. Guards job->waiter and job->references of all jobs: they are looked at
// twice in a job's life.
static pthread_mutex_t waiters_lock = PTHREAD_MUTEX_INITIALIZER;

struct job_waiter {
    struct post post;
    struct wait_call call;
    struct task *task;
    bool told;   // guarded by waiters_lock: the post is under way
    bool posted; // the post has run
};

// ---- The helpers' side ------------------------------------------------------------------------

static void job_is_done(struct post *post)
{
    struct job_waiter *waiter = LIST_ENTRY(post, struct job_waiter, post);
    waiter->posted = true;
    if (wait_is_waiting(&waiter->call))
        wait_complete(&waiter->call, 0);
    else
        task_wake(waiter->task); // it waits for the post alone
}

static void tell_waiter(struct job *job)
{
    // Under the lock, so that the waiter's loop cannot end between the look and the post.
    (void)pthread_mutex_lock(&waiters_lock);
    struct job_waiter *waiter = job->waiter;
    if (waiter) {
        waiter->told = true;
        loop_post(waiter->task->loop, &waiter->post);
    }
    (void)pthread_mutex_unlock(&waiters_lock);
}

void job_release(struct job *job)
{
    (void)pthread_mutex_lock(&waiters_lock);
    bool last = --job->references == 0;
    (void)pthread_mutex_unlock(&waiters_lock);
    if (last)
        job->release(job);
}

// The next job, or NULL when none has come for a while. Called with the lock held.
static struct job *next_job(struct pool *pool)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IDLE_SECONDS;
    while (!pool->first) {
        pool->idle++;
        int rc = pthread_cond_timedwait(&pool->more, &pool->lock, &until);
        pool->idle--;
        if (rc == ETIMEDOUT && !pool->first)
            return NULL;
    }
    struct job *job = pool->first;
    pool->first = job->next;
    if (!pool->first)
        pool->last = NULL;
    return job;
}

static void helper_thread(void *arg)
{
    struct pool *pool = arg;
    struct job *job;
    (void)pthread_mutex_lock(&pool->lock);
    while ((job = next_job(pool))) {
        (void)pthread_mutex_unlock(&pool->lock);
        job->run(job);
        tell_waiter(job);
        job_release(job);
        (void)pthread_mutex_lock(&pool->lock);
    }
    pool->threads--;
    (void)pthread_mutex_unlock(&pool->lock);
}

// ---- The tasks' side --------------------------------------------------------------------------

// Queues the job, with a new thread for it if all are busy. -EAGAIN when there is none at all.
static int queue_job(struct pool *pool, struct job *job)
{
    int rc = 0;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->idle == 0 && pool->threads < pool->threads_max) {
        rc = kernel->thread_start(helper_thread, pool, HELPER_STACK_SIZE);
        if (rc == 0)
            pool->threads++;
    }
    if (pool->threads > 0) {
        rc = 0;
        job->next = NULL;
        if (pool->last)
            pool->last->next = job;
        else
            pool->first = job;
        pool->last = job;
        (void)pthread_cond_signal(&pool->more);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return rc;
}

// The task cannot wait longer. True when the job was done in the same moment, after all.
static bool let_go(struct job *job, struct job_waiter *waiter)
{
    (void)pthread_mutex_lock(&waiters_lock);
    job->waiter = NULL;
    bool told = waiter->told;
    (void)pthread_mutex_unlock(&waiters_lock);
    while (told && !waiter->posted)
        task_pause(waiter->task);
    return told;
}

int helpers_run(enum helper_pool number, struct job *job, int64_t deadline)
{
    int rc = 0;
    struct task *self = task_here(&rc);
    struct job_waiter waiter = {.call = {.kind = WAIT_WAKE, .deadline = deadline}};
    waiter.post.run = job_is_done;
    job->waiter = &waiter;
    job->references = 2;
    if (self) {
        waiter.task = self;
        rc = queue_job(&pools[number], job);
    }
    if (rc < 0) {
        job->release(job);
        return rc;
    }
    rc = (int)wait_for(&waiter.call);
    if (rc == 0 || let_go(job, &waiter))
        return 0;
    job_release(job);
    return rc;
}

void helpers_after_fork(void)
{
    for (int i = 0; i < HELPER_POOLS; i++) {
        struct pool *pool = &pools[i];
        (void)pthread_mutex_init(&pool->lock, NULL);
        (void)pthread_cond_init(&pool->more, NULL);
        pool->threads = pool->idle = 0;
        pool->first = pool->last = NULL;
    }
    (void)pthread_mutex_init(&waiters_lock, NULL);
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
    if (rc < 0)
        return failure_set(rc, "bell_block");
    if (ret_result)
        *ret_result = block->result;
    job_release(&block->job);
    return 0;
}
