"""Starting the project's programs from outside, and waiting for what they say."""

import os
import random
import re
import select
import signal
import socket
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("DOORBELL_BUILD", os.path.join(ROOT, "build"))
DOORBELL = os.path.join(BUILD, "tool", "doorbell")
PATIENCE = 20 * float(os.environ.get("DOORBELL_SLOW", "1"))
# ThreadSanitizer keeps a signal for the coroutine that it interrupted, and loses it when that one ends.
LOSES_SIGNALS = "DOORBELL_LOSES_SIGNALS" in os.environ
# A program that is to watch the server from within, and its options: valgrind.
WRAP = os.environ.get("DOORBELL_WRAP", "").split()
# Whether what it needs of memory, processor or descriptors says nothing of the program itself.
IS_WATCHED = bool(WRAP) or any(name in BUILD for name in ("asan", "tsan"))
MODELS = ["iterative", "fork", "prefork", "threads", "pool", "coroutines"]
BACKENDS = ["epoll", "block"]


# A loopback address of this process's own. A port that was closed there stays closed: port 0 of others, at 127.0.0.1,
# may be the very same number a moment later.
OWN_HOST = "127.%d.%d.%d" % (64 | os.getpid() >> 16 & 63, os.getpid() >> 8 & 255, os.getpid() & 255)


def example(name):
    return os.path.join(BUILD, "examples", name)


class Server:
    """A program that says "listening on ADDRESS" on stderr; its other lines are kept. `environment` is beside ours."""

    def __init__(self, command, model=None, backend=None, environment=None, **options):
        environment = {**os.environ, **(environment or {})}
        environment.pop("BELL_MODEL", None)
        environment.pop("BELL_BACKEND", None)
        if model:
            environment["BELL_MODEL"] = model
        if backend:
            environment["BELL_BACKEND"] = backend
        self.process = subprocess.Popen(
            [*WRAP, *command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **options)
        self.stopping = False
        self.addresses = []
        self.lines = []
        self.output = []
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in
                        ((self.process.stderr, self.lines), (self.process.stdout, self.output))]
        for thread in self.threads:
            thread.start()

    def _read(self, stream, lines):
        for line in stream:
            with self.changed:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            lines.append(None)
            self.changed.notify_all()

    def wait_for(self, pattern, count=1, lines=None):
        """Waits until so many lines match, and returns the last match."""
        lines = self.lines if lines is None else lines
        until = time.monotonic() + PATIENCE
        with self.changed:
            while True:
                found = [m for m in (re.search(pattern, line) for line in lines if line is not None) if m]
                if len(found) >= count:
                    return found[count - 1]
                left = until - time.monotonic()
                assert left > 0 and None not in lines, (pattern, lines)
                self.changed.wait(left)

    @property
    def address(self):
        return self.wait_for(r"listening on (\S+)").group(1)

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    @property
    def host(self):
        """Of those that it may have, the IPv4 address at which it is called."""
        return (re.search(r":(127[.\d]+):\d+$", self.address) or ("", "127.0.0.1"))[1]

    def call(self):
        caller = socket.create_connection((self.host, self.port), PATIENCE)
        caller.settimeout(PATIENCE)
        return caller

    def begin_stop(self, number=signal.SIGTERM):
        self.stopping = True
        self.process.send_signal(number)
        while LOSES_SIGNALS and not self._says("stopping", 5) and self.process.poll() is None:
            self.process.send_signal(number)

    def _says(self, word, seconds):
        with self.changed:
            return self.changed.wait_for(
                lambda: None in self.lines or any(word in line for line in self.lines), seconds)

    def stop(self, number=signal.SIGTERM):
        """Stops it, unless that has begun (a second signal would cut callers off), and returns its exit code."""
        if self.process.poll() is None and not self.stopping:
            self.begin_stop(number)
        try:
            code = self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for thread in self.threads:
                thread.join(PATIENCE)
            self.process.stdout.close()
            self.process.stderr.close()
        return code

    def stop_by_a_storm(self):
        """Signals for as long as it is there. Returns its exit code."""
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < until:
            self.process.send_signal(signal.SIGTERM)
        return self.stop()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.process.poll() is None:
            self.process.kill()
        self.stop()


def serve(*arguments, **options):
    return Server([DOORBELL, "serve", *arguments], **options)


def run(*arguments, data=b"", timeout=None, **options):
    """Runs the command to its end."""
    return subprocess.run([DOORBELL, *arguments], input=data, capture_output=True, timeout=timeout or PATIENCE,
                          **options)


def read_all(caller):
    pieces = []
    while True:
        piece = caller.recv(65536)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def read_exactly(caller, count):
    data = b""
    while len(data) < count:
        piece = caller.recv(count - len(data))
        assert piece, (count, data)
        data += piece
    return data


def read_line(caller):
    line = b""
    while not line.endswith(b"\n"):
        byte = caller.recv(1)
        if not byte:
            return line
        line += byte
    return line


def reset(caller):
    """Closes with a reset."""
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    caller.close()


def closed_port(kind=socket.SOCK_STREAM):
    """A port of OWN_HOST where nobody is, and nobody will be unless this test goes there."""
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind((OWN_HOST, 0))
        return one.getsockname()[1]


def spare_port(kind=socket.SOCK_STREAM):
    """A port that nobody has at any address, and that the kernel gives to nobody who does not ask for it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first = int(file.read().split()[0])
    while True:
        with socket.socket(socket.AF_INET6, kind) as one:
            try:
                one.bind(("::", random.randrange(max(1024, first - 20000), first)))
                return one.getsockname()[1]
            except OSError:
                pass


def takes_less_than(seconds, attempt):
    """Whether one of several attempts does. On a busy machine any may be late, and who has to wait always is."""
    for _ in range(20):
        began = time.monotonic()
        attempt()
        if time.monotonic() - began < seconds:
            return True
    return False


def is_readable(caller, seconds):
    return bool(select.select([caller], [], [], seconds)[0])


def wait_until(holds):
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def children_of(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append((int(name), fields[0]))
    return found


def freeze(*pids):
    """Stops the processes. A signal is with one thread first, and the others may go on for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        wait_until(lambda: set(states_of_threads(pid)) == {"T"})


def thaw(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def states_of_threads(pid):
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, thread)) as stat:
            yield stat.read().rsplit(")", 1)[1].split()[0]


def memory_of(pid):
    """KiB of the process's own pages."""
    with open("/proc/%d/status" % pid) as status:
        return [int(line.split()[1]) for line in status if line.startswith("RssAnon")][0]


def states_of_port(port):
    """Of the sockets with this port of theirs, IPv4: "01" is connected, "06" over, "0A" listens."""
    with open("/proc/net/tcp") as table:
        lines = [line.split() for line in list(table)[1:]]
    return [line[3] for line in lines if line[1].endswith(":%04X" % port)]


def connections_to(port):
    """How many sockets of this port, IPv4, are neither listening nor over; CLOSE_WAIT counts."""
    return sum(state not in ("0A", "06") for state in states_of_port(port))
