"""What people type who do not know the command yet: each mistake is told in one line, with what would be right."""

import os
import resource
import subprocess

import pytest

from networks import own_network
from programs import DOORBELL, IS_WATCHED, PATIENCE, WRAP, run, serve


def complaint(*words, code=2, **options):
    """The one line that was said of these words."""
    done = run(*words, **options)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (code, b"", 1), (done, words)
    return lines[0]


def test_two_dashes_with_nothing_behind_them_are_no_program():
    assert "exec needs a program" in complaint("serve", "exec", "0", "--")
    # What else is wrong is still told: the server has not died of the dashes.
    assert "70000 is above 65535" in complaint("serve", "echo", "70000", "--")


@pytest.mark.skipif(bool(WRAP), reason="valgrind needs descriptors of its own")
def test_want_of_descriptors_is_told_in_words():
    def five():
        resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))

    assert complaint("serve", "echo", "0", code=6, preexec_fn=five) == "doorbell: listen 0: Too many open files"


@pytest.mark.parametrize("words, said", [
    (["CONNECT"], "did you mean connect?"),
    (["serve", "ECHO"], "did you mean echo?"),
    (["help", "adresses"], "did you mean addresses?"),
    (["-v", "connect"], "-v: the command comes first, as in doorbell connect -v"),
    ([""], "there is no command ''"),
    (["serve", ""], "there is no service ''"),
    (["serve", "7464"], "7464 is an address; a service comes first: doorbell serve echo 7464"),
    (["completion"], "for which shell? There are bash, zsh, fish"),
    (["connect", "--do"], "--do needs STEPS after it"),
    (["serve", "echo", "0", "--ready-fd"], "--ready-fd needs N after it"),
    (["serve", "echo", "0", "-4", "-6"], "--ipv6 makes no sense with --ipv4"),
    (["connect", "-46"], "--ipv6 makes no sense with --ipv4"),
    (["connect", "-z", "-s", "hello"], "--check makes no sense with --send"),
    (["connect", "-z", "-e", "hello"], "--check makes no sense with --expect"),
])
def test_the_right_word_is_told(words, said):
    assert said in complaint(*words)


@pytest.mark.parametrize("words, instead", [
    (["connect", "-N"], "--no-half-close"),
    (["connect", "-U", "/tmp/x"], "a Unix socket: doorbell connect /tmp/x.sock"),
    (["connect", "-w", "3"], "-t TIME"),
    (["connect", "-lp", "9000"], "doorbell connect -l 9000"),
    (["connect", "-lk", "9000"], "doorbell serve"),
    (["serve", "echo", "-lk", "7"], "serve listens anyway"),
    (["serve", "echo", "-e", "/bin/cat"], "doorbell serve exec 7464 -- PROGRAM"),
    (["serve", "echo", "-p", "7464"], "doorbell serve echo 7464"),
    (["serve", "echo", "-u", "7464"], "doorbell serve echo udp:7464"),
])
def test_a_letter_of_nc_is_told_what_does_the_same(words, instead):
    said = complaint(*words)
    assert said.startswith("doorbell: there is no option -") and instead in said


def test_each_topic_is_on_the_first_page_and_may_be_cut_short():
    first = run("help").stdout.decode()
    for topic in ("addresses", "exit-codes", "script", "options", "ports", "types", "transports"):
        assert "\n  %-12s" % topic in first
        assert run("help", topic[:3]).stdout == run("help", topic).stdout != b""
    assert run("help", "completion").stdout == run("completion", "--help").stdout == first.encode()
    assert "did you mean types?" in complaint("help", "typs")


def test_the_columns_of_the_scripts_help_are_columns():
    lines = run("help", "script").stdout.decode().splitlines()
    steps = lines[lines.index("  connect [ADDRESS]      call; without it the first step that needs a"):]
    steps = steps[:steps.index("")]
    assert len(steps) > 15 and all(line[24] == " " and line[25] != " " for line in steps), steps


