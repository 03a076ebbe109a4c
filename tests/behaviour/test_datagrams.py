"""Datagrams: a loop over recvfrom and sendto, in every cell that has one."""

import os
import socket

import pytest

from cells import CELLS, in_cells, start
from programs import OWN_HOST, PATIENCE

# fork has a process for each caller, and datagrams have no callers.
DGRAM_MODELS = ["iterative", "prefork", "threads", "pool", "coroutines"]
DGRAM_CELLS = [cell for cell in CELLS if cell[0] in DGRAM_MODELS]
in_every_dgram_cell = pytest.mark.parametrize("cell", DGRAM_CELLS, ids=["%s-%s" % cell for cell in DGRAM_CELLS])
BIGGEST = 65507


def serve(cell, handler, address="udp:127.0.0.1:0", **options):
    options.setdefault("workers", 2 if cell[0] in ("prefork", "threads", "pool") else 1)
    return start(cell, handler, address, **options)


def caller_of(server, host="127.0.0.1", connected=True, bound=None):
    """A plain socket that calls the server."""
    caller = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    caller.settimeout(PATIENCE)
    if bound:
        caller.bind(bound)
    if connected:
        caller.connect((host, server.port))
    return caller


def ask(caller, data):
    caller.send(data)
    return caller.recv(70000)


# ---- Servers --------------------------------------------------------------------------------------

@in_every_dgram_cell
def test_a_datagram_comes_back_as_it_is(cell):
    """U9, U10, U14: empty ones, 65,507 bytes, and never more than was sent."""
    with serve(cell, "dgram_echo") as server, caller_of(server) as caller:
        for size in (0, 1, 64, 1472, 1473, 9000, BIGGEST - 1, BIGGEST, 0):
            data = os.urandom(size)
            assert ask(caller, data) == data
        assert server.stop() == 0
        server.wait_for("datagrams=9/9 dropped=0")


@in_every_dgram_cell
def test_answers_go_to_the_right_ones(cell):
    """U8."""
    with serve(cell, "dgram_echo") as server:
        callers = [caller_of(server) for _ in range(8)]
        for turn in range(5):
            for number, caller in enumerate(callers):
                caller.send(b"%d %d" % (turn, number))
            for number, caller in enumerate(callers):
                assert caller.recv(100) == b"%d %d" % (turn, number)
        for caller in callers:
            caller.close()


@in_every_dgram_cell
def test_what_does_not_fit_is_told_with_its_true_size(cell):
    """U12."""
    with serve(cell, "dgram_cut", number=8) as server, caller_of(server) as caller:
        assert ask(caller, b"1234567") == b"whole 7 of 7: 1234567"
        assert ask(caller, b"12345678") == b"whole 8 of 8: 12345678"
        assert ask(caller, b"123456789") == b"cut 8 of 9: 12345678"
        assert ask(caller, b"x" * 3000) == b"cut 8 of 3000: xxxxxxxx"
        assert ask(caller, b"x" * BIGGEST) == b"cut 8 of 65507: xxxxxxxx"
        assert ask(caller, b"") == b"whole 0 of 0: "


@in_every_dgram_cell
def test_the_reply_leaves_from_the_address_that_was_asked(cell):
    with serve(cell, "dgram_about", "udp:*:0") as server:
        for host in ("127.0.0.1", "127.0.0.2", "127.77.0.3"):
            with caller_of(server, host) as caller:  # being connected it hears only who was asked
                answer = ask(caller, b"?").decode().split()
                assert answer == ["udp:%s:%d" % caller.getsockname(), "udp:%s:%d" % (host, server.port), "1", "0"]
        with caller_of(server, "::1") as caller:
            answer = ask(caller, b"?").decode().split()
            assert answer[1:] == ["udp:[::1]:%d" % server.port, "1", "0"]


@in_every_dgram_cell
def test_callers_who_are_gone_disturb_nobody(cell):
    """U17: what ICMP says of replies that found nobody."""
    with serve(cell, "dgram_echo") as server, caller_of(server) as caller:
        for number in range(300):
            # His port may be another test's by the time of the reply: but not at this address.
            with caller_of(server, bound=(OWN_HOST, 0)) as gone:
                gone.send(b"gone")
            if number % 3 == 0:
                assert ask(caller, b"still %d" % number) == b"still %d" % number
        assert ask(caller, b"after") == b"after"
        assert server.stop() == 0
        assert not [line for line in server.lines if line and "sendto" in line]


