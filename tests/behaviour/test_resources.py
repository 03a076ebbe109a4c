"""Want of descriptors, memory, processes and threads: callers wait, nothing spins, and it goes on afterwards."""

import contextlib
import os
import socket
import time

import pytest

from cells import Refusal, in_cells, in_every_cell, start
from programs import (IS_WATCHED, MODELS, PATIENCE, children_of, connections_to, memory_of, read_all, read_exactly,
                      read_line)
from test_callers import descriptors, eventually, still_serves, together

# An answer to `accept` that says nothing of the caller: the listener rests for 5 ms, then 10, and so on up to 1 s.
WANTS = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]
# ... and those that are about one caller, who left or was turned away by a firewall.
PASSED_OVER = ["ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN", "EINTR"]


def tries_within(seconds):
    """How often a loop tries in so long that rests for 5 ms, 10, and so on. One of them was under way, maybe."""
    tries, rest = 2, 0.005
    while seconds > 0:
        tries, seconds, rest = tries + 1, seconds - rest, min(2 * rest, 1)
    return tries


@in_every_cell
def test_accept_rests_when_something_is_wanting_and_then_goes_on(cell, tmp_path):
    accept = Refusal("accept", tmp_path)
    with start(cell, "echo", workers=2, refusing=accept) as server:
        still_serves(server)
        for error in WANTS:
            began = time.monotonic()
            accept.begin(error)
            # More than one: a worker that looked in vain for the caller before may be about to take the first.
            callers = [server.call() for _ in range(3)]
            eventually(lambda: accept.count >= 3)
            count = accept.end()
            # There are two loops at most.
            assert count <= 2 * tries_within(time.monotonic() - began)
            for caller in callers:
                caller.sendall(b"x")
                assert read_exactly(caller, 1) == b"x"
                caller.close()
            still_serves(server)
        server.wait_for("event trouble accept: ")
        assert server.stop() == 0


@in_cells(MODELS)
def test_a_starved_accept_asks_ever_less_often(cell, tmp_path):
    accept = Refusal("accept", tmp_path)
    with start(cell, "echo", workers=2, refusing=accept) as server:
        still_serves(server)
        began = time.monotonic()
        accept.begin("ENOMEM")
        with server.call() as caller:
            caller.sendall(b"x")
            time.sleep(0.6)
            count = accept.end()
            assert count <= 2 * tries_within(time.monotonic() - began)
            assert read_exactly(caller, 1) == b"x"
        assert sum("event trouble" in line for line in server.lines if line) <= 4


@in_every_cell
def test_a_caller_who_left_in_the_queue_costs_nobody_else_anything(cell, tmp_path):
    accept = Refusal("accept", tmp_path)
    with start(cell, "echo", workers=2, refusing=accept) as server:
        for error in PASSED_OVER:
            accept.begin(error)
            callers = [server.call() for _ in range(2)]  # two, as above
            eventually(lambda: accept.count >= 1)
            accept.end()
            answered = 0
            for caller in callers:
                try:
                    caller.sendall(b"x")
                    answered += len(caller.recv(1))
                except ConnectionError:
                    pass
                caller.close()
            # ECONNABORTED is lost: the one for whom it was true, or both.
            assert answered < 2 if error == "ECONNABORTED" else answered == 2
            still_serves(server)
        # That a rule forbids everybody, again and again, is worth a word; and somebody else's leaving is not.
        assert not any("event trouble" in line and "not permitted" not in line for line in server.lines if line)
        assert server.stop() == 0


# ---- Descriptors --------------------------------------------------------------------------------

@in_cells(["iterative", "threads", "pool", "coroutines"], ["epoll", "block", "completion", "stale"])
def test_who_is_served_notices_nothing_of_the_want_of_descriptors(cell):
    """EMFILE while others are served, and not because of them: the handler itself takes all there are."""
    with start(cell, "hoard", workers=4 if cell[0] == "pool" else 1, descriptors=80) as server:
        present = [server.call() for _ in range(1 if cell[0] == "iterative" else 4)]
        for caller in present:
            caller.sendall(b"e")
            assert read_exactly(caller, 1) == b"e"
        if len(present) > 1:  # each of the pool's threads has opened its loop; now one of them is free
            before = descriptors(server.process.pid)
            present.pop().close()
            eventually(lambda: descriptors(server.process.pid) < before)
        greedy = present[0]
        greedy.sendall(b"h")
        assert read_exactly(greedy, 1) == b"h"
        newcomer = server.call()
        with contextlib.suppress(ConnectionError):  # see below
            newcomer.sendall(b"n")
        if cell[0] != "iterative":
            server.wait_for("event trouble (accept|starting a handler): Too many open files")
        for _ in range(20):
            for caller in present:
                caller.sendall(b"e")
                assert read_exactly(caller, 1) == b"e"
        greedy.sendall(b"r")
        assert read_exactly(greedy, 1) == b"r"
        for caller in present:
            caller.close()
        try:
            assert newcomer.recv(1) == b"n"
        except ConnectionResetError:
            # He had been accepted by the last descriptor, and his thread's loop found none.
            assert cell[0] == "threads"
        newcomer.close()
        still_serves(server)
        assert server.stop() == 0