@pytest.mark.parametrize("words, code, said", [
    (["connect", "localhost:no-service"], 2, "connect localhost:no-service: no-service: there is no service of this name"),
    (["serve", "echo", "localhost:no-service"], 2, "no-service: there is no service of this name"),
    (["resolve", "7464"], 2, "7464: 7464 is not an IPv4 address"),
    (["connect", "fd:77"], 2, "descriptor 77: no such descriptor is open"),
    (["serve", "echo", "fd:77"], 2, "listen fd:77: no such descriptor is open"),
    (["connect", "[]:7464"], 2, "there is no IPv6 address between the brackets"),
    (["connect", "tpc:localhost:7464"], 2, "HOST:PORT, or tcp: udp: unix: in front"),
    (["connect", "[fe80::1%nobody]:7464"], 3, "fe80::1%nobody: there is no interface of this name"),
    (["connect", "/usr"], 4, "connect /usr: there is a file that is no socket"),
    (["connect", "unix:/etc/passwd"], 4, "connect unix:/etc/passwd: there is a file that is no socket"),
    (["serve", "echo", "0", "--sockopt", "nodelay=2"], 2, "doorbell: socket option nodelay: 0 or 1 is wanted, not 2"),
    (["serve", "echo", "0", "--sockopt", "bindtodevice=no"], 2, "socket option bindtodevice: No such device"),
    (["connect", "localhost:1", "--sockopt", "bindtodevice=no"], 2, "socket option bindtodevice: No such device"),
    (["serve", "echo", "/no/such/folder/socket"], 8, "listen /no/such/folder/socket: No such file or directory"),
])
def test_the_reason_is_told_in_words_of_the_command(words, code, said):
    assert said in complaint(*words, code=code)


def test_a_script_that_listens_says_who_has_the_port():
    with serve("echo", "127.0.0.1:0") as server:
        said = complaint("connect", "-l", server.address, "--do", "accept", code=8)
        assert said.endswith("in use by doorbell (pid %d)" % server.process.pid), said


@pytest.mark.skipif(os.geteuid() != 0 or IS_WATCHED, reason="root, and one process without threads")
def test_want_of_processes_is_no_time_out():
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--nproc=1"]
    done = subprocess.run([*nobody, DOORBELL, "serve", "echo", "127.0.0.1:0", "-m", "prefork"], capture_output=True,
                          timeout=PATIENCE)
    assert done.returncode == 6 and b"Resource temporarily unavailable" in done.stderr, done


def test_one_is_no_plural():
    with serve("discard", "127.0.0.1:0", "-v") as server:
        said = complaint("connect", server.address, "-s", "x", "--no-half-close", "-i", "100ms", code=5)
        assert said.endswith("(1 byte sent, 0 received)")
        with server.call():
            server.wait_for(" called$", count=2)
            server.wait_for(" (reset|ended), ")
            server.begin_stop()
            server.wait_for("^doorbell serve: stopping: 1 conversation goes on$")
        assert server.process.wait(PATIENCE) == 0


def test_a_server_without_callers_has_no_conversations_that_go_on():
    with serve("echo", "127.0.0.1:0") as server:
        server.wait_for("listening on")
        assert server.stop() == 0
        assert "doorbell serve: stopping" in server.lines


def test_an_address_that_is_there_twice_is_nobody_elses():
    with own_network():
        said = complaint("serve", "echo", "127.0.0.1:7464", "127.0.0.1:7464", code=8)
    assert said == "doorbell: cannot listen on 127.0.0.1:7464: in use by this server: it is there twice"


def test_a_port_that_is_known_for_something_else_is_told_once():
    with own_network(), serve("echo", "localhost:9") as server:
        server.wait_for("listening on", count=2)
        assert server.stop() == 0
        assert len([line for line in server.lines if line and "is known for discard" in line]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="root may look into every folder, and gives that up")
def test_a_folder_that_nobody_may_enter_is_refused_at_the_start(tmp_path):
    tmp_path.chmod(0o700)
    words = ["serve", "files", str(tmp_path), "127.0.0.1:0"]
    done = run(*words)
    assert done.returncode == 2, done
    assert b"doorbell: files %s: Permission denied (for user id 65534)\n" % bytes(tmp_path) in done.stderr
    with serve(*words[1:], "--stay-root") as server:
        server.wait_for("listening on")
        assert server.stop() == 0
