// Threads: one for each caller (threads), or one for each worker (pool, coroutines).

#include <errno.h>
#include <pthread.h>

#include "kernel/kernel.h"
#include "model/model.h"

// Handlers run on stacks of their own; this is for the loop's functions.
enum { THREAD_STACK_SIZE = 128 * 1024 };

// ---- A thread for each caller -----------------------------------------------------------------

static void tell_over(struct post *post)
{
    struct caller *caller = LIST_ENTRY(post, struct caller, over_post);
    caller->crew->ops->over(caller->crew, caller, caller->problem);
}

static void caller_thread(void *arg)
{
    struct caller *caller = arg;
    caller->problem = caller->crew->ops->serve_alone(caller->crew, caller);
    caller->over_post.run = tell_over;
    loop_post(caller->home, &caller->over_post);
}

int model_launch_thread(struct crew *crew, struct caller *caller)
{
    (void)crew;
    caller->home = loop_here();
    return kernel->thread_start(caller_thread, caller, THREAD_STACK_SIZE);
}

// ---- A thread for each worker -----------------------------------------------------------------

struct worker_threads {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct crew *crew;
    int next;    // guarded by lock: the number of the next worker
    int running; // guarded by lock
    int problem; // guarded by lock: the first worker's that failed
};

static void worker_ended(struct worker_threads *threads, int problem)
{
    (void)pthread_mutex_lock(&threads->lock);
    threads->running--;
    if (!threads->problem)
        threads->problem = problem;
    kernel->cond_signal(&threads->changed);
    (void)pthread_mutex_unlock(&threads->lock);
}

static void worker_thread(void *arg)
{
    struct worker_threads *threads = arg;
    (void)pthread_mutex_lock(&threads->lock);
    int worker = threads->next++;
    (void)pthread_mutex_unlock(&threads->lock);
    worker_ended(threads, threads->crew->ops->work(threads->crew, worker));
}

// The calling thread is worker 0. When a thread cannot be made the others go on without it, as
// long as there is one; the crew's stop ends all.
int model_run_threads(struct crew *crew)
{
    struct worker_threads threads = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
        .crew = crew,
        .next = 1,
    };
    for (int i = 1; i < crew->workers; i++) {
        (void)pthread_mutex_lock(&threads.lock);
        threads.running++;
        (void)pthread_mutex_unlock(&threads.lock);
        int rc = kernel->thread_start(worker_thread, &threads, THREAD_STACK_SIZE);
        if (rc < 0) {
            worker_ended(&threads, rc);
            break;
        }
    }

    int rc = crew->ops->work(crew, 0);

    (void)pthread_mutex_lock(&threads.lock);
    while (threads.running)
        (void)kernel->cond_wait(&threads.changed, &threads.lock, INT64_MAX);
    (void)pthread_mutex_unlock(&threads.lock);
    return rc < 0 ? rc : threads.problem;
}