@in_every_dgram_cell
def test_both_families_of_loopback_are_served(cell):
    with serve(cell, "dgram_echo", "udp:0") as server:
        ports = {server.wait_for(r"listening on udp:\S+:(\d+)", count).group(1) for count in (1, 2)}
        assert len(ports) == 1
        for host in ("127.0.0.1", "::1"):
            with caller_of(server, host) as caller:
                assert ask(caller, b"hello") == b"hello"


@in_every_dgram_cell
def test_unix_datagrams_are_answered(cell, tmp_path):
    path = str(tmp_path / "server")
    with serve(cell, "dgram_echo", "unixgram:" + path) as server:
        assert server.address == "unixgram:" + path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
            caller.settimeout(PATIENCE)
            caller.bind(str(tmp_path / "caller"))
            caller.connect(path)
            for data in (b"hello", b"", b"x" * 50000):
                assert ask(caller, data) == data
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            nameless.connect(path)
            nameless.send(b"whom to answer?")
            server.wait_for("result sendto -1 EINVAL")
        assert server.stop() == 0
        assert not os.path.exists(path)


@in_every_dgram_cell
def test_a_unix_caller_who_does_not_read_holds_nobody_up(cell, tmp_path):
    path = str(tmp_path / "server")
    with serve(cell, "dgram_echo", "unixgram:" + path) as server:
        assert server.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
            for number, one in enumerate((silent, caller)):
                one.settimeout(PATIENCE)
                one.bind(str(tmp_path / str(number)))
                one.connect(path)
            for _ in range(600):  # more than net.unix.max_dgram_qlen, or than the server's socket has room for
                silent.send(b"never read")
            server.wait_for("result sendto -1 ENOBUFS")
            silent.close()
            assert ask(caller, b"hello") == b"hello"
            assert server.stop() == 0
            server.wait_for("datagrams=601/")


@in_every_dgram_cell
def test_a_handler_that_returns_is_called_anew(cell):
    with serve(cell, "dgram_frail") as server, caller_of(server) as caller:
        for _ in range(3):
            assert ask(caller, b"1234") == b"1234"
            caller.send(b"too long")
        assert ask(caller, b"good") == b"good"
        server.wait_for("event trouble handler dgram_frail at udp:127.0.0.1:.* failed and begins anew: .*8 bytes")
        assert server.stop() == 0
        server.wait_for("aborted=3 ")


@in_every_dgram_cell
def test_tasks_of_a_handler_reply_later(cell):
    with serve(cell, "dgram_tasks") as server, caller_of(server) as caller:
        for number in range(20):
            caller.send(b"%d" % number)
        assert sorted(int(caller.recv(10)) for _ in range(20)) == list(range(20))
        assert server.stop() == 0


@in_every_dgram_cell
def test_what_lies_in_the_socket_at_the_stop_is_answered(cell):
    with serve(cell, "dgram_slow", number=5, workers=1) as server, caller_of(server) as caller:
        for number in range(5):
            caller.send(b"%d" % number)
        server.wait_for("slow begins")
        assert server.stop() == 0
        assert [caller.recv(10) for _ in range(5)] == [b"%d" % number for number in range(5)]
        server.wait_for("result recvfrom -1 ESHUTDOWN")


@in_every_dgram_cell
def test_a_handler_that_goes_on_is_cut_after_the_grace_time(cell):
    with serve(cell, "dgram_slow", number=60000, grace=50, workers=1) as server, caller_of(server) as caller:
        caller.send(b"?")
        server.wait_for("slow begins")
        assert server.stop() == 1
        server.wait_for("result sleep -1 ECANCELED")
        server.wait_for("error ETIMEDOUT: 1 conversation was cut short")


@in_every_dgram_cell
def test_a_handler_stops_its_server(cell):
    with serve(cell, "dgram_stop") as server, caller_of(server) as caller:
        assert ask(caller, b"go on") == b"go on"
        assert ask(caller, b"stop") == b"stop"
        server.wait_for("event stopping")
        assert server.process.wait(PATIENCE) == 0


@in_every_dgram_cell
def test_a_second_stop_cuts_nobody_who_waits_for_a_datagram(cell):
    with serve(cell, "dgram_stop", number=1) as server, caller_of(server) as caller:
        assert ask(caller, b"stop") == b"stop"
        assert server.process.wait(PATIENCE) == 0
        server.wait_for("cut=0 ")


@in_every_dgram_cell
def test_a_second_stop_cuts_who_has_a_datagram(cell):
    with serve(cell, "dgram_slow", number=60000, grace=60000, workers=1) as server, caller_of(server) as caller:
        caller.send(b"?")
        server.wait_for("slow begins")
        server.begin_stop()
        server.wait_for("event stopping")
        server.begin_stop()
        assert server.stop() == 1
        server.wait_for("error ETIMEDOUT: 1 conversation was cut short")
        server.wait_for("cut=1 ")


