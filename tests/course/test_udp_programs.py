"""The datagram programs of course/posix: against each other, those of the slides, and a network that loses."""

import contextlib
import re
import signal
import socket
import threading

import pytest

from datagrams import needs_low_ports
from lossy import Relay
from networks import own_network
from posix_programs import PATIENCE, Server, run
from programs import OWN_HOST, closed_port, spare_port

ANSWER = b"FROM SERVER: HELLO, DOOR\n"
LINE = "hello, door\n"


@pytest.fixture
def hasty(workshop):
    """The client, which begins again after 20 ms."""
    return workshop.variant("upper_udp_client", FIRST_WAIT_MS=20)


@pytest.fixture
def stubborn(workshop):
    """... and gives up after 20 s, however slow this machine is."""
    return workshop.variant("upper_udp_client", FIRST_WAIT_MS=20, TRIES=10)


@contextlib.contextmanager
def mailbox(host="127.0.0.1", port=0):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as box:
        box.settimeout(PATIENCE)
        box.bind((host, port))
        yield box


@contextlib.contextmanager
def stranger(answer, count=1):
    """A server as on the slides: answer(datagram) to each of so many datagrams. Gives its port."""
    with mailbox() as box:
        def serve():
            for _ in range(count):
                data, sender = box.recvfrom(65536)
                box.sendto(answer(data), sender)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield box.getsockname()[1]
        thread.join(PATIENCE)


def padded(data, buffer=bytearray(b"the secret is 42, and this line is a long one" + bytes(979))):
    """The Java and C servers: all of their buffer."""
    buffer[:len(data)] = data.upper()
    return bytes(buffer)


def ask(box, server, data, host="127.0.0.1"):
    box.sendto(data, (host, server.port))
    return box.recvfrom(65536)[0]


def test_client_and_server(program):
    with Server(program("upper_udp_server")) as server:
        for host in ["localhost", "127.0.0.1", "::1"]:
            done = run(program("upper_udp_client"), host, server.port, text="hello, door\n\nthree")
            assert done.stdout == ANSWER + b"FROM SERVER: \nFROM SERVER: THREE\n"
            assert (done.stderr, done.returncode) == (b"", 0)


# P18 to P21, U14
def test_server_answers_each_client_of_the_slides_with_as_much_as_it_sent(program):
    with Server(program("upper_udp_server")) as server, mailbox() as box:
        for data in [b"hello, door", b"h", b"", b"hello, door\n" + bytes(1012), b"caf\xc3\xa9 \xff"]:
            assert ask(box, server, data) == bytes(c - 32 if 97 <= c <= 122 else c for c in data)


# U8
def test_server_tells_its_callers_apart(program):
    with Server(program("upper_udp_server")) as server, mailbox() as one, mailbox() as two:
        for i in range(20):
            one.sendto(b"one %d" % i, ("127.0.0.1", server.port))
            two.sendto(b"two %d" % i, ("127.0.0.1", server.port))
        assert [one.recv(99) for _ in range(20)] == [b"ONE %d" % i for i in range(20)]
        assert [two.recv(99) for _ in range(20)] == [b"TWO %d" % i for i in range(20)]


# U10
def test_server_answers_the_longest_datagram(program):
    with Server(program("upper_udp_server")) as server, mailbox() as box:
        assert ask(box, server, b"a" * 65507) == b"A" * 65507


# U17
def test_server_goes_on_when_a_caller_has_gone(program):
    with Server(program("upper_udp_server")) as server:
        for _ in range(5):
            with mailbox() as gone:
                gone.sendto(b"gone", ("127.0.0.1", server.port))
        with mailbox() as box:
            assert ask(box, server, b"here") == b"HERE"


def test_server_does_not_answer_other_servers(program):
    with Server(program("upper_udp_server"), quiet=False) as server, mailbox() as box:
        other = needs_low_ports()
        if not other:
            pytest.skip("needs a port below 1024")
        with other:
            low = other.getsockname()[1]
            other.sendto(b"hello", ("127.0.0.1", server.port))
            assert ask(box, server, b"hello") == b"HELLO"  # which came later
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.recv(99)
        server.stop()
        assert server.errors == ["not answered: 127.0.0.1:%d\n" % low]


# A14, A17
def test_server_shares_its_number_with_tcp_and_may_have_one_address(program):
    with own_network(), Server(program("upper_server")) as tcp:  # where nobody else has taken the number
        with Server(program("upper_udp_server"), port=str(tcp.port)) as udp:
            assert tcp.port == udp.port
            assert run(program("upper_udp_client"), "127.0.0.1", udp.port, text=LINE).stdout == ANSWER
    with Server(program("upper_udp_server"), host="127.0.0.2") as server:
        assert run(program("upper_udp_client"), "127.0.0.2", server.port, text=LINE).stdout == ANSWER
        done = run(program("upper_udp_client"), OWN_HOST, server.port, text=LINE)
        assert done.returncode == 1 and b"Connection refused (%s:" % OWN_HOST.encode() in done.stderr


