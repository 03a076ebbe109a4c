#!/usr/bin/python3
"""Torture: each call into the system that can fail does so, once or from then on, with each of its errors.

    tests/torture/torture.py                     a sample of all points, 300 of them, chosen by the date
    tests/torture/torture.py --seed N --count M  another one
    tests/torture/torture.py --all               all of them: hours
    tests/torture/torture.py POINT               one: what a failure prints

A point is SCENARIO:MODEL:BACKEND:CALL:WHICH:ERROR:once|ever. A server is started with it, callers come, and then the
failure is lifted. Afterwards a fresh caller must be served, unless the server has ended and said why; it must stop in
time; and no process, socket file or line of a sanitizer may be left.
"""

import argparse
import errno
import mmap
import os
import random
import re
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

from programs import BUILD, MODELS, PATIENCE, Server, children_of  # noqa: E402

BACKENDS = ["epoll", "block"]
WANT = ["ENOMEM", "EMFILE", "ENFILE", "ENOBUFS"]
# What each call may fail with, by its man page, where a server may meet it.
ERRORS = {
    "socket": [*WANT, "EACCES"], "socketpair": WANT[:3], "bind": ["EADDRINUSE", "EACCES", "ENOMEM"],
    "listen": ["EADDRINUSE"], "accept": [*WANT, "ECONNABORTED", "EPERM", "EPROTO", "EINTR"],
    "connect": ["ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "ETIMEDOUT"], "getsockname": ["ENOBUFS"],
    "getpeername": ["ENOBUFS", "ENOTCONN"], "recv": ["ECONNRESET", "ENOMEM", "ETIMEDOUT", "EINTR"],
    "send": ["ECONNRESET", "EPIPE", "ENOMEM", "ENOBUFS", "EINTR"], "sendmsg": ["ECONNRESET", "EPIPE", "ENOMEM"],
    "sendfile": ["EIO", "ENOMEM"], "shutdown": ["ENOTCONN", "ENOBUFS"], "setsockopt": ["ENOMEM", "ENOPROTOOPT"],
    "getsockopt": ["ENOBUFS"], "dup": ["EMFILE"], "set_flags": ["EBADF"], "lock_file": ["EACCES", "EMFILE"],
    "ppoll": ["EINTR", "ENOMEM"], "epoll_create": WANT[:3], "epoll_ctl": ["ENOMEM", "ENOSPC"], "epoll_wait": ["EINTR"],
    "eventfd": WANT[:3], "timerfd": WANT[:3], "fork": ["EAGAIN", "ENOMEM"], "pidfd_open": WANT[:3],
    "thread_start": ["EAGAIN"], "guard": ["EINVAL", "ENOMEM"], "protect": ["ENOMEM"], "give_back": ["ENOMEM"],
    "allocate": ["ENOMEM"], "reallocate": ["ENOMEM"], "map": ["ENOMEM"],
}
# What the system may say again and again, but not for ever.
PASSING = {"EINTR", "ECONNABORTED", "EPROTO"}
TOLERANCE = 0.3
HEADER = struct.Struct("<8I64I")


class Page:
    """The page that is shared with the server; see tests/support/torture.c."""

    def __init__(self, path):
        with open(path, "wb") as file:
            file.write(bytes(4096))
        self.file = open(path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), 4096)

    def close(self):
        self.memory.close()
        self.file.close()

    def begin(self, point=None):
        operation, which, error, ever = 63, 0, 0, 0
        if point:
            operation = self.names().index(point.call)
            which, error, ever = point.which, getattr(errno, point.error), int(point.ever)
        self.memory[4:24] = struct.pack("<5I", operation, which, error, ever, 0)
        self.memory[0:4] = struct.pack("<I", 1)

    def end(self):
        self.memory[0:4] = struct.pack("<I", 0)

    def struck(self):
        return struct.unpack("<I", self.memory[20:24])[0]

    def names(self):
        text = self.memory[HEADER.size:HEADER.size + 64 * 16]
        return [text[i:i + 16].split(b"\0")[0].decode() for i in range(0, 64 * 16, 16)]

    def counts(self):
        return dict(zip(self.names(), HEADER.unpack(self.memory[:HEADER.size])[8:]))


class Point:
    def __init__(self, scenario, model, backend, call, which, error, ever):
        self.scenario, self.model, self.backend, self.call = scenario, model, backend, call
        self.which, self.error, self.ever = which, error, ever

    def __str__(self):
        return ":".join([self.scenario, self.model, self.backend, self.call, str(self.which), self.error,
                         "ever" if self.ever else "once"])

    @staticmethod
    def parse(text):
        scenario, model, backend, call, which, error, how = text.split(":")
        return Point(scenario, model, backend, call, int(which), error, how == "ever")


