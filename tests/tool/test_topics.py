"""The topics of the help that look at this machine: options, ports, types, transports."""

import contextlib
import errno
import os
import re
import socket
import subprocess

import pytest

from networks import own_network, set_sysctl
from programs import DOORBELL, PATIENCE, run

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]


def help_on(*words, code=0):
    done = run("help", *words)
    assert done.returncode == code, done.stderr
    assert (done.stderr == b"") == (code == 0)
    return done.stdout.decode() if code == 0 else done.stderr.decode()


# ---- options ------------------------------------------------------------------------------------------

IN_PYTHON = {"reuseaddr": (socket.SOL_SOCKET, socket.SO_REUSEADDR), "sndbuf": (socket.SOL_SOCKET, socket.SO_SNDBUF),
             "rcvbuf": (socket.SOL_SOCKET, socket.SO_RCVBUF), "nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
             "keepidle": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), "ttl": (socket.IPPROTO_IP, socket.IP_TTL),
             "type": (socket.SOL_SOCKET, socket.SO_TYPE)}


def options_listed():
    """{name: (type, value on TCP, value on UDP)}"""
    rows = re.findall(r"^  (\w+) +(flag|number|size|time, off|time|name)(\*?) +(\S+) +(\S+) +\S", help_on("options"),
                      re.MULTILINE)
    return {name: (kind + star, tcp, udp) for name, kind, star, tcp, udp in rows}


