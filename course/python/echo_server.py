"""The echo server: what comes in goes back as it is, and each line is reported.

    python3 echo_server.py [PORT [HOST]]     5000 127.0.0.1
"""

import course


def echo(caller):
    line = b""
    while text := caller.recv(4096):
        caller.sendall(text)
        *lines, line = (line + text).split(b"\n")
        for whole in lines:
            print("server received %d bytes" % (len(whole) + 1), flush=True)


course.serve(echo, 5000)
