"""Who leaves when and how, and what others notice of it (X and C of the course's list, with strangers)."""

import concurrent.futures
import re
import signal
import socket
import subprocess

import pytest

from cases import ANSWER, HALF_CLOSING, LINE, Serving, call, connect, each, host, in_every_model, needs
from programs import DOORBELL, MODELS, PATIENCE, children_of
from strangers import BY_NAME
from workshop import Party

pytestmark = pytest.mark.xdist_group("strangers")  # what is compiled for them is compiled once

NC = ("nc.openbsd", "-N", "HOST", "PORT")
AWKWARD = b"\x04\x1a\xff\x00 end\n"


# ---- Ends, resets and silence -------------------------------------------------------------------


def test_x4_a_server_that_closes_first_is_no_failure_but_a_further_line_is(made):
    with host("cap_tcp_server", made) as server:
        done = connect(server.number, LINE)
        assert (done.stdout, done.stderr, done.returncode) == (ANSWER, b"", 0)
        with Party([DOORBELL, "connect", "127.0.0.1:%d" % server.number], made) as caller:
            caller.say(LINE)
            caller.wait_for(lambda: "stdout" not in caller.open)  # the server has closed
            caller.say(b"and this?\n")
            caller.say_no_more()
            assert caller.wait() == 6
            assert caller.stdout == ANSWER and b"the other end has gone" in caller.stderr


@needs("socat")
@pytest.mark.parametrize("service, answer", [("echo", LINE), ("upper", ANSWER), ("message", b"I got your message"),
                                             ("chargen", b"!\"#$%&")], ids=["echo", "upper", "message", "chargen"])
@in_every_model
def test_x5_a_stranger_who_resets_harms_nobody(model, service, answer, made):
    with Serving(service, "-v", model=model) as server:
        for said in b"", b"line\n" * 50:
            with Party(["socat", "-u", "-", "TCP:HOST:PORT,linger=0"], made, server.number) as caller:
                caller.say(said)
                caller.say_no_more()
                caller.wait()
        server.wait_for_words(rb" called", count=2)
        server.wait_for_words(rb"(ended|reset|broken)[^\n]*\n", count=2)
        done = connect(server.number, LINE, "-e", answer.decode())
        assert done.returncode == 0 and done.stdout.startswith(answer)


@each("cap_tcp_client", "JavaTcpClient", "tcp_client.py", "tcp_client.pl", "nc.openbsd", "nc.traditional", "ncat",
      "telnet", "curl telnet://")
def test_x6_a_stranger_who_is_killed_harms_nobody(stranger, made):
    with concurrent.futures.ThreadPoolExecutor(len(MODELS)) as pool:
        assert all(pool.map(lambda model: outlives(model, stranger, made), MODELS))


def outlives(model, stranger, made):
    with Serving("upper", "-v", model=model) as server:
        with Party(stranger.command, made, server.number):
            server.wait_for_words(rb" called")
        server.wait_for_words(rb" (ended|reset)")
        return server.answers()


@needs("nc.openbsd")
@pytest.mark.parametrize("model", [model for model in MODELS if model != "iterative"])
def test_x7_a_stranger_who_stops_reading_is_dropped_and_keeps_nobody_waiting(model, made):
    with Serving("chargen", "-v", "-i", "1s", model=model) as server:
        with Party(["nc.openbsd", "-d", "HOST", "PORT"], made, server.number) as deaf:
            deaf.wait_for_words(rb"!\"#", "stdout")
            deaf.process.send_signal(signal.SIGSTOP)
            done = connect(server.number, b"", "--recv-only", "-e", "!\"#$%")
            assert done.returncode == 0
            server.wait_for_words(rb"ended by a limit")


@each("doorbell connect", *HALF_CLOSING)
@in_every_model
def test_x8_the_end_is_no_byte(model, stranger, made):
    with Serving("echo", model=model) as server:
        assert call(stranger, made, server.number, AWKWARD).stdout == AWKWARD


