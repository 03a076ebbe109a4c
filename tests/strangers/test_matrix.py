"""Everybody meets everybody, once; docs/strangers.md tells what came of it."""

import concurrent.futures
import os

import pytest

import page
from meeting import STAYS, YES, Host, meet
from ours import OURS
from reasons import reason_of
from strangers import CLIENTS, SERVERS

pytestmark = pytest.mark.xdist_group("strangers")  # what is compiled for them is compiled once

ALL_SERVERS = OURS + SERVERS
AT_ONCE = 4
WRITES = os.environ.get("DOORBELL_GOLDEN") == "write"


@pytest.fixture(scope="module")
def matrix(made):
    """Outcomes by server, model and client."""
    def row(server, model):
        with Host(server, made, model) as host:
            return {(server.name, model, client.name): meet(host, client) for client in CLIENTS if not client.absent}

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        rows = [pool.submit(row, server, model) for server in ALL_SERVERS if not server.absent
                for model in server.models or [None]]
    return {key: outcome for done in rows for key, outcome in done.result().items()}


def outcomes(matrix, server, client):
    return {model: matrix[server.name, model, client.name] for model in server.models or [None]}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("server", ALL_SERVERS, ids=lambda server: server.name)
def test_what_comes_of_it_is_what_both_are_like(server, client, matrix):
    if server.absent or client.absent:
        pytest.skip(server.absent or client.absent)
    reason = reason_of(server, client)
    for model, outcome in outcomes(matrix, server, client).items():
        assert outcome.verdict in reason.verdicts, (model, reason.title or "they should understand each other", str(outcome))


def test_doorbell_gets_on_with_all_who_speak_plainly(matrix):
    server = OURS[0]
    for client in CLIENTS:
        if not client.absent and client.sends != "TLS":
            assert {outcome.verdict for outcome in outcomes(matrix, server, client).values()} <= {YES, STAYS}, client


def test_whoever_doorbell_calls_its_exit_code_is_true(matrix):
    client = CLIENTS[0]
    for server in ALL_SERVERS:
        if not server.absent:
            for outcome in outcomes(matrix, server, client).values():
                assert outcome.verdict != YES or outcome.code == 0, (server, str(outcome))


def test_the_page_says_what_this_run_has_seen(matrix):
    with open(page.PAGE, "a+") as file:
        file.seek(0)
        text = file.read()
    cells = page.cells_on(text)  # of who is not here
    for server in ALL_SERVERS:
        for client in CLIENTS:
            if not server.absent and not client.absent:
                cells[server.name, client.name] = seen(server, client, matrix)
    fresh = page.render([server.name for server in ALL_SERVERS], [client.name for client in CLIENTS], cells)
    if WRITES:
        with open(page.PAGE, "w") as file:
            file.write(fresh)
    else:
        assert text == fresh, "docs/strangers.md is stale: " + page.HOW


def seen(server, client, matrix):
    """A cell of the page. Where chance decides, any outcome that it allows is the same."""
    reason = reason_of(server, client)
    verdicts = {outcome.verdict for outcome in outcomes(matrix, server, client).values()}
    return page.cell_of(reason) if verdicts <= reason.verdicts else " or ".join(sorted(verdicts)) + ", unexplained"
