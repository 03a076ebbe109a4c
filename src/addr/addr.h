// Addresses as people write them, and as the kernel has them. Data only: no I/O, no name lookup.
//
//     7464                      a port of this machine, on loopback, both families (so is :7464)
//     host:7464 host:http       a name or an address, and a port or a service
//     [::1]:7464                IPv6 addresses in brackets; [fe80::1%eth0]:7464 with an interface
//     *:7464                    every interface
//     /tmp/x.sock ./x.sock      a Unix socket: anything with a slash
//     @name                     a Unix socket in the abstract namespace
//     fd:3                      an inherited descriptor
//     tcp: tcp4: tcp6: unix:    in front of these, in any case of letters
//     udp: udp4: udp6: unixgram:  the same for datagrams; udp:239.1.2.3%eth0:7464 is a multicast group on
//                               an interface, unixgram:@ a name that the kernel chooses
//     unixpacket:               a Unix socket whose connections carry messages
//     tcp://host:7464           the same as a URL: tcp://host:7464/, unix:///tmp/x.sock, fd://3
//
// An empty host is loopback and not every interface, as it is in some other programs: nobody should
// open a server to the network by leaving something out. What comes first decides: tcp:80 is port
// 80, and a host whose name is tcp is written tcp:tcp:80. No part of a URL is percent-decoded, but
// for the form that RFC 6874 gives interfaces, [fe80::1%25eth0].

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum addr_scheme { ADDR_INET, ADDR_UNIX, ADDR_FD };
enum addr_family { ADDR_ANY, ADDR_V4, ADDR_V6 };

// ADDR_TEXT_SIZE has room for every text that addr_print and addr_describe write.
enum { ADDR_HOST_SIZE = 256, ADDR_PORT_SIZE = 64, ADDR_PATH_SIZE = 108, ADDR_TEXT_SIZE = 448 };

struct addr {
    enum addr_scheme scheme;
    int type;                  // SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET; 0 for fd:
    enum addr_family family;   // what tcp4: and udp6: ask for, or what a numeric host is
    bool wildcard;             // every interface; host is ""
    bool loopback_default;     // only a port was given (host is ""), or the host is localhost
    char host[ADDR_HOST_SIZE]; // without brackets; a % and an interface may stand behind a number
    char port[ADDR_PORT_SIZE]; // a number from 0 to 65535, or the name of a service
    char path[ADDR_PATH_SIZE]; // as in sockaddr_un: an abstract one begins with NUL
    size_t path_size;          // bytes of it that count, with the NUL at the end of a file's path
    int fd;                    // -1 unless it is one
};

// Reads an address. On failure ret_addr is left alone, and `why` gets the reason, in printable
// ASCII ("port 70000 is above 65535"); it may be NULL when why_size is 0; 256 bytes are enough.
//
// Returns 0; -EINVAL; -ENAMETOOLONG for a host, port or path that no socket can have; or
// -EPROTONOSUPPORT for a scheme that is none, or that is known and not here yet (tls, ...);
// -ESOCKTNOSUPPORT for sctp:, of which the kernel has more to say.
int addr_parse(const char *text, struct addr *ret_addr, char *why, size_t why_size);

// The number of a port, 0 to 65535; -EINVAL when it is the name of a service, which has to be
// looked up.
int addr_port_number(const char *port);

// The name or number of the interface that stands behind a host, or "".
const char *addr_interface(const struct addr *addr);

// Makes the kernel's form of an address that needs no lookup: of numbers, of every interface, of
// loopback, or of a path. `family` chooses where the address leaves it open; ADDR_ANY is IPv4 then.
//
// Returns the size of the address; -EINVAL when the host, the port or the interface is a name, and
// for fd:; -EAFNOSUPPORT when the address is of the other family.
int addr_to_sockaddr(const struct addr *addr, enum addr_family family,
                     struct sockaddr_storage *ret_address);

// Writes an address as addr_parse reads it: "tcp:db:5432", "tcp6:*:80", "tcp:7464" (on loopback),
// "unix:/tmp/x.sock", "fd:3". Bytes as in addr_print, and returns as that.
size_t addr_describe(const struct addr *addr, char *ret_text, size_t text_size);

// Writes an address of the kernel: "tcp:127.0.0.1:7464", "tcp:[::1]:7464", "unix:/tmp/x.sock",
// "unix:@name", "unix:" for one without a name. IPv4 in IPv6 is written as IPv4; bytes of a path
// that are not printable ASCII, the backslash and the double quote as \xHH.
//
// Returns the length of the text. It always ends in NUL (unless text_size is 0), and in "..." when
// it does not fit.
size_t addr_print(const struct sockaddr *address, socklen_t size, char *ret_text, size_t text_size);

// The same for an address of a socket of another type: "udp:127.0.0.1:7464", "unixgram:@name".
size_t addr_print_of(int type, const struct sockaddr *address, socklen_t size, char *ret_text,
                     size_t text_size);

// Is it a multicast group, or IPv4's address of everybody? (Not the broadcast address of a subnet, which
// only that knows.)
bool addr_is_group(const struct sockaddr *address, socklen_t size);

// Can only this machine be at the other end? True for 127.0.0.0/8, ::1 and Unix sockets.
bool addr_is_loopback(const struct sockaddr *address, socklen_t size);

// A number that stands for the caller's address in limits: an IPv4 address, also one inside an IPv6
// address (::ffff:0:0/96, 64:ff9b::/96), or the first 64 bits of an IPv6 address, since a caller
// has all the rest to himself; never 0. False for those that are exempt: loopback, Unix sockets.
bool addr_key(const struct sockaddr *address, socklen_t size, uint64_t *ret_key);
