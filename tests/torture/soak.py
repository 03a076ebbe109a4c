#!/usr/bin/python3
"""Soak: good and bad callers for a long time, after which a server has what it had before.

    script/soak                        every model on every backend, 10 minutes each
    script/soak --seconds N CELL...    some, as coroutines-epoll, for so long
    script/soak --failing CELL...      the same, while one in a hundred of all calls into the system fails
    script/soak --mixed --jobs 12      now so and now so, twelve cells side by side

A cell has several servers: one with the services of the command over TCP, Unix sockets and datagrams, one with files,
one with exec, and one for each scenario of torture.py in which a handler does something else. In rounds callers come, some at a time,
and what they hear is checked: who talk, who ask for pages, who reset, who leave without a word or in the middle of one,
who never read, who come together, who send too much or nothing, or with somebody else's address. Then the servers are
left alone, and must come to rest: what each has is written down. From the first third on its memory must not grow, and
its descriptors, threads and children must be no more than they were. A failure prints the whole row.
"""

import argparse
import concurrent.futures
import errno
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import callers  # noqa: E402
from callers import LONGEST, QUOTE, Door, make_site  # noqa: E402
from programs import BUILD, DOORBELL, IS_WATCHED, MODELS, PATIENCE, Server, children_of, memory_of  # noqa: E402
from torture import (BACKENDS, ERRORS, SCENARIOS, WITHOUT_PROCESSES, Origin, Page, caller_of, check_end,  # noqa: E402
                     check_fresh_caller, has_ended, is_broken, require, start, wait_until_it_listens)

PER_THOUSAND = 10
AT_A_TIME = 3  # callers, of a cell
RESTS, RESTS_MIN = 12, 6
SETTLED = 0.2  # more than a helper thread waits for work
# KiB that memory may seem to grow: the pages of a heap that was used a little differently.
NOISE = 192
# After so few callers not all that is used again and again has been used once: a short run sees large leaks only.
FEW, NOISE_OF_FEW = 1000, 3 * 192
# What makes a server end, as it should: a worker could not begin.
ESSENTIAL = {"socket", "bind", "listen", "getsockname", "epoll_create", "map"}
SERVICES = ["echo", "upper", "discard", "chargen", "daytime", "time", "message", "quote"]
OTHERS = ["lines", "tasks", "block", "relay", "half-close", "drain", "race", "chat", "datagrams", "wildcard"]


# ---- Servers -----------------------------------------------------------------------------------------------------------

class House:
    """A server, what is shared with it, and the row of what it had at each rest."""

    def __init__(self, name, cell_folder):
        self.name, self.folder = name, os.path.join(cell_folder, name)
        os.mkdir(self.folder)
        self.page = Page(os.path.join(self.folder, "page"))
        self.server, self.points, self.count = None, [], 0

    def open(self, model, backend):
        self.server = self.start(model, backend)
        until = time.monotonic() + PATIENCE
        while "map" not in self.page.names():  # the last one
            require(time.monotonic() < until and not has_ended(self.server), "%s did not begin" % self.name)
        self.page.begin()
        wait_until_it_listens(self.server)
        self.find_doors()
        self.check_fresh()
        self.crowd()

    @property
    def pid(self):
        return self.server.process.pid

    def come(self, chance, tolerant):
        self.count += self.visit(chance, tolerant)
        require(not has_ended(self.server), "%s ended: %s" % (self.name, self.server.lines[-3:]))

    def begin_failing(self, chance):
        self.page.begin_failing(PER_THOUSAND, {
            call: getattr(errno, chance.choice(errors)) for call, errors in ERRORS.items() if call not in ESSENTIAL})

    def close(self, failing):
        """Returns what its row comes to."""
        result = check_row(self)
        code = self.server.stop()
        require(code == 0 or failing, "%s: exit code %d: %s" % (self.name, code, self.server.lines[-3:]))
        check_end(self.server, self.folder, code)
        return result

    def kill(self):
        if self.server and not has_ended(self.server):
            self.server.process.kill()
            self.server.process.wait()
        self.page.close()

    def crowd(self):
        """As many at once as will ever come: the memory that their tasks or threads want is wanted from now on."""
        callers_at_once = []
        try:
            for _ in range(callers.TOGETHER * AT_A_TIME):
                callers_at_once.append(self.call())
                callers_at_once[-1].sendall(b"half a li")
        finally:
            for caller in callers_at_once:
                caller.close()

    def troubles(self):
        return [line for line in (self.server.lines if self.server else []) if line and "trouble" in line]


