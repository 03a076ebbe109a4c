"""The callers of the soak: what good and bad ones do at a door, and whether what they hear is what its service says.

Who comes while calls of the server fail is tolerant: he may hear nothing, or the beginning only, but never anything else.
"""

import email.utils
import os
import random
import re
import socket
import struct
import time

from datagrams import needs_low_ports, udp_packet
from programs import PATIENCE
from torture import Caller, Failure, is_broken, require

QUOTE = "Not today."
LONGEST = 4096  # bytes of a datagram or message that the server takes
TOGETHER = 8
PRINTABLE = bytes(range(33, 127)) + b" "
KINDS = {"tcp": (socket.AF_INET, socket.SOCK_STREAM), "unix": (socket.AF_UNIX, socket.SOCK_STREAM),
         "unixpacket": (socket.AF_UNIX, socket.SOCK_SEQPACKET), "udp": (socket.AF_INET, socket.SOCK_DGRAM),
         "unixgram": (socket.AF_UNIX, socket.SOCK_DGRAM)}


class Door:
    """An address at which a server has a service. `beside` are the ports of all its doors for datagrams."""

    def __init__(self, service, scheme, address, site=None):
        self.service, self.scheme, self.address, self.site = service, scheme, address, site
        self.beside = []

    def __str__(self):
        return "%s at %s:%s" % (self.service, self.scheme, self.address)

    def call(self, tolerant):
        family, kind = KINDS[self.scheme]
        caller = Caller(family, tolerant, kind)
        try:
            if self.scheme == "unixgram":
                caller.bind("")  # a name by which it is answered
            caller.connect(self.address)
        except OSError:
            caller.close()
            raise
        return caller


# ---- What is right -----------------------------------------------------------------------------------------------------

ANSWERS = {
    "echo": lambda said: said, "exec": lambda said: said, "upper": lambda said: said.upper(), "discard": lambda said: b"",
    "quote": lambda said: QUOTE.encode() + b"\r\n", "message": lambda said: b"I got your message",
}


def is_line(line):
    """Of chargen: 72 characters of the row, which begins anew after its last one."""
    row = PRINTABLE * 2
    return len(line) <= 72 and line in row


def is_right(service, said, heard, whole):
    if service == "chargen":
        return all(map(is_line, (line.rstrip(b"\r") for line in heard.split(b"\r\n"))))
    if service == "daytime":
        return bool(re.fullmatch(rb"\w+, \w+ \d\d, \d{4} \d\d:\d\d:\d\d-\w+\r\n", heard)) or (not whole and len(heard) < 60)
    if service == "time":
        return len(heard) == 4 or (not whole and len(heard) < 4)
    expected = ANSWERS[service](said)
    return heard == expected if whole else expected.startswith(heard)


def check(door, said, heard, whole):
    require(is_right(door.service, said, heard, whole),
            "%s: %d bytes are answered by %d: %r" % (door, len(said), len(heard), heard[:80]))


# ---- Who talks ---------------------------------------------------------------------------------------------------------

def converse(door, tolerant, say, said):
    """`say` is given the caller; the answer must be whole, unless calls fail."""
    heard = b""
    try:
        with door.call(tolerant) as caller:
            say(caller)
            while piece := caller.recv(65536):
                heard += piece
    except OSError as error:
        if not tolerant:
            raise Failure("%s: %r after %d bytes" % (door, error, len(heard))) from error
        if not is_broken(error):
            raise
    check(door, said, heard, not tolerant)


def say_all(said):
    def say(caller):
        caller.sendall(said)
        caller.shutdown(socket.SHUT_WR)
    return say


def a_line(door, chance, tolerant):
    said = b"caller %d\n" % chance.randrange(10 ** 9)
    converse(door, tolerant, say_all(said), said)


def much(door, chance, tolerant):
    said = chance.randbytes(chance.randrange(1, 50000))
    converse(door, tolerant, say_all(said), said)


