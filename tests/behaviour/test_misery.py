"""Callers who are slow, endless, deaf or gone, and neighbours who must not notice."""

import hashlib
import os
import socket
import threading
import time

import pytest

from cells import in_cells, in_every_cell, start
from programs import (IS_WATCHED, MODELS, PATIENCE, children_of, connections_to, memory_of, read_all, read_exactly,
                      read_line, reset)
from test_callers import SIDE_BY_SIDE, descriptors, eventually, still_serves, together

GIB = 1 << 30


def pump(caller, data, times):
    """Sends so often and ends, in a thread of its own."""
    def send():
        try:
            for _ in range(times):
                caller.sendall(data)
            caller.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side of the test tells more
    thread = threading.Thread(target=send)
    thread.start()
    return thread


# ---- Much ---------------------------------------------------------------------------------------

@pytest.mark.skipif(IS_WATCHED, reason="checkers have memory of their own, and no time for so much")
@in_cells(["coroutines", "threads"], ["epoll"])
def test_a_line_of_a_gibibyte_needs_no_memory(cell):
    with start(cell, "count_line") as server, server.call() as caller:
        block = bytes(1 << 20)  # NULs are bytes of a line as any others
        before = memory_of(server.process.pid)
        for i in range(GIB >> 20):
            caller.sendall(block)
            if i % 256 == 0:
                assert memory_of(server.process.pid) - before < 1024
        caller.sendall(b"\n")
        assert read_line(caller) == b"%d\n" % (GIB + 1)
        assert memory_of(server.process.pid) - before < 1024


@in_cells(MODELS, ["epoll"])
def test_x15_a_hundred_megabytes_both_ways_at_once(cell):
    times = 2 if IS_WATCHED else 100
    with start(cell, "echo") as server, server.call() as caller:
        block = os.urandom(1000000)
        expected, heard = hashlib.sha256(), hashlib.sha256()
        writer = pump(caller, block, times)
        for _ in range(times):
            expected.update(block)
        while piece := caller.recv(1 << 18):
            heard.update(piece)
        writer.join()
        assert heard.digest() == expected.digest()
        if not IS_WATCHED:
            assert memory_of(server.process.pid) < 20000


