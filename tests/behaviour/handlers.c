// The program of the conformance suite: its handlers, in handlers_*.c, each show one thing, through <doorbell.h>
// alone.
//
//     handlers HANDLER ADDRESS [OPTION=NUMBER...]
//
// What happens goes to stderr, one write a line: "listening on ...", "event KIND ...", "result ...".

#include "handlers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int64_t number;
bell_server *the_server;

void say(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)length + 1);
}

void say_result(const char *call, ssize_t result)
{
    int error = errno;
    if (result >= 0)
        say("result %s %zd", call, result);
    else
        say("result %s -1 %s: %s", call, strerrorname_np(error), bell_error());
    errno = error;
}

// ---- All handlers -----------------------------------------------------------------------------

static const struct {
    const char *name;
    bell_handler *handler;
} handlers[] = {
    {"echo", echo},
    {"echo_lent", echo_lent},
    {"lines", lines},
    {"blocks", blocks},
    {"patient", patient},
    {"talk", talk},
    {"answer_first_byte", answer_first_byte},
    {"pieces", pieces},
    {"send_file", send_file},
    {"formatted", formatted},
    {"read_to_the_end", read_to_the_end},
    {"write_to_the_end", write_to_the_end},
    {"fail_half_way", fail_half_way},
    {"misuse", misuse},
    {"half_close", half_close},
    {"stop_reading", stop_reading},
    {"take_out", take_out},
    {"names", names},
    {"keep_errno", keep_errno},
    {"sleeper", sleeper},
    {"hog", hog},
    {"in_a_storm", in_a_storm},
    {"two_tasks", two_tasks},
    {"groups", groups},
    {"block", block},
    {"channel", channel},
    {"relay", relay},
    {"cancelled_by_thread", cancelled_by_thread},
    {"overflow_slowly", overflow_slowly},
    {"overflow_at_once", overflow_at_once},
    {"die", die},
    {"tell_pid", tell_pid},
    {"stop_server", stop_server},
    {"hoard", hoard},
    {"count_line", count_line},
    {"tell_fd", tell_fd},
    {"list_descriptors", list_descriptors},
    {"raise_children", raise_children},
    {"wait_for_pipe", wait_for_pipe},
    {"write_to_the_reset", write_to_the_reset},
    {"messages", messages},
    {"told_client", told_client},
    {"many_calls", many_calls},
};

enum { HANDLERS = sizeof handlers / sizeof *handlers };

// ---- The program ------------------------------------------------------------------------------

static void print_event(const struct bell_event *event, void *arg)
{
    (void)arg;
    static const char *const kinds[] = {"listening", "caller", "ended",   "limit",
                                        "trouble",   "worker", "stalled", "stopping"};
    if (event->kind == BELL_EVENT_LISTENING)
        say("%s", event->text);
    else
        say("event %s %s", kinds[event->kind], event->text);
}

static bool embedded, with_child, sigchld_ignored;
static int64_t descriptors, processes_limit, storm;

static bool take_option(const char *text, struct bell_server_options *o)
{
    const struct {
        const char *name;
        int64_t *wide;
        int *narrow;
        int64_t unit;
    } options[] = {
        {"number", &number, NULL, 1},
        {"workers", NULL, &o->workers, 1},
        {"max", NULL, &o->callers_max, 1},
        {"per_address", NULL, &o->callers_per_address_max, 1},
        {"idle", &o->idle_timeout, NULL, BELL_MS},
        {"total", &o->total_timeout, NULL, BELL_MS},
        {"grace", &o->grace, NULL, BELL_MS},
        {"linger", &o->linger_time, NULL, BELL_MS},
        {"descriptors", &descriptors, NULL, 1},
        {"processes", &processes_limit, NULL, 1},
        {"storm", &storm, NULL, 1},
    };
    const char *equals = strchr(text, '=');
    if (!equals)
        return false;
    int64_t value = strtoll(equals + 1, NULL, 10);
    if (!strncmp(text, "rate=", 5))
        o->rate_min = (uint64_t)value;
    else if (!strncmp(text, "flags=", 6))
        o->flags |= (unsigned)value;
    else if (!strncmp(text, "embedded=", 9))
        embedded = value;
    else if (!strncmp(text, "child=", 6))
        with_child = value;
    else if (!strncmp(text, "sigchld=", 8))
        sigchld_ignored = value;
    else {
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
            size_t length = strlen(options[i].name);
            if (strncmp(text, options[i].name, length) != 0 || text[length] != '=')
                continue;
            if (options[i].wide)
                *options[i].wide = value * options[i].unit;
            else
                *options[i].narrow = (int)value;
            return true;
        }
        return false;
    }
    return true;
}