def slowly(door, chance, tolerant):
    said = chance.randbytes(chance.randrange(2, 9))

    def say(caller):
        for i in range(len(said)):
            caller.sendall(said[i:i + 1])
        caller.shutdown(socket.SHUT_WR)
    converse(door, tolerant, say, said)


def silent(door, chance, tolerant):
    converse(door, tolerant, lambda caller: caller.shutdown(socket.SHUT_WR), b"")


def together(door, chance, tolerant):
    """Some models serve one at a time: each finishes in his turn."""
    callers = []
    try:
        for _ in range(TOGETHER):
            callers.append(door.call(tolerant))
        for number, caller in enumerate(callers):
            said, heard = b"ding %d\n" % number, b""
            say_all(said)(caller)
            while piece := caller.recv(4096):
                heard += piece
            check(door, said, heard, not tolerant)
    except OSError as error:
        if not tolerant or not is_broken(error):
            raise
    finally:
        for caller in callers:
            caller.close()
    return TOGETHER


def hear_lines(door, chance, tolerant):
    """Of chargen: some lines of an answer that has no end."""
    heard, wanted = b"", chance.choice([1, 74, 5000, 100000])
    try:
        with door.call(tolerant) as caller:
            while len(heard) < wanted and (piece := caller.recv(wanted)):
                heard += piece
    except OSError as error:
        if not tolerant or not is_broken(error):
            raise
    check(door, b"", heard, False)
    require(tolerant or len(heard) >= wanted, "%s: it ends after %d bytes" % (door, len(heard)))


# ---- Who behaves badly: it is he who breaks off, so that whatever breaks is no failure ---------------------------------------

def badly(behave):
    def come(door, chance, tolerant):
        try:
            with door.call(tolerant) as caller:
                behave(caller)
        except OSError as error:
            if not is_broken(error):
                raise
    come.__name__ = behave.__name__
    return come


def reset_at_the_end(caller):
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@badly
def reset(caller):
    caller.sendall(b"x" * 100)
    reset_at_the_end(caller)


@badly
def reset_at_once(caller):
    reset_at_the_end(caller)


@badly
def leave(caller):
    pass


@badly
def leave_in_the_middle(caller):
    caller.sendall(b"half a li")


@badly
def leave_after_the_first_byte(caller):
    caller.sendall(b"hello\n")
    caller.recv(1)


@badly
def never_read(caller):
    caller.settimeout(0)
    try:
        for _ in range(100):
            caller.send(b"y" * 65536)
    except BlockingIOError:
        pass


@badly
def let_it_write(caller):
    """Until nothing more fits: whoever writes without end waits by then."""
    caller.recv(1)


# ---- Whoever wants files -----------------------------------------------------------------------------------------------------

def make_site(folder):
    """What may be seen, and beside it what may not."""
    site = os.path.join(folder, "site")
    os.makedirs(os.path.join(site, "sub"))
    for name, data in (("index.html", b"<h1>Front</h1>\n"), ("big.bin", bytes(range(256)) * 2000),
                       ("sub/plain.txt", b"0123456789"), ("sub/.hidden", b"SECRET"), ("../outside.txt", b"SECRET")):
        with open(os.path.join(site, name), "wb") as file:
            file.write(data)
    os.symlink("../outside.txt", os.path.join(site, "link.txt"))
    os.symlink("..", os.path.join(site, "up"))
    return site


BIG = bytes(range(256)) * 2000
REQUESTS = [  # what is asked, more of it, the status, and the body if it matters
    ("GET /", "", 200, b"<h1>Front</h1>\n"), ("GET /big.bin", "", 200, BIG), ("GET /sub/plain.txt", "", 200, b"0123456789"),
    ("GET /big.bin", "Range: bytes=1000-1999", 206, BIG[1000:2000]), ("GET /big.bin", "Range: bytes=-5", 206, BIG[-5:]),
    ("GET /big.bin", "Range: bytes=9999999-", 416, None), ("HEAD /big.bin", "", 200, b""), ("GET /sub/", "", 200, None),
    ("GET /sub", "", 301, None), ("GET /nothing", "", 404, None), ("GET /../outside.txt", "", None, None),
    ("GET /%2e%2e/outside.txt", "", None, None), ("GET /sub/..%2f..%2foutside.txt", "", None, None),
    ("GET /link.txt", "", 404, None), ("GET /up/outside.txt", "", 404, None), ("GET /sub/.hidden", "", 404, None),
    ("POST /", "Content-Length: 3", None, None), ("GET /sub/plain.txt", "If-Modified-Since: %s", 304, b""),
    ("nonsense", "", None, None), ("GET /" + "x" * 9000, "", None, None),
]


