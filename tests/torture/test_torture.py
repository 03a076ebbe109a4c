"""A sample of the points of torture.py. What chooses it is the day, so that in time all have been there."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pytest  # noqa: E402

from torture import Point, run, sample, torture  # noqa: E402

POINTS = 150


def test_a_sample_of_failing_calls_breaks_no_promise():
    seed = int(os.environ.get("DOORBELL_SEED", time.time() // 86400))
    done, struck, failed = run(sample(seed, POINTS))
    assert not failed, "seed %d: %s" % (seed, "; ".join("tests/torture/torture.py %s: %s" % each for each in failed))
    assert done == POINTS and struck > POINTS // 2


@pytest.mark.parametrize("point", [
    "lines:iterative:block:listen:1:EADDRINUSE:ever",  # left its socket file
    "lines:fork:epoll:bind:1:EACCES:ever",  # left its lock
])
def test_what_once_broke_a_promise(point):
    torture(Point.parse(point))
