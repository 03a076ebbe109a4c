"""What datagrams and messages call, as the book writes it."""

import os
import re
import socket
import subprocess

from programs import PATIENCE, Server, example


def calls_of(lines):
    return [re.sub(r"^\[[\d/]+\] ", "", line) for line in lines if line and line.startswith("[")]


def test_a_server_of_datagrams_calls_what_the_book_does(monkeypatch):
    monkeypatch.setenv("BELL_CALLS", "1")
    with Server([example("datagrams"), "serve", "udp:127.0.0.1:0"], model="iterative") as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.settimeout(PATIENCE)
            for data in (b"hello", b"", b"x" * 3000):
                caller.sendto(data, ("127.0.0.1", server.port))
            assert caller.recv(100) == b"HELLO"
            assert caller.recv(100) == b""
            port = caller.getsockname()[1]
            server.wait_for("= 3000 ")
        assert server.stop() == 0
        calls = calls_of(server.lines)
    start = next(i for i, call in enumerate(calls) if call.startswith("socket(AF_INET, SOCK_DGRAM"))
    assert calls[start:start + 7] == [
        "socket(AF_INET, SOCK_DGRAM, 0) = 3",
        "bind(3, 127.0.0.1:0)",
        'recvfrom(3) = 5  "hello" from 127.0.0.1:%d' % port,
        'sendto(3, "HELLO", 5, 127.0.0.1:%d) = 5' % port,
        'recvfrom(3) = 0  "" from 127.0.0.1:%d' % port,
        'sendto(3, "", 0, 127.0.0.1:%d) = 0' % port,
        'recvfrom(3) = 3000  "xxxxxxxxxxxxxxxx"... from 127.0.0.1:%d' % port,
    ]


def test_the_first_packet_of_a_call_carries_data():
    """U21."""
    with Server([example("datagrams"), "serve", "udp:127.0.0.1:0"]) as server:
        done = subprocess.run([example("datagrams"), "ask", server.address, "hello"], capture_output=True,
                              timeout=PATIENCE, env={**os.environ, "BELL_CALLS": "1"})
        assert done.stdout == b"HELLO\n"
        assert calls_of(done.stderr.decode().splitlines()) == [
            "socket(AF_INET, SOCK_DGRAM, 0) = 3",
            "connect(3, 127.0.0.1:%d)" % server.port,
            'send(3, "hello", 5) = 5',
            'recv(3) = 5  "HELLO"',
            "close(3)",
        ]
