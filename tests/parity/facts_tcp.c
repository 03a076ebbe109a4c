// TCP sockets are opened, bound and connected.

#include "parity.h"

static const struct fact facts[] = {
    {"socket(2), EAFNOSUPPORT", "a family that is none has no sockets",
     "open A family99 = EAFNOSUPPORT"},
    {"socket(2), ESOCKTNOSUPPORT", "a type that is none has no sockets",
     "open A raw7 = ESOCKTNOSUPPORT"},
    {"bind(2), EADDRNOTAVAIL", "only an address of this machine can be bound",
     "open A tcp; bind A far = EADDRNOTAVAIL"},
    {"bind(2), EINVAL", "a socket is bound once", "open A tcp; bind A lo; bind A lo = EINVAL"},
    {"bind(2), EINVAL: addrlen", "an address must be whole", "open A tcp; bind A short = EINVAL"},
    {"bind(2), EBADF", "a closed descriptor cannot be bound",
     "open A tcp; closes A; bind A lo = EBADF"},
    {"bind(2), ENOTSOCK", "what is no socket cannot be bound", "event A; bind A lo = ENOTSOCK"},
    {"bind(2), EADDRINUSE", "two sockets do not have one address",
     "open A tcp; bind A lo; open B tcp; bind B to A = EADDRINUSE"},
    {"ip(7), EADDRINUSE", "every interface includes loopback",
     "open A tcp; bind A lo; listen A 1; open B tcp; set B reuse 1; "
     "bind B to A = EADDRINUSE"},
    {"socket(7), SO_REUSEADDR", "two that do not listen may share an address when both want to",
     "open A tcp; set A reuse 1; bind A lo; open B tcp; set B reuse 1; bind B to A"},
    {"socket(7), SO_REUSEADDR: all of them", "one that wants to share is not enough",
     "open A tcp; bind A lo; open B tcp; set B reuse 1; bind B to A = EADDRINUSE"},
    {"socket(7), SO_REUSEPORT", "two that listen may share a port when both want to",
     "open A tcp; set A reuseport 1; bind A lo; listen A 1; open B tcp; "
     "set B reuseport 1; bind B to A; listen B 1"},
    {"listen(2), EADDRINUSE", "of two that share an address only one may listen",
     "open A tcp; set A reuse 1; bind A lo; open B tcp; set B reuse 1; bind B to A; "
     "listen A 1; listen B 1 = EADDRINUSE"},
    {"ip(7), port 0", "a port is chosen at bind",
     "open A tcp; bind A lo; open B tcp; bind B lo; name A B = no; name A A = yes"},
    {"listen(2), ephemeral port", "a listener that was not bound gets a port",
     "open A tcp; listen A 1; get A listens = 1"},
    {"listen(2)", "listening may be asked for again",
     "open A tcp; bind A lo; listen A 1; listen A 7"},
    {"listen(2), EINVAL", "a connected socket does not listen",
     "pair A B tcp; listen A 1 = EINVAL"},
    {"socket(7), SO_ACCEPTCONN", "before listen nobody listens",
     "open A tcp; bind A lo; get A listens = 0"},
    {"getsockname(2)", "an unbound socket has a name with nothing in it",
     "open A tcp; length A = 16; open B tcp; name A B = yes"},
    {"getsockname(2), IPv6", "the name of an IPv6 socket has 28 bytes",
     "open A tcp6; bind A lo; length A = 28"},
    {"getpeername(2), ENOTCONN", "without a peer there is no name of it",
     "open A tcp; bind A lo; peer A A = ENOTCONN"},
    {"getpeername(2)", "the peer's name is what it calls itself",
     "pair A B tcp; peer A B = yes; peer B A = yes"},
    {"accept(2)", "an accepted socket has the listener's port",
     "open L tcp; bind L lo; listen L 1; open A tcp; connect A L = EINPROGRESS; rest; "
     "accept L B; name B L = yes"},
    {"connect(2), EINPROGRESS", "a non-blocking connect is under way",
     "open L tcp; bind L lo; listen L 1; open A tcp; connect A L = EINPROGRESS"},
    {"connect(2), non-blocking",
     "the second connect tells of success, the third that it is connected",
     "open L tcp; bind L lo; listen L 1; open A tcp; connect A L = EINPROGRESS; rest; "
     "connect A L = 0; connect A L = EISCONN"},
    {"connect(2), ECONNREFUSED", "nobody listens there",
     "open B tcp; bind B lo; open A tcp; connect A B = EINPROGRESS; rest; "
     "connect A B = ECONNREFUSED"},
    {"socket(7), SO_ERROR", "the error of a connect is asked for once",
     "open B tcp; bind B lo; open A tcp; connect A B = EINPROGRESS; rest; "
     "get A error = ECONNREFUSED; get A error = 0"},
    {"connect(2), the state afterwards", "after a refusal it may try another one",
     "open B tcp; bind B lo; open A tcp; connect A B = EINPROGRESS; rest; "
     "connect A B = ECONNREFUSED; open L tcp; bind L lo; listen L 1; "
     "connect A L = EINPROGRESS; rest; connect A L = 0"},
    {"connect(2), EISCONN", "a listener does not connect",
     "open L tcp; bind L lo; listen L 1; open M tcp; bind M lo; listen M 1; "
     "connect L M = EISCONN"},
    {"connect(2), addrlen", "the address must be of the socket's family",
     "open L tcp; bind L lo; listen L 1; open A tcp6; connect A L = EINVAL"},
    {"connect(2), ENOTSOCK", "an eventfd does not connect",
     "event A; open L tcp; bind L lo; connect A L = ENOTSOCK"},
    {"accept(2), EAGAIN", "nobody is there to be accepted",
     "open L tcp; bind L lo; listen L 1; accept L A = EAGAIN"},
    {"accept(2), EINVAL", "only a listener accepts", "open L tcp; bind L lo; accept L A = EINVAL"},
    {"accept(2), the first connection", "callers are accepted in their order",
     "open L tcp; bind L lo; listen L 5; open A tcp; connect A L = EINPROGRESS; rest; "
     "open B tcp; connect B L = EINPROGRESS; rest; accept L C; accept L D; "
     "peer C A = yes; peer D B = yes"},
    {"listen(2), backlog", "a backlog of 0 takes one caller",
     "open L tcp; bind L lo; listen L 0; open A tcp; connect A L = EINPROGRESS; rest; "
     "connect A L = 0; open B tcp; connect B L = EINPROGRESS; rest; "
     "connect B L = EALREADY"},
    {"listen(2), backlog: SYNs are ignored", "who waits for room is still connecting",
     "open L tcp; bind L lo; listen L 0; open A tcp; connect A L = EINPROGRESS; rest; "
     "open B tcp; connect B L = EINPROGRESS; rest; look B out = nothing"},
    {"tcp(7)", "what was sent before accept is there",
     "open L tcp; bind L lo; listen L 1; open A tcp; connect A L = EINPROGRESS; rest; "
     "send A 5; rest; accept L B; recv B 9 = 5"},
    {"tcp(7), accept after the end", "who sent and left is still accepted",
     "open L tcp; bind L lo; listen L 1; open A tcp; connect A L = EINPROGRESS; rest; "
     "send A 5; close A; rest; accept L B; recv B 9 = 5; recv B 9 = 0"},
    {"send(2), ENOTCONN and EPIPE", "an unconnected TCP socket cannot send",
     "open A tcp; send A 1 = EPIPE"},
    {"send(2), while it connects", "while it connects it would have to wait",
     "open L tcp; bind L lo; listen L 0; open A tcp; connect A L = EINPROGRESS; rest; "
     "open B tcp; connect B L = EINPROGRESS; rest; send B 1 = EAGAIN"},
    {"recv(2), ENOTCONN", "an unconnected TCP socket cannot receive",
     "open A tcp; recv A 1 = ENOTCONN"},
    {"recv(2), a listener", "a listener does not receive",
     "open L tcp; bind L lo; listen L 1; recv L 1 = ENOTCONN"},
    {"recv(2), EAGAIN", "nothing has come", "pair A B tcp; recv A 1 = EAGAIN"},
    {"send(2), size 0", "nothing can be sent",
     "pair A B tcp; send A 0 = 0; rest; recv B 1 = EAGAIN"},
    {"tcp(7), a byte stream", "borders are not kept",
     "pair A B tcp; send A 3; send A 4; rest; recv B 9 = 7"},
    {"recv(2), size", "the rest stays", "pair A B tcp; send A 7; rest; recv B 3 = 3; recv B 9 = 4"},
    {"recv(2), MSG_PEEK", "a peek takes nothing",
     "pair A B tcp; send A 7; rest; peek B 9 = 7; recv B 9 = 7"},
    {"tcp(7), MSG_TRUNC", "bytes can be thrown away",
     "pair A B tcp; send A 7; rest; trunc B 4 = 4; recv B 9 = 3"},
    {"sendmsg(2)", "pieces are sent as one", "pair A B tcp; sendv A 3 4 = 7; rest; recv B 9 = 7"},
    {"RFC 9293, 3.4", "bytes come in order", "pair A B tcp; order A B = ab"},
    {"send(2), EAGAIN", "a full buffer would have to wait",
     "pair A B tcp; fill A = some; look A out = nothing"},
    {"RFC 9293, 3.8.6", "when the other end reads there is room again",
     "pair A B tcp; fill A = some; drain B = EAGAIN; rest; rest; look A out = out"},
    {"ipv6(7), IPV6_V6ONLY", "an IPv6 socket of every interface is that of IPv4, too",
     "open L tcp6; bind L any; open B tcp; bind B to L = EAFNOSUPPORT"},
    {"tcp(7), both families", "a TCP socket over IPv6 loopback connects",
     "open L tcp6; bind L lo; listen L 1; open A tcp6; connect A L = EINPROGRESS; rest; "
     "accept L B; peer B A = yes"},
    {"dup(2)", "a copy of a descriptor is the same socket",
     "pair A B tcp; dup A C; send C 3; rest; recv B 9 = 3"},
    {"dup(2), EBADF", "what is closed has no copy", "open A tcp; closes A; dup A B = EBADF"},
    {"close(2), EBADF", "a descriptor is closed once", "open A tcp; closes A; closes A = EBADF"},
    {"open(2), the lowest descriptor", "a number is free as soon as it is closed",
     "open A tcp; open B tcp; dup A C; close C; dup A D; name A D = yes"},
    {"socketpair(2), EOPNOTSUPP", "the internet has no pairs", "pair A B inet = EOPNOTSUPP"},
};

const struct group facts_tcp = {"tcp", facts, sizeof facts / sizeof *facts, NULL};
