// doorbell serve files: the files beneath a folder, by HTTP/1.1.
//
// Opening a file may wait for the disk, and with the coroutines the other callers wait as well; so it is with
// sendfile(2). That is what it costs to be small.

#include "files.h"

#include "folder.h"
#include "http.h"
#include "reply.h"
#include "serve.h"
#include "tool.h"
#include "webpath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUESTS_MAX = 1000, // of a connection
    PIECE_SIZE = 65536,  // what a caller must take within the time
    SMALL_SIZE = 4096,   // of a file that is sent together with its head
    HEAD_SIZE = 1024,
    LOCATION_SIZE = 3 * WEBPATH_SIZE + 8,
};

#define HEAD_TIME (10 * BELL_SECOND)
#define KEEP_TIME BELL_MINUTE
#define STALL_TIME (30 * BELL_SECOND)
#define LOOK_MIN (10 * BELL_MS)

// A request, and what becomes of it.
struct visit {
    bell_conn *conn;
    const struct manner *manner;
    struct http_request request;
    struct webpath path;
    struct reply reply;
    int64_t sent; // bytes of content
    char location[LOCATION_SIZE];
    char head[LOCATION_SIZE + HEAD_SIZE]; // too much for a stack
};

// -i holds instead, where it is shorter; -i never gives a caller all the time he wants.
static void set_limit(bell_conn *conn, const struct manner *manner, int64_t duration)
{
    int64_t asked = manner->polite_idle;
    bool is_other = asked == BELL_NEVER || (asked && asked < duration);
    bell_deadline(conn, bell_in(is_other ? asked : duration));
}

// ---- The log ----------------------------------------------------------------------------------

static void tell_request(const struct visit *visit)
{
    enum { SHOWN = 200 };
    const struct http_request *request = &visit->request;
    char line[SHOWN + 64], text[4 * sizeof line + 16], target[4 * SHOWN + 16];
    size_t size = request->target_size < SHOWN ? request->target_size : SHOWN;
    int length =
        snprintf(line, sizeof line, "%s %.*s", request->method, (int)size, request->target);
    quote(line, (size_t)length, text, sizeof text);
    if (visit->manner->tells)
        note("doorbell serve: %s asked %s: %d, %lld bytes", bell_peer(visit->conn), text,
             visit->reply.status, (long long)visit->sent);
    quote(request->target, size, target, sizeof target);
    size_t end = strlen(target) - 1; // without the quotes
    target[end] = target[end] == '"' ? '\0' : target[end];
    tell("request", "s:s, s:s, s:s, s:i, s:I", "peer", bell_peer(visit->conn), "method",
         request->method, "target", target + 1, "status", visit->reply.status, "bytes",
         (long long)visit->sent);
}

// ---- Answering --------------------------------------------------------------------------------

static bool is_head(const struct visit *visit)
{
    return !strcmp(visit->request.method, "HEAD");
}

// The head, and as much content as is in memory.
static int send_head(struct visit *visit, char *content, size_t size)
{
    size_t length = reply_head(&visit->reply, (int64_t)time(NULL), visit->head, sizeof visit->head);
    if (is_head(visit))
        size = 0;
    const struct iovec pieces[] = {{visit->head, length}, {content, size}};
    if (visit->manner->delay && bell_sleep(visit->manner->delay) < 0)
        return -1;
    set_limit(visit->conn, visit->manner, STALL_TIME);
    if (length == 0 || bell_writev(visit->conn, pieces, size ? 2 : 1) < 0)
        return -1;
    visit->sent = (int64_t)size;
    return 0;
}

static int send_text(struct visit *visit, const char *type, char *text, size_t size)
{
    visit->reply.type = type;
    visit->reply.size = visit->reply.count = (int64_t)size;
    return send_head(visit, text, size);
}

// An answer that says why in its content, too.
static int refuse(struct visit *visit, int status, const char *reason)
{
    char text[256];
    int size = snprintf(text, sizeof text, "%d %s%s%s\n", status, reply_name(status),
                        reason ? ": " : "", reason ? reason : "");
    size = size < (int)sizeof text ? size : (int)sizeof text - 1;
    visit->reply.status = status;
    return send_text(visit, "text/plain; charset=utf-8", text, (size_t)size);
}

static int refuse_for_error(struct visit *visit, int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -ELOOP:
    case -ENAMETOOLONG:
        return refuse(visit, 404, NULL);
    case -EACCES:
    case -EPERM:
        return refuse(visit, 403, NULL);
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return refuse(visit, 503, NULL);
    default:
        note("doorbell serve: %s: %s", bell_peer(visit->conn), strerror(-error));
        return refuse(visit, 500, NULL);
    }
}

// ---- Files ------------------------------------------------------------------------------------

