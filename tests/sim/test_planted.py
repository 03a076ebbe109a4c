"""Bugs that are planted in a user's handlers are found by the simulator, and their absence is believed."""

import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("DOORBELL_BUILD", ROOT + "/build")
# script/check sim tries ten thousand.
SEEDS = int(os.environ.get("DOORBELL_SIM_SEEDS", "1000"))
FINDINGS = {
    "lost_update": r"updates are told to be done",
    "two_relays": r"nothing can happen any more, and somebody still waits:\n    ",
    "missing_deadline": r"handlers? still waits?: a deadline is missing",
    "wrong_reply": r"twice \d+ is told to be \d+",
    "shared_buffer": r"who said (.)\1\1 hears another",
    "leak_on_reset": r"leaks \d+ bytes of malloc's memory",
    "ring_echo": r"is another's|returned -1 in a calm run|an end that is nobody's",
}
if not os.path.exists(BUILD + "/tests/ring_echo"):
    del FINDINGS["ring_echo"]  # built without liburing: see test_sim_ring.py


def run(name, *words, **environment):
    program = "%s/tests/%s" % (BUILD, name)
    return subprocess.run([program, *words], text=True, capture_output=True, timeout=300,
                          env=dict(os.environ, **environment))


def is_sanitized():
    with open(BUILD + "/meson-info/intro-buildoptions.json") as options:
        return '"value": "none"' not in re.search(r'"name": "b_sanitize"[^}]*', options.read()).group()


@pytest.mark.parametrize("name", FINDINGS)
def test_a_planted_bug_is_found_and_repeated(name):
    if name == "leak_on_reset" and is_sanitized():
        pytest.skip("the sanitizers have a malloc of their own, and look for leaks themselves")
    found = run(name, "wrong", "10000")
    assert found.returncode == 1, found.stdout + found.stderr
    assert re.search(FINDINGS[name], found.stdout), found.stdout
    assert "not the same when it is repeated" not in found.stdout
    seed = re.search(r"DOORBELL_SEED=(\d+)", found.stdout).group(1)
    again = run(name, "wrong", "1", DOORBELL_SEED=seed)
    assert again.returncode == 1
    # Of the finding, the first line; and the trace ends with it.
    assert again.stdout.splitlines()[0] == found.stdout.splitlines()[0]
    assert name == "leak_on_reset" or "FOUND" in again.stderr


@pytest.mark.parametrize("name", FINDINGS)
def test_the_correct_handler_passes(name):
    passed = run(name, "right", str(SEEDS))
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert passed.stdout.startswith("%d seeds, " % SEEDS)


def trace(program, seed, **environment):
    env = {"PATH": "/bin", "DOORBELL_SEED": str(seed), **environment}
    return subprocess.run([program], text=True, capture_output=True, timeout=60, env=env).stderr


@pytest.mark.parametrize("seed", [1, 2, 3, 22, 177, 2**63])
def test_a_seed_has_one_trace(seed):
    program = BUILD + "/examples/echo_test"
    once = trace(program, seed)
    assert once.startswith("   0.000000000 seed %d" % seed) and len(once.splitlines()) > 100
    assert trace(program, seed) == once
    assert trace(program, seed, LC_ALL="C.UTF-8", TZ="Asia/Tokyo", FILL="x" * 5000, MALLOC_PERTURB_="85") == once
    # Another build of the same source: other options, another compiler.
    other = ROOT + "/build/examples/echo_test"
    if os.path.exists(other):
        assert trace(other, seed) == once


def test_two_seeds_have_two_traces():
    program = BUILD + "/examples/echo_test"
    assert trace(program, 4) != trace(program, 5)


@pytest.mark.parametrize("words", [["x"], ["1", "2"], ["-1"]])
def test_wrong_words_are_refused(words):
    refused = subprocess.run([BUILD + "/examples/echo_test", *words], text=True, capture_output=True, timeout=20)
    assert refused.returncode == 2 and refused.stderr.startswith("usage: ")


@pytest.mark.parametrize("seed", ["0", "x", "99999999999999999999999"])
def test_a_wrong_seed_is_refused(seed):
    env = dict(os.environ, DOORBELL_SEED=seed)
    refused = subprocess.run([BUILD + "/examples/echo_test"], text=True, capture_output=True, timeout=20, env=env)
    assert refused.returncode == 2 and "is no number from 1 on" in refused.stderr


def run_failing(fail, seeds="20"):
    return subprocess.run([BUILD + "/examples/echo_test", seeds], text=True, capture_output=True, timeout=60,
                          env=dict(os.environ, DOORBELL_FAIL=fail))


@pytest.mark.parametrize("fail", ["nonsense", "send:0:EIO", "send:1:EFOO", "send:x:EIO", "send:1+", "a/b/send:1:EIO", "open:1:EIO"])
def test_a_call_that_cannot_fail_is_refused(fail):
    refused = run_failing(fail)
    assert refused.returncode == 2 and "no call that can fail: " + fail in refused.stderr


def test_a_call_of_ones_choice_fails():
    passed = run_failing("server/bind:1:EACCES")
    assert passed.returncode == 0 and "20 seeds, 0 of them calm" in passed.stdout
    # Its clients have no deadline.
    found = run_failing("server/accept:1+:EMFILE")
    assert found.returncode == 1 and "DOORBELL_SEED=1 DOORBELL_FAIL=server/accept:1+:EMFILE " in found.stdout
    env = {"DOORBELL_SEED": "1", "DOORBELL_FAIL": "server/accept:1:EMFILE"}
    once = subprocess.run([BUILD + "/examples/echo_test"], text=True, capture_output=True, timeout=60, env=env).stderr
    assert once.count("accept fails: EMFILE, as was wished") == 1


@pytest.mark.parametrize("case", ["transfer", "last", "stop", "cut", "limits", "eyes", "datagrams"])
def test_what_the_library_promises_holds_for_all_seeds(case):
    passed = run("library", case, str(SEEDS))
    assert passed.returncode == 0, passed.stdout + passed.stderr


@pytest.mark.parametrize("model", ["coroutines", "threads", "pool"])
def test_the_chat_of_the_examples_keeps_its_promises(model):
    passed = run("chat_right", model, str(SEEDS))
    assert passed.returncode == 0, passed.stdout + passed.stderr
    # A run that has found something leaves what its handlers have of malloc.
    found = run("chat_wrong", model, "10000", ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    assert found.returncode == 1, found.stdout + found.stderr
    assert re.search(r"waits for a lock that (it|another server|another server-thread|server|server-thread) holds", found.stdout)
