// doorbell connect: stdin to the socket, the socket to stdout.

#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_SIZE = 64 * 1024 };

static void print_help(void)
{
    puts(
        "Usage: doorbell connect [ADDRESS | HOST PORT] [OPTIONS]\n"
        "\n"
        "Copies stdin to the socket and the socket to stdout. When stdin ends the server is told\n"
        "so (half-close) and reading goes on until the server is done. The exit code says whether\n"
        "everything arrived. The address is " DEFAULT_ADDRESS " if none is given.\n"
        "\n"
        "  -t, --timeout TIME  for connecting: 250ms 5s 2m                       [30s]\n"
        "  -i, --idle TIME     give up after TIME without an answer              [never]\n"
        "  -q, --quiet         no notes\n"
        "  -h, --help\n"
        "\n"
        "Exit codes: 0 everything was sent and the server finished, 2 wrong usage, 3 no such "
        "name,\n"
        "4 refused or unreachable, 5 timed out, 6 broken in the middle.\n"
        "\n"
        "Examples:\n"
        "  doorbell connect localhost 7464 < README.md\n"
        "  echo hello | doorbell connect /tmp/echo.sock");
}

struct arguments {
    char *address; // freed at the end, or DEFAULT_ADDRESS
    struct bell_options options;
    int64_t idle;
    bool quiet;
};

static const struct option long_options[] = {
    {"timeout", required_argument, NULL, 't'},
    {"idle", required_argument, NULL, 'i'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool take_time(const char *option, int64_t *ret_ns)
{
    if (parse_time(optarg, ret_ns) && *ret_ns > 0)
        return true;
    complain("connect", "%s %.60s: a time is a number with us, ms, s or m", option, optarg);
    return false;
}

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

static int take_address(int count, char **words, struct arguments *ret)
{
    if (count > 2) {
        complain("connect", "one address or HOST PORT is wanted, not %d words", count);
        return EXIT_USAGE;
    }
    if (count == 2)
        ret->address = join_host_and_port(words[0], words[1]);
    else
        ret->address = strdup(count ? words[0] : DEFAULT_ADDRESS);
    if (ret->address)
        return EXIT_DONE;
    complain("connect", "out of memory");
    return EXIT_BROKEN;
}

// DONE: go on; -1: help was printed.
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
    int option;
    argv[0] = (char[]){"doorbell connect"};
    while ((option = getopt_long(argc, argv, "t:i:qh", long_options, NULL)) != -1) {
        switch (option) {
        case 't':
            if (!take_time("--timeout", &ret->options.timeout))
                return EXIT_USAGE;
            break;
        case 'i':
            if (!take_time("--idle", &ret->idle))
                return EXIT_USAGE;
            break;
        case 'q':
            ret->quiet = true;
            break;
        case 'h':
            print_help();
            return -1;
        default:
            return EXIT_USAGE;
        }
    }
    return take_address(argc - optind, argv + optind, ret);
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
            complain("connect", "stdin: %s", strerror(in->error));
            return EXIT_BROKEN;
        }
        if (in->count == 0)
            return bell_shutdown(copy->conn, SHUT_WR) < 0 ? EXIT_BROKEN : EXIT_DONE;
        if (bell_write(copy->conn, in->into, (size_t)in->count) < 0) {
            // The server may have said why before it hung up: what it said is still read.
            if (errno != ECANCELED)
                complain("connect", "%s", bell_error());
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
            complain("connect", "%s", bell_error());
            return (int)exit_code_of(errno == ETIMEDOUT ? ETIMEDOUT : EIO);
        }
        struct transfer out = {.from = data, .size = (size_t)n};
        int result = 0;
        if (bell_block(write_stdout, &out, &result) < 0 || result < 0) {
            complain("connect", "stdout: %s", strerror(out.error));
            return EXIT_BROKEN;
        }
        bell_skip(copy->conn, (size_t)n);
    }
}

static int converse(bell_conn *conn, const struct arguments *a)
{
    // Not freed: a helper thread may still be reading into it when the server has finished.
    static char chunk[CHUNK_SIZE];
    static struct copy copy;
    copy = (struct copy){.conn = conn, .in = {.into = chunk, .size = sizeof chunk}};
    bell_group *group = bell_group_open();
    if (!group || bell_go(group, copy_in_task, &copy) < 0) {
        complain("connect", "%s", bell_error());
        bell_group_close(group);
        return EXIT_BROKEN;
    }
    int code = copy_out(&copy, a->idle);
    bell_group_close(group);
    return code != EXIT_DONE ? code : copy.code;
}

int connect_main(int argc, char **argv)
{
    struct arguments a = {.options = {.size = sizeof a.options}};
    int code = parse_arguments(argc, argv, &a);
    if (code != EXIT_DONE)
        return code < 0 ? EXIT_DONE : code;

    bell_conn *conn = bell_connect(a.address, &a.options);
    if (!conn) {
        code = (int)exit_code_of(errno);
        complain("connect", "%s", bell_error());
        free(a.address);
        return code;
    }
    if (!a.quiet && isatty(STDERR_FILENO) && isatty(STDIN_FILENO))
        fprintf(stderr, "connected to %s\n", bell_peer(conn));
    code = converse(conn, &a);
    if (code == EXIT_DONE)
        (void)bell_close(conn);
    else
        bell_abort(conn);
    free(a.address);
    return code;
}
