// doorbell serve: small servers.

#include "serve.h"
#include "files.h"
#include "pages.h"
#include "rights.h"
#include "sockopts.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- The command line -------------------------------------------------------------------------

#define FIELD(field) offsetof(struct serving, field)

// More than any datagram of UDP, and what a Unix socket takes with the buffers that systems come with.
#define LONGEST_DEFAULT ((size_t)256 * 1024)

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
    OPTION('1', "once", NULL, OPTION_SET, FIELD(once), "serve one caller, then exit"),
    OPTION('i', "idle", "TIME", OPTION_TIME, FIELD(options.idle_timeout),
           "hang up on a caller silent for TIME: 250ms 5s 2m",
           .initial = "never on loopback and Unix sockets, else 5m", .words = "never"),
    OPTION(0, "delay", "TIME", OPTION_TIME, FIELD(manner.delay),
           "think so long before each answer"),
    OPTION(0, "grace", "TIME", OPTION_TIME, FIELD(options.grace),
           "after Ctrl-C, how long callers may go on", .initial = "5s"),
    OPTION(0, "one-line", NULL, OPTION_SET, FIELD(manner.one_line),
           "upper: answer one line, then hang up, as the server\n"
           "of the textbook's slides does"),
    OPTION(0, "stay-open", NULL, OPTION_SET, FIELD(manner.stay_open),
           "upper: answer one line and no other, and leave the\n"
           "connection open, as a server that forgets to close"),
    OPTION(0, "one-read", NULL, OPTION_SET, FIELD(manner.one_read),
           "upper: take what one read gives for the request, as a\n"
           "server that knows nothing of streams; half a line is\n"
           "answered, too"),
    OPTION(0, "longest", "SIZE", OPTION_SIZE, FIELD(longest),
           "take messages and datagrams of at most SIZE; what is\n"
           "longer is told, and not answered",
           .initial = "256k"),
    OPTION('r', "rate", "N", OPTION_NUMBER, FIELD(rate),
           "udp: answer each address N datagrams a second", .initial = "100, and loopback all",
           .min = 1, .max = 1000000),
    OPTION(0, "answer-groups", NULL, OPTION_SET, FIELD(answer_groups),
           "udp: answer what went to a multicast group, or to\n"
           "everybody, too"),
    OPTION(0, "sockopt", "O=V", OPTION_LIST, FIELD(sockopts),
           "a socket option by its name: nodelay=0, rcvbuf=4k,\n"
           "keepidle=30s, ...; may be repeated"),
    OPTION(0, "no-reuseaddr", NULL, OPTION_BIT, FIELD(options.flags),
           "leave SO_REUSEADDR off, to see what happens", .max = BELL_NO_REUSEADDR),
    OPTION(0, "ready-fd", "N", OPTION_NUMBER, FIELD(ready_fd),
           "write the addresses to descriptor N when listening", .min = 1, .max = 1000000),
    OPTION(0, "user", "NAME", OPTION_TEXT, FIELD(user),
           "when root has started it: become NAME once it listens", .initial = "nobody"),
    OPTION(0, "stay-root", NULL, OPTION_SET, FIELD(stay_root), "stay root"),
    OPTION(0, "ring", NULL, OPTION_SET, FIELD(ring), "ring the terminal's bell for each caller"),
    OPTION('x', "hex", NULL, OPTION_SET, FIELD(hex),
           "show the data in hexadecimal; -vv shows it as text"),
    OPTION_END,
};

static const struct habit habits[] = {
    {'l', "serve listens anyway"},
    {'k', "serve takes many callers anyway; -1 for one only"},
    {'p', "the port is the address: doorbell serve echo 7464"},
    {'u', "udp: stands in front of the address: doorbell serve echo udp:7464"},
    {'U', "what has a slash in it is a Unix socket: doorbell serve echo /tmp/x.sock"},
    {'N', "a server goes on until its caller has finished"},
    {'e', "a program for each caller is doorbell serve exec 7464 -- PROGRAM"},
    {'c', "a program for each caller is doorbell serve exec 7464 -- PROGRAM"},
    {0, NULL},
};

