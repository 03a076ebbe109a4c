"""The programs of the course in C, over the library, in Java, Python and Perl: any two work together."""

import contextlib
import socket

import pytest

import languages
from languages import ENDINGS, KINDS, SERVICES, Machine, client_of, command, compile_java, has_java, start, where
from lossy import Relay
from posix_programs import Server, call, receive_all, receive_exactly, reset, run
from programs import MODELS, OWN_HOST, closed_port
from tables import check_table

SAYS = {  # input of the client, and what it shows
    "upper": ("hello, door\n", b"FROM SERVER: HELLO, DOOR\n"),
    "echo": ("ding\ndong", b"ding\ndong"),
    "message": ("hello, door\n", b"Please enter the message: I got your message\n"),
    "phone": ("", b""),
    "upper_udp": ("hello, door\n", b"FROM SERVER: HELLO, DOOR\n"),
}
SCRIPTS = [*ENDINGS]


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    if not has_java():
        pytest.skip("there is no Java here (default-jdk-headless)")
    folder = tmp_path_factory.mktemp("classes")
    compile_java(folder)
    return folder


@contextlib.contextmanager
def all_servers(program, classes):
    """Each service in each kind. Gives the ports by kind and service."""
    with contextlib.ExitStack() as stack:
        ports = {}
        names = [service + "_server" for service in SERVICES]
        java = stack.enter_context(Machine(classes, "serve", *map(languages.java_name, names)))
        for kind in KINDS:
            if kind != "java":
                servers = [stack.enter_context(start(kind, name, program)) for name in names]
                ports[kind] = {service: server.port for service, server in zip(SERVICES, servers)}
        ports["java"] = {name[:-len("_server")]: port for name, port in java.ports(names).items()}
        yield ports


def works(kind, service, port, program, java):
    text, expected = SAYS[service]
    name = client_of(service)
    if kind == "java":
        return java.call(name, port, text) == expected
    done = run(*command(kind, name, program), *where(kind, name, port), text=text)
    assert (done.stderr, done.returncode) == (b"", 0), (kind, service)
    return done.stdout == expected


# P1 to P31: 145, 169
def test_any_two_languages_work_together(program, classes):
    rows = [["client \\ server", *KINDS]]
    with all_servers(program, classes) as ports, Machine(classes, "call") as java:
        for client in KINDS:
            cells = []
            for server in KINDS:
                good = [service for service in SERVICES
                        if works(client, service, ports[server][service], program, java)]
                cells.append(" ".join(good))
            rows.append([client, *cells])
    check_table("course/README.md", "languages", [[cell.replace(" ".join(SERVICES), "all five") for cell in row]
                                                  for row in rows])


def test_a_java_program_is_started_as_its_comment_says(classes):
    java = [*languages.JAVA, "-cp", classes]
    with Server(*java, "UpperServer", ends_with=143) as server:
        done = run(*java, "UpperClient", "localhost", server.port, text="hello, door")
        assert (done.stdout, done.stderr, done.returncode) == SAYS["upper"][1:] + (b"", 0)
        with call(server) as silent, call(server) as one:  # who resets, or says nothing, harms nobody
            reset(one)
            with call(server) as other:
                other.sendall(b"caf\xc3\xa9")
                other.shutdown(socket.SHUT_WR)
                assert receive_all(other) == b"CAF\xc3\xa9"
            silent.sendall(b"x")
            assert receive_exactly(silent, 1) == b"X"


@pytest.mark.parametrize("kind", ["bell", *SCRIPTS])
def test_a_silent_caller_and_one_who_resets_harm_nobody(kind):
    with start(kind, "upper_server", quiet=False) as server, call(server) as silent:
        for _ in range(3):
            reset(call(server))
            with call(server) as unread:
                unread.sendall(b"unread")
                reset(unread)
        with call(server) as other:
            other.sendall(b"caf\xc3\xa9 \xff\0\x04\x1a\r\n")
            other.shutdown(socket.SHUT_WR)
            assert receive_all(other) == b"CAF\xc3\xa9 \xff\0\x04\x1a\r\n"
        silent.sendall(b"x")
        assert receive_exactly(silent, 1) == b"X"


