"""The command's servers as the strangers meet them."""

from programs import DOORBELL, MODELS
from strangers import BY_HAND, MESSAGE, WORDS, Server


def service(*words, **nature):
    """`doorbell serve` of these words, under each model."""
    return Server("doorbell serve " + " ".join(words), (DOORBELL, "serve", *words, "127.0.0.1:0"), lasts=True,
                  models=tuple(MODELS), **nature)


OURS = [
    service("upper", waits_for="bytes", closes="end"),
    service("upper", "--one-line", waits_for="bytes"),
    service("upper", "--stay-open", waits_for="bytes", closes="end"),
    service("upper", "--one-read", waits_for="read"),
    service("echo", waits_for="bytes", closes="end", answer=WORDS),
    service("message", answer=MESSAGE),
    Server("doorbell connect -l", (DOORBELL, "connect", "-l", "127.0.0.1:0"), closes="half", **BY_HAND),
]
