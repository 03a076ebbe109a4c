"""The programs of course/posix, from outside: against each other, and against those of the slides.

    /usr/bin/python3 -m pytest tests/course/test_posix.py

The tests wait for what must happen, and never for a time in the hope that it has happened by then.
Where nothing must happen they look for a short while (A_WHILE).
"""

import concurrent.futures
import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import posix_strangers as strangers
from programs import OWN_HOST, closed_port
from posix_programs import (FLAGS, PATIENCE, PROGRAMS, SOURCE, Server, call, children_of,
                            compile_program, descriptors, eventually, receive_all, receive_exactly,
                            refuses, reset, run, tasks)

A_WHILE = 0.2
ITERATIVE = "phone_server_iterative"
CONCURRENT = ["phone_server_fork", "phone_server_threads", "phone_server_pool"]
PHONES = [ITERATIVE, *CONCURRENT]
LECTURE = ["upper_server", "echo_server", "message_server"]
SERVERS = [*LECTURE, *PHONES]
CLIENTS = ["upper_client", "echo_client", "message_client", "phone_caller"]
ECHO = "    echo(t);\n"
IN_AND_OUT = """
    char word;
    writen(t, "in\\n", 3);
    if (receive(t, &word, 1) == 1)
        writen(t, "out\\n", 4);
"""
THREE_MEGABYTES = """
    char line[MAXLINE], *much = calloc(1, 3000000);
    if (readline(t, line, sizeof line) > 0)
        writen(t, much, 3000000);
    free(much);
"""
THREE_MEGABYTES_UNASKED = """
    char *much = calloc(1, 3000000);
    writen(t, much, 3000000);
    free(much);
"""
LINE, ANSWER = "hello, door\n", b"FROM SERVER: HELLO, DOOR\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")


@pytest.fixture(scope="session")
def phone(workshop):
    """A phone server with a body for its do_something."""
    return lambda name, body, **constants: workshop.variant(name, body, **constants)


@contextlib.contextmanager
def caller(server, host="127.0.0.1"):
    with call(server, host) as connection:
        yield connection


def still_answers(server, upper_client):
    done = run(upper_client, "127.0.0.1", server.port, text="hello\n")
    assert (done.stdout, done.returncode) == (b"FROM SERVER: HELLO\n", 0)


def talker(workshop, name):
    """The server, if need be with a service, so that a caller has something to hear."""
    return workshop.variant(name, ECHO) if name in PHONES else workshop.program(name)


def inject(fault):
    """Runs a program under strace, which has its system calls fail."""
    return ["strace", "-qq", "-o", "/dev/null", "-e", f"inject={fault}"]


def nothing_comes(connection):
    return not select.select([connection], [], [], A_WHILE)[0]


# ---- The files ----------------------------------------------------------------------------------


def test_every_file_fits_on_a_slide_or_two():
    for path in SOURCE.glob("*.[ch]"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 120 and max(map(len, lines)) <= 100, path.name


def test_every_program_is_tested():
    assert {*PROGRAMS, "nethelp"} == {path.stem for path in SOURCE.glob("*.c")}


def test_gnu11_and_optimization_bring_no_warning(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(lambda name: compile_program(SOURCE / f"{name}.c", tmp_path / name,
                                                      "-std=gnu11", "-O2"), PROGRAMS))


def test_the_commands_of_the_readme_build_everything(tmp_path):
    readme = (SOURCE.parent / "README.md").read_text()
    shutil.copytree(SOURCE, tmp_path / "posix")
    for command in re.findall(r"^    ((?:cc|for) .*)$", readme, re.M):
        done = run("sh", "-c", command, cwd=tmp_path / "posix", timeout=8 * PATIENCE)  # all of them, one by one
        assert done.returncode == 0
    assert all((tmp_path / "posix" / name).exists() for name in PROGRAMS)


# ---- The sentence -------------------------------------------------------------------------------


@pytest.mark.parametrize("stranger", [strangers.java_closing, strangers.java_keeping,
                                      strangers.one_receive, strangers.line_by_line],
                         ids=lambda stranger: stranger.__name__)
def test_upper_client_gets_its_answer_every_time(program, stranger):
    with strangers.at_door(stranger) as port:
        for _ in range(50):
            done = run(program("upper_client"), "127.0.0.1", port, text=LINE)
            assert (done.stdout, done.stderr, done.returncode) == (ANSWER, b"", 0)


def test_upper_client_shows_nothing_of_the_last_caller(program):
    with strangers.at_door(strangers.PaddingServer()) as port:
        long = "the secret is 42, and this line is a long one\n"
        assert run(program("upper_client"), "127.0.0.1", port, text=long).returncode == 0
        done = run(program("upper_client"), "127.0.0.1", port, text=LINE)
        assert (done.stdout, done.stderr, done.returncode) == (ANSWER, b"", 0)


def test_upper_client_reaches_a_server_at_either_family(program):
    for host in ["127.0.0.1", "::1"]:
        with strangers.at_door(strangers.java_closing, host) as port:
            assert run(program("upper_client"), host, port, text=LINE).stdout == ANSWER


@needs_strace
def test_upper_client_sends_its_line_in_one_piece(program, tmp_path):
    log = tmp_path / "calls"
    strace = ["strace", "-o", log, "-e", "trace=sendto"]
    with strangers.at_door(strangers.one_receive) as port:
        run(*strace, program("upper_client"), "127.0.0.1", port, text=LINE)
    assert re.findall(r'sendto\(3, "(.*?)"', log.read_text()) == [r"hello, door\n"]


def test_upper_client_takes_three_lines_over_one_connection(program):
    with Server(program("upper_server")) as server:
        done = run(program("upper_client"), "localhost", server.port, text="one\n\nthree")
        assert done.stdout == b"FROM SERVER: ONE\nFROM SERVER: \nFROM SERVER: THREE\n"
        assert (done.stderr, done.returncode) == (b"", 0)


def test_upper_client_shows_no_carriage_return(program):
    with Server(program("upper_server")) as server:
        done = run(program("upper_client"), "localhost", server.port, text="hello\r\n")
        assert done.stdout == b"FROM SERVER: HELLO\n"


def test_upper_client_with_nothing_to_say_ends_well(program):
    with Server(program("upper_server")) as server:
        done = run(program("upper_client"), "localhost", server.port)
        assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_upper_client_tells_that_the_server_has_closed(program):
    with strangers.at_door(strangers.java_closing) as port:
        done = run(program("upper_client"), "127.0.0.1", port, text="one\ntwo\n")
        assert (done.stdout, done.returncode) == (b"FROM SERVER: ONE\n", 1)
        assert done.stderr == f"127.0.0.1:{port}: the server closed without an answer\n".encode()


def test_a_line_longer_than_all_buffers_comes_back(program):
    line = "long line " * 1_000_000
    with Server(program("upper_server")) as server:
        done = run(program("upper_client"), "127.0.0.1", server.port, text=line)
        assert done.stdout == b"FROM SERVER: " + line.upper().encode() + b"\n"
        assert (done.stderr, done.returncode) == (b"", 0)


def test_upper_server_suits_every_client_of_the_slides(program):
    with Server(program("upper_server")) as server:
        port = server.port
        for _ in range(20):
            assert strangers.java_client(port, b"hello, door") == b"FROM SERVER: HELLO, DOOR"
            assert strangers.python_client(port, b"hello, door") == b"From Server: HELLO, DOOR"
            assert strangers.quirky_client(port, b"hello, door") == b"HELLO, DOOR\n\0"
            assert strangers.echo_client(port, [b"hello, door\n"]) == b"HELLO, DOOR\n"
            assert strangers.echo_word(port, b"hello") == b"Received: HELLO\n"
            assert strangers.message_client(port, b"hello").endswith(b"HELLO\n\n")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "tr_TR.UTF-8"])
