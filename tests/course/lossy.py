"""A network for datagrams that loses what it is told to lose."""

import contextlib
import select
import socket
import threading


class Relay:
    """Stands between a client and a server: up and down say what happens to each datagram, in turn.

    "." passes it on, "x" loses it, "2" doubles it, "s" keeps it until the next one has gone; when the words
    are over, everything passes.
    """

    def __init__(self, server, up="", down=""):
        self.door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.door.bind(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        self.server = server
        self.words = {"up": list(up), "down": list(down)}
        self.kept = {"up": [], "down": []}
        self.seen = {"up": [], "down": []}
        self.lines = {}  # a socket to the server for each client
        self.stop, self.stopped = socket.socketpair()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            ready = select.select([self.door, self.stopped, *self.lines.values()], [], [])[0]
            if self.stopped in ready:
                return
            for end in ready:
                with contextlib.suppress(ConnectionError):
                    if end is self.door:
                        data, client = end.recvfrom(65536)
                        self._pass("up", data, self._line(client).send)
                    else:
                        client = next(client for client, line in self.lines.items() if line is end)
                        self._pass("down", end.recv(65536), lambda data, to=client: self.door.sendto(data, to))

    def _line(self, client):
        if client not in self.lines:
            self.lines[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.lines[client].connect(("127.0.0.1", self.server))
        return self.lines[client]

    def _pass(self, way, data, send):
        self.seen[way].append(data)
        word = self.words[way].pop(0) if self.words[way] else "."
        if word == "s":
            self.kept[way].append(data)
            return
        for _ in range({"x": 0, ".": 1, "2": 2}[word]):
            send(data)
        while self.kept[way]:
            send(self.kept[way].pop())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.send(b"x")
        self.thread.join(10)
        for end in [self.door, self.stop, self.stopped, *self.lines.values()]:
            end.close()
