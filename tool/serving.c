// The servers of doorbell serve: one for streams and message connections, one for datagrams, or both.

#include "holder.h"
#include "rights.h"
#include "serve.h"
#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

// ---- What goes together -----------------------------------------------------------------------

struct kinds {
    bool streams, dgrams;
};

// Of that many addresses, or of all when they are fewer. Without any there is the default one.
static struct kinds kinds_of(char **addresses, int count)
{
    struct kinds kinds = {.streams = count == 0 || !addresses[0]};
    for (int i = 0; i < count && addresses[i]; i++) {
        bool is_dgram = socket_type_of(addresses[i]) == SOCK_DGRAM;
        kinds.dgrams |= is_dgram;
        kinds.streams |= !is_dgram;
    }
    return kinds;
}

// The option, if one was given, that says something of callers only, or of datagrams only.
static const char *option_of_callers(const struct serving *serving)
{
    const struct bell_server_options *options = &serving->options;
    const struct manner *manner = &serving->manner;
    return options->callers_max    ? "--max"
           : options->backlog      ? "--backlog"
           : options->idle_timeout ? "--idle"
           : manner->one_line      ? "--one-line"
           : manner->one_read      ? "--one-read"
           : manner->stay_open     ? "--stay-open"
                                   : NULL;
}

static const char *option_of_datagrams(const struct serving *serving)
{
    return serving->rate ? "--rate" : serving->answer_groups ? "--answer-groups" : NULL;
}

static bool has_processes(const struct serving *serving)
{
    return serving->model &&
           (!strcmp(serving->model, "fork") || !strcmp(serving->model, "prefork"));
}

static bool check_services(const struct serving *serving, char **addresses)
{
    for (int i = 0; i < serving->parts.count; i++) {
        const struct part *part = &serving->parts.list[i];
        if (kinds_of(addresses, part->addresses).dgrams && !part->service->answer) {
            complain("%s needs callers, and datagrams have none: tcp, unix or unixpacket would do",
                     part->service->name);
            return false;
        }
        addresses += part->addresses;
    }
    return true;
}

bool serving_check(const struct serving *serving, char **addresses)
{
    struct kinds kinds = kinds_of(addresses, INT_MAX);
    if (!check_services(serving, addresses))
        return false;
    if (!kinds.streams && option_of_callers(serving))
        complain("%s is for callers, and datagrams have none", option_of_callers(serving));
    else if (!kinds.dgrams && option_of_datagrams(serving))
        complain("%s is for datagrams: of udp: or unixgram:", option_of_datagrams(serving));
    else if (kinds.streams && kinds.dgrams && has_processes(serving))
        complain("-m %s serves callers or datagrams, not both: start two servers", serving->model);
    else
        return true;
    return false;
}

// ---- Listening --------------------------------------------------------------------------------

static int listen_on(const struct serving *serving, const char *address)
{
    bool is_dgram = socket_type_of(address) == SOCK_DGRAM;
    if (bell_server_listen(is_dgram ? serving->dgrams : serving->streams, address) == 0)
        return EXIT_DONE;
    int error = errno;
    complain_of_listening(address, error, !(serving->options.flags & BELL_NO_REUSEADDR));
    return (int)exit_code_of_listen(error);
}

static void count_listeners(const bell_server *server, int *count)
{
    while (bell_server_address(server, *count))
        ++*count;
}

static int listen_on_part(struct serving *serving, struct part *part, char **addresses)
{
    int code = part->addresses == 0 ? listen_on(serving, DEFAULT_ADDRESS) : EXIT_DONE;
    for (int i = 0; i < part->addresses && code == EXIT_DONE; i++) {
        serving->has_packets |= socket_type_of(addresses[i]) == SOCK_SEQPACKET;
        code = listen_on(serving, addresses[i]);
    }
    count_listeners(serving->streams, &part->streams);
    count_listeners(serving->dgrams, &part->dgrams);
    return code;
}

