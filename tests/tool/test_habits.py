"""What the hands of the users of other tools type, as typed; and the examples of the help texts. In a network of its own."""

import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

from networks import own_network
from programs import DOORBELL, PATIENCE, run

HELP = {command: run("help", command).stdout.decode() for command in ("serve", "connect")}
EXAMPLES = {command: re.findall(r"^  doorbell (.*?)(?:  +#.*)?$", text[text.index("\nExamples:"):], re.MULTILINE)
            for command, text in HELP.items()}


@pytest.fixture
def network(tmp_path):
    """In it there is `door`, with an upper-case server on 7464 and 80."""
    with own_network():
        yield Desk(tmp_path)


class Desk:
    def __init__(self, folder):
        self.folder = str(folder)
        for name in ("bin", "site"):
            os.makedirs(os.path.join(self.folder, name))
        os.symlink(DOORBELL, self.folder + "/bin/doorbell")
        self.environment = {**os.environ, "PATH": "%s/bin:%s" % (self.folder, os.environ["PATH"])}

    def start(self, line, **options):
        return subprocess.Popen(["sh", "-c", "exec " + line], cwd=self.folder, env=self.environment, stderr=subprocess.PIPE,
                                start_new_session=True, **options)

    def type(self, line, data=b""):
        return subprocess.run(["sh", "-c", line], cwd=self.folder, env=self.environment, input=data, capture_output=True,
                              timeout=PATIENCE)

    @contextlib.contextmanager
    def serving(self, line):
        server = self.start(line, stdout=subprocess.DEVNULL)
        try:
            said = b""
            while b"listening on" not in said:
                said = server.stderr.readline()
                assert said, line
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE) == 0
            server.stderr.close()

    def write(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()


def test_connect_host_port(network):
    with network.serving("doorbell serve upper localhost:80"):
        assert network.type("doorbell connect localhost 80", b"x").stdout == b"X"
        assert network.type("doorbell connect localhost:80", b"x").stdout == b"X"
        assert network.type("doorbell connect localhost http", b"x").stdout == b"X"


def test_connect_u_host_port(network):
    with network.serving("doorbell serve upper udp:80"):
        assert network.type("doorbell connect -u localhost 80", b"x").stdout == b"X"
        assert network.type("doorbell connect -u localhost:80", b"x").stdout == b"X"


def test_a_file_from_here_to_there(network):
    network.write("file", b"all of it\n" * 1000)
    there = network.start("doorbell connect -l '*:9000' > f", stdin=subprocess.DEVNULL)
    here = network.type("doorbell connect --wait 10s localhost:9000 < file")
    assert (here.returncode, there.wait(PATIENCE)) == (0, 0)
    there.stderr.close()
    assert network.read("f") == b"all of it\n" * 1000


def test_whether_a_port_is_open(network):
    with network.serving("doorbell serve echo localhost:22"):
        assert network.type("doorbell connect -z localhost:22").returncode == 0
    assert network.type("doorbell connect -z localhost:22").returncode == 4


def test_until_it_is_open(network):
    waiting = network.start("doorbell connect -z --wait 1m localhost:5432")
    time.sleep(0.1)
    with network.serving("doorbell serve echo localhost:5432"):
        assert waiting.wait(PATIENCE) == 0
    waiting.stderr.close()


def test_a_unix_socket(network):
    path = network.folder + "/x.sock"
    with network.serving("doorbell serve upper " + path):
        assert network.type("doorbell connect " + path, b"x").stdout == b"X"
        assert network.type("doorbell connect ./x.sock", b"x").stdout == b"X"


def test_an_echo_server_on_its_port(network):
    with network.serving("doorbell serve echo 7"):
        assert network.type("doorbell connect localhost echo", b"x").stdout == b"x"


# ---- The examples of the help texts --------------------------------------------------------------

@pytest.mark.parametrize("line", EXAMPLES["connect"])
def test_an_example_of_connect_works(line, network):
    network.write("file", b"hello\n")
    with network.serving("doorbell serve upper localhost:7464 udp:7464 udp:514"):
        if " -l " in line:
            called = network.start("doorbell " + line, stdin=subprocess.DEVNULL)
            address = re.search(r"-l '?(\S+?)'? ", line + " ").group(1).replace("*", "localhost")
            assert network.type("doorbell connect --wait 10s %s < file" % address).returncode == 0
            assert called.wait(PATIENCE) == 0
            called.stderr.close()
        else:
            done = network.type("doorbell " + line, b"hello\n")
            assert done.returncode == 0, done.stderr
            is_shown = not any(word in line for word in ("--do", "-z", "--send-only"))
            assert done.stdout == (b"HELLO\n" if is_shown else b"")


@pytest.mark.parametrize("line", EXAMPLES["serve"])
def test_an_example_of_serve_works(line, network):
    with network.serving("doorbell " + line):
        pass
