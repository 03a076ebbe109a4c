"""doorbell connect over datagrams and messages: a client that survives loss, and one that only copies. A letter
and a number in a name is a case of the course's list."""

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from datagrams import Answering, Program, Relay, abstract, connect, counts, udp_port
from networks import broadcast_link, ip, own_network, wait_until_up
from programs import DOORBELL, OWN_HOST, PATIENCE, closed_port, run, serve

# Strangers as textbooks print them, who know nothing of repeating.
PYTHON_SERVER = """
from socket import *
server = socket(AF_INET, SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    message, client = server.recvfrom(2048)
    server.sendto(message.decode().upper().encode(), client)
"""
PYTHON_CLIENT = """
import sys
from socket import *
client = socket(AF_INET, SOCK_DGRAM)
client.sendto(input("Input lowercase sentence:").encode(), ("127.0.0.1", int(sys.argv[1])))
print(client.recvfrom(2048)[0].decode())
"""
PERL_CLIENT = """
use IO::Socket::INET;
my $line = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0], Proto => "udp");
$line->send(scalar <STDIN>);
$line->recv(my $answer, 1024);
print "FROM SERVER: $answer";
"""
QUICK = ["--retry", "20ms", "--tries", "10"]
# Where it counts how often something was asked: once, however slow this machine is.
ONCE = ["--retry", "1m"]


def silent():
    return Answering(lambda *_: [])


def nowhere():
    return "udp:%s:%d" % (OWN_HOST, closed_port(socket.SOCK_DGRAM))


@contextlib.contextmanager
def upper_behind(**fates):
    with serve("upper", "udp:127.0.0.1:0") as server, Relay(udp_port(server), **fates) as relay:
        yield server, relay


# ---- Loss ---------------------------------------------------------------------------------------

def test_U1_a_lost_question_is_repeated():
    with upper_behind(up="x") as (_, relay):
        done = run("connect", relay.address, *QUICK, data=b"hello, door\n")
        assert (done.stdout, done.stderr, done.returncode) == (b"HELLO, DOOR\n", b"", 0)
        assert relay.seen["up"] >= 2


def test_U2_a_lost_answer_is_asked_for_again():
    with upper_behind(down="x") as (_, relay):
        done = run("connect", relay.address, *QUICK, data=b"hello, door\n")
        assert (done.stdout, done.returncode) == (b"HELLO, DOOR\n", 0)
        assert relay.seen["up"] >= 2


def test_U3_who_is_never_answered_gives_up_within_a_bound():
    """The message names host, port, tries and time. The bound of the defaults is 31 to 47 s."""
    with silent() as server:
        done = run("connect", server.address, "--retry", "10ms", "--tries", "4", data=b"hello\n")
        assert done.returncode == 5
        found = re.fullmatch(r"doorbell: call udp:127.0.0.1:%d: no answer, asked 4 times in (\d+) ms\n" % server.port,
                             done.stderr.decode())
        assert found and int(found[1]) >= 150  # 10 + 20 + 40 + 80, and up to a half more
        assert server.all_asked() == 4 * [b"hello\n"]


def test_U3_the_defaults_are_those_of_the_page():
    page = run("connect", "--help").stdout.decode()
    assert re.search(r"--tries N +.*\n? +.*\[5\]", page) and re.search(r"--retry TIME(.*\n){1,3}.*\[1s\]", page)


def test_U4_nobody_there_is_told_at_once():
    address = nowhere()
    for options in (ONCE, ["--no-retry"], ["--send-only"], ["-z", *ONCE]):
        done = run("connect", address, *options, data=b"hello\n")
        assert done.returncode == 4 and b"refused" in done.stderr and address.encode() in done.stderr, options
        assert done.stderr.count(b"\n") == 1


def test_U5_each_answer_comes_once_and_in_order():
    with upper_behind(down="2222222222") as (_, relay):
        done = run("connect", relay.address, *QUICK, data=b"one\ntwo\nthree\n")
        assert (done.stdout, done.returncode) == (b"ONE\nTWO\nTHREE\n", 0)


