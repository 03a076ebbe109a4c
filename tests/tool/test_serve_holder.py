"""doorbell serve where it cannot listen: who has the address, and what would do."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from programs import DOORBELL, OWN_HOST, PATIENCE, read_all, run, serve, spare_port

NAME = pathlib.Path("/proc/self/comm").read_text().strip()
ME = "%s (pid %d)" % (NAME, os.getpid())
AS_NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-net_bind_service"]


def as_nobody(*arguments):
    if os.getuid() != 0:
        pytest.skip("only root can become nobody")
    if subprocess.run([*AS_NOBODY, DOORBELL, "--version"], capture_output=True).returncode:
        pytest.skip("nobody may not run the build")
    return subprocess.run([*AS_NOBODY, DOORBELL, *arguments], capture_output=True, timeout=PATIENCE)


def refusal(done):
    """The one line that it says."""
    assert (done.returncode, done.stdout) == (8, b"")
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("there, here", [
    ("127.0.0.1", "127.0.0.1:%d"), ("127.0.0.1", "%d"), ("127.0.0.1", "localhost:%d"), ("127.0.0.1", "*:%d"),
    ("127.0.0.1", "tcp4:127.0.0.1:%d"), ("0.0.0.0", "127.0.0.1:%d"), ("0.0.0.0", "tcp://localhost:%d"),
    ("::1", "[::1]:%d"), ("::1", "%d"), ("::1", "*:%d"), ("::", "[::1]:%d"),
])
def test_the_holder_of_a_port_is_named(there, here):
    family = socket.AF_INET6 if ":" in there else socket.AF_INET
    # The port is free in the other family too: else it would be another holder's.
    with socket.create_server((there, spare_port()), family=family) as door:
        address = here % door.getsockname()[1]
        assert refusal(run("serve", "echo", address)) == "doorbell: cannot listen on %s: in use by %s" % (address, ME)


def test_connect_names_the_holder_too():
    with socket.create_server(("127.0.0.1", spare_port())) as door:
        port = door.getsockname()[1]
        assert refusal(run("connect", "-l", str(port))) == "doorbell: cannot listen on %d: in use by %s" % (port, ME)


def test_who_listens_elsewhere_on_the_same_port_is_not_blamed():
    with socket.create_server(("127.0.0.1", spare_port())) as door, \
            subprocess.Popen([sys.executable, "-c", "import socket, sys; s = socket.create_server(('127.0.0.2', %d)); "
                              "print('ready', flush=True); sys.stdin.read()" % door.getsockname()[1]],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"ready\n"
        address = "127.0.0.1:%d" % door.getsockname()[1]
        assert refusal(run("serve", "echo", address)).endswith("in use by " + ME)
        done = run("serve", "echo", "127.0.0.2:%d" % door.getsockname()[1])
        assert refusal(done).endswith("(pid %d)" % other.pid)
        other.stdin.close()


def test_the_first_of_several_addresses_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = "127.0.0.1:%d" % door.getsockname()[1]
        assert address in refusal(run("serve", "echo", "127.0.0.1:0", address, "127.0.0.1:0"))


def test_json_tells_the_same():
    with socket.create_server(("127.0.0.1", 0)) as door:
        event = json.loads(refusal(run("serve", "echo", "127.0.0.1:%d" % door.getsockname()[1], "--json")))
        assert event["type"] == "error" and event["text"].endswith("in use by " + ME)


def test_a_process_that_may_not_be_seen_is_told_by_its_user():
    with socket.create_server(("127.0.0.1", 0)) as door:
        line = refusal(as_nobody("serve", "echo", "127.0.0.1:%d" % door.getsockname()[1]))
        assert line.endswith("in use by a process of root, which only that user and root may see")


def test_a_port_that_a_connection_has_is_told():
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket() as caller:
        caller.bind(("127.0.0.1", 0))
        caller.connect(door.getsockname())
        line = refusal(run("serve", "echo", "127.0.0.1:%d" % caller.getsockname()[1]))
        assert line.endswith("in use by %s, for a connection" % ME)


def test_O5_A13_old_connections_are_in_the_way_without_reuseaddr():
    with serve("message", OWN_HOST + ":0") as server:
        port = server.port
        with server.call() as caller:
            caller.sendall(b"x\n")
            assert read_all(caller) == b"I got your message"  # the server closed first
        assert server.stop() == 0
    line = refusal(run("serve", "message", "%s:%d" % (OWN_HOST, port), "--no-reuseaddr"))
    words = line.split(": ", 2)[2]
    assert words.startswith("1 old connection is in TIME_WAIT (") and words.endswith("--no-reuseaddr was given")
    assert 0 < int(words.split("(")[1].split()[0]) <= 60
    with serve("message", "%s:%d" % (OWN_HOST, port)) as server:
        assert server.port == port


def test_a_socket_that_is_bound_only_is_in_the_way_and_its_holder_unknown():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        line = refusal(run("serve", "echo", "127.0.0.1:%d" % door.getsockname()[1]))
        assert "address already in use" in line


def test_the_holder_of_a_socket_file_is_named(tmp_path):
    path = str(tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        assert refusal(run("serve", "echo", path)) == "doorbell: cannot listen on %s: in use by %s" % (path, ME)
        # The same file by another name.
        assert refusal(run("serve", "echo", "./x.sock", cwd=tmp_path)).endswith("./x.sock: in use by " + ME)


def test_the_holder_of_an_abstract_name_is_named():
    name = "@doorbell-holder-%d" % os.getpid()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("\0" + name[1:])
        door.listen()
        assert refusal(run("serve", "echo", name)).endswith("in use by " + ME)


def test_a_file_that_is_no_socket_is_told(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    assert refusal(run("serve", "echo", str(path))).endswith("precious: there is a file that is no socket")
    assert path.read_text() == "data"


@pytest.mark.parametrize("address, words", [
    ("127.0.0.1:7", "ports below 1024 need root; 7007 would do"),
    ("*:7", "ports below 1024 need root; 7007 would do"),
    ("[::1]:1023", "ports below 1024 need root; 8023 would do"),
    ("80", "ports below 1024 need root; 7080 would do"),
])
def test_a_port_below_1024_needs_rights_and_another_would_do(address, words):
    if int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) != 1024:
        pytest.skip("this system gives other ports to everybody")
    assert refusal(as_nobody("serve", "echo", address)) == "doorbell: cannot listen on %s: %s" % (address, words)


def test_a_place_where_nobody_may_write_is_told(tmp_path):
    tmp_path.chmod(0o755)
    assert "ermission denied" in refusal(as_nobody("serve", "echo", str(tmp_path / "x.sock")))
