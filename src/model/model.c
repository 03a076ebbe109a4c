// The table of models, by name, and the two simplest ways to run one.

#include "model/model.h"

#include <string.h>

static int run_coroutines(struct crew *crew)
{
    if (crew->worker_processes)
        return model_run_processes(crew);
    return crew->workers > 1 ? model_run_threads(crew) : model_run_here(crew);
}

static const struct model_ops models[] = {
    {
        .name = "iterative",
        .run = model_run_here,
        .launch = model_launch_here,
    },
    {
        .name = "fork",
        .processes = true,
        .alone = true,
        .many = true,
        .run = model_run_here,
        .launch = model_launch_process,
    },
    {
        .name = "prefork",
        .processes = true,
        .run = model_run_processes,
        .launch = model_launch_here,
    },
    {
        .name = "threads",
        .threads = true,
        .alone = true,
        .many = true,
        .run = model_run_here,
        .launch = model_launch_thread,
    },
    {
        .name = "pool",
        .threads = true,
        .run = model_run_threads,
        .launch = model_launch_here,
    },
    {
        .name = "coroutines",
        .many = true,
        .run = run_coroutines,
        .launch = model_launch_here,
    },
};

const struct model_ops *model_find(const char *name)
{
    if (!name || !strcmp(name, "coro"))
        name = "coroutines";
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!strcmp(name, models[i].name))
            return &models[i];
    return NULL;
}

const char *model_names(void)
{
    return "iterative, fork, prefork, threads, pool, coroutines";
}

int model_run_here(struct crew *crew)
{
    return crew->ops->work(crew, 0);
}

static void serve_here(void *arg)
{
    struct caller *caller = arg;
    caller->serve(caller);
    caller->crew->ops->over(caller->crew, caller, 0);
}

int model_launch_here(struct crew *crew, struct caller *caller)
{
    caller->home = loop_here();
    return task_start(caller->home, crew->name, serve_here, caller, NULL);
}
