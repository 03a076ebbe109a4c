"""What real shells make of a line and a tab."""

import os
import pty
import select
import shutil
import subprocess
import time

import pytest

from programs import DOORBELL, PATIENCE, run

SHELLS = ["bash", "zsh", "fish"]
SERVICES = "echo upper discard chargen daytime time message quote exec files".split()

# Ctrl-T writes the line, as it is then, into the file "line".
READY = {
    "bash": r"""bind 'set bell-style none'; source ./completion
bind -x '"\C-t": printf %s "$READLINE_LINE" >line.new && mv line.new line'
""",
    "zsh": r"""autoload -U compinit; compinit -u -D; unsetopt beep; source ./completion
_tell() { print -rn -- "$BUFFER" >line.new && mv line.new line }; zle -N _tell; bindkey '^T' _tell
""",
}
START = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}


def needs(shell):
    return pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason="there is no %s here" % shell))


@pytest.fixture
def folder(tmp_path):
    """With the command in it, where the shells look for programs."""
    (tmp_path / "site").mkdir()
    (tmp_path / "side.txt").write_text("")
    (tmp_path / "doorbell").symlink_to(DOORBELL)
    return tmp_path


class Shell:
    """An interactive one at a terminal, which knows the completion of its kind."""

    def __init__(self, shell, folder):
        self.folder = folder
        (folder / "completion").write_bytes(run("completion", shell).stdout)
        (folder / "ready").write_text(READY[shell] + "echo it is $((6 * 7))\n")
        environment = {"HOME": str(folder), "PATH": "%s:%s" % (folder, os.environ["PATH"]), "TERM": "dumb", "PS1": "$ "}
        self.fd, terminal = pty.openpty()
        self.process = subprocess.Popen(START[shell], cwd=folder, env=environment, stdin=terminal, stdout=terminal,
                                        stderr=terminal, start_new_session=True)
        os.close(terminal)
        self.said = b""
        os.write(self.fd, b"source ./ready\r")
        self._read_until(lambda: b"it is 42" in self.said)

    def _read_until(self, holds):
        until = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < until, self.said
            if select.select([self.fd], [], [], 0.01)[0]:
                self.said += os.read(self.fd, 65536)

    def line_after(self, keys):
        """The line when these keys have been typed."""
        file = self.folder / "line"
        os.write(self.fd, b"\x15" + keys.encode() + b"\x14")
        self._read_until(file.exists)
        line = file.read_text()
        file.unlink()
        return line

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


LINES = [
    ("doorbell se", "doorbell serve "),
    ("doorbell help exit", "doorbell help exit-codes "),
    ("doorbell serve up", "doorbell serve upper "),
    ("doorbell serve echo -m pref", "doorbell serve echo -m prefork "),
    ("doorbell connect --no-half", "doorbell connect --no-half-close "),
    ("doorbell connect localh", "doorbell connect localhost "),
    # The folder of files, and no file.
    ("doorbell serve files si", "doorbell serve files site/"),
    ("doorbell serve echo sid", "doorbell serve echo side.txt "),
    # An address comes before "and".
    ("doorbell serve an", "doorbell serve an"),
    ("doorbell serve echo an", "doorbell serve echo an"),
    ("doorbell serve files site an", "doorbell serve files site an"),
    ("doorbell serve echo 7 an", "doorbell serve echo 7 and "),
    ("doorbell serve echo 7 udp:7 an", "doorbell serve echo 7 udp:7 and "),
    ("doorbell serve files site 80 an", "doorbell serve files site 80 and "),
    ("doorbell serve -m fork -v echo --sockopt nodelay=1 an", "doorbell serve -m fork -v echo --sockopt nodelay=1 an"),
    ("doorbell serve -m fork -v echo --sockopt nodelay=1 7 an",
     "doorbell serve -m fork -v echo --sockopt nodelay=1 7 and "),
    ("doorbell serve --model=fork echo an", "doorbell serve --model=fork echo an"),
    # exec is alone.
    ("doorbell serve exec 7 an", "doorbell serve exec 7 an"),
    # Then all begins anew.
    ("doorbell serve echo 7 and up", "doorbell serve echo 7 and upper "),
    ("doorbell serve echo 7 and upper 8 up", "doorbell serve echo 7 and upper 8 up"),
    ("doorbell serve echo 7 udp:7 and files si", "doorbell serve echo 7 udp:7 and files site/"),
    ("doorbell serve echo 7 and upper an", "doorbell serve echo 7 and upper an"),
    ("doorbell serve echo 7 and upper 8 an", "doorbell serve echo 7 and upper 8 and "),
    ("doorbell serve echo 7 and upper 8 --answer", "doorbell serve echo 7 and upper 8 --answer-groups "),
    ("doorbell serve echo 7 and --model coru", "doorbell serve echo 7 and --model coru"),
    ("doorbell serve echo 7 and --model corou", "doorbell serve echo 7 and --model coroutines "),
]


@pytest.mark.parametrize("shell", [needs("bash"), needs("zsh")])
def test_a_line_and_a_tab(shell, folder):
    with Shell(shell, folder) as one:
        assert [one.line_after(before + "\t") for before, _ in LINES] == [after for _, after in LINES]


def fish_offers(folder, line):
    """All words that fish offers for the last one of the line, which begin with it."""
    script = 'source completion; complete -C "$argv[1]"'
    done = subprocess.run(["fish", "--no-config", "-c", script, line], capture_output=True, timeout=PATIENCE, cwd=folder,
                          env={"HOME": str(folder), "PATH": "%s:%s" % (folder, os.environ["PATH"])})
    assert done.stderr == b""
    return [offer.split("\t")[0] for offer in done.stdout.decode().splitlines()]


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish here")
def test_a_line_and_a_tab_in_fish(folder):
    (folder / "completion").write_bytes(run("completion", "fish").stdout)
    for before, after in LINES:
        last = before.rsplit(" ", 1)[1]
        wanted = [] if after == before else [after.rstrip(" ").rsplit(" ", 1)[1]]
        assert [offer for offer in fish_offers(folder, before) if offer.startswith(last)] == wanted, before
    assert sorted(fish_offers(folder, "doorbell serve echo 7 and ")) == sorted(SERVICES)


@pytest.mark.parametrize("line", [["serve", ""], ["serve", "echo", "7", "and", ""], ["serve", "-w", "2", "time", "udp", ":",
                                                                                  "7", "and", ""]])
@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_bash_offers_the_services_where_one_is_wanted_and_nothing_else(line):
    script = ("%s\nCOMP_WORDS=(doorbell %s)\nCOMP_CWORD=%d\n_doorbell\nprintf '%%s\\n' \"${COMPREPLY[@]}\"\n"
              % (run("completion", "bash").stdout.decode(), " ".join("'%s'" % word for word in line), len(line)))
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=PATIENCE, cwd="/")
    assert (done.stderr, done.stdout.decode().split()) == (b"", SERVICES)
