// Descriptors and files.

#include "kernel/real.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/trap.h"

int real_close(int fd)
{
    int n = (int)kernel_trap(SYS_close, fd, 0, 0, 0, 0, 0);
    return n == -EINTR ? 0 : n;
}

int real_dup(int fd)
{
    int n = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return n >= 0 ? n : -errno;
}

// F_DUPFD takes the lowest free number from the given one on. 960 is high enough to be out of the
// way of most programs and below the usual soft limit of 1024; a table of descriptors that long is
// 8 KiB, which fork has to copy, and that is why it is not higher still.
int real_lift(int fd)
{
    int64_t limit = real_descriptor_limit();
    int64_t floor = limit < 128 ? limit / 2 : (limit < 1024 ? limit : 1024) - 64;
    if (fd >= floor)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, (int)floor);
    if (high < 0)
        return fd;
    (void)close(fd); // nothing was written to it
    return high;
}

ssize_t real_read(int fd, void *into, size_t size)
{
    ssize_t n = read(fd, into, size);
    return n >= 0 ? n : -errno;
}

ssize_t real_write(int fd, const void *from, size_t size)
{
    ssize_t n = write(fd, from, size);
    return n >= 0 ? n : -errno;
}

// FD_CLOEXEC is all that F_SETFD sets. The status can be read of every descriptor, but not set of one
// that only names a file (O_PATH).
int real_set_flags(int fd)
{
    int n = fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (n >= 0)
        n = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return n >= 0 ? 0 : -errno;
}

// O_NOFOLLOW, because a lock in /tmp could be somebody's link to a file of ours; O_NONBLOCK,
// because it could be a FIFO.
int real_lock_file(const char *path)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    int fd = open(path, flags, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;
        (void)close(fd); // nothing was written to it
        return -error;
    }
    return real_lift(fd);
}

int real_same_file(int fd, const char *path)
{
    struct stat open_file, named;
    if (fstat(fd, &open_file) < 0)
        return -errno;
    if (lstat(path, &named) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    return open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

int real_socket_file(const char *path, uint64_t ret_id[2])
{
    struct stat file;
    if (lstat(path, &file) < 0)
        return -errno;
    if (!S_ISSOCK(file.st_mode))
        return -ENOTSOCK;
    ret_id[0] = file.st_dev;
    ret_id[1] = file.st_ino;
    return 0;
}

int real_unlink(const char *path)
{
    int n = unlink(path);
    return n >= 0 ? n : -errno;
}
