#!/usr/bin/python3
"""Soak: good and bad callers for a long time, after which a server has what it had before.

    script/soak                        every model on every backend, 10 minutes each
    script/soak --seconds N CELL...    some, as coroutines-epoll, for so long
    script/soak --failing CELL...      the same, while one in a hundred of all calls into the system fails

In rounds: callers come who talk, who reset, who leave without a word or in the middle of one, who never read and who
come together; then the server is left alone, and what it has is written down. From the first third on its memory must
not grow, and its descriptors, threads and children must be no more than they were. A failure prints the whole row.
"""

import argparse
import errno
import os
import random
import shutil
import socket
import struct
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

from programs import IS_WATCHED, MODELS, PATIENCE, children_of, memory_of  # noqa: E402
from torture import (BACKENDS, ERRORS, SCENARIOS, Page, caller_of, check_end, check_fresh_caller,  # noqa: E402
                     has_ended, is_broken, require, settle, start, talk, wait_until_it_listens)

ECHO = SCENARIOS["echo"]
PER_THOUSAND = 10
RESTS_MIN = 6
# KiB that memory may seem to grow: the pages of a heap that was used a little differently.
NOISE = 192
# What makes a server end, as it should: it could not have begun.
ESSENTIAL = {"socket", "bind", "listen", "getsockname", "epoll_create", "map"}


# ---- Callers -------------------------------------------------------------------------------------------------------------

def reset(call):
    caller = call()
    caller.sendall(b"x" * 100)
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()


def leave(call):
    call().close()


def leave_in_the_middle(call):
    with call() as caller:
        caller.sendall(b"half a li")


def never_read(call):
    with call() as caller:
        caller.settimeout(0)
        try:
            while True:
                caller.send(b"y" * 65536)
        except BlockingIOError:
            pass


def together(call):
    callers = []
    try:
        for _ in range(8):
            callers.append(call())
        # One at a time is served by some models: each finishes in his turn.
        for caller in callers:
            caller.sendall(b"ding\n")
            caller.shutdown(socket.SHUT_WR)
            while caller.recv(4096):
                pass
    finally:
        for caller in callers:
            caller.close()


def a_line(call):
    talk(call, b"hello\n")


def much(call):
    talk(call, b"z" * 50000)


BEHAVIOURS = [a_line, a_line, a_line, much, together, reset, leave, leave_in_the_middle, never_read]


def come(chance, call):
    """Returns how many callers it were."""
    behave = chance.choice(BEHAVIOURS)
    try:
        behave(call)
    except OSError as error:
        if not is_broken(error) and not isinstance(error, socket.timeout):
            raise
    return 8 if behave is together else 1


# ---- The server --------------------------------------------------------------------------------------------------------

def memory_of_all(pid):
    """KiB, of its processes too."""
    total = memory_of(pid)
    for child, _ in children_of(pid):
        try:
            total += memory_of(child)
        except (OSError, IndexError):
            pass  # it ends just now
    return total


def errors_of(chance):
    return {call: getattr(errno, chance.choice(errors)) for call, errors in ERRORS.items() if call not in ESSENTIAL}


def growth_of(points):
    """KiB from the first to the last of (x, KiB), by the line that fits them best."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    square = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / square if square else 0
    return slope * (points[-1][0] - points[0][0])


class Row:
    """What was written down at each rest."""

    def __init__(self):
        self.points = []

    def add(self, callers, server):
        descriptors, threads, children = settle(server)
        self.points.append((callers, memory_of_all(server.process.pid), descriptors, threads, children))

    def check(self):
        settled = self.points[len(self.points) // 3:]
        growth = growth_of([(point[0], point[1]) for point in settled])
        callers = settled[-1][0] - settled[0][0]
        require(IS_WATCHED or growth <= NOISE + callers / 10000, "memory grew by %d KiB: %s" % (growth, self.points))
        for index, name in ((2, "descriptors"), (3, "threads"), (4, "children")):
            before = max(point[index] for point in self.points[:len(self.points) // 3 + 1])
            require(settled[-1][index] <= before, "%s: %s" % (name, self.points))
        return "%d callers, memory %+d KiB, %d descriptors, %d threads, %d children" % (callers, growth, *settled[-1][2:])


def soak(model, backend, seconds, failing, seed):
    chance = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="soak-")
    page = Page(os.path.join(folder, "page"))
    server, row, callers = None, Row(), 0
    try:
        server = start(ECHO, model, backend, folder, None)
        until = time.monotonic() + PATIENCE
        while "map" not in page.names():
            require(time.monotonic() < until and not has_ended(server), "it did not begin")
        page.begin()
        wait_until_it_listens(server)
        check_fresh_caller(server, ECHO, caller_of(server, folder, ECHO, False))
        settle(server)  # what it cannot begin without it has by now
        end = time.monotonic() + seconds
        pause = min(20.0, seconds / 12)
        while time.monotonic() < end or len(row.points) < RESTS_MIN:
            call = caller_of(server, folder, ECHO, failing)
            if failing:
                page.begin_failing(PER_THOUSAND, errors_of(chance))
            rest = time.monotonic() + pause
            while time.monotonic() < rest:
                callers += come(chance, call)
                require(not has_ended(server), "it ended: %s" % server.lines[-3:])
            page.end()
            check_fresh_caller(server, ECHO, caller_of(server, folder, ECHO, False))
            row.add(callers, server)
        result = row.check()
        code = server.stop()
        check_end(server, folder, code)
        return result
    except Exception:
        troubles = [line for line in server.lines if line and "trouble" in line] if server else []
        print("its troubles: %s" % troubles[-10:], flush=True)
        raise
    finally:
        if server and not has_ended(server):
            server.process.kill()
            server.process.wait()
        page.close()
        shutil.rmtree(folder)


def cells():
    return ["%s-%s" % (model, backend) for model in MODELS for backend in BACKENDS]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", metavar="CELL", help="one of %s" % ", ".join(cells()))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--failing", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    failed = 0
    for cell in options.cells or cells():
        if cell not in cells():
            parser.error("there is no cell %s; there are %s" % (cell, ", ".join(cells())))
        try:
            print("ok %s: %s" % (cell, soak(*cell.split("-"), options.seconds, options.failing, options.seed)), flush=True)
        except Exception as why:  # whatever it is, the other cells go on
            failed = 1
            print("FAILED %s: %s\nagain: script/soak %s--seed %d --seconds %g %s" % (
                cell, why, "--failing " if options.failing else "", options.seed, options.seconds, cell), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
