"""doorbell connect: what arrives, and what its exit code says."""

import contextlib
import os
import socket
import subprocess
import threading

import pytest

from programs import DOORBELL, OWN_HOST, PATIENCE, closed_port, read_all, read_line, reset, run, serve


def listener():
    return socket.create_server(("127.0.0.1", 0))


def with_peer(behave, *arguments, data=b"hello\n", **options):
    """Runs the command against a server that does `behave(connection)` for one caller, and
    `behave(connection, over)` if it wants to know when the command is over."""
    over = threading.Event()
    with listener() as door:
        def answer():
            peer, _ = door.accept()
            with peer:
                peer.settimeout(PATIENCE)
                behave(*(peer, over)[:behave.__code__.co_argcount])
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            return run("connect", "127.0.0.1:%d" % door.getsockname()[1], *arguments, data=data, **options)
        finally:
            over.set()
            thread.join(PATIENCE)


def test_stdin_goes_there_and_the_answer_to_stdout():
    with serve("upper", "127.0.0.1:0") as server:
        done = run("connect", server.address, data=b"hello, door\n")
        assert (done.stdout, done.stderr, done.returncode) == (b"HELLO, DOOR\n", b"", 0)


def test_host_and_port_may_be_two_words():
    with serve("upper", "0") as server:
        port = server.wait_for(r"listening on tcp:127.0.0.1:(\d+)").group(1)
        for host in ("localhost", "127.0.0.1", "::1", "[::1]"):
            assert run("connect", host, port, data=b"x").stdout == b"X"


def test_an_answer_that_comes_after_our_end_arrives():
    def behave(peer):
        data = read_all(peer)
        peer.sendall(data[::-1] * 100000)
    done = with_peer(behave)
    assert (done.stdout, done.returncode) == (b"\nolleh" * 100000, 0)


def test_what_is_sent_to_a_server_that_has_gone_is_missed():
    with listener() as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1]], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        peer, _ = door.accept()
        peer.sendall(b"I am done\n")
        peer.close()
        try:
            assert process.stdout.read() == b"I am done\n"
            while process.poll() is None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(b"still there?\n")
            assert process.returncode == 6
            assert b"bytes sent, 10 received" in process.stderr.read()
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                stream.close()


def test_a_line_that_nobody_has_read_is_missed():
    with listener() as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1]], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        door.accept()[0].close()
        assert process.stdout.read() == b""  # it knows that the other end has finished
        process.stdin.write(b"still there?\n")
        process.stdin.close()
        assert process.wait(PATIENCE) == 6
        assert b"the other end has gone (13 bytes sent, 0 received)" in process.stderr.read()
        process.stdout.close()
        process.stderr.close()


def test_a_server_that_goes_for_good_after_its_end_is_missed_though_stdin_is_silent():
    with listener() as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1]], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        peer, _ = door.accept()
        peer.sendall(b"my last words\n")
        peer.shutdown(socket.SHUT_WR)
        assert process.stdout.read() == b"my last words\n"
        reset(peer)
        assert process.wait(PATIENCE) == 6
        assert b"the other end has gone (0 bytes sent, 14 received)" in process.stderr.read()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def test_ten_megabytes_go_both_ways_at_once():
    with serve("echo", "127.0.0.1:0") as server:
        data = os.urandom(10000000)
        done = run("connect", server.address, data=data)
        assert done.returncode == 0
        assert done.stdout == data


def test_nothing_to_send_is_fine():
    with serve("upper", "127.0.0.1:0") as server:
        done = run("connect", server.address)
        assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_refused_is_4():
    address = "%s:%d" % (OWN_HOST, closed_port())
    done = run("connect", address)
    assert done.returncode == 4
    assert done.stderr.decode() == "doorbell: connect %s: connection refused\n" % address


def test_no_such_name_is_3():
    done = run("connect", "no.such.host.invalid:80", "-t", "15s")
    assert done.returncode == 3
    assert b"no.such.host.invalid" in done.stderr


def test_no_such_socket_file_is_3(tmp_path):
    assert run("connect", str(tmp_path / "nothing.sock")).returncode == 3


@pytest.mark.parametrize("address", ["x:abc-", "localhost:-1", "localhost:70000", "localhost:5000x", "localhost:", "*:80"])
def test_an_address_that_cannot_be_is_2(address):
    done = run("connect", address)
    assert done.returncode == 2
    assert len(done.stderr.decode().splitlines()) == 1


def test_too_many_words_are_2():
    assert run("connect", "a", "b", "c").returncode == 2


def test_a_server_that_never_answers_is_5_with_an_idle_limit():
    done = with_peer(lambda peer, over: over.wait(PATIENCE), "-i", "100ms")
    assert done.returncode == 5
    assert b"timed out" in done.stderr


def test_a_reset_is_6_and_what_came_before_it_is_shown():
    def behave(peer):
        read_line(peer)
        peer.sendall(b"partial")
        # The reset must not overtake the bytes: wait until they are acknowledged.
        while peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[24:28] != b"\0\0\0\0":
            pass
        reset(peer)
    done = with_peer(behave)
    assert done.returncode == 6
    assert b"reset" in done.stderr


def test_a_full_stdout_is_6():
    with serve("echo", "127.0.0.1:0") as server, open("/dev/full", "w") as full:
        done = subprocess.run([DOORBELL, "connect", server.address], input=b"x" * 100000, stdout=full,
                              stderr=subprocess.PIPE, timeout=PATIENCE)
        assert done.returncode == 6
        assert b"No space left" in done.stderr


def test_a_reader_that_leaves_ends_it():
    with serve("echo", "127.0.0.1:0") as server:
        done = subprocess.run("head -c 100000000 /dev/zero | %s connect %s | head -c 10 | wc -c" % (DOORBELL, server.address),
                              shell=True, capture_output=True, timeout=PATIENCE)
        assert done.stdout.strip() == b"10"


def test_an_inherited_connection_is_used():
    here, there = socket.socketpair()
    with here, there:
        process = subprocess.Popen([DOORBELL, "connect", "fd:%d" % there.fileno()], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, pass_fds=[there.fileno()])
        there.close()
        here.settimeout(PATIENCE)
        process.stdin.write(b"ding\n")
        process.stdin.close()
        assert read_all(here) == b"ding\n"
        here.sendall(b"dong\n")
        here.shutdown(socket.SHUT_WR)
        assert process.stdout.read() == b"dong\n"
        assert process.wait(PATIENCE) == 0
        process.stdout.close()
