"""A small name server, and programs that ask it and a hosts file of the test's own."""

import os
import socket
import struct
import subprocess
import threading

import pytest

from programs import PATIENCE

A, CNAME, PTR, AAAA = 1, 5, 12, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


def encode_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split(".") if part) + b"\0"


def decode_name(message, at):
    parts = []
    while message[at]:
        parts.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(parts).lower(), at + 1


def encode_data(kind, value):
    if kind in (A, AAAA):
        return socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, value)
    return encode_name(value)


def reverse_name(address):
    if ":" in address:
        digits = socket.inet_pton(socket.AF_INET6, address).hex()
        return ".".join(reversed(digits)) + ".ip6.arpa"
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


class NameServer:
    """Listens on 127.0.0.1:53, UDP and TCP, of the network that it is made in.

    records is {(name, kind): [data]}; codes {name: code}; a name in `silent` is never answered, one in `long` is
    cut over UDP.
    """

    def __init__(self, records, codes=None, silent=(), long=()):
        self.records, self.codes, self.silent, self.long = records, codes or {}, silent, long
        self.asked = []  # (name, kind, "udp" or "tcp")
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (self.udp, self.tcp):
            one.bind(("127.0.0.1", 53))
        self.tcp.listen()
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._serve_udp, self._serve_tcp)]
        for thread in self.threads:
            thread.start()

    def answer(self, question, way):
        number, = struct.unpack_from("!H", question)
        name, end = decode_name(question, 12)
        kind, = struct.unpack_from("!H", question, end)
        self.asked.append((name, kind, way))
        if name in self.silent:
            return None
        records, owner = [], name
        while (owner, CNAME) in self.records and len(records) < 8:
            target = self.records[owner, CNAME][0]
            records.append((owner, CNAME, target))
            owner = target
        records += [(owner, kind, value) for value in self.records.get((owner, kind), [])]
        known = any(owner == record[0] for record in self.records)
        code = self.codes.get(name, NOERROR if known else NXDOMAIN)
        is_cut = way == "udp" and name in self.long
        if is_cut or code:
            records = []
        flags = 0x8180 | code | (0x0200 if is_cut else 0)
        message = struct.pack("!HHHHHH", number, flags, 1, len(records), 0, 0) + question[12:end + 4]
        for owner, kind, value in records:
            data = encode_data(kind, value)
            message += encode_name(owner) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
        return message

    def _serve_udp(self):
        while True:
            question, peer = self.udp.recvfrom(4096)
            if not question:
                return
            reply = self.answer(question, "udp")
            if reply:
                self.udp.sendto(reply, peer)

    def _serve_tcp(self):
        while True:
            caller, _ = self.tcp.accept()
            with caller, caller.makefile("rb") as stream:
                head = stream.read(2)
                if len(head) < 2:
                    return
                reply = self.answer(stream.read(*struct.unpack("!H", head)), "tcp")
                if reply:
                    caller.sendall(struct.pack("!H", len(reply)) + reply)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", 53))
        socket.create_connection(("127.0.0.1", 53), PATIENCE).close()
        for thread in self.threads:
            thread.join(PATIENCE)
        self.udp.close()
        self.tcp.close()


class Names:
    """Runs programs that see these for /etc/hosts and /etc/resolv.conf."""

    SCRIPT = ('mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv.conf" /etc/resolv.conf && shift && '
              'exec "$@"')

    def __init__(self, folder, hosts="", resolv="nameserver 127.0.0.1\noptions timeout:3 attempts:1\n"):
        self.folder = str(folder)
        for name, text in (("hosts", hosts), ("resolv.conf", resolv)):
            with open(os.path.join(self.folder, name), "w") as file:
                file.write(text)

    def run(self, *command, **options):
        return subprocess.run(["unshare", "--mount", "sh", "-c", self.SCRIPT, "sh", self.folder, *command],
                              capture_output=True, text=True, timeout=PATIENCE, **options)


def need_mounts():
    """Skips the test where nobody may have mounts of his own."""
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no mount namespaces here: %s" % done.stderr.strip())
