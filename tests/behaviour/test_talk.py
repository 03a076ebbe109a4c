"""What a handler reads and writes, as callers see it: the same in every cell."""

import socket

import pytest

from cells import in_cells, in_every_cell, start, SHARING
from programs import (IS_WATCHED, MODELS, PATIENCE, memory_of, read_all, read_exactly, read_line, reset, states_of_port,
                      wait_until)

ALPHABET = b"abcdefghijklmnopqrstuvwxyz"


def pattern(count):
    return (ALPHABET * (count // 26 + 1))[:count]


def ask(server, data):
    """Says something, ends, and returns the whole answer."""
    with server.call() as caller:
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        return read_all(caller)


@in_every_cell
@pytest.mark.parametrize("handler", ["echo", "echo_lent"])
def test_every_byte_comes_back(cell, handler):
    """X8: the end is no byte."""
    with start(cell, handler) as server:
        data = bytes(range(256)) * 400
        assert ask(server, data) == data
        assert ask(server, b"\x04\x1a\xff\x00") == b"\x04\x1a\xff\x00"
        assert ask(server, b"") == b""
        assert server.stop() == 0


@in_every_cell
def test_lines_are_found_however_they_are_cut(cell):
    """H8, H9, H11."""
    with start(cell, "lines") as server:
        with server.call() as caller:
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in (b"ab", b"c\nde", b"\n\n", b"f\0g\n"):
                caller.sendall(piece)
            assert read_exactly(caller, 19) == b"4:abc\n3:de\n1:\n4:f\0g\n"[:19]
            caller.sendall(b"\nlast")
            caller.shutdown(socket.SHUT_WR)
            assert read_all(caller).endswith(b"1:\n4:last")


@in_every_cell
def test_a_line_byte_by_byte_is_one_line(cell):
    with start(cell, "lines") as server, server.call() as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"slowly\n":
            caller.sendall(bytes([byte]))
        assert read_exactly(caller, 9) == b"7:slowly\n"


@in_every_cell
def test_a_line_that_is_too_long_comes_in_pieces(cell):
    with start(cell, "lines", number=5) as server:
        assert ask(server, b"abc\nabcdefghij\nx\n") == b"4:abc\nlong 4:abcdlong 4:efgh3:ij\n2:x\n"


@in_cells(MODELS, ["epoll", "completion"])
def test_a_line_without_end_needs_no_memory(cell):
    with start(cell, "lines", number=4096) as server:
        with server.call() as caller:
            block = b"x" * 1000000
            caller.settimeout(PATIENCE)
            received = 0
            for _ in range(30):
                caller.sendall(block)
                received += len(read_exactly(caller, 900000))
            assert memory_of(server.process.pid) < (200000 if IS_WATCHED else 20000)
            reset(caller)


@in_every_cell
def test_blocks_are_whole_and_the_rest_is_told(cell):
    with start(cell, "blocks", number=7) as server:
        assert ask(server, b"1234567abcdefgxyz") == b"1234567abcdefgrest 3"
        assert ask(server, b"") == b"rest 0"


@in_every_cell
@pytest.mark.parametrize("number, rest", [(0, b" a line\n"), (15, b"15 bytes")])
def test_a_deadline_keeps_what_has_come(cell, number, rest):
    with start(cell, "patient", number=number) as server, server.call() as caller:
        caller.sendall(b"half of")
        server.wait_for("result timeout 1 after 0 bytes|result timeout . after 7 bytes: .*timed out")
        server.wait_for("result timeout . after 7 bytes: .*timed out")
        caller.sendall(rest)
        assert read_all(caller) == b"half of" + rest


@in_every_cell
def test_a_long_answer_arrives_before_the_end(cell):
    """X1."""
    with start(cell, "talk", number=3000000) as server:
        with socket.socket() as caller:
            caller.settimeout(PATIENCE)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.connect(("127.0.0.1", server.port))
            server.wait_for("event caller")
            answer = read_all(caller)
        assert len(answer) == 3000000
        # The handler writes a pattern that begins anew every 26,000 bytes, which is a multiple of 26.
        assert answer == pattern(3000000)


@in_every_cell
def test_the_last_reply_is_not_lost_when_unread_bytes_lie_there(cell):
    with start(cell, "answer_first_byte") as server:
        with socket.socket() as caller:
            caller.settimeout(PATIENCE)
            # Most of the reply is still the server's when he closes.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            caller.connect(("127.0.0.1", server.port))
            # And more lies there than the library takes in at once.
            caller.sendall(b"x" * 60000)
            server.wait_for("event ended")
            wait_until(lambda: "01" not in states_of_port(server.port))
            assert read_all(caller) == pattern(300000)


@in_every_cell
def test_pieces_are_written_as_one(cell):
    with start(cell, "pieces") as server:
        answer = ask(server, b"")
        expected = b"".join(pattern(40000)[i * 1000:(i + 1) * 1000] for i in range(40) if i != 7)
        assert answer == expected
        server.wait_for("result writev 39000")
        server.wait_for("result writev of none -1 EINVAL")


@in_every_cell
def test_a_part_of_a_file_is_sent(cell):
    with start(cell, "send_file") as server:
        assert ask(server, b"") == pattern(100000)[26:50026] + pattern(100000)[99990:]
        server.wait_for("result sendfile 50000")
        server.wait_for("result sendfile past the end 10")


@in_every_cell
def test_formatted_text_of_any_length_arrives(cell):
    with start(cell, "formatted") as server:
        assert ask(server, b"") == b"a 42 1.50\n" + b"x" * 2999 + b"\n"


@in_every_cell
def test_a_handler_that_fails_resets_its_caller(cell):
    with start(cell, "fail_half_way") as server, server.call() as caller:
        caller.sendall(b"?")
        with pytest.raises(ConnectionResetError):
            read_all(caller)
            caller.recv(1)


@in_every_cell
def test_half_close_lets_the_other_direction_go_on(cell):
    """X14."""
    with start(cell, "half_close") as server:
        with server.call() as caller:
            assert read_all(caller) == b"before"
            caller.sendall(b"after\n")
            server.wait_for("result shutdown 0")
            server.wait_for("result write -1 EPIPE")
            server.wait_for("result readline 6")


@in_every_cell
def test_without_reading_writing_goes_on(cell):
    """X14."""
    with start(cell, "stop_reading") as server:
        with server.call() as caller:
            caller.sendall(b"x")
            assert read_all(caller) == b"still talking"
        server.wait_for("result read 0")


@in_every_cell
def test_misuse_is_an_error_and_no_crash(cell):
    with start(cell, "misuse") as server:
        with server.call() as caller:
            assert read_all(caller) == b""
        for line in ("readline of 1 -1 EINVAL", "peek of 0 -1 EINVAL", "peek of 1 MiB -1 EINVAL", "skip -1 EINVAL",
                     "read of 0 0", "close 0", "close again -1 EBADF", "read -1 EBADF", "write -1 EBADF",
                     "shutdown -1 EBADF", "fd -1 EBADF"):
            server.wait_for("^result " + line)


@in_every_cell
def test_a_descriptor_can_be_taken_out_with_its_unread_bytes(cell):
    with start(cell, "take_out") as server:
        with server.call() as caller:
            caller.sendall(b"first\nsecond\n")
            answer = read_until(caller, b"|")
            caller.sendall(b"third\n")
            assert answer == b"second\n|"
            assert read_all(caller) == b"third\n"
        server.wait_for("result detach without room -1 ENOBUFS")
        server.wait_for("result read -1 EBADF")
        server.wait_for("result close 0")


def read_until(caller, end):
    data = b""
    while not data.endswith(end):
        byte = caller.recv(1)
        assert byte, data
        data += byte
    return data


@in_every_cell
def test_both_ends_are_named(cell):
    with start(cell, "names") as server, server.call() as caller:
        here = "tcp:%s:%d" % caller.getsockname()
        assert read_line(caller).decode() == "%s tcp:127.0.0.1:%d 1\n" % (here, server.port)


@in_every_cell
def test_errno_belongs_to_the_task(cell):
    with start(cell, "keep_errno", workers=2) as server:
        callers = [server.call() for _ in range(3)]
        for caller in callers:
            caller.sendall(b"x")
        for caller in callers:
            assert read_line(caller) == b"1 1\n"
            caller.close()


# ---- Tasks --------------------------------------------------------------------------------------

@in_every_cell
def test_a_task_writes_while_the_handler_reads_and_the_end_comes_after_both(cell):
    with start(cell, "two_tasks") as server:
        assert ask(server, b"x" * 50000) == b"".join(b"%d\n" % i for i in range(1000))
        server.wait_for("result read 50000")


@in_every_cell
def test_groups_are_waited_for_and_cancelled(cell):
    with start(cell, "groups") as server, server.call() as caller:
        assert read_exactly(caller, 4) == b"done"
        server.wait_for("result wait -1 ETIMEDOUT")
        server.wait_for("result in the task -1 ECANCELED")
        server.wait_for("result wait 2")
        server.wait_for("result go -1 ECANCELED")


@in_every_cell
def test_a_function_that_blocks_runs_elsewhere(cell):
    with start(cell, "block") as server:
        assert ask(server, b"") == b"144\n"
        assert ask(server, b"") == b"144\n"
        assert server.stop() == 0


@in_every_cell
def test_a_descriptor_of_its_own_is_waited_for_while_a_task_talks(cell):
    with start(cell, "wait_for_pipe", grace=50) as server:
        with server.call() as caller:
            server.wait_for("^result deadline -1 ETIMEDOUT: wait for descriptor")
            server.wait_for("^result pipe 1$")
            server.wait_for("^result both 1$")
            caller.sendall(b"meanwhile\n")
            assert read_line(caller) == b"meanwhile\n"
            server.begin_stop()
            server.wait_for("^result end -1 ECANCELED")
            assert server.process.wait(PATIENCE) == 1  # it was cut


@in_every_cell
def test_a_channel_keeps_the_order_and_ends(cell):
    with start(cell, "channel") as server:
        assert ask(server, b"") == b"500500\n"
        server.wait_for("result receive -1 ETIMEDOUT")
        server.wait_for("result receive 0")
        server.wait_for("result send -1 EPIPE")


@in_every_cell
def test_a_relay_copies_both_ways_and_passes_the_ends_on(cell):
    with start(cell, "relay") as server:
        data = pattern(500000)
        done, todo = b"", data
        with server.call() as caller:
            caller.setblocking(False)
            import select
            while len(done) < len(data):
                readable, writable, _ = select.select([caller], [caller] if todo else [], [], PATIENCE)
                assert readable or writable
                if readable:
                    done += caller.recv(65536)
                if writable and todo:
                    todo = todo[caller.send(todo):]
                    if not todo:
                        caller.shutdown(socket.SHUT_WR)
            caller.setblocking(True)
            assert caller.recv(1) == b""
        assert done == data
        server.wait_for("result relay 0 500000 500000")


@in_cells(SHARING, ["epoll", "block", "completion", "stale"])
def test_another_thread_may_cancel(cell):
    with start(cell, "cancelled_by_thread") as server, server.call() as caller:
        with pytest.raises(ConnectionResetError):
            read_all(caller)
        server.wait_for("result read -1 ECANCELED")


# ---- Where a recv stops early ----------------------------------------------------------------------

@in_every_cell
def test_what_comes_with_the_end_is_not_forgotten(cell):
    """All at once: the server's first recv gets less than it asked for, and no event follows."""
    with start(cell, "echo") as server:
        for size in (1, 700, 5000):
            with server.call() as caller:
                caller.sendall(b"?")
                assert read_exactly(caller, 1) == b"?"
                caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                caller.sendall(b"x" * size)
                caller.shutdown(socket.SHUT_WR)
                assert read_all(caller) == b"x" * size


@in_every_cell
def test_an_urgent_byte_hides_nothing_behind_it(cell):
    with start(cell, "echo") as server, server.call() as caller:
        caller.sendall(b"?")
        assert read_exactly(caller, 1) == b"?"
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(20):
            before, after = b"before %d," % number, b"after %d;" % number
            caller.sendall(before)
            caller.send(b"!", socket.MSG_OOB)
            caller.sendall(after)
            assert read_exactly(caller, len(before + after)) == before + after
        caller.shutdown(socket.SHUT_WR)
        assert read_all(caller) == b""


@in_every_cell
def test_passed_descriptors_hide_nothing_behind_them(cell, tmp_path):
    with start(cell, "echo", address=str(tmp_path / "x.sock")) as server:
        assert server.address
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(PATIENCE)
            caller.connect(str(tmp_path / "x.sock"))
            for number in range(20):
                before, after = b"before %d," % number, b"after %d;" % number
                socket.send_fds(caller, [before], [0, 1])
                caller.sendall(after)
                assert read_exactly(caller, len(before + after)) == before + after
            caller.shutdown(socket.SHUT_WR)
            assert read_all(caller) == b""
