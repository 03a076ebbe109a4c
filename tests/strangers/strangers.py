"""Who is there to talk with: the programs of the lectures in four languages, and the tools of Debian.

A command has HOST and PORT in it where the address belongs. What a program is like is said in words, of which
reasons.py makes the sentences of docs/strangers.md.
"""

import dataclasses
import pathlib
import re
import shutil
import sys

from programs import DOORBELL

HERE = pathlib.Path(__file__).resolve().parent
WORDS = b"hello, door"
NO_PROGRAM = "there is no %s here"


@dataclasses.dataclass(frozen=True)
class Client:
    name: str
    command: tuple
    sends: str = "line"        # or words, without a newline; line and NUL; TLS
    reads: str = "end"         # shows what comes up to the end; or up to a line, or once, or as much as it has sent
    half_closes: bool = False  # after its input
    by_bytes: bool = False     # a write for each byte
    shows_all: bool = False    # of one read: NULs, too
    leaves: bool = False       # when its input ends
    listens: bool = True       # reads its input, instead of having been told everything, or not yet
    typed_at: bool = False     # its input stays open until the answer is there: its end would be a hanging up
    shows: bytes = b"(.*)"     # a pattern; its group is the answer
    on: str = "stdout"
    needs: str = ""

    def answer_in(self, shown):
        found = re.fullmatch(self.shows, shown, re.DOTALL)
        answer = found[1] if found else b""
        return b"" if answer == b"null" else answer  # so says Java where nothing came

    @property
    def absent(self):
        return why_absent(self)


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    command: tuple
    waits_for: str = "line"    # and answers then; or bytes as they come; one read; the end; somebody who is typing
    closes: str = "answer"     # hangs up after it; or at the end of its client; or half-closes; or never
    answer: bytes = WORDS.upper()
    by_bytes: bool = False
    pads: bool = False
    typed_at: bool = False     # somebody sits there, and types the answer when he sees the words
    lasts: bool = False        # serves the next one as well as the first: started once
    needs: str = ""
    models: tuple = ()

    @property
    def absent(self):
        return why_absent(self)


def why_absent(program):
    for name in program.needs.split():
        if not shutil.which(name):
            return NO_PROGRAM % name
    return None


def java(*words):
    # Nothing of these runs long enough to be worth compiling well.
    return ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp", "CLASSES", *words)


def python(name, *words):
    return (sys.executable, str(HERE / "python" / name), *words)


def perl(name, *words):
    return ("perl", str(HERE / "perl" / name), *words)


def c(name, *words):
    return ("PROGRAMS/" + name, *words)


AS_LINE = rb"FROM SERVER: (.*)\n"
TELNET = rb"Trying [^\n]*\nConnected to [^\n]*\nEscape character is '\^]'\.\n(.*?)(?:Connection closed[^\n]*\n)?"

CLIENTS = [
    Client("doorbell connect", (DOORBELL, "connect", "-q", "HOST:PORT"), half_closes=True),
    Client("cap_tcp_client", c("cap_tcp_client", "HOST", "PORT"), reads="line", shows=AS_LINE),
    Client("quirky_cap_tcp_client", c("quirky_cap_tcp_client", "HOST", "PORT"), sends="line and NUL", reads="once",
           shows=rb"FROM SERVER: (.*) \n", on="stderr"),
    Client("JavaTcpClient", java("JavaTcpClient", "HOST", "PORT"), reads="line", by_bytes=True, shows=AS_LINE,
           needs="javac java"),
    Client("tcp_client.py", python("tcp_client.py", "HOST", "PORT"), sends="words", reads="once",
           shows_all=True, shows=rb"Input lowercase sentence:From Server: (.*)\n"),
    Client("tcp_client.pl", perl("tcp_client.pl", "HOST", "PORT"), reads="line", shows=rb"FROM SERVER: (.*)",
           needs="perl"),
    Client("msg_client", c("msg_client", "HOST", "PORT"), reads="once", shows=rb"Please enter the message: (.*)\n"),
    Client("phone_client", c("phone_client", "HOST", "PORT"), half_closes=True),
    Client("echoclient", c("echoclient", "HOST", "PORT"), reads="line"),
    Client("echo_client4", c("echo_client4", "HOST", WORDS.decode(), "PORT"), sends="words", reads="as much",
           listens=False, shows=rb"Received: (.*)\n"),
    Client("nc.openbsd -N", ("nc.openbsd", "-N", "HOST", "PORT"), half_closes=True, needs="nc.openbsd"),
    Client("nc.openbsd", ("nc.openbsd", "HOST", "PORT"), needs="nc.openbsd"),
    Client("nc.traditional", ("nc.traditional", "HOST", "PORT"), needs="nc.traditional"),
    Client("ncat", ("ncat", "HOST", "PORT"), half_closes=True, needs="ncat"),
    Client("socat", ("socat", "-t", "60", "-", "TCP:HOST:PORT"), half_closes=True, needs="socat"),
    Client("telnet", ("telnet", "HOST", "PORT"), typed_at=True, leaves=True, shows=TELNET, needs="telnet"),
    Client("curl telnet://", ("curl", "-sSN", "telnet://HOST:PORT"), needs="curl"),
    Client("openssl s_client", ("openssl", "s_client", "-quiet", "-connect", "HOST:PORT"), sends="TLS",
           listens=False, needs="openssl"),
]

MESSAGE = b"I got your message"
BY_HAND = {"typed_at": True, "waits_for": "typing"}

SERVERS = [
    Server("cap_tcp_server", c("cap_tcp_server", "0")),
    Server("quirky_cap_tcp_server", c("quirky_cap_tcp_server", "0"), waits_for="read", pads=True),
    Server("JavaTcpServer close", java("JavaTcpServer", "0", "close"), by_bytes=True, lasts=True, needs="javac java"),
    Server("JavaTcpServer keep", java("JavaTcpServer", "0", "keep"), closes="never", by_bytes=True, lasts=True,
           needs="javac java"),
    Server("tcp_server.py", python("tcp_server.py", "0"), waits_for="read"),
    Server("tcp_server.pl", perl("tcp_server.pl", "0"), closes="end", needs="perl"),
    Server("echoserver", c("echoserver", "0"), closes="end", answer=WORDS),
    Server("msg_server", c("msg_server", "0"), waits_for="read", answer=MESSAGE),
    Server("phone_server_iter", c("phone_server_iter", "0"), waits_for="nothing", answer=b""),
    Server("phone_server_fork echo", c("phone_server_fork", "0", "echo"), waits_for="bytes", closes="end",
           answer=WORDS),
    Server("nc.openbsd -N -l", ("nc.openbsd", "-v", "-N", "-l", "127.0.0.1", "0"), **BY_HAND,
           needs="nc.openbsd"),
    Server("nc.traditional -l", ("nc.traditional", "-v", "-l", "-s", "127.0.0.1"), closes="end", **BY_HAND,
           needs="nc.traditional"),
    Server("ncat -l", ("ncat", "-v", "-l", "127.0.0.1", "0"), **BY_HAND, needs="ncat"),
    Server("socat TCP-LISTEN", ("socat", "-d", "-d", "-t", "60", "-", "TCP-LISTEN:0,bind=127.0.0.1"), closes="half", **BY_HAND,
           needs="socat"),
    Server("socat EXEC:tr", ("socat", "-d", "-d", "-t", "60", "TCP-LISTEN:0,bind=127.0.0.1,fork", "EXEC:tr a-z A-Z"),
           waits_for="end", needs="socat"),
]

BY_NAME = {stranger.name: stranger for stranger in CLIENTS + SERVERS}
