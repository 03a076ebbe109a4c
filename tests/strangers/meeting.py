"""A server and a client meet: what the client shows, and whether they part."""

import dataclasses
import os
import time

from grade import table
from programs import PATIENCE
from strangers import WORDS
from workshop import Party, processes_of

LOOK = 0.02  # seconds between looks at two who seem to wait; a look that sees nothing costs a few milliseconds

YES = "yes"          # the client shows the answer, and ends by itself
STAYS = "stays"      # it shows the answer, but does not end
MORE = "more"        # it shows the answer, and what does not belong to it
PART = "part"        # it shows a part
NOTHING = "nothing"  # it ends, and shows no answer
WAITS = "waits"      # it shows no answer, and does not end
OTHER = "other"      # it shows something else


@dataclasses.dataclass
class Outcome:
    verdict: str
    code: int       # the client's exit code; None if it had to be killed
    shown: dict

    def __str__(self):
        return "%s, exit code %s, %s" % (self.verdict, self.code, self.shown)


class Host:
    """A server, started when it is needed, and anew when it has ended."""

    def __init__(self, server, made, model=None):
        self.server, self.made = server, made
        self.environment = {"BELL_MODEL": model} if model else {}
        self.party = None

    def ready(self):
        if not self.party:
            self.party = Party(self.server.command, self.made, env=self.environment)
            self.port = self.party.port()
        return self.party

    def after(self, verdict):
        """What ends in any other way may be the end of a server that is not ours, sooner or later."""
        if not self.server.lasts or (verdict != YES and not self.server.models):
            self.end()

    def end(self):
        if self.party:
            self.party.end()
            self.party = None

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.end()


def meet(host, client):
    party = host.ready()
    verdict = None
    try:
        with Party(client.command, host.made, host.port) as caller:
            if client.listens:
                caller.say(WORDS + b"\n")
            if not client.typed_at:
                caller.say_no_more()
            talk(host, party, client, caller)
            ended = caller.is_over()
            code = caller.wait() if ended else None
            verdict = judge(client.answer_in(caller.shown[client.on]), host.server.answer, ended)
            return Outcome(verdict, code, dict(caller.shown))
    finally:
        host.after(verdict)


def talk(host, party, client, caller):
    """Until the caller has ended, or nothing can happen any more unless somebody interrupts it."""
    until = time.monotonic() + PATIENCE
    is_answered = not host.server.typed_at
    while not caller.wait_for(caller.is_over, LOOK):
        is_still = nothing_moves(host.port, [party, caller])
        if client.typed_at and not caller.pen.closed and host.server.answer in caller.stdout:
            caller.say_no_more()
        elif is_still:
            if is_answered or WORDS not in party.stdout:
                return
            party.say(host.server.answer + b"\n")  # a hand is slower than any program
            party.say_no_more()
            is_answered = True
        assert time.monotonic() < until, (caller.command, caller.shown, party.command, party.shown)


def judge(answer, wanted, ended):
    answer = answer.rstrip(b"\r\n")
    if answer == wanted and wanted:
        return YES if ended else STAYS
    if not answer:
        return NOTHING if ended else WAITS
    if answer.startswith(wanted) and wanted:
        return MORE
    return PART if wanted.startswith(answer) else OTHER


# ---- Whether two wait for each other ------------------------------------------------------------


def nothing_moves(port, parties):
    """Whether all of both sleep with nothing under way between them. What the kernel passes on over loopback
    it has passed on when send() returns, and who is woken by it does not sleep any more: so this cannot be seen
    by chance between two steps, however busy the machine is."""
    if any(party.has_words_under_way() for party in parties):
        return False
    pids = processes_of(parties)  # a slow question: some wake up ten times a second, to look whether there is news
    before = ends_at(port), activity(pids)
    return (None not in before and before == (ends_at(port), activity(pids)) and pids == processes_of(parties)
            and not any(party.has_words_under_way() for party in parties))  # all that was said by then has been heard


def ends_at(port):
    """Both ends of each connection there; None unless there is one, with nothing under way or for its caller to read."""
    ends = [row for row in table.rows() if port in (row.port, row.peer_port) and row.state != table.LISTEN]
    is_in_queue = any(row.port == port and row.state == table.ESTABLISHED and not row.inode for row in ends)
    has_caller = any(row.peer_port == port and row.inode for row in ends)
    has_more = any(row.unsent or (row.unread and row.peer_port == port) for row in ends)
    return None if is_in_queue or not has_caller or has_more else sorted(ends, key=str)


def activity(pids):
    """How often each thread has been woken; None if one is awake."""
    woken = []
    for pid in pids:
        try:
            for thread in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/status" % (pid, thread)) as text:
                    fields = dict(line.split(":", 1) for line in text)
                if fields["State"].split()[0] != "S":
                    return None
                if fields["Name"].strip() in ("java", "main") or not is_java(pid):
                    woken.append((thread, fields["voluntary_ctxt_switches"], fields["nonvoluntary_ctxt_switches"]))
        except (FileNotFoundError, ProcessLookupError):
            return None
    return woken


def is_java(pid):
    """Its other threads wake up now and then, to look after the first one."""
    return os.readlink("/proc/%d/exe" % pid).endswith("/java")
