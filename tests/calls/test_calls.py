"""BELL_CALLS: the calls of a program, as a book writes them.

MODEL.txt is what a server of each model calls for two callers. `DOORBELL_GOLDEN=write pytest tests/calls` writes
these files anew.
"""

import os
import re
import socket
import subprocess
import threading

import pytest

from programs import (BACKENDS, BUILD, DOORBELL, MODELS, OWN_HOST, PATIENCE, ROOT, Server, closed_port, example, read_all,
                      read_exactly, run, serve)

FOLDER = os.path.dirname(os.path.abspath(__file__))
CALL = re.compile(r"\[(\d+)(?:/(\d+))?\] (.*)")
BOTH_ENDS = os.path.join(ROOT, "script", "both-ends")


@pytest.fixture(autouse=True)
def calls_are_shown(monkeypatch):
    monkeypatch.setenv("BELL_CALLS", "1")


def calls_in(lines):
    """Pairs of who and what: who is a process, or a thread that is not its first."""
    found = [CALL.fullmatch(line) for line in lines if line is not None]
    return [((match[1], match[2]), match[3]) for match in found if match]


def texts(output):
    return [text for _, text in calls_in(output.decode().splitlines())]


# ---- The six models, under one handler ----------------------------------------------------------

def talk(server, caller, word):
    caller.sendall(word)
    assert read_exactly(caller, len(word)) == word
    server.wait_for(r'send\(\d+, "%s' % word.decode().strip())


def hang_up(server, caller, ended):
    """Ends a conversation, the `ended`th; the server knows it then."""
    caller.shutdown(socket.SHUT_WR)
    assert read_all(caller) == b""
    server.wait_for(ended[0], ended[1])


def two_callers(server, model, words=(b"one\n", b"two\n"), before=0):
    """The second one calls while the first is there; every event waits for the one before. Returns their ports."""
    end = r"wait\(\)" if model == "fork" else r"close\(\d+\)$"
    with server.call() as first:
        talk(server, first, words[0])
        with server.call() as second:
            ports = first.getsockname()[1], second.getsockname()[1]
            if model != "iterative":
                talk(server, second, words[1])
            hang_up(server, first, (end, before + 1))
            if model == "iterative":
                talk(server, second, words[1])
            hang_up(server, second, (end, before + 2))
    return ports


def lanes_of(calls, model):
    """The calls of each process and thread by themselves, since the order between them is free, under a title. Lanes
    are in the order in which they do something. Any thread of a pool may take a caller, the main one, too: there every
    caller begins a lane."""
    lanes, place, forked = {}, {}, set()
    for who, text in calls:
        if text == "fork() = 0":
            forked.add(who)
            continue
        if model == "pool" and text.startswith("accept("):
            place[who] = len(lanes)
        key = place.setdefault(who, len(lanes))
        if key not in lanes:
            title = "a child" if who in forked else "the server" if not lanes else "a thread"
            lanes[key] = [title] + ["    fork() = 0"] * (who in forked)
        lanes[key].append("    " + text)
    return "\n\n".join("\n".join(lane) for lane in lanes.values()) + "\n"


def without_numbers(text, ports):
    """Processes, and the callers' ports, are others in every run."""
    text = re.sub(r"((?:fork|wait)\(\) = )[1-9]\d*", r"\1CHILD", text)
    for port, name in zip(ports, ("FIRST", "SECOND")):
        text = text.replace("127.0.0.1:%d" % port, "127.0.0.1:" + name)
    return text


def record(model, backend):
    """What a server of this model calls for two callers. Where several processes or threads accept, without the stop:
    who is the first to stop listening is free there."""
    has_crew = model in ("prefork", "pool")
    with serve("echo", "127.0.0.1:0", "-m", model, *(("-w", "2") if has_crew else ()), backend=backend) as server:
        server.wait_for("listening on")
        begin = warm = 0
        if model == "pool":
            # The making of a loop borrows small numbers for a moment: afterwards every thread has one.
            server.wait_for(r"pthread_create\(\)")
            begin = len(server.lines)
            two_callers(server, model, (b"warm\n", b"up\n"))
            warm = len(server.lines)
        ports = two_callers(server, model, before=2 if warm else 0)
        assert server.stop() == 0
        calls = calls_in(server.lines[:begin] + server.lines[warm:])
    if has_crew:
        calls = calls[:[text for _, text in calls].index("listen(3, 0)")]
    return without_numbers(lanes_of(calls, model), ports)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
def test_each_model_makes_the_calls_of_its_book(model, backend):
    path = os.path.join(FOLDER, model + ".txt")
    calls = record(model, backend)
    if os.environ.get("DOORBELL_GOLDEN") == "write":
        with open(path, "w") as golden:
            golden.write(calls)
    with open(path) as golden:
        assert calls == golden.read()


