#include "sim/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim/ring.h"

enum { PER_PROGRAM_MAX = 1000 };

// ---- The table --------------------------------------------------------------------------------

// The lowest number that is free, as POSIX has it: a number is another's as soon as it is closed.
static int lowest_free(bool high)
{
    int *from = high ? &world.high_free : &world.low_free;
    int end = high ? 2 * SIM_FILES_MAX : SIM_FILES_MAX;
    while (*from < end && world.files[*from])
        ++*from;
    return *from < end ? *from : -EMFILE;
}

static int place(struct file *file, bool high)
{
    int fd = lowest_free(high);
    if (fd < 0)
        return fd;
    world.files[fd] = file;
    file->references++;
    return fd;
}

static bool may_open(const struct program *program)
{
    if (!program)
        return true;
    bool refused = program->bears_faults && world_chance(world.faults.no_descriptor);
    return program->files_open < PER_PROGRAM_MAX && !refused;
}

// The library's own descriptors are no user's.
static bool counts(const struct file *file)
{
    return file->owner && file->fd < SIM_FILES_MAX;
}

int file_open(struct file *file, const struct file_ops *ops, bool high)
{
    struct program *owner = world.running;
    if (!high && !may_open(owner))
        return -EMFILE;
    int fd = place(file, high);
    if (fd < 0)
        return fd;
    file->ops = ops;
    file->fd = fd;
    file->owner = owner;
    list_init(&file->watches);
    list_append(&world.all_files, &file->node);
    if (counts(file))
        owner->files_open++;
    return fd;
}

struct file *file_of(int fd)
{
    return fd >= 0 && fd < 2 * SIM_FILES_MAX ? world.files[fd] : NULL;
}

struct file *file_of_kind(int fd, const struct file_ops *ops)
{
    struct file *file = file_of(fd);
    return file && file->ops == ops ? file : NULL;
}

static void close_file(struct file *file)
{
    struct list *node;
    while ((node = list_take(&file->watches))) {
        struct watch *watch = LIST_ENTRY(node, struct watch, node);
        if (watch->item)
            epoll_forget(watch->item);
    }
    list_remove(&file->node);
    if (counts(file))
        file->owner->files_open--;
    file->ops->close(file);
}

void file_hold(struct file *file)
{
    file->references++;
}

void file_release(struct file *file)
{
    if (--file->references == 0)
        close_file(file);
}

int file_close(int fd)
{
    struct file *file = file_of(fd);
    if (!file)
        return -EBADF;
    world.files[fd] = NULL;
    int *from = fd >= SIM_FILES_MAX ? &world.high_free : &world.low_free;
    if (fd < *from)
        *from = fd;
    file_release(file);
    return 0;
}

int file_dup(int fd)
{
    struct file *file = file_of(fd);
    if (!file)
        return -EBADF;
    return may_open(world.running) ? place(file, false) : -EMFILE;
}

void file_close_all_of(int pid)
{
    for (int fd = 0; fd < 2 * SIM_FILES_MAX; fd++)
        if (world.files[fd] && world.files[fd]->owner && world.files[fd]->owner->pid == pid)
            (void)file_close(fd);
}

// Nothing is said on the network: the run is over.
void file_end_all(void)
{
    struct list *node, *next;
    memset(world.files, 0, sizeof world.files);
    ring_end_all();
    for (node = world.all_files.next; node != &world.all_files; node = next) {
        next = node->next;
        struct file *file = LIST_ENTRY(node, struct file, node);
        if (file->ops == &epoll_ops) // before what is registered there
            close_file(file);
    }
    while (!list_is_empty(&world.all_files)) {
        struct file *file = LIST_ENTRY(world.all_files.next, struct file, node);
        list_init(&file->watches); // some lie on stacks that have gone
        close_file(file);
    }
}

// ---- Being told -------------------------------------------------------------------------------

void file_wake(struct file *file, unsigned events)
{
    struct list *node, *next;
    for (node = file->watches.next; node != &file->watches; node = next) {
        next = node->next;
        struct watch *watch = LIST_ENTRY(node, struct watch, node);
        if (!((watch->events | EPOLLERR | EPOLLHUP) & events))
            continue;
        if (watch->program)
            program_wake(watch->program);
        else if (watch->operation)
            operation_wake(watch->operation);
        else
            epoll_item_wake(watch->item);
    }
}

unsigned file_poll(struct file *file)
{
    return file->ops->poll(file);
}

// ---- Findings ---------------------------------------------------------------------------------

static void add_file(struct text *text, int fd, short events)
{
    const struct file *file = file_of(fd);
    char what[200] = "a closed descriptor";
    if (file)
        file->ops->describe(file, what, sizeof what);
    // The eventfd of a loop is in each of its waits, and tells nobody anything.
    if (file && fd >= SIM_FILES_MAX)
        return;
    text_addf(text, "%s%d (%s)%s%s", text->length ? ", " : "", fd, what,
              events & POLLIN ? " to read" : "", events & POLLOUT ? " to write" : "");
}

void file_describe_wait(const struct program *program, char *ret_text, size_t size)
{
    struct text text;
    text_init(&text, ret_text, size);
    if (program->epoll >= 0 && file_of_kind(program->epoll, &epoll_ops)) {
        epoll_describe_wait(program->epoll, ret_text, size);
        return;
    }
    if (program->epoll >= 0) {
        ring_describe_wait(file_of(program->epoll), ret_text, size);
        return;
    }
    for (nfds_t i = 0; i < program->fd_count; i++)
        add_file(&text, program->fds[i].fd, program->fds[i].events);
    if (text.length == 0)
        text_add(&text, "another task");
}

const char *file_list_of(const struct program *program, char *ret_text, size_t size)
{
    struct text text;
    text_init(&text, ret_text, size);
    for (int fd = 0; fd < SIM_FILES_MAX; fd++)
        if (world.files[fd] && world.files[fd]->owner == program)
            add_file(&text, fd, 0);
    if (text.length == 0)
        text_add(&text, "closed, while an operation of a ring is under way");
    return ret_text;
}
