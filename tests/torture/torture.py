#!/usr/bin/python3
"""Torture: each call into the system that can fail does so, once or from then on, with each of its errors.

    tests/torture/torture.py                     a sample of all points, 300 of them, chosen by the date
    tests/torture/torture.py --seed N --count M  another one
    tests/torture/torture.py --all               all of them: hours
    tests/torture/torture.py POINT               one: what a failure prints

A point is SCENARIO:MODEL:BACKEND:CALL:WHICH:ERROR:once|ever. A server is started with it, callers come, and then the
failure is lifted. Afterwards a fresh caller must be served, unless the server has ended and said why; it must have no
more descriptors, threads and children than where nothing failed; it must stop in time; and no process, socket file or
line of a sanitizer may be left.
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
import socketserver
import struct
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

from programs import BUILD, MODELS, PATIENCE, Server, children_of  # noqa: E402

BACKENDS = ["epoll", "block"]


def read_errors():
    """{call: [error, ...]}, and those (call, error) that do not last for ever."""
    errors, passing = {}, set()
    with open(os.path.join(HERE, "errors.txt")) as file:
        for words in (line.split() for line in file if line.strip() and not line.startswith("#")):
            errors[words[0]] = [word.rstrip("?") for word in words[1:]]
            passing.update((words[0], word[:-1]) for word in words[1:] if word.endswith("?"))
    return errors, passing


ERRORS, PASSING = read_errors()
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

    def begin_failing(self, per_thousand, errors):
        """So many of all calls fail, each with its error of the dictionary."""
        numbers = [errors.get(name, 0) for name in self.names()]
        self.memory[HEADER.size + 64 * 16:HEADER.size + 64 * 20] = struct.pack("<64I", *numbers)
        self.memory[24:28] = struct.pack("<I", per_thousand)
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

    def __init__(self, family, tolerant, kind=socket.SOCK_STREAM):
        super().__init__(family, kind)
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


def half_closed(call):
    """Speaks after the other end has finished."""
    try:
        with call() as caller:
            heard = caller.recv(6)
            caller.sendall(b"after your end\n")
            while heard:
                heard = caller.recv(65536)
    except OSError as error:
        if not is_broken(error):
            raise


def unread(call):
    """Says more than is read, and hears an answer that does not fit into the kernel's buffers."""
    talk(call, b"x" * 60000, half=False)


def hear_some(call):
    """A line of an answer that has no end."""
    try:
        with call() as caller:
            return caller.recv(74)
    except OSError as error:
        if is_broken(error):
            return None
        raise


def say_and_leave(call):
    for _ in range(3):
        hear_some(call)


def ask_datagrams(call):
    """Returns the answer of the third question; datagrams may be lost."""
    answer = None
    with call() as caller:
        for number in range(3):
            try:
                caller.sendall(b"question %d" % number)
                answer = caller.recv(100)
            except (Impatience, ConnectionRefusedError):
                pass
    return answer


def chatting(call):
    """Two who hear each other, and one who leaves at once."""
    try:
        with call() as one, call() as other:
            call().close()
            one.sendall(b"/nick one\nhello\n")
            other.sendall(b"/join elsewhere\nhello?\n")
            one.shutdown(socket.SHUT_WR)
            other.shutdown(socket.SHUT_WR)
            for caller in (one, other):
                while caller.recv(65536):
                    pass
    except OSError as error:
        if not is_broken(error):
            raise


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except OSError:
            pass


