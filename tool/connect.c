// doorbell connect: stdin to a socket, the socket to stdout. It calls, or with -l it is called.

#include "connect.h"

#include "pages.h"
#include "sockopts.h"
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

// ---- The command line -------------------------------------------------------------------------

#define FIELD(field) offsetof(struct settings, field)

static const struct option_row options[] = {
    OPTION('l', "listen", NULL, OPTION_SET, FIELD(listen),
           "wait for one caller instead of calling"),
    OPTION('u', "udp", NULL, OPTION_SET, FIELD(udp), "udp: in front of the address, as nc has it"),
    OPTION('s', "send", "TEXT", OPTION_TEXT, FIELD(send),
           "send TEXT, not stdin; it may have \\n \\r \\t \\0 \\\\ \\xHH"),
    OPTION('e', "expect", "TEXT", OPTION_TEXT, FIELD(talk.expect),
           "exit 0 once TEXT has arrived, 1 if it never does"),
    OPTION('z', "check", NULL, OPTION_SET, FIELD(check),
           "only see whether it answers, and how fast"),
    OPTION(0, "wait", "TIME", OPTION_TIME, FIELD(wait),
           "keep trying until something listens there"),
    OPTION('t', "timeout", "TIME", OPTION_TIME, FIELD(timeout),
           "for each attempt to connect: 250ms 5s 2m; datagrams:\n"
           "for the answer to each question, all tries together",
           .initial = "10s; datagrams: as long as the tries take"),
    OPTION('i', "idle", "TIME", OPTION_TIME, FIELD(talk.idle),
           "give up after TIME in which no data came or went", .initial = "never"),
    OPTION('b', "bind", "ADDRESS", OPTION_TEXT, FIELD(bind),
           "call from this address, or this port: 127.0.0.2, 5000"),
    OPTION('C', "crlf", NULL, OPTION_SET, FIELD(talk.crlf), "send CR LF for every newline"),
    OPTION(0, "no-half-close", NULL, OPTION_SET, FIELD(talk.no_half_close),
           "keep the sending side open after stdin ends"),
    OPTION(0, "send-only", NULL, OPTION_SET, FIELD(talk.send_only),
           "show nothing; done when the other end has it all"),
    OPTION(0, "recv-only", NULL, OPTION_SET, FIELD(talk.recv_only), "do not read stdin"),
    OPTION(0, "whole", NULL, OPTION_SET, FIELD(talk.whole),
           "datagrams and messages: all of stdin is one; else\n"
           "each line is one"),
    OPTION(0, "tries", "N", OPTION_NUMBER, FIELD(talk.tries),
           "datagrams: ask at most N times until it is answered", .initial = "5", .min = 1,
           .max = 1000),
    OPTION(0, "retry", "TIME", OPTION_TIME, FIELD(talk.retry),
           "datagrams: wait TIME for the first answer, and twice\n"
           "as long each time after",
           .initial = "1s"),
    OPTION(0, "no-retry", NULL, OPTION_SET, FIELD(talk.no_retry),
           "datagrams: send each once, and show whatever comes"),
    OPTION(0, "sockopt", "O=V", OPTION_LIST, FIELD(sockopts),
           "a socket option by its name: nodelay=0, rcvbuf=4k,\n"
           "linger=0, keepidle=30s, ...; may be repeated"),
    OPTION(0, "script", "FILE", OPTION_TEXT, FIELD(script_file),
           "do what FILE says: doorbell help script", .words = "@file"),
    OPTION(0, "do", "STEPS", OPTION_TEXT, FIELD(script_text),
           "the same with the steps themselves:\n"
           "--do 'send \"hi\\n\"; expect \"HI\\n\"; reset'"),
    OPTION('x', "hex", NULL, OPTION_SET, FIELD(talk.hex),
           "show both directions in hexadecimal, on stderr"),
    OPTION(0, "raw", NULL, OPTION_SET, FIELD(talk.raw),
           "show a terminal what comes as it is: control\n"
           "characters too, else ^X"),
    OPTION(0, "times", NULL, OPTION_SET, FIELD(times),
           "begin each note with the seconds since the start"),
    OPTION(0, "info", NULL, OPTION_SET, FIELD(talk.tcp_info),
           "when done, tell what TCP knows: rtt, retransmissions"),
    OPTION_END,
};