def test_U20_two_hundred_lines_through_a_bad_network():
    lines = [b"line %d\n" % number for number in range(200)]
    with upper_behind(up="x.2" * 50, down=".x2" * 50) as (_, relay):
        done = run("connect", relay.address, *QUICK, data=b"".join(lines), timeout=2 * PATIENCE)
        assert done.stdout == b"".join(lines).upper()
        assert done.returncode == 0


def test_a_third_lost_each_way_is_survived():
    """30 % are lost each way, and each question is answered or reported. DOORBELL_QUESTIONS=10000 asks more."""
    clients = 10
    each = int(os.environ.get("DOORBELL_QUESTIONS", "100")) // clients
    with upper_behind(up=0.3, down=0.3) as (_, relay):
        # A question fails its 25 tries in 1 of 20 million: 0.51 to the power of 25. The wait before the 13th is 20 s;
        # the hundred of every day need 8 at most, see Relay.
        asking = [connect(relay.address, "--retry", "5ms", "--tries", "25", "-t", "5m") for _ in range(clients)]
        with contextlib.ExitStack() as stack:
            for number, client in enumerate(stack.enter_context(one) for one in asking):
                client.say(b"".join(b"line %d of %d\n" % (line, number) for line in range(each)))
                client.end_input()
            for number, client in enumerate(asking):
                expected = b"".join(b"LINE %d OF %d\n" % (line, number) for line in range(each))
                assert client.hear(len(expected), PATIENCE * (1 + each / 20)) == expected
                assert client.wait() == 0 and client.process.stderr.read() == b""
        assert relay.seen["up"] > 1.5 * clients * each


def test_what_was_not_answered_is_told_with_its_number():
    with Answering(lambda data, _: [data] if data < b"c" else []) as server:
        done = run("connect", server.address, "--retry", "1s", "--tries", "1", data=b"a\nb\nc\nd\n")
        assert (done.stdout, done.returncode) == (b"a\nb\n", 5)
        assert b"asked 1 time in" in done.stderr and b"(question 3; 2 answered)" in done.stderr


# ---- Strangers ----------------------------------------------------------------------------------

def test_U19_P23_the_server_of_the_textbook_is_asked_again():
    with Program(sys.executable, "-c", PYTHON_SERVER) as stranger:
        with Relay(int(stranger.process.stdout.readline()), up="x.", down="x") as relay:
            done = run("connect", relay.address, *QUICK, data=b"hello, door\n")
            assert (done.stdout, done.returncode) == (b"HELLO, DOOR\n", 0)


@pytest.mark.parametrize("command", [[sys.executable, "-c", PYTHON_CLIENT], ["perl", "-e", PERL_CLIENT]],
                         ids=["python", "perl"])
def test_P19_P21_the_clients_of_the_textbook_get_their_answers(command):
    if not shutil.which(command[0]):
        pytest.skip("there is no %s here" % command[0])
    with serve("upper", "udp:127.0.0.1:0") as server:
        done = subprocess.run([*command, str(server.port)], input=b"hello, door\n", capture_output=True,
                              timeout=PATIENCE)
        assert done.stdout.endswith(b"HELLO, DOOR\n") and done.returncode == 0


def test_P18_P20_padding_comes_back_as_it_came():
    with serve("upper", "udp:127.0.0.1:0") as server:
        padded = b"hello, door\n".ljust(1024, b"\0")
        done = run("connect", server.address, "--whole", data=padded)
        assert done.stdout == padded.upper()


@pytest.mark.parametrize("command", [["nc.openbsd", "-u", "-l", OWN_HOST], ["ncat", "-u", "-l", OWN_HOST]],
                         ids=lambda command: command[0])
def test_netcats_that_listen_answer_by_hand(command):
    if not shutil.which(command[0]):
        pytest.skip("there is no %s here" % command[0])
    address = nowhere()
    with Program(*command, address.rsplit(":", 1)[1]) as stranger, connect(address, "--wait", "20s", *ONCE) as client:
        client.say(b"hello\n")
        assert stranger.hear(6) == b"hello\n"
        stranger.say(b"good day\n")
        assert client.hear(9) == b"good day\n"
        client.end_input()
        assert client.wait() == 0


