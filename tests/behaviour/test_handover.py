"""One server after the other: listeners that are passed on, and socket files that stay behind."""

import os
import socket
import threading

from cells import in_cells, in_every_cell, start
from programs import MODELS, PATIENCE, children_of, read_all, read_exactly, read_line
from test_callers import eventually
from test_stop import is_alive
from test_talk import pattern


# ---- An inherited listener ------------------------------------------------------------------------

def successor(cell, handler, listener, **options):
    """A server on a listener that the test holds open, as a supervisor does."""
    return start(cell, handler, "fd:%d" % listener.fileno(), keep=[listener.fileno()], **options)


@in_cells(MODELS)
def test_a_restart_on_the_same_listener_refuses_and_loses_nobody(cell):
    """Four callers in a loop, while three servers follow each other: each answer is whole, each call succeeds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        address = listener.getsockname()
        outcomes, over = [], threading.Event()

        def call_again_and_again():
            while not over.is_set():
                try:
                    with socket.create_connection(address, PATIENCE) as caller:
                        caller.settimeout(PATIENCE)
                        caller.sendall(b"x")
                        outcomes.append(len(read_all(caller)))
                except OSError as failure:
                    outcomes.append(failure)
        servers = [successor(cell, "answer_first_byte", listener, workers=2)]
        threads = [threading.Thread(target=call_again_and_again) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                served = len(outcomes)
                eventually(lambda: len(outcomes) >= served + 8)
                servers.append(successor(cell, "answer_first_byte", listener, workers=2))
                servers[-1].wait_for("listening on")
                assert servers[-2].stop() == 0
            served = len(outcomes)
            eventually(lambda: len(outcomes) >= served + 8)
        finally:
            over.set()
            for thread in threads:
                thread.join(PATIENCE)
            last = servers[-1].stop()
        assert last == 0
        assert set(outcomes) == {300000}, [outcome for outcome in outcomes if outcome != 300000]


@in_cells(MODELS)
def test_who_is_in_the_queue_of_an_inherited_listener_is_left_to_the_next(cell):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        first = successor(cell, "echo", listener)
        first.wait_for("listening on")
        assert first.stop() == 0
        with socket.create_connection(listener.getsockname(), PATIENCE) as caller:
            caller.settimeout(PATIENCE)
            caller.sendall(b"x")
            with successor(cell, "echo", listener) as second:
                assert read_exactly(caller, 1) == b"x"
                caller.close()
                assert second.stop() == 0


# ---- Unix sockets ---------------------------------------------------------------------------------

def call_unix(path):
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(PATIENCE)
    caller.connect(path)
    return caller


@in_every_cell
def test_a_unix_socket_serves_as_tcp_does_and_its_file_goes_at_the_end(cell, tmp_path):
    path = str(tmp_path / "door")
    with start(cell, "echo", path, workers=2) as server:
        server.wait_for("listening on unix:" + path)
        for _ in range(3):
            with call_unix(path) as caller:
                data = pattern(200000)
                writer = threading.Thread(target=lambda: (caller.sendall(data), caller.shutdown(socket.SHUT_WR)))
                writer.start()
                assert read_all(caller) == data
                writer.join()
        assert server.stop() == 0
        assert not os.path.exists(path)


@in_cells(MODELS)
def test_the_file_of_a_killed_server_is_taken_over(cell, tmp_path):
    path = str(tmp_path / "door")
    with start(cell, "tell_pid", path, workers=1) as first:
        first.wait_for("listening on")
        # It says so before it starts its workers.
        eventually(lambda: len(children_of(first.process.pid)) == (cell[0] == "prefork"))
        workers = [pid for pid, _ in children_of(first.process.pid)]
        first.process.kill()
        first.process.wait()
        eventually(lambda: not any(map(is_alive, workers)))  # they serve until they have heard of it
        assert os.path.exists(path)
        with start(cell, "tell_pid", path, workers=1) as second:
            second.wait_for("listening on")
            with call_unix(path) as caller:
                assert read_line(caller).strip().isdigit()
            assert second.stop() == 0


@in_cells(MODELS)
def test_a_file_that_somebody_else_put_there_meanwhile_is_left_alone(cell, tmp_path):
    path = str(tmp_path / "door")
    with start(cell, "echo", path, workers=1) as server:
        server.wait_for("listening on")
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen(1)
            assert server.stop() == 0
            with call_unix(path):  # the other one's
                pass
