"""The sentence server by datagram: each one goes back in capitals to whoever sent it.

    python3 upper_udp_server.py [PORT [HOST]]     9876 127.0.0.1
"""

import socket
import sys

import course

port, host = course.arguments(["9876", "127.0.0.1"], "[PORT [HOST]]")
door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
try:
    door.bind((host, course.port_of(port, "udp")))
except OSError as error:
    course.fail("%s:%s: %s" % (host, port, error))
course.announce(door)
while True:
    text, caller = door.recvfrom(65536)
    if caller[1] < 1024:
        continue  # two servers that answer each other would never end
    try:
        door.sendto(text.upper(), caller)  # as many bytes as came
    except OSError as error:
        print("%s: %s" % (caller[0], error), file=sys.stderr, flush=True)