def test_socat_answers_unix_datagrams(tmp_path):
    """UNIX-RECVFROM answers the sender's own address, so the client must have one; and takes it with it."""
    if not shutil.which("socat"):
        pytest.skip("there is no socat here")
    path = str(tmp_path / "s")
    with Program("socat", "UNIX-RECVFROM:%s,fork" % path, "SYSTEM:tr a-z A-Z"):
        done = run("connect", "unixgram:" + path, "--wait", "20s", *ONCE, data=b"hello\n")
        assert (done.stdout, done.returncode) == (b"HELLO\n", 0)
    assert os.listdir(tmp_path) in (["s"], [])


# ---- What is a datagram -------------------------------------------------------------------------

def sent_by(*options, data=b""):
    with Answering(lambda data, _: [b"ok"]) as server:
        done = run("connect", server.address, *ONCE, *options, data=data)
        assert done.returncode == 0, done.stderr
        return server.asked


def test_a_line_is_a_datagram_and_the_rest_is_one():
    assert sent_by(data=b"one\n\nthree\nrest") == [b"one\n", b"\n", b"three\n", b"rest"]
    assert sent_by(data=b"") == []


def test_all_of_stdin_is_one_on_request():
    assert sent_by("--whole", data=b"one\n\0two\n") == [b"one\n\0two\n"]
    assert sent_by("--whole", data=b"") == [b""]


def test_a_text_is_one():
    assert sent_by("-s", "one\\ntwo\\n") == [b"one\ntwo\n"]
    assert sent_by("-s", "") == [b""]


def test_lines_may_get_a_carriage_return():
    assert sent_by("-C", data=b"one\ntwo\r\n") == [b"one\r\n", b"two\r\n"]


def test_U9_an_empty_answer_is_an_answer():
    with serve("echo", "udp:127.0.0.1:0") as server:
        done = run("connect", server.address, "-s", "")
        assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_U10_the_longest_datagram_goes_both_ways():
    data = os.urandom(65507).replace(b"\n", b"x")
    with serve("echo", "udp:127.0.0.1:0") as server:
        done = run("connect", server.address, data=data)
        assert done.stdout == data and done.returncode == 0


@pytest.mark.parametrize("options", [[], ["--whole"], ["--no-retry"], ["--send-only"]])
def test_U11_what_is_too_long_is_told_and_nothing_is_cut(options):
    with serve("echo", "udp:127.0.0.1:0") as server:
        done = run("connect", server.address, *options, data=b"x" * 65508)
        assert (done.stdout, done.returncode) == (b"", 6)
        assert b"a datagram of 65508 bytes is too long: UDP takes 65507" in done.stderr
        assert done.stderr.count(b"\n") == 1
        done = run("connect", server.address, *options, data=b"x" * 1000000)
        assert (done.stdout, done.returncode) == (b"", 6) and b"which no datagram can have" in done.stderr
        server.stop()
        assert counts(server)[0] == 0


# ---- Ports --------------------------------------------------------------------------------------

def test_U15_a_port_of_ones_own():
    port = closed_port(socket.SOCK_DGRAM)
    mine = "%s:%d" % (OWN_HOST, port)
    with Answering(lambda data, _: [data]) as server:
        done = run("connect", server.address, "-b", mine, *ONCE, data=b"one\ntwo\n")
        assert (done.stdout, done.returncode) == (b"one\ntwo\n", 0)
        assert server.callers == 2 * [(OWN_HOST, port)]
        with connect(server.address, "-b", mine) as first:
            first.say(b"mine\n")
            assert first.hear(5) == b"mine\n"
            done = run("connect", server.address, "-b", mine, data=b"x\n")
            assert done.returncode not in (0, 5) and b"in use" in done.stderr


def test_U16_a_port_of_the_kernels():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        low, high = map(int, file.read().split())
    with Answering(lambda data, _: [data]) as server:
        assert run("connect", server.address, data=b"one\ntwo\n").stdout == b"one\ntwo\n"
        assert all(low <= port <= high for _, port in server.callers)


