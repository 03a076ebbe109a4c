"""One connection to the server. It never blocks for ever: what does not come within its patience does not come."""

import contextlib
import fcntl
import select
import socket
import struct
import termios
import time

from .program import wait_until

NO_DELAY, INFO, SEGMENTS_WITH_DATA = socket.TCP_NODELAY, socket.TCP_INFO, 152  # the last: a place in struct tcp_info
MUCH, MOST = 1 << 16, 1 << 26  # bytes at once, and in all, for a server that is to get stuck


class Caller:
    """heard is what has come so far; end is "" or what ended the connection: "end" or "reset"."""

    def __init__(self, server, patience, address=None, receive_buffer=None):
        address = address or server.address
        self.server, self.patience = server, patience
        self.heard, self.end = bytearray(), ""
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience)
        try:
            self.socket.connect((address, server.port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, NO_DELAY, 1)  # pieces are to be pieces
        self.port = self.socket.getsockname()[1]

    # ---- Talking --------------------------------------------------------------------------------

    def say(self, data, listening=True):
        """Sends all of it, and hears meanwhile. False if the server took no more of it, or has gone."""
        left, last = memoryview(data), time.monotonic()
        while left and (self.end != "reset"):
            wanted = [self.socket] if listening and not self.end else []
            readable, writable, _ = select.select(wanted, [self.socket], [], self._rest(last))
            if not readable and not writable:
                return False
            if readable and self._hear_once():
                last = time.monotonic()
            if writable:
                try:
                    left = left[self.socket.send(left):]
                    last = time.monotonic()
                except BlockingIOError:
                    pass
                except OSError:
                    self._hear_what_is_there()
                    self.end = "reset"
        return not left

    def say_until_stuck(self, line, pause=0.2):
        """Sends the line again and again, hearing nothing, until nothing more goes in. Returns how many bytes went."""
        block = line * (MUCH // len(line))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < MOST and select.select([], [self.socket], [], pause)[1]:
                with contextlib.suppress(BlockingIOError):
                    sent += self.socket.send(memoryview(block)[sent % len(block):])
        return sent

    def say_and_wait(self, data):
        """Sends it, and waits until the server has taken it. (One that only peeks never does: see the limit.)"""
        return self.say(data) and self.is_taken()

    def is_taken(self):
        def nothing_under_way():
            waiting = struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4))[0]
            row = self.server.end_of(self.port)
            return waiting == 0 and (row is None or row.unread == 0)
        return wait_until(nothing_under_way, self.patience / 3)

    def is_accepted(self, seconds=None):
        """Waits for it. A caller in the queue has no inode on the server's side."""
        def accepted():
            row = self.server.end_of(self.port)
            return row is None or row.inode != 0
        return wait_until(accepted, self.patience if seconds is None else seconds)

    # ---- Hearing --------------------------------------------------------------------------------

    def _rest(self, last):
        return max(0, last + self.patience - time.monotonic())

    def _hear_once(self):
        """True if something came, be it the end."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            self.end = "reset"
            return True
        self.heard += data
        self.end = self.end or ("" if data else "end")
        return True

    def _hear_what_is_there(self):
        while not self.end and self._hear_once():
            pass

    def hear(self, count, patience=None):
        """Waits for so many bytes in all, as long as they keep coming. Returns what has come, maybe more."""
        last = time.monotonic()
        patience = self.patience if patience is None else patience
        while len(self.heard) < count and not self.end:
            rest = max(0, last + patience - time.monotonic())
            if not select.select([self.socket], [], [], rest)[0]:
                break
            if self._hear_once():
                last = time.monotonic()
        return bytes(self.heard)

    def hear_to_the_end(self):
        """All that comes until the server ends the connection. self.end is "" if it does not."""
        last = time.monotonic()
        while not self.end and select.select([self.socket], [], [], self._rest(last))[0]:
            if self._hear_once():
                last = time.monotonic()
        return bytes(self.heard)

    def segments(self):
        """How many segments with data have come, or None where the kernel does not tell."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, INFO, 256)
        if len(info) < SEGMENTS_WITH_DATA + 4:
            return None
        return struct.unpack_from("=I", info, SEGMENTS_WITH_DATA)[0]

    # ---- Leaving --------------------------------------------------------------------------------

    def half_close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Leaves with a reset, like a program that is killed with something unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.socket.close()
