// The names of Unix sockets, and the files that go with them: each host has its own.

#pragma once

#include "sim/socket.h"

int local_bind(struct socket_file *socket, const struct sockaddr *address, socklen_t size);
// Who has this name; -ECONNREFUSED, -ENOENT.
int local_find(const struct host *host, const struct sockaddr *address, socklen_t size,
               struct socket_file **ret_socket);
// Nobody is behind the name any more; a file stays.
void local_unname(struct socket_file *socket);
