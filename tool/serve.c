// doorbell serve: small servers.

#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// ---- Services ---------------------------------------------------------------------------------

// Sends back what arrives, as it arrives: a map over bytes, which pleases every client whatever it
// takes for the end of a request. (RFC 862)
static int echo(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &data)) > 0)
        if (bell_write(conn, data, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

// Not inlined, so that a caller who is silent does not pay for this buffer.
__attribute__((noinline)) static int answer_in_capitals(bell_conn *conn, const char *data,
                                                        size_t size)
{
    char text[4096];
    while (size > 0) {
        size_t count = size < sizeof text ? size : sizeof text;
        for (size_t i = 0; i < count; i++)
            text[i] = data[i] >= 'a' && data[i] <= 'z' ? (char)(data[i] - 'a' + 'A') : data[i];
        if (bell_write(conn, text, count) < 0)
            return -1;
        data += count;
        size -= count;
    }
    return 0;
}

// The same as echo with a to z as capitals, and every other byte as it is: as many bytes out as in.
static int upper(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &data)) > 0)
        if (answer_in_capitals(conn, data, (size_t)n) < 0 || bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

// Reads and forgets. (RFC 863)
static int discard(bell_conn *conn, void *arg)
{
    (void)arg;
    const void *data;
    ssize_t n;
    while ((n = bell_peek(conn, 1, &data)) > 0)
        if (bell_skip(conn, (size_t)n) < 0)
            return -1;
    return (int)n;
}

// The message server of the course: reads a message, shows it, answers without a newline. A message
// ends with a newline, with the sender's end, or when it is as long as a line may be.
static int message(bell_conn *conn, void *arg)
{
    (void)arg;
    static const char answer[] = "I got your message";
    char text[1024];
    ssize_t n = bell_readline(conn, text, sizeof text);
    if (n < 0 && errno == EMSGSIZE)
        n = (ssize_t)bell_done();
    if (n <= 0)
        return (int)n;
    if (text[n - 1] == '\n')
        n--;
    flockfile(stdout);
    fputs("Here is the message: ", stdout);
    fwrite(text, 1, (size_t)n, stdout);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    return bell_write(conn, answer, sizeof answer - 1) < 0 ? -1 : 0;
}

static const struct service {
    const char *name;
    bell_handler *handler;
    const char *summary;
} services[] = {
    {"echo", echo, "send back what arrives                      RFC 862"},
    {"upper", upper, "the same, in capitals"},
    {"discard", discard, "read and forget                             RFC 863"},
    {"message", message, "read a message, show it, answer \"I got your message\""},
};

enum { SERVICES = sizeof services / sizeof *services };

// ---- The command line -------------------------------------------------------------------------

struct arguments {
    const struct service *service;
    struct bell_server_options options;
    int verbose;
    int ready_fd;
    int announced, to_announce; // addresses
};

static void print_help(void)
{
    puts("Usage: doorbell serve SERVICE [ADDRESS...] [OPTIONS]\n\nServices:");
    for (int i = 0; i < SERVICES; i++)
        printf("  %-17s %s\n", services[i].name, services[i].summary);
    puts("\nThe address is " DEFAULT_ADDRESS " if none is given. Several can be mixed:\n"
         "  doorbell serve echo 7464 '*:7465' /tmp/echo.sock @echo\n"
         "\n"
         "  -m, --model NAME    how callers share the server:\n"
         "                        iterative  one after the other\n"
         "                        fork       a process each\n"
         "                        prefork    -w processes, all of them accept\n"
         "                        threads    a thread each\n"
         "                        pool       -w threads, all of them accept\n"
         "                        coroutines a coroutine each  [default] (coro for short)\n"
         "  -w, --workers N     processes or threads of prefork and pool [CPUs], threads of\n"
         "                      coroutines [1]\n"
         "  -i, --idle TIME     hang up on a caller silent for TIME: 250ms 5s 2m\n"
         "                      [never for loopback and Unix sockets, else 5m]\n"
         "      --max N         serve at most N callers at once [what descriptors allow]\n"
         "      --grace TIME    after Ctrl-C, how long callers may go on [5s]\n"
         "      --ready-fd N    write the addresses to descriptor N when listening\n"
         "  -v, --verbose       a line for each caller\n"
         "  -q, --quiet         no notes\n"
         "  -h, --help\n"
         "\n"
         "Ctrl-C or SIGTERM stops accepting and gives callers the time of --grace; a second one\n"
         "ends at once. Exit codes: 0 stopped, 2 wrong usage, 4 cannot listen there, 5 callers "
         "were\n"
         "cut short, 6 anything else.");
}

static const struct service *find_service(const char *word)
{
    const char *names[SERVICES + 1] = {NULL};
    for (int i = 0; i < SERVICES; i++) {
        names[i] = services[i].name;
        if (!strcmp(word, services[i].name))
            return &services[i];
    }
    const char *near = nearest(word, names);
    if (near)
        complain("serve", "there is no service %.60s; did you mean %s?", word, near);
    else
        complain("serve", "there is no service %.60s; there are echo, upper, discard, message",
                 word);
    return NULL;
}

enum { OPTION_MAX = 256, OPTION_GRACE, OPTION_READY_FD };

static const struct option long_options[] = {
    {"model", required_argument, NULL, 'm'},
    {"workers", required_argument, NULL, 'w'},
    {"idle", required_argument, NULL, 'i'},
    {"max", required_argument, NULL, OPTION_MAX},
    {"grace", required_argument, NULL, OPTION_GRACE},
    {"ready-fd", required_argument, NULL, OPTION_READY_FD},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool take_time(const char *option, const char *text, int64_t *ret_ns)
{
    if (parse_time(text, ret_ns) && *ret_ns > 0)
        return true;
    complain("serve", "%s %.60s: a time is a number with us, ms, s or m", option, text);
    return false;
}

static bool take_number(const char *option, const char *text, int max, int *ret_number)
{
    if (parse_number(text, 1, max, ret_number))
        return true;
    complain("serve", "%s %.60s: a number from 1 to %d is wanted", option, text, max);
    return false;
}

static bool take_option(struct arguments *a, int option)
{
    switch (option) {
    case 'm':
        a->options.model = optarg;
        return true;
    case 'w':
        return take_number("--workers", optarg, 1024, &a->options.workers);
    case 'i':
        return take_time("--idle", optarg, &a->options.idle_timeout);
    case OPTION_MAX:
        return take_number("--max", optarg, 1000000, &a->options.callers_max);
    case OPTION_GRACE:
        return take_time("--grace", optarg, &a->options.grace);
    case OPTION_READY_FD:
        return take_number("--ready-fd", optarg, 1000000, &a->ready_fd);
    case 'v':
        a->verbose++;
        return true;
    case 'q':
        a->verbose = -1;
        return true;
    default:
        return false; // getopt has complained
    }
}

// Reads the options; what is left begins at optind. DONE: go on; -1: help was printed.
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
    int option;
    argv[0] = (char[]){"doorbell serve"};
    while ((option = getopt_long(argc, argv, "m:w:i:vqh", long_options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return -1;
        }
        if (!take_option(ret, option))
            return EXIT_USAGE;
    }
    if (optind == argc) {
        complain("serve", "which service? There are echo, upper, discard, message");
        return EXIT_USAGE;
    }
    ret->service = find_service(argv[optind++]);
    return ret->service ? EXIT_DONE : EXIT_USAGE;
}

// ---- Running ----------------------------------------------------------------------------------

// While the server runs its own handler is in the place of this one. What stops programs (timeout(1), a terminal, a service manager) often sends a signal twice; the
// second must not kill what is about to end well.
static volatile sig_atomic_t has_begun;

static void end_unless_begun(int number)
{
    if (has_begun)
        return;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void outlive_stop_signals(void)
{
    struct sigaction action = {.sa_handler = end_unless_begun, .sa_flags = SA_RESTART};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

// Whoever waits for the addresses may stop the server at once: they are told when it is ready for that.
static void tell_ready(struct arguments *a, const char *address)
{
    if (a->ready_fd <= 0)
        return;
    if (dprintf(a->ready_fd, "%s\n", address) < 0)
        complain("serve", "--ready-fd %d: %s", a->ready_fd, strerror(errno));
    if (++a->announced == a->to_announce)
        (void)close(a->ready_fd);
}

static void print_event(const struct bell_event *event, void *arg)
{
    struct arguments *a = arg;
    if (event->kind == BELL_EVENT_LISTENING) {
        has_begun = true;
        tell_ready(a, event->text + strlen("listening on "));
    }
    bool of_a_caller = event->kind == BELL_EVENT_CALLER || event->kind == BELL_EVENT_ENDED;
    if (a->verbose < 0 || (of_a_caller && a->verbose < 1))
        return;
    // One write a line, so that lines of several processes do not mix.
    char line[640];
    int length = snprintf(line, sizeof line, "doorbell serve: %s\n", event->text);
    if (length > 0)
        (void)!write(STDERR_FILENO, line, (size_t)length);
}

// As many callers as the system lets us have.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// Whether only this machine can call there, judging by the text of the address.
static bool is_local(const char *address)
{
    static const char *const schemes[] = {"tcp:", "tcp4:", "tcp6:", "unix:"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (!strncmp(address, schemes[i], strlen(schemes[i])))
            address += strlen(schemes[i]);
    address += strspn(address, "/");
    return strchr(address, '/') || address[0] == '@' || !strchr(address, ':') ||
           !strncmp(address, "localhost:", 10) || !strncmp(address, "127.", 4) ||
           !strncmp(address, "[::1]:", 6);
}

// A server that others can reach hangs up on the silent.
static void choose_idle_limit(struct arguments *a, char **addresses, int count)
{
    for (int i = 0; i < count; i++)
        if (!a->options.idle_timeout && !is_local(addresses[i]))
            a->options.idle_timeout = 5 * BELL_MINUTE;
}

static bool listen_on_all(bell_server *server, char **addresses, int count)
{
    if (count == 0)
        return bell_server_listen(server, DEFAULT_ADDRESS) == 0;
    for (int i = 0; i < count; i++)
        if (bell_server_listen(server, addresses[i]) < 0)
            return false;
    return true;
}

static int run(bell_server *server, struct arguments *a, char **addresses, int count)
{
    if (server && listen_on_all(server, addresses, count)) {
        while (bell_server_address(server, a->to_announce))
            a->to_announce++;
        if (bell_server_run(server) == 0)
            return EXIT_DONE;
    }
    int code = (int)exit_code_of(errno);
    complain("serve", "%s", bell_error());
    return code;
}

int serve_main(int argc, char **argv)
{
    struct arguments a = {
        .options = {.size = sizeof a.options, .log = print_event, .flags = BELL_STOP_ON_SIGNALS}};
    a.options.log_arg = &a;
    int code = parse_arguments(argc, argv, &a);
    if (code != EXIT_DONE)
        return code < 0 ? EXIT_DONE : code;
    a.options.name = a.service->name;
    choose_idle_limit(&a, argv + optind, argc - optind);
    raise_descriptor_limit();
    outlive_stop_signals();

    bell_server *server = bell_server_open(a.service->handler, NULL, &a.options);
    code = run(server, &a, argv + optind, argc - optind);
    bell_server_close(server);
    return code;
}