// A foreign loop: poll(2) on the server's descriptor and on nothing else.
static int run_embedded(bell_server *server)
{
    int rc = 1;
    while (rc > 0) {
        struct pollfd one = {.fd = bell_server_fd(server), .events = POLLIN};
        if (one.fd < 0)
            return -1;
        (void)poll(&one, 1, -1);
        rc = bell_server_step(server);
    }
    return rc;
}

static pid_t own_child;

static void start_own_child(void)
{
    own_child = fork();
    if (own_child == 0) {
        for (;;)
            pause();
    }
}

// The application's child is nobody else's to reap.
static void end_own_child(void)
{
    int status = 0;
    kill(own_child, SIGKILL);
    say("result own child %s",
        waitpid(own_child, &status, 0) == own_child ? "reaped" : strerror(errno));
}

static void set_limits(void)
{
    if (descriptors) {
        struct rlimit limit = {(rlim_t)descriptors, (rlim_t)descriptors};
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (processes_limit) {
        struct rlimit limit = {(rlim_t)processes_limit, (rlim_t)processes_limit};
        setrlimit(RLIMIT_NPROC, &limit);
    }
    if (sigchld_ignored)
        signal(SIGCHLD, SIG_IGN);
}

static bell_handler *find_handler(const char *name)
{
    for (size_t i = 0; i < HANDLERS; i++)
        if (!strcmp(name, handlers[i].name))
            return handlers[i].handler;
    return NULL;
}

static void say_counts(bell_server *server)
{
    struct bell_counts c;
    bell_server_counts(server, &c);
    say("result counts accepted=%llu active=%llu polite=%llu aborted=%llu limited=%llu cut=%llu "
        "refused=%llu lost=%llu in=%llu out=%llu datagrams=%llu/%llu dropped=%llu",
        (unsigned long long)c.accepted, (unsigned long long)c.active, (unsigned long long)c.polite,
        (unsigned long long)c.aborted, (unsigned long long)c.limited, (unsigned long long)c.cut,
        (unsigned long long)c.refused, (unsigned long long)c.workers_lost,
        (unsigned long long)c.bytes_in, (unsigned long long)c.bytes_out,
        (unsigned long long)c.datagrams_in, (unsigned long long)c.datagrams_out,
        (unsigned long long)c.datagrams_dropped);
}

int main(int argc, char **argv)
{
    struct bell_server_options options = {
        .size = sizeof options, .flags = BELL_STOP_ON_SIGNALS, .log = print_event};
    bell_handler *handler = argc > 2 ? find_handler(argv[1]) : NULL;
    bell_dgram_handler *dgram_handler = argc > 2 ? find_dgram_handler(argv[1]) : NULL;
    bool understood = handler || dgram_handler;
    for (int i = 3; i < argc; i++)
        understood &= take_option(argv[i], &options);
    if (!understood) {
        say("usage: handlers HANDLER ADDRESS [OPTION=NUMBER...]");
        return 2;
    }
    options.name = argv[1];
    make_alphabets();
    set_limits();
    if (with_child)
        start_own_child();
    if (storm)
        start_storm(storm);
    remember_dispositions();
    the_server = handler ? bell_server_open(handler, NULL, &options)
                         : bell_server_open_dgram(dgram_handler, NULL, &options);
    int rc = -1;
    if (the_server && bell_server_listen(the_server, argv[2]) == 0) {
        say("choice %s", bell_server_choice(the_server));
        rc = embedded ? run_embedded(the_server) : bell_server_run(the_server);
    }
    if (rc < 0)
        say("error %s: %s", strerrorname_np(errno), bell_error());
    if (storm)
        end_storm();
    compare_dispositions("after serving");
    if (the_server)
        say_counts(the_server);
    if (with_child)
        end_own_child();
    bell_server_close(the_server);
    return rc < 0;
}
