"""Many callers, and callers who misbehave: nobody else is disturbed, in any cell."""

import os
import socket
import struct
import threading
import time

import pytest

from cells import in_cells, in_every_cell, start
from programs import MODELS, PATIENCE, children_of, read_all, read_exactly, read_line, reset, takes_less_than

ONE_AT_A_TIME = ("iterative",)
SIDE_BY_SIDE = ("fork", "prefork", "threads", "pool", "coroutines")


def together(count, work):
    """Runs work(i) in as many threads; the first failure is this one's."""
    failures = []

    def guarded(i):
        try:
            work(i)
        except Exception as failure:  # it is raised below
            failures.append(failure)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def still_serves(server):
    with server.call() as caller:
        caller.sendall(b"still there?\n")
        assert read_line(caller) == b"still there?\n"


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def eventually(check, *arguments):
    until = time.monotonic() + PATIENCE
    while not check(*arguments):
        assert time.monotonic() < until, check
        time.sleep(0.005)


# ---- Who serves how many ------------------------------------------------------------------------

# How long four callers at once take whose handler sleeps 100 ms, in such sleeps; workers=2.
SLEEPS = {"iterative": 4, "fork": 1, "prefork": 2, "threads": 1, "pool": 2, "coroutines": 1}


@in_every_cell
def test_four_callers_take_the_time_of_the_model(cell):
    """C1 to C4."""
    expected = SLEEPS[cell[0]]
    with start(cell, "sleeper", number=100, workers=2) as server:
        def four_callers():
            began = time.monotonic()
            callers = [server.call() for _ in range(4)]
            for caller in callers:
                caller.sendall(b"x")
            for caller in callers:
                assert read_exactly(caller, 1) == b"x"
                caller.close()
            assert time.monotonic() - began >= expected * 0.1
        assert takes_less_than((expected + 0.9) * 0.1 * max(1, PATIENCE / 20), four_callers)


@in_cells(SIDE_BY_SIDE, ["epoll", "block", "completion", "stale"])
def test_a_silent_caller_delays_nobody(cell):
    """C5."""
    with start(cell, "echo", workers=2) as server:
        silent = server.call()
        for _ in range(5):
            still_serves(server)
        silent.close()
        assert server.stop() == 0


@in_cells(ONE_AT_A_TIME, ["epoll", "block", "completion", "stale"])
def test_one_at_a_time_means_that_the_second_waits(cell):
    """C6."""
    with start(cell, "echo") as server:
        silent = server.call()
        second = server.call()
        second.sendall(b"x")
        server.wait_for("event caller")
        second.settimeout(0.05)
        with pytest.raises(socket.timeout):
            second.recv(1)
        silent.close()
        second.settimeout(PATIENCE)
        assert second.recv(1) == b"x"
        second.close()


