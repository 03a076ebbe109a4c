"""Tables in documents that tests make: they are compared, or written if DOORBELL_TABLES=write."""

import os
import re

from programs import ROOT


def check_table(path, name, rows):
    """The table after the line <!-- table: NAME --> has these rows; the first one is its head."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    path = os.path.join(ROOT, path)
    with open(path) as file:
        text = file.read()
    mark = re.search(r"(<!-- table: %s -->\n)((?:\|.*\n)*)" % re.escape(name), text)
    assert mark, "%s has no <!-- table: %s -->" % (path, name)
    table = "\n".join(lines) + "\n"
    if os.environ.get("DOORBELL_TABLES") == "write":
        with open(path, "w") as file:
            file.write(text[:mark.start(2)] + table + text[mark.end(2):])
    else:
        assert mark[2] == table, "DOORBELL_TABLES=write makes the table anew"
