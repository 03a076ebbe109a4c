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


def start(cell, handler, address="127.0.0.1:0", prefix=(), **options):
    """A server in this cell."""
    model, way = cell
    os.environ.pop("MATRIX_STALE", None)
    if way == "stale":
        os.environ["MATRIX_STALE"] = "1"
        way = "epoll"
    try:
        return Server([*prefix, os.path.join(BUILD, "tests", "handlers"), handler, address,
                       *("%s=%d" % option for option in options.items())], model=model, backend=way)
    finally:
        os.environ.pop("MATRIX_STALE", None)
