"""Builds and runs the programs of course/posix for the tests."""

import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from programs import OWN_HOST

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "course" / "posix"
FLAGS = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]
PATIENCE = 30  # seconds until something that must happen is given up; nothing waits for it to pass
PROGRAMS = ["upper_server", "echo_server", "message_server", "phone_server_iterative", "phone_server_fork",
            "phone_server_threads", "phone_server_pool", "upper_client", "echo_client", "message_client",
            "phone_caller", "echo_word", "upper_udp_server", "upper_udp_client"]
HOOK = "    (void)t; // do your thing with the socket here\n"


def compile_program(source, output, *more):
    """As course/README.md says: cc FILE nethelp.c -pthread."""
    folder = pathlib.Path(source).parent
    command = ["cc", *FLAGS, *more, str(source), str(folder / "nethelp.c"), "-pthread"]
    command += ["-o", str(output)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, " ".join(command) + "\n" + done.stdout


class Workshop:
    """Compiles each program once, and variants of it from an edited copy of the sources."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.lock = threading.Lock()
        self.made = {}

    def program(self, name):
        return self._once((name,), SOURCE, name)

    def variant(self, name, body=None, **constants):
        """The program with another body in its do_something(), or other #define'd numbers."""
        key = (name, body, *sorted(constants.items()))
        if key in self.made:
            return self.made[key]
        copy = self.folder / f"copy{len(self.made)}"
        shutil.copytree(SOURCE, copy)
        if body is not None:
            edit(copy / f"{name}.c", HOOK, body)
        for constant, value in constants.items():
            edit(next(path for path in sorted(copy.glob("*.[ch]"))
                      if re.search(rf"^#define {constant} \d+", path.read_text(), re.M)),
                 rf"#define {constant} \d+", f"#define {constant} {value}", regular=True)
        return self._once(key, copy, name)

    def _once(self, key, sources, name):
        with self.lock:
            known = self.made.get(key)
        if known:
            return known
        output = self.folder / f"{name}-{abs(hash(key))}" if len(key) > 1 else self.folder / name
        compile_program(sources / f"{name}.c", output)
        with self.lock:
            self.made[key] = str(output)
        return str(output)


def edit(path, old, new, regular=False):
    text = path.read_text()
    changed, count = re.subn(old if regular else re.escape(old), lambda _: new, text)
    assert count == 1, f"{old!r} is {count} times in {path}"
    path.write_text(changed)


def eventually(condition, what="the condition"):
    end = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"never came true: {what}"
        time.sleep(0.005)


class Server:
    """A server of the course, running: its port, its lines on stdout, its end."""

    def __init__(self, *command, quiet=True, ends_with=0, port="0", host=None, prefix=()):
        self.quiet, self.ends_with = quiet and ends_with == 0, ends_with
        arguments = [*prefix, *command, *(part for part in (port, host) if part is not None)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors="replace")
        self.lines, self.errors = queue.Queue(), []
        self.readers = [threading.Thread(target=self._collect_lines, daemon=True),
                        threading.Thread(target=self._collect_errors, daemon=True)]
        for reader in self.readers:
            reader.start()
        first = self.line()
        found = re.fullmatch(r"listening on (\d+)", first or "")
        if not found:
            self.kill()
            raise AssertionError(f"{arguments} said {first!r}, and: {''.join(self.errors)}")
        self.port = int(found[1])

    @property
    def pid(self):
        return self.process.pid

    def _collect_lines(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def _collect_errors(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def line(self):
        return self.lines.get(timeout=PATIENCE)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        code = self.process.wait(timeout=PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
        return code

    def stop(self):
        """SIGTERM: a server without callers ends with 0, and has complained about nothing."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        assert self.wait() == self.ends_with, "".join(self.errors)
        if self.quiet:
            assert not self.errors, "".join(self.errors)

    def kill(self):
        if self.process.poll() is None:  # a test has failed
            for child in children_of(self.pid):
                os.kill(child, signal.SIGKILL)
            self.process.kill()
        self.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
        finally:
            self.kill()


def run(*command, text="", **more):
    """A client, to its end. text is its input, all there at once if it fits into a pipe."""
    read, write = os.pipe()
    feeder = threading.Thread(target=_feed, args=(write, text), daemon=True)
    feeder.start()
    if len(text) < 60000:
        feeder.join()
    try:
        return subprocess.run([str(part) for part in command], stdin=read, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **{"timeout": PATIENCE, **more})
    finally:
        os.close(read)


def _feed(descriptor, text):
    try:
        with os.fdopen(descriptor, "wb") as pipe:
            pipe.write(text if isinstance(text, bytes) else text.encode())
    except BrokenPipeError:
        pass


def call(server, host="127.0.0.1"):
    return socket.create_connection((host, server.port), timeout=PATIENCE)


def receive_all(connection):
    data = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece


def receive_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, f"the end came after {data!r}"
        data += piece
    return data


def reset(connection):
    """Leaves with a reset instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def refuses(port):
    """Whether nobody listens. Who is in the queue when the door is closed is reset: not refused, not yet.

    A server that still listens is not called: it would complain of a caller who has gone at once."""
    if is_listening(port):
        return False
    try:
        socket.create_connection((OWN_HOST, port), timeout=PATIENCE).close()
        return False
    except ConnectionResetError:
        return False
    except ConnectionRefusedError:
        return True


def is_listening(port):
    """Whether somebody does at both families' addresses, as the servers of the course do without a host."""
    with open("/proc/net/tcp6") as table:
        lines = [line.split() for line in list(table)[1:]]
    return any(line[1] == "%032X:%04X" % (0, port) and line[3] == "0A" for line in lines)


def descriptors(pid):
    return sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd"))


def tasks(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def children_of(pid):
    """pid and state of each child, zombies included."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = pathlib.Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found[int(name)] = fields[0]
    return found
