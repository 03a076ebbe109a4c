"""doorbell serve: each service, the manners of the slides, and what is told of callers."""

import base64
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

from programs import (DOORBELL, MODELS, PATIENCE, is_readable, read_all, read_exactly, read_line, reset, run, serve)

PRINTABLE = bytes(range(33, 127)) + b" "


def ask(server, data=b""):
    with server.call() as caller:
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        return read_all(caller)


def chargen_line(number):
    return (PRINTABLE * 2)[number % 95:][:72] + b"\r\n"


# ---- Services -----------------------------------------------------------------------------------

@pytest.mark.parametrize("model", MODELS)
def test_chargen_sends_lines_of_72_characters_each_one_further(model):
    with serve("chargen", "127.0.0.1:0", "-m", model) as server:
        with server.call() as caller:
            data = read_exactly(caller, 74 * 1000)
        assert data == b"".join(chargen_line(i) for i in range(1000))
        with server.call() as caller:  # the one before has left: nobody is kept by him
            assert read_exactly(caller, 74) == chargen_line(0)
            # It ends by itself, between two lines.
            server.begin_stop()
            rest = read_all(caller)
            assert rest[-2:] == b"\r\n" and (len(rest) % 74) == 0
        assert server.stop() == 0


def test_chargen_keeps_nothing_for_a_caller_who_does_not_read():
    with serve("chargen", "127.0.0.1:0", "-v", "--sockopt", "sndbuf=16k") as server:
        with server.call() as caller:
            server.wait_for("called")
            with server.call() as other:
                assert len(read_exactly(other, 740000)) == 740000
            with open("/proc/%d/status" % server.process.pid) as status:
                assert int(re.search(r"RssAnon:\s+(\d+)", status.read())[1]) < 50000
            reset(caller)
        server.wait_for("127.0.0.1:.* ended, 0 bytes in", 2)


def test_chargen_goes_on_after_the_callers_end():
    with serve("chargen", "127.0.0.1:0") as server, server.call() as caller:
        caller.shutdown(socket.SHUT_WR)
        assert len(read_exactly(caller, 10000000)) == 10000000


