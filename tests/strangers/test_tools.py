"""telnet, the netcats and others (T of the course's list). What each pair shows is in docs/strangers.md."""

import re
import socket

import pytest

from cases import ANSWER, HALF_CLOSING, LINE, Serving, call, connect, each, finished, host, in_every_model, needs
from desk import Desk
from programs import DOORBELL, PATIENCE
from workshop import Party

pytestmark = pytest.mark.xdist_group("strangers")  # what is compiled for them is compiled once

BANNER = rb"Trying 127\.0\.0\.1\.\.\.\r\nConnected to 127\.0\.0\.1\.\r\nEscape character is '\^]'\.\r\n"


def telnet(port):
    desk = Desk("telnet", "127.0.0.1", str(port))
    desk.wait_for(BANNER)
    return desk


@needs("telnet")
@in_every_model
def test_t1_telnet_shows_the_line_twice_and_is_told_to_quit(model):
    with Serving("echo", "-v", model=model) as server, telnet(server.number) as desk:
        desk.type(b"123\r")
        desk.wait_for(rb"^123\r\n123\r\n")
        desk.type(b"\x1d")
        desk.wait_for(rb"telnet> ")
        desk.type(b"quit\r")
        desk.wait_for(rb"Connection closed\.")
        server.wait_for_words(rb"ended, 5 bytes in, 5 out")


@needs("telnet")
@pytest.mark.parametrize("words", [("upper", "--one-line"), ("echo", "-i", "1s")], ids=" ".join)
def test_t2_the_server_ends_the_session_of_the_slide(words):
    with Serving(*words) as server, telnet(server.number) as desk:
        desk.type(b"123\r")
        desk.wait_for(rb"^123\r\n123\r\n(?:\r\n)?Connection closed by foreign host\.\r\n$")


@needs("telnet")
@in_every_model
def test_t3_telnet_shows_capitals_on_a_line_of_their_own(model):
    with Serving("upper", model=model) as server, telnet(server.number) as desk:
        desk.type(b"hello\r")
        desk.wait_for(rb"^hello\r\nHELLO\r\n")


@each(*HALF_CLOSING)
@in_every_model
@pytest.mark.parametrize("said", [b"hello\n", b"hello"])
def test_t4_t5_a_line_or_a_word_is_answered(said, model, stranger, made):
    with Serving("upper", model=model) as server:
        done = call(stranger, made, server.number, said)
        assert (done.stdout, done.returncode) == (said.upper(), 0)


@each("nc.openbsd -N -l", "nc.traditional -l", "ncat -l", "socat TCP-LISTEN")
def test_t7_what_somebody_types_at_a_netcat_is_shown(stranger, made):
    with host(stranger.name, made) as server, \
            Party([DOORBELL, "connect", "127.0.0.1:%d" % server.number], made) as caller:
        caller.say(LINE)
        server.wait_for_words(LINE, "stdout")
        server.say(b"yes, door\n")
        caller.wait_for_words(b"yes, door\n", "stdout")
        server.say_no_more()
        caller.say_no_more()
        assert finished(caller).returncode == 0


@needs("telnet")
def test_t10_a_message_without_a_newline_is_followed_by_telnets_words():
    with Serving("message") as server, telnet(server.number) as desk:
        desk.type(b"hello\r")
        desk.wait_for(rb"^hello\r\nI got your messageConnection closed by foreign host\.\r\n")


def test_t11_ours_does_what_telnet_does_at_the_server_of_the_slides(made):
    with host("echoserver", made) as server, Desk(DOORBELL, "connect", "127.0.0.1:%d" % server.number) as desk:
        desk.wait_for(rb"connected[^\n]*\n")
        desk.type(b"123\r")
        desk.wait_for(rb"123\r\n123\r\n")
        desk.type(b"\x1d")
        desk.wait_for(rb"doorbell> ")
        desk.type(b"quit\r")
        desk.process.wait(PATIENCE)
        server.wait_for_words(rb"server received 4 bytes\n", "stdout")


@needs("telnet")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
@pytest.mark.parametrize("family", [[], ["-4"], ["-6"]], ids=["both families", "IPv4 only", "IPv6 only"])
def test_t13_telnet_finds_us_at_the_address_that_is_served(family, host):
    if (family, host) in ((["-4"], "::1"), (["-6"], "127.0.0.1")):
        answer = rb"Connection refused"
    else:
        answer = rb"Connected to [^\n]*\nEscape character is '\^]'\.\r\n"
    with Serving("upper", *family, at="localhost:0") as server, Desk("telnet", host, str(server.number)) as desk:
        if (family, host) == (["-6"], "localhost") and not has_two_addresses():
            pytest.skip("localhost is no IPv6 address here")
        desk.wait_for(answer)
        if answer.startswith(b"Connected"):
            desk.type(b"hello\r")
            desk.wait_for(rb"HELLO\r\n")


def has_two_addresses():
    return {found[0] for found in socket.getaddrinfo("localhost", None)} >= {socket.AF_INET, socket.AF_INET6}


# ---- curl and openssl ---------------------------------------------------------------------------


@needs("curl")
@in_every_model
def test_curl_shows_what_telnet_would(model, made):
    with Serving("upper", "--one-line", model=model) as server, \
            Party(["curl", "-sSN", "telnet://HOST:PORT"], made, server.number) as curl:
        curl.say(b"hello\n")
        curl.say_no_more()
        done = finished(curl)
        assert (done.stdout, done.returncode) == (b"HELLO\n", 0)


@needs("openssl", "socat")
@in_every_model
def test_openssl_is_answered_through_somebody_who_speaks_tls(model, certificate, made):
    key, file = certificate
    with Serving("upper", model=model) as server, \
            Party(["socat", "-d", "-d", "OPENSSL-LISTEN:0,bind=127.0.0.1,verify=0,key=%s,cert=%s" % (key, file),
                   "TCP:127.0.0.1:%d" % server.number], made) as front, \
            Party(["openssl", "s_client", "-quiet", "-connect", "HOST:PORT"], made, front.port()) as client:
        client.say(LINE)
        client.wait_for_words(re.escape(ANSWER), "stdout")


@needs("openssl", "socat")
def test_openssl_answers_ours_through_somebody_who_speaks_tls(certificate, made):
    key, file = certificate
    with Party(["openssl", "s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", file, "-rev"], made) as server:
        port = int(server.wait_for_words(rb"ACCEPT [\d.]+:(\d+)", "stdout")[1])
        with Party(["socat", "-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1", "OPENSSL:127.0.0.1:%d,verify=0" % port],
                   made) as front:
            done = connect(front.port(), b"hello\n", "--no-half-close", "-e", "olleh\n")
            assert (done.stdout, done.returncode) == (b"olleh\n", 0)
