// Runs the cases of one program in one cell, each in a process of its own.

#include "matrix.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "proc.h"

// A case that takes longer hangs. Some of them take seconds on a machine that has other work, too.
#define CASE_TIME (60 * BELL_SECOND)
#define PATIENCE (25 * BELL_SECOND)

enum model matrix_model = COROUTINES;
const char *matrix_model_name = "coroutines", *matrix_backend_name = "epoll";
char matrix_folder[64];
struct board *board;

static const char *const model_names[MODELS] = {
    "iterative", "fork", "prefork", "threads", "pool", "coroutines",
};

static struct matrix_case *cases; // by line
static double slow = 1;

// What the processes of a case tell the one that runs it.
struct verdict {
    enum { RUNNING, FAILED, SKIPPED } state;
    atomic_int claimed; // by the first failure
    atomic_bool told;
    char text[8192];
};

static struct verdict *verdict;

// ---- The cell -----------------------------------------------------------------------------------

bool matrix_is_slow(void)
{
    return slow > 1;
}

int64_t matrix_time(int64_t duration)
{
    return (int64_t)((double)duration * slow);
}

int64_t matrix_patience(void)
{
    return matrix_time(PATIENCE);
}

void matrix_sleep(int64_t duration)
{
    struct timespec left = {duration / BELL_SECOND, duration % BELL_SECOND};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

void matrix_pause(unsigned round)
{
    matrix_sleep(round < 20 ? BELL_MS / 4 : 2 * BELL_MS);
}

static void read_cell(void)
{
    const char *model = getenv("MATRIX_MODEL"), *backend = getenv("MATRIX_BACKEND");
    const char *factor = getenv("MATRIX_SLOW");
    if (backend && *backend)
        matrix_backend_name = backend;
    if (factor && strtod(factor, NULL) > 1)
        slow = strtod(factor, NULL);
    // What a program leaves open the environment may say; the cells leave nothing to it.
    unsetenv("BELL_MODEL");
    unsetenv("BELL_BACKEND");
    if (!model || !*model)
        return;
    for (int i = 0; i < MODELS; i++)
        if (!strcmp(model, model_names[i])) {
            matrix_model = (enum model)i;
            matrix_model_name = model_names[i];
            return;
        }
    printf("Bail out! MATRIX_MODEL=%s is no model\n", model);
    exit(1);
}

void matrix_add(struct matrix_case *one)
{
    struct matrix_case **place = &cases;
    while (*place && (*place)->line < one->line)
        place = &(*place)->next;
    one->next = *place;
    *place = one;
}

// ---- Verdicts -----------------------------------------------------------------------------------

// The first one counts. _exit: a process that failed has nothing to tidy up.
_Noreturn static void end_case(int state, const char *text)
{
    if (atomic_exchange(&verdict->claimed, 1) == 0) {
        (void)snprintf(verdict->text, sizeof verdict->text, "%s", text);
        verdict->state = state;
        atomic_store(&verdict->told, true);
    }
    _exit(1);
}

static const char *base_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash ? slash + 1 : file;
}

void matrix_fail(const char *file, int line, const char *format, ...)
{
    char text[6144];
    int length = snprintf(text, sizeof text, "%s:%d: ", base_of(file), line);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    end_case(FAILED, text);
}

void matrix_skip(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    end_case(SKIPPED, text);
}

void matrix_expect(const char *file, int line, const char *what, long long actual, struct row row)
{
    if (actual == row.of[matrix_model])
        return;
    matrix_fail(file, line,
                "%s is %lld with %s on %s; the row is iterative %lld, fork %lld, prefork %lld, "
                "threads %lld, pool %lld, coroutines %lld",
                what, actual, matrix_model_name, matrix_backend_name, row.of[ITERATIVE],
                row.of[FORK], row.of[PREFORK], row.of[THREADS], row.of[POOL], row.of[COROUTINES]);
}

void matrix_expect_text(const char *file, int line, const char *what, const char *actual,
                        const char *text)
{
    if (strcmp(actual, text) != 0)
        matrix_fail(file, line, "%s is not what it must be\n---- wanted\n%s---- got\n%s----", what,
                    text, actual);
}