def test_U21_no_packets_before_the_data():
    """A connected UDP socket is a thing of the kernel's; nothing is sent for it, or at its end."""
    if not shutil.which("strace"):
        pytest.skip("there is no strace here")
    with Answering(lambda data, _: [data]) as server:
        done = subprocess.run(["strace", "-f", "-e", "trace=network", DOORBELL, "connect", server.address, *ONCE],
                              input=b"hello\n", capture_output=True, timeout=PATIENCE)
        if b"ptrace" in done.stderr and done.returncode:
            pytest.skip("nothing may be traced here")
        assert done.stdout == b"hello\n"
        sends = [line for line in done.stderr.split(b"\n") if re.search(rb"send(to|msg)?\(\d", line)]
        assert len(sends) == 1 and b"hello" in sends[0]
        assert server.asked == [b"hello\n"]


# ---- Without questions --------------------------------------------------------------------------

def test_U22_several_answers_are_all_shown():
    with Answering(lambda data, _: [data, b"and one more\n", b"", b"and the last\n"]) as server:
        done = run("connect", server.address, "--no-retry", "-e", "last\\n", data=b"one\n")
        assert (done.stdout, done.returncode) == (b"one\nand one more\nand the last\n", 0)


def test_U22_one_answer_to_several():
    with Answering(lambda data, number: [b"three came\n"] if number == 3 else []) as server:
        done = run("connect", server.address, "--no-retry", "-e", "came", data=b"1\n2\n3\n")
        assert (done.stdout, done.returncode) == (b"three came\n", 0)
        assert server.asked == [b"1\n", b"2\n", b"3\n"]


def test_it_ends_some_time_after_stdin_has():
    with Answering(lambda data, _: [data]) as server:
        done = run("connect", server.address, "--no-retry", "-i", "1s", data=b"one\n")
        assert (done.stdout, done.stderr, done.returncode) == (b"one\n", b"", 0)
    with silent() as server:
        done = run("connect", server.address, "--no-retry", "-i", "100ms", data=b"one\n")
        assert done.returncode == 5 and re.search(rb"nothing came (back|or went) for 0.1 s", done.stderr)


@pytest.mark.parametrize("options", [ONCE, ["--no-retry", "-i", "1s"]], ids=["asking", "no-retry"])
def test_what_was_expected_and_did_not_come_is_1(options):
    with Answering(lambda data, _: [data]) as server:
        done = run("connect", server.address, *options, "-e", "three", data=b"one\ntwo\n")
        assert done.returncode == 1 and b"expected" in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("options", [ONCE, ["--no-retry"]], ids=["asking", "no-retry"])
def test_what_was_expected_may_come_in_two(options):
    with Answering(lambda data, _: [data]) as server:
        done = run("connect", server.address, *options, "-e", "e\\ntw", data=b"one\ntwo\n")
        assert (done.returncode, done.stderr) == (0, b"")


def test_what_is_only_sent_is_not_waited_for():
    with serve("discard", "udp:127.0.0.1:0", "-v") as server:
        done = run("connect", server.address, "--send-only", data=b"one\ntwo\n")
        assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
        server.wait_for("4 bytes in, and no answer", 2)


def test_what_is_only_received():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        with connect("udp:127.0.0.1:%d" % peer.getsockname()[1], "--recv-only", "-v", "-e", "bye") as client:
            line = client.process.stderr.readline().decode()
            port = int(re.search(r"from udp:127.0.0.1:(\d+)", line)[1])
            peer.sendto(b"news\n", ("127.0.0.1", port))
            assert client.hear(5) == b"news\n"
            peer.sendto(b"bye", ("127.0.0.1", port))
            assert client.wait() == 0


# ---- Time ---------------------------------------------------------------------------------------

def test_X9_a_time_limit_for_the_answer():
    with silent() as server:
        done = run("connect", server.address, "-t", "1s", data=b"hello\n")
        assert done.returncode == 5 and re.search(rb"no answer, asked 1 time in \d+", done.stderr)