@in_every_dgram_cell
def test_after_the_stop_nobody_is_there(cell):
    with serve(cell, "dgram_echo", "udp:%s:0" % OWN_HOST) as server, caller_of(server, OWN_HOST) as caller:
        assert ask(caller, b"?") == b"?"
        assert server.stop() == 0
        caller.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            caller.recv(10)


@in_every_dgram_cell
def test_misuse_is_an_error_and_no_crash(cell):
    with serve(cell, "dgram_misuse", workers=1) as server, caller_of(server) as caller:
        for line in ("recvfrom -1 ETIMEDOUT", "close -1 EBUSY", "sendto nobody -1 EINVAL", "sendto NULL -1 EINVAL",
                     "fd of NULL -1 EBADF", "close of NULL 0", "fd 1"):
            server.wait_for("^result " + line)
        caller.send(b"12345")
        server.wait_for("result got 5")


@in_cells(["fork"])
def test_fork_has_no_datagrams(cell):
    with serve(cell, "dgram_echo") as server:
        server.wait_for("error EINVAL: model fork has a process for each caller, and datagrams have no callers")
        assert server.process.wait(PATIENCE) == 1


@in_cells(DGRAM_MODELS)
def test_drops_are_counted(cell):
    """Those that came while the handler was busy and the kernel had no more room."""
    with serve(cell, "dgram_slow", number=300, workers=1) as server, caller_of(server) as caller:
        caller.send(b"first")
        server.wait_for("slow begins")
        for _ in range(500):
            caller.send(b"x" * 60000)
        server.begin_stop()
        server.begin_stop()
        server.process.wait(PATIENCE)
        found = server.wait_for(r"datagrams=(\d+)/\d+ dropped=(\d+)")
        assert int(found.group(2)) > 300


@in_cells(["iterative", "coroutines"], ["epoll"])
def test_a_foreign_loop_may_drive_it(cell):
    with serve(cell, "dgram_echo", embedded=1) as server, caller_of(server) as caller:
        for number in range(10):
            assert ask(caller, b"%d" % number) == b"%d" % number
        assert server.stop() == 0


@in_cells(DGRAM_MODELS)
def test_a_multicast_group_is_joined(cell):
    with serve(cell, "dgram_about", "udp:239.7.7.7%lo:0", workers=1) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.settimeout(PATIENCE)
            caller.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            caller.sendto(b"?", ("239.7.7.7", server.port))
            answer = caller.recv(200).decode().split()
            assert answer[1:] == ["udp:239.7.7.7:%d" % server.port, "0", "1"]


# ---- Who does not belong here ---------------------------------------------------------------------

@pytest.mark.parametrize("handler, address, error", [
    ("echo", "udp:127.0.0.1:0", "EINVAL: .*datagrams have no callers"),
    ("echo", "unixgram:@x", "EINVAL: .*datagrams have no callers"),
    ("dgram_echo", "tcp:127.0.0.1:0", "EINVAL: .*for datagrams it is udp"),
    ("dgram_echo", "unixpacket:@x", "EINVAL: .*for datagrams it is udp"),
    ("dgram_echo", "udp:239.1.2.3%nosuch:0", "ENODEV: .*"),
    ("dgram_echo", "udp:203.0.113.7:0", "EADDRNOTAVAIL: "),
])
def test_addresses_that_do_not_fit_are_refused(handler, address, error):
    with start(("coroutines", "epoll"), handler, address) as server:
        server.wait_for("error " + error)
        assert server.process.wait(PATIENCE) == 1


def test_two_servers_do_not_share_a_port():
    cell = ("coroutines", "epoll")
    with serve(cell, "dgram_echo") as one, serve(cell, "dgram_echo", "udp:127.0.0.1:%d" % one.port) as other:
        other.wait_for("error EADDRINUSE")


def test_the_file_of_a_dead_server_is_taken_over(tmp_path):
    path = str(tmp_path / "server")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(path)
    cell = ("coroutines", "epoll")
    with serve(cell, "dgram_echo", "unixgram:" + path) as one:
        assert one.address
        with serve(cell, "dgram_echo", "unixgram:" + path) as other:
            other.wait_for("error EADDRINUSE")


def test_an_inherited_socket_is_served():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inherited:
        inherited.bind(("127.0.0.1", 0))
        with start(("coroutines", "epoll"), "dgram_echo", "fd:%d" % inherited.fileno(),
                   keep=[inherited.fileno()]) as server:
            assert server.port == inherited.getsockname()[1]
            with caller_of(server) as caller:
                assert ask(caller, b"hello") == b"hello"
