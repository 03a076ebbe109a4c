"""Compiles the strangers, once, and starts programs: what they say is kept, and whoever waits for it is woken."""

import contextlib
import fcntl
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import threading

from grade import program, table
from programs import PATIENCE
from strangers import HERE

LISTENING = re.compile(rb"[Ll]istening on [^\n]*?(\d+)(?: \.\.\.)?\s*\n")

# A pipe is closed when nobody has it, and a program that is just being started has everything that we have.
starting = threading.Lock()


def compile_all(folder):
    """Programs in C and classes in Java, all at once."""
    made = [["cc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(folder / source.stem)]
            for source in sorted((HERE / "c").glob("*.c"))]
    if shutil.which("javac"):
        made.append(["javac", "-d", str(folder), *map(str, sorted((HERE / "java").glob("*.java")))])
    running = [(command, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
               for command in made]
    for command, process in running:
        words = process.communicate()[0].decode()
        assert process.returncode == 0, "%s\n%s" % (" ".join(command), words)
    return pathlib.Path(folder)


class Party:
    """A program in a session of its own."""

    def __init__(self, command, made, port=None, env=None):
        places = {"HOST": "127.0.0.1", "PORT": str(port), "PROGRAMS": str(made), "CLASSES": str(made)}
        self.command = [re.sub("HOST|PORT|PROGRAMS|CLASSES", lambda word: places[word[0]], part)
                        if part.isascii() and not os.path.isabs(part) else part for part in command]
        self.paper, pen = os.pipe()  # its input, and what we write it with; the first is kept to see what is unread
        self.pen = os.fdopen(pen, "wb", buffering=0)
        with starting:
            self.process = subprocess.Popen(
                self.command, stdin=self.paper, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                env={**os.environ, **(env or {})})
        self.changed = threading.Condition()
        self.shown = {"stdout": b"", "stderr": b""}
        self.open = set(self.shown)
        self.threads = [threading.Thread(target=self._keep, args=[name], daemon=True) for name in self.shown]
        for thread in self.threads:
            thread.start()

    def _keep(self, name):
        stream = getattr(self.process, name)
        while name in self.open:
            select.select([stream], [], [])
            with self.changed:
                data = os.read(stream.fileno(), 1 << 16)
                self.shown[name] += data
                if not data:
                    self.open.discard(name)
                self.changed.notify_all()

    # ---- What it hears and says ----------------------------------------------------------------

    def say(self, words):
        self.pen.write(words)

    def say_no_more(self):
        with starting:
            self.pen.close()

    def has_words_under_way(self):
        """From us to it, since some look at their input only now and then, or from it to us."""
        with self.changed:
            return any(bytes_in(pipe) for pipe in [self.paper, *(getattr(self.process, name) for name in self.open)])

    @property
    def stdout(self):
        return self.shown["stdout"]

    @property
    def stderr(self):
        return self.shown["stderr"]

    def is_over(self):
        return not self.open

    def wait_for(self, what, seconds=PATIENCE):
        """Until what() is true; returns that."""
        with self.changed:
            return self.changed.wait_for(what, seconds)

    def wait_for_words(self, pattern, on="stderr", count=1):
        def found():
            return len(re.findall(pattern, self.shown[on])) >= count or on not in self.open
        self.wait_for(found)
        matches = list(re.finditer(pattern, self.shown[on]))
        assert len(matches) >= count, (self.command, pattern, count, self.shown)
        return matches[count - 1]

    def port(self):
        """Where it listens, as soon as it does."""
        port = int(self.wait_for_words(LISTENING)[1])
        if port == 0:  # it does not know either
            port = next(row.port for row in table.listening_rows() if row.inode in self.sockets())
        return port

    # ---- Its processes --------------------------------------------------------------------------

    def sockets(self):
        return {int(target[8:-1]) for pid in processes_of([self]) for target in program.descriptors_of(pid).values()
                if target.startswith("socket:[")}

    def wait(self):
        """To its end; its exit code, once all has come that it said."""
        code = self.process.wait(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)
        return code

    def end(self):
        for pid in {*processes_of([self]), self.process.pid} if self.process.poll() is None else processes_of([self]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.wait()
        self.say_no_more()
        os.close(self.paper)
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.end()


def bytes_in(pipe):
    size = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return int.from_bytes(size, sys.byteorder)


def processes_of(parties):
    """All processes of their sessions, zombies left out."""
    sessions = {str(party.process.pid) for party in parties}
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = program.stat_of(int(name))
            if fields and fields[3] in sessions and fields[0] != "Z":
                found.append(int(name))
    return found
