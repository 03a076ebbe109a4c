"""What the cases have in common: strangers by name, called with this or that to say."""

import shutil
import subprocess

import pytest

from programs import DOORBELL, MODELS, PATIENCE
from strangers import BY_NAME, NO_PROGRAM
from workshop import Party

LINE, ANSWER = b"hello, door\n", b"HELLO, DOOR\n"
in_every_model = pytest.mark.parametrize("model", MODELS)
HALF_CLOSING = ["phone_client", "nc.openbsd -N", "ncat", "socat"]


def needs(*programs):
    for name in programs:
        if not shutil.which(name):
            return pytest.mark.skip(reason=NO_PROGRAM % name)
    return lambda test: test


def each(*names):
    """A case for each of these strangers."""
    return pytest.mark.parametrize("stranger", [
        pytest.param(stranger, id=stranger.name, marks=[pytest.mark.skip(reason=stranger.absent)] if stranger.absent else [])
        for stranger in map(BY_NAME.get, names)])


class Serving(Party):
    """`doorbell serve` of these words."""

    def __init__(self, *words, model=None, at="127.0.0.1:0"):
        options = ["-m", model] if model else []
        if model in ("prefork", "pool"):
            options += ["-w", "2"]  # however many processors there are
        super().__init__([DOORBELL, "serve", *options, *words, *([at] if at else [])], None)
        self.number = self.port()

    def answers(self, said=LINE, answer=ANSWER):
        """Whether the next one is served."""
        return connect(self.number, said).stdout == answer


def call(stranger, made, port, said=LINE, *more):
    """Calls as the stranger does, to its end."""
    with Party([*stranger.command, *more], made, port) as party:
        party.say(said)
        party.say_no_more()
        return finished(party)


def finished(party):
    code = party.wait()
    return subprocess.CompletedProcess(party.command, code, party.stdout, party.stderr)


def connect(port, said=b"", *options):
    return subprocess.run([DOORBELL, "connect", "127.0.0.1:%d" % port, *options], input=said, capture_output=True,
                          timeout=PATIENCE)


def host(name, made, *more):
    """A stranger as a server."""
    party = Party([*BY_NAME[name].command, *more], made)
    party.number = party.port()
    return party
