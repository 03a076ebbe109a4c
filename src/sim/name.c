// Names at the resolver's seam: those of the hosts, of this machine, and numbers.

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "addr/addr.h"
#include "sim/net.h"

struct entry {
    struct addrinfo info;
    struct sockaddr_storage address;
};

static int add(struct addrinfo **list, const struct place *place, const struct addrinfo *hints)
{
    int family = place_is_ipv4(place) ? AF_INET : AF_INET6;
    if (hints->ai_family != AF_UNSPEC && hints->ai_family != family)
        return 0;
    struct entry *entry = world_give(sizeof *entry);
    entry->info.ai_family = family;
    entry->info.ai_socktype = hints->ai_socktype;
    entry->info.ai_addr = (struct sockaddr *)&entry->address;
    entry->info.ai_addrlen = sizeof entry->address;
    place_write(place, family, entry->info.ai_addr, &entry->info.ai_addrlen);
    while (*list)
        list = &(*list)->ai_next;
    *list = &entry->info;
    return 1;
}

static bool read_number(const char *name, struct place *place)
{
    struct in_addr four;
    if (inet_pton(AF_INET, name, &four) == 1) {
        memset(place->ip, 0, 16);
        place->ip[10] = place->ip[11] = 0xff;
        memcpy(place->ip + 12, &four, 4);
        return true;
    }
    return inet_pton(AF_INET6, name, place->ip) == 1;
}

static void add_numbers(struct addrinfo **list, const char *six, const char *four, uint16_t port,
                        const struct addrinfo *hints)
{
    struct place place = {.port = port};
    if (read_number(six, &place))
        (void)add(list, &place, hints);
    if (read_number(four, &place))
        (void)add(list, &place, hints);
}

static int add_host(struct addrinfo **list, const char *name, uint16_t port,
                    const struct addrinfo *hints)
{
    const struct host *host = host_by_name(name);
    if (!host)
        return EAI_NONAME;
    struct place like = {.port = port}, place = {.port = port};
    host_address(host, &like, &place);
    (void)add(list, &place, hints);
    like.ip[10] = like.ip[11] = 0xff;
    host_address(host, &like, &place);
    (void)add(list, &place, hints);
    return 0;
}

int name_lookup(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    struct addrinfo *list = NULL;
    int port = service ? addr_port_number(service) : 0;
    int code = port < 0 ? EAI_SERVICE : 0;
    struct place place = {.port = (uint16_t)port};
    if (code == 0 && !name && (hints->ai_flags & AI_PASSIVE))
        add_numbers(&list, "::", "0.0.0.0", place.port, hints);
    else if (code == 0 && (!name || !strcmp(name, "localhost")))
        add_numbers(&list, "::1", "127.0.0.1", place.port, hints);
    else if (code == 0 && read_number(name, &place))
        (void)add(&list, &place, hints);
    else if (code == 0)
        code = add_host(&list, name, place.port, hints);
    if (code == 0 && !list)
        code = EAI_ADDRFAMILY;
    if (code == 0)
        *ret_list = list;
    return code;
}

void name_free(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        world_take_back(list); // the first of its entry
        list = next;
    }
}