class Command(House):
    """doorbell serve, with all its services in one process; or exec, which is alone."""

    def __init__(self, name, cell_folder, services, with_callers=True, with_datagrams=True):
        super().__init__(name, cell_folder)
        self.services, self.doors = services, []
        self.with_callers, self.with_datagrams = with_callers, with_datagrams
        self.site = make_site(os.path.join(cell_folder, "site-" + name))

    def words_of(self, service):
        path = os.path.join(self.folder, service)
        words = {"quote": ["quote", QUOTE], "files": ["files", self.site]}.get(service, [service])
        if self.with_callers:
            words += ["127.0.0.1:0", path + ".sock"]
        if self.with_callers and service in ("echo", "upper", "discard", "exec"):
            words.append("unixpacket:%s.packets" % path)
        if self.with_datagrams:
            words += ["udp:127.0.0.1:0", "unixgram:%s.letters" % path]
        return words

    def start(self, model, backend):
        root = ["--stay-root"] if os.getuid() == 0 else []
        words = " and ".join("\n".join(self.words_of(service)) for service in self.services)
        words = words.replace(" and ", "\nand\n").split("\n")
        os.environ["TORTURE"] = os.path.join(self.folder, "page")
        try:
            return Server([os.path.join(BUILD, "tests", "tortured_doorbell"), "serve", *words, "-m", model, "-w", "2",
                           "--longest", str(LONGEST), "--grace", "500ms", *root,
                           *(["--", "cat"] if self.services == ["exec"] else [])], backend=backend)
        finally:
            os.environ.pop("TORTURE")

    def find_doors(self):
        wanted = sum(":0" in word or "/" in word and word != self.site
                     for service in self.services for word in self.words_of(service))
        self.server.wait_for("listening on", wanted)
        for line in list(self.server.lines):
            found = re.search(r"listening on (\w+):(\S+?)(?: \((\w+)\))?$", line)
            if found:
                scheme, address, service = found.groups()
                if scheme in ("tcp", "udp"):
                    address = ("127.0.0.1", int(address.rsplit(":", 1)[1]))
                self.doors.append(Door(service or self.services[0], scheme, address, self.site))
        require(len(self.doors) == wanted, "%d doors: %s" % (wanted, self.doors))
        ports = [door.address[1] for door in self.doors if door.scheme == "udp"]
        for door in self.doors:
            door.beside = ports

    def visit(self, chance, tolerant):
        return callers.come(chance.choice(self.doors), chance, tolerant)

    def call(self):
        return min(self.doors, key=lambda door: door.scheme != "tcp").call(False)

    def check_fresh(self):
        """Every door is open: whoever comes now is served, after a moment in which a listener may rest."""
        for door in self.doors:
            callers.come_afresh(door)


class Scene(House):
    """The server of a scenario of torture.py."""

    def __init__(self, name, cell_folder):
        super().__init__(name, cell_folder)
        self.scenario = SCENARIOS[name]
        self.origin = Origin() if self.scenario.program == "tortured_forward" else None

    def start(self, model, backend):
        return start(self.scenario, model, backend, self.folder, self.origin)

    def find_doors(self):
        pass

    def call(self, tolerant=False):
        return caller_of(self.server, self.folder, self.scenario, tolerant)()

    def visit(self, chance, tolerant):
        if not self.scenario.udp and chance.random() < 0.4:
            door = Door(self.name, "unix" if self.scenario.unix else "tcp", None)
            door.call = self.call
            return chance.choice(callers.BAD + [callers.never_read])(door, chance, tolerant) or 1
        try:
            self.scenario.behave(lambda: self.call(tolerant))
        except OSError as error:  # also before he had begun to talk
            if not tolerant or not is_broken(error):
                raise
        return 3

    def check_fresh(self):
        check_fresh_caller(self.server, self.scenario, caller_of(self.server, self.folder, self.scenario, False))

    def kill(self):
        super().kill()
        if self.origin:
            self.origin.close()


