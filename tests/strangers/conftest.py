import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))  # for grade's view of processes and sockets

import workshop  # noqa: E402


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder with the strangers that have to be compiled."""
    return workshop.compile_all(tmp_path_factory.mktemp("strangers"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    names = [str(folder / "key"), str(folder / "certificate")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    "/CN=localhost", "-keyout", names[0], "-out", names[1]], check=True, capture_output=True)
    return names
