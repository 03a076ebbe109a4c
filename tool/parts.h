// doorbell serve A ... and B ...: several services of one server, each at addresses of its own.

#pragma once

#include "services.h"

#include <stdbool.h>
#include <stddef.h>

enum { PARTS_MAX = 8 };

struct part {
    const struct service *service;
    int addresses;       // on the command line
    int streams, dgrams; // how many listening sockets came before its own ones, and with them
};

struct parts {
    struct part list[PARTS_MAX];
    int count;
};

struct serving;

enum { SERVICES_TEXT = 256 };

// The names of all services that there are.
void parts_list_services(char *ret_list, size_t size);

// Reads the services with what belongs to them, up to a NULL. What is left of `words` then are the addresses
// of all of them, up to a NULL. False after a complaint.
bool parts_take(struct serving *serving, char **words);

// Whether a service of this name is among them.
bool parts_have(const struct parts *parts, const char *name);

// The service of a listening socket, or of a socket of datagrams, by its number in its server; NULL when there
// is none.
const struct service *parts_of_stream(const struct parts *parts, int number);
const struct service *parts_of_dgram(const struct parts *parts, int number);

// The service whose caller this is, by the address that was called. NULL: of none.
const struct service *parts_of_caller(const struct parts *parts, bell_conn *conn);

// The service whose datagrams come there. NULL: of none.
const struct service *parts_of_socket(const struct parts *parts, bell_dgram *dgram);