@in_every_cell
def test_a_hundred_callers_get_their_own_bytes(cell):
    """C12 and C20, small, in every cell."""
    size = 100000 if cell[1] in ("epoll", "block") else 5000
    with start(cell, "echo") as server:
        def talk(i):
            with server.call() as caller:
                data = struct.pack("<I", i) * (size // 4)
                writer = threading.Thread(target=lambda: (caller.sendall(data), caller.shutdown(socket.SHUT_WR)))
                writer.start()
                answer = read_all(caller)
                writer.join()
                assert answer == data
        together(30, talk)
        assert server.stop() == 0
        counts = server.wait_for("result counts accepted=(\\d+) active=(\\d+) polite=(\\d+)")
        assert counts.groups() == ("30", "0", "30")


@in_cells(["fork"], ["epoll", "block", "completion", "stale"])
def test_children_are_reaped_and_callers_are_not_interrupted_by_it(cell):
    with start(cell, "echo", child=1) as server:
        for _ in range(60):
            still_serves(server)
        own = 1
        eventually(lambda: len(children_of(server.process.pid)) == own)
        assert server.stop() == 0
        server.wait_for("result own child reaped")
        assert not any("nterrupted" in line for line in server.lines if line)


@in_cells(["fork"], ["epoll", "block"])
def test_a_hundred_children_that_exit_at_once_leave_no_zombie(cell):
    with start(cell, "echo") as server:
        callers = [server.call() for _ in range(100)]
        for caller in callers:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
        for caller in callers:
            caller.close()
        eventually(lambda: children_of(server.process.pid) == [])


@in_cells(["fork", "prefork"], ["epoll"])
def test_ignored_children_are_no_problem(cell):
    with start(cell, "echo", sigchld=1) as server:
        for _ in range(10):
            still_serves(server)
        assert server.stop() == 0


@in_cells(["fork"], ["epoll", "block"])
def test_no_descriptor_is_in_the_wrong_process(cell):
    """C8."""
    def sockets(pid):
        """The sockets of a process as (listening, connected)."""
        listening = connected = 0
        with open("/proc/net/tcp") as table:
            states = {line.split()[9]: line.split()[3] for line in list(table)[1:]}
        for name in os.listdir("/proc/%d/fd" % pid):
            try:
                link = os.readlink("/proc/%d/fd/%s" % (pid, name))
            except OSError:
                continue
            if link.startswith("socket:["):
                state = states.get(link[8:-1])
                listening += state == "0A"
                connected += state == "01"
        return listening, connected
    with start(cell, "tell_pid") as server:
        callers = [server.call() for _ in range(3)]
        pids = [int(read_line(caller)) for caller in callers]
        # The child may speak before its parent has closed the connection.
        eventually(lambda: sockets(server.process.pid) == (1, 0))
        for pid in pids:
            assert sockets(pid) == (0, 1)
        for caller in callers:
            caller.close()


@in_cells(["threads"], ["epoll", "block", "completion", "stale"])
def test_threads_and_their_descriptors_are_given_back(cell):
    """C10."""
    with start(cell, "echo") as server:
        still_serves(server)
        pid = server.process.pid
        own = 2 if "tsan" in server.process.args[0] or "thread" in server.process.args[0] else 1
        eventually(lambda: len(os.listdir("/proc/%d/task" % pid)) == own)
        base = descriptors(pid)
        callers = [server.call() for _ in range(50)]
        for caller in callers:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
        for caller in callers:
            caller.close()
        eventually(lambda: len(os.listdir("/proc/%d/task" % pid)) == own)
        eventually(lambda: descriptors(pid) == base)


@in_cells(["pool"], ["epoll", "block"])
def test_a_pool_of_four_has_four_threads(cell):
    """C11."""
    with start(cell, "echo", workers=4) as server:
        def talk(_):
            still_serves(server)
        together(30, talk)
        assert len(os.listdir("/proc/%d/task" % server.process.pid)) <= 5


@in_every_cell
def test_a_limit_on_callers_makes_the_next_one_wait(cell):
    """C13."""
    limit = {"iterative": 1, "prefork": 2, "pool": 2}.get(cell[0], 3)
    with start(cell, "echo", workers=2 if cell[0] in ("prefork", "pool") else 1, max=3) as server:
        callers = [server.call() for _ in range(limit + 1)]
        for caller in callers:
            caller.sendall(b"x")
        answered = []
        until = time.monotonic() + PATIENCE
        while len(answered) < limit and time.monotonic() < until:
            for caller in callers:
                caller.settimeout(0.01)
                try:
                    if caller not in answered and caller.recv(1) == b"x":
                        answered.append(caller)
                except socket.timeout:
                    pass
        assert len(answered) == limit
        waiting = [caller for caller in callers if caller not in answered]
        waiting[0].settimeout(0.05)
        with pytest.raises(socket.timeout):
            waiting[0].recv(1)
        answered[0].close()
        waiting[0].settimeout(PATIENCE)
        assert waiting[0].recv(1) == b"x"
        for caller in callers:
            caller.close()


@in_cells(MODELS, ["epoll"])
def test_an_idle_server_costs_nothing(cell):
    """C21."""
    with start(cell, "echo") as server:
        still_serves(server)

        def is_idle():
            before = resource_use(server)
            time.sleep(1)
            return resource_use(server) - before <= 1 / os.sysconf("SC_CLK_TCK")

        eventually(is_idle)  # the last caller has still to be put away


# ---- Misbehaviour -------------------------------------------------------------------------------

@in_every_cell
def test_resets_at_any_step_disturb_nobody(cell):
    with start(cell, "lines", workers=2) as server:
        for data in (b"", b"half", b"whole\n", b"many\n" * 2000, b"x" * 100000):
            for wait in (False, True):
                caller = server.call()
                if data:
                    caller.sendall(data)
                if wait and b"\n" in data:
                    caller.recv(1)
                reset(caller)
        # Before it is accepted: the handler's worker may be busy.
        for _ in range(20):
            reset(server.call())
        with server.call() as caller:
            caller.sendall(b"hello\n")
            assert read_exactly(caller, 8) == b"6:hello\n"
        assert server.stop() == 0


@in_every_cell
def test_half_close_at_any_step_gets_the_whole_answer(cell):
    """X3."""
    with start(cell, "echo") as server:
        for size in (0, 1, 1000, 65536, 300000):
            with server.call() as caller:
                data = b"x" * size
                writer = threading.Thread(target=lambda: (caller.sendall(data), caller.shutdown(socket.SHUT_WR)))
                writer.start()
                assert read_all(caller) == data
                writer.join()


@in_every_cell
def test_a_reset_is_told_apart_from_an_end(cell):
    with start(cell, "read_to_the_end", workers=1) as server:
        with server.call() as caller:
            caller.sendall(b"x")
        server.wait_for("result read 0$")
        server.wait_for("result read again 0$")
        caller = server.call()
        caller.sendall(b"x")
        server.wait_for("event caller", 2)
        reset(caller)
        server.wait_for("result read -1 ECONNRESET: read tcp:127.0.0.1:\\d+: connection reset by peer")


@in_every_cell
def test_a_write_to_nobody_is_an_error_and_no_signal(cell):
    with start(cell, "write_to_the_end") as server:
        caller = server.call()
        caller.recv(1)
        reset(caller)
        server.wait_for("result write -1 (ECONNRESET|EPIPE)")
        server.wait_for("result write again -1 (ECONNRESET|EPIPE)")
        with server.call() as caller:
            assert read_exactly(caller, 10) == bytes(10)


@in_every_cell
def test_a_caller_who_never_reads_is_given_up_at_the_deadline(cell):
    with start(cell, "write_to_the_end", number=100) as server:
        with server.call():
            server.wait_for("result write -1 ETIMEDOUT")
            server.wait_for("result write again -1 EPIPE")


@in_every_cell
@pytest.mark.parametrize("limit", ["idle", "total"])
def test_a_limit_ends_a_silent_caller(cell, limit):
    with start(cell, "read_to_the_end", workers=1, **{limit: 60}) as server:
        with server.call() as caller:
            with pytest.raises(ConnectionResetError):
                read_all(caller)
        server.wait_for("result read -1 ECONNABORTED: .*ended by a limit of the server")
        server.wait_for("event ended .*ended by a limit")
        assert server.stop() == 0
        server.wait_for("result counts .* limited=1 ")


@in_every_cell
def test_bytes_put_the_idle_limit_off_but_not_the_total_one(cell):
    with start(cell, "echo", workers=1, idle=400) as server:
        eventually(lambda: outlives_the_limit(server, 0.4))
    with start(cell, "echo", workers=1, total=150) as server, server.call() as caller:
        until = time.monotonic() + PATIENCE / 2
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while time.monotonic() < until:
                caller.sendall(b"x")
                time.sleep(0.01)
                if not caller.recv(1):
                    raise AssertionError("a polite end")


def outlives_the_limit(server, seconds):
    """Whether one who talks is still there after that time. None if on a busy machine he was silent for nearly so long."""
    with server.call() as caller:
        began = said = time.monotonic()
        try:
            while said < began + 1.5 * seconds:
                time.sleep(seconds / 4)
                before, said = said, time.monotonic()
                caller.sendall(b"x")
                if time.monotonic() - before > 0.8 * seconds:
                    return None
                assert caller.recv(1) == b"x"
        except ConnectionError:
            if time.monotonic() - before > 0.8 * seconds:
                return None
            raise
    return True


@in_cells(MODELS)
def test_signals_interrupt_no_call(cell):
    with start(cell, "in_a_storm") as server, server.call() as caller:
        server.wait_for("result -1 ETIMEDOUT after its time")
        data = os.urandom(1000000)
        writer = threading.Thread(target=lambda: caller.sendall(data))
        writer.start()
        assert read_exactly(caller, len(data)) == data
        writer.join()


# ---- Want of resources --------------------------------------------------------------------------

@in_cells(MODELS)
def test_without_descriptors_callers_wait_and_nothing_spins(cell):
    with start(cell, "echo", workers=2, descriptors=32) as server:
        port = server.port
        callers = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(60)]
        for caller in callers:
            caller.sendall(b"x")
        server.wait_for("event caller")

        def nothing_spins():
            before = resource_use(server)
            time.sleep(0.5)
            return resource_use(server) - before <= 0.1
        eventually(nothing_spins)  # as soon as those are served who can be
        for caller in callers:
            caller.settimeout(PATIENCE)
            assert caller.recv(1) == b"x"
            caller.close()
        assert sum("event trouble" in line for line in server.lines if line) <= 20
        still_serves(server)


