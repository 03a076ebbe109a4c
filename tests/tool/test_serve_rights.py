"""doorbell serve, started by root: whose it is when it serves."""

import os
import re
import socket
import subprocess
import tempfile
import time

import pytest

from networks import own_network
from programs import DOORBELL, MODELS, PATIENCE, Server, children_of, read_all, read_exactly, run, serve

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can give it up")


def ask(server, data=b""):
    with server.call() as caller:
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        return read_all(caller)


def identity(pid):
    """All user ids, all group ids, supplementary groups, and effective and permitted capabilities."""
    with open("/proc/%d/status" % pid) as status:
        fields = dict(line.rstrip("\n").split(":", 1) for line in status)
    return ([{int(word) for word in fields[name].split()} for name in ("Uid", "Gid", "Groups")]
            + [int(fields["CapEff"], 16), int(fields["CapPrm"], 16)])


AS_NOBODY = [{NOBODY}, {NOBODY}, {NOBODY}, 0, 0]


@pytest.mark.parametrize("model", MODELS)
def test_it_goes_on_as_nobody_once_it_listens(model):
    with serve("echo", "127.0.0.1:0", "-m", model) as server, server.call() as caller:
        caller.sendall(b"x")
        assert read_exactly(caller, 1) == b"x"
        pids = [server.process.pid, *(pid for pid, _ in children_of(server.process.pid))]
        assert len(pids) > 1 or model not in ("fork", "prefork")
        for pid in pids:
            assert identity(pid) == AS_NOBODY
        server.wait_for("nobody")
        said = [line for line in server.lines if "nobody" in line]
        assert len(said) == 1 and said[0] == (
            "doorbell serve: goes on as nobody, since root has started it (--user, --stay-root)")


def test_it_may_stay_root():
    with serve("echo", "127.0.0.1:0", "--stay-root") as server:
        assert ask(server, b"x") == b"x"
        assert identity(server.process.pid)[0] == {0}
        assert not any("goes on as" in line for line in server.lines)


def test_it_may_become_somebody_else():
    with serve("echo", "127.0.0.1:0", "--user", "daemon") as server:
        assert ask(server, b"x") == b"x"
        assert identity(server.process.pid)[0] == {1}
        server.wait_for("goes on as daemon")


@pytest.mark.parametrize("arguments, words", [
    (["--user", "root"], "that is root, which --stay-root says"),
    (["--user", "no-such-user"], "there is no such user"),
    (["--user", ""], "there is no such user"),
    (["--user", "daemon", "--stay-root"], "exclude each other"),
])
def test_users_that_make_no_sense_are_refused(arguments, words):
    done = run("serve", "echo", "127.0.0.1:0", *arguments)
    assert done.returncode == 2
    assert words in done.stderr.decode() and len(done.stderr.decode().splitlines()) == 1


def test_only_root_can_become_somebody_else():
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", DOORBELL]
    if subprocess.run([*command, "--version"], capture_output=True).returncode:
        pytest.skip("nobody may not run the build")
    done = subprocess.run([*command, "serve", "echo", "127.0.0.1:0", "--user", "daemon"], capture_output=True, timeout=PATIENCE)
    assert done.returncode == 2 and b"only root can become somebody else" in done.stderr


def test_a_low_port_is_kept():
    with own_network(), serve("echo", "127.0.0.1:7") as server:
        assert server.port == 7
        assert ask(server, b"x") == b"x"
        assert identity(server.process.pid) == AS_NOBODY


def test_messages_are_shown_though_stdout_is_roots():
    with serve("message", "127.0.0.1:0") as server:
        assert ask(server, b"hello\n") == b"I got your message"
        server.wait_for("Here is the message: hello", lines=server.output)


def test_where_root_is_the_only_user_there_is_nobody_to_become():
    unshare = ["unshare", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    with Server([*unshare, DOORBELL, "serve", "echo", "127.0.0.1:0"]) as server:
        assert ask(server, b"x") == b"x"
        assert not any("nobody" in line for line in server.lines)


def test_without_the_right_to_it_root_stays_root_and_says_so():
    with Server(["setpriv", "--bounding-set", "-setuid,-setgid", "--inh-caps", "-setuid,-setgid", DOORBELL,
                 "serve", "echo", "127.0.0.1:0"]) as server:
        assert ask(server, b"x") == b"x"
        server.wait_for("cannot become nobody .*, and stays root")


# ---- Socket files -------------------------------------------------------------------------------

def wait_until_empty(folder):
    until = time.monotonic() + PATIENCE
    while os.listdir(folder):
        assert time.monotonic() < until, os.listdir(folder)
        time.sleep(0.01)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777, 0o1777])
