"""A terminal, and somebody who sits at it."""

import os
import pty
import re
import select
import subprocess
import termios
import time

from programs import PATIENCE


class Desk:
    """A terminal with a program on it."""

    def __init__(self, *command, **environment):
        self.screen, terminal = pty.openpty()
        self.before = termios.tcgetattr(terminal)
        self.terminal = terminal
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            env={**os.environ, "TERM": "xterm", **environment},
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)))  # the session's own terminal
        self.shown = b""

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.wait()
        os.close(self.screen)
        os.close(self.terminal)

    def type(self, keys):
        os.write(self.screen, keys)

    def wait_for(self, pattern):
        """What the pattern has found on the screen; what is before it is forgotten."""
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.shown)):
            left = until - time.monotonic()
            assert left > 0 and select.select([self.screen], [], [], left)[0], self.shown
            self.shown += os.read(self.screen, 65536)
        self.shown = self.shown[found.end():]
        return found
