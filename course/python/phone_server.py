"""The phone server: a thread for each call.

    python3 phone_server.py [PORT [HOST]]     5000 127.0.0.1
"""

import course


def do_something(caller):
    pass  # do your thing with the socket here


course.serve(do_something, 5000)
