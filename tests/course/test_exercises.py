"""The exercises: each starter file fails its check, and each solution passes it."""

import concurrent.futures
import os
import subprocess
import sys

import pytest

from languages import COURSE
from programs import PATIENCE

FILES = sorted(path for path in (COURSE / "exercises").iterdir() if path.suffix in (".c", ".py"))


def check(*words):
    return subprocess.run([sys.executable, str(COURSE / "exercises" / "check"), *map(str, words)], capture_output=True, text=True,
                          timeout=4 * PATIENCE, env={**os.environ, "FOR_EVER": "2" if len(words) == 1 else "12"})


@pytest.fixture(scope="module")
def results():
    """Of each file, what the check says of it and of its solution."""
    jobs = [(path.stem,) for path in FILES] + [(path.stem, COURSE / "solutions" / path.name) for path in FILES]
    with concurrent.futures.ThreadPoolExecutor(4) as workers:
        return dict(zip(jobs, workers.map(lambda words: check(*words), jobs)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_starter_fails_and_says_why(path, results):
    done = results[path.stem,]
    assert done.returncode == 1 and "FAILED: " in done.stdout and not done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_solution_passes(path, results):
    done = results[path.stem, COURSE / "solutions" / path.name]
    assert done.returncode == 0 and "FAILED" not in done.stdout and not done.stderr, done.stdout + done.stderr


def test_wrong_usage():
    assert check("nosuch").returncode == 2 and check("echo", "/nosuch").returncode == 2