def test_a_silent_stdin_has_a_limit():
    with silent() as server, connect(server.address, "-i", "100ms") as client:
        assert client.wait() == 5
        assert b"nothing came or went for 0.1 s" in client.process.stderr.read()


def test_check_is_answered_or_not():
    with serve("echo", "udp:127.0.0.1:0") as server:
        done = run("connect", "-z", server.address)
        assert done.returncode == 0 and b"answers an empty datagram" in done.stderr
    with silent() as server:
        done = run("connect", "-z", server.address, "--tries", "2", "--retry", "5ms")
        assert done.returncode == 5 and b"no answer, asked 2 times" in done.stderr


def test_a_server_that_comes_later_is_waited_for():
    address = nowhere()
    with connect(address, "--wait", "20s", "--times") as client:
        client.say(b"hello\n")
        with serve("upper", address):
            assert client.hear(6) == b"HELLO\n"


def test_X11_an_empty_stdin_asks_nothing():
    with silent() as server:
        done = run("connect", server.address)
        assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    assert server.asked == []


def test_at_a_terminal_a_stranger_moves_no_cursor():
    master, terminal = pty.openpty()
    with Answering(lambda data, _: [b"\033[2Jgood day\n"]) as server:
        process = subprocess.Popen([DOORBELL, "connect", server.address], stdin=terminal, stdout=terminal,
                                   stderr=terminal)
        os.close(terminal)
        try:
            os.write(master, b"hello\n")
            screen = b""
            while b"good day" not in screen:
                assert select.select([master], [], [], PATIENCE)[0], screen
                screen += os.read(master, 1000)
            assert b"^[[2Jgood day" in screen and b"connected to " + server.address.encode() in screen
            os.write(master, b"\x04")
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
            os.close(master)


def test_json_tells_each_answer():
    import json
    with serve("upper", "udp:127.0.0.1:0") as server:
        done = run("connect", server.address, "--json", data=b"one\ntwo\n")
        events = [json.loads(line) for line in done.stderr.splitlines()]
        assert [event["type"] for event in events] == ["connected", "answer", "answer", "summary"]
        assert events[1]["bytes_sent"] == events[1]["bytes_received"] == 4
        assert (events[3]["asked"], events[3]["answered"], events[3]["exit"]) == (2, 2, 0)


# ---- Listening ----------------------------------------------------------------------------------

@contextlib.contextmanager
def listener(address, *options):
    with connect("-l", address, *options) as one:
        line = one.process.stderr.readline().decode()
        yield one, re.search(r"listening on (\S+)", line)[1]


def test_a_listener_talks_with_the_first_one_only():
    with listener("udp:127.0.0.1:0") as (one, address), \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
        there = ("127.0.0.1", int(address.rsplit(":", 1)[1]))
        first.settimeout(PATIENCE)
        first.sendto(b"hello\n", there)
        assert one.hear(6) == b"hello\n"
        second.sendto(b"me too\n", there)
        first.sendto(b"again\n", there)
        assert one.hear(6) == b"again\n"
        one.say(b"to the first\n")
        assert first.recv(100) == b"to the first\n"
        one.say(b"more\n")
        assert first.recv(100) == b"more\n"
        one.process.send_signal(signal.SIGINT)
        assert one.wait() == -signal.SIGINT


@pytest.mark.parametrize("command", [["nc.openbsd", "-u"], ["ncat", "-u"], ["socat", "-"]], ids=lambda c: c[0])
def test_strangers_call_a_listener(command):
    if not shutil.which(command[0]):
        pytest.skip("there is no %s here" % command[0])
    with listener("udp:127.0.0.1:0", "-e", "bye") as (one, address):
        port = address.rsplit(":", 1)[1]
        where = ["UDP4:127.0.0.1:" + port] if command[0] == "socat" else ["127.0.0.1", port]
        with Program(*command, *where) as stranger:
            stranger.say(b"hello\n")
            assert one.hear(6) == b"hello\n"
            one.say(b"good day\n")
            assert stranger.hear(9) == b"good day\n"
            stranger.say(b"bye\n")
            assert one.wait() == 0