void matrix_equal(const char *file, int line, const char *what, long long actual, long long wanted)
{
    if (actual != wanted)
        matrix_fail(file, line, "%s is %lld, not %lld (errno: %s)", what, actual, wanted,
                    strerror(errno));
}

void matrix_at_least(const char *file, int line, const char *what, long long actual,
                     long long least)
{
    if (actual < least)
        matrix_fail(file, line, "%s is %lld, below %lld", what, actual, least);
}

void matrix_at_most(const char *file, int line, const char *what, long long actual, long long most)
{
    if (actual > most)
        matrix_fail(file, line, "%s is %lld, above %lld", what, actual, most);
}

void matrix_has(const char *file, int line, const char *what, const char *text, const char *part)
{
    if (!strstr(text, part))
        matrix_fail(file, line, "%s is \"%s\", which has no \"%s\"", what, text, part);
}

// ---- The board ----------------------------------------------------------------------------------

// Lines of several handlers do not mix: each is put at a place of its own.
void observe(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line - 1)
        FAIL("an observation is too long");
    line[length] = '\n';
    size_t size = (size_t)length + 1;
    size_t at = atomic_fetch_add(&board->text_size, size);
    if (at + size >= BOARD_TEXT)
        FAIL("the board is full");
    memcpy(board->text + at, line, size);
}

void observe_call(const char *name, ssize_t result)
{
    int error = errno;
    if (result >= 0)
        observe("%s %zd", name, result);
    else
        observe("%s -1 %s", name, errno_name(error));
    errno = error;
}

const char *errno_name(int error)
{
    const char *name = error == 0 ? "0" : strerrorname_np(error);
    return name ? name : "?";
}

const char *observed(int handlers)
{
    WAIT_FOR(atomic_load(&board->ended) >= handlers);
    return board->text;
}

// ---- The process of a case ----------------------------------------------------------------------

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        printf("Bail out! no memory\n");
        exit(1);
    }
    return memory;
}

// A call of the library outside of a handler keeps an eventfd for the loop of the calling thread.
static void check_descriptors(const char *before)
{
    char after[PROC_TEXT];
    proc_list_descriptors(getpid(), after);
    char *extra = strstr(after, "anon_inode:[eventfd]\n");
    if (extra && !strstr(before, "anon_inode:[eventfd]\n"))
        memmove(extra, strchr(extra, '\n') + 1, strlen(strchr(extra, '\n') + 1) + 1);
    if (strcmp(before, after) != 0)
        FAIL("the case leaves descriptors open\n---- before\n%s---- after\n%s----", before, after);
}

_Noreturn static void be_case(const struct matrix_case *one, int errors, pid_t runner)
{
    // Whatever this process starts ends with it, or becomes its child.
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getppid() != runner)
        _exit(1);
    (void)dup2(errors, STDOUT_FILENO);
    (void)dup2(errors, STDERR_FILENO);
    if (errors > STDERR_FILENO)
        (void)close(errors);
    char before[PROC_TEXT];
    proc_list_descriptors(getpid(), before);
    one->run();
    check_descriptors(before);
    exit(0); // and not _exit: the leak checker looks then
}

// ---- Watching it --------------------------------------------------------------------------------

static int64_t now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * BELL_SECOND + at.tv_nsec;
}

// Waits for the end of the case's process. Its wait status, or -1 when it was not to be waited for: it
// has taken too long, or some process of it has failed already.
static int wait_for_case(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int64_t until = now() + matrix_time(CASE_TIME);
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now() > until || atomic_load(&verdict->told)) {
            status = -1;
            break;
        }
        struct pollfd end = {.fd = pidfd, .events = POLLIN};
        (void)poll(&end, 1, 20);
    }
    (void)close(pidfd);
    return status;
}

