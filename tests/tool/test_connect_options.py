"""The options of doorbell connect, one by one."""

import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from networks import own_network
from programs import DOORBELL, IS_WATCHED, OWN_HOST, PATIENCE, closed_port, read_exactly, run, serve, spare_port


@pytest.fixture
def upper():
    with serve("upper", "127.0.0.1:0") as server:
        yield server


def nowhere():
    return "%s:%d" % (OWN_HOST, closed_port())


# ---- What is sent -------------------------------------------------------------------------------

def test_send_takes_a_text_with_escapes(upper):
    done = run("connect", upper.address, "-s", r"a\tb\r\n\x41\\\0", data=b"not this")
    assert (done.stdout, done.returncode) == (b"A\tB\r\nA\\\0", 0)


@pytest.mark.parametrize("text", ["\\q", "\\x4", "\\xzz", "\\"])
def test_an_escape_that_is_none_is_2(text):
    done = run("connect", "127.0.0.1:1", "-s", text)
    assert done.returncode == 2
    assert b"there are \\n \\r \\t \\0 \\\\ and \\xHH" in done.stderr


def test_crlf_is_sent_for_a_newline_and_a_cr_is_not_doubled(upper):
    data = b"a\nb\r\n\n" + b"c" * 200000 + b"\nd"
    done = run("connect", upper.address, "-C", data=data)
    assert done.stdout == b"A\r\nB\r\n\r\n" + b"C" * 200000 + b"\r\nD"


def test_no_half_close_keeps_our_side_open():
    with socket.create_server(("127.0.0.1", 0)) as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1], "--no-half-close"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(b"question")
        process.stdin.close()
        peer, _ = door.accept()
        with peer:
            peer.settimeout(PATIENCE)
            assert read_exactly(peer, 8) == b"question"
            peer.settimeout(0.2)
            with pytest.raises(socket.timeout):
                peer.recv(1)
            peer.sendall(b"answer")
        assert process.stdout.read() == b"answer"
        assert process.wait(PATIENCE) == 0
        process.stdout.close()


