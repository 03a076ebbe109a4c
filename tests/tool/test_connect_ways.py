"""The twelve situations in which netcats lose data or an end: as a client and as a listener, with the other
direction quiet, choked or finished, does what goes in, or out, still arrive, and its end?

(The public experiment on eleven netcats that is known as nc-warts.)
"""

import os
import select
import socket
import subprocess

import pytest

from programs import DOORBELL, OWN_HOST, PATIENCE

PIECES = 10


class Copier:
    """doorbell connect between two pipes of ours and a peer's socket."""

    def __init__(self, role, *options):
        command = [DOORBELL, "connect", *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0}
        if role == "client":
            with socket.create_server(("127.0.0.1", 0)) as door:
                self.process = subprocess.Popen([*command, "127.0.0.1:%d" % door.getsockname()[1]], **pipes)
                door.settimeout(PATIENCE)
                self.peer = door.accept()[0]
        else:
            self.process = subprocess.Popen([*command, "-l", OWN_HOST + ":0"], **pipes)
            line = self.process.stderr.readline().decode()
            assert line.startswith("listening on tcp:%s:" % OWN_HOST), line
            self.peer = socket.create_connection((OWN_HOST, int(line.rsplit(":", 1)[1])), PATIENCE)
        self.peer.settimeout(PATIENCE)
        self.stdin = self.process.stdin.fileno()
        self.stdout = self.process.stdout.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.peer.close()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def read_stdout(self):
        assert select.select([self.stdout], [], [], PATIENCE)[0], "nothing came out"
        return os.read(self.stdout, 65536)

    def deliver_in(self):
        for number in range(PIECES):
            piece = b"in %d" % number
            self.peer.sendall(piece)
            assert self.read_stdout() == piece
        self.peer.shutdown(socket.SHUT_WR)
        assert self.read_stdout() == b""

    def deliver_out(self):
        for number in range(PIECES):
            piece = b"out %d" % number
            os.write(self.stdin, piece)
            assert self.peer.recv(65536) == piece
        self.process.stdin.close()
        assert self.peer.recv(65536) == b""

    def finish_out(self):
        self.process.stdin.close()
        assert self.peer.recv(1) == b""

    def finish_in(self):
        self.peer.shutdown(socket.SHUT_WR)
        assert self.read_stdout() == b""

    def fill_out(self):
        """Until nothing more goes in: the peer does not read."""
        os.set_blocking(self.stdin, False)
        while select.select([], [self.stdin], [], 0.2)[1]:
            os.write(self.stdin, b"x" * 4096)

    def fill_in(self):
        self.peer.setblocking(False)
        while select.select([], [self.peer], [], 0.2)[1]:
            self.peer.send(b"x" * 65536)
        self.peer.settimeout(PATIENCE)


@pytest.mark.parametrize("role", ["client", "listener"])
@pytest.mark.parametrize("state", ["quiet", "choked", "finished"])
def test_what_comes_arrives_and_so_does_its_end_while_our_side_is(state, role):
    with Copier(role) as copier:
        {"quiet": lambda: None, "choked": copier.fill_out, "finished": copier.finish_out}[state]()
        copier.deliver_in()
        if state == "finished":
            assert copier.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("role", ["client", "listener"])
@pytest.mark.parametrize("state", ["quiet", "choked", "finished"])
def test_what_goes_arrives_and_so_does_its_end_while_their_side_is(state, role):
    with Copier(role) as copier:
        {"quiet": lambda: None, "choked": copier.fill_in, "finished": copier.finish_in}[state]()
        copier.deliver_out()
        if state == "finished":
            assert copier.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("role", ["client", "listener"])
def test_both_sides_choked_at_once_lose_nothing(role):
    with Copier(role) as copier:
        copier.fill_out()
        copier.fill_in()
        copier.process.stdin.close()
        copier.peer.shutdown(socket.SHUT_WR)
        out = sum(iter(lambda: len(copier.peer.recv(65536)), 0))
        received = sum(iter(lambda: len(copier.read_stdout()), 0))
        assert out > 65536 and received > 65536
        assert copier.process.wait(PATIENCE) == 0


def test_the_listener_takes_one_caller_only():
    with Copier("listener") as copier:
        copier.deliver_in()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(copier.peer.getpeername(), PATIENCE)
