"""A server on the simulated ring alone: it survives, and what a ring may do has been done to it."""

import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("DOORBELL_BUILD", ROOT + "/build")
ECHO = BUILD + "/tests/ring_echo"
# script/check sim tries ten thousand.
SEEDS = int(os.environ.get("DOORBELL_SIM_SEEDS", "2000"))

pytestmark = pytest.mark.skipif(not os.path.exists(ECHO), reason="built without liburing")


def test_each_oddity_of_a_ring_occurs_and_is_borne():
    passed = subprocess.run([ECHO, "right", str(SEEDS)], text=True, capture_output=True, timeout=600)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    told = re.match(r"(\d+) seeds, (\d+) of them calm: nothing found", passed.stdout)
    assert int(told.group(1)) == SEEDS and int(told.group(2)) > SEEDS / 10
    counts = dict(re.findall(r"^([a-z ]+): (\d+)$", passed.stdout, re.MULTILINE))
    assert set(counts) == {"late", "swapped", "short", "lost more", "no buffer", "used up", "cancelled", "had ended",
                           "nobody knows", "raced", "interrupted", "no descriptor"}
    assert all(int(count) > 0 for count in counts.values()), counts


@pytest.mark.parametrize("seed", [1, 2, 3, 22, 177])
def test_a_seed_with_a_ring_has_one_trace(seed):
    def trace(**environment):
        env = {"PATH": "/bin", "DOORBELL_SEED": str(seed), **environment}
        return subprocess.run([ECHO, "right", "1"], text=True, capture_output=True, timeout=60, env=env).stderr

    once = trace()
    assert "ring: accept" in once and "ring: recv" in once and "ring: send" in once
    assert trace(FILL="x" * 5000, MALLOC_PERTURB_="85") == once


@pytest.mark.parametrize("case, finding", [
    ("unknown-operation", r"client: operation 18 of a ring is not simulated"),
    ("linked", r"client: nop with flags 0x4: not simulated"),
    ("not-filled-in", r"client: operation 165 of a ring is not simulated"),
    ("many-messages", r"client: recvmsg with ioprio 0x2: not simulated"),
    ("changed-poll", r"client: a poll that is changed: not simulated"),
    ("sigpipe", r"client: send without MSG_NOSIGNAL to who is gone: SIGPIPE would end it"),
    ("given-twice", r"client gives buffer 1 to group 0, where it is already"),
    ("given-too-many", r"client gives a buffer to group 0, where there is no room"),
    ("given-to-nobody", r"client gives a buffer to group 0, where there is no room"),
    ("leaked-by-an-operation", r"client leaks 1 descriptor: closed, while an operation of a ring is under way"),
    ("waits", r"nothing can happen any more, and somebody still waits:\n    client waits for recv 3 \(unix\)"),
    ("three-entries", r"a ring of 3 operations, which is no power of two"),
    ("of-another", r"other uses the ring of owner: a ring belongs to the thread that made it"),
])
def test_misuse_of_a_ring_is_told(case, finding):
    told = subprocess.run([BUILD + "/tests/ring_misuse", case], text=True, capture_output=True, timeout=60)
    assert told.returncode == 1
    assert re.match(finding, told.stdout), told.stdout
