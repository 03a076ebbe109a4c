"""What the README shows, done as it is printed. In a network of its own: the README's port is a fixed one."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest

from networks import own_network
from programs import BUILD, IS_WATCHED, MODELS, PATIENCE, ROOT, read_all, read_line

with open(os.path.join(ROOT, "README.md")) as file:
    README = file.read()
PIECES = re.findall(r"```c\n(.*?)```", README, re.DOTALL)


def shown(pattern):
    """A command of the README, as printed; what follows three spaces is a remark."""
    found = re.search(r"^    (%s.*)$" % pattern, README, re.MULTILINE)
    assert found, pattern
    return re.split(r"   +#", found.group(1))[0]


def shell(command, folder, **environment):
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True, env={**os.environ, **environment})


def compile_in_tree(folder):
    """The command stands in the project's folder; the paths in it are made to be so from elsewhere."""
    command = shown(r"cc server.c \$\(script/flags\)").split(" && ")[0]
    shell(command.replace("script/flags", os.path.join(ROOT, "script/flags")), folder)
    return {}


def compile_installed(folder):
    if IS_WATCHED:
        pytest.skip("nobody installs a library with a sanitizer in it")
    copy = str(folder / "copy")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", copy], check=True)
    found = [where for where, _, files in os.walk(copy) if "doorbell.pc" in files]
    assert len(found) == 1
    shell(shown(r"cc server.c \$\(pkg-config") + " -o server", folder, PKG_CONFIG_SYSROOT_DIR=copy,
          PKG_CONFIG_PATH=found[0])
    return {"LD_LIBRARY_PATH": os.path.dirname(found[0])}


@pytest.fixture(scope="module", params=[compile_in_tree, compile_installed])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    (folder / "server.c").write_text(PIECES[0])
    environment = request.param(folder)
    return str(folder / "server"), {**os.environ, **environment}


def call(address, port):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((address, port), PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.01)


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    return process.wait(PATIENCE)


@pytest.mark.parametrize("model", MODELS)
def test_the_server_runs_as_printed(server, model):
    program, environment = server
    assert "BELL_MODEL=%s ./server" % model in README or model in ("prefork", "pool", "coroutines")
    with own_network():
        process = subprocess.Popen([program], env={**environment, "BELL_MODEL": model})
        try:
            for address in ("127.0.0.1", "::1", "127.0.0.1"):
                with call(address, 7464) as caller:
                    caller.settimeout(PATIENCE)
                    for line in (b"hello\n", b"\0\xff" * 400 + b"\n"):
                        caller.sendall(line)
                        assert read_line(caller) == line
                    caller.sendall(b"no newline")
                    caller.shutdown(socket.SHUT_WR)
                    assert read_all(caller) == b"no newline"
        finally:
            end(process)


def test_a_taken_port_is_told_by_the_server(server):
    program, environment = server
    with own_network(), socket.create_server(("127.0.0.1", 7464)):
        done = subprocess.run([program], env=environment, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 1
        assert done.stderr == b"listen localhost:7464: address already in use\n"


def test_the_changed_line_makes_a_protocol_of_ones_own(tmp_path):
    echoes = "if (bell_write(conn, line, (size_t)n) < 0)"
    greets = re.search(r"^ +(if \(bell_printf.*)$", README, re.MULTILINE).group(1)
    assert echoes in PIECES[0]
    (tmp_path / "server.c").write_text(PIECES[0].replace(echoes, greets))
    compile_in_tree(tmp_path)
    with own_network():
        process = subprocess.Popen([str(tmp_path / "server")])
        try:
            with call("127.0.0.1", 7464) as caller:
                caller.settimeout(PATIENCE)
                caller.sendall(b"Ada\n")
                assert read_line(caller) == b"hello, Ada\n"
        finally:
            end(process)


def test_the_screens_are_what_the_command_says_today():
    """In the README and the other documents."""
    done = subprocess.run([os.path.join(ROOT, "script", "docs"), "--check"], capture_output=True, text=True,
                          timeout=6 * PATIENCE, env={**os.environ, "DOORBELL_BUILD": BUILD})
    assert (done.returncode, done.stdout) in ((0, ""), (0, "script/docs: no network namespaces here, so no screen is run\n"))
