#!/usr/bin/python3
"""Torture on the simulated kernel: each call that can fail does so, once or from then on, with each of its errors.

    tests/torture/simulated.py --all [SCENARIO...]   every point: minutes
    tests/torture/simulated.py [--seed N] [--count M]   a sample, chosen by the date
    tests/torture/simulated.py POINT...              some: what a failure prints

A point is SCENARIO:MODEL:BACKEND:HOST/CALL:WHICH:ERROR:once|ever; see tests/sim/torture.c, which does the work.
DOORBELL_SEED=N chooses another network for it, with other delays and sizes of buffers; TRACE=1 shows what happens.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.environ.get("DOORBELL_BUILD", ROOT + "/build") + "/tests/simulated_torture"
SCENARIOS = ["echo", "large", "line", "relay", "race", "half-close", "drain", "stop", "block", "tasks", "chat", "datagrams",
             "serve-echo", "upper", "discard", "chargen", "daytime", "time", "quote", "message"]


def run(*words):
    """Returns how many points there were, at how many of them a call failed, and what was said of those that failed."""
    done = subprocess.run([PROGRAM, HERE + "/errors.txt", *words], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    lines = [line for line in done.stdout.splitlines() if "FAILED" in line or os.environ.get("TRACE")]
    counts = re.search(r"^(\d+) points, a call failed in (\d+)", done.stdout, re.MULTILINE)
    if not counts:
        return 0, 0, lines + [done.stdout[-500:]]
    return int(counts.group(1)), int(counts.group(2)), lines


def run_all(scenarios):
    """A process for each scenario, one at a time on each processor."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda scenario: run("all", scenario), scenarios))
    return (sum(result[0] for result in results), sum(result[1] for result in results),
            [line for result in results for line in result[2]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="POINT")
    parser.add_argument("--seed", type=int, default=int(time.time()) // 86400)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    if options.all:
        done, struck, lines = run_all(options.words or SCENARIOS)
    elif options.words:
        done, struck, lines = run(*options.words)
    else:
        print("seed %d" % options.seed)
        done, struck, lines = run("sample", str(options.seed), str(options.count))
    print(*lines, sep="\n", end="\n" if lines else "")
    for point in [line.split("FAILED ")[1].split(": ")[0] for line in lines if line.startswith("FAILED ")]:
        print("again: tests/torture/simulated.py %s" % point)
    print("%d points, a call failed in %d of them, and a promise in %d; %d s"
          % (done, struck, len(lines), time.monotonic() - began))
    return 1 if lines or not done else 0


if __name__ == "__main__":
    sys.exit(main())
