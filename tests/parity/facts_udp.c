// UDP sockets.

#include "parity.h"

static const struct fact facts[] = {
    {"udp(7), borders", "datagrams keep their borders",
     "open B udp; bind B lo; open A udp; connect A B; send A 3; send A 4; rest; "
     "recv B 9 = 3; recv B 9 = 4"},
    {"udp(7), empty", "an empty datagram is received as 0",
     "open B udp; bind B lo; open A udp; connect A B; send A 0; rest; look B in = in; "
     "recv B 9 = 0"},
    {"recv(2), UDP EAGAIN", "no datagram is there", "open B udp; bind B lo; recv B 9 = EAGAIN"},
    {"recv(2), UDP cut", "the rest of a datagram is lost",
     "open B udp; bind B lo; open A udp; connect A B; send A 7; send A 2; rest; "
     "recvm B 3 = 3 cut; recv B 9 = 2"},
    {"recv(2), UDP MSG_TRUNC", "the whole length of a datagram is told",
     "open B udp; bind B lo; open A udp; connect A B; send A 7; rest; trunc B 3 = 7"},
    {"recv(2), UDP MSG_PEEK", "a peek leaves the datagram",
     "open B udp; bind B lo; open A udp; connect A B; send A 7; rest; peek B 9 = 7; "
     "recv B 9 = 7"},
    {"recvfrom(2)", "the sender's address is told",
     "open B udp; bind B lo; open A udp; bind A lo; sendto A B 5; rest; "
     "recvfrom B A 9 = 5 from A"},
    {"udp(7), the first send", "a socket gets a port when it sends",
     "open B udp; bind B lo; open A udp; sendto A B 5 = 5; open C udp; name A C = no"},
    {"send(2), EDESTADDRREQ", "without an address it is not known to whom",
     "open A udp; send A 1 = EDESTADDRREQ"},
    {"send(2), EMSGSIZE", "a datagram has 65507 bytes at most",
     "open B udp; bind B lo; open A udp; connect A B; send A 65508 = EMSGSIZE"},
    {"udp(7), the largest", "65507 bytes can be sent",
     "open B udp; bind B lo; open A udp; connect A B; send A 65507 = 65507; rest; "
     "recv B 70000 = 65507"},
    {"udp(7), ECONNREFUSED", "a connected socket hears that nobody is there",
     "open B udp; bind B lo; open A udp; connect A B; close B; send A 1; rest; "
     "recv A 1 = ECONNREFUSED"},
    {"udp(7), ECONNREFUSED once", "it hears it once",
     "open B udp; bind B lo; open A udp; connect A B; close B; send A 1; rest; "
     "recv A 1 = ECONNREFUSED; recv A 1 = EAGAIN"},
    {"udp(7), a send tells", "the next send tells it, and is not sent",
     "open B udp; bind B lo; open A udp; connect A B; close B; send A 1; rest; "
     "send A 1 = ECONNREFUSED; send A 1 = 1"},
    {"udp(7), SO_ERROR", "the error can be asked for",
     "open B udp; bind B lo; open A udp; connect A B; close B; send A 1; rest; "
     "get A error = ECONNREFUSED; recv A 1 = EAGAIN"},
    {"connect(2), UDP filters", "a connected socket hears only its peer",
     "open B udp; bind B lo; open A udp; bind A lo; connect A B; open C udp; "
     "sendto C A 3; rest; recv A 9 = EAGAIN"},
    {"connect(2), UDP again", "a datagram socket may connect elsewhere",
     "open B udp; bind B lo; open C udp; bind C lo; open A udp; connect A B; connect A C; "
     "send A 3; rest; recv C 9 = 3"},
    {"connect(2), AF_UNSPEC", "AF_UNSPEC dissolves it",
     "open B udp; bind B lo; open A udp; connect A B; connect A none; "
     "send A 1 = EDESTADDRREQ"},
    {"getpeername(2), UDP", "the peer of a connected UDP socket",
     "open B udp; bind B lo; open A udp; connect A B; peer A B = yes"},
    {"getpeername(2), UDP ENOTCONN", "an unconnected UDP socket has none",
     "open A udp; bind A lo; peer A A = ENOTCONN"},
    {"shutdown(2), UDP", "an unconnected UDP socket has nothing to end",
     "open A udp; bind A lo; shut A r = ENOTCONN"},
    {"shutdown(2), UDP SHUT_RD", "after SHUT_RD an empty UDP socket is still only empty",
     "open B udp; bind B lo; open A udp; connect A B; shut A r; recv A 9 = EAGAIN"},
    {"shutdown(2), UDP SHUT_WR", "after SHUT_WR a UDP socket sends nothing",
     "open B udp; bind B lo; open A udp; connect A B; shut A w; send A 1 = EPIPE"},
    {"listen(2), UDP", "UDP does not listen", "open A udp; bind A lo; listen A 1 = EOPNOTSUPP"},
    {"accept(2), UDP", "UDP does not accept", "open A udp; bind A lo; accept A B = EOPNOTSUPP"},
    {"bind(2), UDP EADDRINUSE", "two UDP sockets do not have one address",
     "open A udp; bind A lo; open B udp; bind B to A = EADDRINUSE"},
    {"socket(7), UDP SO_REUSEADDR", "UDP sockets that want to may share one",
     "open A udp; set A reuse 1; bind A lo; open B udp; set B reuse 1; bind B to A"},
    {"ip(7), TCP and UDP", "ports of TCP are not those of UDP",
     "open A tcp; bind A lo; listen A 1; open B udp; bind B to A"},
    {"sendto(2), port 0", "nobody has the port 0", "open A udp; sendto A port0 1 = EINVAL"},
    {"sendmsg(2), UDP", "pieces are one datagram",
     "open B udp; bind B lo; open A udp; connect A B; sendv A 3 4; rest; recv B 9 = 7"},
    {"udp(7), order on loopback", "datagrams on loopback come in order",
     "open B udp; bind B lo; open A udp; connect A B; order A B = ab"},
    {"udp(7), IPv6", "UDP over IPv6 loopback",
     "open B udp6; bind B lo; open A udp6; connect A B; send A 5; rest; recv B 9 = 5"},
    {"close(2), UDP", "what was sent before the close arrives",
     "open B udp; bind B lo; open A udp; connect A B; send A 5; close A; rest; "
     "recv B 9 = 5"},
    {"sendto(2), connected", "a connected socket may send to another",
     "open B udp; bind B lo; open C udp; bind C lo; open A udp; connect A B; "
     "sendto A C 4; rest; recv C 9 = 4; recv B 9 = EAGAIN"},
};

const struct group facts_udp = {"udp", facts, sizeof facts / sizeof *facts, NULL};