def fetch(door, chance, tolerant):
    request, more, status, body = chance.choice(REQUESTS)
    if "%s" in more:
        more %= email.utils.formatdate(os.path.getmtime(os.path.join(door.site, "sub/plain.txt")), usegmt=True)
    heard = b""
    try:
        with door.call(tolerant) as caller:
            caller.sendall("\r\n".join([request + " HTTP/1.1", "Host: x", "Connection: close", *([more] if more else []),
                                        "", ""]).encode())
            while piece := caller.recv(65536):
                heard += piece
    except OSError as error:
        if not tolerant:
            raise Failure("%s: %s: %r after %d bytes" % (door, request[:60], error, len(heard))) from error
        if not is_broken(error):
            raise
    check_page(door, request, heard, status, body, not tolerant)


def check_page(door, request, heard, status, body, whole):
    what = "%s: %s is answered by %r" % (door, request[:60], heard[:200])
    head, between, page = heard.partition(b"\r\n\r\n")
    require(b"SECRET" not in heard, what)
    if not between:
        require(not whole, what)
        return
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
    # Who has no memory says so.
    require(found and (found[1].startswith((b"3", b"4", b"501")) if status is None else int(found[1]) == status or
                       (not whole and found[1].startswith(b"5"))), what)
    if body is not None and int(found[1]) == status:
        require(page == body if whole else body.startswith(page), what)


def keep_asking(door, chance, tolerant):
    """Several requests of one caller, as long as he may."""
    try:
        with door.call(tolerant) as caller, caller.makefile("rb") as stream:
            for _ in range(5):
                caller.sendall(b"GET /sub/plain.txt HTTP/1.1\r\nHost: x\r\n\r\n")
                head, page = read_head(stream), stream.read(10)
                require(tolerant or page == b"0123456789", "%s: %r %r" % (door, head, page))
                if not page or any(b"close" in line for line in head):
                    break
    except OSError as error:
        if not tolerant or not (is_broken(error) or isinstance(error, socket.timeout)):
            raise


def read_head(stream):
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        lines.append(line)
    return lines


@badly
def half_a_request(caller):
    caller.sendall(b"GET /big.bin HTTP/1.1\r\nHost")


