// Addresses as people write them, and as the kernel has them. Data only: no I/O, no name lookup.
//
//     7464                      a port of this machine, on loopback, both families (so is :7464)
//     host:7464 host:http       a name or an address, and a port or a service
//     [::1]:7464                IPv6 addresses in brackets
//     *:7464                    every interface
//     /tmp/x.sock ./x.sock      a Unix socket: anything with a slash
//     @name                     a Unix socket in the abstract namespace
//     fd:3                      an inherited descriptor
//     tcp: tcp4: tcp6: unix:    in front of these; tcp://host:7464 is the same as a URL

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum addr_scheme { ADDR_TCP, ADDR_UNIX, ADDR_FD };
enum addr_family { ADDR_ANY, ADDR_V4, ADDR_V6 };

enum { ADDR_HOST_SIZE = 256, ADDR_PORT_SIZE = 64, ADDR_PATH_SIZE = 108, ADDR_TEXT_SIZE = 448 };

struct addr {
    enum addr_scheme scheme;
    enum addr_family family;
    bool wildcard;             // every interface; host is ""
    bool loopback_default;     // only a port was given, or the host is localhost
    char host[ADDR_HOST_SIZE]; // without brackets
    char port[ADDR_PORT_SIZE]; // a number from 0 to 65535, or the name of a service
    char path[ADDR_PATH_SIZE]; // as in sockaddr_un: an abstract one begins with NUL
    size_t path_size;          // bytes of it that count, with the NUL at the end of a file's path
    int fd;
};

// Reads an address. On failure `why` gets the reason, in words ("port 70000 is above 65535").
//
// Returns 0, -EINVAL, -ENAMETOOLONG (a path), or -EPROTONOSUPPORT (a scheme that is known, but not
// here: udp, tls, ...).
int addr_parse(const char *text, struct addr *ret_addr, char *why, size_t why_size);

// Writes an address of the kernel: "tcp:127.0.0.1:7464", "tcp:[::1]:7464", "unix:/tmp/x.sock",
// "unix:@name", "unix:" for one without a name. IPv4 in IPv6 is written as IPv4; bytes of a path
// that are not printable ASCII as \xHH. Always NUL-terminated; cut when it does not fit.
void addr_print(const struct sockaddr *address, socklen_t size, char *ret_text, size_t text_size);

// A number that stands for the caller's address in limits: an IPv4 address, or the first 64 bits of an
// IPv6 address; never 0. False for those that are exempt: loopback and Unix sockets.
bool addr_key(const struct sockaddr *address, socklen_t size, uint64_t *ret_key);
