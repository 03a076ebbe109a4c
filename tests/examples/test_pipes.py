"""The sentence service over two pipes: the same machine needs no sockets."""

import os
import re
import signal
import subprocess

from programs import DOORBELL, PATIENCE, children_of, example, serve, wait_until


def start(**how):
    return subprocess.Popen([example("pipes")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


def pipes_of(pid):
    """What of a process is a pipe: descriptor and direction, with the pipe's number."""
    found = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            if int(fd) > 2 and target.startswith("pipe:"):
                with open("/proc/%d/fdinfo/%s" % (pid, fd)) as info:
                    flags = int(re.search(r"flags:\s+(\d+)", info.read()).group(1), 8)
                found.add(("write" if flags & os.O_ACCMODE else "read", target))
        except FileNotFoundError:
            pass  # it was closed just now
    return found


def three_of(process):
    """The processes and their pipes, when each of them has closed what it does not use: main, service, feeder."""
    wait_until(lambda: [len(pipes_of(pid)) for pid in (process.pid, *sorted(pid for pid, _ in children_of(process.pid)))]
               == [1, 2, 1])
    service, feeder = sorted(pid for pid, _ in children_of(process.pid))
    return process.pid, service, feeder


def test_r10_the_answers_are_those_over_tcp():
    text = b"".join(b"line %d of the text\n" % i for i in range(60000)) + bytes(range(256))
    done = subprocess.run([example("pipes")], input=text, capture_output=True, timeout=PATIENCE)
    with serve("upper", "127.0.0.1:0") as server:
        over_tcp = subprocess.run([DOORBELL, "connect", server.address], input=text, capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == over_tcp.stdout and len(done.stdout) == len(text)


def test_r11_a_reader_who_has_gone_is_an_error_and_no_signal():
    with start() as process:
        _, service, _ = three_of(process)
        os.kill(service, signal.SIGKILL)
        wait_until(lambda: dict(children_of(process.pid)).get(service) == "Z")  # and its pipes are closed
        _, stderr = process.communicate(b"hello\n", PATIENCE)
        assert (process.returncode, stderr) == (1, b"pipes: feeder: write: Broken pipe\n")
    with start() as process:
        process.stdout.close()
        stderr = feed(process)
        assert process.returncode == 1 and b"pipes: main: write: Broken pipe\n" in stderr


def feed(process):
    process.stdin.write(b"hello\n")
    process.stdin.close()
    stderr = process.stderr.read()
    process.wait(PATIENCE)
    return stderr


def test_r12_each_closes_the_ends_it_does_not_use():
    with start() as process:
        main, service, feeder = map(pipes_of, three_of(process))
        (_, back), (_, there) = *main, *feeder
        assert there != back
        assert (main, feeder, service) == ({("read", back)}, {("write", there)}, {("read", there), ("write", back)})
        assert process.communicate(b"and the end arrives\n", PATIENCE) == (b"AND THE END ARRIVES\n", b"")
        assert process.returncode == 0
