"""Callers of a page server who write their requests by hand."""

import re
import subprocess

import pytest

from programs import DOORBELL, serve

needs_http = pytest.mark.skipif(
    b"without the library http-parser" in subprocess.run([DOORBELL, "serve", "files", "/nowhere"], capture_output=True).stderr,
    reason="this build has no HTTP: the library http-parser is missing")


def serve_files(folder, *options, **how):
    return serve("files", str(folder), "127.0.0.1:0", "-v", *options, **how)


def make_site(folder):
    """A small site; nothing of what is beside it may be seen."""
    site = folder / "site"
    (site / "sub" / "empty").mkdir(parents=True)
    (site / "index.html").write_text("<h1>The front page</h1>\n")
    (site / "sub" / "a b&<c>.txt").write_text("odd\n")
    (site / "sub" / "plain.txt").write_text("0123456789")
    (site / "sub" / ".hidden").write_text("SECRET")
    (site / "big.bin").write_bytes(bytes(range(256)) * 2000)
    (folder / "outside.txt").write_text("SECRET")
    (site / "link.txt").symlink_to("../outside.txt")
    (site / "up").symlink_to("..")
    (site / "inner").symlink_to("sub")
    return site


class Answer:
    def __init__(self, stream, method="GET"):
        line = stream.readline()
        match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [ -~]+\r\n", line)
        assert match, line
        self.status = int(match.group(1))
        self.headers = {}
        while True:
            line = stream.readline()
            if line == b"\r\n":
                break
            name, value = re.fullmatch(rb"([A-Za-z-]+): ([ -~]*)\r\n", line).groups()
            assert name.decode().lower() not in self.headers
            self.headers[name.decode().lower()] = value.decode()
        size = int(self.headers.get("content-length", 0))
        self.body = b"" if method == "HEAD" or self.status == 304 else stream.read(size)
        assert method == "HEAD" or self.status == 304 or len(self.body) == size


def ask(server, data, *methods):
    """Sends the bytes, and reads as many answers as there are methods; the last one must end the stream if it says so."""
    with server.call() as caller, caller.makefile("rb") as stream:
        caller.sendall(data)
        answers = [Answer(stream, method) for method in methods or ["GET"]]
        if answers[-1].headers["connection"] == "close":
            assert stream.read() == b""
    return answers if len(methods) > 1 else answers[0]


def get(server, target, *headers, method="GET", version="1.1"):
    lines = ["%s %s HTTP/%s" % (method, target, version), "Host: test", *headers, "", ""]
    return ask(server, "\r\n".join(lines).encode("latin-1"), method)
