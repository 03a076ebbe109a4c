"""An echo server with one mistake, of those that no slide has: mistakes.py MISTAKE PORT"""

import os
import signal
import socket
import sys
import threading
import time

BUFFER = 1 << 16
kept = []
turn = threading.Lock()


def echo(connection, limit=1 << 40):
    while limit > 0 and (data := connection.recv(BUFFER)):
        connection.sendall(data[:limit])
        limit -= len(data)


def answer_at_the_end(connection):
    text = b""
    while data := connection.recv(BUFFER):
        text += data
    connection.sendall(text)


def answer_something_else(connection):
    connection.recv(BUFFER)
    connection.sendall(b"I got your message")


def drop_the_newline(connection):
    while data := connection.recv(BUFFER):
        connection.sendall(data.rstrip(b"\n"))


def read_one_line(connection):
    """And leaves unread what follows it."""
    line = b""
    while not line.endswith(b"\n") and (byte := connection.recv(1)):
        line += byte
    connection.sendall(line)


def strip_lines(connection):
    """And takes an empty one for the end, and one without a newline for nothing."""
    with connection.makefile("rb") as stream:
        for line in stream:
            if not line.strip() or not line.endswith(b"\n"):
                break
            connection.sendall(line.strip() + b"\n")


def send_what_fits(connection):
    while data := connection.recv(BUFFER):
        connection.setblocking(False)
        try:
            connection.send(data)
        except BlockingIOError:
            pass
        connection.setblocking(True)


def share_a_buffer(connection):
    while data := connection.recv(BUFFER):
        kept.append(data)
        connection.sendall(kept[0])


def free_nothing(connection):
    while data := connection.recv(BUFFER):
        kept.append(b"x" * 8192)
        connection.sendall(data)


def never_sleep(connection):
    connection.setblocking(False)
    while True:
        try:
            data = connection.recv(BUFFER)
        except BlockingIOError:
            continue
        if not data:
            return
        connection.setblocking(True)
        connection.sendall(data)
        connection.setblocking(False)


def send_one_at_a_time(connection):
    while data := connection.recv(BUFFER):
        with turn:
            connection.sendall(data)


HANDLERS = {
    "hang up": lambda connection: None,
    "answer something else": answer_something_else,
    "answer at the end": answer_at_the_end,
    "drop the newline": drop_the_newline,
    "read one line": read_one_line,
    "strip lines": strip_lines,
    "stop after 50000 bytes": lambda connection: echo(connection, 50000),
    "stop after 500000 bytes": lambda connection: echo(connection, 500000),
    "send what fits": send_what_fits,
    "share a buffer": share_a_buffer,
    "free nothing": free_nothing,
    "never sleep": never_sleep,
    "send one at a time": send_one_at_a_time,
}


def serve(mistake, connection):
    try:
        HANDLERS.get(mistake, echo)(connection)
    except OSError:
        pass
    if mistake == "never close":
        kept.append(connection)
    else:
        connection.close()


def serve_in_a_child(mistake, door, connection):
    if os.fork() == 0:
        if mistake != "child keeps the door":
            door.close()
        serve(mistake, connection)
        os._exit(0)
    if mistake == "parent keeps the caller":
        kept.append(connection)
    else:
        connection.close()


def main(mistake, port):
    door = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
    if mistake == "die when continued":
        signal.signal(signal.SIGCONT, lambda *_: os._exit(1))
    if mistake == "ignore SIGTERM":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        try:
            connection, _ = door.accept()
        except OSError:
            time.sleep(0.05)
            continue
        if "keeps" in mistake:
            serve_in_a_child(mistake, door, connection)
        elif mistake == "send one at a time":
            threading.Thread(target=serve, args=[mistake, connection], daemon=True).start()
        else:
            serve(mistake, connection)
        if mistake == "serve one caller":
            break


main(sys.argv[1], int(sys.argv[2]))
