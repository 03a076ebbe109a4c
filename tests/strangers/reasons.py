"""Why two programs understand each other or not, said from what each of them is like.

The matrix sees what happens; here is what should, and why. A pair of which the two differ is a failed test: a program
is not what is said of it, or there is more to know.
"""

import dataclasses

from meeting import MORE, NOTHING, OTHER, PART, STAYS, WAITS, YES


@dataclasses.dataclass(frozen=True)
class Reason:
    cell: str
    verdicts: frozenset  # what may be seen; several only where chance decides
    title: str
    sentence: str


def reason(cell, verdicts, title, sentence):
    return Reason(cell, frozenset(verdicts), title, sentence)


BY_CHANCE = [YES, PART, MORE, NOTHING, OTHER]
UNDERSTOOD = reason(YES, [YES], "", "")
NO_SERVICE = reason(
    NOTHING, [NOTHING], "No service",
    "The server takes the call and hangs up at once: its `do_something` is for the reader to write.")
NO_TLS = reason(
    "no", [NOTHING, WAITS], "Another language",
    "The client speaks TLS and wants to hear TLS, and what it says is no text for the server: whether that answers or waits "
    "for a newline, there is no conversation.")
NO_LINE = reason(
    WAITS, [WAITS], "The rest of the line",
    "The client sends its words without a newline and without an end, and waits for the answer; the server waits for "
    "the rest of the line. Neither is wrong by itself: nobody had said how a request ends.")
NO_END = reason(
    WAITS, [WAITS], "The end of the request",
    "The server answers when the client has finished, and this client finishes when it has the answer: it does not "
    "half-close.")
TWO_ENDS = reason(
    STAYS, [STAYS], "Whose end comes first",
    "The answer is there, but the client goes on until the server hangs up, without a half-close; the server "
    "goes on until its client has finished. Ctrl-C parts them.")
NEVER_CLOSED = reason(
    STAYS, [STAYS], "A connection that was forgotten",
    "The answer is there, but the server never closes the connection, not even when its client has finished, "
    "and the client waits for that.")
PADDED = reason(
    MORE, [MORE], "The whole buffer",
    "The server always sends its whole buffer, and the client shows all that comes: behind the answer it shows NULs, or what "
    "an earlier caller has said.")
LEFT_TOO_EARLY = reason(
    NOTHING, [NOTHING], "Half-closed is not gone",
    "The client half-closes after its words and waits for the answer; for the server the end of its client is the end, "
    "and it leaves before anybody could type.")
READ_ONCE = reason(
    "luck", BY_CHANCE, "One read of a request in pieces",
    "The client sends each byte by itself; the server takes for the request what its first read brings, and "
    "hangs up. It answers a part, or all, or resets the connection while the client is still sending.")
SHOWN_ONCE = reason(
    "luck", BY_CHANCE, "One read of an answer in pieces",
    "The server sends each byte by itself; the client takes for the answer what its first read brings.")

REASONS = [NO_LINE, NO_END, TWO_ENDS, NEVER_CLOSED, LEFT_TOO_EARLY, NO_SERVICE, PADDED, READ_ONCE, SHOWN_ONCE, NO_TLS]


def reason_of(server, client):
    if not server.answer:
        return NO_SERVICE
    if client.sends == "TLS":
        return NO_TLS
    return trouble_of_request(server, client) or trouble_of_answer(server, client) or UNDERSTOOD


def trouble_of_request(server, client):
    if server.waits_for == "end" and not client.half_closes:
        return NO_END
    if server.waits_for == "line" and client.sends == "words":
        return NO_LINE
    if server.waits_for == "read" and client.by_bytes:
        return READ_ONCE
    if server.waits_for == "typing" and client.half_closes and server.closes != "half":
        return LEFT_TOO_EARLY
    return None


def trouble_of_answer(server, client):
    if server.by_bytes and client.reads == "once":
        return SHOWN_ONCE
    if client.reads != "end":
        return PADDED if server.pads and client.shows_all else None
    if server.pads:
        return PADDED
    if server.closes == "never" and not client.leaves:
        return NEVER_CLOSED
    if server.closes == "end" and not client.half_closes and not client.leaves:
        return TWO_ENDS
    return None
