// doorbell connect, once it is known what is wanted: it calls, or with -l it is called.

#include "ask.h"
#include "connect.h"
#include "exchange.h"
#include "holder.h"
#include "openly.h"
#include "play.h"
#include "sockopts.h"
#include "terminal.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- Calling ----------------------------------------------------------------------------------

// When both have ended there is nothing to linger for; when we end before them, because what was expected
// has come, nobody wants to wait.
#define LINGER_TIME (50 * BELL_MS)
#define RETRY_PAUSE_MIN (10 * BELL_MS)
#define RETRY_PAUSE_MAX (250 * BELL_MS)

// Whether it may be otherwise a little later.
static bool may_come(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EAGAIN:
        return true;
    default:
        return false;
    }
}

static struct bell_options how_to_call(const struct settings *settings)
{
    return (struct bell_options){
        .size = sizeof(struct bell_options),
        .timeout = settings->timeout ? settings->timeout : 10 * BELL_SECOND,
        .bind = settings->bind_address,
        .linger_time = LINGER_TIME,
        .sockopts = settings->sockopt_text,
        .flags = settings->common.flags,
    };
}

// Calls until somebody answers, or the time of --wait is over.
static bell_conn *call(const struct settings *settings)
{
    struct bell_options how = how_to_call(settings);
    int64_t until = settings->wait ? bell_in(settings->wait) : 0;
    int64_t pause = RETRY_PAUSE_MIN;
    for (;;) {
        bell_conn *conn = bell_connect(settings->address, &how);
        int64_t left = until - bell_now();
        if (conn || !may_come(errno) || left <= 0)
            return conn;
        int error = errno;
        if (bell_sleep(pause < left ? pause : left) < 0)
            return NULL;
        pause = pause < RETRY_PAUSE_MAX ? 2 * pause : pause;
        errno = error;
    }
}

static void tell_connected(bell_conn *conn, const struct settings *settings, int64_t took)
{
    double ms = (double)took / (double)BELL_MS;
    bool somebody_looks = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    bool is_told =
        settings->check && socket_type(bell_fd(conn)) != SOCK_DGRAM; // else it proves nothing
    if (is_told || settings->common.verbose > 0 ||
        (somebody_looks && !settings->send && !settings->check))
        note("connected to %s from %s in %.2f ms", bell_peer(conn), bell_local(conn), ms);
    if (settings->common.verbose > 0)
        sockopts_note(bell_fd(conn), settings->sockopt_text);
    tell("connected", "s:s, s:s, s:f", "peer", bell_peer(conn), "local", bell_local(conn), "ms",
         ms);
}

// As its kind of socket has it.
static int talk_to(bell_conn *conn, const struct talk *talk, bool owned)
{
    int type = socket_type(bell_fd(conn));
    bool asks = owned && !talk->no_retry && !talk->send_only && !talk->recv_only;
    if (type == SOCK_STREAM)
        return converse(conn, talk, owned);
    return type == SOCK_DGRAM && asks ? ask(conn, talk) : exchange(conn, talk, owned);
}

// The kernel says "refused" of every file that is no socket, too.
static bool is_other_file(const char *address)
{
    struct stat status;
    const char *path = strstr(address, ":/") ? strchr(address, ':') + 1 : address;
    return strchr(path, '/') && stat(path, &status) == 0 && !S_ISSOCK(status.st_mode);
}

static int complain_of_calling(const char *address, int error)
{
    if (error == ECONNREFUSED && is_other_file(address))
        complain("connect %.200s: there is a file that is no socket", address);
    else
        complain("%s", bell_error());
    return (int)exit_code_of(error);
}

static int call_and_converse(const struct settings *settings)
{
    int64_t began = bell_now();
    bell_conn *conn = call(settings);
    if (!conn)
        return complain_of_calling(settings->address, errno);
    tell_connected(conn, settings, bell_now() - began);
    bool is_dgram = socket_type(bell_fd(conn)) == SOCK_DGRAM;
    if (!settings->check)
        return talk_to(conn, &settings->talk, true);
    if (is_dgram)
        return ask_whether_there(conn, &settings->talk);
    (void)bell_close(conn);
    return EXIT_DONE;
}

