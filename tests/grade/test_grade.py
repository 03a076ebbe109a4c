"""script/grade: what it says of servers whose faults are known.

    /usr/bin/python3 -m pytest tests/grade

The faults of each server are stated by hand: those of the slides as the course lists them (docs/grading.md), the others
as they were made, in mistakes.py.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from programs import DOORBELL, MODELS, ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "course"))
from posix_programs import Workshop  # noqa: E402

GRADE = os.path.join(ROOT, "script", "grade")
HERE = pathlib.Path(__file__).resolve().parent
SLIDES = HERE / "slides"
SLOW = float(os.environ.get("DOORBELL_SLOW", "1"))
PATIENCE = 4 * SLOW
PYTHON = sys.executable
ECHO = "    echo(t);\n"
# A grader judges how soon a server answers, and starts many: one at a time.
pytestmark = pytest.mark.xdist_group("grade")
needs_java = pytest.mark.skipif(not shutil.which("javac"), reason="needs a JDK")

# Every check that has to fail, and the items that it has to name; then the items of the notes.
ALL_IN_C = {"stop": "M44", "close-on-exec": "M46", "ipv6": "M50", "restart": "M54"}
ECHO_OF_LECTURE_4 = {**ALL_IN_C, "no-newline": "M7", "negative-count": "M19"}
JAVA = {"no-newline": "M1", "one-piece": "M2", "bytes": "M11", "turkish": "M11", "no-descriptors": "M15",
        "silent-close": "M20", "reset-at-once": "M20", "reset-silent": "M20", "reset-half": "M20",
        "reset-answer": "M20", "stop": "M44"}
FAULTS_OF_SLIDES = {
    "upper_server": ({
        **ALL_IN_C, "pieces": "M3", "byte-by-byte": "M2 M3", "long-line": "M3 M36", "unread": "M4 M85", "padding": "M5",
        "leak": "M5", "port-taken": "M14", "no-descriptors": "M14 M18", "reset-at-once": "M20", "reset-silent": "M20",
        "nul-inside": "M27"}, "M39 M56"),
    "echo_server": ({
        **ECHO_OF_LECTURE_4, "port-taken": "M14", "no-descriptors": "M14 M18", "reset-answer": "M20", "deaf": "M20",
        "bad-port": "M51", "no-argument": "M52"}, "M39 M56"),
    "phone_iterative": ({
        **ECHO_OF_LECTURE_4, "no-descriptors": "M15", "reset-answer": "M20", "deaf": "M20", "own-name": "M48"},
        "M39 M56 M91"),
    "phone_fork": ({
        **ECHO_OF_LECTURE_4, "no-descriptors": "M15", "no-process": "M16", "zombies": "M38", "own-name": "M48"},
        "M40 M56 M91"),
    "tcp_server.py": ({
        "pieces": "M3", "byte-by-byte": "M2 M3", "long-line": "M3 M36", "unread": "M4 M85", "no-descriptors": "M15",
        "reset-at-once": "M20", "reset-silent": "M20", "reset-answer": "M20", "stop": "M44", "ipv6": "M50",
        "restart": "M54"}, "M39 M56 M91"),
    "closing": ({**JAVA, "unread": "M4 M85"}, "61 M39 M56"),
    "keeping": ({**JAVA, "several-lines": "M10", "line-after-line": "M10", "half-close": "M10 104",
                 "descriptors": "M10 104"}, "M39 M56"),
}
FAULTS_OF_MISTAKES = {
    "hang up": {"answers": "61"},
    "answer something else": {"answers": "61"},
    "answer at the end": {"answers": "M1 61"},
    "drop the newline": {"answers": "61"},
    "read one line": {"nul-after": "M4", "several-lines": "M3", "line-after-line": "M45"},
    "strip lines": {"crlf": "61", "empty-line": "61", "last-line": "M8"},
    "stop after 50000 bytes": {"long-line": "M3 M36", "long-word": "M7 M8"},
    "stop after 500000 bytes": {"both-ways": "9 M21"},
    "send what fits": {"slow-reader": "M21"},
    "share a buffer": {"leak": "M5", "many": "107"},
    "free nothing": {"memory": "104"},
    "never sleep": {"idle": "84"},
    "send one at a time": {"deaf": "M39"},
    "never close": {"half-close": "M10 104", "descriptors": "M43 104"},
    "parent keeps the caller": {"own-side": "98", "half-close": "M10 104"},
    "child keeps the door": {"own-side": "98"},
    "die when continued": {"ctrl-z": "M22"},
    "ignore SIGTERM": {"stop": "M44"},
    "serve one caller": {"next-caller": "M45"},
}
NEVER_FAIL = {"at-once", "addresses"}  # they only make notes


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("grade"))


@pytest.fixture(scope="session")
def slide(tmp_path_factory):
    """The command line of a server of the slides."""
    folder = tmp_path_factory.mktemp("slides")

    def command(name):
        if name.endswith(".py"):
            return [PYTHON, str(SLIDES / name), "PORT"]
        if (SLIDES / name).is_dir():
            subprocess.run(["javac", "-d", folder / name, SLIDES / name / "TCPServer.java"], check=True)
            return ["java", "-cp", str(folder / name), "TCPServer", "PORT"]
        subprocess.run(["cc", "-w", "-O1", SLIDES / (name + ".c"), "-o", folder / name], check=True)
        return [str(folder / name), "PORT"]
    return command


def grade(*arguments):
    return subprocess.run([GRADE, *arguments], capture_output=True, text=True, timeout=280 * SLOW)


def judge(command, *options):
    """What it says of a server, as data; and as it has to be whatever it says."""
    done = grade("--json", "--jobs", "8", "--patience", str(PATIENCE), *options, *command)
    assert done.stderr == "", done.stderr
    said = json.loads(done.stdout)
    failed = [check for check in said["checks"] if check["outcome"] == "fault"]
    assert said["faults"] == len(failed) and done.returncode == (1 if failed else 0)
    for check in failed:
        assert check["sentence"].endswith(".") and check["why"] and check["advice"] and check["items"]
    return said


def faults_of(said):
    return {check["check"]: " ".join(item["number"] for item in check["items"])
            for check in said["checks"] if check["outcome"] == "fault"}


def details(said):
    return "\n".join("%s: %s" % (check["check"], check["sentence"]) for check in said["checks"] if check["sentence"])


def notes_of(said):
    return {item["number"] for note in said["observations"] for item in note["items"]}


# ---- The servers of the slides ------------------------------------------------------------------


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_java if (SLIDES / name).is_dir() else [])
                                  for name in FAULTS_OF_SLIDES])
def test_each_known_fault_of_a_slide_is_named_and_no_other(slide, name):
    faults, notes = FAULTS_OF_SLIDES[name]
    said = judge(slide(name))
    assert faults_of(said) == faults, details(said)
    assert notes_of(said) == set(notes.split())
    assert said["service"] == ("echo" if "echo" in name or "phone" in name else "upper")


# ---- Servers that are right ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["upper_server", "echo_server", "phone_server_iterative", "phone_server_fork",
                                  "phone_server_threads", "phone_server_pool"])
def test_the_servers_of_the_course_have_no_fault(workshop, name):
    program = workshop.variant(name, ECHO) if name.startswith("phone") else workshop.program(name)
    said = judge([program, "PORT"])
    assert faults_of(said) == {}, details(said)
    at_once = {"phone_server_pool": "serves 4 callers", "phone_server_fork": "at least 8",
               "phone_server_threads": "at least 8"}
    assert any(at_once.get(name, "serves 1 caller") in note["sentence"] for note in said["observations"])


@pytest.mark.parametrize("model, service", [*((model, "echo") for model in MODELS), ("coroutines", "upper"), ("fork", "upper")])
def test_doorbell_has_no_fault(model, service):
    said = judge([DOORBELL, "serve", service, "localhost:PORT", "--model", model])
    assert faults_of(said) == {}, details(said)
    assert said["service"] == service


# ---- Each check can fail ------------------------------------------------------------------------


@pytest.mark.parametrize("mistake", FAULTS_OF_MISTAKES)
def test_a_mistake_is_named(mistake):
    faults = FAULTS_OF_MISTAKES[mistake]
    command = [PYTHON, str(HERE / "mistakes.py"), mistake, "PORT"]
    said = judge(["--only", ",".join(faults), *command])
    assert faults_of(said) == faults, details(said)


def test_every_check_has_a_server_that_fails_it():
    lists = [*FAULTS_OF_MISTAKES.values(), *(faults for faults, _ in FAULTS_OF_SLIDES.values())]
    listed = {line.split()[0] for line in grade("--list").stdout.splitlines()}
    assert listed == NEVER_FAIL.union(*lists)


def test_without_a_mistake_there_is_no_fault_in_any_check_of_a_mistake():
    """So it is the mistake that is named."""
    checks = sorted({check for faults in FAULTS_OF_MISTAKES.values() for check in faults} - {"stop"})
    said = judge(["--only", ",".join(checks), PYTHON, str(HERE / "mistakes.py"), "none", "PORT"])
    assert faults_of(said) == {}, details(said)


# ---- The command line ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, complaint", [
    ([], "which program?"),
    (["upper"], "which program?"),
    (["./server"], "the word PORT"),
    (["--only", "answer", "./server", "PORT"], "there is no check answer"),
    (["--patience", "0", "./server", "PORT"], "more than 0"),
    (["./server 'PORT"], "No closing quotation"),
])
def test_wrong_usage_is_told(arguments, complaint):
    done = grade(*arguments)
    assert done.returncode == 2 and complaint in done.stderr and done.stdout == ""


@pytest.mark.parametrize("command, complaint", [
    (["/no/such/server", "PORT"], "/no/such/server: No such file or directory"),
    (["sh", "-c", "echo out of paper; exit 7", "PORT"],
     "the program ended with exit code 7; its last words: out of paper"),
    (["sleep", "60PORT"], "the program never listened on port"),
])
def test_a_program_that_does_not_listen_is_told(command, complaint):
    done = grade("--start", "1", *command)
    assert done.returncode == 3 and complaint in done.stderr and done.stdout == ""


@pytest.mark.parametrize("words", [["upper", "--"], ["upper"], ["--"], []])
def test_the_service_is_told_or_found_out(words):
    done = grade("--only", "answers", *words, DOORBELL, "serve", "upper", "PORT")
    assert done.returncode == 0 and done.stdout.startswith("upper: ") and done.stdout.endswith("no fault in 1 checks\n")


def test_a_whole_command_line_is_one_word():
    done = grade("--only", "answers", "%s serve echo PORT" % DOORBELL)
    assert done.returncode == 0 and done.stdout.startswith("echo: ")


def test_another_service_than_the_told_one_is_a_fault():
    done = grade("--only", "answers", "upper", DOORBELL, "serve", "echo", "PORT")
    assert done.returncode == 1 and 'came, and not "HELLO, DOOR 1\\n"' in " ".join(done.stdout.split())


def test_a_failure_is_explained_to_people():
    done = grade("--only", "answers", PYTHON, str(HERE / "mistakes.py"), "answer something else", "PORT")
    told = " ".join(done.stdout.split())
    assert "FAILED answers" in told and 'We sent "Hello, door 1\\n"' in told and "Why it matters:" in told
    assert 'What to do:' in told and '-> 61 "A line in, the same line in capitals out" (lecture 5' in told
    assert done.stdout.endswith("1 of 1 checks failed: 61\n")


def test_brief_is_one_line():
    done = grade("--brief", "--only", "answers,leak", PYTHON, str(HERE / "mistakes.py"), "share a buffer", "PORT")
    assert (done.stdout, done.returncode) == ("1 of 2 checks failed: M5\n", 1)


def test_nothing_is_left_running(tmp_path):
    """Servers that ignore SIGTERM, and their children."""
    mark = tmp_path / "mistakes.py"
    shutil.copy(HERE / "mistakes.py", mark)
    grade("--brief", "--only", "answers,stop", "--patience", "1", PYTHON, str(mark), "ignore SIGTERM", "PORT")
    grade("--brief", "--only", "answers,own-side", PYTHON, str(mark), "parent keeps the caller", "PORT")
    commands = [pathlib.Path("/proc", pid, "cmdline") for pid in os.listdir("/proc") if pid.isdigit()]
    assert not [path for path in commands if path.exists() and str(mark).encode() in read_bytes(path)]


def read_bytes(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_it_needs_nothing_but_python():
    """No site packages, and another folder."""
    done = subprocess.run([PYTHON, "-I", "-S", GRADE, "--list"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 40


def test_several_may_run_at_the_same_time():
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        command = ["--brief", "--only", "answers,pieces,restart,port-taken,many", DOORBELL, "serve", "echo", "PORT"]
        done = list(threads.map(lambda _: grade("--patience", str(PATIENCE), *command), range(3)))
    assert [each.stdout for each in done] == ["no fault in 5 checks\n"] * 3


# ---- The document -------------------------------------------------------------------------------


def test_the_document_lists_every_check_and_every_item():
    text = pathlib.Path(ROOT, "docs", "grading.md").read_text()
    for line in grade("--list").stdout.splitlines():
        name, title, items = re.fullmatch(r"(\S+) +(.*) \[(.*)\]", line).groups()
        assert "| `%s` | %s | %s |" % (name, title, items) in text
    items = re.findall(r'^(\w+) "(.*?)" \(', grade("--items").stdout, re.M)
    assert len(items) > 40
    for number, title in items:
        assert re.search(r"^\| %s \| %s \|" % (number, re.escape(title.strip('"'))), text, re.M), number
