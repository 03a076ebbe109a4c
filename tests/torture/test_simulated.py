"""A sample of the points of simulated.py, chosen by the day, and those that once broke a promise."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pytest  # noqa: E402

from simulated import SCENARIOS, run  # noqa: E402

POINTS = 2000


def test_a_sample_of_calls_that_fail_in_a_simulated_kernel_breaks_no_promise():
    seed = int(os.environ.get("DOORBELL_SEED", time.time() // 86400))
    done, struck, failed = run("sample", str(seed), str(POINTS))
    assert not failed, "seed %d: %s" % (seed, "; ".join(failed))
    assert done == struck == POINTS


def test_all_scenarios_are_known():
    assert run("all", "no such scenario")[0] == 0
    for scenario in SCENARIOS:
        done, struck, failed = run("%s:threads:epoll:server/epoll_create:1:EMFILE:once" % scenario)
        assert (done, struck, failed) == (1, 1, [])


@pytest.mark.parametrize("point", [
    "echo:iterative:epoll:server/accept:1:EPERM:ever",  # asked again and again without a rest
    "relay:iterative:block:server/reallocate:1:ENOMEM:ever",  # a wake that was not heard kept it awake
])
def test_what_once_broke_a_promise_in_a_simulated_kernel(point):
    assert run(point) == (1, 1, [])
