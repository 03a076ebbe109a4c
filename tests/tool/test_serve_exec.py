"""doorbell serve exec: a program for each caller, and what is left of it afterwards."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from programs import (PATIENCE, children_of, is_readable, read_all, read_exactly, read_line, reset, run, serve,
                      wait_until)

PYTHON = "/usr/bin/python3"
EXEC_MODELS = ["iterative", "threads", "pool", "coroutines"]


def serve_program(*program, address="127.0.0.1:0", options=(), **how):
    return serve("exec", address, "-v", *options, "--", *program, **how)


def serve_python(script, *options, **how):
    return serve_program(PYTHON, "-c", script, options=options, **how)


def ask(server, data=b""):
    with server.call() as caller:
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        return read_all(caller)


def is_alive(pid):
    """Whether there is such a process, and not only what is left of one."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_gone(*pids):
    until = time.monotonic() + PATIENCE
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < until, pids
        time.sleep(0.01)


# ---- What it is for -----------------------------------------------------------------------------

@pytest.mark.parametrize("model", EXEC_MODELS)
def test_the_connection_is_its_stdin_and_stdout(model):
    with serve_program("wc", "-c", options=["-m", model]) as server:
        for data in (b"", b"hello\n", b"x" * 1000000):
            assert ask(server, data) == b"%d\n" % len(data)
        server.wait_for(r"ended: wc \(pid \d+\) exited with 0, 1000000 bytes in, 8 out")
        assert server.stop() == 0
        assert server.process.returncode == 0


@pytest.mark.parametrize("model", ["threads", "coroutines"])
def test_many_callers_have_a_program_each(model):
    with serve_program("cat", options=["-m", model]) as server:
        callers = [server.call() for _ in range(20)]
        for number, caller in enumerate(callers):
            caller.sendall(b"%d\n" % number)
        for number, caller in reversed(list(enumerate(callers))):
            assert read_line(caller) == b"%d\n" % number
        assert len(children_of(server.process.pid)) == 20
        for caller in callers:
            caller.close()
        server.wait_for("exited with 0", 20)
        assert children_of(server.process.pid) == []


def test_all_that_it_wrote_arrives_though_it_did_not_read_all():
    with serve_program("sh", "-c", "head -n 1; head -c 3000000 /dev/zero") as server, server.call() as caller:
        caller.sendall(b"first\n" + b"unread\n" * 1000)
        assert len(read_all(caller)) >= 3000000


def test_its_exit_code_is_no_reset_but_its_death_is():
    with serve_program("sh", "-c", "echo no; exit 3") as server:
        assert ask(server) == b"no\n"
        server.wait_for(r"sh \(pid \d+\) exited with 3")
    with serve_program("sh", "-c", "kill -KILL $$") as server:
        with pytest.raises(ConnectionResetError):
            ask(server)
        server.wait_for(r"sh \(pid \d+\) was ended by SIGKILL")


def test_there_is_no_shell_between():
    with serve_program("printf", "%s|", "$(id)", "a b", "*", "", "--", "-v") as server:
        assert ask(server) == b"$(id)|a b|*||--|-v|"


def test_the_command_line_ends_at_the_first_two_dashes():
    with serve("-v", "exec", "--max", "3", "127.0.0.1:0", "--", "echo", "--max", "-m", "--", "x") as server:
        assert ask(server) == b"--max -m -- x\n"


@pytest.mark.skipif(not shutil.which("ncat"), reason="there is no ncat here")
def test_a_stranger_may_call():
    with serve_program("tr", "a-z", "A-Z") as server:
        done = subprocess.run(["ncat", "127.0.0.1", str(server.port)], input=b"hello\n", capture_output=True,
                              timeout=PATIENCE)
        assert done.stdout == b"HELLO\n"


# ---- What it finds ------------------------------------------------------------------------------

def environment_of(server, data):
    return dict(line.split("=", 1) for line in data.decode().splitlines())