def test_send_only_is_done_when_the_other_end_has_all():
    """... which never ends its own side, and whose data are not shown."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        data = os.urandom(3000000)
        received = []

        def take():
            peer, _ = door.accept()
            with peer:
                peer.sendall(b"not shown")
                received.append(read_exactly(peer, len(data)))
                over.wait(PATIENCE)

        over = threading.Event()
        thread = threading.Thread(target=take)
        thread.start()
        done = run("connect", "127.0.0.1:%d" % door.getsockname()[1], "--send-only", data=data)
        over.set()
        thread.join(PATIENCE)
        assert (done.stdout, done.returncode) == (b"", 0)
        assert received == [data]


def test_recv_only_does_not_read_stdin(upper):
    with socket.create_server(("127.0.0.1", 0)) as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1], "--recv-only"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        peer, _ = door.accept()
        with peer:
            peer.sendall(b"all of it")
        assert process.stdout.read() == b"all of it"
        assert process.wait(PATIENCE) == 0
        process.stdin.close()
        process.stdout.close()


# ---- What is waited for -------------------------------------------------------------------------

@pytest.mark.parametrize("pieces", [[b"xxabab", b"acyy"], [b"ababac"], [b"ab", b"ab", b"ab", b"ac"], [b"aababababac"]])
def test_expect_ends_it_once_the_text_has_come(pieces):
    with socket.create_server(("127.0.0.1", 0)) as door:
        over = threading.Event()

        def answer():
            peer, _ = door.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with peer:
                for piece in pieces:
                    peer.sendall(piece)
                    time.sleep(0.01)  # so that they are likely to be read one by one
                over.wait(PATIENCE)

        thread = threading.Thread(target=answer)
        thread.start()
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1], "-e", "ababac"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdout.read().startswith(b"".join(pieces)[:b"".join(pieces).index(b"ababac") + 6])
            over.set()
            assert process.wait(PATIENCE) == 0
        finally:
            over.set()
            thread.join(PATIENCE)
            process.stdin.close()
            process.stdout.close()


def test_expect_is_1_when_the_text_never_comes(upper):
    done = run("connect", upper.address, "-e", "HELLO!", data=b"hello")
    assert (done.stdout, done.returncode) == (b"HELLO", 1)
    assert b"did not come" in done.stderr


def test_check_tells_how_fast(upper):
    done = run("connect", "-z", "127.0.0.1", str(upper.port))
    assert done.returncode == 0
    assert re.fullmatch(rb"connected to tcp:127.0.0.1:\d+ from tcp:127.0.0.1:\d+ in [\d.]+ ms\n", done.stderr)
    assert run("connect", "-zq", upper.address).stderr == b""
    assert run("connect", "-z", nowhere()).returncode == 4


def test_wait_keeps_trying_until_somebody_listens(tmp_path):
    path = str(tmp_path / "late.sock")
    for address in (path, nowhere()):
        process = subprocess.Popen([DOORBELL, "connect", "-z", "--wait", "60s", address], stderr=subprocess.PIPE)
        time.sleep(0.05)
        assert process.poll() is None
        with serve("echo", address) as server:
            server.wait_for("listening")
            assert process.wait(PATIENCE) == 0
        process.stderr.close()


def test_wait_gives_up_with_the_last_reason():
    begun = time.monotonic()
    done = run("connect", "--wait", "200ms", nowhere())
    assert done.returncode == 4
    assert b"connection refused" in done.stderr
    assert time.monotonic() - begun >= 0.2


def test_wait_does_not_repeat_what_can_never_be():
    assert run("connect", "--wait", "60s", "localhost:99999").returncode == 2


# ---- How it calls -------------------------------------------------------------------------------

@pytest.mark.parametrize("bind", ["127.0.0.2", "127.0.0.2:0"])
def test_bind_chooses_the_address_to_call_from(bind):
    with socket.create_server(("127.0.0.1", 0)) as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1], "-b", bind, "-s", ""])
        peer, address = door.accept()
        peer.close()
        assert address[0] == "127.0.0.2"
        assert process.wait(PATIENCE) == 0


def test_bind_may_be_a_port_alone():
    with own_network(), socket.create_server(("127.0.0.1", 7464)) as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:7464", "-b", "5000", "-s", ""])
        peer, address = door.accept()
        peer.close()
        assert address == ("127.0.0.1", 5000)
        assert process.wait(PATIENCE) == 0
    assert b"port 70000 is above 65535" in run("connect", "127.0.0.1:1", "-b", "70000").stderr


def test_bind_may_have_a_port_and_may_be_ipv6():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as door:
        for bind in ("::1", "[::1]", "[::1]:0"):
            process = subprocess.Popen([DOORBELL, "connect", "[::1]:%d" % door.getsockname()[1], "-b", bind, "-s", ""])
            door.accept()[0].close()
            assert process.wait(PATIENCE) == 0
    with serve("echo", "127.0.0.1:0") as server:
        port = spare_port()
        done = run("connect", server.address, "-b", "*:%d" % port, "-v", "-s", "")
        assert b"from tcp:127.0.0.1:%d in" % port in done.stderr


def test_four_and_six_choose_the_family():
    with serve("echo", "0") as server:
        port = str(server.port)
        assert b"tcp:127.0.0.1:" in run("connect", "-4z", "localhost", port).stderr
        assert b"tcp:[::1]:" in run("connect", "-6z", "localhost", port).stderr


def test_sockopt_sets_options_by_name():
    with socket.create_server(("127.0.0.1", 0)) as door:
        process = subprocess.Popen([DOORBELL, "connect", "127.0.0.1:%d" % door.getsockname()[1], "--sockopt", "maxseg=600",
                                    "--sockopt", "TCP_NODELAY=0,SO_KEEPALIVE", "-s", "x"])
        peer, _ = door.accept()
        with peer:
            assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 600
            assert peer.recv(10) == b"x"
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("option, why", [
    ("rcvbuff=4k", b"there is no socket option rcvbuff"),
    ("rcvbuf=4q", b"a size is wanted"),
    ("nodelay=maybe", b"0 or 1 is wanted"),
])
def test_a_socket_option_that_cannot_be_is_2(option, why):
    done = run("connect", "127.0.0.1:1", "--sockopt", option)
    assert done.returncode == 2
    assert why in done.stderr


def test_a_socket_option_that_the_kernel_refuses_is_told_by_name(upper):
    done = run("connect", upper.address, "--sockopt", "bindtodevice=no-such-device")
    assert done.returncode != 0
    assert b"socket option bindtodevice: " in done.stderr


# ---- What it shows ------------------------------------------------------------------------------

def test_hex_shows_both_directions_on_stderr(upper):
    done = run("connect", upper.address, "-x", "-s", "hello, door and more\\n")
    assert done.stdout == b"HELLO, DOOR AND MORE\n"
    assert done.stderr.decode().splitlines() == [
        "> 00000000  68 65 6c 6c 6f 2c 20 64  6f 6f 72 20 61 6e 64 20  |hello, door and |",
        "> 00000010  6d 6f 72 65 0a                                    |more.|",
        "< 00000000  48 45 4c 4c 4f 2c 20 44  4f 4f 52 20 41 4e 44 20  |HELLO, DOOR AND |",
        "< 00000010  4d 4f 52 45 0a                                    |MORE.|",
    ]


def test_info_tells_what_tcp_knows(upper):
    done = run("connect", upper.address, "--info", "-s", "x")
    assert re.fullmatch(rb"rtt [\d.]+ ms, give or take [\d.]+; \d+ retransmissions?; .*\n", done.stderr)


def test_times_begin_each_note(upper):
    done = run("connect", upper.address, "--times", "-v", "--info", "-s", "x")
    times = [float(line.split()[0]) for line in done.stderr.decode().splitlines()]
    assert len(times) == 2 and times == sorted(times)


def test_json_is_an_object_a_line(upper):
    done = run("connect", upper.address, "--json", "--info", "-s", "hello")
    objects = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == b"HELLO"
    assert [each["type"] for each in objects] == ["connected", "eof", "eof", "summary", "tcp_info"]
    assert all(each["v"] == 1 and each["t"] >= 0 for each in objects)
    summary = objects[3]
    assert (summary["bytes_sent"], summary["bytes_received"], summary["exit"]) == (5, 5, 0)


def test_a_failure_is_json_too():
    done = run("connect", "--json", b"127.0.0.1:\xff80")
    assert done.returncode == 2
    assert json.loads(done.stderr)["type"] == "error"


# ---- Listening ----------------------------------------------------------------------------------

def test_two_of_them_copy_a_file(tmp_path):
    data = os.urandom(5000000)
    for address in ("127.0.0.1:0", str(tmp_path / "x.sock"), "@doorbell-copy-%d" % os.getpid()):
        with open(tmp_path / "copy", "wb") as copy:
            listener = subprocess.Popen([DOORBELL, "connect", "-l", address], stdin=subprocess.DEVNULL, stdout=copy,
                                        stderr=subprocess.PIPE)
            listens_on = listener.stderr.readline().decode().split()[-1]
            assert run("connect", listens_on, data=data).returncode == 0
            assert listener.wait(PATIENCE) == 0
            listener.stderr.close()
        assert (tmp_path / "copy").read_bytes() == data


def test_a_taken_port_is_8(upper):
    done = run("connect", "-l", upper.address)
    assert done.returncode == 8
    assert b"in use by doorbell (pid " in done.stderr


@pytest.mark.parametrize("options", [["-l", "-z"], ["-l", "--wait", "1s"], ["-l", "-b", "127.0.0.1"], ["-l", "-t", "1s"],
                                     ["--send-only", "--recv-only"], ["--send-only", "-e", "x"], ["--recv-only", "-s", "x"]])
def test_options_that_contradict_each_other_are_2(options):
    done = run("connect", "127.0.0.1:1", *options)
    assert done.returncode == 2
    assert b"makes no sense with" in done.stderr


# ---- Descriptors --------------------------------------------------------------------------------

def with_closed(redirection, address):
    return subprocess.run("exec %s connect %s -s x %s" % (DOORBELL, address, redirection), shell=True,
                          capture_output=True, timeout=PATIENCE)


def test_closed_standard_descriptors_are_not_taken_by_sockets(upper):
    done = with_closed(">&-", upper.address)
    assert (done.returncode, done.stderr) == (6, b"doorbell: stdout: Bad file descriptor\n")
    assert with_closed("<&-", upper.address).stdout == b"X"
    assert with_closed("2>&-", upper.address).stdout == b"X"
    assert with_closed("<&- 2>&-", upper.address).stdout == b"X"


def test_a_closed_stdin_has_nothing_to_send(upper):
    done = subprocess.run("exec %s connect %s <&-" % (DOORBELL, upper.address), shell=True, capture_output=True,
                          timeout=PATIENCE)
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_a_reader_that_has_left_is_told_where_the_signal_is_ignored(upper):
    read_end, write_end = os.pipe()
    os.close(read_end)
    for trap, code in (("trap '' PIPE;", 6), ("", -13)):
        done = subprocess.run(["sh", "-c", "%s exec %s connect %s -s x" % (trap, DOORBELL, upper.address)],
                              stdout=write_end, stderr=subprocess.PIPE, timeout=PATIENCE)
        assert done.returncode == code
        assert (b"Broken pipe" in done.stderr) == (code == 6)
    os.close(write_end)


def test_an_argument_of_a_mebibyte_is_refused_in_a_line():
    long = "x" * 120000
    for arguments in (["connect", long], ["connect", "-t", long], ["connect", "--" + long], ["serve", long], [long]):
        done = run(*arguments)
        assert done.returncode == 2
        assert len(done.stderr) < 700 and done.stderr.count(b"\n") == 1


@pytest.mark.skipif(IS_WATCHED, reason="the program's memory is not its own here")
def test_memory_does_not_grow_with_the_data(upper):
    code = ("import resource, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], stdin=open('/dev/zero'), stdout=subprocess.DEVNULL, timeout=60)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    peaks = []
    for count in (1, 300):
        command = "head -c %dM /dev/zero | %s connect %s | wc -c >&2" % (count, DOORBELL, upper.address)
        done = subprocess.run(["/usr/bin/python3", "-c", code, "sh", "-c", command], capture_output=True, timeout=PATIENCE)
        assert int(done.stderr) == count << 20
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 1024, peaks


def test_calls_are_shown_as_a_book_writes_them(upper):
    done = run("connect", upper.address, "--calls", "-s", "hi\\n")
    assert done.stdout == b"HI\n"
    lines = [re.sub(r"^\[\d+\] ", "", line) for line in done.stderr.decode().splitlines()]
    assert lines == ["socket(AF_INET, SOCK_STREAM, 0) = 3", "setsockopt(3, TCP_NODELAY, 1)",
                     "connect(3, 127.0.0.1:%d)" % upper.port, 'send(3, "hi\\n", 3) = 3', "shutdown(3, SHUT_WR)",
                     'recv(3) = 3  "HI\\n"', "recv(3) = 0  the other end has finished", "close(3)"]
