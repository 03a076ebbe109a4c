"""The sentence server: what comes in goes back in capitals, as many bytes out as in.

    python3 upper_server.py [PORT [HOST]]     6789 127.0.0.1
"""

import course


def upper(caller):
    while text := caller.recv(4096):
        caller.sendall(text.upper())  # of bytes: a to z, and nothing else


course.serve(upper, 6789)