def test_a_second_server_at_the_port_is_refused(program):
    with Server(program("upper_udp_server")) as server:
        done = run(program("upper_udp_server"), server.port)
        assert done.returncode == 1
        assert re.search(rb"bind\(\) failed: Address already in use \(\[::\]:%d\)" % server.port, done.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_ends_well_at_a_signal(program, number):
    with Server(program("upper_udp_server")) as server:
        server.signal(number)
        assert server.wait() == 0 and not server.errors


# P23, U19
@pytest.mark.parametrize("answer", [bytes.upper, padded, lambda data: data.upper() + b"\n"],
                         ids=["python", "padded", "with newline"])
def test_client_gets_on_with_the_servers_of_the_slides(program, answer):
    with stranger(answer) as port:
        done = run(program("upper_udp_client"), "127.0.0.1", port, text=LINE)
        assert (done.stdout, done.stderr, done.returncode) == (ANSWER, b"", 0)


# U1, U2, U5, U20
@pytest.mark.parametrize("up, down", [("x.", ""), ("", "x."), ("xx.x", "x.x"), ("2.2", ".2."), (".xx", "2x")])
def test_client_survives_a_network_that_loses_and_doubles(program, stubborn, up, down):
    with Server(program("upper_udp_server")) as server, Relay(server.port, up, down) as relay:
        done = run(stubborn, "127.0.0.1", relay.port, text="one\ntwo\nthree\n")
        assert done.stdout == b"FROM SERVER: ONE\nFROM SERVER: TWO\nFROM SERVER: THREE\n"
        assert (done.stderr, done.returncode) == (b"", 0)


# U3
def test_client_gives_up_and_says_so(hasty):
    with mailbox() as deaf:
        port = deaf.getsockname()[1]
        done = run(hasty, "127.0.0.1", port, text=LINE)
        assert (done.stdout, done.returncode) == (b"", 1)
        assert done.stderr == b"127.0.0.1:%d: no answer to 5 datagrams\n" % port
        deaf.setblocking(False)
        assert [deaf.recv(99) for _ in range(5)] == [b"hello, door"] * 5
        with pytest.raises(BlockingIOError):
            deaf.recv(99)


# U4
def test_client_is_told_at_once_that_nobody_is_there(program):
    port = closed_port(socket.SOCK_DGRAM)
    done = run(program("upper_udp_client"), OWN_HOST, port, text=LINE)
    assert (done.stdout, done.returncode) == (b"", 1)
    assert done.stderr.decode() == "send() or recv() failed: Connection refused (%s:%d)\n" % (OWN_HOST, port)


def test_client_does_not_listen_to_others(stubborn):
    with mailbox() as server, mailbox() as other:
        def serve():
            data, sender = server.recvfrom(99)
            other.sendto(b"false", sender)
            server.sendto(data.upper(), sender)
        threading.Thread(target=serve, daemon=True).start()
        assert run(stubborn, "127.0.0.1", server.getsockname()[1], text=LINE).stdout == ANSWER


# U11
def test_client_refuses_what_no_datagram_can_hold(program):
    with Server(program("upper_udp_server")) as server:
        done = run(program("upper_udp_client"), "127.0.0.1", server.port, text="a" * 65507)
        assert done.stdout == b"FROM SERVER: " + b"A" * 65507 + b"\n"
        done = run(program("upper_udp_client"), "127.0.0.1", server.port, text="a" * 65508)
        assert (done.stdout, done.returncode) == (b"", 1)
        assert done.stderr.endswith(b": the line is too long for a datagram: 65507 bytes are the most\n")


# U15, U16
def test_client_may_have_a_port_of_its_own(program):
    own = spare_port(socket.SOCK_DGRAM)
    with mailbox(port=own):
        done = run(program("upper_udp_client"), "127.0.0.1", 9, own, text=LINE)
        assert done.returncode == 1 and b"bind() failed: Address already in use" in done.stderr
    senders = []
    with mailbox() as box:
        def serve():
            for _ in range(3):
                data, sender = box.recvfrom(99)
                senders.append(sender[1])
                box.sendto(data.upper(), sender)
        threading.Thread(target=serve, daemon=True).start()
        port = box.getsockname()[1]
        assert run(program("upper_udp_client"), "127.0.0.1", port, own, text="a\nb\n").returncode == 0
        assert run(program("upper_udp_client"), "127.0.0.1", port, text="a\n").returncode == 0
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first, last = map(int, file.read().split())
    assert senders[:2] == [own, own] and first <= senders[2] <= last


def test_wrong_usage_is_told(program):
    for arguments in [["localhost", "1", "2", "3"], ["localhost", "70000"], ["localhost", "1", "x"]]:
        assert run(program("upper_udp_client"), *arguments).returncode == 2
    assert run(program("upper_udp_server"), "1", "2", "3").returncode == 2
    done = run(program("upper_udp_client"), "no.such.host.invalid", "1")
    assert done.returncode == 1 and b"no.such.host.invalid" in done.stderr
