"""What a check is given: servers, callers, and what is known of the server.

A check is a function of a Trial. It returns when all is well, and raises Fault with what was seen when it is not. Each
check starts a server of its own, so that one that dies or hangs spoils nothing else.
"""

import contextlib
import os
import sys
import threading
import time
from typing import Callable, NamedTuple

from .caller import Caller
from .program import NotListening, Program, free_port, wait_until

CHECKS = []
GREETING = b"Hello, door 1\n"
LAUNCHER = [sys.executable, "-ES", os.path.join(os.path.dirname(os.path.abspath(__file__)), "launch.py")]
MOST_AT_ONCE = 8  # callers held open to find out how many are served at once


class Fault(Exception):
    """What was sent, what was expected, what came: one sentence. The items may be narrower than the check's."""

    def __init__(self, sentence, *items):
        super().__init__(sentence)
        self.items = items


class NotJudged(Exception):
    """Why this check says nothing of this server, on this machine."""


class Check(NamedTuple):
    name: str
    title: str  # what is right, as a statement
    items: tuple
    why: str
    advice: str
    run: Callable


def check(name, title, items, why, advice):
    def register(function):
        CHECKS.append(Check(name, title, tuple(items.split()), why, advice, function))
        return function
    return register


class Acquaintance(NamedTuple):
    """What the first conversation has shown."""
    service: str       # echo, upper, or "" if it is neither
    heard: bytes
    waits_for_end: bool
    talks: str         # "on": line after line; "once": it hangs up after a line; "no more": neither
    surplus: int       # bytes that it sends on top of the answer
    problem: str       # why there was no conversation


