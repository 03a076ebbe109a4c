"""The manual pages as they are built: those of the library are the header's, and every example in them works."""

import glob
import os
import re
import shlex
import shutil
import subprocess

import pytest

from programs import BUILD, PATIENCE, ROOT, run, serve

HEADER = os.path.join(ROOT, "include", "doorbell.h")
PAGES = sorted(glob.glob(os.path.join(BUILD, "*doorbell*.3")) + glob.glob(os.path.join(BUILD, "tool", "*.[17]")))
ALIASES = sorted(glob.glob(os.path.join(BUILD, "bell_*.3")))
needs_man = pytest.mark.skipif(not shutil.which("man"), reason="there is no man here")


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


@needs_man
@pytest.mark.parametrize("page", PAGES, ids=os.path.basename)
def test_V7_man_opens_the_page_without_a_warning(page):
    text = text_of(page)
    assert "NAME" in text and "DESCRIPTION" in text


def names_of_header():
    functions = re.findall(r"^BELL_API [^;(]*?\b(bell_\w+)\(", header(), re.MULTILINE)
    types = re.findall(r"^(?:struct|enum) (bell_\w+) \{|^typedef [\w ]+ (bell_\w+)[;(]", header(), re.MULTILINE)
    assert len(functions) > 60 and len(types) > 10
    return sorted({*functions, *("".join(pair) for pair in types)})


def names_of_page(page):
    with open(page) as file:
        return re.search(r"^\.SH NAME\n(.*?) \\-", file.read(), re.MULTILINE).group(1).split(", ")[1:]


def test_every_function_and_type_of_the_header_has_its_place_in_one_page():
    found = [name for page in glob.glob(os.path.join(BUILD, "doorbell-*.3")) for name in names_of_page(page)]
    assert sorted(found) == names_of_header()


def test_every_function_and_type_of_the_header_has_a_page_that_sends_there():
    assert [os.path.basename(alias)[:-2] for alias in ALIASES] == names_of_header()
    for alias in ALIASES:
        with open(alias) as file:
            target = re.fullmatch(r"\.so man3/(doorbell-\w+\.3)\n", file.read()).group(1)
        assert os.path.basename(alias)[:-2] in names_of_page(os.path.join(BUILD, target))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of the pages, as meson installs them."""
    copy = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--tags", "man", "--destdir", copy], check=True,
                   timeout=PATIENCE)
    folders = [folder for folder, _, names in os.walk(copy) if "libdoorbell.3" in names]
    assert len(folders) == 1
    return os.path.dirname(folders[0])


def man(folder, *words):
    done = subprocess.run(["man", "-M", folder, *words], capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@needs_man
def test_man_finds_functions_and_types(installed):
    for name, page in (("bell_read", "doorbell-talking"), ("bell_conn", "doorbell-talking"),
                       ("bell_server_options", "doorbell-serving"), ("bell_dgram", "doorbell-datagrams"),
                       ("bell_handler", "doorbell-serving"), ("bell_channel", "doorbell-channels")):
        assert man(installed, name) == man(installed, page)
        assert name in man(installed, name)
    assert len(man(installed, "-w", *names_of_header()).splitlines()) == len(names_of_header())


def test_nothing_of_the_header_is_missing_in_the_pages():
    """Each word of the header's comments and declarations is in some page."""
    words = set()
    for page in glob.glob(os.path.join(BUILD, "*.3")):
        with open(page) as file:
            words |= set(re.findall(r"[A-Za-z_]{3,}", re.sub(r"\\e", "", file.read().replace("\\(aq", "'"))))
    text = header().split("#ifndef")[0] + header().split("#define BELL_VERSION")[1]
    missing = set(re.findall(r"[A-Za-z_]{3,}", text)) - words
    assert missing <= {"BELL_API", "ifdef", "endif", "__cplusplus", "DOORBELL_H"}, missing


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