// Where the file's system knows no sendfile(2).
__attribute__((noinline)) static ssize_t copy_piece(bell_conn *conn, int file, off_t from,
                                                    size_t size)
{
    char data[SMALL_SIZE];
    ssize_t n = pread(file, data, size < sizeof data ? size : sizeof data, from);
    return n <= 0 ? n : bell_write(conn, data, (size_t)n);
}

static ssize_t send_piece(bell_conn *conn, int file, off_t from, size_t size)
{
    ssize_t n = bell_sendfile(conn, file, from, size);
    return n < 0 && (errno == EINVAL || errno == ENOSYS) ? copy_piece(conn, file, from, size) : n;
}

// A file that has become shorter cannot be sent as it was promised: a reset says so.
static int send_rest(struct visit *visit, int file)
{
    const struct reply *reply = &visit->reply;
    while (visit->sent < reply->count) {
        int64_t left = reply->count - visit->sent;
        set_limit(visit->conn, visit->manner, STALL_TIME);
        ssize_t n = send_piece(visit->conn, file, reply->from + visit->sent,
                               left < PIECE_SIZE ? (size_t)left : PIECE_SIZE);
        if (n <= 0)
            return -1;
        visit->sent += n;
    }
    return 0;
}

// A small one goes with its head.
__attribute__((noinline)) static int send_small(struct visit *visit, int file)
{
    char data[SMALL_SIZE];
    ssize_t n = pread(file, data, (size_t)visit->reply.count, visit->reply.from);
    return n != visit->reply.count ? -1 : send_head(visit, data, (size_t)n);
}

static int send_file(struct visit *visit, const char *name, int file, const struct stat *status)
{
    struct reply *reply = &visit->reply;
    reply->type = reply_type(name);
    reply->size = status->st_size;
    reply->modified = status->st_mtime;
    reply_choose(&visit->request, reply);
    if (is_head(visit) || reply->count == 0)
        return send_head(visit, NULL, 0);
    if (reply->count <= SMALL_SIZE)
        return send_small(visit, file);
    return send_head(visit, NULL, 0) < 0 ? -1 : send_rest(visit, file);
}

// ---- Folders ----------------------------------------------------------------------------------

static int send_listing(struct visit *visit, int folder)
{
    char *page = NULL;
    size_t size = 0;
    int rc = folder_list(folder, &visit->path, &page, &size);
    if (rc < 0)
        return refuse_for_error(visit, rc);
    visit->reply.status = 200;
    rc = send_text(visit, "text/html; charset=utf-8", page, size);
    free(page);
    return rc;
}

static int send_folder(struct visit *visit, int folder)
{
    struct stat status;
    int index = folder_open(folder, "index.html", &status);
    if (index >= 0 && S_ISREG(status.st_mode)) {
        int rc = send_file(visit, "index.html", index, &status);
        (void)close(index);
        return rc;
    }
    if (index >= 0)
        (void)close(index);
    if (index < 0 && index != -ENOENT && index != -ELOOP)
        return refuse_for_error(visit, index);
    return send_listing(visit, folder);
}

// To the same name with a slash: links in a page are relative to the folder that it is in. The name is
// written anew, since "//host/x", sent back, would lead elsewhere.
static int redirect(struct visit *visit)
{
    char *at = visit->location, part[256];
    const char *name = visit->path.name;
    while (*name) {
        size_t size = strcspn(name, "/");
        snprintf(part, sizeof part, "%.*s", (int)size, name);
        *at++ = '/';
        webpath_escape(part, at, sizeof visit->location - (size_t)(at - visit->location));
        at += strlen(at);
        name += size;
        name += *name == '/';
    }
    at[0] = '/';
    at[1] = '\0';
    visit->reply.target = visit->location;
    return refuse(visit, 301, NULL);
}

static int send_found(struct visit *visit, int fd, const struct stat *status)
{
    if (S_ISDIR(status->st_mode))
        return visit->path.is_folder ? send_folder(visit, fd) : redirect(visit);
    if (visit->path.is_folder)
        return refuse(visit, 404, NULL);
    return send_file(visit, visit->path.name, fd, status);
}

static int answer_path(struct visit *visit)
{
    struct stat status;
    int fd = folder_open(visit->manner->folder, visit->path.name, &status);
    if (fd < 0)
        return refuse_for_error(visit, fd);
    int rc = send_found(visit, fd, &status);
    (void)close(fd);
    return rc;
}