def test_its_environment_over_tcp(monkeypatch):
    for name, value in {"SECRET": "x", "LC_ALL": "C", "TZ": "UTC", "LCD": "x", "BASH_FUNC_x%%": "() { :; }"}.items():
        monkeypatch.setenv(name, value)
    with serve_program("env") as server, server.call() as caller:
        found = environment_of(server, read_all(caller))
        port = str(caller.getsockname()[1])
        assert {name: found.pop(name) for name in list(found) if name.startswith("TCP") or name in "PROTO PEER LOCAL"} == {
            "PROTO": "TCP", "TCPREMOTEIP": "127.0.0.1", "TCPREMOTEPORT": port, "TCPLOCALIP": "127.0.0.1",
            "TCPLOCALPORT": str(server.port), "PEER": "tcp:127.0.0.1:" + port, "LOCAL": "tcp:127.0.0.1:%d" % server.port}
        assert (found["LC_ALL"], found["TZ"], found["PATH"]) == ("C", "UTC", os.environ["PATH"])
        assert set(found) <= {"PATH", "HOME", "USER", "TERM", "TZ", "LANG"} | {n for n in found if n.startswith("LC_")}


def test_its_environment_over_ipv6():
    with serve_program("env", address="[::1]:0") as server:
        with socket.create_connection(("::1", server.port), PATIENCE) as caller:
            found = environment_of(server, read_all(caller))
            assert (found["TCPREMOTEIP"], found["TCPLOCALIP"]) == ("::1", "::1")
            assert found["TCPREMOTEPORT"] == str(caller.getsockname()[1])


def test_its_environment_over_a_unix_socket():
    name = "doorbell-exec-%d" % os.getpid()
    with serve_program("env", address="@" + name) as server, socket.socket(socket.AF_UNIX) as caller:
        server.wait_for("listening")
        caller.settimeout(PATIENCE)
        caller.connect("\0" + name)
        found = environment_of(server, read_all(caller))
        assert (found["PROTO"], found["UNIXLOCALPATH"]) == ("UNIX", "@" + name)
        assert found["UNIXREMOTEEUID"] == str(os.getuid())
        assert found["UNIXREMOTEPID"] == str(os.getpid())
        assert found["UNIXLOCALPID"] == str(server.process.pid)
        assert found["LOCAL"] == "unix:@" + name
        assert "TCPREMOTEIP" not in found


def test_what_a_caller_is_called_is_harmless():
    name = "doorbell-exec-names-%d" % os.getpid()
    with serve_program("env", "-0", address="@" + name) as server, socket.socket(socket.AF_UNIX) as caller:
        server.wait_for("listening")
        caller.settimeout(PATIENCE)
        caller.bind("\0evil\nPATH=/tmp\x1b[31m%d" % os.getpid())
        caller.connect("\0" + name)
        found = [text for text in read_all(caller).split(b"\0") if text.startswith(b"PEER=")]
        assert len(found) == 1 and all(32 <= byte < 127 for byte in found[0])


STATE = """
import json, os, resource, signal, socket
caller = socket.socket(fileno=os.dup(0))
print(json.dumps({
    "descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n)),
    "blocking": [os.get_blocking(0), os.get_blocking(1)],
    "peer": caller.getpeername()[1],
    "mask": [int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "ignored": [n for n in range(1, 32) if signal.getsignal(n) == signal.SIG_IGN],
    "umask": os.umask(0), "cwd": os.getcwd(), "leads": os.getsid(0) == os.getpgrp() == os.getpid(),
    "limit": resource.getrlimit(resource.RLIMIT_NOFILE),
}))
"""


@pytest.mark.parametrize("model", EXEC_MODELS)
def test_its_descriptors_signals_and_session(model):
    """What doorbell was started with does not come through: a descriptor, ignored and blocked signals."""
    extra = os.open("/dev/null", os.O_RDONLY)

    def spoil():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    with serve_python(STATE, "-m", model, pass_fds=[extra], preexec_fn=spoil, cwd="/usr") as server, \
            server.call() as caller:
        os.close(extra)
        found = json.loads(read_all(caller))
        assert found.pop("descriptors")[:3] == [0, 1, 2]
        # Python itself ignores SIGPIPE and SIGXFSZ.
        assert set(found.pop("ignored")) <= {signal.SIGPIPE, signal.SIGXFSZ}
        assert found == {"blocking": [True, True], "peer": caller.getsockname()[1], "mask": [], "umask": 0o77,
                         "cwd": "/usr", "leads": True, "limit": list(resource.getrlimit(resource.RLIMIT_NOFILE))}


