"""What people type who do not know the command yet: each mistake is told in one line, with what would be right."""

import resource

import pytest

from programs import WRAP, run


def complaint(*words, code=2, **options):
    """The one line that was said of these words."""
    done = run(*words, **options)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (code, b"", 1), (done, words)
    return lines[0]


def test_two_dashes_with_nothing_behind_them_are_no_program():
    assert "exec needs a program" in complaint("serve", "exec", "0", "--")
    # What else is wrong is still told: the server has not died of the dashes.
    assert "70000 is above 65535" in complaint("serve", "echo", "70000", "--")


@pytest.mark.skipif(bool(WRAP), reason="valgrind needs descriptors of its own")
def test_want_of_descriptors_is_told_in_words():
    def five():
        resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))

    assert complaint("serve", "echo", "0", code=6, preexec_fn=five) == "doorbell: listen 0: Too many open files"
