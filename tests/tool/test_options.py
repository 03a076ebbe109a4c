"""What socket options that are asked for by name do to a socket: the course's cases O2 to O12."""

import re
import shutil
import socket
import struct
import subprocess
import time

import pytest

from networks import own_network, set_sysctl
from programs import DOORBELL, PATIENCE, read_all, run, serve

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture
def upper():
    with serve("upper", "127.0.0.1:0") as server:
        yield server


def test_O2_the_kernels_double_is_told(upper):
    done = run("connect", "-v", upper.address, "--sockopt", "rcvbuf=8k", "--sockopt", "SO_SNDBUF=16k", data=b"x\n")
    assert (done.returncode, done.stdout) == (0, b"X\n")
    assert b"socket option rcvbuf is 16384\n" in done.stderr
    assert b"socket option sndbuf is 32768\n" in done.stderr


@pytest.mark.skipif(not shutil.which("ss"), reason="there is no ss here")
def test_O3_keepalive_has_its_timer():
    with socket.create_server(("127.0.0.1", 0)) as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1],
                                    "--sockopt", "keepalive,keepidle=40s", "-s", "x", "--no-half-close"])
        peer, address = door.accept()
        with peer:
            assert peer.recv(1) == b"x"
            shown = subprocess.run(["ss", "-tnoH", "src", "127.0.0.1:%d" % address[1]], capture_output=True, text=True,
                                   check=True).stdout
        assert re.search(r"timer:\(keepalive,(3\d|40)", shown), shown
        assert process.wait(PATIENCE) == 0


WRITES = 8  # fewer than the congestion window has room for at the begin


def segments_of_small_writes(nodelay):
    """How many segments come, when each is acknowledged late."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1],
                                    "--sockopt", "nodelay=%d" % nodelay,
                                    "--do", 'read 1; send "a" times %d; read end' % WRITES])
        peer, _ = door.accept()
        with peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            peer.sendall(b"x")
            data = b""
            while len(data) < WRITES:
                data += peer.recv(WRITES)
            info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        assert process.wait(PATIENCE) == 0
    return struct.unpack_from("I", info, 152)[0]  # tcpi_data_segs_in


def test_O4_nodelay_sends_small_writes_at_once():
    with own_network():
        set_sysctl("net/ipv4/tcp_autocorking", "0")  # which holds writes back, too
        assert segments_of_small_writes(1) >= WRITES  # and one that was sent twice, on a busy machine
        assert segments_of_small_writes(0) < WRITES


def test_O6_two_servers_share_a_port():
    with serve("quote", "number one", "127.0.0.1:0", "--sockopt", "reuseport") as one:
        with serve("quote", "number two", one.address, "--sockopt", "reuseport") as two:
            two.wait_for("listening on")
            answers = []
            for _ in range(100):
                with one.call() as caller:
                    answers.append(read_all(caller))
    assert set(answers) == {b"number one\r\n", b"number two\r\n"}


def silence_until_sent_away(server):
    began = time.monotonic()
    with server.call() as caller:
        with pytest.raises(ConnectionResetError):
            read_all(caller)
        return time.monotonic() - began


def test_O7_a_silent_caller_is_sent_away_after_the_time():
    with serve("upper", "127.0.0.1:0", "--idle", "1s", "-v") as server:
        for _ in range(5):  # a busy machine may be late, but not each time, and never early
            took = silence_until_sent_away(server)
            assert took >= 1
            if took < 1.3:
                break
        assert took < 1.3
        server.wait_for("ended by a limit")


@pytest.mark.parametrize("options, answers", [([], True), (["-6"], False)])
def test_O10_only_ipv6_means_it(options, answers):
    with own_network(), serve("upper", "*:0", *options) as server:
        port = server.port
        assert run("connect", "[::1]:%d" % port, data=b"x\n").stdout == b"X\n"
        done = run("connect", "127.0.0.1:%d" % port, data=b"x\n")
        assert (done.returncode, done.stdout) == ((0, b"X\n") if answers else (4, b""))


def test_O12_an_option_that_the_kernel_refuses_is_named(upper):
    done = subprocess.run([*NOBODY, DOORBELL, "connect", upper.address, "--sockopt", "debug"], capture_output=True,
                          text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    if "setpriv" in done.stderr:
        pytest.skip("nobody cannot be had here: %s" % done.stderr)
    assert (done.returncode, done.stdout) == (4, "")
    assert re.match(r"doorbell: connect .*: socket option debug: Permission denied\n$", done.stderr)