def test_it_has_no_descriptors_but_three():
    extra = os.open("/dev/null", os.O_RDONLY)
    with serve_program("ls", "/proc/self/fd", pass_fds=[extra]) as server:
        os.close(extra)
        assert ask(server).split() == [b"0", b"1", b"2", b"3"]  # the last one is what ls reads


def test_its_stderr_is_doorbells():
    with serve_program("sh", "-c", "echo to the log >&2") as server:
        assert ask(server) == b""
        server.wait_for("^to the log$")


# ---- How it ends --------------------------------------------------------------------------------

def two_pids(caller):
    return [int(read_line(caller)) for _ in range(2)]


GROUP = "sleep 1000 & echo $$; echo $!; wait"


@pytest.mark.parametrize("model", EXEC_MODELS)
def test_the_whole_group_ends_when_the_caller_has_gone(model):
    with serve_program("sh", "-c", GROUP, options=["-m", model]) as server:
        caller = server.call()
        pids = two_pids(caller)
        reset(caller)
        wait_until_gone(*pids)
        server.wait_for(r"was ended by SIGTERM after the caller had gone")
        with server.call() as caller:  # and the next one has his own
            assert not set(two_pids(caller)) & set(pids)
            reset(caller)
        server.wait_for(r"was ended by SIGTERM after the caller had gone", 2)
        assert children_of(server.process.pid) == []


def test_who_does_not_end_by_sigterm_ends_by_sigkill():
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(1000)"
    with serve_python(script) as server:
        caller = server.call()
        assert read_line(caller) == b"ready\n"
        begin = time.monotonic()
        reset(caller)
        server.wait_for(r"was ended by SIGKILL after the caller had gone")
        assert time.monotonic() - begin > 0.9


def test_a_caller_on_a_unix_socket_who_closes_has_gone():
    name = "doorbell-exec-gone-%d" % os.getpid()
    with serve_program("sh", "-c", GROUP, address="@" + name) as server:
        server.wait_for("listening")
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(PATIENCE)
            caller.connect("\0" + name)
            pids = two_pids(caller)
        wait_until_gone(*pids)


def test_a_caller_who_has_only_finished_sending_has_not_gone():
    with serve_program("sh", "-c", "cat; sleep 0.3; echo done") as server:
        assert ask(server, b"data\n") == b"data\ndone\n"


def test_what_it_leaves_running_ends_with_it():
    with serve_program("sh", "-c", "sleep 1000 & echo $$; echo $!") as server, server.call() as caller:
        pids = two_pids(caller)
        assert read_all(caller) == b""
        wait_until_gone(*pids)
        server.wait_for("exited with 0")


def test_what_makes_a_session_of_its_own_may_stay():
    script = "import subprocess as s; print(s.Popen(['sleep', '1000'], start_new_session=True).pid, flush=True)"
    with serve_python(script) as server, server.call() as caller:
        pid = int(read_line(caller))
        try:
            server.wait_for("exited with")
            assert read_all(caller) == b""
            assert is_alive(pid)
        finally:
            os.kill(pid, signal.SIGKILL)


STAYS_AND_BLOCKS = """
import os, sys
read, write = os.pipe()
pid = os.fork()
if pid:
    os.read(read, 1)  # its group is ended with the program
    print(pid, flush=True)
    os._exit(0)
os.setsid()
os.set_blocking(0, True)
os.write(write, b".")
while sys.stdin.buffer.raw.read(1) != b"":
    pass
while True:
    os.set_blocking(0, True)
"""


