"""The hardening of what is built, looked at in the binary."""

import re
import shutil
import subprocess

import pytest

from programs import DOORBELL, IS_WATCHED

pytestmark = [pytest.mark.skipif(not shutil.which("readelf"), reason="there is no readelf here"),
              pytest.mark.skipif(IS_WATCHED, reason="a build with a sanitizer is hardened by that")]


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, DOORBELL], capture_output=True, text=True, check=True).stdout


def test_it_is_loaded_anywhere():
    assert re.search(r"Type:\s+DYN", readelf("-h"))


def test_what_is_relocated_is_read_only_afterwards():
    assert "GNU_RELRO" in readelf("-l")
    assert re.search(r"BIND_NOW|Flags:.*NOW", readelf("-d"))


def test_no_stack_is_executable_and_no_segment_is_writable_and_executable():
    segments = re.findall(r"^  (\w+) .* (R? ?W? ?E?) +0x\d+$", readelf("-l"), re.MULTILINE)
    assert segments
    assert not [segment for segment in segments if "E" in segment[1] and ("W" in segment[1] or segment[0] == "GNU_STACK")]


def test_stacks_and_buffers_are_checked():
    symbols = readelf("--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert "_chk@" in symbols