def test_a_listener_of_unix_datagrams(tmp_path):
    path = str(tmp_path / "s")
    with listener("unixgram:" + path, "-e", "bye") as (one, _):
        with connect("unixgram:" + path, "--no-retry") as client:
            client.say(b"hello\n")
            assert one.hear(6) == b"hello\n"
            one.say(b"good day\n")
            assert client.hear(9) == b"good day\n"
            client.say(b"bye\n")
            assert one.wait() == 0
    assert not os.path.exists(path)


def test_a_listener_that_nobody_calls_ends_at_its_idle_time():
    done = run("connect", "-l", "udp:127.0.0.1:0", "-i", "100ms")
    assert done.returncode == 5 and b"nothing came or went" in done.stderr


# ---- Messages -----------------------------------------------------------------------------------

def test_messages_keep_their_borders_and_end():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(abstract("borders"))
        door.listen()
        door.settimeout(PATIENCE)
        with connect("unixpacket:@" + abstract("borders")[1:]) as client:
            peer = door.accept()[0]
            with peer:
                peer.settimeout(PATIENCE)
                client.say(b"one\ntwo\nrest")
                client.end_input()
                assert [peer.recv(100) for _ in range(4)] == [b"one\n", b"two\n", b"rest", b""]
                for message in (b"a", b"", b"bc\n"):
                    peer.send(message)
                assert client.hear(4) == b"abc\n"
                peer.shutdown(socket.SHUT_WR)
                assert client.wait() == 0


def test_a_listener_for_messages():
    name = abstract("listener")
    with listener("unixpacket:@" + name[1:]) as (one, _), \
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
        caller.settimeout(PATIENCE)
        caller.connect(name)
        caller.send(b"hello\n")
        assert one.hear(6) == b"hello\n"
        one.say(b"one\ntwo\n")
        assert [caller.recv(100), caller.recv(100)] == [b"one\n", b"two\n"]
        one.end_input()
        assert caller.recv(100) == b""
        caller.close()
        assert one.wait() == 0


def test_messages_through_doorbell_on_both_ends():
    lines = [b"line %d\n" % number for number in range(2000)]
    with serve("upper", "unixpacket:@" + abstract("both")[1:], "-v") as server:
        done = run("connect", server.address, data=b"".join(lines))
        assert (done.stdout, done.stderr, done.returncode) == (b"".join(lines).upper(), b"", 0)
        size = sum(map(len, lines))
        server.wait_for("ended, %d bytes in, %d out" % (size, size))


def test_socat_calls_for_messages():
    if not shutil.which("socat"):
        pytest.skip("there is no socat here")
    name = abstract("socat")[1:]
    with listener("unixpacket:@" + name) as (one, _), \
            Program("socat", "-", "ABSTRACT-CONNECT:%s,type=5" % name) as stranger:
        stranger.say(b"hello\n")
        assert one.hear(6) == b"hello\n"
        one.say(b"good day\n")
        assert stranger.hear(9) == b"good day\n"


# ---- Groups and everybody -----------------------------------------------------------------------

@contextlib.contextmanager
def group_member(address):
    """One that answers from its own address, as every member of a group does."""
    with serve("upper", address, "--answer-groups", "-v") as server:
        yield server


def test_a_group_is_asked_and_all_answers_are_shown():
    with own_network(), group_member("udp:239.1.2.3%lo:0") as one:
        port = one.port
        with group_member("udp:239.1.2.3%%lo:%d" % port) as two:
            two.wait_for("listening on")
            done = run("connect", "udp:239.1.2.3%%lo:%d" % port, "-v", "-e", "THERE\\nWHO IS THERE\\n",
                       data=b"who is there\n")
            assert (done.stdout, done.returncode) == (b"WHO IS THERE\n" * 2, 0)
            assert len(re.findall(rb"^udp:127.0.0.1:\d+: 13 bytes$", done.stderr, re.MULTILINE)) == 2


