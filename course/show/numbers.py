"""Which port numbers the sockets of a connection have, and whether TCP and UDP share theirs."""

import socket

door = socket.create_server(("127.0.0.1", 0))
port = door.getsockname()[1]
caller = socket.create_connection(("127.0.0.1", port))
connection, _ = door.accept()
print("accept gives a new descriptor:", connection.fileno() != door.fileno())
print("with a new port:", connection.getsockname()[1] != port)
print("the caller's peer has another port than it connected to:", caller.getpeername()[1] != port)
print("the two ends are mirror images:",
      (caller.getsockname(), caller.getpeername()) == (connection.getpeername(), connection.getsockname()))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mailbox:
    mailbox.bind(("127.0.0.1", port))
    print("a UDP socket has the same number at the same time:", mailbox.getsockname()[1] == port)
