"""The matrix: every case in every cell, a cell being a model and a way to wait."""

import os

import pytest

from programs import BUILD, MODELS, Server

# Beside the two backends of the library: one by completion, and epoll with stale events.
WAYS = ["epoll", "block", "completion", "stale"]
CELLS = [(model, way) for way in WAYS for model in MODELS]
SHARING = ("threads", "pool", "coroutines", "iterative")

in_every_cell = pytest.mark.parametrize("cell", CELLS, ids=["%s-%s" % cell for cell in CELLS])


def in_cells(models, ways=("epoll", "block")):
    """For cases that are about some models, or too slow for every way to wait."""
    cells = [(model, way) for model, way in CELLS if model in models and way in ways]
    return pytest.mark.parametrize("cell", cells, ids=["%s-%s" % cell for cell in cells])


def start(cell, handler, address="127.0.0.1:0", prefix=(), refusing=None, keep=(), **options):
    """A server in this cell; `refusing` is a Refusal, `keep` are descriptors for it."""
    model, way = cell
    environment = {}
    if way == "stale":
        environment["MATRIX_STALE"] = "1"
        way = "epoll"
    if refusing:
        environment["MATRIX_REFUSE"] = "%s %s" % (refusing.call, refusing.path)
    return Server([*prefix, os.path.join(BUILD, "tests", "handlers"), handler, address,
                   *("%s=%d" % option for option in options.items())], model=model, backend=way,
                  environment=environment, pass_fds=keep)


class Refusal:
    """A call of the kernel's table that fails from begin(ERROR) to end(), in all processes of a server."""

    def __init__(self, call, folder):
        self.call = call
        self.path = os.path.join(str(folder), "refusal")
        self.size = 0

    def begin(self, error):
        with open(self.path + ".new", "w") as file:
            self.size = file.write(error + "\n")
        os.rename(self.path + ".new", self.path)

    def end(self):
        """Returns how often it was refused."""
        count = self.count
        os.unlink(self.path)
        return count

    @property
    def count(self):
        return os.path.getsize(self.path) - self.size
