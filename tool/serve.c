// doorbell serve: small servers.

#include "pages.h"
#include "services.h"
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// ---- The command line -------------------------------------------------------------------------

struct settings {
    struct common common; // first
    const struct service *service;
    struct bell_server_options options;
    const char *model;
    int ready_fd;
    int announced, to_announce; // addresses
};

#define FIELD(field) offsetof(struct settings, field)

static const struct option_row options[] = {
    OPTION('m', "model", "NAME", OPTION_CHOICE, FIELD(model),
           "how callers share the server:\n"
           "  iterative   one after the other\n"
           "  fork        a process each\n"
           "  prefork     -w processes, all of them accept\n"
           "  threads     a thread each\n"
           "  pool        -w threads, all of them accept\n"
           "  coroutines  a coroutine each, on -w threads;\n"
           "              coro for short",
           .initial = "coroutines", .words = "iterative fork prefork threads pool coroutines coro"),
    OPTION('w', "workers", "N", OPTION_NUMBER, FIELD(options.workers),
           "processes or threads of prefork and pool\n"
           "[processors]; threads of coroutines",
           .initial = "1", .min = 1, .max = 1024),
    OPTION(0, "backlog", "N", OPTION_NUMBER, FIELD(options.backlog),
           "callers that may wait to be accepted", .initial = "somaxconn", .min = 1,
           .max = 1000000),
    OPTION(0, "max", "N", OPTION_NUMBER, FIELD(options.callers_max),
           "serve at most N callers at once", .initial = "what descriptors allow", .min = 1,
           .max = 1000000),
    OPTION('i', "idle", "TIME", OPTION_TIME, FIELD(options.idle_timeout),
           "hang up on a caller silent for TIME: 250ms 5s 2m",
           .initial = "never on loopback and Unix sockets, else 5m"),
    OPTION(0, "grace", "TIME", OPTION_TIME, FIELD(options.grace),
           "after Ctrl-C, how long callers may go on", .initial = "5s"),
    OPTION(0, "ready-fd", "N", OPTION_NUMBER, FIELD(ready_fd),
           "write the addresses to descriptor N when listening", .min = 1, .max = 1000000),
    OPTION_END,
};

const struct page serve_page = {
    .name = "serve",
    .summary = "small servers: echo, upper, discard, message",
    .usage = (const char *const[]){"serve SERVICE [ADDRESS...] [OPTIONS]", NULL},
    .description =
        "Serves callers until Ctrl-C. The address is " DEFAULT_ADDRESS " if none is given.\n"
        "Several can be mixed: doorbell serve echo 7464 '*:7465' /tmp/echo.sock",
    .table_title = "Services",
    .table = "  echo              send back what arrives                      RFC 862\n"
             "  upper             the same, in capitals\n"
             "  discard           read and forget                             RFC 863\n"
             "  message           read a message, show it, answer \"I got your message\"",
    .options = options,
    .notes = "Ctrl-C or SIGTERM stops accepting and gives callers the time of --grace; a\n"
             "second one ends at once.",
    .examples =
        (const struct example[]){{"serve echo", NULL},
                                 {"serve upper '*:6789' -m fork -v", "a process for each caller"},
                                 {NULL, NULL}},
    .operands = "echo upper discard message @address",
};

static void list_services(char *list, size_t size)
{
    size_t used = 0;
    for (const struct service *at = services; at->name && used < size; at++)
        used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "", at->name);
}

static const struct service *find_service(const char *word)
{
    const char *names[32] = {NULL};
    char list[256];
    for (int i = 0; services[i].name; i++) {
        names[i] = services[i].name;
        if (!strcmp(word, services[i].name))
            return &services[i];
    }
    const char *near = nearest(word, names);
    list_services(list, sizeof list);
    if (near)
        complain("there is no service %.60s; did you mean %s?", word, near);
    else
        complain("there is no service %.60s; there are %s", word, list);
    return NULL;
}

// Reads the command line; the addresses begin where it returns. Negative: an answer of parse_options.
static int take_arguments(struct settings *settings, int argc, char **argv)
{
    int first = parse_options(&serve_page, settings, argc, argv);
    if (first < 0)
        return first;
    if (first == argc) {
        char list[256];
        list_services(list, sizeof list);
        complain("serve: which service? There are %s", list);
        return PARSED_BAD;
    }
    settings->service = find_service(argv[first]);
    return settings->service ? first + 1 : PARSED_BAD;
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
static void tell_ready(struct settings *settings, const char *address)
{
    if (settings->ready_fd <= 0)
        return;
    if (dprintf(settings->ready_fd, "%s\n", address) < 0)
        complain("--ready-fd %d: %s", settings->ready_fd, strerror(errno));
    if (++settings->announced == settings->to_announce)
        (void)close(settings->ready_fd);
}

static void print_event(const struct bell_event *event, void *arg)
{
    struct settings *settings = arg;
    if (event->kind == BELL_EVENT_LISTENING) {
        has_begun = true;
        tell_ready(settings, event->text + strlen("listening on "));
    }
    bool of_a_caller = event->kind == BELL_EVENT_CALLER || event->kind == BELL_EVENT_ENDED;
    if (!of_a_caller || settings->common.verbose > 0)
        note("doorbell serve: %s", event->text);
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
static void choose_idle_limit(struct settings *settings, char **addresses, int count)
{
    for (int i = 0; i < count; i++)
        if (!settings->options.idle_timeout && !is_local(addresses[i]))
            settings->options.idle_timeout = 5 * BELL_MINUTE;
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

static int run(bell_server *server, struct settings *settings, char **addresses, int count)
{
    if (!server || !listen_on_all(server, addresses, count)) {
        int error = errno;
        complain("%s", bell_error());
        return (int)exit_code_of_listen(error);
    }
    while (bell_server_address(server, settings->to_announce))
        settings->to_announce++;
    if (bell_server_run(server) == 0)
        return EXIT_DONE;
    int code = (int)exit_code_of(errno);
    complain("%s", bell_error());
    return code;
}

int serve_main(int argc, char **argv)
{
    struct settings settings = {.options = {.size = sizeof settings.options,
                                            .log = print_event,
                                            .log_arg = &settings,
                                            .flags = BELL_STOP_ON_SIGNALS}};
    int first = take_arguments(&settings, argc, argv);
    if (first < 0)
        return first == PARSED_ALL ? EXIT_DONE : EXIT_USAGE;
    begin_notes(&settings.common, false);
    settings.options.name = settings.service->name;
    settings.options.model = settings.model;
    settings.options.flags |= settings.common.flags;
    choose_idle_limit(&settings, argv + first, argc - first);
    raise_descriptor_limit();
    outlive_stop_signals();

    bell_server *server = bell_server_open(settings.service->handler, NULL, &settings.options);
    int code = run(server, &settings, argv + first, argc - first);
    bell_server_close(server);
    return code;
}
