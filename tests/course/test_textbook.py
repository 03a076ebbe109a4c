"""<doorbell/textbook.h>: its helpers, one by one, and the programs of the slides that are built with it.

The programs have the ports of the slides, and so each test has a network of its own.
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pytest

import posix_strangers as strangers
from networks import own_network
from posix_programs import FLAGS, PATIENCE, call, receive_all, run
from programs import DOORBELL, ROOT

HERE = pathlib.Path(__file__).parent
INCLUDE = pathlib.Path(ROOT) / "include"
SLIDES = HERE / "slides"
CHECK = HERE / "check_nethelp.c"  # one set of cases for both
CASES = re.findall(r"^    CASE\((\w+)\),$", CHECK.read_text(), re.M)
NOT_OURS = {"silence_is_a_time_out"}  # time is unlimited here


class Address:
    """What call() wants to know of a server."""

    def __init__(self, port):
        self.port = port


def compile_with(header_folder, source, output, *flags):
    command = ["cc", *flags, "-I%s" % INCLUDE, "-I%s" % header_folder, str(source), "-pthread", "-o", str(output)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, " ".join(command) + "\n" + done.stdout
    return str(output)


# ---- The helpers --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def check(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textbook")
    return compile_with(HERE / "textbook_names", CHECK, folder / "check", *FLAGS, "-fsanitize=address,undefined")


@pytest.fixture(scope="session")
def hosts(tmp_path_factory):
    """In front of a program: it has these names of hosts."""
    path = tmp_path_factory.mktemp("hosts") / "hosts"
    path.write_text("::1 localhost\n127.0.0.1 localhost hostname\n")
    prefix = ["unshare", "-m", "sh", "-c", 'mount --bind %s /etc/hosts && exec "$@"' % path, "sh"]
    if run(*prefix, "true").returncode != 0:
        pytest.skip("/etc/hosts cannot be replaced here")
    return prefix


# H4 to H17
@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("die_") and case not in NOT_OURS])
def test_helper(check, case, request):
    prefix = request.getfixturevalue("hosts") if case == "second_address_is_tried" else []
    done = run(*prefix, check, case)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("case, message", [("die_with_user_message", b"x: y\n"),
                                           ("die_with_system_message", b"x: Connection refused\n")])
def test_dying_words_h17(check, case, message):
    done = run(check, case)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", message)


@pytest.mark.parametrize("compiler", ["cc -std=c11", "clang -std=c11", "c++ -x c++ -std=c++17"])
@pytest.mark.parametrize("name", ["<doorbell/textbook.h>", '"nethelp.h"', '"Practical.h"'])
def test_h1_the_header_stands_alone(compiler, name, tmp_path):
    if not shutil.which(compiler.split()[0]):
        pytest.skip("there is no %s here" % compiler.split()[0])
    program = tmp_path / "alone.c"
    program.write_text("#include %s\nint main(void) { return 0; }\n" % name)
    command = [*compiler.split(), "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wshadow",
               "-I%s" % INCLUDE, "-I%s/doorbell/textbook" % INCLUDE, "-fsyntax-only", str(program)]
    done = run(*command)
    assert done.returncode == 0, done.stderr.decode()


def test_too_late_under_strict_c11_is_told(tmp_path):
    program = tmp_path / "late.c"
    program.write_text("#include <stdio.h>\n#include <doorbell/textbook.h>\nint main(void) { return 0; }\n")
    done = run("cc", "-std=c11", "-I%s" % INCLUDE, "-fsyntax-only", program)
    assert b"<doorbell/textbook.h> must be the first header" in done.stderr


def test_the_server_at_the_top_of_the_header_is_an_echo_server(tmp_path):
    lines = (INCLUDE / "doorbell" / "textbook.h").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("//     #include"))
    end = next(i for i in range(begin, len(lines)) if re.match("// [^ ]", lines[i]))
    (tmp_path / "top.c").write_text("\n".join(line[7:] for line in lines[begin:end]) + "\n")
    server = compile_with(HERE, tmp_path / "top.c", tmp_path / "top", "-Wall", "-Wextra", "-Werror")
    with own_network(), listening(5000, server):
        assert strangers.echo_word(5000, b"ding") == b"Received: ding\n"
        assert strangers.echo_word(5000, b"dong") == b"Received: dong\n"


# H20
def test_eight_threads_may_use_it_at_once(tmp_path):
    program = tmp_path / "threads.c"
    program.write_text("""
