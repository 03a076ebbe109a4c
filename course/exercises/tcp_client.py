"""Exercise of lecture 5: a client that gets on with each server of the lectures.

    tcp_client.py HOST PORT

Sends the line that it reads, and prints the answer, which ends with a newline, or with the server's end. Some servers
wait for a whole line, some take one recv for it, some answer byte by byte, and some do not close.

    course/exercises/check tcp_client
"""

import socket
import sys

client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.send(sys.stdin.readline().rstrip("\n").encode())
print(client.recv(1024).decode())