@in_cells(["coroutines", "prefork", "pool", "iterative"])
def test_a_new_caller_is_worth_more_than_one_who_lingers(cell):
    """Conversations are over and their callers stay: at the limit of descriptors the oldest goes."""
    with start(cell, "tell_fd", workers=1, descriptors=48, linger=60000) as server:
        staying = []
        for _ in range(60):
            caller = server.call()
            assert read_line(caller).strip().isdigit()
            staying.append(caller)
        for caller in staying:
            caller.close()


# ---- Processes and threads ----------------------------------------------------------------------

STARTS = {"fork": "fork", "threads": "thread_start"}


@in_cells(STARTS, ["epoll", "block", "completion", "stale"])
@pytest.mark.parametrize("error", ["EAGAIN", "ENOMEM"])
def test_who_cannot_be_started_now_waits(cell, error, tmp_path):
    starting = Refusal(STARTS[cell[0]], tmp_path)
    with start(cell, "echo", refusing=starting) as server:
        bystander = server.call()
        bystander.sendall(b"x")
        assert read_exactly(bystander, 1) == b"x"
        began = time.monotonic()
        starting.begin(error)
        callers = [server.call() for _ in range(3)]
        for caller in callers:
            caller.sendall(b"y")
        server.wait_for("event trouble (fork|starting a handler): ")
        time.sleep(0.15)
        count = starting.count
        assert count <= tries_within(time.monotonic() - began)
        bystander.sendall(b"x")
        assert read_exactly(bystander, 1) == b"x"
        starting.end()
        for caller in callers:
            assert read_exactly(caller, 1) == b"y"
            caller.close()
        bystander.close()
        assert server.stop() == 0
        server.wait_for("result counts accepted=4 active=0 polite=4 ")


@in_cells(STARTS)
def test_who_waits_to_be_started_is_served_after_a_stop_too(cell, tmp_path):
    starting = Refusal(STARTS[cell[0]], tmp_path)
    with start(cell, "echo", grace=60000, refusing=starting) as server:
        still_serves(server)
        starting.begin("EAGAIN")
        with server.call() as caller:
            caller.sendall(b"y")
            server.wait_for("event trouble (fork|starting a handler): ")
            server.begin_stop()
            server.wait_for("event stopping")
            starting.end()
            assert read_exactly(caller, 1) == b"y"
        assert server.process.wait(PATIENCE) == 0


@in_cells(STARTS)
def test_who_can_never_be_started_is_cut_at_the_grace_time(cell, tmp_path):
    starting = Refusal(STARTS[cell[0]], tmp_path)
    with start(cell, "echo", grace=100, refusing=starting) as server:
        still_serves(server)
        starting.begin("EAGAIN")
        with server.call() as caller:
            caller.sendall(b"y")
            server.wait_for("event trouble (fork|starting a handler): ")
            server.begin_stop()
            with pytest.raises(ConnectionResetError):
                read_all(caller)
        assert server.process.wait(PATIENCE) == 1
        server.wait_for("error ETIMEDOUT: 1 conversation was cut short")


@in_cells(["prefork"], ["epoll", "block", "completion", "stale"])
def test_a_worker_that_cannot_be_replaced_now_is_replaced_later(cell, tmp_path):
    forking = Refusal("fork", tmp_path)
    with start(cell, "die", workers=2, refusing=forking) as server:
        eventually(lambda: len(children_of(server.process.pid)) == 2)
        began = time.monotonic()
        forking.begin("EAGAIN")
        with server.call() as caller:
            caller.sendall(b"!")
            server.wait_for("event worker worker . could not be started: .*; again in 1000 ms")
        with server.call() as caller:  # the other one serves
            caller.sendall(b"?")
            assert read_all(caller) == b"alive"
        count = forking.end()
        assert count <= 2 + (time.monotonic() - began) // 1  # once a second
        eventually(lambda: len(children_of(server.process.pid)) == 2)
        assert server.stop() == 0