def houses_of(model, folder):
    with_files = b"without the library" not in subprocess.run([DOORBELL, "serve", "files", "/nowhere"],
                                                              capture_output=True).stderr
    houses = [Command("services", folder, SERVICES, with_datagrams=model in WITHOUT_PROCESSES)]
    if model == "prefork":  # callers or datagrams, not both
        houses.append(Command("letters", folder, SERVICES, with_callers=False))
    if with_files:
        houses.append(Command("files", folder, ["files"], with_datagrams=False))
    if model in WITHOUT_PROCESSES:
        houses.append(Command("exec", folder, ["exec"], with_datagrams=False))
    return houses + [Scene(name, folder) for name in OTHERS if model in SCENARIOS[name].models]


# ---- Rest ----------------------------------------------------------------------------------------------------------------

def read_stat(pid):
    with open("/proc/%s/stat" % pid) as stat:
        return stat.read().rsplit(")", 1)[1].split()


def census(houses):
    """Of each house: (descriptors, threads, children, ticks of the processor), or None when it has gone."""
    family = {house.pid: [] for house in houses}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = read_stat(name)
        except OSError:
            continue
        if int(fields[1]) in family:
            family[int(fields[1])].append(fields)
    return {house: possessions(house.pid, family[house.pid]) for house in houses}


def possessions(pid, children):
    try:
        own = read_stat(pid)
        return (len(os.listdir("/proc/%d/fd" % pid)), len(os.listdir("/proc/%d/task" % pid)), len(children),
                sum(int(fields[11]) + int(fields[12]) for fields in [own, *children]))
    except OSError:
        return None