def test_what_stays_and_makes_the_socket_block_stops_nobody_else():
    with serve_python(STAYS_AND_BLOCKS) as server, server.call() as caller:
        pid = int(read_line(caller))
        try:
            server.wait_for("exited with")
            assert read_all(caller) == b""
            caller.sendall(b"still here")  # which the server reads while it waits for the caller's end
            with server.call() as other:
                another_pid = int(read_line(other))
                os.kill(another_pid, signal.SIGKILL)
        finally:
            os.kill(pid, signal.SIGKILL)


LINGERS = """
import os, socket, struct
s = socket.socket(fileno=os.dup(1))
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
s.setblocking(False)
try:
    while True:
        s.send(b"x" * 4096)
except BlockingIOError:
    pass
"""


def test_who_lets_the_close_linger_stops_nobody_else():
    with serve_python(LINGERS) as server, server.call() as caller:
        caller.shutdown(socket.SHUT_WR)
        server.wait_for("exited with 0")
        with server.call() as other:
            assert other.recv(1) == b"x"
        assert set(read_all(caller)) == set(b"x")


@pytest.mark.parametrize("model", EXEC_MODELS)
def test_no_zombies_after_many_callers(model):
    with serve_program("true", options=["-m", model]) as server:
        for _ in range(100):
            assert ask(server) == b""
        server.wait_for(r"exited with 0", 100)
        assert children_of(server.process.pid) == []
        before = len(os.listdir("/proc/%d/fd" % server.process.pid))
        for _ in range(20):
            assert ask(server) == b""
        server.wait_for(r"exited with 0", 120)
        wait_until(lambda: len(os.listdir("/proc/%d/fd" % server.process.pid)) <= before + 3)  # those that linger


def test_an_idle_caller_is_hung_up_on():
    with serve_program("sh", "-c", "echo $$; exec sleep 1000", options=["-i", "1500ms"]) as server:
        with server.call() as caller:
            pid = int(read_line(caller))
            with pytest.raises(ConnectionResetError):
                caller.recv(1)
            wait_until_gone(pid)
        server.wait_for("was ended by SIGTERM since the caller was silent for too long")


def test_a_caller_who_talks_now_and_then_is_not_idle():
    with serve_program("cat", options=["-i", "1s"]) as server, server.call() as caller:
        begin = time.monotonic()
        while time.monotonic() - begin < 1.8:
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
            time.sleep(0.2)
        caller.shutdown(socket.SHUT_WR)
        assert read_all(caller) == b""


def test_no_more_than_max_programs_at_once():
    with serve_program("cat", options=["--max", "2"]) as server:
        callers = [server.call() for _ in range(3)]
        for caller in callers:
            caller.sendall(b"x")
        for caller in callers[:2]:
            assert read_exactly(caller, 1) == b"x"
        assert not is_readable(callers[2], 0.1)
        assert len(children_of(server.process.pid)) == 2
        callers[0].close()
        assert read_exactly(callers[2], 1) == b"x"
        for caller in callers[1:]:
            caller.close()


# ---- The server's stop --------------------------------------------------------------------------

@pytest.mark.parametrize("model", EXEC_MODELS)
def test_a_program_may_finish_within_the_grace_time(model):
    with serve_program("cat", options=["-m", model]) as server, server.call() as caller:
        caller.sendall(b"x")
        assert read_exactly(caller, 1) == b"x"
        server.begin_stop()
        server.wait_for("stopping")
        caller.sendall(b"y")
        caller.shutdown(socket.SHUT_WR)
        assert read_all(caller) == b"y"
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("model", EXEC_MODELS)
def test_after_the_grace_time_programs_are_ended(model):
    with serve_program("sh", "-c", GROUP, options=["-m", model, "--grace", "100ms"]) as server, server.call() as caller:
        pids = two_pids(caller)
        server.begin_stop()
        assert server.process.wait(PATIENCE) == 5
        wait_until_gone(*pids)  # the second one is not the server's child, but was signalled
        with pytest.raises(ConnectionResetError):
            read_all(caller)


