"""docs/strangers.md, made of what the matrix has seen."""

import re

from programs import ROOT
from reasons import REASONS, UNDERSTOOD

PAGE = ROOT + "/docs/strangers.md"
HOW = "DOORBELL_GOLDEN=write script/test strangers"

HEAD = """# Who can talk to whom

<!-- Written by a test run: {how} -->

Every program of the lectures, and the usual tools, call every server: each sends the line `hello, door`, and should show
the answer. The programs of the lectures are those of `tests/strangers`, in C, Java, Python and Perl, with their faults.
Each row of `doorbell serve` was the same under all six models.

A row is a server, a column a client.

{table}

* **yes**: the client shows the answer, all of it and nothing else, and ends by itself.
* **stays**: it shows the answer, but does not end.
* **more**: it shows the answer, and what does not belong to it.
* **luck**: what it shows depends on how fast both are.
* **waits**: both wait for each other, and no answer is shown.
* **nothing**, **no**: the client ends without an answer.

At `nc -l`, `ncat -l`, `socat TCP-LISTEN` and `doorbell connect -l` somebody sits who reads what comes and types the
answer. `socat` is called with `-t 60`, so that it does not give up after half a second; `telnet` has a stdin that
stays open until the answer is there.

## Why not

The numbers are those of the table.
"""


def cell_of(reason):
    return reason.cell if reason is UNDERSTOOD else "%s %d" % (reason.cell, REASONS.index(reason) + 1)


def table(servers, clients, cells):
    """cells: text by the names of server and client."""
    rows = [["", *("`%s`" % client for client in clients)], ["---"] * (len(clients) + 1)]
    rows += [["`%s`" % server, *(cells[server, client] for client in clients)] for server in servers]
    return "\n".join("| %s |" % " | ".join(row) for row in rows)


def render(servers, clients, cells):
    text = HEAD.format(how=HOW, table=table(servers, clients, cells))
    for number, reason in enumerate(REASONS, 1):
        pairs = [(server, client) for server in servers for client in clients
                 if cells[server, client].split()[-1] == str(number)]
        if not pairs:
            continue
        text += "\n%d. **%s.** %s\n\n" % (number, reason.title, reason.sentence)
        for server in servers:
            called = ["`%s`" % client for other, client in pairs if other == server]
            if called:
                text += "   * `%s`, called by %s\n" % (server, and_then(called))
    return text


def and_then(words):
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def cells_on(text):
    """What the page says today, for programs that are not here."""
    rows = [[cell.strip().strip("`") for cell in line.strip("| ").split(" | ")]
            for line in re.findall(r"^\| .*$", text, re.MULTILINE)]
    if not rows:
        return {}
    clients = rows[0]
    return {(row[0], client): cell for row in rows[2:] for client, cell in zip(clients, row[1:])}