const struct page serve_page = {
    .name = "serve",
    .summary =
        "small servers: echo, upper, chargen, daytime, ..., files, and a program for each caller",
    .usage =
        (const char *const[]){"serve SERVICE [ADDRESS...] [OPTIONS]",
                              "serve exec [ADDRESS...] [OPTIONS] -- PROGRAM [ARG...]",
                              "serve files DIR [ADDRESS...] [OPTIONS]",
                              "serve SERVICE ADDRESS... and SERVICE ADDRESS... [OPTIONS]", NULL},
    .description =
        "Serves callers until Ctrl-C. The address is " DEFAULT_ADDRESS " if none is given.\n"
        "Several can be mixed: doorbell serve echo 7464 udp:7464 /tmp/echo.sock",
    .table_title = "Services",
    .table = "  echo              send back what arrives                      RFC 862\n"
             "  upper             the same, in capitals\n"
             "  discard           read and forget                             RFC 863\n"
             "  chargen           lines of characters without end             RFC 864\n"
             "  daytime           the time of day as text, then hang up       RFC 867\n"
             "  time              seconds since 1900 as 4 bytes, then hang    RFC 868\n"
             "                    up; they begin anew on 7 February 2036\n"
             "  message           read a message, show it, answer \"I got your message\"\n"
             "  quote [TEXT]      send TEXT, or a saying, then hang up        RFC 865\n"
             "  exec              run PROGRAM for each caller, the connection as its stdin and\n"
             "                    stdout; PEER, LOCAL and what UCSPI says in its environment\n"
             "  files DIR         the files beneath DIR, for browsers              HTTP/1.1",
    .options = options,
    .habits = habits,
    .notes = "Ctrl-C or SIGTERM stops accepting and gives callers the time of --grace; a\n"
             "second one ends at once. The exit code is 5 if that cut off a caller, or an\n"
             "answer to a datagram, and else 0. -v prints a line for each caller, --json the\n"
             "same for programs.\n"
             "\n"
             "Several services in one server are joined by the word and; each has addresses of\n"
             "its own, and the options hold for all of them. exec is alone.\n"
             "\n"
             "TEXT is what cannot be an address: a word with a blank in it, or one without a\n"
             "colon and a slash that is no number and does not begin with @.\n"
             "\n"
             "exec: the program starts where doorbell did, in a session of its own, without a\n"
             "shell, with PATH, HOME, USER, TERM, TZ, LANG and LC_* of the environment, no\n"
             "descriptors but 0, 1 and 2 (doorbell's stderr), and the umask 077. It gets\n"
             "SIGTERM, and after a second SIGKILL, when its caller has gone entirely or the\n"
             "time of --grace is over; so does what it has left running when it ends. --max is\n"
             "1000 if not given, and what descriptors allow; -i holds for TCP only. Models:\n"
             "iterative, threads, pool, coroutines.\n"
             "\n"
             "Over udp: and unixgram: each datagram is answered by one, whoever has sent it,\n"
             "and nobody is a caller: exec is not to be had, chargen sends up to 512\n"
             "characters, and -m fork has nothing to do. -v tells each, and the end how many\n"
             "came and went, were not answered, or dropped by the kernel. unixpacket: has\n"
             "callers, and each of their messages is answered by one; chargen sends one\n"
             "after the other, and to a program of exec an empty one is the end.\n"
             "\n"
             "Anybody can write somebody else's address on a datagram of UDP. So there is no\n"
             "answer to a port below 1024 (it is a service, which might answer back), to\n"
             "ourselves, to what went to a multicast group or to everybody\n"
             "(--answer-groups), and to more than 100 a second of one address (--rate; IPv6:\n"
             "of one /64). Where others than this machine can call, an answer is never\n"
             "longer than its question: who wants the time of day sends as many bytes; and\n"
             "chargen is refused. What is not answered is told, of each reason once a second\n"
             "(-v: always).\n"
             "\n"
             "files: GET and HEAD, types by suffix, single ranges, If-Modified-Since; for a\n"
             "folder its index.html, or a list. Symbolic links, names that begin with a dot,\n"
             "and what is neither file nor folder are not shown. A caller has 10 s for a\n"
             "request, a minute until the next one, and 30 s to take 64 KiB; -i TIME makes\n"
             "that shorter, -i never takes it away. He may ask 1000 times; once only where a\n"
             "worker has one caller at a time (iterative, prefork, pool). -v prints a line for\n"
             "each request.\n"
             "\n"
             "What root has started goes on as nobody, or --user NAME, once it listens. Where\n"
             "others than this machine can call, exec and files by root want --user or\n"
             "--stay-root.\n"
             "\n"
             "When others than this machine can call, and no -i is given, a caller has 10 s\n"
             "for his first byte, a minute for a message, and 30 s to take an answer; -i never\n"
             "gives him all the time he wants.",
    .examples =
        (const struct example[]){{"serve echo", NULL},
                                 {"serve upper '*:6789' -m fork -v", "a process for each caller"},
                                 {"serve upper udp:7464 -v", "a line for each datagram"},
                                 {"serve quote 'Not today.' 1717 -1", "one caller, then exit"},
                                 {"serve exec 7465 -- wc -c", "a program for each caller"},
                                 {"serve files site 8080 -v", "http://localhost:8080/"},
                                 {"serve echo 7 and files site 80", "two services in one process"},
                                 {NULL, NULL}},
    .operands = "echo upper discard chargen daytime time message quote exec files @address",
    .joining = &(const struct joining){.word = "and", .of_folder = "files", .alone = "exec"},
};

