// What the tests of servers in a foreign loop share: what is counted, and who calls.

#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "door/door.h"

static inline struct bell_counts counts_of(bell_server *server)
{
    struct bell_counts all;
    bell_server_counts(server, &all);
    return all;
}

// A socket of this type, SOCK_STREAM or SOCK_DGRAM, that is connected to an address of the server.
static inline int call_server(bell_server *server, int index, int type)
{
    const char *text = bell_server_address(server, index);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)strtol(strrchr(text, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, type, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}