static const struct habit habits[] = {
    {'N', "the end of stdin is passed on anyway, unless --no-half-close says no"},
    {'U', "what has a slash in it is a Unix socket: doorbell connect /tmp/x.sock"},
    {'w', "-t TIME limits each attempt to connect, -i TIME the silence"},
    {'p', "with -l the port is the address, doorbell connect -l 9000; -b PORT calls from a port"},
    {'k', "-l takes one caller; a server of many is doorbell serve"},
    {0, NULL},
};

const struct page connect_page = {
    .name = "connect",
    .summary = "call a server, or wait for a caller, and copy stdin there and what comes to stdout",
    .usage = (const char *const[]){"connect [ADDRESS | HOST PORT] [OPTIONS]",
                                   "connect -l [ADDRESS] [OPTIONS]", NULL},
    .description =
        "Copies stdin to the socket and the socket to stdout. When stdin ends the other\n"
        "end is told so (half-close), and reading goes on until it is done, too. When the\n"
        "other end is done first, stdin is still sent, unless it is a terminal. The exit\n"
        "code says whether everything arrived. The address is " DEFAULT_ADDRESS " if none\n"
        "is given.\n"
        "\n"
        "To udp: and unixgram: each line of stdin is a datagram, with its newline (with\n"
        "--whole all of stdin is one, and so is the TEXT of -s). It is a question, which\n"
        "is repeated until it is answered: see below.",
    .options = options,
    .habits = habits,
    .notes = "Datagrams may be lost, and so may their answers. A question is asked again\n"
             "after 1 s (--retry), then after 2 s, 4 s, ..., each up to a half longer by\n"
             "chance, so that clients that lost their server together do not come back\n"
             "together. After 5 times (--tries), 31 to 47 s, that is told and the exit code\n"
             "is 5; -t TIME may be sooner. Nobody there (port unreachable) is told at once,\n"
             "exit code 4. Any datagram of the server is the answer, an empty one, too; each\n"
             "question but the first goes from another port of ours, unless -b chose it, so\n"
             "that an answer that comes late or twice is not taken for one to the next\n"
             "question. A server may see a question more than once. The longest datagram of\n"
             "UDP has 65,507 bytes; what is longer is told and not sent.\n"
             "\n"
             "--no-retry is for what is no question and answer: each datagram is sent once,\n"
             "and all that comes is shown, until nothing has come for 2 s (-i TIME) after\n"
             "the end of stdin. --send-only does not wait at all, --recv-only has no end. A\n"
             "multicast group, or everybody (--sockopt broadcast), is asked as by\n"
             "--no-retry, and the answers of all are shown; -v says whose they are. -l talks\n"
             "with whoever sends the first datagram, and with nobody else; it goes on after\n"
             "stdin's end, until -i TIME, -e TEXT or Ctrl-C. -z asks with an empty datagram.\n"
             "\n"
             "unixpacket: loses nothing and has an end: lines (or --whole) go as messages\n"
             "while others come.\n"
             "\n"
             "At a terminal: Ctrl-D ends your data, Ctrl-C quits, Ctrl-] asks for a command:\n"
             "status, hex, reset, quit. Nothing you type is otherwise special.\n"
             "\n"
             "Exit codes: 0 all arrived, 1 --expect failed, 2 usage, 3 no such name,\n"
             "4 refused, 5 timed out, 6 broken in the middle, 8 cannot listen.",
    .examples =
        (const struct example[]){
            {"connect localhost 7464", "as nc and telnet take it"},
            {"connect localhost:7464 -s 'hello\\n'", "say this, show the answer"},
            {"connect -z --wait 30s localhost:7464", "until it listens"},
            {"connect udp:localhost:7464", "each line is a question"},
            {"connect udp:localhost:514 --send-only < file", "a datagram a line, as they are"},
            {"connect -l '*:9000' > file", "there: doorbell connect HOST:9000 < file"},
            {"connect --do 'send \"hi\\n\"; expect \"HI\\n\"; reset'",
             "a peer that does as it is told"},
            {NULL, NULL}},
    .operands = "@address",
};

