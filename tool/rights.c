// A server that root has started is somebody else's once it listens.
//
// What root has bound stays bound. Socket files cannot be removed by the other user, most of the time: a small
// process stays behind that does nothing but wait for the server's end, and removes them.

#include "rights.h"

#include "serve.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- Whom to become ---------------------------------------------------------------------------

#define NOBODY "nobody"
enum { NOBODY_ID = 65534 };

// A user namespace may have no other user than the one that is called root there (unshare -r): he has the
// rights of whoever made it, and nobody to become.
static bool has_nobody(void)
{
    char line[128];
    FILE *map = fopen("/proc/self/uid_map", "re");
    bool found = !map;
    while (map && !found && fgets(line, sizeof line, map)) {
        char *end;
        unsigned long first = strtoul(line, &end, 10);
        (void)strtoul(end, &end, 10); // what it is outside
        found = NOBODY_ID - first < strtoul(end, NULL, 10);
    }
    if (map)
        (void)fclose(map);
    return found;
}

static bool is_root(void)
{
    return geteuid() == 0 && has_nobody();
}

bool rights_check(const struct serving *serving)
{
    const struct passwd *user;
    if (!serving->user)
        return true;
    if (serving->stay_root)
        complain("--user and --stay-root exclude each other");
    else if (!is_root())
        complain("--user %.60s: only root can become somebody else", serving->user);
    else if (!(user = getpwnam(serving->user)))
        complain("--user %.60s: there is no such user", serving->user);
    else if (user->pw_uid == 0)
        complain("--user %.60s: that is root, which --stay-root says", serving->user);
    else
        return true;
    return false;
}

// A program for whoever calls, or files, and root to run or read them, is nothing that anybody gets unasked.
static bool check_exposure(const struct serving *serving)
{
    if (serving->user || serving->stay_root)
        return true;
    for (int i = 0; i < serving->addresses; i++) {
        const char *address = serving_address(serving, i);
        const char *service = serving_service(serving, i)->name;
        if (is_local(address) || (strcmp(service, "exec") != 0 && strcmp(service, "files") != 0))
            continue;
        complain("%s on %.120s, started by root: say as whom, --user NAME (or --stay-root)",
                 service, address);
        return false;
    }
    return true;
}

// ---- Becoming ---------------------------------------------------------------------------------

static bool become(const char *name, uid_t uid, gid_t gid)
{
    return initgroups(name, gid) == 0 && setresgid(gid, gid, gid) == 0 &&
           setresuid(uid, uid, uid) == 0;
}

// Who has changed users is no longer seen by others of his kind, his own children among them. What shows the
// calls looks there, for whether the other process still has a descriptor.
static void let_children_see(const struct serving *serving)
{
    if (serving->common.calls || getenv("BELL_CALLS"))
        (void)prctl(PR_SET_DUMPABLE, 1);
}

static bool can_be_regained(void)
{
    return setresuid(0, 0, 0) == 0 || seteuid(0) == 0 || geteuid() == 0 || getuid() == 0;
}

static void set_environment(const char *name, const char *home)
{
    (void)setenv("USER", name, 1);
    (void)setenv("HOME", home, 1);
}

// In a container root may lack the right to become anybody, and is little of a root itself.
static int stay(const struct serving *serving, const char *name)
{
    bool asked = serving->user || serving->program.argv;
    if (asked) {
        complain("cannot become %.60s: %s%s", name, strerror(errno),
                 serving->user ? "" : "; --stay-root would do without");
        return EXIT_BROKEN;
    }
    note("doorbell serve: cannot become %.60s (%s), and stays root", name, strerror(errno));
    return EXIT_DONE;
}

// ---- Socket files -----------------------------------------------------------------------------

struct socket_file {
    const char *path;
    dev_t device;
    ino_t inode;
};

enum { FILES_MAX = 64 };

static pid_t guard; // the process that removes them, 0: there is none
static int guard_line = -1;

static bool is_same(const struct socket_file *file)
{
    struct stat status;
    return lstat(file->path, &status) == 0 && S_ISSOCK(status.st_mode) &&
           status.st_dev == file->device && status.st_ino == file->inode;
}

// Who holds the lock beside the file has taken it over, or is about to.
static void remove_file(const struct socket_file *file)
{
    char lock[200];
    snprintf(lock, sizeof lock, "%s.lock", file->path);
    int fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_same(file))
        return;
    (void)unlink(file->path);
    (void)unlink(lock);
}

static int list_files(const struct serving *serving, struct socket_file *files)
{
    int count = 0;
    for (int i = 0; i < serving->addresses && count < FILES_MAX; i++) {
        const char *address = serving_address(serving, i);
        const char *path = address + strcspn(address, ":") + 1;
        struct stat status;
        if (strncmp(address, "unix", 4) != 0 || path[0] == '@' || lstat(path, &status) < 0)
            continue;
        files[count++] = (struct socket_file){path, status.st_dev, status.st_ino};
    }
    return count;
}

// Has no descriptor but the end of a pipe whose other end is the server's. Its signals are blocked.
_Noreturn static void be_guard(int line, const struct socket_file *files, int count)
{
    char byte;
    (void)setsid();
    (void)dup2(line, STDIN_FILENO);
    (void)close_range(STDIN_FILENO + 1, ~0U, 0);
    while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
        continue;
    for (int i = 0; i < count; i++)
        remove_file(&files[i]);
    _exit(0);
}

static bool start_guard(const struct serving *serving)
{
    struct socket_file files[FILES_MAX];
    int line[2], count = list_files(serving, files);
    if (count == 0)
        return true;
    if (pipe2(line, O_CLOEXEC) < 0)
        return false;
    sigset_t all, before;
    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    guard = fork();
    if (guard == 0)
        be_guard(line[0], files, count);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(line[0]);
    guard_line = line[1];
    return guard > 0;
}

void rights_finish(void)
{
    if (guard_line >= 0)
        (void)close(guard_line);
    if (guard > 0)
        (void)waitpid(guard, NULL, 0);
}

// ---- All of it --------------------------------------------------------------------------------

int rights_give_up(const struct serving *serving)
{
    if (!is_root())
        return EXIT_DONE;
    if (!check_exposure(serving))
        return EXIT_USAGE;
    if (serving->stay_root)
        return EXIT_DONE;
    const char *name = serving->user ? serving->user : NOBODY;
    const struct passwd *user = getpwnam(name);
    uid_t uid = user ? user->pw_uid : NOBODY_ID;
    gid_t gid = user ? user->pw_gid : NOBODY_ID;
    set_environment(name, user ? user->pw_dir : "/");
    if (!start_guard(serving)) {
        complain("cannot start a process: %s", strerror(errno));
        return EXIT_BROKEN;
    }
    if (!become(name, uid, gid))
        return stay(serving, name);
    if (can_be_regained()) {
        complain("root could be regained after becoming %.60s", name);
        return EXIT_BROKEN;
    }
    let_children_see(serving);
    note("doorbell serve: goes on as %s, since root has started it (--user, --stay-root)%s", name,
         guard ? "; a process of root's removes the socket file at the end" : "");
    return EXIT_DONE;
}
