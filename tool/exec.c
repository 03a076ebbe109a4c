// doorbell serve exec: a program for each caller, in the manner of UCSPI.
//
// The connection itself is the program's stdin and stdout, so it blocks for the time of the program: the
// server's copy only watches for the caller's leaving. The program leads a session of its own, and what it
// has started ends with it.

#include "exec.h"

#include "environment.h"
#include "serve.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// From SIGTERM to SIGKILL.
#define TERM_TIME BELL_SECOND
// There is no event of the end of a group whose leader has ended.
#define GROUP_LOOK (10 * BELL_MS)
// A process that does not even end by SIGKILL hangs in the kernel, and is left there.
enum { KILL_TIME_MS = 1000 };

// ---- The program ------------------------------------------------------------------------------

// EXIT_DONE when this is a file that may be run.
static int judge(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return errno == EACCES ? EXIT_NOT_RUN : EXIT_NOT_FOUND;
    return S_ISREG(status.st_mode) && access(path, X_OK) == 0 ? EXIT_DONE : EXIT_NOT_RUN;
}

// What the C library takes where PATH is not set.
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static int search(struct program *program)
{
    const char *folders = getenv("PATH");
    int worst = EXIT_NOT_FOUND;
    for (folders = folders ? folders : DEFAULT_PATH; *folders; folders += strspn(folders, ":")) {
        int size = (int)strcspn(folders, ":");
        int length = snprintf(program->path, sizeof program->path, "%.*s/%s", size, folders,
                              program->argv[0]);
        int code = (size_t)length < sizeof program->path ? judge(program->path) : EXIT_NOT_FOUND;
        if (code == EXIT_DONE)
            return code;
        if (code == EXIT_NOT_RUN)
            worst = code;
        folders += size;
    }
    return worst;
}

int program_find(struct program *program)
{
    const char *name = program->argv[0];
    int code = EXIT_NOT_FOUND;
    if (strchr(name, '/') && strlen(name) < sizeof program->path) {
        snprintf(program->path, sizeof program->path, "%s", name);
        code = judge(name);
    } else if (name[0] && !strchr(name, '/')) {
        code = search(program);
    }
    if (code == EXIT_NOT_FOUND)
        complain("exec: there is no program %.200s", name);
    else if (code == EXIT_NOT_RUN)
        complain("exec: %.200s: this is no file that may be run", name);
    return code;
}

bool program_may_run(const struct program *program)
{
    if (access(program->path, X_OK) == 0)
        return true;
    complain("exec: %.200s: %s (for user id %d)", program->path, strerror(errno), (int)getuid());
    return false;
}

// ---- Starting ---------------------------------------------------------------------------------

// A program that runs, or has ended and not been asked yet how.
struct running {
    struct running *next; // of those that have outlived their conversation
    pid_t pid;            // of it and its group
    int process;          // a pidfd; -1: it was reaped
    int either;           // an epoll instance: readable when it has ended, or the caller has gone
    siginfo_t how;        // it ended
};

static void set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

// What a program may have set on the socket goes on for us: with SO_LINGER our own close would wait, or reset.
static void take_back(int fd)
{
    static const struct linger none;
    set_blocking(fd, false);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_init(attributes);
    if (rc != 0)
        return rc;
    (void)posix_spawnattr_setsigmask(attributes, &none);
    (void)posix_spawnattr_setsigdefault(attributes, &all);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETSID);
}

static int set_actions(posix_spawn_file_actions_t *actions, int fd)
{
    int rc = posix_spawn_file_actions_init(actions);
    if (rc != 0)
        return rc;
    rc = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(actions, fd, STDOUT_FILENO);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
}

// Not inlined, so that a caller does not pay for this memory as long as his program runs. Returns 0 or an
// errno.
__attribute__((noinline)) static int spawn(const struct program *program, bell_conn *conn, int fd,
                                           pid_t *ret_pid)
{
    struct environment environment;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    environment_make(&environment, conn, fd);
    int rc = set_attributes(&attributes);
    if (rc != 0)
        return rc;
    rc = set_actions(&actions, fd);
    if (rc == 0)
        rc = posix_spawn(ret_pid, program->path, &actions, &attributes, program->argv,
                         environment.texts);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return rc;
}

static int watch(struct running *running, int fd)
{
    struct epoll_event end = {.events = EPOLLIN}, nothing_but_gone = {0};
    running->process = pidfd_open(running->pid, 0);
    running->either = epoll_create1(EPOLL_CLOEXEC);
    if (running->process < 0 || running->either < 0)
        return -1;
    if (epoll_ctl(running->either, EPOLL_CTL_ADD, running->process, &end) < 0)
        return -1;
    return epoll_ctl(running->either, EPOLL_CTL_ADD, fd, &nothing_but_gone);
}