class Failure(Exception):
    pass


# ---- Scenarios: what the callers do. Each is given a function that calls, and bears any failure of a call. -----------

def is_broken(error):
    """Whether it is what a caller sees of a server that broke off or has ended."""
    return (isinstance(error, (ConnectionError, Impatience, FileNotFoundError)) or error.errno == errno.ENOTCONN)


class Impatience(socket.timeout):
    """Of a caller while something fails again and again: he need not be served then."""


class Caller(socket.socket):
    """One whose time-outs are no failure when `tolerant`."""

    def __init__(self, family, tolerant):
        super().__init__(family)
        self.tolerant = tolerant
        self.settimeout(TOLERANCE if tolerant else PATIENCE)

    def recv(self, size):
        try:
            return super().recv(size)
        except socket.timeout:
            raise Impatience() if self.tolerant else Failure("a caller hears nothing") from None

    def sendall(self, data):
        try:
            super().sendall(data)
        except socket.timeout:
            raise Impatience() if self.tolerant else Failure("what a caller says is not heard") from None


def talk(call, data, half=True):
    """Returns what came back, or None when the conversation broke."""
    try:
        with call() as caller:
            caller.sendall(data)
            if half:
                caller.shutdown(socket.SHUT_WR)
            pieces = []
            while piece := caller.recv(65536):
                pieces.append(piece)
            return b"".join(pieces)
    except OSError as error:
        if is_broken(error):
            return None
        raise


def several(call):
    for number in range(3):
        talk(call, b"caller %d\n" % number)


def large(call):
    talk(call, b"x" * 300000 + b"\n")


def at_once(call):
    callers = []
    try:
        for _ in range(4):
            callers.append(call())
        for caller in callers:
            caller.sendall(b"ding\n")
            caller.shutdown(socket.SHUT_WR)
        for caller in callers:
            while caller.recv(65536):
                pass
    except OSError as error:
        if not is_broken(error):
            raise
    finally:
        for caller in callers:
            caller.close()


def in_haste(call):
    try:
        for _ in range(3):
            caller = call()
            caller.sendall(b"bye\n")
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.close()
    except OSError as error:
        if not is_broken(error):
            raise


# Name: the handler of tests/behaviour, what the callers do, what a fresh caller says and hears.
SCENARIOS = {
    "echo": ("echo", several, b"fresh\n", b"fresh\n"),
    "lines": ("lines", several, b"fresh\n", None),
    "large": ("echo", large, b"fresh\n", b"fresh\n"),
    "together": ("echo", at_once, b"fresh\n", b"fresh\n"),
    "resets": ("echo", in_haste, b"fresh\n", b"fresh\n"),
    "tasks": ("two_tasks", several, b"fresh\n", None),
    "block": ("block", several, b"fresh\n", None),
    "relay": ("relay", several, b"fresh\n", None),
}


def start(scenario, model, backend, folder, unix):
    handler = SCENARIOS[scenario][0]
    address = os.path.join(folder, "x.sock") if unix else "127.0.0.1:0"
    os.environ["TORTURE"] = os.path.join(folder, "page")
    try:
        return Server([os.path.join(BUILD, "tests", "handlers"), handler, address, "workers=2", "grace=500", "linger=200"],
                      model=model, backend=backend)
    finally:
        os.environ.pop("TORTURE")


def caller_of(server, folder, unix, tolerant):
    def call():
        caller = Caller(socket.AF_UNIX if unix else socket.AF_INET, tolerant)
        try:
            caller.connect(os.path.join(folder, "x.sock") if unix else ("127.0.0.1", server.port))
        except OSError:
            caller.close()
            raise
        return caller
    return call


def require(condition, sentence):
    if not condition:
        raise Failure(sentence)


def has_ended(server):
    return server.process.poll() is not None


def check_end(server, folder, code):
    """What holds however it ended."""
    lines = [line for line in server.lines if line]
    require(code >= 0, "it was killed by signal %d: %s" % (-code, lines[-3:]))
    for line in lines:
        require(not re.search(r"ERROR: |runtime error|WARNING: ThreadSanitizer|BUG|Assertion", line), line)
    require(code in (0, 1), "exit code %d: %s" % (code, lines[-3:]))
    if code == 1:
        require(any(line.startswith("error ") for line in lines), "it failed without a word: %s" % lines[-3:])
    require(os.listdir(folder) == ["page"], "files are left: %s" % os.listdir(folder))


