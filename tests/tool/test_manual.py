"""The manual pages as they are built: those of the library are the header's, and every example in them works."""

import glob
import os
import re
import shlex
import shutil
import subprocess

import pytest

from programs import BUILD, DOORBELL, PATIENCE, ROOT, run, serve

HEADER = os.path.join(ROOT, "include", "doorbell.h")
PAGES = sorted(glob.glob(os.path.join(BUILD, "*.3")) + glob.glob(os.path.join(BUILD, "tool", "*.[17]")))


def header():
    with open(HEADER) as file:
        return file.read()


def text_of(page):
    done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-rHY=0"})
    assert (done.returncode, done.stderr) == (0, ""), page
    return done.stdout


def test_there_are_pages_of_all_kinds():
    names = {os.path.basename(page) for page in PAGES}
    assert {"doorbell.1", "doorbell-resolve.1", "doorbell-options.7", "doorbell-transports.7", "libdoorbell.3",
            "doorbell-serving.3", "doorbell-names.3"} <= names


@pytest.mark.skipif(not shutil.which("man"), reason="there is no man here")
@pytest.mark.parametrize("page", PAGES, ids=os.path.basename)
def test_V7_man_opens_the_page_without_a_warning(page):
    text = text_of(page)
    assert "NAME" in text and "DESCRIPTION" in text


def test_every_function_of_the_header_has_its_place_in_one_page():
    functions = set(re.findall(r"^BELL_API [^;(]*?\b(bell_\w+)\(", header(), re.MULTILINE))
    assert len(functions) > 60
    found = []
    for page in glob.glob(os.path.join(BUILD, "doorbell-*.3")):
        with open(page) as file:
            found += re.search(r"^\.SH NAME\n(.*?) \\-", file.read(), re.MULTILINE).group(1).split(", ")[1:]
    assert sorted(found) == sorted(functions)


def test_nothing_of_the_header_is_missing_in_the_pages():
    """Each word of the header's comments and declarations is in some page."""
    words = set()
    for page in glob.glob(os.path.join(BUILD, "*.3")):
        with open(page) as file:
            words |= set(re.findall(r"[A-Za-z_]{3,}", re.sub(r"\\e", "", file.read().replace("\\(aq", "'"))))
    text = header().split("#define BELL_API")[0].split("#ifndef")[0] + header().split("typedef struct bell_channel")[1]
    missing = set(re.findall(r"[A-Za-z_]{3,}", text)) - words
    assert missing <= {"BELL_API", "ifdef", "endif", "__cplusplus", "DOORBELL_H", "bounded", "queue"}, missing


def test_V6_the_program_of_the_front_page_compiles(tmp_path):
    with open(os.path.join(BUILD, "libdoorbell.3")) as file:
        example = re.search(r"\.SH EXAMPLES\n\.PP\n\.nf\n(.*?)\n\.fi", file.read(), re.DOTALL).group(1)
    program = tmp_path / "echo.c"
    program.write_text(example.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\").replace("\\&", ""))
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I" + os.path.dirname(HEADER),
                    str(program)], check=True, timeout=PATIENCE)


def test_V6_the_examples_of_resolve_run():
    lines = re.findall(r"^  doorbell (resolve .*?)(?:  +# .*)?$", run("help", "resolve").stdout.decode(), re.MULTILINE)
    assert len(lines) == 4
    with serve("echo", "localhost:0") as server:
        for line in lines:
            words = shlex.split(line.replace(":7464", ":%d" % server.port))
            assert run(*words).returncode == 0, line
