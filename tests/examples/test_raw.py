"""The examples that go below TCP and UDP: ping and sniff, in a network of the test's own."""

import contextlib
import os
import re
import socket
import subprocess

import pytest

from networks import ip, own_network
from programs import PATIENCE, ROOT, example

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
NOBODY = ["setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all"]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


# R1
def test_ping_shows_the_reply_and_its_header():
    with own_network("192.0.2.7/24"):
        done = run(example("ping"), "192.0.2.7", "3")
        assert (done.stderr, done.returncode) == ("", 0)
        reply = (r"16 bytes, number %d, \d+\.\d{3} ms\n    version 4, header 20 bytes, length 36, ttl 64, protocol 1, "
                 r"from 192\.0\.2\.7, to 192\.0\.2\.7\n")
        assert re.fullmatch("".join(reply % number for number in (1, 2, 3)), done.stdout)
        done = run(example("ping"), "::1")
        assert re.fullmatch(r"16 bytes, number 1, \d+\.\d{3} ms\n", done.stdout) and done.returncode == 0


# R3
def test_ping_without_the_right_says_which_one():
    with own_network():
        done = run(*NOBODY, example("ping"), "127.0.0.1")
        assert (done.stdout, done.returncode) == ("", 1)
        assert done.stderr.startswith("ping: Operation not permitted: it takes CAP_NET_RAW")
        with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
            file.write("0 2147483647")
        done = run(*NOBODY, example("ping"), "127.0.0.1", "2")  # by a socket that needs no right
        assert (done.stderr, done.returncode, done.stdout.count("16 bytes, number ")) == ("", 0, 2)


def test_ping_tells_who_does_not_answer():
    with own_network():
        ip("link", "add", "dark", "type", "veth", "peer", "name", "far")
        ip("link", "set", "far", "up")
        ip("address", "add", "198.51.100.1/24", "dev", "dark")
        ip("link", "set", "dark", "up")
        done = run(example("ping"), "198.51.100.2")
        assert (done.stdout, done.stderr, done.returncode) == ("", "ping: no reply to number 1 in a second\n", 1)
        done = run(example("ping"), "203.0.113.1")
        assert "Network is unreachable" in done.stderr and done.returncode == 1
    assert run(example("ping"), "no.such.host.invalid").stderr.startswith("ping: no.such.host.invalid: ")
    assert run(example("ping")).returncode == 2 and run(example("ping"), "::1", "x").returncode == 2


# R4
def test_the_checksum_of_rfc_1071(tmp_path):
    program = tmp_path / "checksum.c"
    program.write_text('''
#define main ping_main
#include "%s/examples/ping.c"
#undef main
int main(void)
{
    const uint8_t rfc[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, odd[] = {1, 2, 3}, ones[] = {255, 255, 255, 255};
    const uint8_t zero[64] = {0}, one[] = {0x80};
    return ntohs(checksum(rfc, 8)) != (0xffff & ~0xddf2) || ntohs(checksum(odd, 3)) != (0xffff & ~0x0402) ||
           checksum(ones, 4) != 0 || checksum(zero, 64) != 0xffff || checksum(zero, 0) != 0xffff ||
           ntohs(checksum(one, 1)) != 0x7fff;
}
''' % ROOT)
    flags = run(os.path.join(ROOT, "script", "flags")).stdout.split()
    done = run("cc", str(program), *flags, "-fsanitize=address,undefined", "-o", str(tmp_path / "checksum"))
    assert done.returncode == 0, done.stderr
    assert run(str(tmp_path / "checksum")).returncode == 0


@contextlib.contextmanager
def sniffing(interface):
    sniffer = subprocess.Popen([example("sniff"), interface], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert sniffer.stderr.readline() == "listening\n"
        yield sniffer.stdout
    finally:
        sniffer.kill()
        sniffer.wait()
        sniffer.stdout.close()
        sniffer.stderr.close()


# R2: 93
def test_sniff_shows_the_addresses_and_ports_that_the_programs_have():
    with own_network(), sniffing("lo") as lines:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, socket.create_server(("127.0.0.1", 0)) as door:
            client.bind(("127.0.0.1", 0))
            client.sendto(b"hello", ("127.0.0.1", 5000))
            own = client.getsockname()[1]
            assert lines.readline() == ("00-00-00-00-00-00 ipv4 127.0.0.1 to 127.0.0.1, header 20, length 33, ttl 64, "
                                        "udp port %d to 5000\n" % own)
            assert "icmp type 3" in lines.readline()  # nobody is there
            with socket.create_connection(door.getsockname()) as caller:
                assert lines.readline().endswith("tcp port %d to %d\n" % (caller.getsockname()[1], door.getsockname()[1]))
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", ("::1", 5000))
            line = next(line for line in lines if "ipv6" in line)
            assert re.search(r" ipv6 ::1 to ::1, length 13, hop limit 64, udp port \d+ to 5000$", line)


# A19: 122
def test_sniff_shows_a_question_of_arp_and_its_answer():
    with own_network():
        other = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            other.stdout.readline()
            enter = ["nsenter", "-t", str(other.pid), "-n"]
            ip("link", "add", "door", "address", "02:15:c5:49:04:a9", "type", "veth", "peer", "name", "far", "netns", str(other.pid))
            ip("address", "add", "192.0.2.1/24", "dev", "door")
            subprocess.run([*enter, "ip", "address", "add", "192.0.2.2/24", "dev", "far"], check=True)
            subprocess.run([*enter, "ip", "link", "set", "far", "address", "02:00:00:00:00:0f", "up"], check=True)
            ip("link", "set", "door", "up")
            with sniffing("door") as lines:
                assert run(example("ping"), "192.0.2.2").returncode == 0
                said = [next(line for line in lines if " arp " in line) for _ in range(2)]
                assert said == ["02-15-C5-49-04-A9 arp who has 192.0.2.2? tell 192.0.2.1\n",
                                "02-00-00-00-00-0F arp 192.0.2.2 is at 02-00-00-00-00-0F\n"]
        finally:
            other.stdin.close()
            other.wait(PATIENCE)
            other.stdout.close()


def test_sniff_says_what_it_lacks():
    done = run(example("sniff"), "nosuch")
    assert "No such device" in done.stderr and done.returncode == 1
    done = run(*NOBODY, example("sniff"), "lo")
    assert "CAP_NET_RAW" in done.stderr and "Operation not permitted" in done.stderr and done.returncode == 1
    assert run(example("sniff")).returncode == 2
