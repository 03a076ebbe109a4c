"""The sentence server in Python: one recv is the request. A caller who resets ends it.

    tcp_server.py [PORT]     12000
"""

import socket
import sys

port = int(sys.argv[1]) if len(sys.argv) > 1 else 12000
doorbell = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
doorbell.bind(("", port))
doorbell.listen(1)
if port == 0:
    print("listening on *:%d" % doorbell.getsockname()[1], file=sys.stderr, flush=True)
print("The server is ready to receive", flush=True)
while True:
    line, _ = doorbell.accept()
    sentence = line.recv(1024).decode()
    line.send(sentence.upper().encode())
    line.close()
