"""doorbell serve over datagrams and messages: what it answers, whom, and what it tells. A letter and a number in
a name is a case of the course's list."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import time

import pytest

from datagrams import (Program, abstract, ask, asker, counts, is_silent, needs_low_ports, udp_packet, udp_port)
from networks import broadcast_link, own_network
from programs import MODELS, OWN_HOST, PATIENCE, freeze, read_line, run, serve, thaw

# Who is nobody cannot answer sockets in a folder of ours.
AS_ROOT = ["--stay-root"] if os.geteuid() == 0 else []
DGRAM_MODELS = [model for model in MODELS if model != "fork"]


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason="there is no %s here" % program)


@contextlib.contextmanager
def packet_caller(server):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.settimeout(PATIENCE)
        one.connect(server.wait_for(r"listening on unixpacket:(\S+)").group(1).replace("@", "\0"))
        yield one


# ---- What it answers ----------------------------------------------------------------------------

@pytest.mark.parametrize("model", DGRAM_MODELS)
def test_U8_two_clients_get_their_own_answers(model):
    with serve("upper", "udp:127.0.0.1:0", "-m", model) as server:
        with asker(server) as one, asker(server) as two:
            for number in range(10):
                one.send(b"one %d" % number)
                two.send(b"two %d" % number)
                assert two.recv(100) == b"TWO %d" % number
                assert one.recv(100) == b"ONE %d" % number
        assert server.stop() == 0
        assert counts(server)[:2] == (20, 20)


@pytest.mark.parametrize("model", DGRAM_MODELS)
def test_U9_U10_U14_as_long_out_as_in(model):
    with serve("upper", "udp:127.0.0.1:0", "-m", model) as server:
        assert ask(server, b"") == b""
        assert ask(server, b"x") == b"X"
        whole = b"hello, door " * 5458 + b"and more...."[:65507 - 12 * 5458]
        assert len(whole) == 65507
        assert ask(server, whole) == whole.upper()


def test_P43_X8_only_a_to_z_change_and_no_byte_is_an_end():
    data = bytes(range(256)) + "caf\xe9 \xdf".encode() + b"\x04\x1a\xff\0"
    with serve("upper", "udp:127.0.0.1:0") as server:
        assert ask(server, data) == bytes(b - 32 if 97 <= b <= 122 else b for b in data)
    with serve("echo", "udp:127.0.0.1:0") as server:
        assert ask(server, data) == data


def descriptors_of(process):
    return set(os.listdir("/proc/%d/fd" % process.pid))


def test_X17_descriptors_are_as_before():
    with serve("upper", "udp:127.0.0.1:0", "unixpacket:@" + abstract("X17")[1:]) as server:
        before = set()
        for _ in range(20):
            assert ask(server, b"x") == b"X"
            with packet_caller(server) as one:
                one.send(b"x")
                assert one.recv(10) == b"X"
                before = before or descriptors_of(server.process)  # with one caller
                one.shutdown(socket.SHUT_WR)
                assert one.recv(10) == b""
        until = time.monotonic() + PATIENCE
        while len(descriptors_of(server.process)) >= len(before):
            assert time.monotonic() < until


def test_both_families_of_loopback_are_served():
    with serve("echo", "udp:0") as server:
        server.wait_for("listening on udp:", 2)
        assert ask(server, b"four") == b"four"
        assert ask(server, b"six", family=socket.AF_INET6) == b"six"


def test_the_small_services_answer_each_datagram():
    with serve("daytime", "udp:127.0.0.1:0") as server:
        assert re.fullmatch(rb"\w+day, \w+ \d\d, \d{4} \d\d:\d\d:\d\d-\w+\r\n", ask(server, b""))
    with serve("time", "udp:127.0.0.1:0") as server:
        before = int(time.time())
        assert before <= struct.unpack(">I", ask(server, b"?"))[0] - 2208988800 <= time.time()
    with serve("quote", "Not today.", "udp:127.0.0.1:0") as server:
        assert ask(server, b"") == b"Not today.\r\n"
    with serve("message", "udp:127.0.0.1:0") as server:
        assert ask(server, b"hello, door\n") == b"I got your message"
        server.wait_for("^Here is the message: hello, door$", 1, server.output)


def test_discard_answers_nothing():
    with serve("discard", "udp:127.0.0.1:0", "-v") as server:
        with asker(server) as one:
            one.send(b"x" * 1000)
            server.wait_for(r"udp:127.0.0.1:\d+: 1000 bytes in, and no answer")
        assert server.stop() == 0
        assert counts(server)[:2] == (1, 0)


def test_chargen_answers_up_to_512_characters_of_lines():
    printable = bytes(range(33, 127)) + b" "
    with serve("chargen", "udp:127.0.0.1:0") as server:
        answers = [ask(server, b"?") for _ in range(20)]
        assert max(map(len, answers)) <= 512 and len(set(map(len, answers))) > 5
        for line in (line for answer in answers for line in answer.split(b"\r\n")):
            assert len(line) <= 73 and line.rstrip(b"\r") in printable * 2


def test_a_delay_delays_the_answer():
    with serve("echo", "udp:127.0.0.1:0", "--delay", "100ms") as server:
        begin = time.monotonic()
        assert ask(server, b"ding") == b"ding"
        assert time.monotonic() - begin >= 0.1
        with asker(server) as one:  # and is thought of beside others
            begin = time.monotonic()
            for number in range(200):
                one.send(b"%d" % number)
            assert sorted(int(one.recv(10)) for _ in range(200)) == list(range(200))
            assert time.monotonic() - begin < 20
            one.send(b"the last")  # is answered though it stops meanwhile
            assert server.stop() == 0
            assert one.recv(100) == b"the last"


def test_what_came_before_the_stop_is_answered():
    """Also when the server has hardly begun."""
    for _ in range(10):
        with serve("echo", "udp:127.0.0.1:0") as server, asker(server) as one:
            one.send(b"ding")
            assert server.stop() == 0
            assert one.recv(10) == b"ding"


@pytest.mark.parametrize("model", DGRAM_MODELS)
def test_signals_that_keep_coming_do_not_spoil_its_exit_code(model):
    for _ in range(5):
        with serve("echo", "udp:127.0.0.1:0", "-m", model) as server:
            assert server.port
            assert server.stop_by_a_storm() == 0


@pytest.mark.parametrize("model", DGRAM_MODELS)
def test_a_second_signal_cuts_an_answer_short(model):
    with serve("echo", "udp:127.0.0.1:0", "-m", model, "--delay", "60m", "--grace", "60s", "-vv") as server, \
            asker(server) as one:
        one.send(b"ding")
        server.wait_for("ding")
        server.begin_stop(signal.SIGINT)
        server.wait_for("stopping")
        server.begin_stop(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 5


def test_an_inherited_socket_is_served():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        with serve("upper", "fd:%d" % door.fileno(), pass_fds=[door.fileno()]) as server:
            assert server.port == door.getsockname()[1]
            assert ask(server, b"ding") == b"DING"


@pytest.mark.parametrize("model", DGRAM_MODELS)
def test_once_answers_one_and_ends(model):
    with serve("echo", "udp:127.0.0.1:0", "--once", "-m", model) as server:
        assert ask(server, b"ding") == b"ding"
        assert server.process.wait(PATIENCE) == 0


# ---- Whom it does not answer --------------------------------------------------------------------

def test_U12_what_is_longer_than_the_limit_is_told_with_its_true_length():
    with serve("upper", "udp:127.0.0.1:0", "--longest", "1k") as server, asker(server) as one:
        one.send(b"x" * 3000)
        server.wait_for(r"3000 bytes in, not answered: it is too long: 1024 bytes are taken \(--longest\)")
        one.send(b"x" * 1024)
        assert one.recv(4000) == b"X" * 1024
        assert server.stop() == 0
        assert counts(server) == (2, 1, "; not answered: 1 too long; the kernel dropped 0")


def test_ports_below_1024_get_no_answer():
    with serve("echo", "udp:127.0.0.1:0") as server:
        low = needs_low_ports()
        if not low:
            pytest.skip("ports below 1024 are not ours to use")
        with low:
            low.sendto(b"echo", ("127.0.0.1", udp_port(server)))
            server.wait_for("4 bytes in, not answered: it is from a port below 1024")
        assert ask(server, b"ding") == b"ding"
        assert server.stop() == 0
        assert counts(server)[:2] == (2, 1)


def test_a_server_does_not_answer_itself():
    """A datagram with its own address as the sender would go round for ever."""
    with serve("echo", "udp:127.0.0.1:0") as server:
        try:
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        except PermissionError:
            pytest.skip("only root can send in somebody else's name")
        with raw:
            port = udp_port(server)
            raw.sendto(udp_packet(port, port, b"for ever"), ("127.0.0.1", 0))
            server.wait_for("8 bytes in, not answered: it is from ourselves")
        assert ask(server, b"ding") == b"ding"
        server.stop()
        assert counts(server)[:2] == (2, 1)


def send_burst(server, host, count):
    """How many of these datagrams are answered, and how long it took."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(PATIENCE)
        begin = time.monotonic()
        for _ in range(count):
            one.sendto(b"x", (host, udp_port(server)))
        server.wait_for(": 1 bytes in", count)
        server.stop()
        return counts(server)[1], time.monotonic() - begin


