"""doorbell connect as somebody uses it who types at a terminal."""

import contextlib
import re
import signal
import socket
import termios

import pytest

from desk import Desk
from programs import DOORBELL, PATIENCE, read_all, read_exactly, read_line, reset, serve

ESCAPE = b"\x1d"


def at_desk(port, *options, **environment):
    return Desk(DOORBELL, "connect", "127.0.0.1:%d" % port, *options, **environment)


@pytest.fixture
def door():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


def take(door):
    peer, _ = door.accept()
    peer.settimeout(PATIENCE)
    return peer


def port_of(door):
    return door.getsockname()[1]


def test_lines_go_there_and_ctrl_d_ends_ours():
    with serve("upper", "127.0.0.1:0") as server, at_desk(server.port) as desk:
        desk.wait_for(rb"connected to tcp:127.0.0.1:%d from tcp:127.0.0.1:\d+ in [\d.]+ ms" % server.port)
        desk.type(b"hello\n")
        desk.wait_for(rb"HELLO\r\n")
        desk.type(b"\x04")
        assert desk.process.wait(PATIENCE) == 0


def test_the_end_of_the_other_side_ends_it(door):
    with at_desk(port_of(door)) as desk, take(door) as peer:
        peer.sendall(b"that was all\n")
        peer.shutdown(socket.SHUT_WR)
        desk.wait_for(b"that was all")
        assert desk.process.wait(PATIENCE) == 0
        assert read_all(peer) == b""


def test_control_characters_of_a_stranger_do_not_reach_the_terminal(door):
    with at_desk(port_of(door)) as desk, take(door) as peer:
        peer.sendall(b"\x1b]0;owned\x07 \x9b31m \xc2\x9b \xc3\xa9\xe2\x82\xac\xff\x7f overwritten\rby\r\nend\n")
        peer.close()
        desk.wait_for(re.escape(b"^[]0;owned^G \\x9b31m \\xc2\\x9b \xc3\xa9\xe2\x82\xac\\xff^? overwritten^Mby\r\r\nend"))


def test_raw_shows_them(door):
    with at_desk(port_of(door), "--raw") as desk, take(door) as peer:
        peer.sendall(b"\x1b[1mbold\n")
        peer.close()
        desk.wait_for(re.escape(b"\x1b[1mbold"))


def test_a_character_may_come_in_pieces(door):
    with at_desk(port_of(door)) as desk, take(door) as peer:
        for byte in b"\xe2\x82\xac\n":
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.sendall(bytes([byte]))
        peer.sendall(b"cut \xe2\x82")
        peer.close()
        desk.wait_for(re.escape(b"\xe2\x82\xac\r\ncut \\xe2\\x82"))


def test_ctrl_bracket_asks_for_commands(door):
    with at_desk(port_of(door)) as desk, take(door) as peer:
        desk.wait_for(b"connected to")
        desk.type(b"half a line" + ESCAPE)
        desk.wait_for(b"doorbell> ")
        assert read_exactly(peer, 11) == b"half a line"
        desk.type(b"status\n")
        desk.wait_for(rb"11 bytes sent, 0 received")
        desk.wait_for(rb"rtt [\d.]+ ms")
        desk.type(ESCAPE)
        desk.wait_for(b"doorbell> ")
        desk.type(b"hex\n")
        desk.wait_for(b"hexadecimal is on")
        desk.type(b"abc\n")
        desk.wait_for(rb"> 0000000b  61 62 63 0a")
        assert read_line(peer) == b"abc\n"
        desk.type(ESCAPE)
        desk.wait_for(b"doorbell> ")
        desk.type(b"qiut\n")
        desk.wait_for(b"there is no qiut; did you mean quit")
        desk.type(ESCAPE)
        desk.wait_for(b"doorbell> ")
        desk.type(b"quit\n")
        assert desk.process.wait(PATIENCE) == 0
        assert read_all(peer) == b""


def test_reset_is_a_reset(door):
    with at_desk(port_of(door)) as desk, take(door) as peer:
        desk.wait_for(b"connected to")
        desk.type(ESCAPE)
        desk.wait_for(b"doorbell> ")
        desk.type(b"reset\n")
        assert desk.process.wait(PATIENCE) == 6
        with pytest.raises(ConnectionResetError):
            read_all(peer)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_terminal_is_as_before_when_a_signal_ends_it(door, number):
    with at_desk(port_of(door)) as desk, take(door):
        desk.wait_for(b"connected to")
        desk.process.send_signal(number)
        assert desk.process.wait(PATIENCE) == -number
        assert termios.tcgetattr(desk.terminal) == desk.before


def test_the_terminal_is_as_before_when_the_reader_of_stdout_has_gone(door):
    with Desk("sh", "-c", "%s connect 127.0.0.1:%d | head -n 1" % (DOORBELL, port_of(door))) as desk, take(door) as peer:
        desk.wait_for(b"connected to")
        peer.sendall(b"first\n")
        desk.wait_for(b"first")
        while desk.process.poll() is None:
            with contextlib.suppress(OSError):
                peer.sendall(b"more\n")
        assert termios.tcgetattr(desk.terminal) == desk.before


def test_notes_are_dim_unless_color_is_not_wanted(door):
    with at_desk(port_of(door)) as desk, take(door):
        desk.wait_for(rb"\x1b\[2mconnected")
    for options, environment in ((["--color", "never"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})):
        with at_desk(port_of(door), *options, **environment) as desk, take(door):
            assert b"\x1b" not in desk.wait_for(rb"[^\n]*connected to").group()


def test_quiet_says_nothing(door):
    with at_desk(port_of(door), "-q") as desk, take(door) as peer:
        peer.sendall(b"data\n")
        peer.shutdown(socket.SHUT_WR)
        desk.wait_for(rb"^data\r\n")
        assert desk.process.wait(PATIENCE) == 0


def test_what_is_told_begins_on_a_line_of_its_own(door):
    with at_desk(port_of(door), "-s", "", "-e", "never") as desk, take(door) as peer:
        peer.sendall(b"no newline")
        peer.close()
        desk.wait_for(rb"no newline\r\ndoorbell: the other end has finished, and what was expected did not come\r\n")


def test_what_was_typed_has_ended_the_line_of_a_prompt(door):
    with at_desk(port_of(door)) as desk, take(door) as peer:
        peer.sendall(b"name: ")
        desk.wait_for(rb"name: $")
        desk.type(b"bell\n")
        assert read_line(peer) == b"bell\n"
        reset(peer)
        desk.wait_for(rb"^bell\r\ndoorbell: read tcp:127.0.0.1:\d+: connection reset by peer \(5 bytes sent, 6 rec")
