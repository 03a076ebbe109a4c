"""Exercise of lectures 2 and 5: a client of UDP that survives a network which loses.

    udp_client.py HOST PORT

Sends the line that it reads, and prints the answer. A datagram that is lost is sent again; when nobody answers it says
so on stderr within ten seconds, and exits with 1. What others than the server send is no answer.

    course/exercises/check udp_client
"""

import socket
import sys

server = (sys.argv[1], int(sys.argv[2]))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(sys.stdin.readline().rstrip("\n").encode(), server)
answer, _ = client.recvfrom(2048)
print(answer.decode())
