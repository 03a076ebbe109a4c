"""Signals, children, descriptors: what a server shares with the program that it is a part of."""

import os
import signal
import socket
import threading
import time

import pytest

from cells import Refusal, in_cells, in_every_cell, start
from programs import LOSES_SIGNALS, MODELS, PATIENCE, children_of, connections_to, read_all, read_exactly, read_line, reset
from test_callers import eventually, still_serves, together
from test_stop import WORKERS_ARE_PROCESSES, is_alive


# ---- Signals ------------------------------------------------------------------------------------

@in_cells(MODELS, ["epoll", "block", "completion"])
def test_a_storm_of_signals_changes_nothing(cell):
    """10 kHz, without SA_RESTART, in the server and in each process of it, while it serves and stops."""
    with start(cell, "echo", workers=2, storm=100, idle=1500) as server:
        def talk(i):
            data = bytes([i]) * 100000
            with server.call() as caller:
                writer = threading.Thread(target=lambda: (caller.sendall(data), caller.shutdown(socket.SHUT_WR)))
                writer.start()
                assert read_all(caller) == data
                writer.join()
        together(10, talk)
        with server.call() as caller:  # limits are as long as they are without signals
            began = time.monotonic()
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
            with pytest.raises(ConnectionResetError):
                read_all(caller)
            assert 1.5 <= time.monotonic() - began < 1.5 + PATIENCE / 4
        assert server.stop() == 0
        assert int(server.wait_for("result storm of (\\d+) signals").group(1)) > 100  # one for several that came while others ran
        assert not any("nterrupted" in line for line in server.lines if line)
        server.wait_for("result counts accepted=11 active=0 polite=10 aborted=0 limited=1 ")


@in_every_cell
def test_dispositions_and_mask_are_as_before(cell):
    with start(cell, "echo", workers=2) as server:
        still_serves(server)
        assert server.stop() == 0
        server.wait_for("result after serving: compared")
        assert not any("another handler" in line or "masked" in line for line in server.lines if line)


@in_every_cell
def test_no_write_to_a_reset_connection_raises_sigpipe(cell):
    with start(cell, "write_to_the_reset") as server:
        caller = server.call()
        caller.sendall(b"x")
        server.wait_for("event caller")
        reset(caller)
        server.wait_for("result read -1 ECONNRESET")
        for call in ("write", "writev", "sendfile"):
            server.wait_for("result %s -1 (EPIPE|ECONNRESET)" % call)
        server.wait_for("result SIGPIPE is its default")
        server.wait_for("result SIGPIPE is not pending")


@pytest.mark.skipif(LOSES_SIGNALS, reason="the one signal may be lost")
@in_cells(MODELS)
def test_ctrl_c_goes_to_the_whole_group_and_stops_once(cell):
    """The kernel signals each process of the terminal's group: only the server's own counts."""
    with start(cell, "echo", workers=2, prefix=["setsid"]) as server:
        with server.call() as caller:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
            os.killpg(server.process.pid, signal.SIGINT)
            server.wait_for("event stopping")
            caller.sendall(b"y")
            assert read_exactly(caller, 1) == b"y"
        assert server.process.wait(PATIENCE) == 0


# ---- Children -----------------------------------------------------------------------------------

@in_cells(MODELS, ["epoll", "block", "completion"])
def test_c17_a_hundred_own_children_end_at_once_and_are_left_alone(cell):
    """SIGCHLD comes in a storm, and not one of the application's children is reaped by the library."""
    with start(cell, "raise_children", workers=3) as server:
        callers = [server.call() for _ in range(1 if cell[0] == "iterative" else 2)]
        for caller in callers:
            caller.sendall(b"x")
        for caller in callers:
            assert read_line(caller) == b"128\n"
            caller.close()
        assert server.stop() == 0
        assert not any("nterrupted" in line for line in server.lines if line)


@in_cells(["fork"])
def test_c7_two_hundred_callers_leave_no_zombie(cell):
    with start(cell, "echo") as server:
        for _ in range(20):
            together(10, lambda _: still_serves(server))
            eventually(lambda: len(children_of(server.process.pid)) <= 5)  # those who are about to end
        eventually(lambda: children_of(server.process.pid) == [])
        assert server.stop() == 0


