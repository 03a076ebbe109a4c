"""Does what one send sends arrive in one recv?"""

import socket

door = socket.create_server(("127.0.0.1", 0))
caller = socket.create_connection(door.getsockname())
connection, _ = door.accept()
caller.send(b"ab")
caller.send(b"cd")
connection.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL)  # until all of it is there
print("TCP: two sends, one recv:", connection.recv(100))
caller.send(b"abcd")
print("TCP: one send, two recvs:", connection.recv(3), connection.recv(3))

mailbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mailbox.bind(("127.0.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for text in (b"ab", b"cd", b""):
    sender.sendto(text, mailbox.getsockname())
print("UDP: three sends, three recvs:", mailbox.recv(100), mailbox.recv(100), mailbox.recv(100))
sender.sendto(b"abcd", mailbox.getsockname())
sender.sendto(b"next", mailbox.getsockname())
print("UDP: a small buffer:", mailbox.recv(3), "and then", mailbox.recv(100))