def may_have(house):
    """The most that it had in the first third of its row, or None when that is not over."""
    early = house.points[:RESTS // 3]
    return [max(point[i] for point in early) for i in (2, 3, 4)] if len(early) == RESTS // 3 else None


def bears(house, has):
    may = may_have(house)
    return has is None or may is None or all(has[i] <= may[i] for i in range(3))


def rest(houses):
    """Waits until nothing changes any more, also not the time of the processor, and writes down what is there."""
    until = time.monotonic() + PATIENCE
    last, since = None, time.monotonic()
    while last is None or time.monotonic() - since < SETTLED or not all(bears(*each) for each in last.items()):
        time.sleep(0.04)
        now = census(houses)
        if now != last:
            restless = [house.name for house in houses if last and now[house] != last[house]]
            last, since = now, time.monotonic()
        require(time.monotonic() < until, "no rest: %s changed; %s" % (restless, "; ".join(
            "%s has %s and may have %s" % (house.name, has, may_have(house)) for house, has in last.items())))
    for house, has in last.items():
        require(has, "%s ended: %s" % (house.name, house.server.lines[-3:]))
        house.points.append((house.count, memory_of_all(house.pid), *has[:3]))
        house.server.output.clear()


def memory_of_all(pid):
    """KiB, of its processes too."""
    total = memory_of(pid)
    for child, _ in children_of(pid):
        try:
            total += memory_of(child)
        except (OSError, IndexError):
            pass  # it ends just now
    return total


# ---- Rows ----------------------------------------------------------------------------------------------------------------

def growth_of(points):
    """KiB from the first to the last of (x, KiB), by the line that fits them best."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    square = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / square if square else 0
    return slope * (points[-1][0] - points[0][0])


def check_row(house):
    settled = house.points[len(house.points) // 3:]
    growth = growth_of([(point[0], point[1]) for point in settled])
    came = settled[-1][0] - settled[0][0]
    noise = NOISE_OF_FEW if came < FEW else NOISE + came / 10000
    require(IS_WATCHED or growth <= noise,
            "%s: memory grew by %d KiB: %s" % (house.name, growth, house.points))
    for index, name in ((2, "descriptors"), (3, "threads"), (4, "children")):
        before = max(point[index] for point in house.points[:len(house.points) // 3 + 1])
        require(settled[-1][index] <= before, "%s: %s: %s" % (house.name, name, house.points))
    return "%s %d callers %+d KiB" % (house.name, house.count, growth), settled[-1][2:]


# ---- One cell --------------------------------------------------------------------------------------------------------------

def come_until(end, houses, chance, tolerant):
    """The first house has most of the doors, and most callers; those of the command have more than the others."""
    weights = [8 if house is houses[0] else 2 if isinstance(house, Command) else 1 for house in houses]
    while time.monotonic() < end:
        chance.choices(houses, weights)[0].come(chance, tolerant)


def one_round(houses, chances, seconds, failing):
    for house in houses if failing else []:
        house.begin_failing(chances[0])
    end = time.monotonic() + seconds
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        comers = [pool.submit(come_until, end, houses, chance, failing) for chance in chances]
        for comer in comers:
            comer.result()
    for house in houses:
        house.page.end()
        house.check_fresh()
    rest(houses)


def soak(model, backend, seconds, how, seed):
    """`how` is "well", "failing", or "mixed": now the one and now the other. Returns what is to be said of it."""
    os.environ["MALLOC_ARENA_MAX"] = "2"  # each arena would have pages of its own that were used once
    chances = [random.Random("%d %d" % (seed, number)) for number in range(AT_A_TIME)]
    folder = tempfile.mkdtemp(prefix="soak-")
    houses, number = [], 0
    try:
        houses = houses_of(model, folder)
        for house in houses:
            house.open(model, backend)
        end = time.monotonic() + seconds
        while time.monotonic() < end or number < RESTS_MIN:
            one_round(houses, chances, min(20.0, seconds / RESTS), how == "failing" or (how == "mixed" and number % 2 == 1))
            number += 1
        return sum_up([house.close(how != "well") for house in houses], houses)
    except Exception:
        print("the last troubles: %s" % [line for house in houses for line in house.troubles()[-2:]], flush=True)
        raise
    finally:
        for house in houses:
            house.kill()
        shutil.rmtree(folder)


def sum_up(results, houses):
    descriptors, threads, children = map(sum, zip(*(has for _, has in results)))
    return "%d callers of %d servers, %d descriptors, %d threads, %d children; %s" % (
        sum(house.count for house in houses), len(houses), descriptors, threads, children,
        ", ".join(words for words, _ in results))


def cells():
    return ["%s-%s" % (model, backend) for model in MODELS for backend in BACKENDS]


# ---- Several cells -----------------------------------------------------------------------------------------------------------

def run_cell(cell, options):
    """In a process of its own, so that several can run side by side. Returns whether all went well."""
    words = ["--" + options.how] if options.how != "well" else []
    words += ["--seed", str(options.seed), "--seconds", "%g" % options.seconds, cell]
    done = subprocess.run([sys.executable, "-I", os.path.abspath(__file__), "--here", *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        print("again: script/soak %s" % " ".join(words), flush=True)
    return done.returncode == 0


def run_here(cell, options):
    try:
        print("ok %s: %s" % (cell, soak(*cell.split("-"), options.seconds, options.how, options.seed)))
    except Exception as why:  # whatever it is, the other cells go on
        traceback.print_exc(limit=-3)
        print("FAILED %s: %s: %s" % (cell, type(why).__name__, why))
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", metavar="CELL", help="one of %s" % ", ".join(cells()))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--failing", dest="how", action="store_const", const="failing", default="well")
    parser.add_argument("--mixed", dest="how", action="store_const", const="mixed")
    parser.add_argument("--jobs", type=int, default=1, help="cells side by side  [1]")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for cell in options.cells:
        if cell not in cells():
            parser.error("there is no cell %s; there are %s" % (cell, ", ".join(cells())))
    run = run_here if options.here else run_cell
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        return 0 if all(list(pool.map(lambda cell: run(cell, options), options.cells or cells()))) else 1


if __name__ == "__main__":
    sys.exit(main())