class Trial:
    def __init__(self, command, service=None, patience=3.0, starting=20.0):
        self.command, self.wanted_service, self.patience, self.starting = command, service, patience, starting
        self.observations = []
        self._known = {}
        self._lock = threading.RLock()

    # ---- Servers and callers --------------------------------------------------------------------

    def start(self, port=None, world=None, environment=None):
        """A server that listens. Somebody may take the free port first: then another one is tried."""
        launcher = [*LAUNCHER, world] if world else ()
        for attempt in range(3):
            program = Program(self.command, port or free_port(), launcher, environment)
            try:
                return self._wait_until_listening(program)
            except NotListening:
                ended = not program.is_alive()
                program.end()
                if port or attempt == 2 or not ended:
                    raise

    def _wait_until_listening(self, program):
        """The first start may take long; the others take about the same, or something is wrong."""
        began = time.monotonic()
        program.wait_until_listening(self._known.get("start", self.starting))
        self._known.setdefault("start", min(self.starting, max(self.patience, 10 * (time.monotonic() - began))))
        return program

    @contextlib.contextmanager
    def server(self, **options):
        program = self.start(**options)
        try:
            yield program
        finally:
            program.end()

    @contextlib.contextmanager
    def run(self, command, port=0, text=None):
        """The program with any port, or another text for it. Nobody waits until it listens."""
        program = Program(command, port, text=text)
        try:
            yield program
        finally:
            program.end()

    def caller(self, server, **options):
        try:
            return Caller(server, self.patience, **options)
        except OSError as error:
            what = "the server %s" % server.end_text() if not server.is_alive() else str(error)
            raise Fault("A caller could not connect: %s%s." % (what, server.last_words())) from error

    def ask(self, server, line):
        """One caller with one line. Returns him, gone, with what he has heard."""
        with self.caller(server) as caller:
            self.put(caller, line)
            caller.hear(len(line))
        return caller

    def put(self, caller, line):
        """Says a line in the way that this server understands."""
        caller.say(line)
        if self.known.waits_for_end:
            caller.half_close()

    # ---- Right and wrong ------------------------------------------------------------------------

    @property
    def service(self):
        return self.known.service

    def answer_to(self, data):
        return answer_of(self.service, data)

    def is_answer(self, heard, sent):
        """Padding is a fault of its own, and no other check minds it. A server of lines may add a newline to a
        sentence that had none."""
        right = self.answer_to(sent)
        if self.known.surplus:
            return heard[:len(right)] == right
        return heard == right or (self.known.talks != "on" and not sent.endswith(b"\n") and heard == right + b"\n")

    def expect(self, caller, sent, deed, *items):
        """Faults unless the caller has heard, or now hears, the answer to all of it."""
        caller.hear(len(sent))
        if not self.is_answer(bytes(caller.heard), sent):
            raise Fault("%s, and should have got %s: %s." % (
                deed, show(self.answer_to(sent)), self.difference(caller, self.answer_to(sent))), *items)

    def difference(self, caller, right):
        return self._difference(caller, bytes(caller.heard[:len(right)] if self.known.surplus else caller.heard), right)

    def _difference(self, caller, heard, right):
        then = {"": "then nothing for %g s" % self.patience, "end": "then the server hung up",
                "reset": "then the connection was reset"}[caller.end]
        if not caller.server.is_alive():
            then = "then the server %s%s" % (caller.server.end_text(), caller.server.last_words(1))
        if not heard:
            return then.replace("then ", "", 1).replace("nothing for", "nothing came for")
        if len(heard) < len(right) and right.startswith(heard):
            return "%s came, the first %s of %s bytes, %s" % (show(heard), count(len(heard)), count(len(right)), then)
        if heard.startswith(right):
            return "%s bytes more came" % count(len(heard) - len(right))
        return "%s came%s" % (show(heard), ", %s" % then if len(heard) < len(right) else "")

    def problem(self):
        """Why there is nothing to be judged but that, or ""."""
        if self.known.problem:
            return self.known.problem
        if not self.service:
            return "%s came, and not the same, nor the same in capitals" % show(self.known.heard)
        right = self.answer_to(GREETING)
        if not self.known.heard.startswith(right):
            return "%s came, and not %s" % (show(self.known.heard), show(right))
        return ""

    # ---- What is known --------------------------------------------------------------------------

    def _once(self, name, find_out):
        with self._lock:
            if name not in self._known:
                self._known[name] = find_out()
            return self._known[name]

    @property
    def known(self):
        return self._once("known", self._get_acquainted)

    def _get_acquainted(self):
        with self.server() as server:
            try:
                caller = self.caller(server)
            except Fault as fault:
                return Acquaintance(self.wanted_service or "", b"", False, "no more", 0, str(fault))
            with caller:
                return self._converse(caller)

    def _converse(self, caller):
        """One line, a second one, and the end."""
        caller.say(GREETING)
        heard = caller.hear(len(GREETING))
        waits_for_end = False
        if heard:
            talks = self._second_line(caller)
            caller.half_close()
        else:
            caller.half_close()
            heard = caller.hear(len(GREETING))
            waits_for_end, talks = bool(heard), "once"
        caller.hear_to_the_end()
        service = self.wanted_service or service_of(heard)
        said = len(GREETING) * (2 if talks == "on" else 1)
        problem = "" if heard else self._difference(caller, b"", GREETING)
        return Acquaintance(service, heard, waits_for_end, talks, max(0, len(caller.heard) - said), problem)

    def _second_line(self, caller):
        before = len(caller.heard)
        if not caller.end:
            caller.say(GREETING)
            caller.hear(before + len(GREETING))
        if caller.end:
            return "once"
        return "on" if len(caller.heard) > before else "no more"

    @property
    def without_newline(self):
        """What makes it answer "hello": "nothing more", "a newline", "the end" or "nothing at all"."""
        return self._once("without newline", self._try_without_newline)

    def _try_without_newline(self):
        word = b"hello door 2"
        with self.server() as server, self.caller(server) as caller:
            caller.say(word)
            if caller.hear(len(word)):
                return "nothing more"
            if self.known.waits_for_end or caller.end:
                return "the end" if self.known.waits_for_end else "nothing at all"
            caller.say(b"\n")
            if caller.hear(len(word)):
                return "a newline"
            caller.half_close()
            return "the end" if caller.hear(len(word)) else "nothing at all"

    @property
    def word_end(self):
        """What has to follow a word for this server to answer it."""
        return b"" if self.without_newline == "nothing more" else b"\n"

    @property
    def at_once(self):
        """How many callers it serves at the same time; MOST_AT_ONCE stands for more."""
        return self._once("at once", self._count_at_once)

    def _count_at_once(self):
        with self.server() as server, contextlib.ExitStack() as silent:
            for number in range(1, MOST_AT_ONCE):
                silent.enter_context(self.caller(server))
                with self.caller(server) as caller:
                    self.put(caller, GREETING)
                    if not caller.hear(1, self.patience / 3):
                        return number
        return MOST_AT_ONCE

    @property
    def makes_processes(self):
        """Whether each caller gets a process of his own."""
        return self._once("makes processes", self._look_for_processes)

    def _look_for_processes(self):
        with self.server() as server:
            self.first_caller(server)
            before = {pid for pid, state in server.children().items() if state != "Z"}

            def new_children():
                return [pid for pid, state in server.children().items() if state != "Z" and pid not in before]
            with self.caller(server) as caller:
                if self.known.talks == "on":  # who has answered and waits for more has made what it makes
                    caller.say(GREETING)
                    caller.hear(len(GREETING))
                    made = new_children()
                else:
                    caller.is_accepted()
                    made = wait_until(new_children, self.patience / 10)
            # One that was made for him ends with him; one that was made for all, a moment ago, does not.
            return bool(made and wait_until(lambda: not new_children(), self.patience))

    def observe(self, sentence, *items):
        with self._lock:
            self.observations.append((sentence, items))

    # ---- After a bad caller ---------------------------------------------------------------------

    def first_caller(self, server):
        """He is answered and has gone. Returns how many sockets the server has then; more are somebody's."""
        line = b"the first caller\n"
        caller = self.ask(server, line)
        wait_until(lambda: server.has_closed(caller.port), self._time_to_let_go())
        return len(server.socket_inodes())

    def settle(self, server, sockets):
        """Waits until it has let go of all but these many sockets, or has died."""
        return wait_until(lambda: not server.is_alive() or len(server.socket_inodes()) <= sockets,
                          self._time_to_let_go())

    def _time_to_let_go(self):
        """Who answers no more and does not hang up, never will."""
        return self.patience / 10 if self.known.talks == "no more" else self.patience

    def expect_survival(self, server, sockets, deed, *items):
        """The server is there and answers the next caller."""
        self.settle(server, sockets)
        line = b"are you there?\n"
        problem = None
        if server.is_alive():
            try:
                caller = self.ask(server, line)
                right = self.answer_to(line)
                if not self.is_answer(bytes(caller.heard[:len(right)]), line):
                    problem = "the next caller was not answered: %s" % self.difference(caller, right)
            except Fault:
                problem = "the next caller could not connect"
        if problem:
            wait_until(lambda: not server.is_alive(), self.patience / 3)  # it may be about to
        if not server.is_alive():
            problem = "the server %s%s" % (server.end_text(), server.last_words())
        if problem:
            raise Fault("%s, and %s." % (deed, problem), *items)


def answer_of(service, data):
    """bytes.upper() changes a to z and nothing else."""
    return data.upper() if service == "upper" else data


def service_of(heard):
    """The greeting in capitals, or as it was? What follows it does not matter here, nor how the line ends."""
    for service in "echo", "upper":
        if heard.startswith(answer_of(service, GREETING).rstrip(b"\n")):
            return service
    return ""


def count(number):
    return "{:,}".format(number)


def show(data):
    """Bytes for people: short, quoted, with escapes for what cannot be seen."""
    shown = data if len(data) <= 60 else data[:40]
    text = "".join({10: "\\n", 13: "\\r", 0: "\\0", 34: '\\"', 92: "\\\\"}.get(
        byte, chr(byte) if 32 <= byte < 127 else "\\x%02x" % byte) for byte in shown)
    return '"%s"' % text if len(data) <= 60 else '"%s..." (%s bytes)' % (text, count(len(data)))