def test_a_rate_holds_for_each_address():
    with serve("echo", "udp:127.0.0.1:0", "-v", "--rate", "20") as server:
        answered, took = send_burst(server, "127.0.0.1", 200)
        assert 20 <= answered <= 20 + 20 * took + 1
        assert "over the rate of its address" in counts(server)[2]


def test_loopback_has_no_rate_unasked():
    with serve("echo", "udp:127.0.0.1:0", "-v", "--sockopt", "rcvbuf=200k") as server:
        assert send_burst(server, "127.0.0.1", 200)[0] == 200


def test_others_have_a_rate_unasked():
    with own_network("192.0.2.1/24"), serve("echo", "udp:192.0.2.1:0", "-v", "--sockopt", "rcvbuf=1M") as server:
        answered, took = send_burst(server, "192.0.2.1", 500)
        assert 100 <= answered <= 100 + 100 * took + 1
        assert any("whoever reaches this machine" in line for line in server.lines if line)


def send_until_taken(server, host, count):
    """The first ones of a network that has just come up may be lost."""
    line = re.compile(r"udp:\[%s\]:\d+: 1 bytes in" % host)
    until = time.monotonic() + PATIENCE
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
        one.bind((host, 0))
        while sum(bool(line.search(said)) for said in list(server.lines) if said) < count:
            one.sendto(b"x", ("2001:db8::1", udp_port(server)))
            time.sleep(0.001)
            assert time.monotonic() < until


