// doorbell connect with a datagram socket that is not connected to anybody.

#include "openly.h"

#include "exchange.h"
#include "holder.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- Groups -----------------------------------------------------------------------------------

static const char *host_of(const char *address)
{
    const char *colon = strchr(address, ':');
    return colon ? colon + 1 + strspn(colon + 1, "/") : address;
}

static bool is_ipv6(const char *host)
{
    return host[0] == '[';
}

static bool is_group(const char *host)
{
    char *end;
    long first = strtol(host, &end, 10);
    return !strncasecmp(host, "[ff", 3) || (*end == '.' && first >= 224 && first <= 239);
}

static bool has_broadcast(const char *sockopts)
{
    return sockopts && strcasestr(sockopts, "broadcast") && !strcasestr(sockopts, "broadcast=0");
}

bool is_to_many(const char *address, const char *sockopts)
{
    return !strncasecmp(address, "udp", 3) &&
           (is_group(host_of(address)) || has_broadcast(sockopts));
}

// ---- Opening ----------------------------------------------------------------------------------

static bell_dgram *open_socket(const char *address, const struct bell_options *how, int *ret_code)
{
    struct bell_options options = *how;
    options.bind = NULL; // it is the address then
    options.linger_time = 0;
    bell_dgram *dgram = bell_dgram_open(address, &options);
    if (dgram)
        return dgram;
    *ret_code = (int)exit_code_of_listen(errno);
    complain_of_listening(address, errno, true);
    return NULL;
}

int listen_openly(const char *address, const struct bell_options *how, const struct talk *talk)
{
    int code;
    bell_dgram *dgram = open_socket(address, how, &code);
    if (!dgram)
        return code;
    note("listening on %s", bell_dgram_local(dgram));
    tell("listening", "s:s", "address", bell_dgram_local(dgram));
    return exchange_openly(dgram, NULL, talk);
}

int call_openly(const char *address, const struct bell_options *how, const struct talk *talk)
{
    char own[300];
    int code;
    struct bell_datagram whom;
    // A group's options are those of its family.
    snprintf(own, sizeof own, "%s:%s", is_ipv6(host_of(address)) ? "udp6" : "udp4",
             how->bind ? how->bind : "*:0");
    bell_dgram *dgram = open_socket(own, how, &code);
    if (!dgram)
        return code;
    if (bell_dgram_find(dgram, address, &whom) == 0)
        return exchange_openly(dgram, &whom, talk);
    code = (int)exit_code_of(errno);
    complain("%s", bell_error());
    (void)bell_dgram_close(dgram);
    return code;
}
