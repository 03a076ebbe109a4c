"""The server under test: started, watched, stopped, starved, ended."""

import contextlib
import functools
import os
import pty
import random
import resource
import signal
import socket
import subprocess
import termios
import threading
import time

from . import table

KEPT = 1 << 16  # bytes of output


class NotListening(Exception):
    """The program ended, or never listened; its text says what is known."""


def wait_until(condition, seconds):
    """The first true value of the condition, or its last one."""
    end = time.monotonic() + seconds
    pause = 0.001
    while True:
        result = condition()
        if result or time.monotonic() > end:
            return result
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


given = set()  # ports, by free_port


def free_port():
    """A port that nobody has, outside the range from which the kernel gives ports to clients."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as text:
        first, last = map(int, text.read().split())
    ports = [port for port in range(10000, 65000) if not first <= port <= last] or range(1024, 65000)
    taken = {row.port for row in table.rows(table.EVERY_STATE)} | given
    while True:
        port = random.choice(ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            if port not in taken:
                given.add(port)
                return port


class Program:
    """One run of the command line, with PORT replaced. It is not waited for here: see wait_until_listening."""

    def __init__(self, command, port, launcher=(), environment=None, text=None):
        self.port = port
        text = str(port) if text is None else text  # what it is told, which need not be a port
        words = [word.replace("PORT", text) for word in command]
        ours, theirs = pty.openpty()  # a terminal: what it prints is seen when it is printed
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        try:
            self.process = subprocess.Popen(
                [*launcher, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True,
                env={**os.environ, "PORT": text, **(environment or {})})
        except OSError as error:
            os.close(ours)
            raise NotListening("%s: %s" % (words[0], error.strerror)) from error
        finally:
            os.close(theirs)
        self.output = bytearray()
        self.reader = threading.Thread(target=self._read, args=[ours], daemon=True)
        self.reader.start()

    def _read(self, terminal):
        with contextlib.suppress(OSError):  # EIO: all who could write have gone
            while data := os.read(terminal, 1 << 16):
                self.output += data
                del self.output[:-KEPT]
        os.close(terminal)

    # ---- Its life -------------------------------------------------------------------------------

    def wait_until_listening(self, seconds):
        wait_until(lambda: self.listening_rows() or not self.is_alive(), seconds)
        if not self.listening_rows():
            problem = self.end_text() if not self.is_alive() else "never listened on port %d" % self.port
            self.end()
            raise NotListening("the program %s%s" % (problem, self.last_words()))
        return self

    def is_alive(self):
        return self.process.poll() is None

    def end_text(self):
        code = self.process.poll()
        if code is None:
            return "still runs"
        if code > 128 and code - 128 in set(signal.Signals) and code - 128 in (signal.SIGSEGV, signal.SIGABRT):
            code = 128 - code  # a shell tells it
        if code < 0:
            return "was killed by %s" % signal.Signals(-code).name
        return "ended with exit code %d%s" % (code, " (that is 128 + SIGTERM)" if code == 128 + signal.SIGTERM else "")

    def was_killed(self):
        return "killed" in self.end_text()

    def last_words(self, count=3):
        """Its last lines of output, as the end of a sentence."""
        self.reader.join(0 if self.is_alive() else 1)
        lines = self.output.decode(errors="replace").splitlines()
        # A stack trace begins or ends with what matters; its indented lines only name places.
        told = [line.rstrip() for line in lines if line.strip() and not line.startswith((" ", "\t", "Traceback"))]
        return "; its last words: %s" % " / ".join(line[:160] for line in told[-count:]) if told else ""

    def end(self):
        """Kills all its processes."""
        for pid in {*self.processes(), self.process.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    # ---- Its processes --------------------------------------------------------------------------

    def processes(self):
        """Process numbers with their states, zombies too."""
        found = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                fields = stat_of(int(name))
                if fields and int(fields[3]) == self.process.pid:  # the session
                    found[int(name)] = fields[0]
        return found

    def children(self):
        return {pid: state for pid, state in self.processes().items() if pid != self.process.pid}

    def is_asleep(self):
        """Whether every thread of every process waits for something."""
        return all(state_of_threads(pid) <= {"S", "Z"} for pid in self.processes())

    def is_java(self):
        return any(target.endswith("/lib/modules")
                   for pid in self.processes() for target in descriptors_of(pid).values())

    def zombies(self):
        return sum(state == "Z" for state in self.children().values())

    def memory(self):
        """KiB of pages of its own."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError), open("/proc/%d/status" % pid) as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
        return total

    @contextlib.contextmanager
    def held_still(self):
        """Nothing of it runs meanwhile; the kernel goes on taking callers and bytes for it."""
        pids = list(self.processes())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        held = wait_until(lambda: all(state_of_threads(pid) <= {"T", "Z"} for pid in pids), 30)
        assert held, "SIGSTOP did not stop the server within 30 s"
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def without_descriptors(self):
        """Meanwhile it can open nothing more."""
        before = {}
        for pid in self.processes():
            numbers = {int(name) for name in descriptors_of(pid)}
            first_free = next(n for n in range(len(numbers) + 1) if n not in numbers)
            with contextlib.suppress(OSError):
                before[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free, before[pid][1]))
        try:
            yield
        finally:
            usual = before.get(self.process.pid)
            for pid in self.processes():
                with contextlib.suppress(OSError):
                    if before.get(pid, usual):
                        resource.prlimit(pid, resource.RLIMIT_NOFILE, before.get(pid, usual))

    # ---- Its sockets ----------------------------------------------------------------------------

    def socket_inodes(self, pids=None):
        """The sockets of its processes; one that several of them share counts once."""
        pids = self.processes() if pids is None else pids
        return {int(target[8:-1]) for pid in pids for target in descriptors_of(pid).values()
                if target.startswith("socket:[")}

    def descriptor_count(self):
        return sum(len(descriptors_of(pid)) for pid in self.processes())

    def listening_rows(self, any_port=False):
        """Where it listens. (The table is looked into first, as it is the cheaper question.)"""
        doors = [row for row in table.listening_rows() if any_port or row.port == self.port]
        if doors:
            owned = self.socket_inodes()
            doors = [row for row in doors if row.inode in owned]
        return doors

    def listens(self):
        return any(row.port == self.port for row in table.listening_rows())

    def room_at_the_door(self):
        """How many callers may wait, as listen() was told; None if that is not known."""
        return next((row.room for row in table.listening_rows() if row.port == self.port), None)

    def end_of(self, caller_port):
        """The server's end of the connection of a caller, or None."""
        for row in table.rows():
            if row.port == self.port and row.peer_port == caller_port:
                return row
        return None

    def has_closed(self, caller_port):
        """Whether no process of it has the connection any more. (A caller still in the queue looks the same.)"""
        row = self.end_of(caller_port)
        return row is None or row.inode == 0

    @functools.cached_property
    def address(self):
        """Where to call it: 127.0.0.1 if it is to be reached there."""
        addresses = {row.address for row in self.listening_rows()}
        if addresses & {"0.0.0.0", "127.0.0.1", "::", "::ffff:127.0.0.1"} or not addresses:
            return "127.0.0.1"
        return min(addresses)


def stat_of(pid):
    """The fields of /proc/PID/stat after the name, from the state on; None if there is no such process."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None


def state_of_threads(pid):
    """The states of its threads, a letter each. A process whose threads are gone has none."""
    states = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/%d/task" % pid):
            with contextlib.suppress(OSError, IndexError), open("/proc/%d/task/%s/stat" % (pid, thread)) as stat:
                states.add(stat.read().rsplit(")", 1)[1].split()[0])
    return states


def descriptors_of(pid):
    """What each descriptor is, by its number as text; none for a process that is gone."""
    found = {}
    folder = "/proc/%d/fd" % pid
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                found[name] = os.readlink(os.path.join(folder, name))
    return found


def flags_of(pid, number):
    """The flags of a descriptor, close-on-exec among them."""
    with open("/proc/%d/fdinfo/%s" % (pid, number)) as info:
        return int(next(line.split()[1] for line in info if line.startswith("flags:")), 8)
