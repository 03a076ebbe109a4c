"""Strangers who want pages: the netcats by hand, wget, curl and openssl, at `doorbell serve files`."""

import filecmp
import os
import re
import subprocess

import pytest

from cases import call, each, needs
from pages import make_site, needs_http, serve_files
from programs import MODELS, PATIENCE
from workshop import Party

pytestmark = [needs_http, pytest.mark.xdist_group("strangers")]  # what is compiled for them is compiled once

FRONT = b"<h1>The front page</h1>\n"
KEEPING = ["fork", "threads", "coroutines"]  # whose callers may ask again


@pytest.fixture
def site(tmp_path):
    return make_site(tmp_path)


def tool(*command, folder=None):
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, cwd=folder)


def url(server, target=""):
    return "http://127.0.0.1:%d/%s" % (server.port, target)




@each("nc.openbsd", "nc.openbsd -N", "nc.traditional", "ncat", "socat")
@pytest.mark.parametrize("model", MODELS)
def test_a_page_is_typed_by_hand(site, stranger, made, model):
    with serve_files(site, "-m", model) as server:
        done = call(stranger, made, server.port, b"GET / HTTP/1.0\r\n\r\n")
        assert done.stdout.startswith(b"HTTP/1.1 200 OK\r\n") and done.stdout.endswith(b"\r\n\r\n" + FRONT)
        assert server.stop() == 0


@needs("wget")
@pytest.mark.parametrize("model", MODELS)
def test_wget_takes_the_whole_site(site, tmp_path, model):
    os.unlink(site / "index.html")  # a list leads to what there is
    copy = tmp_path / "copy"
    with serve_files(site, "-m", model) as server:
        done = tool("wget", "-q", "-r", "-nH", "-P", str(copy), url(server))
        assert done.returncode == 0, done.stderr
        assert server.stop() == 0
    for name in ("big.bin", "sub/plain.txt", "sub/a b&<c>.txt"):
        assert filecmp.cmp(site / name, copy / name, shallow=False)
    assert {"link.txt", "up", ".hidden"}.isdisjoint(found for _, folders, names in os.walk(copy) for found in folders + names)


@needs("wget")
def test_wget_goes_on_where_it_was_and_asks_for_what_is_newer(site, tmp_path):
    whole = (site / "big.bin").read_bytes()
    (tmp_path / "big.bin").write_bytes(whole[:100000])
    with serve_files(site) as server:
        assert tool("wget", "-q", "-c", url(server, "big.bin"), folder=tmp_path).returncode == 0
        server.wait_for(r'asked "GET /big.bin": 206, %d bytes' % (len(whole) - 100000))
        assert (tmp_path / "big.bin").read_bytes() == whole
        assert tool("wget", "-q", "-N", url(server, "big.bin"), folder=tmp_path).returncode == 0
        server.wait_for(r'asked "GET /big.bin": 304, 0 bytes')
        assert tool("wget", "-q", url(server, "nobody"), folder=tmp_path).returncode == 8  # the server has refused
        assert server.stop() == 0


@needs("curl")
@pytest.mark.parametrize("model", MODELS)
def test_curl_keeps_its_connection_where_that_keeps_nobody_out(site, model):
    with serve_files(site, "-m", model) as server:
        done = tool("curl", "-sS", "-w", "%{num_connects} ", *[url(server, "sub/plain.txt")] * 3)
        again = b"0 " if model in KEEPING else b"1 "
        assert (done.returncode, done.stdout) == (0, b"01234567891 " + 2 * (b"0123456789" + again))
        assert server.stop() == 0


@needs("openssl", "socat")
def test_openssl_gets_a_page_through_somebody_who_speaks_tls(site, certificate, made):
    key, file = certificate
    with serve_files(site) as server, \
            Party(["socat", "-d", "-d", "OPENSSL-LISTEN:0,bind=127.0.0.1,verify=0,key=%s,cert=%s" % (key, file),
                   "TCP:127.0.0.1:%d" % server.port], made) as front, \
            Party(["openssl", "s_client", "-quiet", "-connect", "HOST:PORT"], made, front.port()) as client:
        client.say(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        client.wait_for_words(rb"HTTP/1\.1 200 OK\r\n(?s:.*)\r\n\r\n" + re.escape(FRONT), "stdout")
        server.wait_for(r'asked "GET /": 200')