# ---- Both ends -----------------------------------------------------------------------------------

@pytest.mark.parametrize("model", MODELS)
def test_no_effect_stands_above_its_cause(model, monkeypatch, tmp_path):
    monkeypatch.setenv("BELL_CALLS", "times")
    with serve("upper", "127.0.0.1:0", "-m", model) as program:
        caller = run("connect", program.address, data=b"ding\n")
        assert (caller.stdout, program.stop()) == (b"DING\n", 0)
    server_lines = [line for line in program.lines if line]
    (tmp_path / "server").write_text("\n".join(server_lines))
    (tmp_path / "client").write_bytes(caller.stderr)
    done = subprocess.run([BOTH_ENDS, tmp_path / "server", tmp_path / "client"], capture_output=True, text=True,
                          check=True, timeout=PATIENCE)
    rows = [re.sub(r"\[\d+\] ", "", line) for line in done.stdout.splitlines()]

    def server(call):
        return [i for i, text in enumerate(rows) if re.match(call, text)][0]

    def client(call):
        return server(" +" + call)

    assert rows[0].split() == ["SERVER", "CLIENT"]
    assert len(rows) - 1 == len(calls_in(server_lines)) + len(texts(caller.stderr))
    assert server(r"listen\(") < client(r"connect\(") < server(r"accept\(3\) = ")
    assert client(r"send\(\d+, .ding") < server(r"recv\(\d+\) = 5")
    assert server(r"send\(\d+, .DING") < client(r"recv\(\d+\) = 5")
    assert client(r"shutdown\(") < server(r"recv\(\d+\) = 0")
    assert server(r"shutdown\((?!3)") < client(r"recv\(\d+\) = 0")


def test_a_process_that_is_not_the_first_has_its_number(tmp_path):
    (tmp_path / "server").write_text('[7] 5.000000100 5.000000900 fork() = 8\n'
                                     'doorbell serve: a note\n'
                                     '[8] 5.000000100 5.000000300 fork() = 0\n'
                                     '[8/9] 4.999999999 6.000000001 recv(4) = 1  "x"\n')
    (tmp_path / "client").write_text('[70] 6.000000000 6.000000002 send(3, "x", 1) = 1\n')
    done = subprocess.run([BOTH_ENDS, tmp_path / "server", tmp_path / "client"], capture_output=True, text=True,
                          check=True, timeout=PATIENCE)
    assert done.stdout == ("SERVER                                    CLIENT\n"
                           "fork() = 8\n"
                           "[8] fork() = 0\n"
                           '                                          send(3, "x", 1) = 1\n'
                           '[8] recv(4) = 1  "x"\n')


# ---- On and off ----------------------------------------------------------------------------------

@pytest.mark.parametrize("words, is_shown", [("", False), ("0", False), ("1", True), ("yes", True), ("all", True)])
def test_the_variable_says_whether(words, is_shown, monkeypatch):
    monkeypatch.setenv("BELL_CALLS", words)
    with serve("echo", "127.0.0.1:0") as server:
        done = run("connect", server.address, data=b"x")
    assert (done.stdout, done.returncode) == (b"x", 0)
    assert ("connect(3, " in done.stderr.decode()) == is_shown
    assert bool(done.stderr) == is_shown


def test_all_shows_the_waiting_too_and_times_come_with_it(monkeypatch):
    monkeypatch.setenv("BELL_CALLS", "all,times")
    with serve("echo", "127.0.0.1:0") as server:
        run("connect", server.address, data=b"x")
        server.wait_for(r"close\(4\)$")
        server.stop()
    shown = "\n".join(line for line in server.lines if line)
    for call in ("epoll_create() = ", "epoll_wait(", "eventfd() = ", "accept(3) would block", "getsockname(3)",
                 "write("):
        assert re.search(r"^\[\d+\] \d+\.\d{9} \d+\.\d{9} " + re.escape(call), shown, re.MULTILINE), call


def test_a_program_of_a_user_needs_nothing():
    with Server([example("echo"), "127.0.0.1:0"]) as server:
        assert run("connect", server.address, data=b"hello\n").stdout == b"hello\n"
        server.wait_for(r'\] recv\(4\) = 6  "hello\\n"$')
        server.wait_for(r'\] send\(4, "hello\\n", 6\) = 6$')
        assert server.stop() == 0


def show_calls(*arguments):
    program = os.path.join(BUILD, "tests", "show_calls")
    return subprocess.run([program, *arguments], capture_output=True, timeout=PATIENCE)