def test_socket_files_are_removed_at_the_end_whatever_the_folder_allows(tmp_path, mode):
    tmp_path.chmod(mode)
    paths = [str(tmp_path / "a.sock"), str(tmp_path / "b.sock")]
    with serve("echo", *paths) as server:
        server.wait_for("listening", 2)
        server.wait_for("a process of root's removes the socket file at the end")
        for path in paths:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(path)
                caller.sendall(b"x")
                assert caller.recv(1) == b"x"
        assert server.stop() == 0
    assert os.listdir(tmp_path) == []


def test_socket_files_are_removed_after_a_kill_too(tmp_path):
    with serve("echo", str(tmp_path / "x.sock"), "-m", "prefork") as server:
        server.wait_for("listening")
        server.process.kill()
        server.process.wait()
    wait_until_empty(tmp_path)


def test_the_file_of_a_successor_is_left_alone(tmp_path):
    path = str(tmp_path / "x.sock")
    with serve("echo", path) as first:
        first.wait_for("listening")
        os.rename(path, path + ".old")
        os.rename(path + ".lock", path + ".lock.old")
        with serve("echo", path) as second:
            second.wait_for("listening")
            assert first.stop() == 0
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(path)
                caller.sendall(b"x")
                assert caller.recv(1) == b"x"


def test_the_process_that_removes_them_hears_no_ctrl_c(tmp_path):
    with serve("echo", str(tmp_path / "x.sock")) as server:
        server.wait_for("listening")
        [guard] = [pid for pid, _ in children_of(server.process.pid)]
        assert identity(guard)[0] == {0}
        until = time.monotonic() + PATIENCE
        while os.listdir("/proc/%d/fd" % guard) != ["0"]:
            assert time.monotonic() < until
        with open("/proc/%d/stat" % guard) as stat:
            assert int(stat.read().rsplit(")", 1)[1].split()[3]) == guard  # a session of its own
        assert server.stop() == 0
        assert not os.path.exists("/proc/%d" % guard)


# ---- Programs -----------------------------------------------------------------------------------

IDENTITY = "id -u; echo $HOME; echo $USER; (command -v python3 >/dev/null; : >/etc/doorbell-test) 2>&1 | grep -c denied"


def test_programs_are_nobodys():
    with serve("exec", "127.0.0.1:0", "--", "sh", "-c", IDENTITY) as server:
        assert ask(server) == b"65534\n/nonexistent\nnobody\n1\n"


def test_programs_may_be_roots():
    with serve("exec", "127.0.0.1:0", "--stay-root", "--", "id", "-u") as server:
        assert ask(server) == b"0\n"


def test_what_root_may_run_and_nobody_not_is_told_before_anybody_calls():
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "program")
        with open(program, "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod(program, 0o755)
        done = run("serve", "exec", "127.0.0.1:0", "--", program)
        assert done.returncode == 126
        assert re.search(rb"Permission denied \(for user id 65534\)", done.stderr)


def test_programs_for_strangers_want_a_user():
    with own_network("192.0.2.1/24"):
        for address in ("192.0.2.1:0", "*:0"):
            done = run("serve", "exec", "127.0.0.1:0", address, "--", "id", "-u")
            assert done.returncode == 2
            assert b"say as whom, --user NAME" in done.stderr
        with serve("exec", "192.0.2.1:0", "--user", "daemon", "--", "id", "-u") as server:
            server.wait_for("whoever reaches this machine can call tcp:192.0.2.1")
            with socket.create_connection(("192.0.2.1", server.port), PATIENCE) as caller:
                assert read_all(caller) == b"1\n"


def test_programs_do_not_run_as_root_where_it_cannot_be_given_up():
    done = subprocess.run(["setpriv", "--bounding-set", "-setuid,-setgid", "--inh-caps", "-setuid,-setgid", DOORBELL,
                           "serve", "exec", "127.0.0.1:0", "--", "true"], capture_output=True, timeout=PATIENCE)
    assert done.returncode == 6
    assert b"cannot become nobody" in done.stderr and b"--stay-root would do without" in done.stderr
