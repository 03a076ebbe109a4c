"""See course/exercises/udp_client.py."""

import socket
import sys

question = sys.stdin.readline().rstrip("\n").encode()
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect((sys.argv[1], int(sys.argv[2])))  # others are not heard, and it is told that nobody is there
try:
    for wait in (0.25, 0.5, 1, 2):
        client.send(question)
        client.settimeout(wait)
        try:
            print(client.recv(65536).decode())
            break
        except TimeoutError:
            pass
    else:
        sys.exit("no answer to 4 datagrams")
except ConnectionRefusedError:
    sys.exit("nobody is there")