static void kill_unwatched(struct running *running)
{
    (void)kill(-running->pid, SIGKILL);
    (void)waitpid(running->pid, NULL, 0);
    if (running->process >= 0)
        (void)close(running->process);
    if (running->either >= 0)
        (void)close(running->either);
}

static bool start(const struct program *program, bell_conn *conn, int fd, struct running *running)
{
    *running = (struct running){.process = -1, .either = -1};
    set_blocking(fd, true);
    int error = spawn(program, conn, fd, &running->pid);
    if (error == 0 && watch(running, fd) == 0)
        return true;
    if (error == 0) {
        error = errno;
        kill_unwatched(running);
    }
    set_blocking(fd, false);
    complain("%s: %.200s could not be started: %s", bell_peer(conn), program->path,
             strerror(error));
    return false;
}

// ---- Waiting ----------------------------------------------------------------------------------

enum ending { ENDED_ITSELF, CALLER_GONE, CALLER_IDLE, CANCELLED };

// How long nothing has come or gone; 0 where that is not known.
static int64_t silence(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    uint32_t ms = info.tcpi_last_data_recv < info.tcpi_last_data_sent ? info.tcpi_last_data_recv
                                                                      : info.tcpi_last_data_sent;
    return ms * BELL_MS;
}

static bool has_ended(const struct running *running)
{
    struct pollfd process = {.fd = running->process, .events = POLLIN};
    return poll(&process, 1, 0) > 0;
}

// Until the program has ended, or is to be ended.
static enum ending await(const struct program *program, const struct running *running, int fd)
{
    for (;;) {
        int64_t quiet = program->idle ? silence(fd) : 0;
        if (program->idle && quiet >= program->idle)
            return CALLER_IDLE;
        int64_t deadline = program->idle ? bell_in(program->idle - quiet) : BELL_NEVER;
        if (bell_wait_fd(running->either, POLLIN, deadline) >= 0)
            return has_ended(running) ? ENDED_ITSELF : CALLER_GONE;
        // For want of a descriptor, say: it can wait a moment.
        if (errno != ETIMEDOUT && bell_sleep(GROUP_LOOK) < 0)
            return CANCELLED;
    }
}

// Whether it and all of its group have ended. The number of a group is nobody else's while it has members.
// Those that have lost their parent are ours to reap where we are process 1, and else init's, who may take his
// time: they are members until then.
static bool is_over(struct running *running)
{
    if (running->process >= 0 && has_ended(running)) {
        (void)waitid(P_PID, (id_t)running->pid, &running->how, WEXITED);
        (void)close(running->process);
        running->process = -1;
    }
    if (running->process >= 0)
        return false;
    while (waitpid(-running->pid, NULL, WNOHANG) > 0)
        continue;
    return kill(-running->pid, 0) < 0;
}

// The rest of the group, and the program unless it has ended. False: cancelled, and it is not over.
static bool end_group(struct running *running)
{
    int64_t until = bell_in(TERM_TIME);
    if (!is_over(running))
        (void)kill(-running->pid, SIGTERM);
    while (!is_over(running)) {
        bool late = bell_now() >= until;
        if (late)
            (void)kill(-running->pid, SIGKILL);
        if (late && running->process < 0)
            return true;
        int rc = running->process < 0
                     ? bell_sleep(GROUP_LOOK)
                     : bell_wait_fd(running->process, POLLIN, late ? BELL_NEVER : until);
        if (rc < 0 && errno != ETIMEDOUT && bell_sleep(GROUP_LOOK) < 0)
            return false;
    }
    return true;
}

// ---- Those that outlive their conversation ----------------------------------------------------

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct running *left; // guarded by lock

// The task is cancelled, and cannot wait: program_end_all will.
static void leave(const struct running *running)
{
    struct running *copy = malloc(sizeof *copy);
    (void)kill(-running->pid, copy ? SIGTERM : SIGKILL);
    if (!copy)
        return;
    *copy = *running;
    (void)pthread_mutex_lock(&lock);
    copy->next = left;
    left = copy;
    (void)pthread_mutex_unlock(&lock);
}

static bool are_all_over(void)
{
    bool all = true;
    for (struct running *running = left; running; running = running->next)
        all &= is_over(running);
    return all;
}

void program_end_all(void)
{
    int64_t until = bell_in(TERM_TIME);
    while (!are_all_over() && bell_now() < until)
        (void)poll(NULL, 0, GROUP_LOOK / BELL_MS);
    while (left) {
        struct running *running = left;
        left = running->next;
        if (!is_over(running))
            (void)kill(-running->pid, SIGKILL);
        struct pollfd process = {.fd = running->process, .events = POLLIN};
        (void)poll(&process, running->process >= 0, KILL_TIME_MS);
        (void)is_over(running);
        free(running);
    }
}

// ---- What is told -----------------------------------------------------------------------------

// States of TCP, as netinet/tcp.h has them, whose struct tcp_info knows less.
enum { CLOSE_WAIT = 8, LAST_ACK = 9 };

struct traffic {
    bool known;
    uint64_t in, out;
};