static char *format(const char *text, ...) __attribute__((format(printf, 1, 2)));

// An allocated text; the program ends when there is no memory for it.
static char *format(const char *text, ...)
{
    char *formatted = NULL;
    va_list arguments;
    va_start(arguments, text);
    int length = vasprintf(&formatted, text, arguments);
    va_end(arguments);
    if (length >= 0)
        return formatted;
    complain("out of memory");
    exit(EXIT_BROKEN);
}

// HOST PORT, as nc and telnet take it.
static char *join_host_and_port(const char *host, const char *port)
{
    bool bare = strchr(host, ':') && host[0] != '[';
    return bare ? format("[%s]:%s", host, port) : format("%s:%s", host, port);
}

// The option, if one was given, that makes no sense with this kind of socket.
static const char *misfit(const struct settings *s, int type)
{
    const struct talk *talk = &s->talk;
    const struct {
        const char *name;
        bool given;
        bool streams, packets, dgrams; // that it is for
    } rows[] = {
        {"--script", is_scripted(s), true, false, false},
        {"--info", talk->tcp_info, true, false, false},
        {"--no-half-close", talk->no_half_close, true, true, false},
        {"--whole", talk->whole, false, true, true},
        {"--no-retry", talk->no_retry, false, false, true},
        {"--tries", talk->tries > 0, false, false, true},
        {"--retry", talk->retry > 0, false, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool fits = type == SOCK_STREAM  ? rows[i].streams
                    : type == SOCK_DGRAM ? rows[i].dgrams
                                         : rows[i].packets;
        if (rows[i].given && !fits)
            return rows[i].name;
    }
    return NULL;
}

static bool check_kind(const struct settings *s)
{
    static const char *const kinds[] = {
        [SOCK_STREAM] = "a stream", [SOCK_DGRAM] = "datagrams", [SOCK_SEQPACKET] = "messages"};
    int type = socket_type_of(s->address);
    const struct talk *talk = &s->talk;
    bool asks = talk->no_retry || talk->tries || talk->retry;
    if (misfit(s, type))
        complain("%s makes no sense with %s: %.200s", misfit(s, type), kinds[type], s->address);
    else if (type == SOCK_DGRAM && s->listen && talk->send_only)
        complain("--send-only makes no sense with --listen: nobody is known to send to");
    else if (type == SOCK_DGRAM && s->listen && asks)
        complain("--tries, --retry and --no-retry make no sense with --listen");
    else
        return true;
    return false;
}

static bool take_address(struct settings *settings, int count, char **words)
{
    if (count > 2) {
        complain("one address or HOST PORT is wanted, not %d words", count);
        return false;
    }
    char *address = count == 2 ? join_host_and_port(words[0], words[1])
                               : format("%s", count ? words[0] : DEFAULT_ADDRESS);
    settings->address = format("%s%s", settings->udp ? "udp:" : "", address);
    free(address);
    return check_kind(settings);
}

// An address to call from may come without a port, 127.0.0.2, ::1, [::1], and a port without an address.
static void take_bind(struct settings *settings)
{
    const char *bind = settings->bind;
    if (!bind)
        return;
    if (*bind && strspn(bind, "0123456789") == strlen(bind)) {
        settings->bind_address = format("*:%s", bind);
        return;
    }
    const char *colon = strchr(bind, ':');
    bool in_brackets = bind[0] == '[';
    bool is_path = bind[0] == '@' || strchr(bind, '/');
    bool bare_ipv6 = colon && !in_brackets && strchr(colon + 1, ':');
    bool has_port = is_path       ? true
                    : in_brackets ? bind[strlen(bind) - 1] != ']'
                                  : colon && !bare_ipv6;
    settings->bind_address = format(bare_ipv6 ? "[%s]%s" : "%s%s", bind, has_port ? "" : ":0");
}

static bool take_sockopts(struct settings *settings)
{
    const struct text_list *list = &settings->sockopts;
    for (int i = 0; i < list->count; i++) {
        char *longer =
            format("%s%s%s", i ? settings->sockopt_text : "", i ? "," : "", list->texts[i]);
        free(settings->sockopt_text);
        settings->sockopt_text = longer;
    }
    return !settings->sockopt_text || sockopts_exist(settings->sockopt_text);
}

static bool take_texts(struct settings *settings)
{
    struct talk *talk = &settings->talk;
    if (settings->send) {
        if (!parse_escapes("--send", settings->send, &settings->sent_text, &talk->text_size))
            return false;
        talk->text = settings->sent_text;
    }
    if (!talk->expect)
        return true;
    char *expected;
    if (!parse_escapes("--expect", talk->expect, &expected, &talk->expect_size))
        return false;
    talk->expect = expected;
    if (talk->expect_size > 0)
        return true;
    complain("--expect: what is expected?");
    return false;
}

// All that a file has; "-" is stdin.
static char *read_file(const char *name)
{
    FILE *file = strcmp(name, "-") != 0 ? fopen(name, "re") : stdin;
    char *text = NULL;
    size_t size = 0;
    if (!file || (getdelim(&text, &size, '\0', file) < 0 && !feof(file))) {
        complain("--script %.200s: %s", name, strerror(errno));
        free(text);
        text = NULL;
    } else if (!text) {
        text = format("%s", "");
    }
    if (file && file != stdin)
        (void)fclose(file);
    return text;
}

static bool take_script(struct settings *settings)
{
    if (settings->script_text)
        return script_parse("--do", settings->script_text, &settings->script);
    if (!settings->script_file)
        return true;
    char *text = read_file(settings->script_file);
    bool ok = text && script_parse(settings->script_file, text, &settings->script);
    free(text);
    return ok;
}

// Options that contradict each other.
static bool check_together(const struct settings *s)
{
    const bool scripted = is_scripted(s);
    const struct {
        bool a, b;
        const char *a_name, *b_name;
    } pairs[] = {
        {s->check, s->listen, "--check", "--listen"},
        {s->check, s->send, "--check", "--send"},
        {s->check, s->talk.expect, "--check", "--expect"},
        {s->wait > 0, s->listen, "--wait", "--listen"},
        {s->timeout > 0, s->listen, "--timeout", "--listen"},
        {s->bind, s->listen, "--bind", "--listen"},
        {s->talk.recv_only, s->talk.send_only, "--recv-only", "--send-only"},
        {s->talk.expect, s->talk.send_only, "--expect", "--send-only"},
        {s->send, s->talk.recv_only, "--send", "--recv-only"},
        {s->send, scripted, "--send", "--script"},
        {s->check, scripted, "--check", "--script"},
        {s->talk.expect, scripted, "--expect", "--script"},
        {s->script_text, s->script_file, "--do", "--script"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].a && pairs[i].b) {
            complain("%s makes no sense with %s", pairs[i].a_name, pairs[i].b_name);
            return false;
        }
    return true;
}

static int take_arguments(struct settings *settings, int argc, char **argv)
{
    int first = parse_options(&connect_page, settings, argc, argv);
    if (first < 0)
        return first;
    begin_notes(&settings->common, settings->times);
    take_bind(settings);
    bool ok = take_sockopts(settings) && check_together(settings) && take_texts(settings) &&
              take_script(settings) && take_address(settings, argc - first, argv + first);
    return ok ? 0 : PARSED_BAD;
}

static void free_arguments(struct settings *settings)
{
    free(settings->address);
    free(settings->bind_address);
    free(settings->sockopt_text);
    script_free(&settings->script);
}

// ---- All of it ----------------------------------------------------------------------------------

int connect_main(int argc, char **argv)
{
    static struct settings settings; // a task that was left to itself may still have its sent_text
    int parsed = take_arguments(&settings, argc, argv);
    int code = parsed == PARSED_ALL ? EXIT_DONE : EXIT_USAGE;
    if (parsed == 0)
        code = connect_run(&settings);
    free_arguments(&settings);
    return code;
}
