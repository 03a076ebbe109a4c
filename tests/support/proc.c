#include "proc.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- Files --------------------------------------------------------------------------------------

static bool read_file(pid_t pid, const char *name, char *ret_text, size_t size)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t n = fread(ret_text, 1, size - 1, file);
    (void)fclose(file); // read side only
    ret_text[n] = 0;
    return n > 0;
}

static int64_t field_of(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line ? strtoll(line + strlen(name), NULL, 10) : -1;
}

// The n-th word (from 0) after the command's name in /proc/PID/stat: 0 is the state, 1 the parent.
static const char *stat_word(const char *text, int n)
{
    const char *word = strrchr(text, ')');
    if (!word)
        return NULL;
    word += 2;
    while (n-- > 0) {
        word = strchr(word, ' ');
        if (!word)
            return NULL;
        word++;
    }
    return word;
}

// ---- Descriptors --------------------------------------------------------------------------------

typedef void per_link(const char *link, void *arg);

// Calls `each` with what each descriptor is. How many there are, or -1.
static int look_at_descriptors(pid_t pid, per_link *each, void *arg)
{
    char path[64], link[512];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (pid == getpid() && atoi(entry->d_name) == dirfd(folder))
            continue;
        ssize_t n = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
        if (n < 0)
            continue; // closed meanwhile
        link[n] = 0;
        each(link, arg);
        count++;
    }
    (void)closedir(folder);
    return count;
}

static void nothing(const char *link, void *arg)
{
    (void)link;
    (void)arg;
}

int proc_descriptors(pid_t pid)
{
    return look_at_descriptors(pid, nothing, NULL);
}

static void count_socket(const char *link, void *arg)
{
    *(int *)arg += !strncmp(link, "socket:", 7);
}

int proc_sockets(pid_t pid)
{
    int sockets = 0;
    return look_at_descriptors(pid, count_socket, &sockets) < 0 ? -1 : sockets;
}

struct lines {
    char line[PROC_MAX][128];
    int count;
};

static void add_line(const char *link, void *arg)
{
    struct lines *lines = arg;
    if (lines->count == PROC_MAX)
        return;
    char *line = lines->line[lines->count++];
    bool numbered = !strncmp(link, "socket:", 7) || !strncmp(link, "pipe:", 5);
    int length = numbered ? (int)strcspn(link, ":") : 127;
    (void)snprintf(line, sizeof lines->line[0], "%.*s", length, link);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

void proc_list_descriptors(pid_t pid, char ret_text[PROC_TEXT])
{
    struct lines *lines = calloc(1, sizeof *lines);
    size_t length = 0;
    ret_text[0] = 0;
    if (!lines)
        return;
    (void)look_at_descriptors(pid, add_line, lines);
    qsort(lines->line, (size_t)lines->count, sizeof lines->line[0], compare_lines);
    for (int i = 0; i < lines->count && length < PROC_TEXT - 130; i++)
        length += (size_t)snprintf(ret_text + length, PROC_TEXT - length, "%s\n", lines->line[i]);
    free(lines);
}

// ---- TCP ----------------------------------------------------------------------------------------

struct inodes {
    unsigned long inode[PROC_MAX];
    int count;
};

static void add_inode(const char *link, void *arg)
{
    struct inodes *inodes = arg;
    if (!strncmp(link, "socket:[", 8) && inodes->count < PROC_MAX)
        inodes->inode[inodes->count++] = strtoul(link + 8, NULL, 10);
}

static bool has_inode(const struct inodes *inodes, unsigned long inode)
{
    for (int i = 0; i < inodes->count; i++)
        if (inodes->inode[i] == inode)
            return true;
    return false;
}

static void look_at_table(pid_t pid, const char *name, const struct inodes *inodes,
                          struct proc_tcp *result)
{
    enum { TCP_STATE_LISTEN = 0x0a, TCP_STATE_CLOSED = 0x07 };
    char path[64], line[512];
    (void)snprintf(path, sizeof path, "/proc/%d/net/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        unsigned state;
        unsigned long inode;
        if (sscanf(line, "%*d: %*s %*s %x %*s %*s %*s %*d %*d %lu", &state, &inode) != 2)
            continue;
        if (!inode || !has_inode(inodes, inode))
            continue;
        result->listening += state == TCP_STATE_LISTEN;
        result->connected += state != TCP_STATE_LISTEN && state != TCP_STATE_CLOSED;
    }
    if (file)
        (void)fclose(file);
}

struct proc_tcp proc_tcp(pid_t pid)
{
    struct proc_tcp result = {0, 0};
    struct inodes *inodes = calloc(1, sizeof *inodes);
    if (!inodes || look_at_descriptors(pid, add_inode, inodes) < 0)
        result.listening = result.connected = -1;
    else {
        look_at_table(pid, "tcp", inodes, &result);
        look_at_table(pid, "tcp6", inodes, &result);
    }
    free(inodes);
    return result;
}

// ---- Processes and threads ----------------------------------------------------------------------

int proc_threads(pid_t pid)
{
    char text[8192];
    return read_file(pid, "status", text, sizeof text) ? (int)field_of(text, "\nThreads:") : 0;
}

int proc_children(pid_t pid, pid_t ret_pids[PROC_MAX])
{
    DIR *folder = opendir("/proc");
    int count = 0;
    struct dirent *entry;
    while (folder && count < PROC_MAX && (entry = readdir(folder))) {
        char text[1024];
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        pid_t other = (pid_t)strtol(entry->d_name, NULL, 10);
        if (!read_file(other, "stat", text, sizeof text))
            continue; // it has ended meanwhile
        const char *parent = stat_word(text, 1);
        if (parent && strtol(parent, NULL, 10) == pid)
            ret_pids[count++] = other;
    }
    if (folder)
        (void)closedir(folder);
    return count;
}

bool proc_is_there(pid_t pid)
{
    char text[1024];
    if (!read_file(pid, "stat", text, sizeof text))
        return false;
    const char *state = stat_word(text, 0);
    return state && *state != 'Z' && *state != 'X';
}

int proc_zombies(pid_t pid)
{
    pid_t pids[PROC_MAX];
    int count = proc_children(pid, pids), zombies = 0;
    for (int i = 0; i < count; i++)
        zombies += !proc_is_there(pids[i]);
    return zombies;
}

int64_t proc_cpu(pid_t pid)
{
    char path[64], name[64], text[256];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    int64_t sum = 0;
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        (void)snprintf(name, sizeof name, "task/%.20s/schedstat", entry->d_name);
        if (read_file(pid, name, text, sizeof text))
            sum += strtoll(text, NULL, 10);
    }
    if (folder)
        (void)closedir(folder);
    return sum;
}

int64_t proc_sleeps(pid_t pid)
{
    char text[8192], name[64];
    (void)snprintf(name, sizeof name, "task/%d/status", (int)pid);
    return read_file(pid, name, text, sizeof text) ? field_of(text, "\nvoluntary_ctxt_switches:")
                                                   : -1;
}

int64_t proc_memory_kib(pid_t pid)
{
    char text[8192];
    return read_file(pid, "status", text, sizeof text) ? field_of(text, "\nVmRSS:") : -1;
}