def torture(point):
    """Runs one point, or without a call to fail. Returns how often each call was made, and how often one failed."""
    folder = tempfile.mkdtemp(prefix="torture-")
    unix = point.scenario == "lines"
    page = Page(os.path.join(folder, "page"))
    handler, behave, said, heard = SCENARIOS[point.scenario]
    server = None
    try:
        # The names are there once the program is; nothing fails before it has begun.
        server = start(point.scenario, point.model, point.backend, folder, unix)
        until = time.monotonic() + PATIENCE
        while "map" not in page.names() and not has_ended(server):  # the last one
            require(time.monotonic() < until, "it did not begin")
        page.begin(point if point.call else None)
        wait_until_it_listens(server)
        if not has_ended(server):
            behave(caller_of(server, folder, unix, point.ever))
        counts, struck = page.counts(), page.struck()
        page.end()
        if not has_ended(server):
            check_fresh_caller(server, caller_of(server, folder, unix, False), said, heard)
        pid = server.process.pid
        code = server.stop()
        require(not [child for child in children_of(pid)], "processes are left")
        check_end(server, folder, code)
        return counts, struck
    finally:
        if server and server.process.poll() is None:
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        page.close()
        shutil.rmtree(folder)


def wait_until_it_listens(server):
    until = time.monotonic() + PATIENCE
    with server.changed:
        while not any(line is None or "listening on" in line for line in server.lines):
            require(server.changed.wait(until - time.monotonic()), "it neither listens nor ends: %s" % server.lines)
    if None in server.lines:
        server.process.wait(PATIENCE)


def check_fresh_caller(server, call, said, heard):
    """The failure is lifted: who comes now is served, after a moment in which a listener may rest."""
    until = time.monotonic() + PATIENCE
    while True:
        answer = talk(call, said)
        if answer is not None and (heard is None or answer == heard):
            return
        if has_ended(server):
            return
        require(time.monotonic() < until, "a fresh caller heard %r: %s" % (answer, server.lines[-3:]))


# ---- Which points ------------------------------------------------------------------------------------------------------

def all_points():
    for scenario in SCENARIOS:
        for model in MODELS:
            for backend in BACKENDS:
                counts, _ = torture(Point(scenario, model, backend, None, 0, None, False))
                for call, errors in ERRORS.items():
                    for which in range(1, counts.get(call, 0) + 1):
                        for error in errors:
                            yield Point(scenario, model, backend, call, which, error, False)
                            if error not in PASSING:
                                yield Point(scenario, model, backend, call, which, error, True)


def sample(seed, count):
    """So many points; each scenario, cell and call has its chance."""
    chance = random.Random(seed)
    counts = {}
    while count > 0:
        scenario, model, backend = chance.choice(list(SCENARIOS)), chance.choice(MODELS), chance.choice(BACKENDS)
        key = (scenario, model, backend)
        if key not in counts:
            counts[key], _ = torture(Point(*key, None, 0, None, False))
        call = chance.choice([call for call in ERRORS if counts[key].get(call)])
        error = chance.choice(ERRORS[call])
        yield Point(*key, call, chance.randint(1, counts[key][call]), error,
                    error not in PASSING and chance.random() < 0.5)
        count -= 1


def run(points, loud=False):
    """Returns how many points there were, at how many of them a call failed, and those that failed, as (point, why)."""
    done, struck, failed = 0, 0, []
    for point in points:
        try:
            struck += torture(point)[1] > 0
        except (Failure, AssertionError, OSError) as why:
            failed.append((point, why))
            if loud:
                print("FAILED %s: %s" % (point, why), flush=True)
        done += 1
        if loud and done % 100 == 0:
            print("%d points, %d failed" % (done, len(failed)), flush=True)
    return done, struck, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("points", nargs="*", metavar="POINT")
    parser.add_argument("--seed", type=int, default=int(time.time()) // 86400)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    if options.points:
        points = map(Point.parse, options.points)
    elif options.all:
        points = all_points()
    else:
        print("seed %d" % options.seed)
        points = sample(options.seed, options.count)
    done, struck, failed = run(points, loud=True)
    print("%d points, a call failed in %d of them, and a promise in %d" % (done, struck, len(failed)))
    for point, _ in failed:
        print("again: tests/torture/torture.py %s" % point)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
