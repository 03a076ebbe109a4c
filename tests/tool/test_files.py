"""doorbell serve files: pages for strangers, and nothing but them."""

import http.client
import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest

from pages import ask, get, make_site, needs_http, serve_files
from programs import DOORBELL, MODELS, PATIENCE, Server, run

pytestmark = needs_http


@pytest.fixture
def site(tmp_path):
    return make_site(tmp_path)


@pytest.fixture
def server(site):
    with serve_files(site) as server:
        yield server
        assert server.stop() == 0


def fetch(url, *options):
    if not shutil.which("curl"):
        pytest.skip("curl is missing")
    return subprocess.run(["curl", "-sS", "-m", str(int(PATIENCE)), *options, url], capture_output=True, check=True).stdout


# ---- Strangers ----------------------------------------------------------------------------------

def test_p40_a_page_for_a_raw_caller_and_for_urllib(server):
    answer = ask(server, b"GET / HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.body) == (200, b"<h1>The front page</h1>\n")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-length"] == "24"
    assert answer.headers["connection"] == "close"
    with urllib.request.urlopen("http://127.0.0.1:%d/" % server.port, timeout=PATIENCE) as page:
        assert (page.status, page.read()) == (200, answer.body)


def test_p41_our_client_fetches_a_page_of_pythons_server(site):
    command = ["/usr/bin/python3", "-u", "-c", "import http.server, functools, sys\n"
               "h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=%r)\n"
               "s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), h)\n"
               "print('listening on tcp:127.0.0.1:%%d' %% s.server_port, file=sys.stderr)\n"
               "s.serve_forever()" % str(site)]
    with Server(command) as stranger:
        asked = run("connect", "127.0.0.1:%d" % stranger.port, "-s", "GET / HTTP/1.0\\r\\n\\r\\n")
        assert asked.returncode == 0
        assert asked.stdout.endswith(b"\r\n\r\n<h1>The front page</h1>\n")


def test_our_client_fetches_a_page_of_our_server(server):
    asked = run("connect", "127.0.0.1:%d" % server.port, "-s", "GET / HTTP/1.0\\r\\n\\r\\n")
    assert (asked.returncode, asked.stdout[-24:]) == (0, b"<h1>The front page</h1>\n")


@pytest.mark.parametrize("model", MODELS)
def test_curl_gets_files_in_every_model(site, model):
    with serve_files(site, "-m", model) as server:
        url = "http://127.0.0.1:%d/" % server.port
        assert fetch(url + "big.bin") == (site / "big.bin").read_bytes()
        assert fetch(url + "sub/plain.txt", "-r", "2-4") == b"234"
        assert fetch(url + "sub", "-L").count(b"<li>") == 4
        assert server.stop() == 0


def test_pythons_client_keeps_its_connection(server):
    client = http.client.HTTPConnection("127.0.0.1", server.port, PATIENCE)
    for _ in range(20):
        client.request("GET", "/sub/plain.txt")
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"0123456789")
    client.close()
    server.wait_for('asked "GET /sub/plain.txt": 200, 10 bytes', count=20)
    assert sum("called" in line for line in server.lines) == 1


def test_a_browser_shows_a_page(site):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is missing")
    (site / "index.html").write_text("<script src=a.js></script><body>")
    (site / "a.js").write_text("document.body || addEventListener('load', () => { document.body.innerHTML = 6 * 7 + '!' })")
    with serve_files(site) as server:
        page = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--user-data-dir=%s" %
                               (site.parent / "profile"), "http://127.0.0.1:%d/" % server.port],
                              capture_output=True, timeout=3 * PATIENCE).stdout
    assert b"42!" in page


# ---- Answers ------------------------------------------------------------------------------------

@pytest.mark.parametrize("target", ["/", "/sub/", "/sub", "/big.bin", "/sub/plain.txt", "/nothing", "/%zz"])
def test_head_is_get_without_the_body(server, target):
    head, whole = (get(server, target, method=method) for method in ("HEAD", "GET"))
    assert whole.headers.pop("date") and head.headers.pop("date")
    assert (head.status, head.headers, head.body) == (whole.status, whole.headers, b"")
    assert int(whole.headers["content-length"]) == len(whole.body) > 0


def test_a_folder_without_index_is_listed_and_escaped(server):
    page = get(server, "/sub/").body.decode()
    assert '<a href="./a%20b%26%3Cc%3E.txt">a b&#38;&#60;c&#62;.txt</a>' in page
    assert re.findall(r'href="([^"]*)"', page) == ["../", "./a%20b%26%3Cc%3E.txt", "./empty/", "./plain.txt"]
    assert get(server, "/sub/a%20b%26%3Cc%3E.txt").body == b"odd\n"


def test_links_are_not_listed(site, server):
    os.unlink(site / "index.html")
    assert re.findall(r'href="([^"]*)"', get(server, "/").body.decode()) == ["./big.bin", "./sub/"]


@pytest.mark.parametrize("target, place", [("/sub", "/sub/"), ("//sub", "/sub/"), ("//sub//empty?a=b", "/sub/empty/")])
def test_a_folder_without_its_slash_is_redirected_to_it(server, target, place):
    answer = get(server, target)
    assert (answer.status, answer.headers["location"]) == (301, place)


