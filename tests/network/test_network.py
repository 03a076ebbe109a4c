"""What needs a network of its own: addresses that are not loopback, few ports, short queues."""

import errno
import select
import socket
import time

import pytest

from networks import ip, own_network, set_sysctl, tcp_counter
from programs import BACKENDS, MODELS, PATIENCE, children_of, freeze, read_all, read_exactly, reset, run, serve, thaw

in_every_cell = pytest.mark.parametrize("model, backend", [(m, b) for b in BACKENDS for m in MODELS])


def call_from(source, address, port):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    caller = socket.socket(family)
    caller.settimeout(PATIENCE)
    caller.bind((source, 0))
    caller.connect((address, port))
    return caller


def is_served(caller):
    """Whether the server answers; a caller over a limit is hung up on."""
    try:
        caller.sendall(b"?")
        return caller.recv(1) == b"?"
    except ConnectionError:
        return False


def may_call(*arguments):
    """Whether one more caller is served. One who is not may be reset before he knows that he was connected."""
    try:
        with call_from(*arguments) as caller:
            return is_served(caller)
    except ConnectionResetError:
        return False


def may_call_at_last(*arguments):
    until = time.monotonic() + PATIENCE
    while not may_call(*arguments):
        if time.monotonic() > until:
            return False
    return True


# ---- A limit for each address ---------------------------------------------------------------------

LIMITED = [model for model in MODELS if model != "iterative"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", LIMITED)
def test_one_address_has_at_most_a_quarter_of_all_places(model, backend):
    with own_network("192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"), \
            serve("echo", "192.0.2.1:0", "-m", model, "-w", "8", "--max", "8", "-v", backend=backend) as server:
        greedy = [call_from("192.0.2.2", "192.0.2.1", server.port) for _ in range(2)]
        assert all(map(is_served, greedy))
        assert not may_call("192.0.2.2", "192.0.2.1", server.port)
        server.wait_for("192.0.2.2:[0-9]+: refused, there are 2 callers from this address")
        assert may_call("192.0.2.3", "192.0.2.1", server.port)
        assert all(map(is_served, greedy))  # whom it served it goes on serving

        greedy.pop().close()
        assert may_call_at_last("192.0.2.2", "192.0.2.1", server.port)
        for caller in greedy:
            caller.close()
        assert server.stop() == 0


@pytest.mark.parametrize("model", LIMITED)
def test_the_addresses_of_an_ipv6_network_count_as_one(model):
    with own_network("2001:db8::1/64", "2001:db8:0:1::2/64", "2001:db8:0:1::3/64", "2001:db8:0:2::2/64"), \
            serve("echo", "[2001:db8::1]:0", "-m", model, "-w", "8", "--max", "8") as server:
        first = call_from("2001:db8:0:1::2", "2001:db8::1", server.port)
        second = call_from("2001:db8:0:1::3", "2001:db8::1", server.port)
        assert is_served(first) and is_served(second)
        assert not may_call("2001:db8:0:1::3", "2001:db8::1", server.port)
        assert may_call("2001:db8:0:2::2", "2001:db8::1", server.port)
        first.close()
        second.close()
        assert server.stop() == 0


# ---- Ports -----------------------------------------------------------------------------------------

def test_without_a_free_port_a_call_fails_at_once_and_says_so():
    with own_network("192.0.2.1/24", "192.0.2.2/24"):
        set_sysctl("net/ipv4/ip_local_port_range", "40000 40007")
        with serve("echo", "192.0.2.1:5000", "192.0.2.2:5000") as server:
            server.wait_for("listening on", 2)
            callers = []
            while True:
                caller = socket.socket()
                try:
                    caller.connect(("192.0.2.1", 5000))
                except OSError as error:
                    caller.close()
                    assert error.errno == errno.EADDRNOTAVAIL
                    break
                callers.append(caller)
            assert len(callers) == 8

            began = time.monotonic()
            result = run("connect", "192.0.2.1:5000", data=b"hello\n")
            assert time.monotonic() - began < PATIENCE / 4
            assert (result.returncode, result.stdout) == (4, b"")
            assert b"192.0.2.1:5000: out of local ports" in result.stderr
            # Another destination has ports of its own.
            assert run("connect", "192.0.2.2:5000", data=b"hello\n").stdout == b"hello\n"
            reset(callers.pop())  # leaves no TIME_WAIT, which would hold the port
            assert run("connect", "192.0.2.1:5000", data=b"hello\n").stdout == b"hello\n"
            for caller in callers:
                caller.close()
            assert server.stop() == 0


# ---- Queues ----------------------------------------------------------------------------------------

@in_every_cell
def test_a_burst_over_the_listen_queue_is_served_in_the_end(model, backend):
    with own_network():
        set_sysctl("net/core/somaxconn", "4")
        with serve("echo", "127.0.0.1:0", "-m", model, "-w", "4", backend=backend) as server:
            port = server.port
            everyone = [server.process.pid, *(pid for pid, _ in children_of(server.process.pid))]
            freeze(*everyone)
            callers = []
            for _ in range(20):
                caller = socket.socket()
                caller.setblocking(False)
                assert caller.connect_ex(("127.0.0.1", port)) == errno.EINPROGRESS
                callers.append(caller)
            # The queue is full when the first of them was turned away; the kernel tries it again each second.
            until = time.monotonic() + PATIENCE
            while tcp_counter("ListenOverflows") == 0 and time.monotonic() < until:
                select.select([], [], [], 0.01)
            assert tcp_counter("ListenOverflows") > 0
            thaw(*everyone)
            # A model may serve one to the end before the next, in an order that is not ours.
            unheard = set()
            left = {caller: b"%d\n" % number for number, caller in enumerate(callers)}
            while left:
                connected = [caller for caller in left if caller not in unheard]
                answered, greeted, _ = select.select(list(unheard), connected, [], PATIENCE)
                assert answered or greeted, "%d callers do not get through" % len(left)
                for caller in greeted:
                    caller.setblocking(True)
                    caller.sendall(left[caller])
                    unheard.add(caller)
                for caller in answered:
                    line = left.pop(caller)
                    assert read_exactly(caller, len(line)) == line
                    # Not together with the line: Linux 6.18 acknowledges data that it dropped at a full queue when
                    # the FIN alone comes again.
                    caller.shutdown(socket.SHUT_WR)
                    assert read_all(caller) == b""
                    unheard.remove(caller)
                    caller.close()
            assert server.stop() == 0


# ---- Nobody there ----------------------------------------------------------------------------------

def test_a_network_that_is_not_there_is_told_at_once():
    with own_network():
        result = run("connect", "203.0.113.1:5000", data=b"hello\n")
        assert result.returncode == 4
        assert b"203.0.113.1:5000" in result.stderr and b"Network is unreachable" in result.stderr


@pytest.mark.parametrize("model", MODELS)
def test_a_caller_whose_machine_vanishes_is_given_up_at_the_idle_limit(model):
    with own_network("192.0.2.1/24", "192.0.2.2/24"), \
            serve("echo", "192.0.2.1:0", "-m", model, "-i", "1s", "-v") as server:
        caller = call_from("192.0.2.2", "192.0.2.1", server.port)
        assert is_served(caller)
        ip("link", "set", "lo", "down")
        caller.close()  # nothing of it arrives
        server.wait_for("192.0.2.2:[0-9]+ ended by a limit, 1 bytes in, 1 out")
        assert server.stop() == 0
