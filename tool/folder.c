// Files beneath a folder.

#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- Opening ----------------------------------------------------------------------------------

static bool is_shown(mode_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode);
}

// To open a device or a pipe may do things, or wait: it is looked at before.
static int open_part(int folder, const char *part, struct stat *ret_status)
{
    if (fstatat(folder, part, ret_status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISLNK(ret_status->st_mode))
        return -ELOOP;
    if (!is_shown(ret_status->st_mode))
        return -EACCES;
    int fd = openat(folder, part, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, ret_status) < 0 || !is_shown(ret_status->st_mode)) {
        (void)close(fd);
        return -EACCES;
    }
    return fd;
}

// Who may pass through a folder need not be able to read it.
static int enter(int folder, const char *part)
{
    int fd = openat(folder, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int folder_open(int folder, const char *name, struct stat *ret_status)
{
    char part[256];
    int at = folder;
    const char *slash;
    while (at >= 0 && (slash = strchr(name, '/')) != NULL) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        int next = enter(at, part);
        if (at != folder)
            (void)close(at);
        at = next;
        name = slash + 1;
    }
    if (at < 0)
        return at;
    int fd = open_part(at, *name ? name : ".", ret_status);
    if (at != folder)
        (void)close(at);
    return fd;
}

// ---- Listing ----------------------------------------------------------------------------------

enum { ENTRIES_MAX = 10000, ESCAPED_SIZE = 3 * 256 + 1 };

struct entries {
    char **names; // a folder's ends with a slash
    size_t count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_entries(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->names[i]);
    free(entries->names);
}

static int read_entries(DIR *stream, struct entries *entries)
{
    const struct dirent *entry;
    struct stat status;
    entries->names = calloc(ENTRIES_MAX, sizeof *entries->names);
    if (!entries->names)
        return -ENOMEM;
    while (entries->count < ENTRIES_MAX && (entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            !is_shown(status.st_mode))
            continue;
        char *name;
        if (asprintf(&name, "%s%s", entry->d_name, S_ISDIR(status.st_mode) ? "/" : "") < 0)
            return -ENOMEM;
        entries->names[entries->count++] = name;
    }
    qsort(entries->names, entries->count, sizeof *entries->names, compare);
    return 0;
}

static void print_html(FILE *page, const char *text)
{
    for (; *text; text++) {
        if (strchr("<>&\"'", *text) || (unsigned char)*text < ' ')
            fprintf(page, "&#%d;", *text);
        else
            putc(*text, page);
    }
}

// "./" in front, since a name may look like an address: "a:b".
static void print_entry(FILE *page, const char *name)
{
    char link[ESCAPED_SIZE], plain[256];
    size_t size = strlen(name);
    bool is_folder = name[size - 1] == '/';
    snprintf(plain, sizeof plain, "%.*s", (int)(size - is_folder), name);
    webpath_escape(plain, link, sizeof link);
    fprintf(page, "<li><a href=\"./%s%s\">", link, is_folder ? "/" : "");
    print_html(page, name);
    fputs("</a></li>\n", page);
}

static void print_page(FILE *page, const struct webpath *path, const struct entries *entries)
{
    fputs("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>/", page);
    print_html(page, path->name);
    fputs("</title></head>\n<body><h1>/", page);
    print_html(page, path->name);
    fputs("</h1>\n<ul>\n", page);
    if (path->name[0])
        fputs("<li><a href=\"../\">../</a></li>\n", page);
    for (size_t i = 0; i < entries->count; i++)
        print_entry(page, entries->names[i]);
    fputs("</ul>\n", page);
    if (entries->count == ENTRIES_MAX)
        fputs("<p>There may be more.</p>\n", page);
    fputs("</body></html>\n", page);
}

int folder_list(int folder, const struct webpath *path, char **ret_page, size_t *ret_size)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (!stream) {
        int error = -errno;
        if (copy >= 0)
            (void)close(copy);
        return error;
    }
    struct entries entries = {0};
    int rc = read_entries(stream, &entries);
    FILE *page = rc == 0 ? open_memstream(ret_page, ret_size) : NULL;
    if (page) {
        print_page(page, path, &entries);
        (void)fclose(page);
    }
    free_entries(&entries);
    (void)closedir(stream);
    return rc < 0 ? rc : page && *ret_page ? 0 : -ENOMEM;
}
