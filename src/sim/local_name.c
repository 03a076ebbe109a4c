#include "sim/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// A name in the abstract namespace, or a file.
struct path {
    struct list node;
    struct local_name name;
    struct socket_file *socket; // behind it; NULL: it is the file of a dead one
    struct file *lock;          // or this is a lock file, and who has it locked; NULL: nobody
    bool is_lock;
    uint64_t id;
};

static struct path *find(const struct host *host, const struct local_name *name)
{
    for (struct list *node = host->paths.next; node != &host->paths; node = node->next) {
        struct path *path = LIST_ENTRY(node, struct path, node);
        if (path->name.size == name->size && !memcmp(path->name.path, name->path, name->size))
            return path;
    }
    return NULL;
}

static struct path *add(struct host *host, const struct local_name *name)
{
    struct path *path = world_give(sizeof *path);
    path->name = *name;
    path->id = world_random();
    list_append(&host->paths, &path->node);
    return path;
}

static int read_name(const struct sockaddr *address, socklen_t size, struct local_name *ret_name)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)address;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (size < head || size > sizeof *local || local->sun_family != AF_UNIX)
        return -EINVAL;
    *ret_name = (struct local_name){.size = size - head};
    memcpy(ret_name->path, local->sun_path, ret_name->size);
    // A file's name ends with its first NUL.
    if (ret_name->size && ret_name->path[0]) {
        size_t length = strnlen(ret_name->path, ret_name->size);
        ret_name->size = length + (length < sizeof ret_name->path);
    }
    return 0;
}

// unix(7), autobind: "a null byte followed by 5 bytes in the character set [0-9a-f]".
static void choose_name(struct local_name *ret_name)
{
    char digits[16];
    (void)snprintf(digits, sizeof digits, "%05x", (unsigned)world_below(1U << 20));
    *ret_name = (struct local_name){.size = 6};
    memcpy(ret_name->path + 1, digits, 5);
}

int local_bind(struct socket_file *socket, const struct sockaddr *address, socklen_t size)
{
    struct local_name name;
    int rc = read_name(address, size, &name);
    if (rc < 0)
        return rc;
    if (socket->name.size)
        return -EINVAL;
    if (name.size == 0)
        choose_name(&name);
    if (find(socket->host, &name))
        return -EADDRINUSE;
    add(socket->host, &name)->socket = socket;
    socket->name = name;
    return 0;
}

int local_find(const struct host *host, const struct sockaddr *address, socklen_t size,
               struct socket_file **ret_socket)
{
    struct local_name name;
    int rc = read_name(address, size, &name);
    if (rc < 0)
        return rc;
    if (name.size == 0)
        return -EINVAL;
    const struct path *path = find(host, &name);
    if (!path)
        return name.path[0] ? -ENOENT : -ECONNREFUSED;
    *ret_socket = path->socket;
    return path->socket ? 0 : -ECONNREFUSED;
}

static void forget(struct path *path)
{
    list_remove(&path->node); // its memory goes with the run
}

// Datagram sockets that are connected to it, and paths that lead to it.
void local_unname(struct socket_file *socket)
{
    struct list *node, *next;
    for (node = socket->host->paths.next; node != &socket->host->paths; node = next) {
        next = node->next;
        struct path *path = LIST_ENTRY(node, struct path, node);
        if (path->socket != socket)
            continue;
        path->socket = NULL;
        if (path->name.path[0] == '\0')
            forget(path);
    }
    if (socket->type != SOCK_DGRAM)
        return;
    for (node = world.all_files.next; node != &world.all_files; node = node->next) {
        struct file *file = LIST_ENTRY(node, struct file, node);
        struct socket_file *other = (struct socket_file *)(void *)file;
        if (file->ops == &socket_file_ops && other->other == socket)
            other->other = NULL;
    }
}

// ---- Files ------------------------------------------------------------------------------------

struct lock_file {
    struct file file;
    struct path *path;
};

static unsigned poll_lock(struct file *file)
{
    (void)file;
    return EPOLLIN | EPOLLOUT;
}

static void close_lock(struct file *file)
{
    struct lock_file *lock = (struct lock_file *)(void *)file;
    if (lock->path->lock == file)
        lock->path->lock = NULL;
    world_release(lock);
}

static void describe_lock(const struct file *file, char *ret_text, size_t size)
{
    (void)file;
    (void)snprintf(ret_text, size, "lock file");
}

static const struct file_ops lock_ops = {"lock", poll_lock, close_lock, describe_lock};

static int name_of_path(const char *text, struct local_name *ret_name)
{
    *ret_name = (struct local_name){.size = strlen(text) + 1};
    if (ret_name->size > sizeof ret_name->path)
        return -ENAMETOOLONG;
    memcpy(ret_name->path, text, ret_name->size);
    return 0;
}

int local_lock_file(const char *text)
{
    struct local_name name;
    int rc = name_of_path(text, &name);
    if (rc < 0)
        return rc;
    struct path *path = find(world.running->host, &name);
    if (path && (path->lock || !path->is_lock))
        return path->is_lock ? -EWOULDBLOCK : -ENXIO;
    struct lock_file *lock = world_take(sizeof *lock);
    int fd = file_open(&lock->file, &lock_ops, true);
    if (fd < 0) {
        world_release(lock);
        return fd;
    }
    lock->path = path ? path : add(world.running->host, &name);
    lock->path->is_lock = true;
    lock->path->lock = &lock->file;
    return fd;
}

int local_same_file(int fd, const char *text)
{
    struct local_name name;
    const struct file *file = file_of_kind(fd, &lock_ops);
    if (!file)
        return -EBADF;
    int rc = name_of_path(text, &name);
    if (rc < 0)
        return rc;
    return find(world.running->host, &name) == ((const struct lock_file *)(const void *)file)->path;
}

int local_socket_file(const char *text, uint64_t ret_id[2])
{
    struct local_name name;
    int rc = name_of_path(text, &name);
    const struct path *path = rc < 0 ? NULL : find(world.running->host, &name);
    if (!path)
        return rc < 0 ? rc : -ENOENT;
    if (path->is_lock)
        return -ENOTSOCK;
    ret_id[0] = 1;
    ret_id[1] = path->id;
    return 0;
}

int local_unlink(const char *text)
{
    struct local_name name;
    int rc = name_of_path(text, &name);
    struct path *path = rc < 0 ? NULL : find(world.running->host, &name);
    if (!path)
        return rc < 0 ? rc : -ENOENT;
    forget(path);
    return 0;
}