def test_of_ipv6_a_whole_network_has_one_rate():
    """Who has one address of a /64 has them all."""
    neighbours, other = ["2001:db8::1", "2001:db8::2"], "2001:db8:0:1::1"
    with own_network(*(host + "/64" for host in (*neighbours, other))), \
            serve("echo", "udp:[2001:db8::1]:0", "-v", "--rate", "10") as server:
        begin = time.monotonic()
        for host in (*neighbours, other):
            send_until_taken(server, host, 30)
        took = time.monotonic() - begin
        server.stop()
        assert 20 <= counts(server)[1] <= 20 + 20 * took + 2


def test_no_more_goes_out_than_came_in():
    """Off loopback, where a sender may be anybody's invention."""
    with own_network("192.0.2.1/24"), serve("daytime", "udp:192.0.2.1:0") as server, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(PATIENCE)
        one.connect(("192.0.2.1", server.port))
        one.send(b"?")
        server.wait_for("1 bytes in, not answered: it is shorter than its answer")
        one.send(b"?" * 64)
        assert b"day, " in one.recv(100)
        server.stop()
        assert counts(server)[:2] == (2, 1)


@contextlib.contextmanager
def group_sender():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(PATIENCE)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        one.bind(("127.0.0.1", 0))
        yield one


def test_what_goes_to_a_group_is_taken_and_not_answered():
    with own_network(), serve("message", "udp:239.1.2.3%lo:0") as server, group_sender() as one:
        one.sendto(b"to all", ("239.1.2.3", server.port))
        server.wait_for("Here is the message: to all", 1, server.output)
        server.wait_for("6 bytes in, not answered: it is to a group or to everybody")


def test_a_group_is_answered_on_request():
    with own_network(), serve("upper", "udp:239.1.2.3%lo:0", "--answer-groups") as server, group_sender() as one:
        one.sendto(b"to all", ("239.1.2.3", server.port))
        answer, peer = one.recvfrom(100)
        assert answer == b"TO ALL" and peer[0] == "127.0.0.1"


@pytest.mark.parametrize("address", ["udp:*:0", "udp4:*:0"])
def test_broadcasts_are_not_answered(address):
    with own_network(), broadcast_link(), serve("echo", address) as server, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(PATIENCE)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        one.sendto(b"to all", ("192.0.2.255", server.port))
        server.wait_for("6 bytes in, not answered: it is to a group or to everybody")
        one.sendto(b"to you", ("192.0.2.1", server.port))
        assert one.recv(100) == b"to you"


