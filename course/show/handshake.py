"""Who completes the handshake of TCP: accept, or the kernel before it."""

import socket

door = socket.create_server(("127.0.0.1", 0))
caller = socket.create_connection(door.getsockname())
print("connect has returned, and accept has not been called")
print("send has taken", caller.send(b"ding\n"), "bytes")
caller.close()
print("the caller has closed")
connection, _ = door.accept()
print("accept has returned, and recv gives", connection.recv(100))
