"""The scripted peer: doorbell connect --script and --do, as a caller and as somebody who is called."""

import os
import socket
import struct
import subprocess
import threading

import pytest

from programs import DOORBELL, OWN_HOST, PATIENCE, Server, closed_port, read_all, read_exactly, reset, run, serve


@pytest.fixture
def upper():
    with serve("upper", "127.0.0.1:0") as server:
        yield server


def do(address, steps, **options):
    return run("connect", address, "--do", steps, **options)


def against(behave, steps):
    """Plays the steps against a peer of ours; returns what the command said and what the peer returned."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        results = []

        def answer():
            peer, _ = door.accept()
            with peer:
                peer.settimeout(PATIENCE)
                results.append(behave(peer))
        thread = threading.Thread(target=answer)
        thread.start()
        done = do("127.0.0.1:%d" % door.getsockname()[1], steps)
        thread.join(PATIENCE)
        return done, results[0]


# ---- Calling ------------------------------------------------------------------------------------

def test_a_file_of_steps_is_played(upper, tmp_path):
    script = tmp_path / "greet.peer"
    script.write_text('# a remark\n\nsend "hel"\nwait 10ms   # another\n  send "lo\\n"; expect "HELLO\\n"\nhalf-close\nexpect end\n')
    done = run("connect", upper.address, "--script", str(script))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert run("connect", upper.address, "--script", "-", data=script.read_bytes()).returncode == 0


def test_what_did_not_come_is_told_with_its_line(upper, tmp_path):
    script = tmp_path / "wrong.peer"
    script.write_text('send "hello\\n"\nexpect "hello\\n"\n')
    done = run("connect", upper.address, "--script", str(script))
    assert done.returncode == 1
    assert done.stderr.decode() == 'doorbell: %s:2: expected "hello\\n", got "HELLO\\n"\n' % script


@pytest.mark.parametrize("steps, why", [
    ('send "ab"; expect "ABC"; ', 'expected "ABC", got "AB" and then nothing'),
    ('send "ab"; half-close; expect "ABC"', 'expected "ABC", got "AB" and then the end'),
    ('send "ab"; read 1; expect end', 'expected the end, got "B"'),
    ('send "ab"; expect silence 5s', 'expected silence, got "AB"'),
    ('half-close; expect silence 5s', "expected silence, got the end"),
    ('half-close; expect reset', "expected a reset, got a clean end"),
    ('send "ab"; half-close; read 3', "the other end finished before so many bytes had come"),
    ('send "ab"; half-close; read line', "the other end finished before its line did"),
])
def test_each_expectation_can_fail(upper, steps, why):
    done = do(upper.address, "timeout 2s; " + steps)
    assert done.returncode == 1
    assert done.stderr.decode() == "doorbell: --do:1: %s\n" % why


def test_steps_that_read_leave_the_rest(upper):
    assert do(upper.address, 'send "one\\ntwo\\nthree"; read line; expect "TW"; read 2; expect "THR"; half-close; '
              'read end; expect end').returncode == 0


def test_trickle_sends_byte_by_byte_and_send_repeats(upper):
    def behave(peer):
        data = read_all(peer)
        return data, struct.unpack_from("I", peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 152)[0]
    done, (data, segments) = against(behave, 'trickle "abc" 20ms; send "xy" times 3')
    assert (done.returncode, data) == (0, b"abcxyxyxy")
    assert segments >= 4  # tcpi_data_segs_in: what the peer reads at once may be several


def test_silence_is_waited_for():
    done, _ = against(lambda peer: peer.recv(1), "expect silence 50ms; send \"x\"")
    assert done.returncode == 0


def test_reset_is_a_reset():
    def behave(peer):
        assert read_exactly(peer, 1) == b"x"
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    assert against(behave, 'send "x"; wait 10ms; reset')[0].returncode == 0


def test_a_reset_of_the_other_side_can_be_expected():
    def behave(peer):
        peer.sendall(b"before")
        read_exactly(peer, 1)
        reset(peer)
    assert against(behave, 'send "x"; expect reset')[0].returncode == 0
    done, _ = against(behave, 'send "x"; expect "before"; expect end')
    assert done.returncode == 6 and b"reset" in done.stderr


def test_half_close_and_close():
    def behave(peer):
        data = read_all(peer)
        peer.sendall(data[::-1])
        return read_all(peer)
    assert against(behave, 'send "abc"; half-close; expect "cba"; close')[0].returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may vanish")
def test_vanish_says_nothing():
    def behave(peer):
        assert read_exactly(peer, 1) == b"x"
        peer.settimeout(0.3)
        with pytest.raises(socket.timeout):
            peer.recv(1)
    assert against(behave, 'send "x"; wait 20ms; vanish')[0].returncode == 0


def test_a_tiny_window_holds_the_sender_back():
    def behave(peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.setblocking(False)
        sent = 0
        try:
            while sent < 10000000:
                sent += peer.send(b"x" * 1000)
        except BlockingIOError:
            pass
        return sent
    done, sent = against(behave, 'window 2k; expect "x"; wait 200ms; reset')
    assert done.returncode == 0
    assert sent < 200000


def test_several_connections_one_after_the_other(upper):
    done = do(upper.address, 'connect; send "a"; connect; send "b"; expect "B"; close; connect %s; send "c"; expect "C"'
              % upper.address)
    assert (done.returncode, done.stderr) == (0, b"")


def test_repeat(upper):
    assert do(upper.address, 'repeat 3; send "a"; repeat 2; send "b"; again; again; half-close; expect "ABBABBABB"; '
              "expect end").returncode == 0


def test_refused_is_4():
    address = "%s:%d" % (OWN_HOST, closed_port())
    done = do(address, "\nconnect")
    assert done.returncode == 4
    assert done.stderr.decode() == "doorbell: --do:2: connect %s: connection refused\n" % address


# ---- Being called -------------------------------------------------------------------------------

def listening(steps):
    return Server([DOORBELL, "connect", "-l", "127.0.0.1:0", "--do", steps])


def test_it_answers_a_caller():
    with listening('expect "hi\\n"; send "hello\\n"; half-close; expect end') as server:
        with server.call() as caller:
            caller.sendall(b"hi\n")
            assert read_all(caller) == b"hello\n"
        assert server.process.wait(PATIENCE) == 0


def test_accept_takes_one_caller_after_the_other():
    with listening('send "first"; expect "ok"; reset; accept; send "second"; close; accept; expect "x"') as server:
        first = server.call()
        assert read_exactly(first, 5) == b"first"
        first.sendall(b"ok")
        with pytest.raises(ConnectionResetError):
            first.recv(1)
        with server.call() as second:
            assert read_all(second) == b"second"
        with server.call() as third:
            third.sendall(b"x")
            assert server.process.wait(PATIENCE) == 0


def test_a_caller_too_many_is_sent_away():
    with listening('expect "x"') as server:
        with server.call() as first, server.call() as second:
            first.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                read_all(second)
        assert server.process.wait(PATIENCE) == 0


def test_a_caller_who_never_comes_is_5():
    with listening("accept; timeout 100ms; accept") as server:
        with server.call():
            assert server.process.wait(PATIENCE) == 5
        server.wait_for("nobody called in time")


def test_two_scripts_play_with_each_other():
    with listening('repeat 50; expect "ping"; send "pong"; again; expect end') as server:
        assert do(server.address, 'repeat 50; send "ping"; expect "pong"; again').returncode == 0
        assert server.process.wait(PATIENCE) == 0


# ---- Scripts that make no sense -----------------------------------------------------------------

@pytest.mark.parametrize("steps, why", [
    ("sned \"x\"", "--do:1: there is no sned; did you mean send?"),
    ("frobnicate", "--do:1: there is no frobnicate; doorbell help script lists what there is"),
    ("\n\nsend x", "--do:3: a text in \"quotes\" is wanted"),
    ("send \"x", "--do:1: a text in \"quotes\" is wanted"),
    ("send \"\\q\"", "--do:1: \\q: there are \\n \\r \\t \\0 \\\\ and \\xHH"),
    ("send \"x\" thrice", "--do:1: times is wanted here, not thrice"),
    ("send \"x\" times no", "--do:1: a number is wanted, not no"),
    ("wait", "--do:1: a time is wanted (20ms, 5s), not nothing"),
    ("wait 5", "--do:1: a time is wanted (20ms, 5s), not 5"),
    ("read 0", "--do:1: a number of bytes is wanted (64, 4k), not 0"),
    ("read 5 6", "--do:1: too much after read"),
    ("\"x\"", "--do:1: a step begins with a word"),
    ("repeat 2; send \"x\"", "--do:1: repeat without an again"),
    ("again", "--do:1: again without a repeat"),
    ("accept", "--do:1: accept is for connect -l"),
])
def test_what_makes_no_sense_is_2(steps, why):
    done = do("127.0.0.1:1", steps)
    assert done.returncode == 2
    assert done.stderr.decode() == "doorbell: %s\n" % why


def test_a_step_after_the_end_is_2(upper):
    done = do(upper.address, 'send "x"; close; send "y"')
    assert done.returncode == 2
    assert b"the connection is closed already" in done.stderr


def test_a_file_that_is_not_there_is_2():
    done = run("connect", "--script", "/nonexistent/x.peer")
    assert done.returncode == 2
    assert b"No such file" in done.stderr


def test_any_bytes_are_a_script_or_are_refused():
    for _ in range(50):
        noise = bytes(byte for byte in os.urandom(60) if byte)
        done = subprocess.run([DOORBELL, "connect", "127.0.0.1:1", "--do", noise], capture_output=True, timeout=PATIENCE)
        assert done.returncode in (0, 2)
