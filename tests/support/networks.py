"""Networks of a test's own: a network namespace that the test, and what it starts, is in."""

import contextlib
import ctypes
import os
import subprocess
import time

import pytest

from programs import PATIENCE

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@contextlib.contextmanager
def own_network(*addresses):
    """The calling thread, and what it starts, is in a network whose one machine has these addresses.

    They are not loopback addresses, though nobody else is there to be reached.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            call(libc.unshare, CLONE_NEWNET)
        except OSError as error:
            pytest.skip("no network namespaces here: %s" % error)
        try:
            ip("link", "set", "lo", "up")
            for address in addresses:
                ip("address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
            for address in addresses:
                wait_for_route(address.split("/")[0])
            yield
        finally:
            call(libc.setns, home, CLONE_NEWNET)
    finally:
        os.close(home)


def wait_for_route(address):
    """The kernel makes that of an IPv6 address later, and until then drops what goes there."""
    until = time.monotonic() + PATIENCE
    while not subprocess.run(["ip", "route", "get", address], capture_output=True).stdout.startswith(b"local "):
        assert time.monotonic() < until, address


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


@contextlib.contextmanager
def broadcast_link():
    """In own_network: an interface "here" with 192.0.2.1, on which 192.0.2.255 is everybody."""
    ip("link", "add", "here", "type", "veth", "peer", "name", "there")
    ip("address", "add", "192.0.2.1/24", "broadcast", "192.0.2.255", "dev", "here")
    for name in ("there", "here"):
        ip("link", "set", name, "up")
    wait_until_up("here")
    yield


def wait_until_up(name):
    """An interface that was set up is of use when the kernel has seen its other end, a little later."""
    until = time.monotonic() + PATIENCE
    while b"state UP" not in subprocess.run(["ip", "-o", "link", "show", name], capture_output=True).stdout:
        assert time.monotonic() < until


def set_sysctl(name, value):
    try:
        with open("/proc/sys/" + name, "w") as file:
            file.write(value)
    except OSError as error:
        pytest.skip("%s cannot be set here: %s" % (name, error))


def tcp_counter(name):
    """One of the namespace's counters, as netstat -s shows them."""
    with open("/proc/thread-self/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index(name)])