// ---- Being called -----------------------------------------------------------------------------

struct reception {
    const struct settings *settings;
    bool taken;
    int code;
};

// The first caller is the one; who else is in the queue is sent away.
static int receive_caller(bell_conn *conn, void *arg)
{
    struct reception *reception = arg;
    if (reception->taken)
        return -1;
    reception->taken = true;
    bell_server_stop(bell_conn_server(conn));
    if (reception->settings->common.verbose > 0 || isatty(STDERR_FILENO))
        note("called by %s", bell_peer(conn));
    tell("connected", "s:s, s:s", "peer", bell_peer(conn), "local", bell_local(conn));
    reception->code = talk_to(conn, &reception->settings->talk, false);
    return reception->code;
}

static void tell_listening(const struct bell_event *event, void *arg)
{
    (void)arg;
    if (event->kind == BELL_EVENT_LISTENING) {
        note("%s", event->text);
        tell("listening", "s:s", "address", event->text + strlen("listening on "));
    } else if (event->kind == BELL_EVENT_TROUBLE) {
        complain("%s", event->text);
    }
}

static int be_called(const struct settings *settings)
{
    struct reception reception = {.settings = settings};
    struct bell_server_options how = {
        .size = sizeof how,
        .name = "connect",
        .model = "coroutines",
        .workers = 1,
        .grace = BELL_NEVER,
        .linger_time = LINGER_TIME,
        .sockopts = settings->sockopt_text,
        .flags = settings->common.flags,
        .log = tell_listening,
    };
    bell_server *server = bell_server_open(receive_caller, &reception, &how);
    if (!server) {
        reception.code = (int)exit_code_of_listen(errno);
        complain("%s", bell_error());
    } else if (bell_server_listen(server, settings->address) < 0) {
        reception.code = (int)exit_code_of_listen(errno);
        complain_of_listening(settings->address, errno, true);
    } else if (bell_server_run(server) < 0 && !reception.code) {
        reception.code = (int)exit_code_of(errno);
        complain("%s", bell_error());
    }
    bell_server_close(server);
    return reception.code;
}

// ---- As it is written -------------------------------------------------------------------------

static int play_script(const struct settings *settings)
{
    struct bell_options how = how_to_call(settings);
    return play(&(struct play_settings){
        .name = settings->script_file ? settings->script_file : "--do",
        .script = &settings->script,
        .address = settings->address,
        .how = &how,
        .listen = settings->listen,
    });
}

// Datagrams of a socket that is not connected; false: one that is would do.
static bool run_openly(const struct settings *settings, int *ret_code)
{
    const struct bell_options how = how_to_call(settings);
    const struct talk *talk = &settings->talk;
    bool to_many = !settings->listen && is_to_many(settings->address, how.sockopts);
    if (settings->listen) {
        *ret_code = listen_openly(settings->address, &how, talk);
    } else if (to_many && settings->check) {
        complain("--check makes no sense with many: %.200s", settings->address);
        *ret_code = EXIT_USAGE;
    } else if (to_many) {
        *ret_code = call_openly(settings->address, &how, talk);
    }
    return settings->listen || to_many;
}

static void complete_talk(struct settings *settings)
{
    struct talk *talk = &settings->talk;
    bool may_type = !settings->check && !settings->send && !talk->recv_only;
    talk->verbose = settings->common.verbose;
    talk->listens = settings->listen;
    talk->timeout = settings->timeout;
    talk->wait = settings->wait;
    if (may_type && socket_type_of(settings->address) == SOCK_STREAM)
        talk->terminal = terminal_begin();
}

int connect_run(struct settings *settings)
{
    int code;
    if (is_scripted(settings))
        return play_script(settings);
    complete_talk(settings);
    if (socket_type_of(settings->address) == SOCK_DGRAM && run_openly(settings, &code))
        return code;
    return settings->listen ? be_called(settings) : call_and_converse(settings);
}
