"""Help, manual and completion: all made of one table, readable, and true."""

import os
import re
import shutil
import subprocess

import pytest

from programs import BUILD, DOORBELL, PATIENCE, run

PAGES = ["doorbell", "serve", "connect", "resolve", "addresses", "exit-codes", "script", "options", "ports", "types",
         "transports"]
COMMANDS = ["serve", "connect", "resolve"]


def help_of(page):
    done = run("help", page)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def options_of_help(text):
    return set(re.findall(r"^  (?:-\w, |    )(--[a-z0-9-]+)", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_80_columns(page):
    assert [line for line in help_of(page).splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_the_same_however_it_is_asked_for(command):
    assert run(command, "--help").stdout.decode() == run(command, "-h").stdout.decode() == help_of(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_manual_and_completion_have_the_options_of_the_help(command):
    options = options_of_help(help_of(command))
    assert len(options) > 10
    manual = run("help", "--manual", command).stdout.decode().replace("\\-", "-")
    assert set(re.findall(r"\\fB(--[a-z0-9-]+)\\fR", manual)) == options
    bash = run("completion", "bash").stdout.decode()
    part = bash[bash.index("    %s)\n" % command):]
    part = part[:part.index("\n        ;;\n")]
    assert set(re.findall(r"--[a-z0-9-]+", part)) == options
    zsh = run("completion", "zsh").stdout.decode()
    part = zsh[zsh.index("    %s)\n" % command):]
    part = part[:part.index("\n        ;;\n")]
    assert set(re.findall(r"--[a-z0-9-]+", re.sub(r"\[(?:[^\]\\]|\\.)*\]", "", part))) == options
    fish = run("completion", "fish").stdout.decode()
    assert {"--" + name for name in re.findall(r"_from %s' -l (\S+)" % command, fish)} == options


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_the_help_is_understood(command):
    for option in options_of_help(help_of(command)):
        done = run(command, option + "=", "no-such-service")
        assert b"there is no option" not in done.stderr, option


@pytest.mark.skipif(not shutil.which("man"), reason="there is no man here")
@pytest.mark.parametrize("page", PAGES)
def test_man_has_nothing_to_complain_about(page, tmp_path):
    file = tmp_path / "page.1"
    file.write_bytes(run("help", "--manual", page).stdout)
    done = subprocess.run(["man", "--warnings", "-l", str(file)], capture_output=True, timeout=PATIENCE,
                          env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"NAME" in done.stdout


def test_the_built_pages_are_what_the_command_says():
    for page in PAGES:
        name = "doorbell" if page == "doorbell" else "doorbell-" + page
        section = 1 if page in ("doorbell", *COMMANDS) else 7
        with open(os.path.join(BUILD, "tool", "%s.%d" % (name, section)), "rb") as file:
            assert file.read() == run("help", "--manual", page).stdout


@pytest.mark.parametrize("words, near", [
    (["srve"], b"did you mean serve?"),
    (["serve", "ecoh"], b"did you mean echo?"),
    (["connect", "--idel", "1s"], b"did you mean --idle?"),
    (["serve", "echo", "--modle=fork"], b"did you mean --model?"),
])
def test_a_wrong_word_gets_the_nearest_right_one(words, near):
    done = run(*words)
    assert done.returncode == 2
    assert near in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words, why", [
    (["connect", "-t"], b"--timeout needs TIME after it"),
    (["connect", "-t", "5"], b"a time is a number above 0 with us, ms, s or m"),
    (["connect", "-t", "5h"], b"a time is a number above 0"),
    (["connect", "-t", "0s"], b"a time is a number above 0"),
    (["connect", "-t", "-1s"], b"a time is a number above 0"),
    (["connect", "-z=1"], b"there is no option -="),
    (["connect", "--check=1"], b"--check takes nothing after ="),
    (["connect", "--color", "blue"], b"there are auto always never"),
    (["serve", "echo", "-m", "forks"], b"there are iterative fork prefork"),
    (["serve", "echo", "-w", "0"], b"a number from 1 to 1024 is wanted"),
    (["serve", "echo", "-w", "two"], b"a number from 1 to 1024 is wanted"),
    (["serve"], b"which service?"),
    (["help", "nothing"], b"there is no help on nothing"),
    (["completion", "tcsh"], b"there are bash, zsh, fish"),
])
def test_a_wrong_value_is_told_with_what_is_wanted(words, why):
    done = run(*words)
    assert done.returncode == 2
    assert why in done.stderr and done.stderr.count(b"\n") == 1


def test_a_command_may_be_cut_short():
    assert run("c", "--help").stdout == run("connect", "--help").stdout
    assert run("s", "--help").stdout == run("serve", "--help").stdout


def test_help_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w") as full:
        done = subprocess.run([DOORBELL, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (6, b"doorbell: stdout: No space left on device\n")


def test_without_a_command_the_usage_goes_to_stderr():
    done = run()
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"Usage: doorbell COMMAND")