def test_upper_server_changes_a_to_z_and_nothing_else(program, locale):
    with Server(program("upper_server"), prefix=["env", f"LC_ALL={locale}"]) as server, \
            caller(server) as connection:
        connection.sendall(b"caf\xc3\xa9 \xc3\x9f \xff i\0\x04\x1a\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert receive_all(connection) == b"CAF\xc3\xa9 \xc3\x9f \xff I\0\x04\x1a\r\n"


# ---- The message --------------------------------------------------------------------------------


def test_message_server_shows_and_answers_as_on_the_slides(program):
    with Server(program("message_server")) as server:
        for _ in range(5):
            shown = strangers.message_client(server.port, b"hello, door")
            assert shown == b"Please enter the message: I got your message\n"
            assert server.line() == "Here is the message: hello, door"


def test_message_server_answers_18_bytes_and_the_end(program):
    with Server(program("message_server")) as server, caller(server) as connection:
        connection.sendall(b"hi\n")
        assert receive_all(connection) == b"I got your message"


def test_message_server_answers_one_who_sends_no_newline(program):
    with Server(program("message_server")) as server, caller(server) as connection:
        connection.sendall(b"hi")
        assert receive_all(connection) == b"I got your message"
        assert server.line() == "Here is the message: hi"


def test_message_server_shows_no_terminal_commands(program):
    with Server(program("message_server")) as server, caller(server) as connection:
        connection.sendall(b"\x1b[2J caf\xc3\xa9\r\nunread")
        assert receive_all(connection) == b"I got your message"
        assert server.line() == "Here is the message: ?[2J café"


def test_message_server_cuts_a_very_long_message_and_says_so(program):
    with Server(program("message_server"), quiet=False) as server, caller(server) as connection:
        connection.sendall(b"x" * 10000 + b"\n")
        assert receive_all(connection) == b"I got your message"
        assert server.line() == "Here is the message: " + "x" * 8192
        eventually(lambda: server.errors)
        assert "is cut after 8192 bytes" in server.errors[0]


def test_message_client_with_the_server_of_the_slides(program):
    server = strangers.MessageServer()
    with strangers.at_door(server, callers=1) as port:
        done = run(program("message_client"), "127.0.0.1", port, text=LINE)
    assert done.stdout == b"Please enter the message: I got your message\n"
    assert (done.stderr, done.returncode) == (b"", 0)
    assert server.printed == b"Here is the message: hello, door\n\n"


def test_message_client_shows_its_prompt_before_it_waits(program):
    with Server(program("message_server")) as server:
        client = subprocess.Popen([program("message_client"), "127.0.0.1", str(server.port)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert client.stdout.read(26) == b"Please enter the message: "
        assert client.communicate(b"hello\n", timeout=PATIENCE)[0] == b"I got your message\n"
        assert client.returncode == 0


def test_message_client_with_nothing_to_say_does_not_wait(program):
    with Server(program("message_server")) as server:
        done = run(program("message_client"), "127.0.0.1", server.port)
        assert (done.stdout, done.returncode) == (b"Please enter the message: \n", 0)


# ---- The echo -----------------------------------------------------------------------------------


def test_echo_server_reports_each_line(program):
    with Server(program("echo_server")) as server:
        shown = strangers.echo_client(server.port, [b"123\n", b"abc def\n"])
        assert shown == b"123\nabc def\n"
        assert server.line() == "server received 4 bytes"
        assert server.line() == "server received 8 bytes"


@pytest.mark.parametrize("size", [4, 100_000])
def test_echo_server_does_not_wait_for_a_newline(program, size):
    with Server(program("echo_server")) as server:
        assert strangers.echo_word(server.port, b"w" * size) == b"Received: " + b"w" * size + b"\n"
        assert server.line() == f"server received {size} bytes"
        done = run(program("echo_word"), "127.0.0.1", "w" * size, server.port)
        assert done.stdout == b"Received: " + b"w" * size + b"\n"
        assert (done.stderr, done.returncode) == (b"", 0)


@pytest.mark.parametrize("text", ["123\nabc def\n", "no newline", "",
                                  "a line longer than the server's buffer\n" * 9])
def test_echo_client_with_the_server_of_the_slides(program, text):
    with strangers.at_door(strangers.echo_lines(16)) as port:
        done = run(program("echo_client"), "127.0.0.1", port, text=text)
        assert (done.stdout, done.stderr, done.returncode) == (text.encode(), b"", 0)


def test_echo_client_and_server_carry_any_bytes_and_many(program):
    data = bytes(range(256)) * 40_000
    with Server(program("echo_server")) as server:
        done = run(program("echo_client"), "127.0.0.1", server.port, text=data)
        assert (done.stdout == data, done.stderr, done.returncode) == (True, b"", 0)


def test_echo_client_tells_that_something_is_missing(program):
    def half(connection):
        connection.sendall(connection.recv(1024)[:3])
    with strangers.at_door(half) as port:
        done = run(program("echo_client"), "127.0.0.1", port, text="123456\n")
        assert (done.stdout, done.returncode) == (b"123", 1)
        assert b"before everything had come back" in done.stderr


@pytest.mark.parametrize("arguments", [["127.0.0.1"], ["127.0.0.1", "word", "7", "more"], []])
def test_echo_word_tells_how_to_call_it(program, arguments):
    done = run(program("echo_word"), *arguments)
    assert done.returncode == 2
    assert b"<Server Address> <Echo Word> [<Server Port>]" in done.stderr


@pytest.mark.parametrize("echo", [b"w0rd", b"word and more", b"WORD"])
def test_echo_word_compares(program, echo):
    def wrong(connection):
        connection.recv(1024)
        connection.sendall(echo)
    with strangers.at_door(wrong) as port:
        done = run(program("echo_word"), "127.0.0.1", "word", port)
        assert done.returncode == 1
        assert done.stderr.endswith(b": the echo is not what was sent\n")


def test_echo_word_tells_of_an_early_end(program):
    def early_end(connection):
        connection.sendall(connection.recv(1024)[:2])
    with strangers.at_door(early_end) as port:
        done = run(program("echo_word"), "127.0.0.1", "word", port)
        assert (done.stdout, done.returncode) == (b"Received: wo", 1)
        assert done.stderr == b"recv(): connection closed prematurely\n"


def test_echo_word_without_a_server_names_call_and_address(program):
    port = closed_port()
    done = run(program("echo_word"), OWN_HOST, "word", port)
    assert done.returncode == 1
    assert f"connect() failed: Connection refused ({OWN_HOST}:{port})" in done.stderr.decode()


class Terminal:
    """A program at a terminal of its own, with somebody who types."""

    def __init__(self, *command):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.screen = b""

    def read_until(self, text):
        def shown():
            if select.select([self.terminal], [], [], 0)[0]:
                with contextlib.suppress(OSError):  # EIO is the end of a terminal
                    self.screen += os.read(self.terminal, 4096)
            return text in self.screen
        eventually(shown, f"{text} on the screen")

    def type(self, text):
        os.write(self.terminal, text)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.mark.skipif(not shutil.which("telnet"), reason="needs telnet")
def test_echo_server_at_telnet_as_on_the_slides(workshop):
    impatient = workshop.variant("echo_server", SILENCE_SECONDS=2)
    for name, farewell in [(workshop.program("echo_server"), b"Connection closed."),
                           (impatient, b"Connection closed by foreign host.")]:
        with Server(name, quiet=name is not impatient) as server, \
                Terminal("telnet", "localhost", str(server.port)) as telnet:
            telnet.read_until(b"Escape character is '^]'.\r\n")
            telnet.type(b"123\r")
            telnet.read_until(b"123\r\n123\r\n")
            assert server.line() == "server received 5 bytes"  # telnet ends its lines with CR LF
            if name is not impatient:
                telnet.type(b"\x1d")
                telnet.read_until(b"telnet> ")
                telnet.type(b"quit\r")
            telnet.read_until(farewell)


def has_netcat_that_half_closes():
    nc = shutil.which("nc")
    return nc and b"-N" in subprocess.run([nc, "-h"], stderr=subprocess.STDOUT,
                                          stdout=subprocess.PIPE).stdout


@pytest.mark.skipif(not has_netcat_that_half_closes(), reason="needs a netcat with -N")
@pytest.mark.parametrize("server, text, answer", [
    ("upper_server", "hello\n", b"HELLO\n"), ("upper_server", "hello", b"HELLO"),
    ("echo_server", "hello\n", b"hello\n"), ("message_server", "hello\n", b"I got your message")])
def test_servers_talk_to_nc(program, server, text, answer):
    with Server(program(server)) as running:
        done = run("nc", "-N", "127.0.0.1", running.port, text=text)
        assert (done.stdout, done.returncode) == (answer, 0)


# ---- The telephone ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PHONES)
def test_phone_server_with_no_service_hangs_up(program, name):
    with Server(program(name)) as server:
        for _ in range(3):
            assert strangers.phone_client(server.port) == b""
            done = run(program("phone_caller"), "127.0.0.1", server.port)
            assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


@pytest.mark.parametrize("client", ["upper_client", "phone_caller", "message_client"])
def test_no_answer_is_told_and_fails(program, client):
    with Server(program(ITERATIVE)) as ours, strangers.at_door(strangers.hang_up_at_once) as theirs:
        for port in [ours.port, theirs]:
            done = run(program(client), "127.0.0.1", port, text=LINE)
            assert done.stdout in (b"", b"Please enter the message: ")
            assert done.returncode == 1
            message = f"127.0.0.1:{port}: the server closed without an answer\n"
            if client == "message_client":  # which may fail in sending already
                message = f"127.0.0.1:{port}"
            assert message in done.stderr.decode()


@pytest.mark.parametrize("name", PHONES)
def test_phone_caller_says_its_input_and_shows_the_answer(program, phone, name):
    with Server(phone(name, ECHO)) as server:
        done = run(program("phone_caller"), "localhost", server.port, text="hello\nno newline")
        assert (done.stdout, done.returncode) == (b"hello\nno newline", 0)


# ---- Addresses, names, ports --------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVERS)
def test_local_callers_of_both_families_are_answered(workshop, name):
    with Server(talker(workshop, name)) as server:
        for host in ["localhost", "127.0.0.1", "::1"]:
            with caller(server, host) as connection:
                connection.sendall(b"hello\n")
                connection.shutdown(socket.SHUT_WR)
                answer = {"upper_server": b"HELLO\n", "message_server": b"I got your message"}
                assert receive_all(connection) == answer.get(name, b"hello\n")


def test_a_host_narrows_the_server(program):
    with Server(program("upper_server"), host="127.0.0.2") as server:
        assert refuses(server.port)
        done = run(program("upper_client"), "127.0.0.2", server.port, text=LINE)
        assert (done.stdout, done.returncode) == (ANSWER, 0)


class PrivateNetwork:
    """A network of its own with nothing but a loopback device, where every port is free."""

    def __init__(self):
        script = "ip link set lo up && ip address add 192.0.2.9/32 dev lo && echo ready && exec cat"
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", script], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.ready = self.holder.stdout.readline() == b"ready\n"
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-n"]

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(PATIENCE)
        self.holder.stdout.close()


@pytest.fixture
def private_network():
    network = PrivateNetwork()
    try:
        if not network.ready:
            pytest.skip("a private network cannot be made here")
        yield network.enter
    finally:
        network.close()


@needs_root
@pytest.mark.parametrize("server, port, client", [
    ("upper_server", 6789, "upper_client"), ("echo_server", 5000, "echo_client"),
    ("message_server", 5000, "message_client"), *[(name, 5000, "phone_caller") for name in PHONES]])
def test_host_and_port_are_optional(program, private_network, server, port, client):
    with Server(program(server), port=None, prefix=private_network) as running:
        assert running.port == port
        text = "" if client == "phone_caller" else LINE
        for arguments in [[], ["127.0.0.1"], ["localhost", port]]:
            done = run(*private_network, program(client), *arguments, text=text)
            assert (done.stderr, done.returncode) == (b"", 0)


@needs_root
def test_echo_word_calls_port_7(program, private_network):
    done = run(*private_network, program("echo_word"), "127.0.0.1", "word")
    assert done.returncode == 1
    assert b"connect() failed: Connection refused (127.0.0.1:7)" in done.stderr
    with Server(program("echo_server"), port="echo", prefix=private_network) as server:
        assert server.port == 7
        done = run(*private_network, program("echo_word"), "127.0.0.1", "word")
        assert (done.stdout, done.returncode) == (b"Received: word\n", 0)


@needs_root
def test_other_machines_are_turned_away_unless_a_host_is_named(program, private_network):
    ask = [*private_network, program("upper_client"), "192.0.2.9"]
    ask_from_here = [*private_network, program("upper_client"), "::1"]
    with Server(program("upper_server"), prefix=private_network, quiet=False) as server:
        assert run(*ask, server.port, text=LINE).returncode == 1
        assert run(*ask_from_here, server.port, text=LINE).stdout == ANSWER
        assert eventually(lambda: server.errors)[0].startswith("turned away: 192.0.2.9:")
    for host in ["::", "0.0.0.0", "192.0.2.9"]:
        with Server(program("upper_server"), host=host, prefix=private_network) as server:
            assert run(*ask, server.port, text=LINE).stdout == ANSWER


@needs_root
@needs_strace
def test_a_system_without_ipv6_is_served(program):
    no_ipv6 = inject("socket:error=EAFNOSUPPORT:when=1")
    with Server(program("upper_server"), prefix=no_ipv6) as server:
        assert strangers.java_client(server.port, b"hello") == b"FROM SERVER: HELLO"
        os.kill(only_child(server.pid), signal.SIGTERM)
        assert server.wait() == 0


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("port", ["abc", "-1", "70000", "5000x", "", " 80", "+80", "9" * 20])
def test_what_is_not_a_port_is_refused(program, name, port):
    host = [] if name.endswith("_server") or name in SERVERS else ["127.0.0.1"]
    word = ["word"] if name == "echo_word" else []
    done = run(program(name), *host, *word, port)
    assert (done.stdout, done.returncode) == (b"", 2)
    assert done.stderr.startswith(f"'{port}' is not a port".encode())


@pytest.mark.parametrize("name", [*SERVERS, *CLIENTS])
def test_too_many_arguments_bring_the_usage(program, name):
    done = run(program(name), "1", "2", "3")
    assert (done.stdout, done.returncode) == (b"", 2)
    assert done.stderr.startswith(b"usage: ")


def test_service_names_are_ports(program, tmp_path):
    for name, port in [("echo", 7), ("http", 80)]:
        done = run(program("echo_word"), "no.such.host.invalid", "word", name)
        assert f"(no.such.host.invalid:{port})" in done.stderr.decode()
        assert "getaddrinfo() failed: " in done.stderr.decode() and done.returncode == 1


@needs_root
def test_a_port_below_1024_needs_a_privilege(program):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = run(*nobody, program("echo_server"), "7", "127.0.0.1")
    assert done.returncode == 1
    assert b"bind() failed: Permission denied (127.0.0.1:7): ports below 1024" in done.stderr


def test_a_taken_port_is_told_with_its_address(program):
    with Server(program("upper_server")) as server:
        done = run(program("echo_server"), server.port)
        assert (done.stdout, done.returncode) == (b"", 1)
        assert f"bind() failed: Address already in use ([::]:{server.port})" in done.stderr.decode()


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_can_be_started_again_at_once(program, name):
    # The side that closes first keeps the connection in TIME_WAIT. A phone server does; the others
    # close after their caller, who has to say something else to be the second.
    with Server(program(name), host=OWN_HOST) as server:
        with caller(server, OWN_HOST) as connection:
            if name in PHONES:
                assert receive_all(connection) == b""
            if name == "message_server":
                connection.sendall(b"hello\n")
                assert receive_all(connection) == b"I got your message"
    with Server(program(name), port=str(server.port), host=OWN_HOST) as again:
        assert again.port == server.port


# ---- Many callers -------------------------------------------------------------------------------


def enter(server, count):
    """count callers of an IN_AND_OUT server, all connected."""
    return [call(server) for _ in range(count)]


def leave(connection):
    connection.sendall(b"x")
    assert receive_all(connection) == b"out\n"
    connection.close()


def test_iterative_server_takes_one_after_the_other(phone):
    with Server(phone(ITERATIVE, IN_AND_OUT)) as server:
        callers = enter(server, 4)
        for i, connection in enumerate(callers):
            assert receive_exactly(connection, 3) == b"in\n"
            assert all(nothing_comes(waiting) for waiting in callers[i + 1:i + 2])
            leave(connection)


@pytest.mark.parametrize("name", ["phone_server_fork", "phone_server_threads"])
def test_concurrent_server_takes_all_at_once(phone, name):
    with Server(phone(name, IN_AND_OUT)) as server:
        callers = enter(server, 20)
        for connection in callers:
            assert receive_exactly(connection, 3) == b"in\n"
        for connection in reversed(callers):
            leave(connection)


@pytest.mark.parametrize("name, constant", [("phone_server_pool", "WORKERS"),
                                            ("phone_server_fork", "CHILDREN_MAX"),
                                            ("phone_server_threads", "THREADS_MAX")])
def test_at_the_limit_the_next_waits_and_none_is_lost(phone, name, constant):
    with Server(phone(name, IN_AND_OUT, **{constant: 2})) as server:
        callers = enter(server, 6)
        for first, second in zip(callers[::2], callers[1::2]):
            assert receive_exactly(first, 3) == receive_exactly(second, 3) == b"in\n"
            if second is not callers[-1]:
                assert nothing_comes(callers[callers.index(second) + 1])
            leave(first)
            leave(second)


def test_iterative_server_takes_the_sum_of_the_times(phone):
    body = "    poll(NULL, 0, 100);\n    writen(t, \"done\\n\", 5);\n"
    with Server(phone(ITERATIVE, body)) as server:
        start = time.monotonic()
        for connection in enter(server, 4):
            assert receive_all(connection) == b"done\n"
            connection.close()
        assert time.monotonic() - start >= 0.4


@pytest.mark.parametrize("name", CONCURRENT)
def test_a_silent_caller_keeps_nobody_waiting(program, phone, name):
    with Server(phone(name, ECHO)) as server, caller(server):
        assert strangers.echo_client(server.port, [b"hello\n"]) == b"hello\n"


def test_a_silent_caller_keeps_the_iterative_server_until_he_leaves(phone):
    with Server(phone(ITERATIVE, ECHO)) as server:
        with caller(server), caller(server) as second:
            second.sendall(b"hello\n")
            second.shutdown(socket.SHUT_WR)
            assert nothing_comes(second)
            silent = eventually(lambda: 4 in descriptors(server.pid))
            assert silent
        with caller(server) as third:
            third.sendall(b"hello\n")
            third.shutdown(socket.SHUT_WR)
            assert receive_all(third) == b"hello\n"


def test_a_silent_caller_is_sent_away_at_the_limit(phone):
    with Server(phone(ITERATIVE, ECHO, SILENCE_SECONDS=1), quiet=False) as server:
        start = time.monotonic()
        with caller(server) as silent, caller(server) as second:
            second.sendall(b"hello\n")
            second.shutdown(socket.SHUT_WR)
            assert receive_all(second) == b"hello\n"
            assert time.monotonic() - start >= 0.9
            assert receive_all(silent) == b""
        assert eventually(lambda: server.errors)[0].startswith("recv() failed: Connection timed out (127.0.0.1:")


def test_forking_server_leaves_no_zombie_and_no_complaint(phone):
    with Server(phone("phone_server_fork", ECHO)) as server:
        for _ in range(200):
            with caller(server) as connection:
                connection.sendall(b"hello\n")
                assert receive_exactly(connection, 6) == b"hello\n"
        eventually(lambda: not children_of(server.pid), "no child is left")


def listening_inode(port):
    for line in pathlib.Path("/proc/net/tcp6").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            return fields[9]
    raise AssertionError("nobody listens")


def sockets(pid):
    links = []
    for fd in descriptors(pid):
        with contextlib.suppress(FileNotFoundError):  # it was closed just now
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return sorted(link[8:-1] for link in links if link.startswith("socket:"))


def test_parent_holds_the_door_and_child_the_call(phone):
    with Server(phone("phone_server_fork", IN_AND_OUT)) as server, caller(server) as connection:
        assert receive_exactly(connection, 3) == b"in\n"
        door, (child,) = listening_inode(server.port), children_of(server.pid)
        eventually(lambda: sockets(server.pid) == [door], "the parent has closed the connection")
        assert len(sockets(child)) == 1 and door not in sockets(child)
        leave(connection)


def test_the_caller_of_a_child_gets_its_end_at_once(phone):
    with Server(phone("phone_server_fork", IN_AND_OUT)) as server:
        with caller(server) as other, caller(server) as connection:
            assert receive_exactly(other, 3) == receive_exactly(connection, 3) == b"in\n"
            leave(connection)  # though another child, started later or earlier, is alive
            leave(other)


def resident_kilobytes(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def test_threads_come_and_go(phone):
    with Server(phone("phone_server_threads", IN_AND_OUT)) as server:
        sizes = []
        for _ in range(3):
            callers = enter(server, 200)
            for connection in callers:
                assert receive_exactly(connection, 3) == b"in\n"
            assert tasks(server.pid) == 201
            for connection in callers:
                leave(connection)
            eventually(lambda: tasks(server.pid) == 1, "all threads have ended")
            sizes.append(resident_kilobytes(server.pid))
        assert sizes[2] <= sizes[1] * 1.1 + 256


def test_pool_answers_all_with_its_few_workers(phone):
    with Server(phone("phone_server_pool", ECHO)) as server:
        most, texts = 0, [b"caller %d\n" % i for i in range(50)]
        with concurrent.futures.ThreadPoolExecutor(50) as clients:
            answers = [clients.submit(strangers.echo_client, server.port, [text]) for text in texts]
            while not all(answer.done() for answer in answers):
                most = max(most, tasks(server.pid))
                time.sleep(0.001)
        assert [answer.result() for answer in answers] == texts
        assert 0 < max(most, tasks(server.pid)) <= 5


@pytest.mark.parametrize("name", PHONES)
def test_answers_are_not_mixed(program, phone, name):
    with Server(phone(name, ECHO)) as server:
        texts = [b"%d " % i * 50_000 for i in range(12)]
        with concurrent.futures.ThreadPoolExecutor(12) as clients:
            command = [program("echo_client"), "localhost", server.port]
            answers = [clients.submit(run, *command, text=text) for text in texts]
        assert [answer.result().stdout for answer in answers] == texts


# ---- Trouble ------------------------------------------------------------------------------------


def only_child(pid):
    return next(iter(eventually(lambda: children_of(pid), "the child has started")))


@needs_strace
@pytest.mark.parametrize("name, error", [
    *[("upper_server", error) for error in "ECONNABORTED EPROTO ENFILE ENOBUFS ENOMEM".split()],
    *[(name, error) for name in SERVERS for error in ["EINTR", "EMFILE"]]])
def test_server_survives_what_accept_may_say(workshop, name, error):
    with Server(talker(workshop, name), prefix=inject(f"accept:error={error}:when=1..2"),
                quiet=False) as server:
        with caller(server) as connection:
            connection.sendall(b"hello\n")
            connection.shutdown(socket.SHUT_WR)
            assert receive_all(connection)
        os.kill(only_child(server.pid), signal.SIGTERM)
        assert server.wait() == 0
        told = [line.partition(":")[0] for line in server.errors]
        waits = error not in ("EINTR", "ECONNABORTED", "EPROTO")
        assert told == ["accept() failed for now"] * (2 if waits else 0)


@needs_strace
@pytest.mark.parametrize("name, message", [("phone_server_fork", "fork() failed"),
                                           ("phone_server_threads", "pthread_create() failed")])
def test_one_failed_start_costs_one_call(phone, name, message):
    with Server(phone(name, ECHO), prefix=inject("clone,clone3,fork,vfork:error=EAGAIN:when=1"),
                quiet=False) as server:
        assert strangers.phone_client(server.port) == b""
        assert strangers.echo_client(server.port, [b"hello\n"]) == b"hello\n"
        os.kill(only_child(server.pid), signal.SIGTERM)
        assert server.wait() == 0
        assert server.errors[0] == f"{message}: Resource temporarily unavailable\n"


@needs_strace
def test_a_broken_doorbell_ends_the_server(program):
    fault = inject("accept:error=EINVAL")
    with Server(program("echo_server"), prefix=fault, ends_with=1) as server:
        assert server.wait() == 1
        assert server.errors == ["accept() failed: Invalid argument\n"]


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("farewell", ["reset idle", "reset after talk", "reset at once",
                                      "close at once"])
def test_one_bad_caller_harms_nobody_else(workshop, name, farewell):
    with Server(talker(workshop, name), quiet=False) as server:
        with caller(server) as well_behaved:
            well_behaved.sendall(b"hello\n")
            well_behaved.shutdown(socket.SHUT_WR)
            assert receive_all(well_behaved)
        eventually(lambda: not children_of(server.pid) and 4 not in descriptors(server.pid))
        base = descriptors(server.pid)

        bad = call(server)
        if farewell == "reset idle":
            eventually(lambda: descriptors(server.pid) != base or children_of(server.pid))
        if farewell == "reset after talk":
            bad.sendall(b"a line\n" * 50)
        if farewell == "close at once":
            bad.close()
        else:
            reset(bad)

        with caller(server) as next_one:
            next_one.sendall(b"hello\n")
            next_one.shutdown(socket.SHUT_WR)
            assert receive_all(next_one)
        eventually(lambda: descriptors(server.pid) == base, "no descriptor is left")
        eventually(lambda: not children_of(server.pid), "no child is left")
        assert len(server.errors) <= 1 and (not server.errors or " failed: " in server.errors[0])


def test_a_reset_is_reported_with_the_caller(program):
    with Server(program("upper_server"), quiet=False) as server:
        connection = call(server)
        connection.sendall(b"hello")
        assert receive_exactly(connection, 5) == b"HELLO"
        port = connection.getsockname()[1]
        reset(connection)
        message = eventually(lambda: server.errors)
        assert message == [f"recv() failed: Connection reset by peer (127.0.0.1:{port})\n"]
        still_answers(server, program("upper_client"))


def test_a_caller_who_does_not_read_is_given_up(workshop, program):
    with Server(workshop.variant("upper_server", SILENCE_SECONDS=1), quiet=False) as server:
        with caller(server) as stuffed:
            stuffed.settimeout(PATIENCE)
            with contextlib.suppress(OSError):
                stuffed.sendall(b"x" * (64 << 20))
            still_answers(server, program("upper_client"))
        assert eventually(lambda: server.errors)[0].startswith("send() failed: Connection timed out (127.0.0.1:")


def test_a_byte_at_a_time_is_enough(program):
    with Server(program("upper_server")) as upper, Server(program("message_server")) as message:
        for server, answer in [(upper, b"HELLO\n"), (message, b"I got your message")]:
            with caller(server) as connection:
                strangers.send_byte_by_byte(connection, b"hello\n")
                connection.shutdown(socket.SHUT_WR)
                assert receive_all(connection) == answer


# ---- Closing ------------------------------------------------------------------------------------


def slow_reader(server):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", server.port))
    return connection


@pytest.mark.parametrize("name", PHONES)
def test_what_was_sent_before_the_close_arrives(phone, name):
    with Server(phone(name, THREE_MEGABYTES)) as server, slow_reader(server) as connection:
        connection.sendall(b"please\n")
        time.sleep(A_WHILE)
        assert len(receive_all(connection)) == 3_000_000


@pytest.mark.parametrize("name", PHONES)
def test_what_was_sent_arrives_even_if_the_caller_was_not_heard(phone, name):
    with Server(phone(name, THREE_MEGABYTES_UNASKED)) as server, caller(server) as connection:
        connection.sendall(b"nobody reads this\n" * 1000)
        assert len(receive_all(connection)) == 3_000_000


def test_after_its_half_close_the_caller_still_hears(program):
    with Server(program("upper_server")) as server, caller(server) as connection:
        connection.sendall(b"abc")
        connection.shutdown(socket.SHUT_WR)
        assert receive_all(connection) == b"ABC"


def test_the_end_is_not_a_byte(program):
    with Server(program("echo_server")) as server, caller(server) as connection:
        connection.sendall(b"\x04\x1a\xff\x00")
        assert receive_exactly(connection, 4) == b"\x04\x1a\xff\x00"
        connection.sendall(b"more")
        assert receive_exactly(connection, 4) == b"more"


def test_lingering_ends_when_the_caller_just_stays(program):
    with Server(program(ITERATIVE)) as server:
        with caller(server) as staying:
            assert receive_all(staying) == b""
            assert strangers.phone_client(server.port) == b""


def test_lingering_ends_when_the_caller_just_talks(program):
    with Server(program(ITERATIVE)) as server:
        with caller(server) as talking:
            talking.settimeout(PATIENCE)
            with pytest.raises(OSError):
                while True:
                    talking.sendall(b"x" * 4096)
        assert strangers.phone_client(server.port) == b""


@pytest.mark.parametrize("client", [*CLIENTS, "echo_word"])
@pytest.mark.parametrize("output, reason", [(">&-", b"Bad file descriptor"),
                                            (">/dev/full", b"No space left")])
def test_output_that_fails_is_told(phone, program, client, output, reason):
    with Server(phone("phone_server_fork", ECHO)) as server:
        words = f"127.0.0.1 {'word' if client == 'echo_word' else ''} {server.port}"
        done = run("sh", "-c", f"{program(client)} {words} {output}", text=LINE)
        assert done.returncode == 1
        assert b"standard output" in done.stderr and reason in done.stderr


@pytest.mark.parametrize("output", [">&-", ">/dev/full"])
def test_a_server_that_cannot_tell_its_port_ends(program, output):
    done = run("sh", "-c", f"{program('echo_server')} 0 {output}")
    assert done.returncode == 1 and b"standard output: " in done.stderr


def test_closed_standard_input_is_an_empty_one(program):
    with Server(program("echo_server")) as server:
        for client in ["upper_client", "echo_client", "phone_caller"]:
            done = run("sh", "-c", f"{program(client)} 127.0.0.1 {server.port} <&-")
            assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_a_server_that_never_answers_is_given_up(workshop):
    def silent(connection):
        while connection.recv(1024):
            pass
    with strangers.at_door(silent) as port:
        start = time.monotonic()
        hasty = workshop.variant("upper_client", SILENCE_SECONDS=1)
        done = run(hasty, "127.0.0.1", port, text=LINE)
        assert time.monotonic() - start >= 0.9
        assert (done.stdout, done.returncode) == (b"", 1)
        assert done.stderr == f"recv() failed: Connection timed out (127.0.0.1:{port})\n".encode()


# ---- Stopping and the system calls --------------------------------------------------------------


@pytest.mark.parametrize("name", PHONES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_refuses_at_once_and_finishes_the_conversation(phone, name, number):
    with Server(phone(name, IN_AND_OUT)) as server, caller(server) as connection:
        assert receive_exactly(connection, 3) == b"in\n"
        children = children_of(server.pid)
        server.signal(number)
        eventually(lambda: refuses(server.port), "the port refuses")
        assert server.process.poll() is None
        leave(connection)
        assert server.wait() == 0 and not server.errors
        assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]


@pytest.mark.parametrize("name", ["upper_server", "echo_server"])
def test_stopping_finishes_the_lecture_services_too(program, name):
    with Server(program(name)) as server, caller(server) as connection:
        connection.sendall(b"HELLO\n")
        assert receive_exactly(connection, 6) == b"HELLO\n"
        server.signal(signal.SIGTERM)
        eventually(lambda: refuses(server.port), "the port refuses")
        connection.sendall(b"STILL THERE?\n")
        assert receive_exactly(connection, 13) == b"STILL THERE?\n"
        connection.close()
        assert server.wait() == 0 and not server.errors


@pytest.mark.parametrize("name", PHONES)
def test_a_second_signal_ends_at_once(phone, name):
    with Server(phone(name, IN_AND_OUT), ends_with=1) as server:
        with caller(server) as connection:
            assert receive_exactly(connection, 3) == b"in\n"
            server.signal(signal.SIGINT)
            eventually(lambda: refuses(server.port), "the port refuses")
            assert server.process.poll() is None
            server.signal(signal.SIGINT)
            assert server.process.wait(PATIENCE) == 1  # a child may still talk with its caller


@pytest.mark.parametrize("name", PHONES)
def test_stopping_under_load_loses_no_one_who_was_answered(phone, name):
    with Server(phone(name, ECHO)) as server:
        answered = threading.Semaphore(0)

        def client(_):
            try:
                for _ in range(1000):
                    assert strangers.echo_client(server.port, [b"hello\n"]) == b"hello\n"
                    answered.release()
            except OSError:  # refused, or still in the queue when the door was closed
                return True
            return False

        with concurrent.futures.ThreadPoolExecutor(8) as clients:
            results = [clients.submit(client, i) for i in range(8)]
            for _ in range(50):
                assert answered.acquire(timeout=PATIENCE)
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            [result.result() for result in results]
        assert not server.errors


@needs_strace
@pytest.mark.parametrize("name", ["upper_server", "echo_server", "message_server", ITERATIVE])
def test_3_listens_and_4_is_connected_and_4_again(program, name, tmp_path):
    log = tmp_path / "calls"
    strace = ["strace", "-qq", "-o", str(log), "-e", "trace=%network,close"]
    with Server(program(name), prefix=strace) as server:
        for _ in range(2):
            with caller(server) as connection:
                connection.sendall(b"hello\n")
                connection.shutdown(socket.SHUT_WR)
                receive_all(connection)
        os.kill(only_child(server.pid), signal.SIGTERM)
        assert server.wait() == 0
    calls = log.read_text()
    order = r"socket\(AF_INET6, SOCK_STREAM.* = 3\n(.*\n)*bind\(3, .* = 0\nlisten\(3, "
    assert re.search(order, calls)
    assert re.findall(r"accept\(3, .* = (\d+)", calls) == ["4", "4"]
    assert calls.count("close(4) ") == 2 and "connect(" not in calls


@pytest.mark.parametrize("name", SERVERS)
def test_an_idle_server_uses_no_processor(program, name):
    with Server(program(name)) as server:
        strangers.echo_word(server.port, b"") if name != "message_server" else None

        def ticks():
            fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        eventually(lambda: not children_of(server.pid))

        def is_idle():
            before = ticks()
            time.sleep(A_WHILE)
            return ticks() == before
        eventually(is_idle, "it sleeps, when the last caller is put away")


# ---- The helpers --------------------------------------------------------------------------------

CHECK_NETHELP = pathlib.Path(__file__).parent / "check_nethelp.c"
CASES = re.findall(r"^    CASE\((\w+)\),$", CHECK_NETHELP.read_text(), re.M)


@pytest.fixture(scope="session")
def check_nethelp(workshop):
    output = workshop.folder / "check_nethelp"
    command = ["cc", *FLAGS, "-fsanitize=address,undefined", f"-I{SOURCE}", str(CHECK_NETHELP),
               str(SOURCE / "nethelp.c"), "-pthread", "-o", str(output)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return output


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("die_")])
def test_nethelp(check_nethelp, case, tmp_path):
    prefix = []
    if case == "second_address_is_tried":
        hosts = tmp_path / "hosts"
        hosts.write_text("::1 localhost\n127.0.0.1 localhost\n")
        script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
        prefix = ["unshare", "-m", "sh", "-c", script, "sh"]
        if run(*prefix, "true").returncode != 0:
            pytest.skip("/etc/hosts cannot be replaced here")
    done = run(*prefix, check_nethelp, case)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("case, message", [("die_with_user_message", b"x: y\n"),
                                           ("die_with_system_message", b"x: Connection refused\n")])
def test_dying_words(check_nethelp, case, message):
    done = run(check_nethelp, case)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", message)