static struct traffic traffic_of(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int unsent = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 || ioctl(fd, TIOCOUTQ, &unsent) < 0)
        return (struct traffic){0};
    // The caller's end counts as a byte.
    bool has_end = info.tcpi_state == CLOSE_WAIT || info.tcpi_state == LAST_ACK;
    return (struct traffic){true, info.tcpi_bytes_received - has_end,
                            info.tcpi_bytes_acked + (unsigned)unsent};
}

static void say_how(enum ending ending, const siginfo_t *how, char *text, size_t size)
{
    if (ending == CANCELLED)
        snprintf(text, size, "was ended by the stop");
    else if (how->si_code == CLD_EXITED)
        snprintf(text, size, "exited with %d", how->si_status);
    else
        snprintf(text, size, "was ended by SIG%s", sigabbrev_np(how->si_status));
}

static void report(bell_conn *conn, const struct program *program, const struct running *running,
                   enum ending ending, int fd)
{
    static const char *const reasons[] = {
        [ENDED_ITSELF] = "",
        [CALLER_GONE] = " after the caller had gone",
        [CALLER_IDLE] = " since the caller was silent for too long",
        [CANCELLED] = "",
    };
    char how[64], bytes[64] = "";
    struct traffic traffic = traffic_of(fd);
    say_how(ending, &running->how, how, sizeof how);
    if (traffic.known)
        snprintf(bytes, sizeof bytes, ", %llu bytes in, %llu out", (unsigned long long)traffic.in,
                 (unsigned long long)traffic.out);
    diary_of_program(bell_peer(conn), traffic.in, traffic.out, "%s ended: %.60s (pid %d) %s%s%s",
                     bell_peer(conn), program->argv[0], (int)running->pid, how, reasons[ending],
                     bytes);
}

// ---- The handler ------------------------------------------------------------------------------

int serve_program(bell_conn *conn, void *arg)
{
    const struct manner *manner = arg;
    const struct program *program = manner->program;
    struct running running;
    bool in_time = !manner->delay || bell_sleep(manner->delay) == 0;
    int fd = bell_fd(conn);
    if (!in_time || !start(program, conn, fd, &running)) {
        diary_of_program(bell_peer(conn), 0, 0, "%s reset, no program was started",
                         bell_peer(conn));
        return -1;
    }
    enum ending ending = await(program, &running, fd);
    if (ending == CANCELLED || !end_group(&running)) {
        leave(&running);
        ending = CANCELLED;
    }
    (void)close(running.either);
    take_back(fd);
    report(conn, program, &running, ending, fd);
    // What the program wrote before it was killed must not look whole.
    return ending == ENDED_ITSELF && running.how.si_code == CLD_EXITED ? 0 : -1;
}

// ---- Limits -----------------------------------------------------------------------------------

// A caller needs his connection, a pidfd, an epoll instance and a second descriptor for the waiting.
enum { DESCRIPTORS_EACH = 4, DESCRIPTORS_OTHER = 64, PROGRAMS_MAX = 1000 };

// The limit on descriptors is the programs', too: it is raised for --max only.
static bool limit_programs(struct bell_server_options *options)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return true;
    rlim_t wanted = (rlim_t)options->callers_max * DESCRIPTORS_EACH + DESCRIPTORS_OTHER;
    if (options->callers_max && wanted > limit.rlim_cur) {
        if (wanted > limit.rlim_max) {
            complain("--max %d: so many programs need %lu descriptors, and this process may have "
                     "%lu",
                     options->callers_max, (unsigned long)wanted, (unsigned long)limit.rlim_max);
            return false;
        }
        limit.rlim_cur = wanted;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (options->callers_max)
        return true;
    rlim_t others = DESCRIPTORS_OTHER < limit.rlim_cur / 2 ? DESCRIPTORS_OTHER : limit.rlim_cur / 2;
    rlim_t most = (limit.rlim_cur - others) / DESCRIPTORS_EACH;
    options->callers_max = most > PROGRAMS_MAX ? PROGRAMS_MAX : most < 1 ? 1 : (int)most;
    return true;
}

bool program_prepare(struct serving *serving)
{
    struct bell_server_options *options = &serving->options;
    struct program *program = &serving->program;
    const char *model = serving->model;
    if (model && (!strcmp(model, "fork") || !strcmp(model, "prefork"))) {
        complain(
            "exec starts a process for each caller, and --model %s would make two of it; there "
            "are iterative threads pool coroutines",
            model);
        return false;
    }
    if (serving->hex) {
        complain(
            "--hex is not for exec: the program has the connection, and its data are not seen");
        return false;
    }
    options->flags |= BELL_SHARES_MEMORY; // the list of programs that are left
    program->idle = options->idle_timeout == BELL_NEVER ? 0 : options->idle_timeout;
    options->idle_timeout = 0; // the server does not see what comes and goes
    return limit_programs(options);
}
