"""script/count-socket-code."""

import os
import re
import subprocess

from programs import PATIENCE, ROOT

PROGRAM = """
#include <sys/socket.h>
/* socket( in a comment does not count,
   and neither does this line */
static int size = sizeof(int);

int ring(int fd)
{
    // one line of comment
    return listen(fd, 5); /* and more */
}

static int parse_request(const char *text)
{
    return *text == '{'; // a brace in quotes
}

int
split_style(const char *text)
{
    const char *end = "text {\\r\\n";
    return text == end;
}

int main(void) { return ring(3); }
"""


def count(*words, status=0):
    done = subprocess.run([os.path.join(ROOT, "script", "count-socket-code"), *map(str, words)], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def totals(text):
    return {name: (int(lines), int(percent)) for name, lines, percent in
            re.findall(r"^(.+?) +(\d+) lines +(\d+) %", text, re.M)}


# V5
def test_lines_are_counted_by_what_their_functions_do(tmp_path):
    (tmp_path / "program.c").write_text(PROGRAM)
    found = totals(count(tmp_path))
    assert {name: lines for name, (lines, _) in found.items()} == {
        "socket code": 4, "protocol code": 10, "the rest": 3, "together": 17}
    assert sum(percent for name, (_, percent) in found.items() if name != "together") == 100
    listed = count("--functions", tmp_path)
    for line in [r"socket code +4 .*program\.c:\d+ ring \(calls listen\(\)\)", r"protocol code +4 .* parse_request \(by its name\)",
                 r"protocol code +6 .* split_style \(uses \\r\\n\)", r"the rest +1 .* main$"]:
        assert re.search(line, listed, re.M), listed


def test_names_can_be_added(tmp_path):
    (tmp_path / "program.c").write_text("int ding(void)\n{\n    return 1;\n}\n")
    assert totals(count(tmp_path))["protocol code"] == (0, 0)
    assert totals(count("--protocol", "^ding$", tmp_path))["protocol code"] == (4, 100)


def test_percentages_of_our_own_trees_add_up_to_100():
    for folder in ["course/posix", "src", "tool", "examples"]:
        found = totals(count(os.path.join(ROOT, folder)))
        together = found.pop("together")
        assert sum(percent for _, percent in found.values()) == 100
        assert sum(lines for lines, _ in found.values()) == together[0] > 100


def test_what_cannot_be_counted_is_told(tmp_path):
    assert "there is no C in" in count(tmp_path, status=1)
    assert "there is no /nosuch" in count("/nosuch", status=2)
    assert "--protocol" in count("--protocol", "(", tmp_path, status=2)
