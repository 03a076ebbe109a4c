"""The message client: sends one line, and shows what the server says to it.

    python3 message_client.py [HOST [PORT]]     localhost 5000
"""

import socket
import sys

import course

server = course.call(5000)
print("Please enter the message: ", end="", flush=True)
message = sys.stdin.buffer.readline()
if not message:
    print()
    sys.exit(0)  # nothing to say: there will be no answer
answer = b""
try:
    server.sendall(message)
    server.shutdown(socket.SHUT_WR)
    while b"\n" not in answer and (piece := server.recv(4096)):
        answer += piece
except OSError as error:
    course.fail(error)
if not answer:
    course.fail("the server closed without an answer")
sys.stdout.buffer.write(answer.partition(b"\n")[0] + b"\n")
server.close()
