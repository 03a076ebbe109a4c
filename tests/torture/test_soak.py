"""A short soak in the cell of the day; script/check soak has all of them, and script/soak the long ones."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from soak import cells, soak  # noqa: E402

SECONDS = 6


def test_good_and_bad_callers_leave_nothing_behind():
    seed = int(os.environ.get("DOORBELL_SEED", time.time() // 86400))
    print(soak(*cells()[seed % len(cells())].split("-"), SECONDS, "mixed", seed))
