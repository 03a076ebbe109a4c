"""Compiles the strangers, once, and starts programs: what they say is kept, and whoever waits for it is woken."""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import termios
import threading

from grade import program, table
from programs import PATIENCE
from strangers import HERE, NO_PROGRAM

LISTENING = re.compile(rb"[Ll]istening on [^\n]*?(\d+)(?: \.\.\.)?\s*\n")


def compile_all(folder):
    """Programs in C and classes in Java, all at once."""
    made = [(["cc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", str(source), "-o", str(folder / source.stem)])
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

    def __init__(self, command, made, port=None, typed_at=False, env=None, host="127.0.0.1"):
        places = {"HOST": host, "PORT": str(port), "PROGRAMS": str(made), "CLASSES": str(made)}
        self.command = [re.sub("HOST|PORT|PROGRAMS|CLASSES", lambda word: places[word[0]], part)
                        if part.isascii() and not os.path.isabs(part) else part for part in command]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE if typed_at else subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, env={**os.environ, **(env or {})})
        self.changed = threading.Condition()
        self.shown = {"stdout": b"", "stderr": b""}
        self.open = set(self.shown)
        self.threads = [threading.Thread(target=self._keep, args=[name], daemon=True) for name in self.shown]
        for thread in self.threads:
            thread.start()

    def _keep(self, name):
        stream = getattr(self.process, name)
        while data := os.read(stream.fileno(), 1 << 16):
            with self.changed:
                self.shown[name] += data
                self.changed.notify_all()
        with self.changed:
            self.open.discard(name)
            self.changed.notify_all()

    # ---- What it hears and says ----------------------------------------------------------------

    def say(self, words):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(words)
            self.process.stdin.flush()

    def say_no_more(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def has_unread_input(self):
        """Some look at their input only now and then."""
        if not self.process.stdin or self.process.stdin.closed:
            return False
        size = bytearray(4)
        fcntl.ioctl(self.process.stdin, termios.FIONREAD, size)
        return any(size)

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
        if self.process.stdin:
            self.say_no_more()
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.end()


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


__all__ = ["Party", "compile_all", "processes_of", "NO_PROGRAM"]