@in_cells(["prefork", "coroutines"])
def test_a_killed_worker_takes_only_its_callers_with_it(cell):
    with start(cell, "tell_pid", workers=3, flags=WORKERS_ARE_PROCESSES) as server:
        eventually(lambda: len(children_of(server.process.pid)) == 3)
        callers = [server.call() for _ in range(3 if cell[0] == "prefork" else 20)]
        pids = [int(read_line(caller)) for caller in callers]
        os.kill(pids[0], signal.SIGKILL)
        server.wait_for("event worker worker . died \\(status 0x9\\), %d callers lost; a new one in 0 ms"
                        % pids.count(pids[0]))
        for caller, pid in zip(callers, pids):
            if pid == pids[0]:
                try:
                    assert caller.recv(1) == b""
                except ConnectionResetError:
                    pass
            else:
                caller.sendall(b"x")
                assert read_all(caller) == b""
            caller.close()
        eventually(lambda: len(children_of(server.process.pid)) == 3)
        with server.call() as caller:
            assert int(read_line(caller)) != pids[0]
        assert server.stop() == 0
        server.wait_for("result counts .* lost=1 ")


@in_cells(["prefork"])
def test_a_worker_that_always_dies_is_started_ever_less_often(cell):
    with start(cell, "die", workers=1) as server:
        for delay in (0, 100, 1000, 4000):
            with server.call() as caller:
                caller.sendall(b"!")
                server.wait_for("event worker worker 0 died .*, 1 callers lost; a new one in %d ms" % delay)
        began = time.monotonic()  # a stop waits for no start
        assert server.stop() == 0
        assert time.monotonic() - began < 3


@in_cells(["prefork"], ["epoll"])
def test_a_worker_that_dies_before_it_serves_is_started_ever_less_often(cell, tmp_path):
    opening = Refusal("eventfd", tmp_path)
    with start(cell, "die", workers=1, refusing=opening) as server:
        with server.call() as caller:
            caller.sendall(b"?")
            assert read_all(caller) == b"alive"
        opening.begin("EMFILE")
        with server.call() as caller:
            caller.sendall(b"!")
            server.wait_for("event worker worker 0 died .*, 0 callers lost; a new one in 1000 ms")
        assert opening.end() <= 2
        with server.call() as caller:
            caller.sendall(b"?")
            assert read_all(caller) == b"alive"
        assert server.stop() == 0


@in_cells(["fork", "prefork"])
def test_a_server_that_is_killed_leaves_nobody_behind_but_finishes_nothing_half(cell):
    """Children see the end of their parent as a stop: the conversation may end within the grace time."""
    with start(cell, "echo", workers=2) as server:
        with server.call() as caller:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
            children = [pid for pid, _ in children_of(server.process.pid)]
            server.process.kill()
            server.process.wait()
            caller.sendall(b"y")
            assert read_exactly(caller, 1) == b"y"
            caller.shutdown(socket.SHUT_WR)
            assert read_all(caller) == b""
        eventually(lambda: not any(is_alive(pid) for pid in children))


# ---- Descriptors --------------------------------------------------------------------------------

@in_every_cell
def test_a_program_that_a_handler_starts_inherits_no_descriptor(cell):
    with start(cell, "list_descriptors", workers=2) as server:
        with server.call() as other, server.call() as caller:
            for one in (other, caller):
                one.sendall(b"x\n")
        server.wait_for("^descriptors 0 1 2 3$", 2)


@in_cells(MODELS)
def test_c19_3_listens_and_4_is_connected_and_4_again(cell):
    with start(cell, "tell_fd", workers=1) as server:
        for _ in range(3):
            with server.call() as caller:
                assert read_line(caller) == b"4\n"
                assert read_all(caller) == b""
            eventually(lambda: connections_to(server.port) == 0)
        assert os.readlink("/proc/%d/fd/3" % server.process.pid).startswith("socket:")
