"""The programs of the lectures with ours, in both directions (P of the course's list)."""

import os
import socket
import subprocess
import sys
import urllib.request

import pytest

from cases import ANSWER, LINE, Serving, call, connect, each, finished, host, in_every_model, needs
from programs import MODELS, PATIENCE, ROOT, read_all
from strangers import BY_NAME, HERE, java
from workshop import Party

pytestmark = pytest.mark.xdist_group("strangers")  # what is compiled for them is compiled once

OFTEN = 50


@pytest.fixture(scope="module", params=MODELS)
def upper(request):
    with Serving("upper", model=request.param) as server:
        yield server
        assert server.answers()


@pytest.fixture(scope="module", params=MODELS)
def echo(request):
    with Serving("echo", model=request.param) as server:
        yield server


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The clients of course/posix, which are ours, too."""
    folder = tmp_path_factory.mktemp("course")
    source = ROOT + "/course/posix/"

    def program(name):
        made = folder / name
        if not made.exists():
            subprocess.run(["cc", source + name + ".c", source + "nethelp.c", "-pthread", "-o", str(made)], check=True)
        return str(made)
    return program


def run(*command, said=LINE):
    return subprocess.run(list(map(str, command)), input=said, capture_output=True, timeout=PATIENCE)


# ---- Their clients, our servers -----------------------------------------------------------------


@needs("java", "javac")
def test_p1_java_byte_by_byte_is_answered_fifty_times(upper, made):
    words = java("Often", str(OFTEN), "hello, door", "JavaTcpClient", "HOST", "PORT")
    with Party(words, made, upper.number) as often:
        done = finished(often)
    assert (done.stdout, done.stderr, done.returncode) == (b"FROM SERVER: HELLO, DOOR\n" * OFTEN, b"", 0)


def test_p2_python_without_a_newline_is_answered(upper, made):
    done = call(BY_NAME["tcp_client.py"], made, upper.number)
    assert (done.stdout, done.stderr) == (b"Input lowercase sentence:From Server: HELLO, DOOR\n", b"")


def test_p3_the_nul_of_the_c_client_comes_back(upper, made):
    done = call(BY_NAME["quirky_cap_tcp_client"], made, upper.number, LINE, "1024", "63")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"FROM SERVER: HELLO, DOOR\n \n", 0)


@each("cap_tcp_client", "tcp_client.pl", "msg_client", "phone_client", "echoclient")
def test_p5_the_others_are_answered(stranger, upper, made):
    done = call(stranger, made, upper.number)
    assert stranger.answer_in(done.stdout).rstrip() == b"HELLO, DOOR" and done.returncode == 0


@needs("java", "javac")
def test_p6_java_says_null_where_it_has_nothing_to_say(upper, made):
    assert call(BY_NAME["JavaTcpClient"], made, upper.number, b"").stdout == b"FROM SERVER: NULL\n"


def test_p7_python_with_an_empty_sentence_hangs_and_harms_nobody(upper, made):
    with Party(BY_NAME["tcp_client.py"].command, made, upper.number) as hanging:
        hanging.wait_for_words(rb"Input lowercase sentence:", "stdout")
        hanging.say(b"\n")
    assert hanging.process.returncode < 0  # only a signal ends it
    assert upper.answers()


@in_every_model
def test_p24_p25_p27_the_message_server_answers_18_bytes_each_time(model, made):
    with Serving("message", model=model) as server:
        for _ in range(5):
            done = call(BY_NAME["msg_client"], made, server.number)
            assert done.stdout == b"Please enter the message: I got your message\n"
        server.wait_for_words(rb"Here is the message: hello, door\n", "stdout", 5)
        with socket.create_connection(("127.0.0.1", server.number), PATIENCE) as caller:
            caller.sendall(b"hi\n")
            assert read_all(caller) == b"I got your message"


def test_p28_the_echo_client_gets_its_lines(echo, made):
    done = call(BY_NAME["echoclient"], made, echo.number, b"123\nabc def\n")
    assert (done.stdout, done.returncode) == (b"123\nabc def\n", 0)


@pytest.mark.parametrize("word", ["word", "x" * 100000], ids=["a word", "100,000 bytes"])
def test_p29_p30_a_word_without_a_newline_comes_back(word, echo, made):
    done = run(made / "echo_client4", "127.0.0.1", word, echo.number)
    assert (done.stdout.decode(), done.returncode) == ("Received: %s\n" % word, 0)


@pytest.mark.parametrize("model", ["iterative", "threads", "pool", "coroutines"])
def test_p34_an_empty_service_hangs_up(model, made):
    with Serving("exec", "127.0.0.1:0", "--", "true", model=model, at=None) as server:
        done = call(BY_NAME["phone_client"], made, server.number, b"")
        assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "tr_TR.UTF-8"])
@in_every_model
def test_p43_only_a_to_z_change(model, locale, made, monkeypatch):
    monkeypatch.setenv("LC_ALL", locale)
    with Serving("upper", model=model) as server:
        done = call(BY_NAME["phone_client"], made, server.number, b"caf\xc3\xa9 \xc3\x9f \xff i\n")
        assert done.stdout == b"CAF\xc3\xa9 \xc3\x9f \xff I\n"


def test_p46_crlf_is_two_bytes_as_any(upper, made):
    assert call(BY_NAME["phone_client"], made, upper.number, b"hello\r\n").stdout == b"HELLO\r\n"


# ---- Our clients, their servers -----------------------------------------------------------------


@needs("java", "javac")
def test_p12_an_answer_byte_by_byte_is_whole_fifty_times(course, made):
    with host("JavaTcpServer close", made) as server:
        for _ in range(OFTEN):
            done = run(course("upper_client"), "127.0.0.1", server.number)
            assert (done.stdout, done.stderr, done.returncode) == (b"FROM SERVER: HELLO, DOOR\n", b"", 0)
            assert connect(server.number, LINE).stdout == ANSWER


@needs("java", "javac")
def test_p13_who_knows_the_answer_does_not_wait_for_the_end(course, made):
    with host("JavaTcpServer keep", made) as server:
        assert run(course("upper_client"), "127.0.0.1", server.number).stdout == b"FROM SERVER: HELLO, DOOR\n"
        done = connect(server.number, LINE, "-e", "HELLO, DOOR\n")
        assert (done.stdout, done.returncode) == (ANSWER, 0)


def test_p14_a_request_in_one_write_is_one_read_fifty_times(course, made):
    with host("tcp_server.py", made) as server:
        for _ in range(OFTEN):
            assert run(course("upper_client"), "127.0.0.1", server.number).stdout == b"FROM SERVER: HELLO, DOOR\n"
            assert connect(server.number, LINE).stdout == ANSWER


def test_p15_nothing_of_an_earlier_caller_is_shown(course, made):
    with host("quirky_cap_tcp_server", made) as server:
        run(course("upper_client"), "127.0.0.1", server.number, said=b"the secret is 42, and this line is long\n")
        done = run(course("upper_client"), "127.0.0.1", server.number)
        assert (done.stdout, done.returncode) == (b"FROM SERVER: HELLO, DOOR\n", 0)


@each("cap_tcp_server", "tcp_server.pl")
def test_p17_the_plain_servers_answer(stranger, course, made):
    with host(stranger.name, made) as server:
        assert run(course("upper_client"), "127.0.0.1", server.number).stdout == b"FROM SERVER: HELLO, DOOR\n"
        assert connect(server.number, LINE).stdout == ANSWER


@pytest.mark.parametrize("ours", ["course", "connect"])
def test_p26_the_message_server_of_the_slides_answers(ours, course, made):
    with host("msg_server", made) as server:
        if ours == "course":
            shown, done = b"Please enter the message: I got your message\n", run(
                course("message_client"), "127.0.0.1", server.number)
        else:
            shown, done = b"I got your message", connect(server.number, LINE)
        assert (done.stdout, done.returncode) == (shown, 0)
        assert server.wait() == 0
        assert server.stdout == b"Here is the message: hello, door\n\n"


@pytest.mark.parametrize("said", [b"123\nabc def\n", b"no newline"])
def test_p31_p32_the_echo_server_of_the_slides_gives_back(said, course, made):
    with host("echoserver", made) as server:
        for done in run(course("echo_client"), "127.0.0.1", server.number, said=said), connect(server.number, said):
            assert (done.stdout, done.stderr, done.returncode) == (said, b"", 0)


def test_p35_a_server_that_says_nothing_is_told(course, made):
    with host("phone_server_iter", made) as server:
        done = run(course("upper_client"), "127.0.0.1", server.number)
        assert done.returncode == 1 and b"closed without an answer" in done.stderr
        assert connect(server.number, b"", "-e", "hello").returncode == 1
        assert connect(server.number, LINE).returncode == 6  # nobody has read it
        assert connect(server.number).returncode == 0


def test_p45_three_lines_on_one_connection(upper):
    done = connect(upper.number, b"one\ntwo\nthree\n")
    assert (done.stdout, done.returncode) == (b"ONE\nTWO\nTHREE\n", 0)


@needs("java", "javac")
def test_p46_java_takes_crlf_for_a_line(course, made):
    with host("JavaTcpServer close", made) as server:
        assert run(course("upper_client"), "127.0.0.1", server.number, said=b"hello\r\n").stdout == b"FROM SERVER: HELLO\n"
        assert connect(server.number, b"hello\r\n").stdout == b"HELLO\n"


# ---- The web ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web():
    # Nobody else may be able to read our files.
    rights = ["--stay-root"] if os.geteuid() == 0 else []
    with Serving("exec", *rights, "127.0.0.1:0", "--", sys.executable, str(HERE / "python" / "page.py"), at=None) as server:
        yield server


def test_p40_a_page_is_served_to_a_browser(web):
    with urllib.request.urlopen("http://127.0.0.1:%d/" % web.number, timeout=PATIENCE) as page:
        text = page.read()
        assert (page.status, page.headers["Content-Length"]) == (200, str(len(text)))
        assert text.startswith(b"<!DOCTYPE html>")
    done = connect(web.number, b"GET / HTTP/1.0\r\n\r\n")
    assert done.stdout.startswith(b"HTTP/1.0 200 OK\r\n") and done.stdout.endswith(text)


@needs("curl")
def test_p40_a_page_is_served_to_curl(web):
    done = run("curl", "-sS", "-w", "%{http_code}", "http://127.0.0.1:%d/nobody" % web.number)
    assert (done.stdout, done.returncode) == (b"Nobody is here.\n404", 0)


def test_p41_a_page_is_fetched(tmp_path):
    (tmp_path / "index.html").write_text("<p>Come in.\n")
    words = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with Party(words, None) as server:
        port = int(server.wait_for_words(rb"port (\d+)", "stdout")[1])
        done = connect(port, b"GET / HTTP/1.0\r\n\r\n")
        assert done.returncode == 0
        assert done.stdout.startswith(b"HTTP/1.0 200 OK\r\n") and done.stdout.endswith(b"<p>Come in.\n")


def test_p42_each_door_has_its_own_service(web):
    with Serving("echo") as echo, Serving("upper") as upper:
        assert connect(echo.number, LINE).stdout == LINE
        assert connect(upper.number, LINE).stdout == ANSWER
        assert connect(web.number, b"GET / HTTP/1.0\r\n\r\n").stdout.startswith(b"HTTP/1.0 200 OK")
