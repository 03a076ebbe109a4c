"""Several services in one server: each is called at its own address."""

import os
import socket
import urllib.request

import pytest

from networks import own_network
from pages import make_site, needs_http
from programs import MODELS, PATIENCE, read_all, run, serve


def ports_of(server, *services, scheme="tcp"):
    lines = (r"listening on %s:\S+:(\d+) \(%s\)$" % (scheme, service) for service in services)
    return [int(server.wait_for(line).group(1)) for line in lines]


def ask(port, data, host="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(PATIENCE)
        asker.connect((host, port))
        asker.send(data)
        return asker.recv(1000)


def talk(port, data, host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as caller:
        caller.settimeout(PATIENCE)
        caller.connect((host, port))
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        return read_all(caller)


@needs_http
@pytest.mark.parametrize("model", MODELS)
def test_p42_echo_pages_and_capitals_in_one_process(tmp_path, model):
    with serve("echo", "127.0.0.1:0", "and", "files", str(make_site(tmp_path)), "127.0.0.1:0", "and", "upper", "127.0.0.1:0",
               "-m", model) as server:
        echo, pages, upper = ports_of(server, "echo", "files", "upper")
        assert talk(echo, b"hello\n") == b"hello\n"
        assert talk(upper, b"hello\n") == b"HELLO\n"
        with urllib.request.urlopen("http://127.0.0.1:%d/" % pages, timeout=PATIENCE) as page:
            assert page.read() == b"<h1>The front page</h1>\n"
        assert server.stop() == 0


@needs_http
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes networks")
def test_echo_on_port_7_and_pages_on_port_80(tmp_path):
    with own_network("10.0.0.1/32"):
        with serve("echo", "*:7", "and", "files", str(make_site(tmp_path)), "*:80", "--user", "nobody") as server:
            server.wait_for("listening on", count=2)
            for host in ("10.0.0.1", "127.0.0.1", "::1"):
                assert talk(7, b"hello\n", host) == b"hello\n"
                assert talk(80, b"GET / HTTP/1.0\r\n\r\n", host).endswith(b"\r\n\r\n<h1>The front page</h1>\n")
            assert server.stop() == 0


def test_unix_sockets_have_their_services(tmp_path):
    with serve("upper", str(tmp_path / "a"), "and", "echo", str(tmp_path / "b"), "and", "quote", "No.", "127.0.0.1:0") as server:
        server.wait_for("listening on", count=3)
        for name, answer in (("a", b"HELLO\n"), ("b", b"hello\n")):
            asked = run("connect", str(tmp_path / name), data=b"hello\n")
            assert (asked.returncode, asked.stdout) == (0, answer)
        assert server.stop() == 0


@pytest.mark.parametrize("model", [model for model in MODELS if model != "fork"])
def test_datagrams_go_to_the_service_of_their_address(model):
    with serve("echo", "udp:127.0.0.1:0", "and", "upper", "udp:127.0.0.1:0", "and", "quote", "No.", "udp:127.0.0.1:0",
               "-m", model) as server:
        echo, upper, quote = ports_of(server, "echo", "upper", "quote", scheme="udp")
        for _ in range(5):
            assert ask(upper, b"hello") == b"HELLO"
            assert ask(echo, b"hello") == b"hello"
            assert ask(quote, b"hello, what is it?") == b"No.\r\n"
        assert server.stop() == 0


def test_streams_datagrams_and_messages_each_have_their_service(tmp_path):
    with serve("upper", "127.0.0.1:0", "and", "echo", "udp:127.0.0.1:0", "127.0.0.1:0", "and",
               "upper", "udp:127.0.0.1:0", "unixpacket:%s" % (tmp_path / "p"), "and", "echo", "unixpacket:%s" % (tmp_path / "q"),
               *(["--stay-root"] if os.geteuid() == 0 else [])) as server:
        server.wait_for("listening on", count=6)
        upper, echo = ports_of(server, "upper", "echo")
        assert (talk(upper, b"hello\n"), talk(echo, b"hello\n")) == (b"HELLO\n", b"hello\n")
        upper, echo = ports_of(server, "upper", "echo", scheme="udp")
        assert (ask(upper, b"hello"), ask(echo, b"hello")) == (b"HELLO", b"hello")
        for name, answer in (("p", b"HELLO"), ("q", b"hello")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
                caller.settimeout(PATIENCE)
                caller.connect(str(tmp_path / name))
                caller.send(b"hello")
                assert caller.recv(100) == answer
        assert server.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes networks")
def test_the_nearest_of_several_sockets_of_a_port_has_the_call():
    with own_network("10.0.0.1/32"):
        with serve("upper", "tcp6:*:7", "and", "echo", "tcp4:*:7", "--user", "nobody") as server:
            server.wait_for("listening on", count=2)
            assert talk(7, b"hello\n", "::1") == b"HELLO\n"
            assert talk(7, b"hello\n", "10.0.0.1") == b"hello\n"
            assert server.stop() == 0


@pytest.mark.parametrize("words, sentence", [
    (["echo", "127.0.0.1:0", "and", "files", "/", "udp:127.0.0.1:0"], b"files needs callers"),
    (["echo", "127.0.0.1:0", "and", "chargen", "udp:0.0.0.0:0"], b"chargen on udp:0.0.0.0:"),
    (["echo", "127.0.0.1:0", "and", "upper", "udp:127.0.0.1:0", "-m", "fork"], b"callers or datagrams, not both"),
    (["echo", "and", "upper", "127.0.0.1:0"], b"echo needs an address"), (["echo", "127.0.0.1:0", "and"], b"which other service"),
    (["echo", "127.0.0.1:0", "and", "ecko", "127.0.0.1:0"], b"did you mean echo"),
    (["echo", "127.0.0.1:0", "and", "exec", "127.0.0.1:0", "--", "wc"], b"exec is a server of its own"),
    (["files", "/", "127.0.0.1:0", "and", "files", "/", "127.0.0.1:0"], b"files can be there once"),
    (" and ".join(["echo 127.0.0.1:0"] * 9).split(), b"may have 8 services")])
def test_services_that_do_not_fit_together(words, sentence):
    asked = run("serve", *words)
    assert (asked.returncode, sentence in asked.stderr) == (2, True), asked.stderr