def test_a_program_can_ask_for_it_itself(monkeypatch):
    monkeypatch.delenv("BELL_CALLS")
    done = show_calls("1", "0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert texts(done.stdout) == ["socketpair(AF_UNIX, SOCK_STREAM, 0, {3, 4})",
                                  'sendmsg(3, "ding dong\\n", 10) = 10',
                                  'recv(4) = 10  "ding dong\\n"',
                                  "shutdown(3, SHUT_WR)",
                                  "recv(4) = 0  the other end has finished",
                                  "shutdown(4, SHUT_WR)",
                                  "close(4)",
                                  "recv(3) = 0  the other end has finished",
                                  "close(3)"]
    assert len(done.stdout.splitlines()) == 9


@pytest.mark.parametrize("arguments, words", [(("99", "0"), b"99 is no open"), (("1", "64"), b"0x40 has bits")])
def test_what_makes_no_sense_is_refused_in_a_sentence(arguments, words):
    done = show_calls(*arguments)
    assert done.returncode == 1
    assert words in done.stderr


# ---- What is said of strangers -------------------------------------------------------------------

def test_errors_are_words():
    address = "%s:%d" % (OWN_HOST, closed_port())
    assert "connect(3, %s) failed: connection refused" % address in texts(run("connect", address).stderr)
    with serve("echo", "127.0.0.1:0") as server:
        busy = run("serve", "echo", server.address)
        assert "bind(3, 127.0.0.1:%d) failed: address already in use" % server.port in texts(busy.stderr)


def test_no_byte_of_a_caller_reaches_the_terminal():
    raw = b"\x1b[2J\x07\r\n\x9b\xff"
    with serve("echo", "127.0.0.1:0") as server:
        assert run("connect", server.address, data=raw).stdout == raw
        server.wait_for(re.escape(r'recv(4) = 9  "\x1b[2J\x07\r\n\x9b\xff"'))
        server.stop()
    for line in server.lines:
        assert line is None or line.isprintable() and line.isascii(), line


def test_a_unix_socket_that_calls_has_no_name(tmp_path):
    path = str(tmp_path / "x.sock")
    with serve("echo", path) as server:
        client = run("connect", server.address, data=b"x")
        server.wait_for(r"close\(4\)$")
        server.stop()
    shown = [text for _, text in calls_in(server.lines)]
    assert "bind(3, %s)" % path in shown
    assert "accept(3) = 4" in shown
    assert client.stdout == b"x"
    assert "connect(3, %s)" % path in texts(client.stderr)


# ---- Readers who are gone or asleep --------------------------------------------------------------

def answers(address):
    return run("connect", address, data=b"x").stdout == b"x"


def quiet_server(stderr, prefix=()):
    """A server without notes, which says its address elsewhere. It ends when it takes too long."""
    here, there = os.pipe()
    process = subprocess.Popen([*prefix, DOORBELL, "serve", "echo", "127.0.0.1:0", "-q", "--ready-fd", str(there)],
                               pass_fds=[there], stderr=stderr, stdin=subprocess.DEVNULL)
    process.watchdog = threading.Timer(PATIENCE * 2, process.kill)
    process.watchdog.start()
    os.close(there)
    with os.fdopen(here) as ready:
        return process, ready.readline().strip()


def stop(process):
    process.terminate()
    code = process.wait()
    process.watchdog.cancel()
    return code


def test_a_full_disk_does_not_disturb():
    with open("/dev/full", "w") as full:
        process, address = quiet_server(full)
        assert answers(address)
        assert stop(process) == 0


def test_a_reader_who_left_does_not_disturb():
    here, there = os.pipe()
    process, address = quiet_server(there)
    os.close(there)
    os.close(here)
    assert answers(address)
    assert answers(address)
    assert stop(process) == 0


def test_a_reader_who_sleeps_delays_nobody_and_is_told_what_he_missed():
    here, there = os.pipe()
    process, address = quiet_server(there)
    os.close(there)
    host, port = address.replace("tcp:", "").split(":")
    with os.fdopen(here) as lines, socket.create_connection((host, int(port)), PATIENCE) as caller:
        for _ in range(2000):  # the lines of which are more than a pipe holds
            caller.sendall(b"x")
            assert caller.recv(1) == b"x"
        for _ in range(500):
            assert CALL.fullmatch(lines.readline().strip())
        caller.sendall(b"x")
        assert caller.recv(1) == b"x"
        line = lines.readline()
        while "calls are not shown" not in line:
            assert CALL.fullmatch(line.strip()), line
            line = lines.readline()
        assert re.fullmatch(r"\[\d+\] \(\d+ calls are not shown\)\n", line)
        assert CALL.fullmatch(lines.readline().strip())
        caller.close()
        assert stop(process) == 0


def test_a_closed_stderr_shows_nothing_and_no_caller_gets_it():
    process, address = quiet_server(None, prefix=("sh", "-c", 'exec "$@" 2>&-', "sh"))
    assert answers(address)
    assert answers(address)
    assert stop(process) == 0