@pytest.mark.parametrize("model", MODELS)
def test_daytime_tells_the_time_of_day_and_hangs_up(model):
    environment = {**os.environ, "TZ": "UTC", "BELL_MODEL": model}
    process = subprocess.Popen([DOORBELL, "serve", "daytime", "127.0.0.1:0", "--ready-fd", "1"], env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        port = int(process.stdout.readline().decode().rsplit(":", 1)[1])
        before = int(time.time())
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as caller:
            text = read_all(caller).decode()
        assert re.fullmatch(r"\w+day, \w+ \d\d, \d{4} \d\d:\d\d:\d\d-UTC\r\n", text)
        import calendar
        told = calendar.timegm(time.strptime(text, "%A, %B %d, %Y %H:%M:%S-UTC\r\n"))
        assert before <= told <= time.time()
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()


def test_time_is_seconds_since_1900_in_four_bytes():
    with serve("time", "127.0.0.1:0") as server:
        assert server.port
        for _ in range(2):
            time.sleep(1 - time.time() % 1)  # a second has just begun
            before = int(time.time())
            answer = ask(server)
            assert len(answer) == 4
            assert before <= struct.unpack(">I", answer)[0] - 2208988800 <= time.time()


def test_quote_has_a_saying_of_its_own():
    with serve("quote", "127.0.0.1:0") as server:
        saying = ask(server)
        assert 10 < len(saying) < 512 and saying.endswith(b".\r\n") and saying.count(b"\n") == 1
        assert ask(server, b"whatever") == saying


@pytest.mark.parametrize("text, sent", [
    ("Not today.", b"Not today.\r\n"),
    ("Nothing", b"Nothing\r\n"),
    ("a: b/c\n", b"a: b/c\n"),
    ("@ home", b"@ home\r\n"),
])
def test_quote_sends_the_text_that_it_was_given(text, sent):
    with serve("quote", text, "127.0.0.1:0") as server:
        assert ask(server) == sent


def test_discard_of_many_bytes_answers_nothing():
    with serve("discard", "127.0.0.1:0", "-v") as server:
        assert ask(server, b"x" * 3000000) == b""
        server.wait_for("ended, 3000000 bytes in, 0 out")


@pytest.mark.parametrize("service", ["echo", "upper", "discard", "chargen", "daytime", "time", "message", "quote"])
@pytest.mark.parametrize("model", MODELS)
def test_x5_x6_callers_who_reset_or_leave_disturb_no_service(service, model):
    with serve(service, "127.0.0.1:0", "-m", model, "-v") as server:
        for data in (b"", b"line\n" * 50, b"half"):
            caller = server.call()
            caller.sendall(data)
            reset(caller)
            caller = server.call()
            caller.sendall(data)
            caller.close()
        server.wait_for(r"tcp:\S+ called", 6)
        server.wait_for(r"tcp:\S+ (ended|reset)", 6)
        with server.call() as caller:
            caller.sendall(b"still there?\n")
            caller.shutdown(socket.SHUT_WR)
            assert len(caller.recv(1000)) > 0 or service == "discard"
        assert server.stop() == 0
        assert all(line.startswith("doorbell serve: ") or line.startswith("call it") for line in server.lines[:-1])


# ---- The servers of the slides ------------------------------------------------------------------

def test_p9_one_line_is_answered_and_then_it_hangs_up():
    with serve("upper", "127.0.0.1:0", "--one-line") as server, server.call() as caller:
        for piece in (b"hel", b"lo\nmore\n"):
            caller.sendall(piece)
        assert read_all(caller) == b"HELLO\n"


def test_one_line_of_a_stream_that_ends_without_a_newline_is_answered():
    with serve("upper", "127.0.0.1:0", "--one-line") as server:
        assert ask(server, b"x" * 100000) == b"X" * 100000


def test_p10_one_line_is_answered_and_the_connection_left_open():
    with serve("upper", "127.0.0.1:0", "--stay-open", "-i", "2s") as server, server.call() as caller:
        begin = time.monotonic()
        caller.sendall(b"hello\n")
        assert read_line(caller) == b"HELLO\n"
        caller.sendall(b"and this?\n")
        assert read_all(caller) == b""  # at last the idle time ends it
        assert time.monotonic() - begin >= 2


def test_stay_open_ends_when_the_caller_does():
    with serve("upper", "127.0.0.1:0", "--stay-open", "-v") as server:
        assert ask(server, b"hello\nand this\n") == b"HELLO\n"
        server.wait_for("ended, 15 bytes in, 6 out")


def test_p11_one_read_is_the_whole_request():
    with serve("upper", "127.0.0.1:0", "--one-read") as server, server.call() as caller:
        caller.sendall(b"hel")
        assert read_all(caller) == b"HEL"


def test_one_read_may_stay_open_too():
    with serve("upper", "127.0.0.1:0", "--one-read", "--stay-open") as server, server.call() as caller:
        caller.sendall(b"hel")
        assert read_exactly(caller, 3) == b"HEL"
        caller.sendall(b"lo\n")
        assert not is_readable(caller, 0.1)


@pytest.mark.parametrize("arguments, words", [
    (["echo", "--one-line"], "--one-line is for upper, not for echo"),
    (["message", "--stay-open"], "--stay-open is for upper"),
    (["discard", "--one-read"], "--one-read is for upper"),
    (["upper", "--one-read", "--one-line"], "one of them"),
    (["upper", "--stay-open", "--one-line"], "one of them"),
    (["upper", "--ready-fd", "77"], "--ready-fd 77"),
    (["upper", "--ready-fd", "0"], "--ready-fd 0"),
    (["upper", "--idle", "soon"], "--idle soon"),
    (["upper", "--delay", "5"], "--delay 5"),
    (["upper", "--grace", "1h"], "--grace 1h"),
    (["upper", "--max", "0"], "--max 0"),
    (["upper", "--backlog", "-1"], "--backlog -1"),
    (["upper", "--one-lin=3"], "takes nothing after ="),
    (["upper", "--on-line"], "did you mean --one-line"),
    (["upper", "-Z"], "no option -Z"),
    (["upper", "-m"], "--model needs NAME"),
    (["upper", "--sockopt", "nodely=1"], "nodely"),
    (["upper", "--sockopt", "nodelay=x"], "nodelay"),
    (["upper", "-4", "-6"], "4"),
    (["uper"], "did you mean upper"),
    (["qotd"], "there is no service qotd"),
    (["x" * 100000], "there is no service xxxx"),
    (["quote", "Hello", "there"], "port"),
    (["quote", "--one-line"], "--one-line is for upper"),
    (["echo", "127.0.0.1:70000"], "70000"),
    (["echo", *["127.0.0.1:x" * 1000] * 90], "listen"),
])
def test_what_makes_no_sense_is_refused_in_one_line(arguments, words):
    done = run("serve", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and words in lines[0] and len(lines[0]) < 600, lines


def try_to_call(server):
    try:
        return server.call()
    except ConnectionResetError:
        return None


def hears_nothing(caller):
    with caller:
        try:
            return caller.recv(1) == b""
        except ConnectionResetError:
            return True


# ---- Options ------------------------------------------------------------------------------------

@pytest.mark.parametrize("model", MODELS)
def test_once_serves_one_caller_and_exits(model):
    with serve("echo", "127.0.0.1:0", "-1", "-m", model) as server:
        with server.call() as caller:
            caller.sendall(b"first\n")
            assert read_line(caller) == b"first\n"
            second = try_to_call(server)
            caller.shutdown(socket.SHUT_WR)
            assert read_all(caller) == b""
            assert second is None or hears_nothing(second)
        assert server.process.wait(PATIENCE) == 0


def test_delay_comes_before_each_answer():
    with serve("echo", "127.0.0.1:0", "--delay", "100ms") as server, server.call() as caller:
        for _ in range(2):
            begin = time.monotonic()
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
            assert time.monotonic() - begin >= 0.1


def test_only_ipv4_or_only_ipv6():
    for option, host in (("-4", "127.0.0.1"), ("-6", r"\[::1\]")):
        with serve("echo", "0", option, "-v") as server:
            server.wait_for("call it")
            assert [line for line in server.lines if "listening" in line and not re.search(host, line)] == []
            server.wait_for("listening on tcp:%s:" % host)


def test_an_idle_time_of_never_can_be_spelled():
    with serve("echo", "127.0.0.1:0", "-i", "never") as server, server.call() as caller:
        caller.sendall(b"x")
        assert read_exactly(caller, 1) == b"x"


def test_socket_options_are_set():
    with serve("echo", "127.0.0.1:0", "--sockopt", "nodelay=0", "--sockopt", "rcvbuf=4k", "--calls") as server:
        server.wait_for(r"setsockopt\(\d+, .*, 4096\)")
        server.wait_for("listening on")


def test_ready_fd_gets_the_addresses():
    ours, theirs = os.pipe()
    with serve("echo", "0", "-4", "@ready-%d" % os.getpid(), "--ready-fd", str(theirs), pass_fds=[theirs]):
        os.close(theirs)
        with os.fdopen(ours) as ready:
            lines = ready.read().splitlines()  # up to its end: the server has closed it
    assert re.fullmatch(r"tcp:127.0.0.1:\d+", lines[0])
    assert lines[1:] == ["unix:@ready-%d" % os.getpid()]


# ---- What is told -------------------------------------------------------------------------------

def test_verbose_shows_a_line_for_each_caller_and_his_end():
    with serve("upper", "127.0.0.1:0", "-v") as server:
        with server.call() as caller:
            name = "tcp:127.0.0.1:%d" % caller.getsockname()[1]
            caller.sendall(b"hello\n")
            assert read_line(caller) == b"HELLO\n"
        server.wait_for("^doorbell serve: %s called$" % name)
        server.wait_for("^doorbell serve: %s ended, 6 bytes in, 6 out$" % name)
        server.wait_for("^call it: doorbell connect localhost:%d, or nc -N localhost %d$" % (server.port, server.port))


def test_without_verbose_callers_are_no_news():
    with serve("upper", "127.0.0.1:0") as server:
        assert ask(server, b"x") == b"X"
        assert server.stop() == 0
        assert not any("called" in (line or "") or "call it" in (line or "") for line in server.lines)


def test_quiet_says_nothing():
    ours, theirs = os.pipe()
    with serve("echo", "127.0.0.1:0", "-q", "--ready-fd", str(theirs), pass_fds=[theirs]) as server:
        os.close(theirs)
        with os.fdopen(ours) as ready:
            assert ready.read()
        assert server.stop() == 0
        assert server.lines == [None]


def test_very_verbose_shows_the_data_as_text_that_harms_no_terminal():
    with serve("upper", "127.0.0.1:0", "-vv") as server:
        assert ask(server, b"hi\x1b[2J\n") == b"HI\x1b[2J\n"
        server.wait_for(r'^tcp:127.0.0.1:\d+ < "hi\\x1b\[2J\\n"$')
        server.wait_for(r'^tcp:127.0.0.1:\d+ > "HI\\x1b\[2J\\n"$')


def test_hex_shows_the_data_in_hexadecimal():
    with serve("upper", "127.0.0.1:0", "-vv", "-x") as server:
        assert ask(server, b"abc") == b"ABC"
        server.wait_for(r"^< 00000000  61 62 63 .*\|abc\|$")
        server.wait_for(r"^> 00000000  41 42 43 .*\|ABC\|$")


@pytest.mark.parametrize("model", MODELS)
def test_json_has_an_object_for_each_event(model):
    with serve("upper", "127.0.0.1:0", "--json", "-m", model) as server:
        port = int(server.wait_for(r'"address":"tcp:127.0.0.1:(\d+)"').group(1))
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as caller:
            caller.sendall(b"hello\n")
            assert read_line(caller) == b"HELLO\n"
        server.wait_for('"closed"')
        assert server.stop() == 0
        events = [json.loads(line) for line in server.lines if line]
        assert [event["type"] for event in events] == ["listening", "accepted", "closed", "stopping"]
        assert all(event["v"] == 1 and event["t"] >= 0 for event in events)
        assert events[1]["peer"] == events[2]["peer"]
        assert (events[2]["bytes_in"], events[2]["bytes_out"]) == (6, 6)


def test_json_has_the_data_when_asked_for():
    text = "gr\u00fc\u00df dich \u00e9\u4e16\U0001f514\x1b[31m\0".encode() * 40 + b"\n"
    for sent in (b"hello\n", text, bytes(range(256)) * 3):
        with serve("echo", "127.0.0.1:0", "--json", "-vv") as server:
            port = int(server.wait_for(r'"address":"tcp:127.0.0.1:(\d+)"').group(1))
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as caller:
                caller.sendall(sent)
                assert read_exactly(caller, len(sent)) == sent
            server.wait_for('"closed"')
            assert server.stop() == 0
            events = [json.loads(line) for line in server.lines if line]
            peer = next(event["peer"] for event in events if event["type"] == "accepted")
            data = [event for event in events if event["type"] == "data"]
            for direction in ("in", "out"):
                assert b"".join(bytes_of(event) for event in data if event["direction"] == direction) == sent
            assert all(event["peer"] == peer for event in data)
            assert all("data" in event for event in data) == (sent[:1] != b"\0")


def bytes_of(event):
    return event["data"].encode() if "data" in event else base64.b64decode(event["data_b64"])


def test_json_of_a_failure():
    done = run("serve", "echo", "127.0.0.1:x y", "--json")
    event = json.loads(done.stderr)
    assert (event["type"], done.returncode) == ("error", 2)
    assert "x y" in event["text"]


def test_the_name_of_a_caller_is_one_line_whatever_it_is(tmp_path):
    name = "@caller\x1b[31m\n\xe9-%d" % os.getpid()
    path = "@doorbell-names-%d" % os.getpid()
    for option in ("-v", "--json"):
        with serve("echo", path, option) as server, socket.socket(socket.AF_UNIX) as caller:
            server.wait_for("listening")
            caller.bind(("\0" + name[1:]).encode())
            caller.settimeout(PATIENCE)
            caller.connect("\0" + path[1:])
            caller.sendall(b"x")
            assert read_exactly(caller, 1) == b"x"
            caller.close()
            server.wait_for("ended, 1 bytes in")
            assert all(32 <= ord(c) < 127 for line in server.lines if line for c in line)


def test_a_bell_rings_at_the_terminal_for_each_caller():
    main, terminal = pty.openpty()
    process = subprocess.Popen([DOORBELL, "serve", "echo", "127.0.0.1:0", "--ring"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    try:
        shown = read_terminal(main, rb"listening on tcp:127.0.0.1:(\d+)[^$]*call it: doorbell connect localhost")
        port = int(re.search(rb"127.0.0.1:(\d+)", shown)[1])
        assert b"\a" not in shown
        for _ in range(2):
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            read_terminal(main, b"\a")
    finally:
        process.terminate()
        process.wait(PATIENCE)
        os.close(main)


def read_terminal(fd, pattern):
    shown = b""
    until = time.monotonic() + PATIENCE
    while not re.search(pattern, shown):
        assert select.select([fd], [], [], until - time.monotonic())[0], (pattern, shown)
        shown += os.read(fd, 4096)
    return shown


def test_without_a_terminal_there_is_no_bell():
    with serve("echo", "127.0.0.1:0", "--ring", start_new_session=True) as server:
        server.wait_for("there is no terminal")
        assert ask(server, b"x") == b"x"
        assert not any("\a" in (line or "") for line in server.lines)


# ---- Closed descriptors -------------------------------------------------------------------------

@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1", "0 1 2"])
def test_standard_descriptors_may_be_closed(closed):
    ours, theirs = os.pipe()
    closing = " ".join("%s>&-" % fd for fd in closed.split())
    process = subprocess.Popen(["sh", "-c", "exec %s serve upper 127.0.0.1:0 -v --ready-fd %d %s" % (
        DOORBELL, theirs, closing)], pass_fds=[theirs], stderr=subprocess.DEVNULL)
    os.close(theirs)
    try:
        with os.fdopen(ours) as ready:
            port = int(ready.read().rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as caller:
            caller.sendall(b"hello\n")
            caller.shutdown(socket.SHUT_WR)
            assert read_all(caller) == b"HELLO\n"  # and nothing that was meant for stderr
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
