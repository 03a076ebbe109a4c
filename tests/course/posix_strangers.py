"""The programs of the lectures as they are on the slides, faults included, for ours to get on with.

A server stranger is a function of one accepted connection; `at_door` runs it for each caller.
A client stranger is a function of a port, and returns what it would have shown.
"""

import contextlib
import socket
import threading

PATIENCE = 30


@contextlib.contextmanager
def at_door(serve, host="127.0.0.1", callers=None):
    """Listens on a free port and serves one caller after the other. Gives the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as door:
        stop = threading.Event()

        def loop():
            served = 0
            while not stop.is_set() and served != callers:
                try:
                    connection, _ = door.accept()
                except OSError:
                    return
                if stop.is_set():
                    connection.close()
                    return
                connection.settimeout(PATIENCE)
                with contextlib.suppress(OSError), connection:
                    serve(connection)
                served += 1

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        port = door.getsockname()[1]
        try:
            yield port
        finally:
            stop.set()
            with contextlib.suppress(OSError):  # wakes accept()
                socket.create_connection((host, port), timeout=1).close()
            thread.join(PATIENCE)


def send_byte_by_byte(connection, data):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in data:
        connection.sendall(bytes([byte]))


def read_line(connection):
    """Up to a newline or the end, byte by byte; the newline is left out."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return line.rstrip(b"\r\n")


# ---- Servers ------------------------------------------------------------------------------------


def java_closing(connection):
    """Waits for a line, answers byte by byte, closes."""
    send_byte_by_byte(connection, read_line(connection).upper() + b"\n")


def java_keeping(connection):
    """The same without the close, which only the end of the other side brings."""
    java_closing(connection)
    while connection.recv(1024):
        pass


def one_receive(connection):
    """Takes one recv for the request."""
    connection.sendall(connection.recv(1024).upper())


class PaddingServer:
    """Always sends its whole buffer, with what is left in it of earlier callers."""

    def __init__(self, size=1024):
        self.buffer = bytearray(size)

    def __call__(self, connection):
        request = connection.recv(len(self.buffer)).upper()
        self.buffer[:len(request)] = request
        connection.sendall(self.buffer)


def line_by_line(connection):
    """Answers each line when it is complete, until the end."""
    with connection.makefile("rwb") as stream:
        for line in stream:
            stream.write(line.upper())
            stream.flush()


def echo_lines(size):
    """The echo server of the slides: lines, of at most size - 1 bytes."""
    def serve(connection):
        with connection.makefile("rwb") as stream:
            while line := stream.readline(size - 1):
                stream.write(line)
                stream.flush()
    return serve


def hang_up_at_once(connection):
    """A phone server with nothing in its do_something."""


class MessageServer:
    """One read of 255 bytes, printed with a newline after it; 18 bytes of answer."""

    def __init__(self):
        self.printed = b""

    def __call__(self, connection):
        self.printed += b"Here is the message: " + connection.recv(255) + b"\n"
        connection.sendall(b"I got your message")


# ---- Clients ------------------------------------------------------------------------------------


def connect(port, host="127.0.0.1"):
    return socket.create_connection((host, port), timeout=PATIENCE)


def java_client(port, line):
    """Sends a line byte by byte, reads a line."""
    with connect(port) as connection:
        send_byte_by_byte(connection, line + b"\n")
        return b"FROM SERVER: " + read_line(connection)


def python_client(port, line):
    """Sends the bare words, neither newline nor half-close; one recv."""
    with connect(port) as connection:
        connection.sendall(line)
        return b"From Server: " + connection.recv(1024)


def quirky_client(port, line):
    """Sends a line and a NUL; reads until its NUL is back."""
    with connect(port) as connection:
        connection.sendall(line + b"\n\0")
        data = b""
        while not data.endswith(b"\0"):
            piece = connection.recv(1024)
            if not piece:
                break
            data += piece
        return data


def message_client(port, line):
    """Sends at most 254 bytes of a line; one read of 255 bytes."""
    with connect(port) as connection:
        connection.sendall((line + b"\n")[:254])
        return b"Please enter the message: " + connection.recv(255) + b"\n"


def echo_client(port, lines):
    """Writes a line, waits for a line."""
    shown = b""
    with connect(port) as connection, connection.makefile("rwb") as stream:
        for line in lines:
            stream.write(line)
            stream.flush()
            shown += stream.readline()
    return shown


def echo_word(port, word):
    """Sends a word without a newline, and waits until as much has come back."""
    with connect(port) as connection:
        connection.sendall(word)
        received = b""
        while len(received) < len(word):
            piece = connection.recv(4096)
            if not piece:
                return b"connection closed prematurely"
            received += piece
        return b"Received: " + received + b"\n"


def phone_client(port):
    """Says nothing, shows what comes until the end."""
    with connect(port) as connection:
        shown = b""
        while piece := connection.recv(4096):
            shown += piece
        return shown
