"""What the simulator itself promises."""

import os
import re
import subprocess

import pytest

from programs import IS_WATCHED

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("DOORBELL_BUILD", ROOT + "/build")
# script/check sim tries ten thousand.
SEEDS = os.environ.get("DOORBELL_SIM_SEEDS", "1000")
SLOW = float(os.environ.get("DOORBELL_SLOW", "1"))


def run(*words, program="network"):
    return subprocess.run(["%s/tests/%s" % (BUILD, program), *words], text=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("model", ["coroutines", "iterative", "threads", "pool"])
def test_all_models_and_addresses_work_in_it(model):
    passed = run("everything-" + model, "500")
    assert passed.returncode == 0, passed.stdout


@pytest.mark.parametrize("model", ["fork", "prefork"])
def test_models_with_processes_are_refused(model):
    refused = run("everything-" + model, "5")
    assert refused.returncode == 1
    assert re.match(r"seed 1: (server|relay).*: %s .*: processes are not simulated" % model, refused.stdout)


@pytest.mark.parametrize("case", ["tasks", "failures"])
def test_tasks_and_failures_are_as_outside(case):
    passed = run(case, "300")
    assert passed.returncode == 0, passed.stdout


@pytest.mark.parametrize("case, finding", [
    ("leak", r"1 after 1: client leaks \d+ bytes of memory"),
    ("wait", r"1 after 1: nothing can happen any more, and somebody still waits:\n.*client waits for \d+ \(tcp "
             r"\[fd00::2\]:\d+ > \[fd00::1\]:7464\)"),
    ("spin", r"1 after 1: client does not come to an end: it looked for events 100001 times"),
    ("sleep", r"1 after 1: it goes on for ever; at the time when the run was given up\n"),
    ("seven", r"1 after 1: client returned 7 in a calm run"),
    ("nested", r"0 after 20: $"),
])
def test_each_finding_is_told(case, finding):
    told = run(case)
    assert told.returncode == 0
    assert re.match(finding, told.stdout, re.DOTALL), told.stdout


@pytest.mark.parametrize("case, models", [("held", ["threads", "pool", "iterative"]), ("condition", ["threads", "pool"]),
                                          ("kinds", ["coroutines"])])
def test_locks_of_handlers_do_what_users_of_threads_expect(case, models):
    for model in models:
        passed = run(case, model, "300", program="locks")
        assert passed.returncode == 0, passed.stdout


@pytest.mark.parametrize("case, model, finding", [
    ("once", "threads", "server-thread: a meeting of [1-4]"),
    ("once", "pool", "server(-thread)?: a meeting of [1-4]"),
    ("crossed", "threads", r"nothing can happen any more, and somebody still waits:\n.*"
                           r"    server-thread waits for a lock that another server-thread holds\n"),
    ("crossed", "pool", r"nothing can happen any more, and somebody still waits:\n.* waits for a lock that "),
    # Two coroutines of one thread.
    ("held", "coroutines", r"nothing can happen any more, and somebody still waits:\n.*waits for a lock that it holds itself\n"),
])
def test_what_is_wrong_with_locks_is_found(case, model, finding):
    told = run(case, model, "1000", program="locks")
    assert told.returncode == 1
    assert re.match(r"seed \d+: " + finding, told.stdout, re.DOTALL), told.stdout
    assert "not the same when it is repeated" not in told.stdout


@pytest.mark.parametrize("case", ["stops", "cuts", "ends", "misuse", "home", "threads"])
def test_signals_do_what_they_do(case):
    passed = run(case, "300", program="signals")
    assert passed.returncode == 0, passed.stdout


def test_a_server_that_ends_and_comes_again_says_nothing_wrong():
    passed = run("restarts", SEEDS, program="signals")
    assert passed.returncode == 0, passed.stdout


@pytest.mark.skipif(IS_WATCHED, reason="the figure is of the library alone")
def test_two_thousand_seeds_take_three_seconds():
    began = processor_time()
    passed = run("talk", "2000")
    assert passed.returncode == 0, passed.stdout
    # The figure is of a core of its own; this one's caches are shared.
    assert processor_time() - began < 3 * 2 * SLOW


def processor_time():
    """Of the programs that have ended: however many others wait for a core."""
    times = os.times()
    return times.children_user + times.children_system
