"""Stopping, workers that die, and living in a foreign loop."""

import signal
import socket
import threading

import pytest

from cells import in_cells, in_every_cell, start
from programs import MODELS, OWN_HOST, PATIENCE, children_of, freeze, read_all, read_exactly, read_line, thaw
from test_callers import eventually, still_serves


@in_every_cell
def test_a_stop_refuses_at_once_and_lets_conversations_finish(cell):
    """C15."""
    with start(cell, "echo", OWN_HOST + ":0") as server:
        port = server.port
        with server.call() as caller:
            caller.sendall(b"one")
            assert read_exactly(caller, 3) == b"one"
            server.begin_stop(signal.SIGTERM)
            server.wait_for("event stopping")
            eventually(refuses, port)
            caller.sendall(b"two")
            assert read_exactly(caller, 3) == b"two"
        assert server.process.wait(PATIENCE) == 0
        assert children_of(server.process.pid) == []


def refuses(port):
    try:
        socket.create_connection((OWN_HOST, port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


@in_every_cell
def test_the_grace_time_cuts(cell):
    with start(cell, "echo", grace=100) as server, server.call() as caller:
        caller.sendall(b"x")
        assert read_exactly(caller, 1) == b"x"
        server.begin_stop(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            read_all(caller)
        assert server.process.wait(PATIENCE) == 1
        server.wait_for("error ETIMEDOUT: 1 conversation was cut short")


@in_every_cell
def test_a_second_stop_cuts_at_once(cell):
    """C16."""
    with start(cell, "echo", grace=60000) as server, server.call() as caller:
        caller.sendall(b"x")
        assert read_exactly(caller, 1) == b"x"
        server.begin_stop(signal.SIGINT)
        server.wait_for("event stopping")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 1
        with pytest.raises(ConnectionResetError):
            read_all(caller)


@in_every_cell
def test_a_handler_can_stop_its_server(cell):
    with start(cell, "stop_server") as server:
        with server.call() as caller:
            caller.sendall(b"x")
            assert read_all(caller) == b"stopped"
        assert server.process.wait(PATIENCE) == 0


@in_cells(MODELS)
def test_no_reply_is_cut_short_by_a_stop(cell):
    """Six callers in a loop, five stops: a reply is whole, or it is an error."""
    for round_number in range(5):
        with start(cell, "answer_first_byte", OWN_HOST + ":0", workers=2) as server:
            port = server.port
            outcomes = []

            def call_again_and_again():
                while True:
                    try:
                        with socket.create_connection((OWN_HOST, port), PATIENCE) as caller:
                            caller.settimeout(PATIENCE)
                            caller.sendall(b"x")
                            count = len(read_all(caller))
                            outcomes.append(count)
                    except ConnectionRefusedError:
                        return
                    except OSError:
                        outcomes.append("reset")
            threads = [threading.Thread(target=call_again_and_again) for _ in range(6)]
            for thread in threads:
                thread.start()
            server.wait_for("event caller", 3 + round_number)
            assert server.stop() == 0
            for thread in threads:
                thread.join(PATIENCE)
            assert all(outcome in (300000, "reset") for outcome in outcomes), outcomes


@in_cells(MODELS)
def test_who_waits_in_the_queue_at_a_stop_is_served(cell):
    """They and the signal come while the server stands still."""
    with start(cell, "answer_first_byte", workers=2) as server:
        server.wait_for("listening on")
        pids = [server.process.pid, *(pid for pid, _ in children_of(server.process.pid))]
        freeze(*pids)
        callers = [server.call() for _ in range(5)]
        for caller in callers:
            caller.sendall(b"x")
        server.process.send_signal(signal.SIGTERM)
        thaw(*pids)
        for caller in callers:
            assert len(read_all(caller)) == 300000
            caller.close()
        assert server.process.wait(PATIENCE) == 0


@in_cells(["prefork"], ["epoll", "block", "completion", "stale"])
def test_a_worker_that_dies_is_replaced_and_others_go_on(cell):
    with start(cell, "die", workers=2) as server:
        def ask(byte):
            with server.call() as caller:
                caller.sendall(byte)
                try:
                    return read_all(caller)
                except ConnectionResetError:
                    return None
        assert ask(b"?") == b"alive"
        for _ in range(2):
            assert ask(b"!") in (None, b"")
        server.wait_for("event worker worker . died", 2)
        for _ in range(4):
            assert ask(b"?") == b"alive"
        eventually(lambda: len(children_of(server.process.pid)) == 2)
        assert server.stop() == 0
        server.wait_for("result counts .* lost=2 ")


@in_cells(["fork"], ["epoll", "block"])
def test_a_process_that_dies_takes_only_its_caller_with_it(cell):
    with start(cell, "die") as server:
        bystander = server.call()
        with server.call() as caller:
            caller.sendall(b"!")
            with pytest.raises(ConnectionResetError):
                if read_all(caller) == b"":
                    raise ConnectionResetError
        server.wait_for("its process died")
        bystander.sendall(b"?")
        assert read_all(bystander) == b"alive"
        bystander.close()
        assert server.stop() == 0


@in_cells(["fork", "prefork"], ["epoll", "block"])
def test_children_end_with_their_parent(cell):
    with start(cell, "echo", workers=2, grace=100) as server:
        with server.call() as caller:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
            children = [pid for pid, _ in children_of(server.process.pid)]
            assert children
            server.process.kill()
            server.process.wait()
            eventually(lambda: not any(is_alive(pid) for pid in children))


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@in_cells(["iterative", "coroutines", "threads", "fork"], ["epoll"])
def test_it_lives_in_a_foreign_loop(cell):
    with start(cell, "echo", embedded=1, idle=1500) as server:
        for _ in range(5):
            still_serves(server)
        with server.call() as caller:  # its deadlines are seen without any event
            with pytest.raises(ConnectionResetError):
                read_all(caller)
        with server.call() as caller:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
            server.begin_stop(signal.SIGTERM)
            server.wait_for("event stopping")
        assert server.process.wait(PATIENCE) == 0


@in_cells(["prefork", "pool"], ["epoll"])
def test_crews_cannot_live_in_a_foreign_loop(cell):
    with start(cell, "echo", embedded=1, workers=2) as server:
        assert server.process.wait(PATIENCE) == 1
        server.wait_for("error E(NOT|OPNOT)SUPP?: model .* cannot live in a foreign loop")


SHARES_MEMORY, NOT_THREAD_SAFE, WORKERS_ARE_PROCESSES = 2, 4, 8

# Which of the two declarations a model goes against.
REFUSES = {"iterative": (), "fork": (SHARES_MEMORY,), "prefork": (SHARES_MEMORY,), "threads": (NOT_THREAD_SAFE,),
           "pool": (NOT_THREAD_SAFE,), "coroutines": ()}


@in_cells(MODELS, ["epoll"])
@pytest.mark.parametrize("flag", [SHARES_MEMORY, NOT_THREAD_SAFE])
def test_a_model_that_a_program_cannot_stand_is_refused(cell, flag):
    with start(cell, "echo", flags=flag, workers=1) as server:
        if flag in REFUSES[cell[0]]:
            assert server.process.wait(PATIENCE) == 1
            server.wait_for("error EINVAL: model %s has" % cell[0])
        else:
            still_serves(server)


@in_cells(["coroutines"], ["epoll", "block"])
@pytest.mark.parametrize("flags", [0, WORKERS_ARE_PROCESSES])
def test_coroutines_run_on_several_workers(cell, flags):
    with start(cell, "tell_pid", workers=3, flags=flags) as server:
        callers = [server.call() for _ in range(30)]
        pids = {read_line(caller) for caller in callers}
        assert (len(pids) > 1) == bool(flags) or (flags and len(pids) == 1)
        for caller in callers:
            caller.sendall(b"x")
            assert read_all(caller) == b""
            caller.close()
        assert server.stop() == 0


@pytest.mark.parametrize("name, value, words", [
    ("BELL_MODEL", "forks", 'no model is called "forks" \\(BELL_MODEL\\)'),
    ("BELL_BACKEND", "select", 'no backend is called "select" \\(BELL_BACKEND\\)'),
])
def test_a_variable_that_makes_no_sense_is_refused(name, value, words):
    cell = (value, None) if name == "BELL_MODEL" else (None, value)
    with start(cell, "echo") as server:
        assert server.process.wait(PATIENCE) == 1
        server.wait_for("error EINVAL: " + words)


def test_what_was_chosen_can_be_asked():
    with start(("coro", None), "echo") as server:
        server.wait_for("choice coroutines \\(BELL_MODEL\\) on epoll \\(default\\), 1 worker$")


def test_a_handler_that_keeps_its_loop_is_reported():
    with start(("coroutines", "epoll"), "hog", number=300) as server:
        with server.call() as caller:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
        server.wait_for("event stalled handler hog kept its loop for ([2-9]\\d\\d|\\d{4,}) ms")
