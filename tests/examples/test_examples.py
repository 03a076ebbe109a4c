"""The examples, run as their first comments say."""

import socket
import subprocess

import pytest

from programs import (BACKENDS, MODELS, OWN_HOST, PATIENCE, Server, closed_port, example, read_all, read_exactly, read_line,
                      run, serve)

SHARING = ["threads", "pool", "coroutines"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
def test_echo_runs_under_every_model(model, backend):
    with Server([example("echo"), "127.0.0.1:0"], model=model, backend=backend) as server:
        with server.call() as caller:
            caller.sendall(b"ding dong\n")
            assert read_line(caller) == b"ding dong\n"
        assert server.stop() == 0


@pytest.mark.parametrize("model", MODELS)
def test_greet_has_a_protocol_of_its_own(model):
    with Server([example("greet"), "127.0.0.1:0"], model=model) as server:
        with server.call() as caller:
            caller.sendall(b"Ada\r\nGrace\nbye\n")
            assert read_all(caller) == b"hello, Ada\nhello, Grace\ngood bye\n"
        with server.call() as caller:
            caller.sendall(b"x" * 100 + b"\n")
            with pytest.raises(ConnectionResetError):
                read_all(caller)
        assert server.stop() == 0


class Member:
    def __init__(self, server, receive_buffer=None):
        self.caller = socket.socket()
        self.caller.settimeout(PATIENCE)
        if receive_buffer:
            self.caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.caller.connect(("127.0.0.1", server.port))
        self.lines = self.caller.makefile("rb")
        self.name = self.expect("came in").split()[0]

    def leave(self):
        self.lines.close()
        self.caller.close()

    def say(self, line):
        self.caller.sendall(line.encode() + b"\n")

    def expect_any(self, *choices):
        """The next line that has one of these in it."""
        while True:
            line = self.lines.readline().decode()
            assert line, "the chat hung up before: %s" % (choices,)
            if any(words in line for words in choices):
                return line

    def expect(self, words):
        return self.expect_any(words)


@pytest.mark.parametrize("model", ["threads", "coroutines"])
def test_chat_has_rooms_and_nicknames(model):
    with Server([example("chat"), "127.0.0.1:0"], model=model) as server:
        one, two = Member(server), Member(server)
        one.expect(two.name + " came in")
        one.say("hello")
        two.expect(one.name + ": hello")
        two.say("/nick Ada")
        one.expect("Ada is here")
        two.say("it is me")
        one.expect("Ada: it is me")
        two.say("/join attic")
        one.expect("Ada becomes or goes to attic")
        two.expect("Ada is here")
        two.say("nobody hears this")
        two.expect("nobody hears this")
        one.say("ping")
        assert "nobody" not in one.expect("ping")
        two.leave()
        one.leave()
        assert server.stop() == 0


def test_chat_runs_in_a_pool():
    # With a processor a worker there may be only one, who serves one member at a time.
    with Server([example("chat"), "127.0.0.1:0"], model="pool") as server:
        one = Member(server)
        one.say("alone")
        one.expect(one.name + ": alone")
        one.leave()
        assert server.stop() == 0


@pytest.mark.parametrize("model", ["threads", "coroutines"])
def test_chat_drops_a_slow_reader_and_nobody_waits(model):
    with Server([example("chat"), "127.0.0.1:0"], model=model) as server:
        slow, quick = Member(server, 4096), Member(server)
        line = "x" * 400
        for number in range(100000):
            quick.say("%d %s" % (number, line))
            if slow.name + " left" in quick.expect_any(": %d " % number, slow.name + " left"):
                break
        else:
            pytest.fail("the slow reader was never dropped")
        slow.leave()
        quick.leave()
        assert server.stop() == 0


@pytest.mark.parametrize("model", ["fork", "prefork"])
@pytest.mark.parametrize("name, arguments", [("chat", ["127.0.0.1:0"]), ("forward", ["127.0.0.1:0", "127.0.0.1:1"])])
def test_what_shares_memory_refuses_processes_in_a_sentence(name, arguments, model):
    with Server([example(name), *arguments], model=model) as server:
        assert server.process.wait(PATIENCE) == 1
        server.wait_for("model %s has processes, and the handlers share memory" % model)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", SHARING + ["iterative"])
def test_forward_joins_a_caller_to_a_server(model, backend):
    with serve("upper", "127.0.0.1:0") as target:
        with Server([example("forward"), "127.0.0.1:0", target.address], model=model, backend=backend) as server:
            for _ in range(3):
                done = run("connect", server.address, data=b"hello\n" * 100000)
                assert (done.stdout, done.returncode) == (b"HELLO\n" * 100000, 0)
            assert server.stop() == 0
            server.wait_for("1800000 bytes there, 1800000 back")


def test_forward_resets_a_caller_whose_server_is_not_there():
    with Server([example("forward"), "127.0.0.1:0", "%s:%d" % (OWN_HOST, closed_port())]) as server:
        with pytest.raises(ConnectionResetError):  # that may come before connect(2) returns
            with server.call() as caller:
                caller.sendall(b"x")
                read_exactly(caller, 1)
        server.wait_for("connection refused")


@pytest.mark.parametrize("model", [model for model in MODELS if model != "fork"])
def test_datagrams_are_asked_for_and_served(model, tmp_path):
    for address in ("udp:127.0.0.1:0", "unixgram:%s/x" % tmp_path):
        with Server([example("datagrams"), "serve", address], model=model) as server:
            done = subprocess.run([example("datagrams"), "ask", server.address, "hello", "", "ding dong"],
                                  capture_output=True, timeout=PATIENCE)
            assert (done.stdout, done.stderr, done.returncode) == (b"HELLO\n\nDING DONG\n", b"", 0)
            assert server.stop() == 0


def test_a_client_of_datagrams_is_told_that_nobody_is_there():
    address = "udp:%s:%d" % (OWN_HOST, closed_port(socket.SOCK_DGRAM))
    done = subprocess.run([example("datagrams"), "ask", address, "hello"], capture_output=True, timeout=PATIENCE)
    assert done.stderr == b"datagrams: call %s: connection refused\n" % address.encode() and done.returncode == 1