@badly
def ask_and_never_read(caller):
    caller.sendall(b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    caller.recv(1)
    reset_at_the_end(caller)


# ---- Messages and datagrams ------------------------------------------------------------------------------------------------

def a_message(door, chance, tolerant):
    """Over unixpacket: several, each of which is answered by one."""
    try:
        with door.call(tolerant) as caller:
            for _ in range(3):
                said = chance.randbytes(chance.randrange(1, LONGEST))
                caller.sendall(said)
                heard = caller.recv(2 * LONGEST)
                require(heard or tolerant, "%s: it ends" % door)
                if not heard:
                    break
                check(door, said, heard, True)
    except OSError as error:
        if not tolerant or not is_broken(error):
            raise


def is_lost(error, tolerant=False):
    """Of a datagram: it did not arrive, or nobody was there just now. A message has somebody who may hang up."""
    return isinstance(error, (socket.timeout, ConnectionRefusedError, BlockingIOError)) or (tolerant and is_broken(error))


def ask(door, said, tolerant):
    """A datagram may be lost, and is sent again then; what is answered belongs to it."""
    until = time.monotonic() + PATIENCE
    with door.call(True) as caller:
        while True:
            try:
                caller.send(said)
                heard = caller.recv(70000)
                break
            except OSError as error:
                if not is_lost(error, tolerant):
                    raise
                if tolerant:
                    return
                require(time.monotonic() < until, "%s: a question of %d bytes is not answered" % (door, len(said)))
    check(door, said, heard, True)


def a_question(door, chance, tolerant):
    ask(door, chance.randbytes(chance.randrange(LONGEST)), tolerant)


def nothing(door, chance, tolerant):
    ask(door, b"", tolerant)


def too_long(door, chance, tolerant):
    """It is not answered: what is heard is the answer to what follows."""
    try:
        with door.call(True) as caller:
            caller.send(chance.randbytes(LONGEST + chance.randrange(1, 5000)))
            caller.send(b"short")
            heard = caller.recv(70000)
    except OSError as error:
        if not is_lost(error, tolerant):
            raise
        return
    check(door, b"short", heard, True)


def several_vanish(door, chance, tolerant):
    """Who asks, and is gone before the answer."""
    for _ in range(3):
        try:
            with door.call(True) as caller:
                for _ in range(chance.randrange(1, 8)):
                    caller.send(b"are you there?")
        except OSError as error:
            if not is_lost(error, tolerant):
                raise
    return 3


def from_a_low_port(door, chance, tolerant):
    """Such an address is a service's, which would answer back."""
    one = needs_low_ports() if door.scheme == "udp" else None
    if not one:
        return
    with one:
        one.sendto(b"hello", door.address)
        a_question(door, chance, tolerant)
        one.settimeout(0)
        try:
            heard = one.recv(100)
        except BlockingIOError:
            return
        raise Failure("%s: port %d is answered: %r" % (door, one.getsockname()[1], heard))


def from_itself(door, chance, tolerant):
    """Somebody writes the server's own address on a datagram. Were it answered, the server would never rest."""
    if door.scheme != "udp":
        return
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
            raw.sendto(udp_packet(chance.choice(door.beside), door.address[1], b"hello, door"), ("127.0.0.1", 0))
    except PermissionError:
        pass


def say_only(door, chance, tolerant):
    try:
        with door.call(True) as caller:
            caller.send(b"to nobody")
    except OSError as error:
        if not is_lost(error, tolerant):
            raise


# ---- Who comes where -------------------------------------------------------------------------------------------------------

BAD = [reset, reset_at_once, leave, leave_in_the_middle]
TALK = [a_line, a_line, a_line, much, much, slowly, silent, together, never_read, leave_after_the_first_byte, *BAD]
LISTEN = [a_line, a_line, silent, together, reset, reset_at_once, leave]
ASK = [a_question, a_question, a_question, nothing, too_long, several_vanish, from_a_low_port, from_itself]
STREAMS = {"chargen": [hear_lines, hear_lines, let_it_write, reset_at_once, leave, never_read],
           "files": [fetch, fetch, fetch, fetch, keep_asking, half_a_request, ask_and_never_read, *BAD],
           "message": [a_line, a_line, together, leave_after_the_first_byte, *BAD], "discard": [a_line, much, silent, together, *BAD]}


def callers_of(door):
    if door.scheme in ("udp", "unixgram"):
        return [say_only, from_itself] if door.service == "discard" else ASK
    if door.scheme == "unixpacket":
        return [a_message, a_message, leave, leave_in_the_middle, never_read] if door.service != "discard" else [leave, say_only]
    for services, callers in ((("quote", "daytime", "time"), LISTEN), (("echo", "upper", "exec"), TALK)):
        if door.service in services:
            return callers
    return STREAMS[door.service]


def come(door, chance, tolerant):
    """Returns how many callers it were."""
    return chance.choice(callers_of(door))(door, chance, tolerant) or 1


def come_afresh(door):
    """A good caller, who comes again until he is served: a listener may rest for a moment."""
    until = time.monotonic() + PATIENCE
    good = callers_of(door)[0]
    while True:
        try:
            return good(door, random.Random(door.service), False)
        except (Failure, OSError) as why:
            require(time.monotonic() < until, "a fresh caller: %s" % why)
            time.sleep(0.01)
