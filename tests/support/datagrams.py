"""Datagrams from outside: sockets that ask, programs that ask, and a network that loses."""

import collections
import contextlib
import os
import random
import re
import select
import socket
import struct
import subprocess
import threading

from programs import DOORBELL, PATIENCE


@contextlib.contextmanager
def asker(server, family=socket.AF_INET, bind=None):
    """A plain UDP socket that is connected to the server."""
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.settimeout(PATIENCE)
        if bind:
            one.bind(bind)
        one.connect(("::1" if family == socket.AF_INET6 else server.host, udp_port(server)))
        yield one


def udp_port(server):
    return int(server.wait_for(r"listening on udp:.*:(\d+)$").group(1))


def ask(server, data, **where):
    with asker(server, **where) as one:
        one.send(data)
        return one.recv(70000)


def is_silent(one, server_answers=b"are you there?"):
    """Whether nothing was answered before the answer to this, which is asked by the same socket."""
    one.send(server_answers)
    return one.recv(70000).lower() == server_answers


class Program:
    """A program that copies stdin to datagrams and back: it is written to, read from, and ended."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0, **options)

    def say(self, data):
        self.process.stdin.write(data)

    def end_input(self):
        self.process.stdin.close()

    def hear(self, count, seconds=PATIENCE):
        data = b""
        while len(data) < count:
            assert select.select([self.process.stdout], [], [], seconds)[0], data
            piece = self.process.stdout.read(65536)
            assert piece, (data, self.process.stderr.read())
            data += piece
        return data

    def wait(self):
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


def connect(*arguments, **options):
    return Program(DOORBELL, "connect", *arguments, **options)


def udp_packet(source_port, port, data):
    """With a sender of our choice; the checksum is left out, which IPv4 allows."""
    return struct.pack(">HHHH", source_port, port, 8 + len(data), 0) + data


class Answering(threading.Thread):
    """A stranger's server: answers each datagram with what `answer` makes of it and its number, a list."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.address = "udp:127.0.0.1:%d" % self.port
        self.answer = answer
        self.asked = []
        self.callers = []

    def run(self):
        while True:
            try:
                data, caller = self.socket.recvfrom(70000)
            except OSError:
                return
            if data == b"end of the test":
                return
            self.asked.append(data)
            self.callers.append(caller)
            for one in self.answer(data, len(self.asked)):
                self.socket.sendto(one, caller)

    def all_asked(self):
        """All that was sent to it until now: for what was not answered nobody has waited. It is the end of it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end of the test", self.socket.getsockname())
        self.join(PATIENCE)
        return self.asked

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.all_asked()
        self.socket.close()


class Relay(threading.Thread):
    """A network between clients and a UDP server. `up` and `down` are the fates of the datagrams each way, one
    after the other: "." delivers, "x" loses, "2" doubles; when they are used up all the rest is delivered. Or
    they are numbers from 0 to 1: how many are lost, by chance; but whenever it comes, the third "hello" has the
    same fate in every run.
    """

    def __init__(self, port, up="", down="", seed=7464):
        super().__init__(daemon=True)
        self.server = ("127.0.0.1", port)
        self.fates = {"up": up, "down": down}
        self.seen = {"up": 0, "down": 0}
        self.seed = seed
        self.again = collections.Counter()
        self.door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.door.bind(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        self.address = "udp:127.0.0.1:%d" % self.port
        self.clients = {}
        self.wake, self.end = socket.socketpair()

    def copies(self, way, data):
        fate, number = self.fates[way], self.seen[way]
        self.seen[way] += 1
        if not isinstance(fate, str):
            chance = random.Random("%d %s %d %r" % (self.seed, way, self.again[way, data], data))
            self.again[way, data] += 1
            return 0 if chance.random() < fate else 1
        return {"x": 0, "2": 2}.get(fate[number:number + 1], 1)

    def pass_up(self, poller):
        data, client = self.door.recvfrom(70000)
        if client not in self.clients:
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.connect(self.server)
            self.clients[client] = one
            poller.register(one, select.EPOLLIN)
            self.by_fd[one.fileno()] = (one, client)
        for _ in range(self.copies("up", data)):
            with contextlib.suppress(OSError):
                self.clients[client].send(data)

    def pass_down(self, fd):
        one, client = self.by_fd[fd]
        try:
            data = one.recv(70000)
        except OSError:
            return
        for _ in range(self.copies("down", data)):
            self.door.sendto(data, client)

    def run(self):
        self.by_fd = {}
        with select.epoll() as poller:
            poller.register(self.door, select.EPOLLIN)
            poller.register(self.wake, select.EPOLLIN)
            while True:
                for fd, _ in poller.poll():
                    if fd == self.wake.fileno():
                        return
                    if fd == self.door.fileno():
                        self.pass_up(poller)
                    else:
                        self.pass_down(fd)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end.close()
        self.join(PATIENCE)
        for one in (self.door, self.wake, *self.clients.values()):
            one.close()


def counts(server):
    """What a server that has ended says of its datagrams: (in, out, words of the rest)."""
    line = [line for line in server.lines if line and re.search(r"\d+ datagrams? in, ", line)][-1]
    found = re.search(r"(\d+) datagrams? in, (\d+) out(.*)$", line)
    return int(found[1]), int(found[2]), found[3]


def needs_low_ports():
    """A socket on a port below 1024, or None where that is not allowed."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(PATIENCE)
    for port in range(1023, 600, -1):
        try:
            one.bind(("127.0.0.1", port))
            return one
        except PermissionError:
            break
        except OSError:
            continue
    one.close()
    return None


def abstract(name):
    return "\0doorbell-test-%d-%s" % (os.getpid(), name)
