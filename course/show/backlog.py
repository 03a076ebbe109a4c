"""How many callers a listening socket lets in before anybody calls accept: backlog.py BACKLOG..."""

import select
import socket
import sys

for backlog in map(int, sys.argv[1:]):
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(backlog)
        callers = []
        for _ in range(backlog + 5):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(door.getsockname())
            callers.append(caller)
        connected = select.select([], callers, [], 0.1)[1]
        print("listen(%d): %d of %d callers are connected" % (backlog, len(connected), len(callers)))
        for caller in callers:
            caller.close()
