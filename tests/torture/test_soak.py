"""A short soak in the cell of the day; script/soak has the long ones."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pytest  # noqa: E402

from soak import cells, soak  # noqa: E402

SECONDS = 6


@pytest.mark.parametrize("failing", [False, True], ids=["well", "failing"])
def test_good_and_bad_callers_leave_nothing_behind(failing):
    seed = int(os.environ.get("DOORBELL_SEED", time.time() // 86400))
    cell = cells()[(seed + 5 * failing) % len(cells())]
    soak(*cell.split("-"), SECONDS, failing, seed)
