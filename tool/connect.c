// doorbell connect: stdin to the socket, the socket to stdout.

#include "pages.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_SIZE = 64 * 1024 };

struct settings {
    struct common common; // first
    struct bell_options options;
    char *address; // freed at the end
    int64_t idle;
};

#define FIELD(field) offsetof(struct settings, field)

static const struct option_row options[] = {
    OPTION('t', "timeout", "TIME", OPTION_TIME, FIELD(options.timeout),
           "for connecting: 250ms 5s 2m", .initial = "10s"),
    OPTION('i', "idle", "TIME", OPTION_TIME, FIELD(idle), "give up after TIME without an answer",
           .initial = "never"),
    OPTION_END,
};

const struct page connect_page = {
    .name = "connect",
    .summary = "call a server: stdin goes there, what comes goes to stdout",
    .usage = (const char *const[]){"connect [ADDRESS | HOST PORT] [OPTIONS]", NULL},
    .description =
        "Copies stdin to the socket and the socket to stdout. When stdin ends the server\n"
        "is told so (half-close) and reading goes on until the server is done. The exit\n"
        "code says whether everything arrived. The address is " DEFAULT_ADDRESS " if none\n"
        "is given.",
    .options = options,
    .examples = (const struct example[]){{"connect localhost 7464 < README.md", NULL},
                                         {"connect /tmp/echo.sock", NULL},
                                         {NULL, NULL}},
    .operands = "@address",
};

// HOST PORT, as nc and telnet take it.
static char *join_host_and_port(const char *host, const char *port)
{
    size_t size = strlen(host) + strlen(port) + 4;
    char *address = malloc(size);
    if (address)
        snprintf(address, size, strchr(host, ':') && host[0] != '[' ? "[%s]:%s" : "%s:%s", host,
                 port);
    return address;
}

static int take_address(int count, char **words, struct settings *ret)
{
    if (count > 2) {
        complain("one address or HOST PORT is wanted, not %d words", count);
        return EXIT_USAGE;
    }
    if (count == 2)
        ret->address = join_host_and_port(words[0], words[1]);
    else
        ret->address = strdup(count ? words[0] : DEFAULT_ADDRESS);
    if (ret->address)
        return EXIT_DONE;
    complain("out of memory");
    return EXIT_BROKEN;
}

// ---- Copying ----------------------------------------------------------------------------------

// stdin and stdout may block, so they are read and written on helper threads.
struct transfer {
    char *into;
    const char *from;
    size_t size;
    int count; // of bytes, or -1
    int error;
};

static int read_stdin(void *arg)
{
    struct transfer *t = arg;
    do
        t->count = (int)read(STDIN_FILENO, t->into, t->size);
    while (t->count < 0 && errno == EINTR);
    t->error = errno;
    return 0;
}

static int write_stdout(void *arg)
{
    struct transfer *t = arg;
    while (t->size > 0) {
        ssize_t n = write(STDOUT_FILENO, t->from, t->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            t->error = errno;
            return -1;
        }
        t->from += n;
        t->size -= (size_t)n;
    }
    return 0;
}

struct copy {
    bell_conn *conn;
    struct transfer in;
    int code;
};

static int copy_in(struct copy *copy)
{
    struct transfer *in = &copy->in;
    for (;;) {
        if (bell_block(read_stdin, in, NULL) < 0)
            return EXIT_DONE; // the server has finished first
        if (in->count < 0) {
            complain("stdin: %s", strerror(in->error));
            return EXIT_BROKEN;
        }
        if (in->count == 0)
            return bell_shutdown(copy->conn, SHUT_WR) < 0 ? EXIT_BROKEN : EXIT_DONE;
        if (bell_write(copy->conn, in->into, (size_t)in->count) < 0) {
            // The server may have said why before it hung up: what it said is still read.
            if (errno != ECANCELED)
                complain("%s", bell_error());
            return EXIT_BROKEN;
        }
    }
}

static int copy_in_task(void *arg)
{
    struct copy *copy = arg;
    copy->code = copy_in(copy);
    return 0;
}

static int copy_out(struct copy *copy, int64_t idle)
{
    for (;;) {
        const void *data;
        if (idle)
            bell_deadline(copy->conn, bell_in(idle));
        ssize_t n = bell_peek(copy->conn, 1, &data);
        if (n == 0)
            return EXIT_DONE;
        if (n < 0) {
            complain("%s", bell_error());
            return (int)exit_code_of(errno == ETIMEDOUT ? ETIMEDOUT : EIO);
        }
        struct transfer out = {.from = data, .size = (size_t)n};
        int result = 0;
        if (bell_block(write_stdout, &out, &result) < 0 || result < 0) {
            complain("stdout: %s", strerror(out.error));
            return EXIT_BROKEN;
        }
        bell_skip(copy->conn, (size_t)n);
    }
}

static int converse(bell_conn *conn, const struct settings *settings)
{
    // Not freed: a helper thread may still be reading into it when the server has finished.
    static char chunk[CHUNK_SIZE];
    static struct copy copy;
    copy = (struct copy){.conn = conn, .in = {.into = chunk, .size = sizeof chunk}};
    bell_group *group = bell_group_open();
    if (!group || bell_go(group, copy_in_task, &copy) < 0) {
        complain("%s", bell_error());
        bell_group_close(group);
        return EXIT_BROKEN;
    }
    int code = copy_out(&copy, settings->idle);
    bell_group_close(group);
    return code != EXIT_DONE ? code : copy.code;
}

int connect_main(int argc, char **argv)
{
    struct settings settings = {
        .options = {.size = sizeof settings.options, .timeout = 10 * BELL_SECOND}};
    int first = parse_options(&connect_page, &settings, argc, argv);
    if (first < 0)
        return first == PARSED_ALL ? EXIT_DONE : EXIT_USAGE;
    begin_notes(&settings.common, false);
    int code = take_address(argc - first, argv + first, &settings);
    if (code != EXIT_DONE)
        return code;
    settings.options.flags |= settings.common.flags;

    bell_conn *conn = bell_connect(settings.address, &settings.options);
    if (!conn) {
        code = (int)exit_code_of(errno);
        complain("%s", bell_error());
        free(settings.address);
        return code;
    }
    if (isatty(STDERR_FILENO) && isatty(STDIN_FILENO))
        note("connected to %s", bell_peer(conn));
    code = converse(conn, &settings);
    if (code == EXIT_DONE)
        (void)bell_close(conn);
    else
        bell_abort(conn);
    free(settings.address);
    return code;
}
