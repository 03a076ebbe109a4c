"""The programs of the course in five kinds: how each is started, and how it says its port."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from posix_programs import PATIENCE, Server
from programs import BUILD, ROOT

COURSE = pathlib.Path(ROOT) / "course"
KINDS = ["posix", "bell", "java", "python", "perl"]
SERVICES = ["upper", "echo", "message", "phone", "upper_udp"]
ENDINGS = {"python": ".py", "perl": ".pl"}
# A quick start counts more than quick running.
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:+UseSerialGC"]


def client_of(service):
    return "phone_caller" if service == "phone" else service + "_client"


def command(kind, name, program=None):
    """The command line of a program. program: where those of course/posix are, by name."""
    if kind == "posix":
        return [program(name)]
    if kind == "bell":
        return [os.path.join(BUILD, "course", "bell", "bell_" + name)]
    interpreter = sys.executable if kind == "python" else "perl"
    return [interpreter, str(COURSE / kind / (name + ENDINGS[kind]))]


def java_name(name):
    return "".join(word.capitalize() for word in name.split("_"))


def where(kind, name, port, host="127.0.0.1"):
    """The arguments of a client."""
    if kind != "bell":
        return [host, str(port)]
    return ["%s%s:%d" % ("udp:" if "udp" in name else "", host, port)]


class BellServer(Server):
    """One over the library, which tells its address on stderr."""

    def __init__(self, *words, address="127.0.0.1:0", **options):
        super().__init__(*words, address, port=None, quiet=False, **options)

    def _collect_errors(self):
        for line in self.process.stderr:
            found = re.match(r"listening on \S+:(\d+)$", line)
            if found:
                self.lines.put("listening on " + found[1])
            self.errors.append(line)


def start(kind, name, program=None, **options):
    if kind == "posix" and name == "phone_server":
        name = "phone_server_fork"
    if kind == "bell":
        options.pop("quiet", None)
        address = "udp:127.0.0.1:0" if "udp" in name else "127.0.0.1:0"
        return BellServer(*command(kind, name), address=address, **options)
    return Server(*command(kind, name, program), **options)


def has_java():
    return bool(shutil.which("javac") and shutil.which("java"))


def compile_java(folder):
    """All programs, and Many, with one run of the compiler."""
    sources = [*map(str, (COURSE / "java").glob("*.java")), str(pathlib.Path(__file__).parent / "Many.java")]
    done = subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", str(folder), *sources], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Machine:
    """A Java machine with Many in it."""

    def __init__(self, classes, *words):
        self.process = subprocess.Popen([*JAVA, "-cp", str(classes), "Many", *words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ports(self, names):
        """Of the servers, by the names that they have in the other languages."""
        ports = dict(self.process.stdout.readline().split() for _ in names)
        return {name: int(ports[java_name(name)]) for name in names}

    def call(self, name, port, text):
        print(java_name(name), "127.0.0.1", port, "." + text.encode().hex(), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer.startswith("."), "%s failed: %r" % (name, answer)
        return bytes.fromhex(answer[1:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            assert self.process.wait(PATIENCE) == 0
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
