"""doorbell serve, as a person types it and as strangers call it."""

import os
import shutil
import signal
import socket
import subprocess

import pytest

from networks import own_network
from programs import (BACKENDS, MODELS, OWN_HOST, PATIENCE, children_of, read_all, read_exactly, read_line, reset,
                      run, serve)


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason="there is no %s here" % program)


# ---- What it serves -----------------------------------------------------------------------------

@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
def test_upper_answers_in_capitals_in_every_cell(model, backend):
    with serve("upper", "127.0.0.1:0", "-m", model, backend=backend) as server:
        for _ in range(3):
            with server.call() as caller:
                caller.sendall(b"hello, door\n")
                assert read_line(caller) == b"HELLO, DOOR\n"
        assert server.stop() == 0


def test_upper_changes_a_to_z_only_and_keeps_the_length():
    with serve("upper", "127.0.0.1:0") as server, server.call() as caller:
        data = bytes(range(256)) * 300 + "caf\xe9 \xdf".encode()
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        assert read_all(caller) == bytes(b - 32 if 97 <= b <= 122 else b for b in data)


def test_a_request_without_a_newline_is_answered():
    with serve("upper", "127.0.0.1:0") as server, server.call() as caller:
        caller.sendall(b"hello")
        assert read_exactly(caller, 5) == b"HELLO"


def test_message_shows_the_message_and_answers_18_bytes():
    with serve("message", "127.0.0.1:0") as server:
        for _ in range(5):
            with server.call() as caller:
                caller.sendall(b"hello, door\n")
                assert read_all(caller) == b"I got your message"
        server.wait_for("^Here is the message: hello, door$", 5, server.output)
        assert server.stop() == 0


def test_discard_answers_nothing():
    with serve("discard", "127.0.0.1:0") as server, server.call() as caller:
        caller.sendall(b"x" * 1000000)
        caller.shutdown(socket.SHUT_WR)
        assert read_all(caller) == b""


def test_several_addresses_are_served_at_once(tmp_path):
    path = str(tmp_path / "echo.sock")
    with serve("echo", "0", path, "@doorbell-test-%d" % os.getpid()) as server:
        server.wait_for("listening on unix:@doorbell-test")
        port = int(server.wait_for(r"listening on tcp:127.0.0.1:(\d+)").group(1))
        server.wait_for(r"listening on tcp:\[::1\]:%d$" % port)
        for family, address in ((socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port)),
                                (socket.AF_UNIX, path), (socket.AF_UNIX, "\0doorbell-test-%d" % os.getpid())):
            with socket.socket(family) as caller:
                caller.settimeout(PATIENCE)
                caller.connect(address)
                caller.sendall(b"ding")
                assert read_exactly(caller, 4) == b"ding"
        assert server.stop() == 0
    assert not os.path.exists(path)


def test_ready_fd_gets_the_addresses():
    read_end, write_end = os.pipe()
    with serve("echo", "127.0.0.1:0", "--ready-fd", str(write_end), pass_fds=[write_end]) as server:
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert ready.read() == server.address + "\n"


# ---- Strangers ----------------------------------------------------------------------------------

@needs("nc.openbsd")
def test_nc_with_half_close_gets_its_answer():
    with serve("upper", "127.0.0.1:0") as server:
        done = subprocess.run(["nc.openbsd", "-N", "127.0.0.1", str(server.port)], input=b"hello\n", capture_output=True,
                              timeout=PATIENCE)
        assert (done.stdout, done.returncode) == (b"HELLO\n", 0)


@needs("ncat")
def test_ncat_gets_its_answer():
    with serve("upper", "127.0.0.1:0") as server:
        done = subprocess.run(["ncat", "127.0.0.1", str(server.port)], input=b"hello\n", capture_output=True,
                              timeout=PATIENCE)
        assert done.stdout == b"HELLO\n"


@needs("socat")
def test_socat_gets_its_answer():
    with serve("upper", "127.0.0.1:0") as server:
        done = subprocess.run(["socat", "-t10", "-", "TCP:127.0.0.1:%d" % server.port], input=b"hello\n",
                              capture_output=True, timeout=PATIENCE)
        assert done.stdout == b"HELLO\n"


# ---- Callers who misbehave ----------------------------------------------------------------------