#include <doorbell/textbook.h>
#include <pthread.h>
static void *work(void *number)
{
    char text[64], own[16];
    snprintf(own, sizeof own, ":%d)", 1 + (int)(long)number);
    for (int i = 0; i < 50; i++) {
        int pair[2];
        if (open_clientfd("127.0.0.1", 1 + (int)(long)number) != -1 || !strstr(textbook_reason(), own))
            return "the reason is another thread's";
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || writen(pair[0], "ding\\n", 5) != 5 || readline(pair[1], text, 64) != 5)
            return "a line is lost";
        close(pair[0]);
        close(pair[1]);
    }
    return NULL;
}
int main(void)
{
    pthread_t threads[8];
    void *failed = NULL;
    for (long i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < 8; i++)
        if (pthread_join(threads[i], &failed), failed)
            error(failed);
}
""")
    threads = compile_with(HERE, program, tmp_path / "threads", "-g", "-fsanitize=thread")
    with own_network():  # where nobody listens at ports 1 to 8
        done = run(threads)
    if b"unexpected memory mapping" in done.stderr:
        pytest.skip("ThreadSanitizer does not run here")
    assert (done.stderr, done.returncode) == (b"", 0)


# Others' header, what a program may still call of ours, and what the compiler says to the other order.
NAMES = {
    "error": ("#include <error.h>\n", "textbook_error(argv[0])", "error(0, 0, argv[0])", ""),
    "readline": ("#include <stdio.h>\n#include <readline/readline.h>\n", "textbook_readline(0, argv[0], 9)",
                 "(void)readline(argv[0])", "-lreadline"),
    "echo": ("#include <curses.h>\n", "textbook_echo(0)", "echo()", "-lncurses"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_others_is_left_to_them(name, tmp_path):
    header, ours, theirs, library = NAMES[name]
    body = "int main(int argc, char **argv)\n{\n    if (argc > 2)\n        %s;\n    if (argc > 1)\n        %s;\n}\n"
    program = tmp_path / "both.c"
    program.write_text(header + "#include <doorbell/textbook.h>\n" + body % (ours, theirs))
    if run("cc", "-E", "-I%s" % INCLUDE, program).returncode != 0:
        pytest.skip("%s is not installed" % header.split()[-1])
    command = ["cc", "-Wall", "-Wno-format-security", "-Werror", "-I%s" % INCLUDE, program, "-o", tmp_path / "both"]
    done = run(*command, library) if library else run(*command)
    assert done.returncode == 0, done.stderr.decode()
    program.write_text("#include <doorbell/textbook.h>\n" + header + body % (ours, theirs))
    assert b"conflicting types for" in run("cc", "-I%s" % INCLUDE, "-fsyntax-only", program).stderr
    assert run("cc", "-I%s" % INCLUDE, "-DTEXTBOOK_NO_" + name.upper(), "-fsyntax-only", program).returncode == 0


def test_a_program_may_write_its_own(tmp_path):
    program = tmp_path / "own.c"
    program.write_text("""
#define TEXTBOOK_NO_CAPITALIZE
#define TEXTBOOK_NO_ERROR
#include <doorbell/textbook.h>
void capitalize(char *text) { textbook_capitalize(text, strlen(text)); }
void error(char *msg) { perror(msg); exit(7); }
int main(void) { char text[] = "x"; capitalize(text); errno = ENOENT; error(text); }
""")
    done = run(compile_with(HERE, program, tmp_path / "own", "-Wall", "-Werror"))
    assert (done.returncode, done.stderr) == (7, b"X: No such file or directory\n")


def test_capitalize_of_the_slide_stays_within_its_array(tmp_path):
    program = tmp_path / "bounds.c"
    program.write_text("""
#include <doorbell/textbook.h>
int main(void)
{
    struct { char text[4], next[4]; } both = {{'a', 'b', 'c', 'd'}, "xyz"};
    char string[] = "ab\\0cd";
    capitalize(both.text);
    capitalize(string);
    return memcmp(&both, "ABCDxyz", 8) || memcmp(string, "AB\\0cd", 6);
}
""")
    assert run(compile_with(HERE, program, tmp_path / "bounds", "-Wall", "-Werror")).returncode == 0


def test_a_door_is_for_this_machine_unless_told(tmp_path):
    program = tmp_path / "door.c"
    program.write_text("""
