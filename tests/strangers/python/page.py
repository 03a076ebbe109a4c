"""A web server for one request, as a program that is started for each caller: GET / is a page, all else is not found."""

import sys

PAGE = b"<!DOCTYPE html>\n<title>A door</title>\n<p>Somebody is at the door.\n"

request = sys.stdin.buffer.readline().split()
while sys.stdin.buffer.readline() not in (b"\r\n", b"\n", b""):
    pass
status, text = (b"200 OK", PAGE) if request[:2] == [b"GET", b"/"] else (b"404 Not Found", b"Nobody is here.\n")
sys.stdout.buffer.write(b"HTTP/1.0 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))