def test_chargen_is_for_loopback_only():
    with own_network("192.0.2.1/24"):
        for address in ("udp:192.0.2.1:0", "udp:*:0"):
            done = run("serve", "chargen", address)
            assert done.returncode == 2 and b"over udp it is for loopback only" in done.stderr


# ---- Misery -------------------------------------------------------------------------------------

@pytest.mark.parametrize("model", DGRAM_MODELS)
def test_U17_a_client_who_is_gone_disturbs_nobody(model):
    with serve("echo", "udp:127.0.0.1:0", "-m", model) as server, asker(server) as one:
        for _ in range(20):
            with asker(server, bind=(OWN_HOST, 0)) as gone:
                gone.send(b"gone")
        assert is_silent(one)
        assert server.stop() == 0


def test_what_the_kernel_drops_is_counted():
    with serve("echo", "udp:127.0.0.1:0", "--sockopt", "rcvbuf=4k") as server, asker(server) as one:
        freeze(server.process.pid)
        for _ in range(100):
            one.send(b"x" * 1000)
        thaw(server.process.pid)
        assert server.stop() == 0
        received, _, rest = counts(server)
        assert received < 100
        assert int(re.search(r"the kernel dropped (\d+)", rest)[1]) == 100 - received


# ---- What it tells ------------------------------------------------------------------------------

def test_verbose_is_a_line_for_each_datagram():
    with serve("upper", "udp:127.0.0.1:0", "-vv") as server:
        with asker(server) as one:
            one.send(b"hello\n")
            one.recv(10)
            who = r"udp:127.0.0.1:%d" % one.getsockname()[1]
            server.wait_for("^%s < \"hello\\\\n\"$" % who)
            server.wait_for("^%s > \"HELLO\\\\n\"$" % who)
            server.wait_for("^doorbell serve: %s: 6 bytes in, 6 out$" % who)
        server.wait_for(r"call it: doorbell connect udp:localhost:%d, or nc -u localhost" % server.port)


def test_json_is_an_object_for_each_datagram():
    with serve("upper", "udp:127.0.0.1:0", "--json", "--longest", "10") as server:
        port = int(server.wait_for(r'"address": ?"udp:127.0.0.1:(\d+)"').group(1))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(PATIENCE)
            one.connect(("127.0.0.1", port))
            one.send(b"x" * 11)
            one.send(b"hello")
            assert one.recv(10) == b"HELLO"
        assert server.stop() == 0
        events = [json.loads(line) for line in server.lines if line]
        by_type = {event["type"]: event for event in events}
        assert by_type["datagram"]["bytes_in"] == by_type["datagram"]["bytes_out"] == 5
        assert (by_type["unanswered"]["bytes_in"], by_type["unanswered"]["reason"]) == (11, "too_long")
        summary = by_type["summary"]
        assert (summary["datagrams_in"], summary["datagrams_out"]) == (2, 1)
        assert (summary["unanswered"], summary["dropped"], summary["bytes_out"]) == (1, 0, 5)


def test_calls_shows_recvfrom_and_sendto():
    with serve("upper", "udp:127.0.0.1:0", "--calls") as server, asker(server) as one:
        one.send(b"hello")
        assert one.recv(10) == b"HELLO"
        server.wait_for(r"^\[\d+\] recvfrom\(3.*hello")
        server.wait_for(r"^\[\d+\] sendto\(3.*HELLO")
        assert any("bind(3, 127.0.0.1:" in line for line in server.lines)
        assert not any("listen(" in line for line in server.lines)


# ---- What does not go together ------------------------------------------------------------------

@pytest.mark.parametrize("arguments, why", [
    (["exec", "udp:127.0.0.1:0", "--", "cat"], "exec needs callers, and datagrams have none"),
    (["echo", "unixgram:@x", "--max", "3"], "--max is for callers"),
    (["echo", "udp:127.0.0.1:0", "--idle", "3s"], "--idle is for callers"),
    (["echo", "127.0.0.1:0", "--rate", "3"], "--rate is for datagrams"),
    (["echo", "127.0.0.1:0", "--answer-groups"], "--answer-groups is for datagrams"),
    (["echo", "127.0.0.1:0", "udp:127.0.0.1:0", "-m", "prefork"], "serves callers or datagrams, not both"),
    (["echo", "udp:127.0.0.1:0", "-m", "fork"], "fork"),
    (["echo", "udp:127.0.0.1:0", "--rate", "0"], "from 1 to"),
    (["upper", "udp:127.0.0.1:0", "--one-line"], "--one-line is for callers"),
])
def test_what_makes_no_sense_over_datagrams_is_2(arguments, why):
    done = run("serve", *arguments)
    assert done.returncode == 2
    assert why in done.stderr.decode() and done.stderr.count(b"\n") == 1


