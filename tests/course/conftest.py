"""The programs of course/posix, built once for all tests."""

import concurrent.futures
import os
import shutil
import tempfile

import pytest

from posix_programs import PROGRAMS, Workshop


@pytest.fixture(scope="session")
def workshop():
    folder = tempfile.mkdtemp(prefix="course-posix-")  # not pytest's, closed to the user nobody
    os.chmod(folder, 0o755)
    made = Workshop(folder)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(made.program, PROGRAMS))
    yield made
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def program(workshop):
    return workshop.program