// Takes the words from the first "--" on, which are a program's own, off the command line.
static void take_program(struct serving *serving, int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        *argc = i;
        serving->program.argv = argv[i + 1] ? argv + i + 1 : NULL;
        return;
    }
}

static bool check_program(const struct serving *serving)
{
    bool has_program = serving->program.argv && serving->program.argv[0];
    bool is_exec = parts_have(&serving->parts, "exec");
    if (is_exec && serving->parts.count > 1) {
        complain("exec is a server of its own: no other service can be beside it");
        return false;
    }
    if (has_program == is_exec)
        return true;
    if (is_exec)
        complain("exec needs a program: doorbell serve exec [ADDRESS...] -- PROGRAM [ARG...]");
    else
        complain("-- %.60s: a program is for exec, not for %s", serving->program.argv[0],
                 serving->parts.list[0].service->name);
    return false;
}

// Reads the command line. The addresses stand where it returns, up to a NULL. Negative: an answer of
// parse_options.
static int take_arguments(struct serving *serving, int argc, char **argv)
{
    argv[argc] = NULL; // a program's words may follow, and have been taken already
    int first = parse_options(&serve_page, serving, argc, argv);
    if (first < 0)
        return first;
    if (first == argc) {
        char list[SERVICES_TEXT];
        parts_list_services(list, sizeof list);
        complain("serve: which service? There are %s", list);
        return PARSED_BAD;
    }
    return parts_take(serving, argv + first) ? first : PARSED_BAD;
}

static bool take_sockopts(struct serving *serving)
{
    char *joined = NULL;
    for (int i = 0; i < serving->sockopts.count; i++) {
        char *shorter = joined;
        int length = asprintf(&joined, "%s%s%s", shorter ? shorter : "", shorter ? "," : "",
                              serving->sockopts.texts[i]);
        free(shorter);
        if (length < 0) {
            complain("out of memory");
            return false;
        }
    }
    serving->options.sockopts = joined;
    return true;
}

static bool check_upper_modes(const struct serving *serving)
{
    const struct manner *manner = &serving->manner;
    const char *option = manner->one_line    ? "--one-line"
                         : manner->stay_open ? "--stay-open"
                         : manner->one_read  ? "--one-read"
                                             : NULL;
    if (!option)
        return true;
    if (!parts_have(&serving->parts, "upper"))
        complain("%s is for upper, not for %s", option, serving->parts.list[0].service->name);
    else if (manner->one_line && manner->stay_open)
        complain("--one-line hangs up after its line, --stay-open does not: one of them");
    else if (manner->one_line && manner->one_read)
        complain("--one-line waits for a whole line, --one-read does not: one of them");
    else
        return true;
    return false;
}

static bool check_ready_fd(const struct serving *serving)
{
    if (serving->ready_fd <= 0 || fcntl(serving->ready_fd, F_GETFD) >= 0)
        return true;
    complain("--ready-fd %d: no such descriptor is open", serving->ready_fd);
    return false;
}

static bool is_within_reason(const struct serving *serving)
{
    return check_program(serving) && check_upper_modes(serving) && check_ready_fd(serving) &&
           rights_check(serving);
}

// ---- Running ----------------------------------------------------------------------------------

static int handle(bell_conn *conn, struct serving *serving, const struct service *service)
{
    bool in_messages =
        serving->has_packets && service->answer && !strncmp(bell_local(conn), "unixpacket:", 11);
    return in_messages ? serve_messages(conn, service, serving)
                       : service->handler(conn, &serving->manner);
}

// With --once the others who came are hung up on.
int serve_caller(bell_conn *conn, void *arg)
{
    struct serving *serving = arg;
    const struct service *service = parts_of_caller(&serving->parts, conn);
    if (!service)
        return -1;
    if (!serving->once)
        return handle(conn, serving, service);
    if (atomic_fetch_add(&serving->manner.shared->callers, 1) > 0)
        return -1;
    int result = handle(conn, serving, service);
    serving_stop(serving);
    return result;
}

