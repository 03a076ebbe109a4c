// epoll, level and edge-triggered, with the order and the stale registrations of Linux: an item is
// put on the ready list when its file wakes it; a look takes it off, and puts it back if it is
// level-triggered and still ready.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim/file.h"

struct epoll_file {
    struct file file;
    struct list items;
    struct list ready;
    struct program *waiter;
};

struct epoll_item {
    struct watch watch;
    struct list node;
    struct list ready;
    struct epoll_file *epoll;
    struct file *file;
    int fd;
    struct epoll_event event;
};

static unsigned poll_item(struct epoll_item *item)
{
    return file_poll(item->file) & (item->event.events | EPOLLERR | EPOLLHUP);
}

static unsigned poll_epoll(struct file *file)
{
    const struct epoll_file *epoll = (const struct epoll_file *)(const void *)file;
    for (struct list *node = epoll->ready.next; node != &epoll->ready; node = node->next)
        if (poll_item(LIST_ENTRY(node, struct epoll_item, ready)))
            return EPOLLIN;
    return 0;
}

void epoll_forget(struct epoll_item *item)
{
    list_remove(&item->watch.node);
    list_remove(&item->ready);
    list_remove(&item->node);
    world_release(item);
}

static void close_epoll(struct file *file)
{
    struct epoll_file *epoll = (struct epoll_file *)(void *)file;
    while (!list_is_empty(&epoll->items))
        epoll_forget(LIST_ENTRY(epoll->items.next, struct epoll_item, node));
    world_release(epoll);
}

static void describe_epoll(const struct file *file, char *ret_text, size_t size)
{
    (void)file;
    (void)snprintf(ret_text, size, "epoll");
}

const struct file_ops epoll_ops = {"epoll", poll_epoll, close_epoll, describe_epoll};

int epoll_make(void)
{
    struct epoll_file *epoll = world_take(sizeof *epoll);
    list_init(&epoll->items);
    list_init(&epoll->ready);
    int fd = file_open(&epoll->file, &epoll_ops, true);
    if (fd < 0)
        world_release(epoll);
    return fd;
}

void epoll_item_wake(struct epoll_item *item)
{
    if (!list_is_linked(&item->ready))
        list_append(&item->epoll->ready, &item->ready);
    if (item->epoll->waiter)
        program_wake(item->epoll->waiter);
    file_wake(&item->epoll->file, EPOLLIN);
}

static struct epoll_item *find_item(const struct epoll_file *epoll, struct file *file, int fd)
{
    for (struct list *node = file->watches.next; node != &file->watches; node = node->next) {
        struct epoll_item *item = LIST_ENTRY(node, struct watch, node)->item;
        if (item && item->epoll == epoll && item->fd == fd)
            return item;
    }
    return NULL;
}

static void set_events(struct epoll_item *item, const struct epoll_event *event)
{
    item->event = *event;
    item->watch.events = event->events;
    if (poll_item(item))
        epoll_item_wake(item);
}

static int add_item(struct epoll_file *epoll, struct file *file, int fd,
                    const struct epoll_event *event)
{
    struct epoll_item *item = world_take(sizeof *item);
    item->epoll = epoll;
    item->file = file;
    item->fd = fd;
    item->watch.item = item;
    list_append(&epoll->items, &item->node);
    list_append(&file->watches, &item->watch.node);
    set_events(item, event);
    return 0;
}

int epoll_control(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    struct file *file = file_of(fd), *instance = file_of(epoll_fd);
    if (!file || !instance)
        return -EBADF;
    if (instance->ops != &epoll_ops || instance == file)
        return -EINVAL;
    struct epoll_file *epoll = (struct epoll_file *)(void *)instance;
    struct epoll_item *item = find_item(epoll, file, fd);
    if (operation == EPOLL_CTL_ADD)
        return item ? -EEXIST : add_item(epoll, file, fd, event);
    if (!item)
        return -ENOENT;
    if (operation == EPOLL_CTL_DEL)
        epoll_forget(item);
    else if (item->event.events & EPOLLEXCLUSIVE)
        return -EINVAL;
    else
        set_events(item, event);
    return 0;
}

static int collect(struct epoll_file *epoll, struct epoll_event *events, int count)
{
    struct list again;
    list_init(&again);
    int n = 0;
    while (n < count && !list_is_empty(&epoll->ready)) {
        struct epoll_item *item = LIST_ENTRY(epoll->ready.next, struct epoll_item, ready);
        list_remove(&item->ready);
        unsigned mask = poll_item(item);
        if (!mask)
            continue;
        events[n++] = (struct epoll_event){.events = mask, .data = item->event.data};
        if (!(item->event.events & EPOLLET))
            list_append(&again, &item->ready);
    }
    struct list *node;
    while ((node = list_take(&again)))
        list_append(&epoll->ready, node);
    return n;
}

// An event that is none, of anybody: the library must bear it.
static int invent(struct epoll_file *epoll, struct epoll_event *events)
{
    if (list_is_empty(&epoll->items) || !world_chance(world.faults.spurious))
        return 0;
    const struct epoll_item *item = LIST_ENTRY(epoll->items.next, struct epoll_item, node);
    unsigned mask = item->event.events & EPOLLIN;
    *events = (struct epoll_event){.events = mask, .data = item->event.data};
    return mask != 0;
}

static int wait_for_events(struct epoll_file *epoll, struct epoll_event *events, int count,
                           int64_t deadline)
{
    bool in_time = true;
    int n = invent(epoll, events);
    while (n == 0 && in_time) {
        epoll->waiter = world.running;
        world.running->epoll = epoll->file.fd;
        in_time = program_wait("epoll_wait", deadline);
        world.running->epoll = -1;
        epoll->waiter = NULL;
        n = collect(epoll, events, count);
        if (n == 0 && world.running->interrupted)
            return -EINTR;
    }
    return n;
}

int epoll_look(int epoll_fd, struct epoll_event *events, int count, int64_t deadline)
{
    struct file *file = file_of(epoll_fd);
    if (!file)
        return -EBADF;
    if (file->ops != &epoll_ops || count < 1)
        return -EINVAL;
    bool waits = deadline > world.now;
    if (waits && world_chance(world.faults.interrupt))
        return -EINTR;
    struct epoll_file *epoll = (struct epoll_file *)(void *)file;
    if (waits && !poll_epoll(file))
        return wait_for_events(epoll, events, count, deadline);
    program_look();
    return collect(epoll, events, count);
}

void epoll_describe_wait(int epoll_fd, char *ret_text, size_t size)
{
    const struct epoll_file *epoll = (const struct epoll_file *)(const void *)file_of(epoll_fd);
    struct text text;
    text_init(&text, ret_text, size);
    for (struct list *node = epoll->items.next; node != &epoll->items; node = node->next) {
        const struct epoll_item *item = LIST_ENTRY(node, struct epoll_item, node);
        char what[200];
        if (item->fd >= SIM_FILES_MAX)
            continue;
        item->file->ops->describe(item->file, what, sizeof what);
        text_addf(&text, "%s%d (%s)", text.length ? ", " : "", item->fd, what);
    }
    if (text.length == 0)
        text_add(&text, "another task");
}