@pytest.mark.parametrize("model", MODELS)
def test_callers_who_reset_or_vanish_disturb_nobody(model):
    with serve("echo", "127.0.0.1:0", "-m", model, "-v") as server:
        for data in (b"", b"half a line", b"x" * 100000):
            caller = server.call()
            caller.sendall(data)
            reset(caller)
            server.call().close()
        with server.call() as caller:
            caller.sendall(b"still there?\n")
            assert read_line(caller) == b"still there?\n"
        assert server.stop() == 0


def test_a_silent_caller_is_hung_up_on_at_the_idle_limit():
    with serve("echo", "127.0.0.1:0", "-i", "50ms", "-v") as server, server.call() as caller:
        with pytest.raises(ConnectionResetError):
            read_all(caller)
        server.wait_for("ended by a limit")


def test_the_eleventh_caller_of_ten_waits_and_is_served_later():
    with serve("echo", "127.0.0.1:0", "--max", "10") as server:
        callers = [server.call() for _ in range(11)]
        for caller in callers:
            caller.sendall(b"x")
        for caller in callers[:10]:
            assert read_exactly(caller, 1) == b"x"
        callers[10].settimeout(0.1)
        with pytest.raises(socket.timeout):
            callers[10].recv(1)
        callers[0].close()
        callers[10].settimeout(PATIENCE)
        assert read_exactly(callers[10], 1) == b"x"
        for caller in callers[1:]:
            caller.close()


# ---- Stopping -----------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("model", MODELS)
def test_a_signal_stops_it_and_conversations_may_finish(model, number):
    with serve("echo", OWN_HOST + ":0", "-m", model) as server:
        port = server.port
        with server.call() as caller:
            caller.sendall(b"one")
            assert read_exactly(caller, 3) == b"one"
            server.begin_stop(number)
            server.wait_for("stopping")
            while True:  # until the port refuses
                try:
                    socket.create_connection((OWN_HOST, port), PATIENCE).close()
                except OSError:
                    break
            caller.sendall(b"two")
            caller.shutdown(socket.SHUT_WR)
            assert read_all(caller) == b"two"
        assert server.process.wait(PATIENCE) == 0
        assert children_of(server.process.pid) == []


@pytest.mark.parametrize("model", MODELS)
def test_signals_that_keep_coming_do_not_spoil_its_exit_code(model):
    for _ in range(5):
        with serve("echo", "127.0.0.1:0", "-m", model) as server:
            assert server.port
            assert server.stop_by_a_storm() == 0


@pytest.mark.parametrize("model", MODELS)
def test_a_second_signal_cuts_conversations_short(model):
    with serve("echo", "127.0.0.1:0", "-m", model, "--grace", "60s") as server, server.call() as caller:
        caller.sendall(b"x")
        assert read_exactly(caller, 1) == b"x"
        server.begin_stop(signal.SIGINT)
        server.wait_for("stopping")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 5
        with pytest.raises(ConnectionResetError):
            read_all(caller)


# ---- Addresses that cannot be -------------------------------------------------------------------

@pytest.mark.parametrize("address, words", [
    ("127.0.0.1:abc/", "unix|abc"),
    ("127.0.0.1:-1", "-1"),
    ("127.0.0.1:70000", "70000 is above 65535"),
    ("127.0.0.1:5000x", "5000x"),
    ("5000x", "5000x"),
    ("127.0.0.1:", "port"),
    ("", "empty"),
    ("::1:7464", "brackets"),
    ("[::1]", "port"),
    ("[::1:7464", "bracket"),
    ("udp:70000", "70000 is above 65535"),
    ("gopher://localhost:70", "gopher|no"),
    ("fd:x", "fd:x"),
    ("fd:0", "listening|socket"),
    ("/" + "x" * 200, "107|108|long"),
    ("127.0.0.1:7464\n", "0x0a|control"),
    ("x" * 100000, "port is missing"),
    ("no-such-service-here", "port|service"),
    ("localhost:no-such-service", "no-such-service"),
])
def test_an_address_that_cannot_be_is_refused_with_a_reason(address, words):
    done = run("serve", "echo", address)
    assert done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and len(lines[0]) < 600
    assert any(word in lines[0] for word in words.split("|")), lines
    assert done.returncode == (8 if address == "127.0.0.1:abc/" else 2), lines


