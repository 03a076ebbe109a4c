"""What course/README.md says of the programs' sizes."""

from languages import COURSE, ENDINGS, java_name
from tables import check_table

PROGRAMS = ["upper_server", "upper_client", "echo_server", "echo_client", "echo_word", "message_server", "message_client",
            "phone_server", "phone_caller", "upper_udp_server", "upper_udp_client"]
PHONES = ["phone_server_iterative", "phone_server_fork", "phone_server_threads", "phone_server_pool"]
HELPERS = {"posix": "nethelp*", "java": "Course.java", "python": "course.py", "perl": "Course.pm"}


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else ""


def test_every_program_over_the_library_is_under_40_lines():
    files = list((COURSE / "bell").glob("*.c"))
    assert {path.stem for path in files} == set(PROGRAMS)
    assert all(lines(path) < 40 for path in files)


def test_the_table_of_lines():
    rows = [["program", "posix", "bell", "java", "python", "perl"]]
    for name in PROGRAMS:
        posix = [lines(COURSE / "posix" / (file + ".c")) for file in (PHONES if name == "phone_server" else [name])]
        rows.append(["`%s`" % name, ", ".join(map(str, posix)), lines(COURSE / "bell" / (name + ".c")),
                     lines(COURSE / "java" / (java_name(name) + ".java")),
                     *[lines(COURSE / kind / (name + ending)) for kind, ending in ENDINGS.items()]])
    helpers = {kind: sum(map(lines, (COURSE / kind).glob(pattern))) for kind, pattern in HELPERS.items()}
    rows.append(["helpers of all", helpers["posix"], 0, *[helpers[kind] for kind in ("java", *ENDINGS)]])
    check_table("course/README.md", "lines", rows)
