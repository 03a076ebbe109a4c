"""doorbell resolve: names, addresses, and the way there, with name servers and networks of the test's own."""

import json
import re
import socket
import subprocess
import time

import pytest

from name_server import A, AAAA, CNAME, PTR, REFUSED, SERVFAIL, NameServer, Names, need_mounts, reverse_name
from networks import ip, own_network
from programs import DOORBELL, run, wait_until

RECORDS = {
    ("db.test", A): ["10.7.0.2"],
    ("db.test", AAAA): ["fd00:7::2"],
    ("alias.test", CNAME): ["db.test"],
    ("many.test", A): ["10.7.0.%d" % i for i in range(10, 30)],
    ("four.test", A): ["10.7.0.4"],
    (reverse_name("10.7.0.2"), PTR): ["db.test"],
    (reverse_name("fd00:7::2"), PTR): ["db.test"],
}


@pytest.fixture
def network():
    need_mounts()
    with own_network("10.7.0.1/24", "fd00:7::2/128"):
        yield


@pytest.fixture
def names(tmp_path, network):
    return Names(tmp_path, "127.0.0.1 localhost\n::1 localhost\n10.7.0.9 printer.test printer\n")


def resolve(names, *arguments):
    return names.run(DOORBELL, "resolve", *arguments)


def addresses_in(text):
    return re.findall(r"^  (\S+)  IPv", text, re.MULTILINE)


# ---- Names to addresses -----------------------------------------------------------------------------


def test_A6_localhost_is_both_addresses_of_loopback():
    done = run("resolve", "localhost")
    assert (done.returncode, done.stderr) == (0, b"")
    assert addresses_in(done.stdout.decode()) == ["::1", "127.0.0.1"]
    assert addresses_in(run("resolve", "-4", "localhost").stdout.decode()) == ["127.0.0.1"]
    assert addresses_in(run("resolve", "-6", "localhost:http").stdout.decode()) == ["[::1]:80"]


def test_the_three_identifiers_of_a_host(names):
    with NameServer(RECORDS) as server:
        done = resolve(names, "alias.test:80")
        assert ("alias.test", A, "udp") in server.asked
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == """\
alias.test:80, officially db.test: 2 addresses
  [fd00:7::2]:80  IPv6, unique local
    name       db.test
    from       fd00:7::2 by lo
    neighbour  none: it is this machine
  10.7.0.2:80  IPv4, private
    name       db.test
    from       10.7.0.1 by lo
    neighbour  none: it is this machine
"""


def test_the_order_is_the_one_in_which_connect_tries(names):
    with NameServer(RECORDS):
        order = addresses_in(resolve(names, "-n", "db.test:9").stdout)
        tried = names.run(DOORBELL, "connect", "--calls", "-z", "-t", "2s", "db.test:9").stderr
    assert order == re.findall(r"connect\(\d+, (\S+?)\)", tried) == ["[fd00:7::2]:9", "10.7.0.2:9"]


def test_the_hosts_file_knows_names_too(names):
    done = resolve(names, "printer", "10.7.0.9")
    assert done.stdout.count("name       printer.test\n") == 2
    assert done.stdout.startswith("printer, officially printer.test: 1 address\n  10.7.0.9  IPv4, private\n")


def test_an_answer_that_is_cut_is_asked_for_again_over_tcp(names):
    with NameServer(RECORDS, long=["many.test"]) as server:
        done = resolve(names, "-4n", "many.test")
        assert ("many.test", A, "tcp") in server.asked
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(addresses_in(done.stdout)) == sorted(RECORDS["many.test", A])