static int answer(struct visit *visit)
{
    const struct http_request *request = &visit->request;
    if (request->status != 200)
        return refuse(visit, request->status, request->reason);
    if (strcmp(request->method, "GET") != 0 && !is_head(visit))
        return refuse(visit, 405, "there are GET and HEAD");
    switch (webpath_parse(request->target, request->target_size, &visit->path)) {
    case WEBPATH_WRONG:
        return refuse(visit, 400, "this target is no path");
    case WEBPATH_LONG:
        return refuse(visit, 414, NULL);
    case WEBPATH_NONE:
        return refuse(visit, 404, NULL);
    case WEBPATH_GOOD:
        break;
    }
    return visit->path.has_hidden ? refuse(visit, 404, NULL) : answer_path(visit);
}

// ---- A conversation ---------------------------------------------------------------------------

// 1 when the caller may ask for more. Not inlined, so that one who is silent needs no room for a request.
__attribute__((noinline)) static int serve_one(bell_conn *conn, const struct manner *manner,
                                               bool may_go_on)
{
    struct visit *visit = calloc(1, sizeof *visit);
    if (!visit)
        return -1;
    visit->conn = conn;
    visit->manner = manner;
    set_limit(conn, manner, HEAD_TIME);
    int rc = http_read(conn, &visit->request);
    if (rc > 0) {
        bool more = may_go_on && visit->request.keep_alive && !manner->shared->stopping;
        visit->reply.ends = !more;
        rc = answer(visit) < 0 ? -1 : more;
        tell_request(visit);
    }
    free(visit);
    return rc;
}

// At a stop nobody has to wait for callers who say nothing, and none of them is cut short: a reset could
// take his last answer from him (RFC 9112, section 9.6). That is looked at each second, or more often.
//
// returns  1 when a request begins, 0 when there is none, -1 errno
static int wait_for_request(bell_conn *conn, const struct manner *manner, int64_t duration)
{
    int64_t asked = manner->polite_idle;
    int64_t until = bell_in(asked == BELL_NEVER || (asked && asked < duration) ? asked : duration);
    const void *data;
    ssize_t n;
    do {
        int64_t soon = bell_in(manner->stop_look);
        bell_deadline(conn, soon < until ? soon : until);
        n = bell_peek(conn, 1, &data);
        if (n >= 0 || errno != ETIMEDOUT)
            return n > 0 ? 1 : (int)n;
    } while (bell_now() < until && !manner->shared->stopping);
    return 0;
}

// Where a worker has one caller at a time, one who keeps his connection would keep the others out.
static bool has_one_caller(bell_conn *conn)
{
    static const char *const models[] = {"iterative", "prefork", "pool"};
    const char *choice = bell_server_choice(bell_conn_server(conn));
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!strncmp(choice, models[i], strlen(models[i])))
            return true;
    return false;
}

int serve_files(bell_conn *conn, void *arg)
{
    const struct manner *manner = arg;
    int requests_max = has_one_caller(conn) ? 1 : REQUESTS_MAX;
    for (int i = 1; i <= requests_max; i++) {
        int rc = wait_for_request(conn, manner, i == 1 ? HEAD_TIME : KEEP_TIME);
        if (rc > 0)
            rc = serve_one(conn, manner, i < requests_max);
        if (rc <= 0)
            return rc;
    }
    return 0;
}

static int64_t smaller(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

// The service has limits of its own, which are polite. Beside other services the library's limit stays, since
// they need it; it resets, and so the own one comes before.
static void choose_times(struct serving *serving)
{
    struct manner *manner = &serving->manner;
    int64_t idle = serving->options.idle_timeout, grace = serving->options.grace;
    bool is_beside = serving->parts.count > 1 && idle && idle != BELL_NEVER;
    manner->polite_idle = is_beside ? idle - smaller(idle / 4, BELL_SECOND) : idle;
    if (serving->parts.count == 1)
        serving->options.idle_timeout = BELL_NEVER;
    manner->stop_look = grace ? smaller(grace / 4 + LOOK_MIN, BELL_SECOND) : BELL_SECOND;
}

bool files_prepare(struct serving *serving, const char *folder)
{
    struct rlimit limit;
    if (!http_is_there()) {
        complain("files: this doorbell was built without the library http-parser, and has no HTTP");
        return false;
    }
    serving->manner.folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (serving->manner.folder < 0) {
        complain("files %.200s: %s", folder, strerror(errno));
        return false;
    }
    serving->manner.tells = serving->common.verbose > 0;
    choose_times(serving);
    // A caller may need two descriptors more than his own.
    if (!serving->options.callers_max && getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur > 64 && limit.rlim_cur < 3000000)
        serving->options.callers_max = (int)((limit.rlim_cur - 64) / 3);
    return true;
}

bool files_may_be_shown(const struct serving *serving)
{
    if (faccessat(serving->manner.folder, ".", X_OK, 0) == 0)
        return true;
    complain("files %.200s: %s (for user id %d)", serving->folder, strerror(errno), (int)getuid());
    return false;
}
