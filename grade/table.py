"""What the kernel tells of TCP sockets, to anybody who asks.

It is asked by netlink, as ss does it. Where that is not allowed, /proc/net/tcp has nearly the same, at a higher price:
many tests on one machine leave thousands of remembered connections (TIME_WAIT), and it lists them all.
"""

import socket
import struct
from typing import NamedTuple, Optional

ESTABLISHED, TIME_WAIT, LISTEN = 1, 6, 10
FILES = ["/proc/net/tcp", "/proc/net/tcp6"]
PAST, EVERY_STATE = 1 << TIME_WAIT, 0xFFF
DIAGNOSIS, DUMP_REQUEST, BY_FAMILY, DONE = 4, 0x301, 20, 3


class Row(NamedTuple):
    address: str  # of this end
    port: int
    peer_port: int
    state: int
    unread: int  # bytes; of a listening socket: callers in its queue
    inode: int   # 0 until it is accepted
    room: Optional[int]  # of a listening socket: how many may be in its queue; None if that is not known
    unsent: int = 0  # bytes, and an end, of which the other end has not said that it has them


def rows(states=EVERY_STATE & ~PAST):
    """All sockets in these states (a bit each)."""
    try:
        return [row for family in (socket.AF_INET, socket.AF_INET6) for row in _ask_kernel(family, states)]
    except OSError:
        return [row for name in FILES for row in _read_table(name) if states >> row.state & 1]


def listening_rows():
    return rows(1 << LISTEN)


def _ask_kernel(family, states):
    request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, states)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, DIAGNOSIS) as netlink:
        netlink.settimeout(5)
        netlink.send(struct.pack("=IHHII", 16 + len(request), BY_FAMILY, DUMP_REQUEST, 1, 0) + request)
        found = []
        while True:
            data = netlink.recv(1 << 16)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                if kind == DONE:
                    return found
                if kind != BY_FAMILY:
                    raise OSError("the kernel does not tell of its sockets")
                found.append(_row_of_message(data[16:size]))
                data = data[(size + 3) & ~3:]


def _row_of_message(message):
    family, state = struct.unpack_from("=BB", message)
    port, peer_port = struct.unpack_from("!HH", message, 4)
    unread, room, _, inode = struct.unpack_from("=IIII", message, 56)
    address = socket.inet_ntop(family, message[8:12] if family == socket.AF_INET else message[8:24])
    return Row(address, port, peer_port, state, unread, inode, room if state == LISTEN else None,
               0 if state == LISTEN else room)


def _read_table(name):
    try:
        with open(name) as table:
            return [_row_of_line(line) for line in table.readlines()[1:]]
    except FileNotFoundError:  # no IPv6 here
        return []


def _row_of_line(line):
    fields = line.split()
    address, port = fields[1].split(":")
    unsent, unread = (int(digits, 16) for digits in fields[4].split(":"))
    return Row(_address_text(address), int(port, 16), int(fields[2].split(":")[1], 16), int(fields[3], 16),
               unread, int(fields[9]), None, unsent)


def _address_text(digits):
    """127.0.0.1 for 0100007F: words of 32 bits in the machine's order."""
    words = [int(digits[i:i + 8], 16) for i in range(0, len(digits), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, struct.pack("=%dI" % len(words), *words))