def test_a_file_that_has_not_changed_is_not_sent_again(server, site):
    stamp = get(server, "/big.bin").headers["last-modified"]
    same = get(server, "/big.bin", "If-Modified-Since: " + stamp)
    assert (same.status, same.body) == (304, b"") and "content-length" not in same.headers
    assert get(server, "/big.bin", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT").status == 200
    assert get(server, "/big.bin", "If-Modified-Since: yesterday").status == 200
    assert get(server, "/big.bin", "If-Modified-Since: " + stamp, 'If-None-Match: "a"').status == 200


def test_a_redirection_may_be_long(site, server):
    names = ["\u00e9" * 100] * 6
    os.makedirs(site.joinpath(*names))
    target = "/" + "/".join("%C3%A9" * 100 for _ in names)
    answer = get(server, target)
    assert (answer.status, answer.headers["location"]) == (301, target + "/")
    assert answer.body == b"301 Moved Permanently\n"


@pytest.mark.parametrize("wanted, status, body, about", [
    ("bytes=2-4", 206, b"234", "bytes 2-4/10"), ("bytes=7-", 206, b"789", "bytes 7-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"), ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=9-99", 206, b"9", "bytes 9-9/10"), ("bytes=0-99999999999999999999", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=10-", 416, b"", "bytes */10"), ("bytes=-0", 416, b"", "bytes */10"),
    ("bytes=4-2", 200, b"0123456789", None), ("bytes=0-1,3-4", 200, b"0123456789", None),
    ("lines=1-2", 200, b"0123456789", None), ("bytes=a-b", 200, b"0123456789", None), ("bytes=-", 200, b"0123456789", None)])
def test_a_range(server, wanted, status, body, about):
    answer = get(server, "/sub/plain.txt", "Range: " + wanted)
    assert (answer.status, answer.body, answer.headers.get("content-range")) == (status, body, about)


def test_a_range_of_another_version_is_the_whole(server):
    stamp = get(server, "/sub/plain.txt").headers["last-modified"]
    assert get(server, "/sub/plain.txt", "Range: bytes=1-2", "If-Range: " + stamp).status == 206
    assert get(server, "/sub/plain.txt", "Range: bytes=1-2", 'If-Range: "tag"').status == 200