def test_a_second_signal_ends_programs_too_even_those_who_ignore_it():
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(1000)"
    with serve_python(script, "--grace", "60s") as server:
        callers = [server.call() for _ in range(5)]
        for caller in callers:
            assert read_line(caller) == b"ready\n"
        pids = [pid for pid, _ in children_of(server.process.pid)]
        begin = time.monotonic()
        server.begin_stop()
        server.wait_for("stopping")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 5
        assert 0.9 < time.monotonic() - begin < 0.9 * PATIENCE
        assert len(pids) == 5
        wait_until_gone(*pids)
        for caller in callers:
            caller.close()


def test_once_serves_one_program():
    with serve_program("cat", options=["-1"]) as server:
        assert ask(server, b"x") == b"x"
        assert server.process.wait(PATIENCE) == 0


# ---- Programs that cannot be started ------------------------------------------------------------

@pytest.mark.parametrize("program, code, words", [
    (["no-such-program-here"], 127, "there is no program no-such-program-here"),
    (["./no-such-program"], 127, "there is no program ./no-such-program"),
    ([""], 127, "there is no program"),
    (["x" * 5000], 127, "there is no program xxx"),
    (["/" + "x" * 5000], 127, "there is no program /xxx"),
    (["/usr"], 126, "no file that may be run"),
    (["/etc/passwd"], 126, "no file that may be run"),
])
def test_it_is_looked_for_before_anybody_calls(program, code, words):
    done = run("serve", "exec", "127.0.0.1:0", "--", *program)
    assert (done.returncode, done.stdout) == (code, b"")
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and words in lines[0] and len(lines[0]) < 400


@pytest.mark.parametrize("arguments, words", [
    (["exec"], "exec needs a program"),
    (["exec", "127.0.0.1:0"], "exec needs a program"),
    (["exec", "127.0.0.1:0", "--"], "exec needs a program"),
    (["echo", "127.0.0.1:0", "--", "cat"], "a program is for exec, not for echo"),
    (["exec", "127.0.0.1:0", "-m", "fork", "--", "cat"], "--model fork would make two"),
    (["exec", "127.0.0.1:0", "-m", "prefork", "--", "cat"], "--model prefork would make two"),
    (["exec", "127.0.0.1:0", "--one-line", "--", "cat"], "--one-line is for upper"),
    (["exec", "127.0.0.1:0", "-x", "--", "cat"], "--hex"),
    (["exec", "127.0.0.1:0", "--max", "1000000", "--", "cat"], "--max 1000000"),
    (["exec", "127.0.0.1:abc", "--", "cat"], "abc"),
])
def test_wrong_usage_is_refused_with_a_reason(arguments, words):
    if "1000000" in arguments and resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 4000000:
        pytest.skip("this system gives millions of descriptors")
    done = run("serve", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in done.stderr.decode() and len(done.stderr.decode().splitlines()) == 1


def test_a_model_of_the_environment_that_has_processes_is_refused():
    done = run("serve", "exec", "127.0.0.1:0", "--", "cat", env={**os.environ, "BELL_MODEL": "prefork"})
    assert done.returncode == 2
    assert b"model prefork has processes" in done.stderr


def test_a_program_that_vanishes_resets_its_callers_and_nothing_else(tmp_path):
    program = tmp_path / "cat"
    shutil.copy(shutil.which("cat"), program)
    program.chmod(0o755)
    with serve_program(str(program), options=["--stay-root"]) as server:
        assert ask(server, b"x") == b"x"
        program.rename(tmp_path / "away")
        with pytest.raises(ConnectionResetError):
            ask(server)
        server.wait_for("could not be started: No such file")
        (tmp_path / "away").rename(program)
        assert ask(server, b"y") == b"y"
        assert server.stop() == 0


def test_json_tells_how_a_program_ended():
    with serve("exec", "127.0.0.1:0", "--json", "--", "sh", "-c", "cat; exit 4") as server:
        port = int(server.wait_for(r'"address":"tcp:127.0.0.1:(\d+)"').group(1))
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as caller:
            caller.sendall(b"hello\n")
            caller.shutdown(socket.SHUT_WR)
            assert read_all(caller) == b"hello\n"
        closed = json.loads(server.wait_for('.*"closed".*').group(0))
        assert (closed["bytes_in"], closed["bytes_out"]) == (6, 6)
        assert re.search(r"exited with 4", closed["text"])
