"""When a socket gets its address and port."""

import socket


def tell(when, end):
    host, port = end.getsockname()
    print("%-24s %s:%s" % (when, host, port if port == 0 else "(a port)"))


door = socket.create_server(("127.0.0.1", 0))
stream = socket.socket()
tell("TCP, after socket()", stream)
stream.connect(door.getsockname())
tell("TCP, after connect()", stream)
listener = socket.socket()
listener.listen()
tell("TCP, after listen()", listener)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tell("UDP, after socket()", datagrams)
datagrams.sendto(b"", ("127.0.0.1", 9))
tell("UDP, after sendto()", datagrams)