def test_O1_options_have_types_and_the_values_of_this_kernel():
    listed = options_listed()
    assert len(listed) > 40
    for column, kind in (1, socket.SOCK_STREAM), (2, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as fresh:
            for name, (level, number) in IN_PYTHON.items():
                try:
                    value = str(fresh.getsockopt(level, number))
                except OSError:
                    value = "-"
                assert listed[name][column].rstrip("s") == value, name
    assert listed["rcvbuf"][0] == "size" and listed["linger"][1] == "off" and listed["type"][0] == "number*"


def test_O1_values_change_with_the_kernels_defaults():
    with own_network():
        set_sysctl("net/ipv4/ip_default_ttl", "42")
        assert options_listed()["ttl"] == ("number", "42", "42")


def test_O1_some_options_only():
    assert help_on("options", "SO_RCVBUF", "nodelay").split()[0::1].count("rcvbuf") == 1
    assert "did you mean rcvbuf?" in help_on("options", "rcvbfu", code=2)
    assert "doorbell help options lists them" in help_on("options", "quality", code=2)


@pytest.mark.parametrize("command", [["connect", "127.0.0.1:1"], ["serve", "echo", "127.0.0.1:0"]])
@pytest.mark.parametrize("option, near", [("rcvbfu=4k", "rcvbuf"), ("TCP_NODELY", "nodelay"), ("nodelay,keepidel=3s", "keepidle")])
def test_O1_an_unknown_option_gets_the_nearest_one(command, option, near):
    done = run(*command, "--sockopt", option)
    assert done.returncode == 2
    assert done.stderr.decode().endswith("did you mean %s?\n" % near)


@pytest.mark.parametrize("name", ["type", "SO_ERROR", "acceptconn=1", "protocol=6"])
def test_O11_an_option_that_can_only_be_read_is_refused(name):
    done = run("connect", "127.0.0.1:1", "--sockopt", name)
    assert done.returncode == 2
    assert b"this socket option can only be read: " + name.split("=")[0].encode() in done.stderr


# ---- ports --------------------------------------------------------------------------------------------


def test_A10_ports_have_a_name_a_class_and_a_place_in_the_kernels_ranges():
    with own_network():
        set_sysctl("net/ipv4/ip_local_port_range", "50000 52000")
        set_sysctl("net/ipv4/ip_unprivileged_port_start", "1000")
        lines = help_on("ports", "7", "80", "1023", "1024", "5000", "49152", "51213", "http").splitlines()
        assert "This kernel gives callers a port from 50000 to 52000; to listen below 1000 needs\n" in help_on("ports")
    assert [re.split(r"  +", line.strip()) for line in lines] == [
        ["7", "echo (tcp, udp)", "well-known", "root only"],
        ["80", "http (tcp)", "well-known", "root only"],
        ["1023", "no service", "well-known", "free to all"],
        ["1024", "no service", "registered", "free to all"],
        ["5000", "no service", "registered", "free to all"],
        ["49152", "no service", "dynamic", "free to all"],
        ["51213", "no service", "dynamic", "given to callers"],
        ["80", "http (tcp)", "well-known", "root only"]]


@pytest.mark.parametrize("word, why", [
    ("70000", "a port is a number"), ("-1", "a port is a number"), ("5000x", "a port is a number"),
    ("", "a port is a number"), ("nonesuch", "there is no service of this name")])
def test_A10_what_is_no_port_is_told(word, why):
    assert why in help_on("ports", word, code=2)


# ---- types --------------------------------------------------------------------------------------------

TYPES = {("SOCK_STREAM", "TCP over IPv4"): (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP),
         ("SOCK_STREAM", "SCTP"): (socket.AF_INET, socket.SOCK_STREAM, 132),
         ("SOCK_DGRAM", "UDP over IPv6"): (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_UDP),
         ("SOCK_DGRAM", "ICMP echo"): (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
         ("SOCK_SEQPACKET", "SCTP"): (socket.AF_INET, socket.SOCK_SEQPACKET, 132),
         ("SOCK_SEQPACKET", "Unix"): (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0),
         ("SOCK_RAW", "ICMP"): (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)}


def can_open(*kind):
    try:
        socket.socket(*kind).close()
    except OSError as error:
        return os.strerror(error.errno)
    return "yes"


def test_R9_four_types_with_their_protocols_as_the_kernel_has_them():
    text = help_on("types")
    for (kind, protocol), arguments in TYPES.items():
        row = re.search(r"^  %s +%s +(?:\S+) +(?:no: )?(.+)$" % (kind, protocol), text, re.MULTILINE)
        assert row and row.group(1) == can_open(*arguments), (kind, protocol)


def test_R9_raw_sockets_are_not_for_everybody():
    done = subprocess.run([*NOBODY, DOORBELL, "help", "types"], capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode == 127 or "setpriv" in done.stderr:
        pytest.skip("nobody cannot be had here: %s" % done.stderr)
    assert re.search(r"^  SOCK_RAW +ICMP +- +no: only for root, or with CAP_NET_RAW$", done.stdout, re.MULTILINE)
    assert re.search(r"^  SOCK_STREAM +TCP over IPv4 +tcp4: +yes$", done.stdout, re.MULTILINE)


def kernel_without_sctp():
    """The error that this kernel has for a socket of SCTP; skips the test where it has SCTP."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132).close()
    except OSError as error:
        return error.errno
    pytest.skip("this kernel has SCTP, and doorbell does not speak it")


@pytest.mark.parametrize("command, what", [
    (["connect", "sctp:127.0.0.1:7464"], "connect"), (["connect", "-l", "sctp:127.0.0.1:0"], "listen"),
    (["serve", "upper", "sctp:127.0.0.1:0"], "listen")])
def test_R6_sctp_is_refused_in_a_sentence_with_a_code_of_its_own(command, what):
    assert kernel_without_sctp() == errno.ESOCKTNOSUPPORT
    done = run(*command)
    assert (done.returncode, done.stdout) == (9, b"")
    assert done.stderr.decode() == "doorbell: %s %s: SCTP is not available in this kernel\n" % (what, command[-1])


def test_R7_where_the_kernel_has_sctp_doorbell_says_that_it_does_not_speak_it():
    with contextlib.suppress(OSError):
        socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, socket.IPPROTO_SCTP).close()
        done = run("serve", "echo", "sctp:7")
        assert (done.returncode, done.stdout) == (9, b"")
        assert b"this kernel has SCTP, but doorbell does not speak it" in done.stderr
        return
    pytest.skip("this kernel has no SCTP")


def test_R6_the_list_of_types_tells_it_too():
    kernel_without_sctp()
    text = help_on("types")
    assert re.search(r"^  SOCK_SEQPACKET +SCTP +sctp: +no: Socket type not supported$", text, re.MULTILINE)
    assert re.search(r"^  SOCK_STREAM +SCTP +- +no: Protocol not supported$", text, re.MULTILINE)


# ---- transports -----------------------------------------------------------------------------------------


def table_after(head, text):
    """{application: [columns]}"""
    lines = text[text.index(head):].split("\n\n")[0].splitlines()[1:]
    return {line[2:26].strip(): [part for part in re.split(r"  +", line[26:].strip())] for line in lines}


def test_V1_what_applications_need_of_a_transport():
    needs = table_after("  needs of", help_on("transports"))
    assert len(needs) == 7 and {len(row) for row in needs.values()} <= {2, 3}
    assert needs["web pages"][0].startswith("none") and needs["file transfer"][0].startswith("none")
    assert needs["live audio and video"][0].startswith("some") and needs["live audio and video"][-1] == "100s of ms"
    assert needs["interactive games"][0].startswith("some")


def test_V2_which_protocols_and_transports_applications_use():
    uses = table_after("  uses of", help_on("transports"))
    assert {"e-mail", "terminals", "web pages", "file transfer", "stored audio and video", "file servers", "telephony",
            "names"} <= set(uses)
    assert uses["e-mail"] == ["SMTP [5321]", "TCP"]
    assert uses["names"] == ["DNS [1035]", "UDP; TCP if long"]
    assert "2026" in help_on("transports")


@pytest.mark.parametrize("words, advice, reason", [
    (["no loss"], "TCP", "repeats what is lost"),
    (["no", "loss"], "TCP", "repeats what is lost"),
    (["100 ms, tolerant"], "UDP", "a repeat would come too late"),
    (["tolerant", "100ms"], "UDP", "a repeat would come too late"),
    (["tolerant"], "TCP", "nothing is gained"),
    (["no-loss", "50ms"], "UDP or TCP", "nothing can promise both"),
    (["multicast"], "UDP", "only datagrams go to many"),
    (["e-mail"], "TCP", "every byte"),
    (["live", "audio", "and", "video"], "UDP", "what comes late"),
    (["dns"], "UDP or TCP", "a question and an answer"),
    (["Games"], "UDP", "the next position"),
])
def test_V3_the_advisor_says_which_and_why(words, advice, reason):
    text = help_on("transports", *words)
    assert text.startswith(advice + ": ")
    assert reason in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("words, why", [
    (["emial"], "did you mean email?"), (["gardening"], "is no application of the tables"),
    (["no", "idea"], "is no application"), (["no-loss", "tolerant"], "at once?"), ([""], "is no application")])
def test_V3_the_advisor_says_what_it_does_not_understand(words, why):
    assert why in help_on("transports", *words, code=2)


def test_other_topics_take_no_words():
    assert "help addresses takes no more words: x" in help_on("addresses", "x", code=2)