def test_a_port_that_is_taken_is_8():
    with serve("echo", "udp:127.0.0.1:0") as server:
        done = run("serve", "echo", "udp:127.0.0.1:%d" % server.port)
        assert done.returncode == 8
        assert done.stderr.decode() == ("doorbell: cannot listen on udp:127.0.0.1:%d: in use by doorbell (pid %d)\n"
                                        % (server.port, server.process.pid))


def test_a_unix_socket_that_is_taken_is_8(tmp_path):
    for scheme in ("unixgram:", "unixpacket:"):
        address = scheme + str(tmp_path / scheme[:-1])
        with serve("echo", address, *AS_ROOT) as server:
            assert server.address == address
            done = run("serve", "echo", address, *AS_ROOT)
            assert done.returncode == 8 and address in done.stderr.decode() and b"in use" in done.stderr
            assert scheme == "unixgram:" or b"(pid %d)" % server.process.pid in done.stderr
    (tmp_path / "file").write_text("no socket")
    done = run("serve", "echo", "unixgram:%s" % (tmp_path / "file"))
    assert done.returncode == 8 and b"a file that is no socket" in done.stderr


def test_A14_the_same_number_is_served_over_tcp_and_udp():
    with serve("upper", OWN_HOST + ":0") as server:  # where nobody else has the number
        port = server.port
        with serve("upper", "udp:%s:%d" % (OWN_HOST, port)) as other:
            assert ask(other, b"ding") == b"DING"
            with server.call() as caller:
                caller.sendall(b"ding\n")
                assert read_line(caller) == b"DING\n"


@pytest.mark.parametrize("model", ["iterative", "threads", "pool", "coroutines"])
def test_one_process_serves_callers_and_datagrams(model, tmp_path):
    path = str(tmp_path / "gram.sock")
    with serve("upper", "127.0.0.1:0", "udp:127.0.0.1:0", "unixgram:" + path, "-m", model) as server:
        server.wait_for("listening on unixgram:" + re.escape(path))
        assert ask(server, b"ding") == b"DING"
        with socket.create_connection(
                ("127.0.0.1", int(server.wait_for(r"listening on tcp:.*:(\d+)").group(1))), PATIENCE) as caller:
            caller.sendall(b"ding\n")
            assert read_line(caller) == b"DING\n"
        assert server.stop() == 0
    assert not os.path.exists(path)


def test_a_stop_at_the_very_beginning_stops_both():
    for _ in range(20):
        with serve("upper", "127.0.0.1:0", "udp:127.0.0.1:0") as server:
            server.wait_for("listening on")
            assert server.stop() == 0


# ---- Unix sockets -------------------------------------------------------------------------------

def test_the_name_of_a_stranger_is_harmless():
    with serve("upper", "unixgram:@" + abstract("name")[1:], "-v") as server, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        server.wait_for("listening on")
        one.settimeout(PATIENCE)
        one.bind(abstract("\x1b[2J\n\x9b"))
        one.sendto(b"x", abstract("name"))
        assert one.recv(10) == b"X"
        server.wait_for(r"^doorbell serve: unixgram:@[!-~]*\\x1b\[2J\\x0a[!-~]*: 1 bytes in, 1 out$")


@pytest.mark.parametrize("model", DGRAM_MODELS)
def test_unix_datagrams_are_answered(model, tmp_path):
    path, own = str(tmp_path / "s"), str(tmp_path / "c")
    with serve("upper", "unixgram:" + path, "-m", model, *AS_ROOT) as server:
        assert server.address == "unixgram:" + path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            one.settimeout(PATIENCE)
            one.bind(own)
            nameless.sendto(b"nobody", path)
            server.wait_for("6 bytes in, not answered: it is without an address to answer to")
            for data in (b"hello", b"", b"x" * 100000):
                one.sendto(data, path)
                assert one.recv(200000) == data.upper()
        assert server.stop() == 0
    assert not os.path.exists(path)


