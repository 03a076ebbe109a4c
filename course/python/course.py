"""What the programs have in common: arguments, how servers and clients begin, how a call ends.

Servers take [PORT [HOST]], clients [HOST [PORT]]. They exit with 0 if all is well, 1 if not, 2 if called wrongly.
"""

import os
import select
import signal
import socket
import socketserver
import sys
import threading
import time

SILENCE = 60  # seconds after which a peer that neither talks nor listens is given up
LINGER = 1  # seconds for the last words of a caller, and
LINGER_BYTES = 65536  # how many of them are thrown away


def fail(text, code=1):
    sys.stdout.flush()
    print("%s: %s" % (sys.argv[0], text), file=sys.stderr)
    sys.exit(code)


def port_of(text, protocol="tcp"):
    """0 to 65535, or the name of a service."""
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    try:
        return socket.getservbyname(text, protocol)
    except OSError:
        fail("'%s' is not a port: 0 to 65535, or the name of a service" % text, 2)


def arguments(defaults, usage):
    """The words of the command line, in this order, with defaults for those that are left out."""
    words = sys.argv[1:]
    if len(words) > len(defaults):
        print("usage: %s %s" % (sys.argv[0], usage), file=sys.stderr)
        sys.exit(2)
    # A port alone would be an address: 5000 is 0.0.19.136 for getaddrinfo.
    if words and usage.startswith("[HOST") and (words[0].isdigit() or words[0][:1] in ("", "-")):
        fail("'%s' is not a host: the host comes first, then the port" % words[0], 2)
    return [*words, *defaults[len(words):]]


# ---- Servers ------------------------------------------------------------------------------------


def announce(door):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    print("listening on %d" % door.getsockname()[1], flush=True)


def hang_up(caller):
    """Closing with something unread would be a reset, which destroys what is on its way to the caller."""
    caller.shutdown(socket.SHUT_WR)
    end, budget = time.monotonic() + LINGER, LINGER_BYTES
    while budget > 0 and (left := end - time.monotonic()) > 0:
        caller.settimeout(left)
        data = caller.recv(4096)
        if not data:
            break
        budget -= len(data)


def serve(handle, default_port):
    """Calls handle(caller) in a thread for each caller. One caller's mishap is nobody else's."""
    port, host = arguments([str(default_port), "127.0.0.1"], "[PORT [HOST]]")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.settimeout(SILENCE)
            try:
                handle(self.request)
                hang_up(self.request)
            except OSError as error:
                print("%s: %s" % (self.client_address[0], error), file=sys.stderr, flush=True)

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        allow_reuse_address = True  # or it could not be started again while old connections are remembered
        daemon_threads = True
        request_queue_size = 128

    try:
        with Server((host, port_of(port)), Handler) as server:
            announce(server.socket)
            server.serve_forever()
    except OSError as error:
        fail("%s:%s: %s" % (host, port, error))


# ---- Clients ------------------------------------------------------------------------------------


def call(default_port):
    host, port = arguments(["localhost", str(default_port)], "[HOST [PORT]]")
    try:
        server = socket.create_connection((host, port_of(port)), SILENCE)  # each address of the name
    except OSError as error:
        fail("%s:%s: %s" % (host, port, error))
    return server


class Talker(threading.Thread):
    """Sends beside the hearing: a server that answers as it goes would wait for us, and we for it."""

    def __init__(self, server, pieces, is_all):
        super().__init__(daemon=True)
        self.server, self.pieces, self.is_all, self.said = server, pieces, is_all, 0
        self.start()

    def run(self):
        try:
            for piece in self.pieces:
                self.said += len(piece)
                self.server.sendall(piece)
            if self.is_all:
                self.server.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # who has gone may have answered all the same: that is heard, or not


def converse(server):
    """Sends standard input, shows what comes until the server's end. Gives the bytes said and heard."""
    talker, heard = Talker(server, iter(lambda: os.read(0, 65536), b""), is_all=True), 0
    try:
        # Somebody at a terminal may think for as long as he likes.
        server.settimeout(None)
        while data := server.recv(65536):
            heard += len(data)
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    except OSError as error:
        fail(error)
    # A server that hangs up at once may be faster than the talker.
    unsaid = talker.said == 0 and select.select([0], [], [], 0)[0] and len(os.read(0, 65536))
    return talker.said + unsaid, heard