def resource_use(server):
    """Seconds of processor time of the server and its children."""
    total = 0
    for pid in [server.process.pid] + [child for child, _ in children_of(server.process.pid)]:
        try:
            with open("/proc/%d/stat" % pid) as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody with few processes")
@in_cells(["fork", "threads"])
def test_without_processes_callers_wait(cell):
    # The limit is that of a user: this one is nobody else's.
    user = str(100000 + os.getpid())
    prefix = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    with start(cell, "echo", processes=4, prefix=prefix) as server:
        try:
            port = server.port
        except AssertionError:
            pytest.skip("somebody else may not run the build")
        callers = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(8)]
        for caller in callers:
            caller.settimeout(PATIENCE)
            caller.sendall(b"x")
        served = 0
        for caller in callers:
            assert caller.recv(1) == b"x"
            caller.close()
            served += 1
        assert served == 8


# ---- Stacks -------------------------------------------------------------------------------------

@in_cells(MODELS)
@pytest.mark.parametrize("handler", ["overflow_slowly", "overflow_at_once"])
def test_an_overflowing_stack_ends_the_program_and_names_the_handler(cell, handler):
    with start(cell, handler, workers=1) as server:
        if "san" in server.process.args[0].split("/")[-3]:
            pytest.skip("sanitizers have handlers of their own")
        with server.call() as caller:
            caller.sendall(b"x")
            server.wait_for("doorbell: handler %s overflowed its stack of 64 KiB" % handler)
        if cell[0] in ("fork", "prefork"):
            with server.call():
                pass  # the parent lives
        else:
            assert server.process.wait(PATIENCE) == -11
