"""See course/exercises/tcp_client.py."""

import socket
import sys

client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.sendall(sys.stdin.readline().rstrip("\n").encode() + b"\n")  # one piece, and a newline for who waits for it
answer = b""
while not answer.endswith(b"\n") and (piece := client.recv(1024)):
    answer += piece
print(answer.decode().rstrip("\n"))