def test_pipelined_requests_are_answered_in_order(server):
    targets = ["/sub/plain.txt", "/nothing", "/big.bin", "/sub"] * 10
    data = "".join("GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % target for target in targets)
    answers = ask(server, data.encode(), *["GET"] * len(targets))
    assert [answer.status for answer in answers] == [200, 404, 200, 301] * 10


def test_a_request_byte_by_byte(server):
    with server.call() as caller:
        for byte in b"GET /sub/plain.txt HTTP/1.0\r\nA: b\r\n\r\n":
            caller.sendall(bytes([byte]))
        assert caller.makefile("rb").read().endswith(b"\r\n\r\n0123456789")


@pytest.mark.parametrize("request_line, headers, status", [
    ("GET / HTTP/1.1", "", 400), ("GET / HTTP/1.1", "Host: a\r\nHost: b\r\n", 400), ("GET / HTTP/1.0", "", 200),
    ("GET /", "", 505), ("GET / HTTP/2.0", "Host: a\r\n", 505), ("GET / HTTP/1.1x", "Host: a\r\n", 505),
    ("POST / HTTP/1.1", "Host: a\r\n", 405), ("DELETE / HTTP/1.1", "Host: a\r\n", 405), ("BREW / HTTP/1.1", "Host: a\r\n", 501),
    ("CONNECT a:1 HTTP/1.1", "Host: a\r\n", 405), ("OPTIONS * HTTP/1.1", "Host: a\r\n", 405),
    ("GET * HTTP/1.1", "Host: a\r\n", 400), ("GET x HTTP/1.1", "Host: a\r\n", 400),
    ("GET / HTTP/1.1", "Host: a\r\nExpect: 200-ok\r\n", 417), ("GET / HTTP/1.1", "Host: a\r\nExpect: 100-continue\r\n", 200),
    ("GET / HTTP/1.1", "Host: a\r\nContent-Length: 9999999\r\n", 413),
    ("GET / HTTP/1.1", "Host: a\r\nContent-Length: -1\r\n", 400), ("GET / HTTP/1.1", "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400),
    ("GET / HTTP/1.1", "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
    ("GET / HTTP/1.1", "Host: a\r\nTransfer-Encoding: gzip\r\n", 501), ("GET / HTTP/1.0", "Transfer-Encoding: chunked\r\n", 400),
    ("GET / HTTP/1.1", "Host: a\r\nA b: c\r\n", 400), ("GET / HTTP/1.1", "Host: a\r\nContent-Length : 3\r\n", 400),
    ("GET /" + "a" * 5000 + " HTTP/1.1", "Host: a\r\n", 414), ("GET / HTTP/1.1", "Host: a\r\n" + "A: b\r\n" * 100, 431),
    ("GET / HTTP/1.1", "Host: a\r\nA: " + "b" * 20000 + "\r\n", 431), ("\0\1\2", "", 400)])
def test_what_is_refused_and_how(server, request_line, headers, status):
    answer = ask(server, ("%s\r\n%s\r\n" % (request_line, headers)).encode("latin-1"))
    assert answer.status == status
    assert status != 405 or answer.headers["allow"] == "GET, HEAD"
    assert get(server, "/").status == 200


def test_a_second_request_in_a_body_is_not_answered(server):
    hidden = b"GET /sub/plain.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    for head in (b"Content-Length: %d" % len(hidden), b"Transfer-Encoding: chunked"):
        answer = ask(server, b"GET / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n" + hidden)
        assert (answer.status, answer.headers["connection"]) == (200, "close")


# ---- No way out ---------------------------------------------------------------------------------

@pytest.mark.parametrize("target, statuses", [
    ("/../outside.txt", [400]), ("/sub/../../outside.txt", [400]), ("/%2e%2e/outside.txt", [400]), ("/.%2E/outside.txt", [400]),
    ("/..%2foutside.txt", [404]), ("/%2e%2e%2foutside.txt", [404]), ("/..%5coutside.txt", [404]), ("/..\\outside.txt", [400]),
    ("/%252e%252e/outside.txt", [404]), ("/..%00/outside.txt", [400]), ("/sub/plain.txt%00.html", [400]),
    ("/..", [400]), ("/sub/..", [400]), ("/...", [404]), ("/%c0%ae%c0%ae/outside.txt", [404]), ("/%uff0e%uff0e/outside.txt", [400]),
    ("/link.txt", [404]), ("/up/outside.txt", [404]), ("/up", [404]), ("/inner/plain.txt", [404]), ("/inner/", [404]),
    ("/sub/.hidden", [404]), ("/sub/%2ehidden", [404]), ("/.", [200]), ("//etc/passwd", [404]), ("///outside.txt", [404]),
    ("http://test/../outside.txt", [400]), ("http://test/sub/plain.txt", [200]), ("http://test", [200]), ("HTTP://other/nothing", [404]),
    ("file:///etc/passwd", [400]), ("https://test/", [400]), ("/etc/passwd", [404]), ("/dev/null", [404]), ("/%", [400]), ("/%4", [400]), ("/%gg", [400]),
    ("/" + "a" * 300, [404]), ("/" + "a/" * 2000, [404]), ("/" + "../" * 1000, [400]), ("/sub/plain.txt/", [404]),
    ("/sub/plain.txt/x", [404]), ("/sub/./plain.txt", [200]), ("//sub//plain.txt", [200]), ("/sub/plain.txt?../../x=%00", [200])])
def test_there_is_no_way_out_of_the_folder(server, target, statuses):
    answer = get(server, target)
    assert answer.status in statuses
    assert b"SECRET" not in answer.body and b"root:" not in answer.body


def test_only_files_and_folders_are_opened(site, server):
    os.mkfifo(site / "fifo")
    os.mkdir(site / "page")
    (site / "page" / "index.html").symlink_to("../../outside.txt")
    assert get(server, "/fifo").status == 403
    page = get(server, "/page/")
    assert page.status == 200 and b"SECRET" not in page.body


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server becomes nobody")
def test_what_nobody_may_read_is_forbidden(site, server):
    os.chmod(site / "big.bin", 0o600)
    os.chmod(site / "sub", 0o700)
    assert get(server, "/big.bin").status == 403
    assert get(server, "/sub/plain.txt").status == 403


# ---- The command --------------------------------------------------------------------------------

def test_json_tells_each_request(site):
    with serve_files(site, "--json") as server:
        port = int(re.search(r":(\d+)\"", server.wait_for('"type":"listening".*').group(0)).group(1))
        asked = run("connect", "127.0.0.1:%d" % port, "-s", 'GET /sub/"\\x80 HTTP/1.0\\r\\n\\r\\n')
        assert asked.returncode == 0
        told = json.loads(server.wait_for('.*"type":"request".*').group(0))
        assert (told["method"], told["target"], told["status"], told["bytes"]) == ("GET", '/sub/\\"\\x80', 404, 14)


def test_the_log_is_escaped(server):
    get(server, "/\x9b31m%0d%0a\xff")
    assert server.wait_for(r"asked (.*)").group(1) == '"GET /\\x9b31m%0d%0a\\xff": 404, 14 bytes'


@pytest.mark.parametrize("words, sentence", [
    ([], b"files needs a folder"), (["/nowhere/at/all", "127.0.0.1:0"], b"files /nowhere/at/all: No such file"),
    ([DOORBELL, "127.0.0.1:0"], b"Not a directory")])
def test_a_folder_that_is_none(words, sentence):
    asked = run("serve", "files", *words)
    assert (asked.returncode, sentence in asked.stderr) == (2, True), asked.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
def test_root_says_as_whom_where_others_can_call(site):
    asked = run("serve", "files", str(site), "*:0")
    assert asked.returncode == 2 and b"files on tcp:" in asked.stderr and b"--user" in asked.stderr