@in_cells(MODELS, ["epoll"])
def test_c12_a_hundred_callers_at_once_get_each_a_megabyte_of_their_own(cell):
    size = 50000 if IS_WATCHED else 1000000
    with start(cell, "echo", workers=4) as server:
        def talk(i):
            with server.call() as caller:
                data = bytes([i, 255 - i, 10, 0]) * (size // 4)
                writer = pump(caller, data, 1)
                answer = read_all(caller)
                writer.join()
                assert answer == data
        together(100, talk)
        assert server.stop() == 0
        server.wait_for("result counts accepted=100 active=0 polite=100 ")


# ---- Slow ---------------------------------------------------------------------------------------

@in_cells(SIDE_BY_SIDE)
def test_x16_a_byte_now_and_then_holds_nobody_else_up(cell):
    """Slowloris: each gets a right answer in the end, and others get theirs at once."""
    count = 3 if cell[0] in ("prefork", "pool") else 30
    with start(cell, "lines", workers=4) as server:
        slow = [server.call() for _ in range(count)]
        for caller in slow:
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"slowly\n":
            for caller in slow:
                caller.sendall(bytes([byte]))
            time.sleep(0.02)
            with server.call() as quick:
                quick.sendall(b"quick\n")
                assert read_exactly(quick, 8) == b"6:quick\n"
        for caller in slow:
            assert read_exactly(caller, 9) == b"7:slowly\n"
            caller.close()
        assert server.stop() == 0


@in_cells(SIDE_BY_SIDE)
def test_bytes_do_not_put_the_total_limit_off(cell):
    count = 3 if cell[0] in ("prefork", "pool") else 20
    with start(cell, "lines", workers=4, total=1000) as server:  # time enough for the last one
        began = time.monotonic()
        slow = [server.call() for _ in range(count)]
        left = list(slow)
        while left:
            for caller in list(left):
                try:
                    caller.sendall(b"x")  # and never a newline
                except ConnectionError:
                    left.remove(caller)
            time.sleep(0.01)
            assert time.monotonic() - began < PATIENCE
        assert time.monotonic() - began >= 1
        for caller in slow:
            caller.close()
        with server.call() as caller:
            caller.sendall(b"x\n")
            assert read_line(caller) == b"2:x\n"
        assert server.stop() == 0
        server.wait_for("result counts .* limited=%d " % count)


@in_cells(SIDE_BY_SIDE)
def test_x7_callers_who_never_read_cost_no_memory_and_hold_nobody_up(cell):
    count = 3 if cell[0] in ("prefork", "pool") else 30
    with start(cell, "echo", workers=4, total=10000 if IS_WATCHED else 1500) as server:
        deaf = [server.call() for _ in range(count)]
        for caller in deaf:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
        before = memory_of(server.process.pid)
        for caller in deaf:
            caller.setblocking(False)
            try:
                while caller.send(b"y" * 65536):  # until both ends' buffers are full
                    pass
            except (BlockingIOError, ConnectionError):  # he may be over the limit already
                pass
        for _ in range(20):
            still_serves(server)
        if not IS_WATCHED:
            assert memory_of(server.process.pid) - before < 64 * count + 512
        for caller in deaf:
            caller.settimeout(PATIENCE)
            with pytest.raises(ConnectionError):
                while True:
                    caller.sendall(b"z" * 65536)
            caller.close()
        still_serves(server)
        assert server.stop() == 0
        server.wait_for("result counts .* limited=%d " % count)


# ---- Gone ---------------------------------------------------------------------------------------

def leave_in_the_queue(server, bystander):
    reset(server.call())


def leave_unheard(server, bystander):
    caller = server.call()
    caller.sendall(b"x" * 5000)
    reset(caller)


def leave_in_the_middle(server, bystander):
    """With 50 lines outstanding."""
    caller = server.call()
    for i in range(50):
        caller.sendall(b"line %d\n" % i)
    caller.recv(1)
    reset(caller)


def leave_while_it_writes(server, bystander):
    """The server stands in a write that cannot go on."""
    caller = server.call()
    caller.setblocking(False)
    try:
        while caller.send(b"y" * 65536):
            pass
    except BlockingIOError:
        reset(caller)


def leave_after_half_closing(server, bystander):
    caller = server.call()
    caller.sendall(b"x" * 5000)
    caller.shutdown(socket.SHUT_WR)
    caller.recv(1)
    reset(caller)


def leave_while_it_lingers(server, bystander):
    caller = server.call()
    caller.sendall(b"a\n")
    caller.shutdown(socket.SHUT_WR)
    read_all(caller)
    reset(caller)


def leave_politely_without_a_word(server, bystander):
    server.call().close()


def leave_without_reading_the_answer(server, bystander):
    caller = server.call()
    caller.sendall(b"x" * 1000)
    caller.close()  # unread bytes make that a reset, now or later


WAYS_TO_LEAVE = [leave_in_the_queue, leave_unheard, leave_in_the_middle, leave_while_it_writes,
                 leave_after_half_closing, leave_while_it_lingers, leave_politely_without_a_word,
                 leave_without_reading_the_answer]


@in_every_cell
def test_x5_x6_x17_whoever_leaves_in_whatever_way_leaves_nothing_behind(cell):
    """At each step of a conversation; a bystander's bytes are his own all the while."""
    many = cell[0] in SIDE_BY_SIDE
    with start(cell, "echo", workers=2 if cell[0] in ("prefork", "pool") else 1) as server:
        pid = server.process.pid
        bystander = server.call() if many else None
        if many:
            still_there(bystander, 0)
        still_serves(server)
        settle(server, bystander)  # and each of the two workers has served somebody
        eventually(descriptors_of_all, pid)
        base = descriptors_of_all(pid)
        for leave in WAYS_TO_LEAVE:
            for _ in range(3):
                leave(server, bystander)
            if many:
                still_there(bystander, 1)
            still_serves(server)
        settle(server, bystander)
        eventually(lambda: (descriptors_of_all(pid) or base + 1) <= base)
        if many:
            still_there(bystander, 2)
            bystander.close()
        assert server.stop() == 0
        accepted = 3 * len(WAYS_TO_LEAVE) + len(WAYS_TO_LEAVE) + 1 + many
        counts = server.wait_for("result counts accepted=(\\d+) active=(\\d+) polite=(\\d+) aborted=(\\d+)")
        accepted_now, active, polite, aborted = map(int, counts.groups())
        assert active == 0 and accepted_now == polite + aborted
        assert accepted - 3 <= accepted_now <= accepted  # who left in the queue may not have been seen at all
        ended = sum("event ended" in line for line in server.lines if line)
        assert ended == accepted_now  # one line for each


def still_there(bystander, i):
    data = b"bystander %d\n" % i
    bystander.sendall(data)
    assert read_line(bystander) == data


def descriptors_of_all(pid):
    """Of the server and its processes."""
    pids = [pid] + [child for child, state in children_of(pid) if state != "Z"]
    try:
        return sum(descriptors(one) for one in pids)
    except OSError:  # one has just ended
        return None


def settle(server, bystander):
    """Waits until no connection of the server's is left but the bystander's."""
    eventually(lambda: connections_to(server.port) == (bystander is not None))
