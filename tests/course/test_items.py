"""docs/course.md against the project: whatever it names is there, and nothing is missing. And the packets of docs/course/names.md."""

import pathlib
import re
import struct

from programs import ROOT

ROOT = pathlib.Path(ROOT)
PAGE = (ROOT / "docs" / "course.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \|$", PAGE, re.M)
PLANNED = {"38", "119"}  # the drawn figure, and the DNS cache


def source(*folders, endings):
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    return "\n".join(path.read_text() for path in paths)


CODE = source("include", "src", "tool", "course", "examples", endings=(".c", ".h"))
TESTS = set(re.findall(r"^ *def (test_\w+)\(", source("tests", endings=(".py",)), re.M))
COMMAND = source("tool", endings=(".c",))


def is_there(token):
    if token.startswith("test_"):
        return token in TESTS
    if token.endswith("()"):
        return re.search(r"\b%s\(" % re.escape(token[:-2]), CODE)
    if token.startswith("bell_"):
        return re.search(r"\b%s\b" % token, (ROOT / "include" / "doorbell.h").read_text())
    if token.startswith("doorbell "):
        return all(re.search(r'"%s"' % word, COMMAND) for word in token.split()[1:])
    if re.fullmatch(r"\w+:", token):
        return token in (ROOT / "include" / "doorbell.h").read_text()
    return (ROOT / token).exists()


def test_every_item_has_a_row_and_no_row_is_empty():
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 171))
    assert all(item.strip() and where.strip() for _, item, where in ROWS)


def test_only_two_things_are_planned():
    assert {number for number, _, where in ROWS if "planned" in where} == PLANNED


def test_whatever_the_page_names_is_there():
    tokens = [(number, token) for number, item, where in ROWS for token in re.findall(r"`([^`]+)`", item + where)]
    assert len(tokens) > 250
    assert [pair for pair in tokens if not is_there(pair[1])] == []


def test_nearly_every_row_names_something():
    assert [number for number, _, where in ROWS if "`" not in where] == ["170"]


def test_every_case_names_a_test_that_is_there():
    page = (ROOT / "docs" / "course" / "cases.md").read_text()
    rows = re.findall(r"^\| ([A-Z]\d+) \| (.+?) \| (.+?) \|$", page, re.M)
    assert len(rows) > 130 and len({number for number, _, _ in rows}) == len(rows)
    assert all(re.findall(r"`(test_\w+)`", where) for _, _, where in rows)
    assert [(number, token) for number, _, where in rows for token in re.findall(r"`([^`]+)`", where)
            if token not in TESTS] == []


# ---- Packets ------------------------------------------------------------------------------------


def packet(name):
    """The bytes of a packet's table, put together."""
    text = (ROOT / "docs" / "course" / "names.md").read_text()
    table = re.search(r"<!-- packet: %s -->\n((?:\|.*\n)+)" % name, text)[1]
    return bytes.fromhex("".join(re.findall(r"^\| `([0-9a-f ]+)` \|", table, re.M)))


def test_the_packet_of_arp_is_one():
    data = packet("arp")
    hardware, protocol, *sizes, operation = struct.unpack("!HHBBH", data[:8])
    assert (hardware, protocol, sizes, operation, len(data)) == (1, 0x0800, [6, 4], 1, 28)
    assert data[14:18] == bytes([192, 0, 2, 1]) and data[24:28] == bytes([192, 0, 2, 2])


def test_the_packet_of_dns_is_one():
    data = packet("dns")
    number, flags, *counts = struct.unpack("!6H", data[:12])
    assert (number, flags, counts) == (0x1234, 0x0100, [1, 0, 0, 0])
    labels, rest = [], data[12:]
    while rest[0]:
        labels.append(rest[1:1 + rest[0]].decode())
        rest = rest[1 + rest[0]:]
    assert (".".join(labels), rest[1:]) == ("www.example.com", bytes([0, 1, 0, 1]))


def test_the_packet_of_dhcp_is_one():
    data = packet("dhcp")
    assert data[:4] == bytes([1, 1, 6, 0]) and data[10:12] == b"\x80\0" and data[28:34].hex("-") == "00-15-c5-49-04-a9"
    assert len(data[:34]) + 202 == 236 and data[34:38] == bytes([99, 130, 83, 99])  # RFC 2131
    options, rest = {}, data[38:]
    while rest[0] != 255:
        options[rest[0]] = rest[2:2 + rest[1]]
        rest = rest[2 + rest[1]:]
    assert options == {53: b"\1", 55: b"\1\3\6"}