static int listen_on_all(struct serving *serving, char **addresses)
{
    int code = EXIT_DONE;
    for (int i = 0; i < serving->parts.count && code == EXIT_DONE; i++) {
        struct part *part = &serving->parts.list[i];
        code = listen_on_part(serving, part, addresses);
        addresses += part->addresses;
    }
    while (code == EXIT_DONE && serving_address(serving, serving->addresses))
        serving->addresses++;
    return code;
}

static int open_servers(struct serving *serving, struct kinds kinds)
{
    if (kinds.streams)
        serving->streams = bell_server_open(serve_caller, serving, &serving->options);
    if (kinds.streams && !serving->streams) {
        int code = (int)exit_code_of_listen(errno);
        complain("%s", bell_error());
        return code;
    }
    return kinds.dgrams ? datagrams_open(serving) : EXIT_DONE;
}

int serving_open(struct serving *serving, char **addresses)
{
    int code = open_servers(serving, kinds_of(addresses, INT_MAX));
    if (code == EXIT_DONE)
        code = listen_on_all(serving, addresses);
    if (code == EXIT_DONE && serving->dgrams && !datagrams_may_run(serving))
        code = EXIT_USAGE;
    return code == EXIT_DONE ? rights_give_up(serving) : code;
}

const char *serving_address(const struct serving *serving, int index)
{
    int streams = 0;
    while (bell_server_address(serving->streams, streams)) {
        if (streams == index)
            return bell_server_address(serving->streams, index);
        streams++;
    }
    return bell_server_address(serving->dgrams, index - streams);
}

const struct service *serving_service(const struct serving *serving, int index)
{
    const struct parts *parts = &serving->parts;
    int streams = parts->list[parts->count - 1].streams;
    return index < streams ? parts_of_stream(parts, index) : parts_of_dgram(parts, index - streams);
}

// ---- Running ----------------------------------------------------------------------------------

static int run_server(bell_server *server)
{
    if (bell_server_run(server) == 0)
        return EXIT_DONE;
    // EAGAIN is want of processes or threads here, and no name server that does not answer.
    int code = errno == EAGAIN ? EXIT_BROKEN : (int)exit_code_of(errno);
    complain("%s", bell_error());
    return code;
}

// A signal between the begin of one server and that of the other would stop one of them only.
static sigset_t mask_before;
static bool holds_signals;

static void hold_stop_signals(void)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    holds_signals = pthread_sigmask(SIG_BLOCK, &stops, &mask_before) == 0;
}

void serving_have_begun(void)
{
    if (holds_signals)
        (void)pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

static void *run_dgrams(void *arg)
{
    struct serving *serving = arg;
    serving->dgrams_code = run_server(serving->dgrams);
    if (serving->dgrams_code != EXIT_DONE)
        bell_server_stop(serving->streams);
    return NULL;
}

// Each blocks its thread. What stops one (a signal, --once) stops the other; a failure has to be passed on, and
// a second stop would cut short what has yet to end.
static int run_both(struct serving *serving)
{
    pthread_t thread;
    hold_stop_signals();
    int error = pthread_create(&thread, NULL, run_dgrams, serving);
    if (error) {
        complain("cannot start a thread: %s", strerror(error));
        return EXIT_BROKEN;
    }
    int code = run_server(serving->streams);
    if (code != EXIT_DONE)
        bell_server_stop(serving->dgrams);
    serving_have_begun(); // whether or not they have
    (void)pthread_join(thread, NULL);
    return code ? code : serving->dgrams_code;
}

int serving_run(struct serving *serving)
{
    int code = EXIT_DONE;
    if (serving->streams && serving->dgrams)
        code = run_both(serving);
    else
        code = run_server(serving->streams ? serving->streams : serving->dgrams);
    if (serving->dgrams)
        datagrams_tell_counts(serving);
    return code;
}

void serving_stop(const struct serving *serving)
{
    bell_server_stop(serving->streams);
    bell_server_stop(serving->dgrams);
}

void serving_close(struct serving *serving)
{
    bell_server_close(serving->streams);
    bell_server_close(serving->dgrams);
}
