"""The sentence client by datagram: asks for each line until it is answered, or given up.

    python3 upper_udp_client.py [HOST [PORT [OWN_PORT]]]     localhost 9876
"""

import socket
import sys

import course

TRIES = 5
FIRST_WAIT = 1.0  # seconds; doubled each time, 31 in all


def ask(family, address, own_port, question):
    """Each question has a socket of its own, so that a late answer is not taken for another one's."""
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        if own_port:
            server.bind(("", own_port))
        server.connect(address)  # others are not heard, and it is told that nobody is there
        for i in range(TRIES):
            server.send(question)
            server.settimeout(FIRST_WAIT * 2 ** i)
            try:
                return server.recv(65536)[:len(question)]  # what is more was not meant for us
            except TimeoutError:
                pass
    raise TimeoutError("no answer to %d datagrams" % TRIES)


host, port, own_port = course.arguments(["localhost", "9876", "0"], "[HOST [PORT [OWN_PORT]]]")
try:
    found = socket.getaddrinfo(host, course.port_of(port, "udp"), type=socket.SOCK_DGRAM)
    for line in sys.stdin.buffer:
        while True:
            family, *_, address = found[0]
            try:
                answer = ask(family, address, course.port_of(own_port, "udp"), line.rstrip(b"\n"))
                break
            except ConnectionRefusedError:
                if len(found) == 1:
                    raise
                found.pop(0)  # nobody is at this address of the name
        sys.stdout.buffer.write(b"FROM SERVER: " + answer + b"\n")
        sys.stdout.buffer.flush()
except OSError as error:
    course.fail("%s:%s: %s" % (host, port, error))
