"""doorbell serve files: slow callers, many callers, and files that change."""

import os
import shutil
import socket
import subprocess

import pytest

from pages import Answer, ask, get, make_site, needs_http, serve_files
from programs import DOORBELL, IS_WATCHED, MODELS, PATIENCE, Server, is_readable, memory_of, read_all

pytestmark = needs_http
MIB = 1 << 20


@pytest.fixture
def site(tmp_path):
    return make_site(tmp_path)


def make_sparse(site, size):
    with open(site / "sparse.bin", "ab") as file:  # which leaves what is there
        file.truncate(size)


def begin(server, target="/sparse.bin"):
    """A caller who takes little, and has read the head of the answer."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.settimeout(PATIENCE)
    caller.connect(("127.0.0.1", server.port))
    caller.sendall(b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % target.encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += caller.recv(1)
    return caller, head


def test_a_file_that_shrinks_ends_in_a_reset(site):
    make_sparse(site, 64 * MIB)
    with serve_files(site) as server:
        caller, head = begin(server)
        assert b"Content-Length: %d\r\n" % (64 * MIB) in head
        make_sparse(site, 1000)
        with pytest.raises(ConnectionResetError), caller:
            while caller.recv(MIB):
                pass
        assert get(server, "/").status == 200


def test_a_file_that_grows_is_sent_as_promised(site):
    make_sparse(site, 16 * MIB)
    with serve_files(site) as server:
        caller, _ = begin(server)
        make_sparse(site, 32 * MIB)
        with caller, caller.makefile("rb") as stream:
            assert len(stream.read(16 * MIB)) == 16 * MIB
            caller.sendall(b"GET /sub/plain.txt HTTP/1.0\r\n\r\n")
            assert Answer(stream).body == b"0123456789"


@pytest.mark.skipif(IS_WATCHED, reason="memory says nothing here")
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is missing")
def test_a_gibibyte_takes_no_memory(site):
    make_sparse(site, 1024 * MIB)
    with serve_files(site) as server:
        assert get(server, "/big.bin").status == 200
        before = memory_of(server.process.pid)
        taken = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", "http://127.0.0.1:%d/sparse.bin" % server.port],
                               capture_output=True, timeout=3 * PATIENCE, check=True).stdout
        assert int(taken) == 1024 * MIB
        assert memory_of(server.process.pid) - before < 512


@pytest.mark.parametrize("model", MODELS)
def test_two_hundred_callers_at_once(site, model):
    with serve_files(site, "-m", model) as server:
        callers = [server.call() for _ in range(200)]
        for round in range(3):
            for caller in callers:
                caller.sendall(b"GET /sub/plain.txt HTTP/1.1\r\nHost: t\r\n\r\n")
            answers = []
            for caller in callers:
                with caller.makefile("rb") as stream:
                    answers.append(Answer(stream))
            assert {(answer.status, answer.body) for answer in answers} == {(200, b"0123456789")}
            keeps = model in ("fork", "threads", "coroutines")
            assert {answer.headers["connection"] for answer in answers} == {"keep-alive" if keeps else "close"}
            if not keeps:
                for caller in callers:
                    caller.close()
                callers = [server.call() for _ in range(200)]
        for caller in callers:
            caller.close()
        assert server.stop() == 0


def test_who_sends_his_request_slowly_is_told_so(site):
    with serve_files(site, "-i", "1500ms") as server:
        caller = server.call()
        caller.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n")
        while not is_readable(caller, 0.05):
            caller.sendall(b"A: b\r\n")
        with caller, caller.makefile("rb") as stream:
            answer = Answer(stream)
            assert (answer.status, answer.headers["connection"]) == (408, "close")
            assert stream.read() == b""


def test_who_is_silent_is_left_without_a_word(site):
    with serve_files(site, "-i", "1500ms") as server:
        with server.call() as caller, caller.makefile("rb") as stream:
            caller.sendall(b"GET /sub/plain.txt HTTP/1.1\r\nHost: t\r\n\r\n")
            assert Answer(stream).status == 200
            assert stream.read() == b""
    with serve_files(site, "-i", "100ms") as server, server.call() as caller:
        assert read_all(caller) == b""


def test_who_does_not_read_is_reset(site):
    make_sparse(site, 64 * MIB)
    with serve_files(site, "-i", "1500ms") as server:
        caller, _ = begin(server)
        server.wait_for(r'asked "GET /sparse.bin": 200, \d+ bytes')
        with pytest.raises(ConnectionResetError), caller:
            while caller.recv(MIB):
                pass


def test_a_connection_ends_after_a_thousand_requests(site):
    with serve_files(site) as server:
        answers = ask(server, b"HEAD /sub/plain.txt HTTP/1.1\r\nHost: t\r\n\r\n" * 1001, *["HEAD"] * 1000)
        assert {answer.headers["connection"] for answer in answers[:-1]} == {"keep-alive"}
        assert answers[-1].headers["connection"] == "close"


def test_a_stop_does_not_wait_for_silent_callers(site):
    with serve_files(site) as server, server.call() as caller, caller.makefile("rb") as stream:
        caller.sendall(b"GET /sub/plain.txt HTTP/1.1\r\nHost: t\r\n\r\n")
        assert Answer(stream).headers["connection"] == "keep-alive"
        assert server.stop() == 0


@pytest.mark.parametrize("beside", [[], ["and", "echo", "127.0.0.1:0"]], ids=["alone", "beside"])
@pytest.mark.parametrize("model", MODELS)
def test_a_stop_ends_silent_callers_politely_within_its_grace(site, model, beside):
    """Those who have been answered, and those who have said nothing yet."""
    with serve_files(site, *beside, "-m", model, "--grace", "%dms" % (40 * PATIENCE)) as server:
        with server.call() as silent:
            if model in ("fork", "threads", "coroutines"):
                with server.call() as caller, caller.makefile("rb") as stream:
                    caller.sendall(b"GET /sub/plain.txt HTTP/1.1\r\nHost: t\r\n\r\n")
                    assert Answer(stream).headers["connection"] == "keep-alive"
                    server.begin_stop()
                    assert stream.read() == b""
            else:
                server.begin_stop()
            assert read_all(silent) == b""
        assert server.stop() == 0


def test_who_is_silent_is_left_politely_beside_other_services(site):
    """Whatever -i says to those."""
    with serve_files(site, "and", "echo", "127.0.0.1:0", "-i", "%dms" % (100 * PATIENCE)) as server:
        with server.call() as caller, caller.makefile("rb") as stream:
            caller.sendall(b"GET /sub/plain.txt HTTP/1.1\r\nHost: t\r\n\r\n")
            assert Answer(stream).headers["connection"] == "keep-alive"
            assert stream.read() == b""
        assert server.stop() == 0


def test_calls_are_shown(site):
    with serve_files(site, "--calls") as server:
        assert get(server, "/big.bin").status == 200
        server.wait_for(r"sendfile\(\d+, \d+, 65536\) = \d+")


@pytest.mark.skipif(not shutil.which("strace") or IS_WATCHED, reason="strace is missing, or has no room")
def test_files_are_sent_where_there_is_no_sendfile(site):
    command = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendfile", "-e", "inject=sendfile:error=EINVAL", DOORBELL]
    if subprocess.run([*command, "--version"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here")
    with Server([*command, "serve", "files", str(site), "127.0.0.1:0", "--stay-root" if os.geteuid() == 0 else "-v"]) as server:
        assert get(server, "/big.bin").body == (site / "big.bin").read_bytes()