class Origin(socketserver.ThreadingTCPServer):
    """Whom `forward` calls: on IPv4 only, so that the attempt at IPv6 loses."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Echo)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Scenario:
    """What is started, what its callers do, and what a fresh one says and hears (None: anything)."""

    def __init__(self, behave, said=b"fresh\n", heard=b"fresh\n", models=MODELS, **what):
        self.behave, self.said, self.heard, self.models = behave, said, heard, models
        self.handler, self.service = what.get("handler"), what.get("service")
        self.program, self.words = what.get("program"), what.get("words", [])
        self.unix, self.udp = what.get("unix", False), what.get("udp")
        self.ask = what.get("ask") or (lambda call: talk(call, said))

    def address(self, folder):
        return self.udp or (os.path.join(folder, "x.sock") if self.unix else "127.0.0.1:0")

    def command(self, folder, origin):
        if self.handler:
            return [os.path.join(BUILD, "tests", "handlers"), self.handler, self.address(folder), "workers=2", "grace=500",
                    "linger=200"]
        if self.service:
            root = ["--stay-root"] if os.getuid() == 0 else []
            return [os.path.join(BUILD, "tests", "tortured_doorbell"), "serve", self.service, self.address(folder), "-w", "2",
                    "--grace", "500ms", *root, *self.words]
        target = ["localhost:%d" % origin.server_address[1]] if origin else []
        return [os.path.join(BUILD, "tests", self.program), self.address(folder), *target]


WITHOUT_PROCESSES = ["iterative", "threads", "pool", "coroutines"]
WITHOUT_CALLERS = [model for model in MODELS if model != "fork"]
SCENARIOS = {
    "echo": Scenario(several, handler="echo"),
    "lines": Scenario(several, heard=None, handler="lines", unix=True),
    "large": Scenario(large, handler="echo"),
    "together": Scenario(at_once, handler="echo"),
    "resets": Scenario(in_haste, handler="echo"),
    "tasks": Scenario(several, heard=None, handler="two_tasks"),
    "block": Scenario(several, heard=None, handler="block"),
    "relay": Scenario(several, heard=None, handler="relay"),
    "half-close": Scenario(half_closed, heard=b"before", handler="half_close"),
    "drain": Scenario(unread, heard=None, handler="answer_first_byte"),
    "race": Scenario(several, program="tortured_forward", models=WITHOUT_PROCESSES),
    "chat": Scenario(chatting, heard=None, program="tortured_chat", models=WITHOUT_PROCESSES),
    "discard": Scenario(large, heard=b"", service="discard"),
    "chargen": Scenario(say_and_leave, heard=None, service="chargen", ask=hear_some),
    "daytime": Scenario(several, heard=None, service="daytime"),
    "time": Scenario(several, heard=None, service="time"),
    "quote": Scenario(several, heard=b"Not today.\r\n", service="quote", words=["Not today."]),
    "message": Scenario(several, heard=b"I got your message", service="message"),
    "exec": Scenario(several, service="exec", words=["--", "cat"], models=WITHOUT_PROCESSES),
    "datagrams": Scenario(ask_datagrams, heard=b"question 2", handler="dgram_echo", udp="udp:127.0.0.1:0",
                          ask=ask_datagrams, models=WITHOUT_CALLERS),
    "wildcard": Scenario(ask_datagrams, heard=b"question 2", handler="dgram_echo", udp="udp:*:0",
                         ask=ask_datagrams, models=WITHOUT_CALLERS),
}


def start(scenario, model, backend, folder, origin):
    return Server(scenario.command(folder, origin), model=model, backend=backend,
                  environment={"TORTURE": os.path.join(folder, "page")})


def caller_of(server, folder, scenario, tolerant):
    def call():
        if scenario.udp:
            caller = Caller(socket.AF_INET, True, socket.SOCK_DGRAM)
        else:
            caller = Caller(socket.AF_UNIX if scenario.unix else socket.AF_INET, tolerant)
        if scenario.behave is unread:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        try:
            caller.connect(scenario.address(folder) if scenario.unix else ("127.0.0.1", server.port))
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


# Done, failed, and what the command says of addresses, time and broken conversations.
EXIT_CODES = {0, 1, 2, 4, 5, 6, 8}


def check_end(server, folder, code):
    """What holds however it ended."""
    lines = [line for line in server.lines if line]
    require(code >= 0, "it was killed by signal %d: %s" % (-code, lines[-3:]))
    for line in lines:
        require(not re.search(r"ERROR: |runtime error|WARNING: ThreadSanitizer|BUG|Assertion", line), line)
    require(code in EXIT_CODES, "exit code %d: %s" % (code, lines[-3:]))
    if code:
        require(any(re.match(r"(error |doorbell: |forward: |chat: )", line) for line in lines),
                "it failed without a word: %s" % lines[-3:])
    require(os.listdir(folder) == ["page"], "files are left: %s" % os.listdir(folder))


def possessions(pid):
    """How many descriptors, threads and children it has, or None when it has gone."""
    try:
        return (len(os.listdir("/proc/%d/fd" % pid)), len(os.listdir("/proc/%d/task" % pid)), len(children_of(pid)))
    except FileNotFoundError:
        return None


# What a server has in the end where nothing failed, by scenario, model and backend.
usual = {}
SETTLED = 0.15  # more than a helper thread waits for work


def settle(server):
    """What it has once nothing has changed for a while."""
    until = time.monotonic() + PATIENCE
    last, since = possessions(server.process.pid), time.monotonic()
    while time.monotonic() - since < SETTLED and time.monotonic() < until:
        time.sleep(0.02)
        now = possessions(server.process.pid)
        if now != last:
            last, since = now, time.monotonic()
    return last


def has_no_more(server, key):
    now = possessions(server.process.pid)
    return now is None or all(has <= may for has, may in zip(now, usual[key]))


def check_possessions(server, key):
    until = time.monotonic() + PATIENCE / 2
    while not has_no_more(server, key) and time.monotonic() < until:
        time.sleep(0.02)
    if not has_no_more(server, key):
        # On a busy machine the one of whom it is known may have been about to begin still: here is another one.
        before = usual[key]
        torture(Point(*key, None, 0, None, False))
        usual[key] = tuple(map(max, before, usual[key]))
        now = possessions(server.process.pid)
        require(has_no_more(server, key), "it has %s descriptors, threads and children; else it is %s" % (now, usual[key]))


def torture(point):
    """Runs one point, or without a call to fail. Returns how often each call was made, and how often one failed."""
    key = (point.scenario, point.model, point.backend)
    if point.call and key not in usual:
        torture(Point(*key, None, 0, None, False))
    folder = tempfile.mkdtemp(prefix="torture-")
    page = Page(os.path.join(folder, "page"))
    scenario = SCENARIOS[point.scenario]
    server, origin = None, Origin() if scenario.program == "tortured_forward" else None
    try:
        # The names are there once the program is; nothing fails before it has begun.
        server = start(scenario, point.model, point.backend, folder, origin)
        until = time.monotonic() + PATIENCE
        while "map" not in page.names() and not has_ended(server):  # the last one
            require(time.monotonic() < until, "it did not begin")
        page.begin(point if point.call else None)
        wait_until_it_listens(server)
        if not has_ended(server):
            scenario.behave(caller_of(server, folder, scenario, point.ever))
        counts, struck = page.counts(), page.struck()
        page.end()
        if not has_ended(server):
            check_fresh_caller(server, scenario, caller_of(server, folder, scenario, False))
        pid = server.process.pid
        if not point.call:
            usual[key] = settle(server)
        else:
            check_possessions(server, key)
        code = server.stop()
        require(not [child for child in children_of(pid)], "processes are left")
        check_end(server, folder, code)
        return counts, struck
    finally:
        if server and server.process.poll() is None:
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        if origin:
            origin.close()
        page.close()
        shutil.rmtree(folder)


def wait_until_it_listens(server):
    until = time.monotonic() + PATIENCE
    with server.changed:
        while not any(line is None or "listening on" in line for line in server.lines):
            require(server.changed.wait(until - time.monotonic()), "it neither listens nor ends: %s" % server.lines)
    if None in server.lines:
        server.process.wait(PATIENCE)


def check_fresh_caller(server, scenario, call):
    """The failure is lifted: who comes now is served, after a moment in which a listener may rest."""
    until = time.monotonic() + PATIENCE
    while True:
        answer = scenario.ask(call)
        if answer is not None and scenario.heard in (None, answer):
            return
        if has_ended(server):
            return
        require(time.monotonic() < until, "a fresh caller heard %r: %s" % (answer, server.lines[-3:]))


# ---- Which points ------------------------------------------------------------------------------------------------------

def is_passing(call, error):
    return (call, error) in PASSING


def all_points():
    for scenario in SCENARIOS:
        for model in SCENARIOS[scenario].models:
            for backend in BACKENDS:
                counts, _ = torture(Point(scenario, model, backend, None, 0, None, False))
                for call, errors in ERRORS.items():
                    for which in range(1, counts.get(call, 0) + 1):
                        for error in errors:
                            yield Point(scenario, model, backend, call, which, error, False)
                            if not is_passing(call, error):
                                yield Point(scenario, model, backend, call, which, error, True)


def sample(seed, count):
    """So many points; each scenario, cell and call has its chance."""
    chance = random.Random(seed)
    counts = {}
    while count > 0:
        scenario = chance.choice(list(SCENARIOS))
        model, backend = chance.choice(SCENARIOS[scenario].models), chance.choice(BACKENDS)
        key = (scenario, model, backend)
        if key not in counts:
            counts[key], _ = torture(Point(*key, None, 0, None, False))
        call = chance.choice([call for call in ERRORS if counts[key].get(call)])
        error = chance.choice(ERRORS[call])
        yield Point(*key, call, chance.randint(1, counts[key][call]), error,
                    not is_passing(call, error) and chance.random() < 0.5)
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
