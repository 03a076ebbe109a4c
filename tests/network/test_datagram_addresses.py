"""Datagrams in a network of their own: several addresses, IPv6 groups, and a server that takes every interface."""

import contextlib
import os
import socket
import time

import pytest

from networks import ip, own_network, wait_until_up
from programs import BUILD, PATIENCE, Server

MODELS = ["iterative", "prefork", "pool", "coroutines"]


def serve(handler, address, model):
    return Server([os.path.join(BUILD, "tests", "handlers"), handler, address], model=model)


def ask(server, host, family):
    """What the server knows of a datagram that went to this address; the answer must come from there."""
    with socket.socket(family, socket.SOCK_DGRAM) as caller:
        caller.settimeout(PATIENCE)
        caller.sendto(b"?", (host, server.port))
        answer, peer = caller.recvfrom(300)
        assert peer[0] == host
        return answer.decode().split()


def ask_until_answered(caller, address):
    """The first datagrams of a network that has just come up may be lost."""
    caller.settimeout(0.2)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        caller.sendto(b"?", address)
        with contextlib.suppress(TimeoutError):
            return caller.recv(300)
    raise TimeoutError("nobody answers at %s" % (address,))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("address", ["udp:*:0", "udp4:*:0"])
def test_replies_leave_from_the_address_that_was_asked(address, model):
    with own_network("192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"), serve("dgram_about", address, model) as server:
        for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.9"):
            assert ask(server, host, socket.AF_INET)[1] == "udp:%s:%d" % (host, server.port)


@pytest.mark.parametrize("model", MODELS)
def test_replies_leave_from_the_ipv6_address_that_was_asked(model):
    addresses = ("2001:db8::1/64", "2001:db8::2/64", "2001:db8:0:1::3/64")
    with own_network(*addresses), serve("dgram_about", "udp6:*:0", model) as server:
        for host in (address.split("/")[0] for address in addresses):
            assert ask(server, host, socket.AF_INET6)[1] == "udp:[%s]:%d" % (host, server.port)


@pytest.mark.parametrize("model", MODELS)
def test_an_ipv6_group_is_joined(model):
    with own_network():
        ip("link", "add", "here", "type", "veth", "peer", "name", "there")
        for name, address in (("here", "fe80::1/64"), ("there", "fe80::2/64")):
            ip("link", "set", name, "up", "addrgenmode", "none")
            ip("address", "add", address, "dev", name, "nodad")
        wait_until_up("here")
        with serve("dgram_about", "udp:[ff02::7464%here]:0", model) as server, \
                socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as caller:
            group = ("ff02::7464", server.port, 0, socket.if_nametoindex("here"))
            answer = ask_until_answered(caller, group).decode().split()
            assert answer[1].startswith("udp:[ff02::7464") and answer[3] == "1"