#include <doorbell/textbook.h>
int main(void)
{
    int door = open_listenfd(5000);
    if (door < 0)
        DieWithUserMessage("door", textbook_reason());
    for (;;)
        close(get_connection(door));
}
""")
    ours = compile_with(HERE, program, tmp_path / "ours", "-Wall", "-Werror")
    everyones = compile_with(HERE, program, tmp_path / "everyones", "-Wall", "-Werror", "-DTEXTBOOK_EVERYONE")
    for server, other in [(ours, "refused"), (everyones, "answered")]:
        with two_machines() as outside, listening(5000, server):
            assert reaches("127.0.0.1", 5000) == "answered"
            assert outside("192.0.2.1", 5000) == other


def reaches(host, port, prefix=()):
    done = run(*prefix, DOORBELL, "connect", "-z", "[%s]:%d" % (host, port) if ":" in host else "%s:%d" % (host, port))
    return {0: "answered", 4: "refused"}.get(done.returncode, done.stderr)


@contextlib.contextmanager
def two_machines():
    """This one, 192.0.2.1, and another one; gives a function that tells whether that reaches a port."""
    with own_network():
        other = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            other.stdout.readline()
            enter = ["nsenter", "-t", str(other.pid), "-n"]
            for command in [["ip", "link", "add", "door", "type", "veth", "peer", "name", "far", "netns", str(other.pid)],
                            ["ip", "address", "add", "192.0.2.1/24", "dev", "door"], ["ip", "link", "set", "door", "up"],
                            [*enter, "ip", "address", "add", "192.0.2.2/24", "dev", "far"],
                            [*enter, "ip", "link", "set", "far", "up"]]:
                if run(*command).returncode != 0:
                    pytest.skip("two machines cannot be made here")
            yield lambda host, port: reaches(host, port, enter)
        finally:
            other.stdin.close()
            other.wait(PATIENCE)
            other.stdout.close()


# ---- The programs of the slides -----------------------------------------------------------------


@pytest.fixture(scope="session")
def slide(tmp_path_factory):
    """A program of the slides, built as a student would build it."""
    folder, made = tmp_path_factory.mktemp("slides"), {}

    def program(name):
        if name not in made:
            made[name] = compile_with(INCLUDE / "doorbell" / "textbook", SLIDES / (name + ".c"), folder / name,
                                      "-Wall", "-Wno-unused-result", "-Werror")
        return made[name]
    return program


def is_bound(pid, port, kind):
    """Whether a socket of this port listens in the network of a process (or, of UDP, is bound)."""
    state = {"tcp": "0A", "udp": "07"}[kind]
    for path in ["/proc/%d/net/%s%s" % (pid, kind, family) for family in ("", "6")]:
        with open(path) as table:
            for line in list(table)[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == state:
                    return True
    return False


@contextlib.contextmanager
def listening(port, *command, kind="tcp"):
    """A server that says nothing when it is ready: the kernel is asked."""
    server = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + PATIENCE
        while not is_bound(server.pid, port, kind):
            assert server.poll() is None, (command, server.stderr.read())
            assert time.monotonic() < until, command
            time.sleep(0.005)
        yield server
    finally:
        if server.poll() is None:
            server.kill()
        server.wait(PATIENCE)
        server.stdout.close()
        server.stderr.close()


@contextlib.contextmanager
def doorbell(service, port):
    with own_network(), listening(port, DOORBELL, "serve", service, "127.0.0.1:%d" % port) as server:
        yield server


LINE = "hello, door\n"


def test_every_program_of_the_slides_is_tested():
    text = pathlib.Path(__file__).read_text()
    for path in SLIDES.glob("*.c"):
        assert 'slide("%s")' % path.stem in text


def test_sentence_client_and_server_of_the_slides(slide, hosts):
    with own_network(), listening(6789, slide("upper_tcp_server")):
        for _ in range(3):
            assert run(*hosts, slide("upper_tcp_client"), text=LINE).stderr == b"FROM SERVER: HELLO, DOOR\n \n"
        assert strangers.python_client(6789, b"hello").startswith(b"From Server: HELLO")
        done = run(DOORBELL, "connect", "localhost:6789", text=LINE)
        assert done.stdout.startswith(b"HELLO, DOOR\n") and len(done.stdout) == 8192  # all of its buffer, as on the slide


def test_sentence_client_of_the_slides_gets_on_with_doorbell(slide, hosts):
    with doorbell("upper", 6789):
        assert run(*hosts, slide("upper_tcp_client"), text=LINE).stderr == b"FROM SERVER: HELLO, DOOR\n \n"


def test_datagram_client_and_server_of_the_slides(slide, hosts):
    with own_network(), listening(9876, slide("upper_udp_server"), kind="udp"):
        assert run(*hosts, slide("upper_udp_client"), text=LINE).stderr == b"FROM SERVER: HELLO, DOOR\n \n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.sendto(b"ding", ("127.0.0.1", 9876))
            answer = client.recv(65536)  # all of its buffer, with what the one before has said
            assert answer.startswith(b"DINGO, DOOR\n") and len(answer) == 8192


def test_datagram_client_of_the_slides_gets_on_with_doorbell(slide, hosts, tmp_path):
    program = tmp_path / "large.c"  # the example's buffer is smaller than the client's datagram
    program.write_text((pathlib.Path(ROOT) / "examples" / "datagrams.c").read_text().replace("[2048]", "[8192]"))
    flags = run(os.path.join(ROOT, "script", "flags")).stdout.decode().split()
    done = run("cc", program, *flags, "-o", tmp_path / "large")
    assert done.returncode == 0, done.stderr
    with own_network(), listening(9876, tmp_path / "large", "serve", "udp:127.0.0.1:9876", kind="udp"):
        assert run(*hosts, slide("upper_udp_client"), text=LINE).stderr == b"FROM SERVER: HELLO, DOOR\n \n"


def test_message_server_and_client_of_the_slides(slide):
    with own_network():
        with listening(5001, slide("message_server"), 5001) as server:
            done = run(slide("message_client"), "localhost", 5001, text=LINE)
            assert (done.stdout, done.returncode) == (b"Please enter the message: I got your message\n", 0)
            assert server.communicate(timeout=PATIENCE)[0] == b"Here is the message: hello, door\n\n"
        with listening(5002, slide("message_server"), 5002):
            assert run(DOORBELL, "connect", "localhost:5002", text=LINE).stdout == b"I got your message"
    with doorbell("message", 5003):
        done = run(slide("message_client"), "localhost", 5003, text=LINE)
        assert (done.stdout, done.returncode) == (b"Please enter the message: I got your message\n", 0)


def test_message_programs_without_their_arguments(slide):
    done = run(slide("message_server"))
    assert (done.stderr, done.returncode) == (b"ERROR, no port provided\n", 1)
    done = run(slide("message_client"))
    assert b" hostname port\n" in done.stderr
    with own_network():
        done = run(slide("message_client"), "127.0.0.1", 5000)
        assert (done.stderr, done.returncode) == (b"ERROR connecting: Connection refused\n", 1)


def test_echo_server_of_the_slides(slide):
    with own_network(), listening(5000, "stdbuf", "-oL", slide("echoserver"), 5000) as server:
        assert run(slide("echoclient"), "localhost", 5000, text="123\nabc def\n").stdout == b"123\nabc def\n"
        assert run(slide("TCPEchoClient4"), "127.0.0.1", "ding", 5000).stdout == b"Received: ding\n"
        assert run(DOORBELL, "connect", "localhost:5000", text="no newline").stdout == b"no newline"
        reported = [server.stdout.readline() for _ in range(4)]
        assert reported == [b"server received %d bytes\n" % size for size in (4, 8, 4, 10)]


def test_echo_clients_of_the_slides_get_on_with_doorbell(slide):
    with doorbell("echo", 5000):
        assert run(slide("echoclient"), "localhost", 5000, text="123\nabc def\n").stdout == b"123\nabc def\n"
        long = "word " * 6000
        done = run(slide("TCPEchoClient4"), "127.0.0.1", long, 5000)
        assert done.stdout == b"Received: " + long.encode() + b"\n"


def test_echo_word_of_the_slides_says_what_is_wrong(slide):
    done = run(slide("TCPEchoClient4"), "127.0.0.1")
    assert (done.stderr, done.returncode) == (
        b"Parameter(s): <Server Address> <Echo Word> [<Server Port>]\n", 1)
    with own_network():
        done = run(slide("TCPEchoClient4"), "127.0.0.1", "word")
        assert (done.stderr, done.returncode) == (b"connect() failed: Connection refused\n", 1)


# H3
def test_phone_of_the_slides(slide):
    with own_network(), listening(5000, slide("phone_server")):
        for _ in range(3):
            done = run(slide("phone_caller"), "localhost", 5000)
            assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
        done = run(slide("phone_server"))
        assert (done.stderr, done.returncode) == (b"establish: Address already in use\n", 1)
        done = run(slide("phone_caller"), "localhost", 5001)
        assert b"call_socket: connect() failed: Connection refused (" in done.stderr and done.returncode == 1


def test_forking_phone_of_the_slides_answers_beside_a_silent_caller(slide):
    with own_network(), listening(5000, slide("phone_server_fork")):
        with call(Address(5000)) as silent:
            assert strangers.echo_word(5000, b"ding") == b"Received: ding\n"
            silent.sendall(b"late")
            silent.shutdown(1)
            assert receive_all(silent) == b"late"
