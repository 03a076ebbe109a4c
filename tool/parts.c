// Several services of one server.

#include "parts.h"

#include "files.h"
#include "serve.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>

// ---- The command line -------------------------------------------------------------------------

void parts_list_services(char *ret_list, size_t size)
{
    size_t used = 0;
    for (const struct service *at = services; at->name && used < size; at++)
        used += (size_t)snprintf(ret_list + used, size - used, "%s%s", used ? ", " : "", at->name);
}

// What is not meant to be sent: 7464, host:port, a path, @name. Without blanks.
static bool may_be_address(const char *word)
{
    if (strpbrk(word, " \t\n"))
        return false;
    return word[0] == '@' || strpbrk(word, ":/") || strspn(word, "0123456789") == strlen(word);
}

static const struct service *find_service(const char *word)
{
    const char *names[32] = {NULL};
    char list[SERVICES_TEXT];
    for (int i = 0; services[i].name; i++) {
        names[i] = services[i].name;
        if (!strcmp(word, services[i].name))
            return &services[i];
    }
    const char *near = nearest(word, names);
    parts_list_services(list, sizeof list);
    if (near)
        complain("there is no service %.60s; did you mean %s?", word, near);
    else if (*word && may_be_address(word))
        complain("%.200s is an address; a service comes first: doorbell serve echo %.200s", word,
                 word);
    else
        complain("there is no service %.60s; there are %s", shown(word), list);
    return NULL;
}

// A line, for people who read it at a terminal.
static bool take_text(struct serving *serving, const char *text)
{
    char *line = NULL;
    bool whole = text[0] && text[strlen(text) - 1] == '\n';
    if (asprintf(&line, "%s%s", text, whole ? "" : "\r\n") < 0) {
        complain("out of memory");
        return false;
    }
    serving->manner.text = line;
    return true;
}

// What belongs to a service: the text of quote, the folder of files. False after a complaint.
static bool take_operand(struct serving *serving, const struct service *service, char **argv,
                         int *at)
{
    bool is_files = service->handler == serve_files;
    if (is_files && (!argv[*at] || serving->folder)) {
        complain(serving->folder ? "files can be there once, with one folder"
                                 : "files needs a folder: doorbell serve files DIR [ADDRESS...]");
        return false;
    }
    if (is_files)
        serving->folder = argv[(*at)++];
    else if (!strcmp(service->name, "quote") && argv[*at] && strcmp(argv[*at], "and") != 0 &&
             !may_be_address(argv[*at]))
        return take_text(serving, argv[(*at)++]);
    return true;
}

// Takes a service and its addresses, up to an "and". The addresses of all services are moved together, to
// where `to` is.
static bool take_part(struct serving *serving, char **argv, int *at, int *to)
{
    struct part *part = &serving->parts.list[serving->parts.count++];
    part->service = find_service(argv[(*at)++]);
    if (!part->service || !take_operand(serving, part->service, argv, at))
        return false;
    for (; argv[*at] && strcmp(argv[*at], "and") != 0; part->addresses++)
        argv[(*to)++] = argv[(*at)++];
    if (part->addresses > 0 || (serving->parts.count == 1 && !argv[*at]))
        return true;
    complain("%s needs an address: of several services each has its own", part->service->name);
    return false;
}

bool parts_take(struct serving *serving, char **words)
{
    int at = 0, to = 0;
    while (take_part(serving, words, &at, &to)) {
        bool is_all = !words[at];
        if (is_all) {
            words[to] = NULL;
            return true;
        }
        if (!words[++at])
            complain("and which other service?");
        else if (serving->parts.count == PARTS_MAX)
            complain("a server may have %d services", PARTS_MAX);
        else
            continue;
        break;
    }
    return false;
}

// ---- Who is called ----------------------------------------------------------------------------------

bool parts_have(const struct parts *parts, const char *name)
{
    for (int i = 0; i < parts->count; i++)
        if (!strcmp(parts->list[i].service->name, name))
            return true;
    return false;
}

enum { IS_OTHER, IS_WIDER, IS_WIDE, IS_SAME };

// How well a listening socket fits the address that was called. One of every interface is called at some
// address of this machine, and the port is what counts; that of IPv6 takes callers of IPv4 as well, unless
// there is one of theirs.
static int fit(const char *listener, const char *local)
{
    const char *port = strrchr(listener, ':'), *called = strrchr(local, ':');
    bool is_ipv6 = !strncmp(local, "tcp:[", 5);
    if (!strcmp(listener, local))
        return IS_SAME;
    if (strncmp(local, "tcp:", 4) != 0 || !port || !called || strcmp(port, called) != 0)
        return IS_OTHER;
    if (!strncmp(listener, "tcp:[::]:", 9))
        return is_ipv6 ? IS_WIDE : IS_WIDER;
    return !is_ipv6 && !strncmp(listener, "tcp:0.0.0.0:", 12) ? IS_WIDE : IS_OTHER;
}

// The number of the socket that was called, or -1.
static int find_listener(const bell_server *server, const char *local)
{
    const char *listener;
    int best = IS_OTHER, found = -1;
    for (int i = 0; (listener = bell_server_address(server, i)) != NULL; i++) {
        int how = fit(listener, local);
        if (how <= best)
            continue;
        best = how;
        found = i;
    }
    return found;
}

const struct service *parts_of_stream(const struct parts *parts, int number)
{
    for (int i = 0; i < parts->count; i++)
        if (number >= 0 && number < parts->list[i].streams)
            return parts->list[i].service;
    return NULL;
}

const struct service *parts_of_dgram(const struct parts *parts, int number)
{
    for (int i = 0; i < parts->count; i++)
        if (number >= 0 && number < parts->list[i].dgrams)
            return parts->list[i].service;
    return NULL;
}

const struct service *parts_of_caller(const struct parts *parts, bell_conn *conn)
{
    if (parts->count == 1)
        return parts->list[0].service;
    return parts_of_stream(parts, find_listener(bell_conn_server(conn), bell_local(conn)));
}

const struct service *parts_of_socket(const struct parts *parts, bell_dgram *dgram)
{
    if (parts->count == 1)
        return parts->list[0].service;
    return parts_of_dgram(parts, find_listener(bell_dgram_server(dgram), bell_dgram_local(dgram)));
}