def test_an_ipv6_group_is_asked():
    with own_network():
        ip("link", "add", "here", "type", "veth", "peer", "name", "there")
        for name, address in (("here", "fe80::1/64"), ("there", "fe80::2/64")):
            ip("link", "set", name, "up", "addrgenmode", "none")
            ip("address", "add", address, "dev", name, "nodad")
        wait_until_up("here")
        wait_until_up("there")
        with group_member("udp:[ff02::7464%here]:0") as server:
            server.wait_for("listening on")
            with connect("udp:[ff02::7464%%here]:%d" % server.port, "-e", "THERE") as client:
                until = time.monotonic() + PATIENCE
                while client.process.poll() is None and time.monotonic() < until:
                    with contextlib.suppress(BrokenPipeError):  # it has heard enough
                        client.say(b"who is there\n")  # the first ones of a new network may be lost
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        client.process.wait(0.2)
                assert client.wait() == 0


def test_multicast_options_hold():
    """A machine that must not hear itself does not."""
    with own_network(), broadcast_link(), group_member("udp:239.1.2.3%here:0") as server:
        address = "udp:239.1.2.3%%here:%d" % server.port
        done = run("connect", address, "--sockopt", "multicast_loop=0", "--send-only", data=b"quiet\n")
        assert (done.stderr, done.returncode) == (b"", 0)
        done = run("connect", address, "--sockopt", "multicast_ttl=3", "--calls", *ONCE, "-e", "LOUD", data=b"loud\n")
        assert done.returncode == 0 and b"IP_MULTICAST_TTL, 3)" in done.stderr
        assert server.stop() == 0
        assert counts(server)[:2] == (1, 1)


def test_everybody_is_asked():
    with own_network(), broadcast_link(), group_member("udp:*:0") as server:
        done = run("connect", "udp:192.0.2.255:%d" % server.port, "--sockopt", "broadcast", "-e", "ALL",
                   data=b"to all\n")
        assert (done.stdout, done.returncode) == (b"TO ALL\n", 0)


def test_O9_broadcast_wants_its_option():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE)
        peer.bind(("127.255.255.255", 0))
        address = "udp:127.255.255.255:%d" % peer.getsockname()[1]
        done = run("connect", address, "--send-only", data=b"to all\n")
        assert done.returncode == 4 and b"ermission denied" in done.stderr
        done = run("connect", address, "--send-only", "--sockopt", "broadcast", data=b"to all\n")
        assert (done.stderr, done.returncode) == (b"", 0)
        assert peer.recv(100) == b"to all\n"


# ---- What makes no sense ------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, why", [
    (["udp:127.0.0.1:7", "--do", "reset"], "--script makes no sense with datagrams"),
    (["udp:127.0.0.1:7", "--info"], "--info makes no sense with datagrams"),
    (["udp:127.0.0.1:7", "--no-half-close"], "--no-half-close makes no sense with datagrams"),
    (["unixpacket:@x", "--tries", "3"], "--tries makes no sense with messages"),
    (["127.0.0.1:7", "--whole"], "--whole makes no sense with a stream"),
    (["127.0.0.1:7", "--no-retry"], "--no-retry makes no sense with a stream"),
    (["-l", "udp:0", "--send-only"], "--send-only makes no sense with --listen"),
    (["-l", "udp:0", "--tries", "3"], "make no sense with --listen"),
    (["udp:127.0.0.1:7", "--tries", "0"], "from 1 to 1000"),
    (["udp:127.0.0.1:70000"], "70000 is above 65535"),
])
def test_what_makes_no_sense_is_2(arguments, why):
    done = run("connect", *arguments)
    assert done.returncode == 2
    assert why in done.stderr.decode() and done.stderr.count(b"\n") == 1


def test_an_unknown_unix_socket_is_3():
    assert run("connect", "unixgram:/tmp/no-such-socket-here", data=b"x\n").returncode == 3


def test_stdout_that_is_full_is_told():
    with serve("echo", "udp:127.0.0.1:0") as server, open("/dev/full", "w") as full:
        for options in ([], ["--no-retry"]):
            done = subprocess.run([DOORBELL, "connect", server.address, *options], input=b"x\n", stdout=full,
                                  stderr=subprocess.PIPE, timeout=PATIENCE)
            assert done.returncode == 6 and b"stdout: No space left" in done.stderr