// This process adopts what the case's processes leave. Counts them, and ends them one by one.
static int end_leftovers(char *ret_text, size_t size)
{
    static pid_t pids[PROC_MAX];
    int found = 0, count;
    size_t length = 0;
    ret_text[0] = 0;
    while ((count = proc_children(getpid(), pids)) > 0)
        for (int i = 0; i < count; i++) {
            if (found++ < 10)
                length += (size_t)snprintf(ret_text + length, size - length, " %d%s", (int)pids[i],
                                           proc_is_there(pids[i]) ? "" : " (a zombie)");
            (void)kill(pids[i], SIGKILL);
            while (waitpid(pids[i], NULL, 0) < 0 && errno == EINTR)
                continue;
        }
    return found;
}

// What is in the case's folder, one name a line; and removes it.
static void empty_folder(char *ret_text, size_t size)
{
    size_t length = 0;
    ret_text[0] = 0;
    DIR *folder = opendir(matrix_folder);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        if (length < size)
            length += (size_t)snprintf(ret_text + length, size - length, " %.100s", entry->d_name);
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder)
        (void)closedir(folder);
    (void)rmdir(matrix_folder);
}

static void note(const char *format, ...)
{
    if (verdict->state != RUNNING)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(verdict->text, sizeof verdict->text, format, arguments);
    va_end(arguments);
    verdict->state = FAILED;
}

// ---- TAP ----------------------------------------------------------------------------------------

static void print_comment(const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        printf("# %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static void print_errors(int errors)
{
    static char text[64 * 1024];
    ssize_t size = pread(errors, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = 0;
    print_comment(text);
}

// ---- One case -----------------------------------------------------------------------------------

static void judge(int status, int errors)
{
    char text[1024];
    struct stat written = {0};
    if (status == -1)
        note("not over after %d s", (int)(matrix_time(CASE_TIME) / BELL_SECOND));
    bool died = status > 0 && WIFSIGNALED(status);
    if (died)
        note("the case died: %s", strsignal(WTERMSIG(status)));
    if (status > 0 && !died)
        note("the case ended with %d", WEXITSTATUS(status));
    int left = end_leftovers(text, sizeof text);
    if (left)
        note("%d processes are left:%s", left, text);
    empty_folder(text, sizeof text);
    if (*text)
        note("files are left:%s", text);
    (void)fstat(errors, &written);
    if (written.st_size > 0)
        note("there is something on stderr");
}

static bool run_case(const struct matrix_case *one, int number)
{
    memset(verdict, 0, sizeof *verdict);
    memset(board, 0, sizeof *board);
    (void)snprintf(matrix_folder, sizeof matrix_folder, "/tmp/matrix-XXXXXX");
    int errors = memfd_create("stderr", MFD_CLOEXEC);
    if (!mkdtemp(matrix_folder) || errors < 0) {
        printf("Bail out! no folder, or no descriptor: %s\n", strerror(errno));
        exit(1);
    }
    int64_t begin = now();
    pid_t runner = getpid(), pid = fork();
    if (pid == 0)
        be_case(one, errors, runner);
    int status = wait_for_case(pid);
    judge(status, errors);

    bool good = verdict->state != FAILED;
    printf("%s %d - %s", good ? "ok" : "not ok", number, one->name);
    printf(verdict->state == SKIPPED ? " # SKIP %s\n" : "\n", verdict->text);
    if (!good) {
        print_comment(verdict->text);
        print_errors(errors);
    }
    printf("# %d ms\n", (int)((now() - begin) / BELL_MS));
    (void)fflush(stdout);
    (void)close(errors);
    return good;
}

int main(int argc, char **argv)
{
    read_cell();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    verdict = share(sizeof *verdict);
    board = share(sizeof *board);
    int count = 0, number = 0, failed = 0;
    for (const struct matrix_case *one = cases; one; one = one->next)
        count += argc < 2 || !strcmp(argv[1], one->name);
    printf("1..%d\n", count);
    (void)fflush(stdout);
    for (const struct matrix_case *one = cases; one; one = one->next)
        if (argc < 2 || !strcmp(argv[1], one->name))
            failed += !run_case(one, ++number);
    if (count == 0)
        printf("Bail out! no case is called %s\n", argc < 2 ? "anything" : argv[1]);
    return failed || count == 0;
}