@pytest.mark.parametrize("words, code, why", [
    (["nobody.test"], 3, "doorbell: nobody.test: Name or service not known\n"),
    (["-6", "four.test"], 3, "doorbell: four.test: "),
    (["-6", "127.0.0.1"], 3, "doorbell: 127.0.0.1: it is an address of the other family\n"),
    (["broken.test"], 5, "doorbell: broken.test: Temporary failure in name resolution\n"),
    (["silent.test"], 5, "doorbell: silent.test: Temporary failure in name resolution\n"),
    (["-t", "200ms", "silent.test"], 5, "doorbell: silent.test: timed out\n"),
])
def test_A3_a_name_without_an_address_has_its_message_and_code(names, words, code, why):
    began = time.monotonic()
    with NameServer(RECORDS, {"broken.test": SERVFAIL}, silent=["silent.test"]):
        done = resolve(names, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(why) and done.stderr.count("\n") == 1
    assert time.monotonic() - began < 15


def test_without_a_name_server_it_is_told_so(names):
    done = resolve(names, "db.test")
    assert (done.returncode, done.stderr) == (5, "doorbell: db.test: Temporary failure in name resolution\n")


@pytest.mark.parametrize("words, why", [
    ([], "whose addresses?"),
    (["localhost:abc"], "abc: there is no service of this name"),
    (["localhost:-1"], "port -1"),
    (["localhost:70000"], "port 70000 is above 65535"),
    (["localhost:5000x"], "5000x"),
    (["localhost:"], "the port is missing"),
    (["/tmp/x.sock"], "only hosts have names"),
    (["*:80"], "only hosts have names"),
    (["localhost", "--try"], "--try needs a port"),
    (["-46", "localhost"], "--ipv6 makes no sense with --ipv4"),
    (["-t", "5", "localhost"], "a time is a number above 0"),
])
def test_A4_what_is_no_name_or_port_is_told(words, why):
    done = run("resolve", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert why in done.stderr.decode() and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("service, port", [("echo", 7), ("http", 80)])
def test_A5_a_service_is_a_port(service, port):
    assert "127.0.0.1:%d " % port in run("resolve", "-4n", "localhost:" + service).stdout.decode()


def test_of_several_names_the_first_failure_counts(names):
    with NameServer(RECORDS):
        done = resolve(names, "nobody.test", "db.test", "db.test:x")
    assert done.returncode == 3
    assert addresses_in(done.stdout) == ["fd00:7::2", "10.7.0.2"]
    assert done.stderr.count("\n") == 2


# ---- Addresses to names -----------------------------------------------------------------------------


def test_A7_an_address_has_a_name_or_a_note(names):
    with NameServer(RECORDS, {reverse_name("10.7.0.5"): SERVFAIL}, silent=[reverse_name("192.0.2.7")]):
        done = resolve(names, "127.0.0.1", "10.7.0.2", "fd00:7::2", "10.7.0.3", "10.7.0.5", "192.0.2.7")
    assert (done.returncode, done.stderr) == (0, "")
    unknown = "not known: the name servers do not answer"
    assert re.findall(r"^    name       (.*)$", done.stdout, re.MULTILINE) == [
        "localhost", "db.test", "db.test", "none", unknown, unknown]
    assert "  192.0.2.7  IPv4, documentation\n" in done.stdout
    assert "    from       nowhere: Network is unreachable\n" in done.stdout


@pytest.mark.parametrize("address, scope", [
    ("10.255.0.1", "private"), ("172.15.255.255", "global"), ("172.16.0.1", "private"), ("172.31.0.1", "private"), ("192.168.1.1", "private"),
    ("169.254.1.1", "link-local"), ("100.64.0.1", "shared"), ("127.9.9.9", "loopback"), ("224.0.0.1", "multicast"),
    ("255.255.255.255", "broadcast"), ("198.51.100.1", "documentation"), ("9.9.9.9", "global"),
    ("fe80::1%lo", "link-local"), ("fd12::1", "unique local"), ("ff02::1%lo", "multicast"), ("2001:db8::1",
     "documentation"), ("2620:fe::fe", "global"), ("::", "unspecified"), ("::1", "loopback"),
])
def test_how_far_an_address_means_the_same(address, scope):
    done = run("resolve", "-n", address)
    assert done.returncode == 0
    assert "  %s  IPv%d, %s\n" % (address, 6 if ":" in address else 4, scope) in done.stdout.decode()


# ---- The way there ----------------------------------------------------------------------------------


@pytest.fixture
def other_host():
    """The process of another machine, 10.8.0.2, at the far end of a cable; here is 10.8.0.1."""
    with own_network():
        command = ["unshare", "--net", "sh", "-c", "echo; exec cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as host:
            host.stdout.readline()
            inside = ["nsenter", "--net=/proc/%d/ns/net" % host.pid]
            ip("link", "add", "near", "type", "veth", "peer", "name", "far", "address", "00:15:c5:49:04:a9",
               "netns", str(host.pid))
            for words in ("addr add 10.8.0.2/24 dev far", "addr add fd00:8::2/64 dev far nodad", "link set far up",
                          "link set lo up"):
                subprocess.run([*inside, "ip", *words.split()], check=True)
            ip("address", "add", "10.8.0.1/24", "dev", "near")
            ip("address", "add", "fd00:8::1/64", "dev", "near", "nodad")
            ip("link", "set", "near", "up")
            yield inside
            host.stdin.close()


def is_up(interface):
    shown = subprocess.run(["ip", "link", "show", "dev", interface], capture_output=True, text=True, check=True)
    return "state UP" in shown.stdout


def test_A19_the_link_address_of_a_neighbour(other_host):
    wait_until(lambda: is_up("near"))
    before = run("resolve", "-n", "10.8.0.2").stdout.decode()
    assert "    neighbour  10.8.0.2 not found: nobody has asked for it lately\n" in before
    done = run("resolve", "-n", "--try", "10.8.0.2:9", "[fd00:8::2]:9")
    assert done.returncode == 4
    assert done.stdout.decode().count("connection refused\n") == 2
    after = run("resolve", "-n", "10.8.0.2", "fd00:8::2", "10.8.0.1").stdout.decode()
    assert "    from       10.8.0.1 by near\n    neighbour  10.8.0.2 at 00-15-C5-49-04-A9\n" in after
    assert "    from       fd00:8::1 by near\n    neighbour  fd00:8::2 at 00-15-C5-49-04-A9\n" in after
    assert "    from       10.8.0.1 by lo\n    neighbour  none: it is this machine\n" in after


def test_A19_beyond_a_gateway_it_is_the_gateways(other_host):
    wait_until(lambda: is_up("near"))
    assert run("resolve", "-n", "--try", "10.8.0.2:9").returncode == 4
    ip("route", "add", "10.9.0.0/24", "via", "10.8.0.2")
    found = run("resolve", "-n", "10.9.0.5").stdout.decode()
    assert "    from       10.8.0.1 by near\n    neighbour  10.8.0.2 at 00-15-C5-49-04-A9, a gateway\n" in found
    line = json.loads(run("resolve", "-n", "--json", "10.9.0.5").stdout.splitlines()[1])
    assert {name: line[name] for name in ("address", "local", "interface", "neighbour", "link")} == {
        "address": "10.9.0.5", "local": "10.8.0.1", "interface": "near", "neighbour": "10.8.0.2",
        "link": "00-15-C5-49-04-A9"}


def test_A19_who_does_not_answer_is_not_found(other_host):
    wait_until(lambda: is_up("near"))
    done = run("resolve", "-n", "--try", "-t", "100ms", "10.8.0.77:9")
    assert done.returncode == 5
    assert b"    neighbour  10.8.0.77 not found: it does not answer\n" in done.stdout
    assert re.search(rb"    failed     after \d+\.\d\d ms: timed out\n$", done.stdout)
    assert done.stderr == b"doorbell: 10.8.0.77:9: no address of it answers\n"


# ---- Trying -----------------------------------------------------------------------------------------


def test_each_address_is_tried_and_timed(names):
    with socket.create_server(("10.7.0.2", 0)) as server, NameServer(RECORDS):
        port = server.getsockname()[1]
        done = resolve(names, "--try", "db.test:%d" % port)
        lines = resolve(names, "--try", "--json", "db.test:%d" % port)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.split("\n  10.7.0.2:")
    assert re.search(r"    failed     after \d+\.\d\d ms: connection refused$", first)
    assert re.search(r"    answered   in \d+\.\d\d ms\n$", second)
    name, *found = [json.loads(line) for line in lines.stdout.splitlines()]
    assert (name["type"], name["official"], name["addresses"]) == ("name", "db.test", 2)
    assert [(one["order"], one["address"], one["port"], one["answered"], one["why"]) for one in found] == [
        (1, "fd00:7::2", port, False, "connection refused"), (2, "10.7.0.2", port, True, None)]
    assert found[0]["family"] == "IPv6" and found[1]["scope"] == "private" and found[1]["name"] == "db.test"


def test_a_failure_is_json_too(names):
    with NameServer(RECORDS, {"odd.test": REFUSED}):
        done = resolve(names, "--json", "nobody.test")
    assert (done.returncode, done.stdout) == (3, "")
    assert json.loads(done.stderr)["text"] == "nobody.test: Name or service not known"


def test_a_name_cannot_drive_the_terminal(tmp_path, network):
    names = Names(tmp_path, "10.7.0.8 evil\x1b[31m.test\n")
    assert "\x1b" not in resolve(names, "10.7.0.8").stdout