@pytest.mark.parametrize("server", ["phone_server_fork echo", "echoserver"])
def test_x8_the_end_is_no_byte_at_their_servers(server, made):
    with host(server, made) as running:
        done = connect(running.number, AWKWARD)
        assert (done.stdout, done.returncode) == (AWKWARD, 0)


@each("nc.openbsd -N -l", "nc.traditional -l", "ncat -l", "socat TCP-LISTEN")
def test_x9_a_server_that_never_answers_is_given_up(stranger, made):
    with host(stranger.name, made) as server:
        done = connect(server.number, LINE, "--no-half-close", "-i", "200ms")
        assert done.returncode == 5 and b"nothing came or went for 0.2 s (12 bytes sent, 0 received)" in done.stderr


@each("doorbell connect", *HALF_CLOSING)
@in_every_model
def test_x11_who_has_nothing_to_say_only_says_so(model, stranger, made):
    with Serving("upper", "-v", model=model) as server:
        done = call(stranger, made, server.number, b"")
        assert (done.stdout, done.returncode) == (b"", 0)
        server.wait_for_words(rb"ended, 0 bytes in, 0 out")


@pytest.mark.parametrize("server", ["echoserver", "phone_server_fork echo"])
def test_x12_an_answer_that_cannot_be_shown_is_a_failure(server, made):
    with host(server, made) as running, open("/dev/full", "wb") as full:
        done = subprocess.run([DOORBELL, "connect", "127.0.0.1:%d" % running.number], input=LINE, stdout=full,
                              stderr=subprocess.PIPE, timeout=PATIENCE)
        assert done.returncode == 6 and b"No space left" in done.stderr


# ---- Stopping, and many at once -----------------------------------------------------------------


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except OSError:
        return True
    return False


@needs("nc.openbsd")
@in_every_model
def test_c15_a_stop_lets_strangers_finish(model, made):
    with Serving("upper", model=model) as server:
        callers = [Party(NC, made, server.number) for _ in range(1 if model == "iterative" else 2)]
        for caller in callers:
            caller.say(LINE)
            caller.wait_for_words(ANSWER, "stdout")
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_words(rb"stopping")
        while not refuses(server.number):
            pass
        for caller in callers:
            caller.say(LINE)
            caller.say_no_more()
            assert caller.wait() == 0 and caller.stdout == 2 * ANSWER
            caller.end()
        assert server.wait() == 0
        assert children_of(server.process.pid) == []


@needs("nc.openbsd")
@in_every_model
def test_c16_a_second_interrupt_ends_it_at_once(model, made):
    with Serving("upper", "--grace", "60s", model=model) as server, Party(NC, made, server.number) as caller:
        caller.say(LINE)
        caller.wait_for_words(ANSWER, "stdout")
        server.process.send_signal(signal.SIGINT)
        server.wait_for_words(rb"stopping")
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 5
        caller.wait()  # nobody is there any more


def test_c17_a_hundred_short_strangers_interrupt_nothing(made):
    with Serving("upper", model="fork") as server, concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call, BY_NAME["cap_tcp_client"], made, server.number) for _ in range(100)]
        assert {done.result().stdout for done in calls} == {b"FROM SERVER: HELLO, DOOR\n"}
        assert server.answers()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert b"nterrupted" not in server.stderr


@needs("nc.openbsd", "ncat")
@in_every_model
def test_c20_two_strangers_have_two_ports_and_their_own_answers(model, made):
    with Serving("upper", "-v", model=model) as server:
        with Party(NC, made, server.number) as first, Party(["ncat", "HOST", "PORT"], made, server.number) as second:
            for word in b"one", b"two":
                first.say(word + b"\n")
                second.say(word + b", too\n")
            for caller in first, second:  # iterative: one after the other
                caller.say_no_more()
            assert (first.wait(), second.wait()) == (0, 0)
            assert (first.stdout, second.stdout) == (b"ONE\nTWO\n", b"ONE, TOO\nTWO, TOO\n")
        server.wait_for_words(rb" called", count=2)
        ports = re.findall(rb"tcp:127\.0\.0\.1:(\d+) called", server.stderr)
        assert len(set(ports)) == 2