// What stops programs (timeout(1), a terminal, a service manager) often sends a signal twice; the second must
// not kill what is about to end well. While the server runs its own handler is in the place of this one.
static atomic_bool has_begun;

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

static void take_note(const struct bell_event *event, void *arg)
{
    if (event->kind == BELL_EVENT_LISTENING)
        has_begun = true;
    keep_diary(event, arg);
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

// The same as is_local, of an address as somebody wrote it.
static bool looks_local(const char *address)
{
    static const char *const schemes[] = {"tcp:", "tcp4:", "tcp6:", "unix:", "unixpacket:"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (!strncmp(address, schemes[i], strlen(schemes[i])))
            address += strlen(schemes[i]);
    address += strspn(address, "/");
    return strchr(address, '/') || address[0] == '@' || !strchr(address, ':') ||
           !strncmp(address, "localhost:", 10) || !strncmp(address, "127.", 4) ||
           !strncmp(address, "[::1]:", 6);
}

// A server that others can reach hangs up on the silent and the slow.
static void choose_limits(struct serving *serving, char **addresses)
{
    struct manner *manner = &serving->manner;
    bool asked_for = serving->options.idle_timeout;
    for (int i = 0; addresses[i] && !asked_for; i++) {
        if (socket_type_of(addresses[i]) == SOCK_DGRAM || looks_local(addresses[i]))
            continue;
        serving->options.idle_timeout = 5 * BELL_MINUTE;
        manner->first_byte = 10 * BELL_SECOND;
        manner->whole_request = BELL_MINUTE;
        manner->write_stall = 30 * BELL_SECOND;
    }
    if (!manner->stay_open)
        return;
    manner->polite_idle = serving->options.idle_timeout;
    serving->options.idle_timeout = 0;
}

static void choose_show(struct serving *serving)
{
    bool is_json = serving->common.json, is_wanted = serving->common.verbose >= 2 || serving->hex;
    if (is_wanted && (is_json || !serving->common.quiet))
        serving->manner.show = is_json ? SHOW_JSON : serving->hex ? SHOW_HEX : SHOW_TEXT;
}

static bool make_shared_page(struct serving *serving)
{
    void *page = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        complain("out of memory");
        return false;
    }
    serving->manner.shared = page;
    return true;
}

// A program is to have the limits that doorbell was started with.
static bool prepare_process(struct serving *serving)
{
    if (serving->program.argv) {
        serving->manner.program = &serving->program;
        return program_prepare(serving);
    }
    raise_descriptor_limit();
    return !serving->folder || files_prepare(serving, serving->folder);
}

static int run(struct serving *serving, char **addresses)
{
    int code = serving_open(serving, addresses);
    if (code != EXIT_DONE)
        return code;
    if (serving->manner.program) {
        (void)umask(077); // the programs', and not the socket files'
        if (!program_may_run(serving->manner.program))
            return EXIT_NOT_RUN;
    }
    if (serving->folder && !files_may_be_shown(serving))
        return EXIT_USAGE;
    return serving_run(serving);
}

int serve_main(int argc, char **argv)
{
    // Its texts live as long as the program.
    static struct serving serving = {.longest = LONGEST_DEFAULT,
                                     .options = {.size = sizeof serving.options,
                                                 .log = take_note,
                                                 .log_arg = &serving,
                                                 .flags = BELL_STOP_ON_SIGNALS}};
    take_program(&serving, &argc, argv);
    int first = take_arguments(&serving, argc, argv);
    if (first < 0)
        return first == PARSED_ALL ? EXIT_DONE : EXIT_USAGE;
    begin_notes(&serving.common, false);
    if (!is_within_reason(&serving) || !serving_check(&serving, argv + first))
        return EXIT_USAGE;
    if (!make_shared_page(&serving) || !take_sockopts(&serving))
        return EXIT_BROKEN;
    if (serving.options.sockopts && !sockopts_exist(serving.options.sockopts))
        return EXIT_USAGE;
    int code = serving.program.argv ? program_find(&serving.program) : EXIT_DONE;
    if (code != EXIT_DONE)
        return code;
    serving.options.name = serving.parts.list[0].service->name;
    serving.options.model = serving.model;
    serving.options.flags |= serving.common.flags;
    choose_limits(&serving, argv + first);
    choose_show(&serving);
    begin_diary(&serving);
    if (!prepare_process(&serving))
        return EXIT_USAGE;
    outlive_stop_signals();
    code = run(&serving, argv + first);
    program_end_all();
    serving_close(&serving);
    rights_finish();
    return code;
}