@pytest.mark.parametrize("model", MODELS)
def test_one_program_over_the_library_is_all_kinds_of_server(model, monkeypatch):
    monkeypatch.setenv("BELL_MODEL", model)
    for service in ["phone", "message"]:
        name = client_of(service)
        with start("bell", service + "_server") as server:
            text, shown = SAYS[service]
            for _ in range(2):
                assert run(*command("bell", name), *where("bell", name, server.port), text=text).stdout == shown


@pytest.mark.parametrize("kind", ["bell", *SCRIPTS])
def test_a_message_does_not_command_the_terminal_and_needs_no_newline(kind):
    with start(kind, "message_server", quiet=False) as server:
        for text in [b"red \x1b[31m, bell \a\n", b"in silence"]:
            with call(server) as caller:
                caller.sendall(text)
                assert receive_all(caller) == b"I got your message"
            assert server.line() == "Here is the message: " + text.decode().rstrip("\n").replace("\x1b", "?").replace("\a", "?")


@pytest.mark.parametrize("kind", ["bell", *SCRIPTS])
def test_a_long_line_comes_back(kind, program):
    line = "long line " * 300_000
    with start("posix", "upper_server", program) as upper, start("posix", "echo_server", program) as echo:
        done = run(*command(kind, "upper_client"), *where(kind, "upper_client", upper.port), text=line)
        assert done.stdout == b"FROM SERVER: " + line.upper().encode() + b"\n"
        done = run(*command(kind, "echo_client"), *where(kind, "echo_client", echo.port), text=line)
        assert done.stdout == line.encode() and done.returncode == 0


@pytest.mark.parametrize("kind", ["bell", *SCRIPTS])
def test_several_lines_are_several_questions(kind, program):
    for service in ["upper", "upper_udp"]:
        with start("posix", service + "_server", program) as server:
            name = client_of(service)
            done = run(*command(kind, name), *where(kind, name, server.port), text="one\n\nthree")
            assert done.stdout == b"FROM SERVER: ONE\nFROM SERVER: \nFROM SERVER: THREE\n"


@pytest.mark.parametrize("kind", ["bell", *SCRIPTS])
def test_a_client_without_a_server_says_so(kind):
    for service in SERVICES:
        name = client_of(service)
        port = closed_port(socket.SOCK_DGRAM if "udp" in name else socket.SOCK_STREAM)
        done = run(*command(kind, name), *where(kind, name, port, OWN_HOST), text="hello\n")
        assert b"refused" in done.stderr.lower() and done.returncode == 1, service


@pytest.mark.parametrize("kind", ["bell", *SCRIPTS])
def test_a_client_whose_server_hangs_up_says_so(kind):
    with start(kind, "phone_server", quiet=False) as server:
        for service in ["upper", "phone", "message"]:
            name = client_of(service)
            done = run(*command(kind, name), *where(kind, name, server.port), text="hello\n")
            assert done.returncode == 1 and done.stderr, service
        done = run(*command(kind, "phone_caller"), *where(kind, "phone_caller", server.port))
        assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


@pytest.mark.parametrize("kind", SCRIPTS)
def test_wrong_usage_is_2(kind):
    for name in ["upper_server", "echo_client", "upper_udp_client", "upper_udp_server"]:
        assert run(*command(kind, name), "1", "2", "3", "4").returncode == 2
        port = ["70000"] if name.endswith("server") else ["localhost", "5000x"]
        done = run(*command(kind, name), *port)
        assert done.returncode == 2 and b"' is not a port" in done.stderr


@pytest.mark.parametrize("kind", ["posix", "java", *SCRIPTS])
def test_a_port_where_the_host_belongs_is_2(kind, program, request):
    # Java takes its time to start, and has the one check for all.
    for service in ["upper", "upper_udp"] if kind == "java" else SERVICES:
        name = client_of(service)
        if kind == "java":
            words = [*languages.JAVA, "-cp", str(request.getfixturevalue("classes")), languages.java_name(name)]
        else:
            words = command(kind, name, program)
        for wrong in ("5000", "--help"):
            done = run(*words, wrong)
            assert done.returncode == 2 and b"'%s' is not a host" % wrong.encode() in done.stderr, (name, done)


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_lost_datagram_is_asked_for_again(kind, program):
    with start("posix", "upper_udp_server", program) as server, Relay(server.port, "x.", "") as relay:
        done = run(*command(kind, "upper_udp_client"), "127.0.0.1", relay.port, text="one\ntwo\n")
        assert done.stdout == b"FROM SERVER: ONE\nFROM SERVER: TWO\n"
