"""The result, for people and for programs."""

import json
import textwrap

from .catalogue import BY_NUMBER

WIDTH = 100
OK, FAULT, NOT_JUDGED = "ok", "FAILED", "-"
WORDS = {OK: "ok", FAULT: "fault", NOT_JUDGED: "not judged"}


class Result:
    def __init__(self, check, outcome, sentence="", items=(), seconds=0.0):
        self.check, self.outcome, self.sentence, self.seconds = check, outcome, sentence, seconds
        self.items = [BY_NUMBER[number] for number in items or check.items]


def paragraph(text, first="", rest=None):
    rest = " " * len(first) if rest is None else rest
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False,
                         break_on_hyphens=False)


def item_text(item):
    """M5 "Always the whole buffer is sent" (lecture 2, ...: C TCP server)"""
    return '%s "%s" (%s: %s)' % (item.number, item.title, item.lecture, item.program)


def result_text(result):
    lines = ["%-7s %-15s %s" % (result.outcome, result.check.name, result.check.title)]
    if result.outcome == NOT_JUDGED:
        lines[0] += " (not judged: %s)" % result.sentence
    if result.outcome == FAULT:
        lines.append(paragraph(result.sentence, " " * 8))
        lines.append(paragraph("Why it matters: " + result.check.why, " " * 8))
        lines.append(paragraph("What to do: " + result.check.advice, " " * 8))
        lines += [paragraph(item_text(item), " " * 8 + "-> ") for item in result.items]
    return "\n".join(lines)


def in_order(observations):
    """As the catalogue has their items: which check was faster does not matter."""
    numbers = list(BY_NUMBER)
    return sorted(observations, key=lambda each: numbers.index(each[1][0]) if each[1] else len(numbers))


def observation_text(observation):
    sentence, items = observation
    return paragraph(sentence + "".join(" [%s]" % item_text(BY_NUMBER[number]) for number in items), "note    ")


def numbers_of(results):
    """The items of the faults, each once, in the order of the catalogue."""
    found = {item.number for result in results if result.outcome == FAULT for item in result.items}
    return [number for number in BY_NUMBER if number in found]


def summary(results):
    faults = sum(result.outcome == FAULT for result in results)
    judged = sum(result.outcome != NOT_JUDGED for result in results)
    if not faults:
        return "no fault in %d checks" % judged
    return "%d of %d checks failed: %s" % (faults, judged, " ".join(numbers_of(results)))


def as_json(command, service, results, observations):
    def item(number):
        return BY_NUMBER[number]._asdict()
    return json.dumps({
        "command": command,
        "service": service,
        "faults": sum(result.outcome == FAULT for result in results),
        "items": numbers_of(results),
        "checks": [{
            "check": result.check.name,
            "title": result.check.title,
            "outcome": WORDS[result.outcome],
            "sentence": result.sentence,
            "why": result.check.why if result.outcome == FAULT else "",
            "advice": result.check.advice if result.outcome == FAULT else "",
            "items": [each._asdict() for each in result.items] if result.outcome == FAULT else [],
            "seconds": round(result.seconds, 2),
        } for result in results],
        "observations": [{"sentence": sentence, "items": [item(number) for number in items]}
                         for sentence, items in observations],
    }, indent=1)
