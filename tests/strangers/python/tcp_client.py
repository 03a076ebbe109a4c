"""The sentence client in Python: the bare sentence goes out, without a newline or an end; one recv is the answer.

    tcp_client.py [HOST [PORT]]     this machine, 12000
"""

import socket
import sys

host = sys.argv[1] if len(sys.argv) > 1 else "localhost"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 12000
line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
line.connect((host, port))
sentence = input("Input lowercase sentence:")
line.send(sentence.encode())
answer = line.recv(1024)
print("From Server:", answer.decode())
line.close()