@in_cells(["pool"], ["epoll", "block"])
def test_threads_that_cannot_be_made_are_done_without(cell, tmp_path):
    threads = Refusal("thread_start", tmp_path)
    threads.begin("EAGAIN")
    with start(cell, "echo", workers=3, refusing=threads) as server:
        still_serves(server)
        assert threads.end() == 1  # it asks no more
        assert server.stop() == 1
        server.wait_for("error EAGAIN: serve with model pool: Resource temporarily unavailable")


@in_cells(["fork"], ["epoll", "block"])
def test_a_process_that_cannot_be_watched_now_is_reaped_later(cell, tmp_path):
    watching = Refusal("pidfd_open", tmp_path)
    with start(cell, "echo", refusing=watching) as server:
        watching.begin("EMFILE")
        for _ in range(5):
            still_serves(server)
        eventually(lambda: [state for _, state in children_of(server.process.pid)] == ["Z"] * 5)
        watching.end()
        eventually(lambda: children_of(server.process.pid) == [])
        assert server.stop() == 0
        server.wait_for("result counts accepted=5 active=0 polite=5 ")


# ---- Memory -------------------------------------------------------------------------------------

@in_every_cell
@pytest.mark.parametrize("call, error", [("allocate", "ENOMEM"), ("send", "ENOBUFS"), ("recv", "ENOMEM"),
                                         ("epoll_ctl", "ENOSPC"), ("eventfd", "ENFILE")])
def test_a_call_that_fails_in_a_conversation_harms_the_next_one_in_nothing(cell, call, error, tmp_path):
    if call == "epoll_ctl" and cell[1] not in ("epoll", "stale"):
        pytest.skip("this way to wait does not call it")
    failing = Refusal(call, tmp_path)
    with start(cell, "echo", workers=2, refusing=failing) as server:
        still_serves(server)
        failing.begin(error)
        try:
            with server.call() as caller:
                caller.settimeout(0.2)
                caller.sendall(b"x")
                assert caller.recv(1) in (b"x", b"")
        except (ConnectionError, socket.timeout):
            pass  # he has his answer, or a reset, or is still in the queue: nothing else
        failing.end()
        for _ in range(3):
            still_serves(server)
        if cell[0] in ("fork", "prefork"):
            crew = 2 if cell[0] == "prefork" else 0
            eventually(lambda: [state for _, state in children_of(server.process.pid)].count("S") == crew and
                       len(children_of(server.process.pid)) == crew)
        assert server.process.poll() is None


@pytest.mark.skipif(IS_WATCHED, reason="checkers have memory of their own")
@in_cells(["coroutines"])
def test_a_held_connection_costs_little(cell):
    with start(cell, "lines") as server:
        still = [server.call() for _ in range(20)]
        for caller in still:
            caller.sendall(b"warm\n")
            read_line(caller)
        before = memory_of(server.process.pid)
        callers = [server.call() for _ in range(400)]
        for caller in callers:
            caller.sendall(b"x\nhalf a line")  # it lies with the server
            assert read_line(caller) == b"2:x\n"
        assert (memory_of(server.process.pid) - before) / len(callers) <= 24
        for caller in still + callers:
            caller.close()


@pytest.mark.skipif(IS_WATCHED, reason="checkers have memory of their own")
@in_cells(MODELS)
def test_c10_rounds_of_callers_leave_nothing_behind(cell):
    """Descriptors, children, threads and memory are as before: 2 rounds, 150 at once in each."""
    with start(cell, "echo", workers=2 if cell[0] in ("prefork", "pool") else 1) as server:
        pid = server.process.pid

        def state():
            return descriptors(pid), len(children_of(pid)), len(os.listdir("/proc/%d/task" % pid))

        def all_at_once():
            """So that each round needs as much: else it is the machine that says how many are there together."""
            callers = [server.call() for _ in range(150)]
            for caller in callers:
                caller.sendall(b"x")
            for caller in callers:
                assert read_exactly(caller, 1) == b"x"
            for caller in callers:
                caller.close()

        def round_of_callers():
            all_at_once() if cell[0] in ("fork", "threads", "coroutines") else together(150, lambda _: still_serves(server))
            # The last one of before may have had a descriptor still when they were counted.
            eventually(lambda: all(now <= then for now, then in zip(state(), before)))
            return memory_of(pid)
        callers = [server.call() for _ in range(2)]
        for caller in callers[:1 if cell[0] == "iterative" else 2]:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
        for caller in callers:  # each worker has served one of them, and is up
            caller.close()
        server.wait_for("event ended", 2)
        eventually(lambda: connections_to(server.port) == 0)
        eventually(lambda: state()[1:] == (2 if cell[0] == "prefork" else 0, 2 if cell[0] == "pool" else 1))
        before = state()
        first = round_of_callers()
        second = round_of_callers()
        assert second <= first * 1.1 + 200