@pytest.mark.parametrize("model", MODELS)
def test_messages_keep_their_borders(model, tmp_path):
    with serve("upper", "unixpacket:%s" % (tmp_path / "p"), "-m", model) as server:
        with packet_caller(server) as one:
            for data in (b"hello", b"", b"a\nb\n", b"x" * 100000):
                one.send(data)
                assert one.recv(200000) == data.upper()
            one.shutdown(socket.SHUT_WR)
            assert one.recv(1) == b""
        assert server.stop() == 0


def test_the_small_services_over_messages(tmp_path):
    address = "unixpacket:%s" % (tmp_path / "p")
    for service, answer in (("daytime", rb"\w+day, .*\r\n"), ("time", rb"(?s)...."), ("quote", rb".*\.\r\n")):
        with serve(service, address) as server, packet_caller(server) as one:
            assert re.fullmatch(answer, one.recv(1000)) and one.recv(1) == b""
    with serve("message", address) as server, packet_caller(server) as one:
        one.send(b"hello, door")
        assert one.recv(1000) == b"I got your message" and one.recv(1) == b""
        server.wait_for("^Here is the message: hello, door$", 1, server.output)
    with serve("chargen", address) as server, packet_caller(server) as one:
        assert all(len(one.recv(1000)) <= 512 for _ in range(1000))
    with serve("discard", address, "-v") as server, packet_caller(server) as one:
        one.send(b"x" * 10)
        one.send(b"")
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""
        server.wait_for("ended, 10 bytes in, 0 out")


def test_a_message_that_is_too_long_ends_the_conversation(tmp_path):
    with serve("echo", "unixpacket:%s" % (tmp_path / "p"), "--longest", "100", "-v") as server:
        with packet_caller(server) as one:
            one.send(b"x" * 101)
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1000) == b""
        server.wait_for("a message of 101 bytes, and there is room for 100")


def test_a_program_may_have_messages(tmp_path):
    with serve("exec", "unixpacket:%s" % (tmp_path / "p"), *AS_ROOT, "--", "cat") as server, \
            packet_caller(server) as one:
        for data in (b"hello", b"a\nb\n"):
            one.send(data)
            assert one.recv(1000) == data


# ---- Strangers ----------------------------------------------------------------------------------

@pytest.mark.parametrize("command", [["nc.openbsd", "-u"], ["ncat", "-u"], ["socat", "-"]], ids=lambda c: c[0])
def test_strangers_are_answered_over_udp(command):
    if not shutil.which(command[0]):
        pytest.skip("there is no %s here" % command[0])
    with serve("upper", "udp:127.0.0.1:0") as server:
        where = ["UDP4:127.0.0.1:%d" % server.port] if command[0] == "socat" else ["127.0.0.1", str(server.port)]
        with Program(*command, *where) as stranger:
            for number in range(3):
                stranger.say(b"hello %d\n" % number)
                assert stranger.hear(8) == b"HELLO %d\n" % number


@needs("socat")
def test_socat_is_answered_over_unix_datagrams_and_messages(tmp_path):
    with serve("upper", "unixgram:%s" % (tmp_path / "g"), "unixpacket:%s" % (tmp_path / "p"), *AS_ROOT) as server:
        server.wait_for("listening on", 2)
        for way in ("UNIX-SENDTO:%s,bind=%s" % (tmp_path / "g", tmp_path / "own"),
                    "UNIX-CONNECT:%s,type=5" % (tmp_path / "p")):
            with Program("socat", "-", way) as stranger:
                stranger.say(b"hello\n")
                assert stranger.hear(6) == b"HELLO\n"


def test_no_service_is_missing_over_datagrams():
    """What the help lists is answered or refused, and nothing crashes."""
    services = re.findall(r"^  (\w+) ", run("serve", "--help").stdout.decode().split("Services:")[1].split("\n\n")[0],
                          re.MULTILINE)
    assert len(services) == 10
    needs_callers = {"exec": ["udp:127.0.0.1:0", "--", "cat"], "files": ["/", "udp:127.0.0.1:0"]}
    for service in services:
        if service in needs_callers:
            refused = run("serve", service, *needs_callers[service])
            assert (refused.returncode, b"needs callers" in refused.stderr) == (2, True)
            continue
        with serve(service, "udp:127.0.0.1:0", "-v") as server, asker(server) as one:
            one.send(b"x")
            server.wait_for(r"udp:127.0.0.1:\d+: 1 bytes in")
            assert server.stop() == 0
            assert counts(server)[0] == 1