def test_A21_an_address_is_read_or_refused_with_the_reason():
    for written, listens in (("[::1]:0", r"tcp:\[::1\]:\d+"), ("127.0.0.1:0", r"tcp:127\.0\.0\.1:\d+"),
                             ("localhost:0", r"tcp:127\.0\.0\.1:\d+")):
        with serve("echo", written) as server:
            server.wait_for("listening on %s$" % listens)
            assert server.stop() == 0
    with own_network(), serve("echo", "localhost:echo") as server:
        server.wait_for(r"listening on tcp:127\.0\.0\.1:7$")
        assert server.stop() == 0
    done = run("serve", "echo", "::1:7464")
    assert done.returncode == 2 and b"::1:7464 is ambiguous: put the IPv6 address in brackets, [::1]:7464" in done.stderr


@pytest.mark.parametrize("service, port, known", [
    (["upper"], 80, "http"), (["echo"], 7, None), (["quote"], 17, None), (["files", "/usr/share"], 80, None),
    (["echo"], 7464, None), (["daytime"], 37, "time")])
def test_A22_the_port_of_another_service_is_told(service, port, known):
    with own_network(), serve(*service, "127.0.0.1:%d" % port) as server:
        server.wait_for("listening on")
        assert server.stop() == 0
        said = [line for line in server.lines if line and "is known for" in line]
        assert said == (["doorbell serve: port %d is known for %s, and this is %s" % (port, known, service[0])] if known
                        else [])


@pytest.mark.parametrize("arguments, words", [
    (["ecko"], "did you mean echo"),
    ([], "which service"),
    (["echo", "-m", "forks"], "forks"),
    (["echo", "-w", "0"], "--workers"),
    (["echo", "-w", "many"], "--workers"),
    (["echo", "-i", "5"], "--idle"),
    (["echo", "-i", "-5s"], "--idle"),
    (["echo", "--max", "1x"], "--max"),
    (["echo", "--mox", "1"], "mox"),
])
def test_wrong_usage_is_refused_with_a_reason(arguments, words):
    done = run("serve", *arguments)
    assert done.returncode == 2
    assert words in done.stderr.decode()


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["connect", "--help"], ["--version"]])
def test_help_goes_to_stdout(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"doorbell" in done.stdout


def test_an_unknown_command_is_refused_with_the_nearest():
    done = run("srve")
    assert done.returncode == 2
    assert b"did you mean serve" in done.stderr


def test_the_socket_file_of_a_dead_server_is_taken_over(tmp_path):
    path = str(tmp_path / "echo.sock")
    with serve("echo", path, "--stay-root") as server:
        assert server.address == "unix:" + path
        server.process.kill()
        server.process.wait()
    assert os.path.exists(path)
    with serve("echo", path) as server:
        assert server.address == "unix:" + path
        assert server.stop() == 0


def test_the_socket_file_of_a_live_server_is_not(tmp_path):
    path = str(tmp_path / "echo.sock")
    with serve("echo", path) as server:
        assert server.address == "unix:" + path
        done = run("serve", "echo", path)
        assert done.returncode == 8
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(path)
            caller.sendall(b"x")
            assert caller.recv(1) == b"x"


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    done = run("serve", "echo", str(path))
    assert done.returncode == 8
    assert path.read_text() == "data"


def test_one_of_many_starters_over_a_stale_file_wins(tmp_path):
    path = str(tmp_path / "echo.sock")
    for _ in range(10):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        servers = [serve("echo", path) for _ in range(4)]
        try:
            living = []
            for server in servers:
                try:
                    server.wait_for("listening on")
                    living.append(server)
                except AssertionError:
                    assert server.process.wait(PATIENCE) == 8
            assert len(living) == 1
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(path)
                caller.sendall(b"x")
                assert caller.recv(1) == b"x"
        finally:
            for server in servers:
                server.stop()
        assert not os.path.exists(path)


def test_an_inherited_listener_is_served():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        with serve("echo", "fd:%d" % fd, pass_fds=[fd]) as server, server.call() as caller:
            caller.sendall(b"x")
            assert caller.recv(1) == b"x"
            assert server.port == listener.getsockname()[1]


def test_a_restart_takes_the_port_at_once():
    with serve("message", OWN_HOST + ":0") as server:
        port = server.port
        with server.call() as caller:
            caller.sendall(b"x\n")
            assert read_all(caller) == b"I got your message"  # the server closed first
        assert server.stop() == 0
    with serve("message", "%s:%d" % (OWN_HOST, port)) as server:
        assert server.port == port
