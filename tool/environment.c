// What a program that doorbell starts finds in its environment.

#include "environment.h"

#include "tool.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENVIRONMENT_MADE = 16 };

static bool may_pass(const char *text)
{
    static const char *const names[] = {"PATH=", "HOME=", "USER=", "TERM=", "TZ=", "LANG=", "LC_"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(text, names[i], strlen(names[i])))
            return true;
    return false;
}

__attribute__((format(printf, 2, 3))) static void set(struct environment *environment,
                                                      const char *format, ...)
{
    char *text = environment->own + environment->used;
    size_t room = sizeof environment->own - environment->used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room)
        return; // left out rather than cut
    make_printable(text);
    environment->texts[environment->count++] = text;
    environment->used += (size_t)length + 1;
}

// "tcp:127.0.0.1:4000" or "tcp:[::1]:4000" as two texts.
static void set_tcp_end(struct environment *environment, const char *end, const char *address)
{
    const char *host = address + strlen("tcp:");
    const char *port = strrchr(host, ':');
    if (!port)
        return;
    bool in_brackets = host[0] == '[';
    int size = (int)(port - host) - 2 * in_brackets;
    set(environment, "TCP%sIP=%.*s", end, size, host + in_brackets);
    set(environment, "TCP%sPORT=%s", end, port + 1);
}

static void set_unix(struct environment *environment, const char *local, int fd)
{
    struct ucred caller;
    socklen_t size = sizeof caller;
    set(environment, "PROTO=UNIX");
    set(environment, "UNIXLOCALPATH=%s", local + strlen("unix:"));
    set(environment, "UNIXLOCALUID=%u", (unsigned)getuid());
    set(environment, "UNIXLOCALGID=%u", (unsigned)getgid());
    set(environment, "UNIXLOCALPID=%d", (int)getpid()); // who took the call, not who answers
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &caller, &size) < 0)
        return;
    set(environment, "UNIXREMOTEEUID=%u", (unsigned)caller.uid);
    set(environment, "UNIXREMOTEEGID=%u", (unsigned)caller.gid);
    set(environment, "UNIXREMOTEPID=%d", (int)caller.pid);
}

void environment_make(struct environment *environment, bell_conn *conn, int fd)
{
    const char *peer = bell_peer(conn), *local = bell_local(conn);
    environment->used = 0;
    environment->count = 0;
    for (char **text = environ; *text; text++)
        if (may_pass(*text) && environment->count < ENVIRONMENT_TEXTS - ENVIRONMENT_MADE)
            environment->texts[environment->count++] = *text;
    set(environment, "PEER=%s", peer);
    set(environment, "LOCAL=%s", local);
    if (!strncmp(local, "tcp:", 4)) {
        set(environment, "PROTO=TCP");
        set_tcp_end(environment, "REMOTE", peer);
        set_tcp_end(environment, "LOCAL", local);
    } else {
        set_unix(environment, local, fd);
    }
    environment->texts[environment->count] = NULL;
}
