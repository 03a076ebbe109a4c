"""The command line of script/grade."""

import argparse
import concurrent.futures
import os
import shlex
import sys
import time
import traceback

from . import checks_answers, checks_callers, checks_life  # noqa: F401 (they register their checks)
from . import catalogue, report
from .program import NotListening
from .trial import CHECKS, Fault, NotJudged, Trial

NO_FAULT, FAULTS, NOT_STARTED, OUR_OWN_FAULT, INTERRUPTED = 0, 1, 3, 4, 130  # 2, wrong usage, is argparse's
DESCRIPTION = """\
Runs the callers of the course, well-behaved ones and others, against an echo or
upper-case server, and explains each failure.

  script/grade ./server PORT              whether it is echo or upper is found out
  script/grade upper java Server PORT     it is to be upper
  script/grade 'python3 server.py PORT'   one word with the whole command line

PORT stands for the number; the environment has it as PORT, too. The server is
started many times, each time on a free port, and ended."""
EXIT_CODES = """\
Exit codes: 0 no fault, 1 faults, 2 wrong usage, 3 the program could not be started
or did not listen, 4 script/grade itself failed."""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="script/grade", usage="script/grade [OPTIONS] [echo|upper] COMMAND... PORT",
        description=DESCRIPTION, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="CHECKS", help="only these, separated by commas")
    parser.add_argument("--brief", action="store_true", help="one line: the faults' numbers")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--patience", metavar="SECONDS", type=float, default=3.0,
                        help="how long to wait for what must come [3]; more on a busy machine")
    parser.add_argument("--start", metavar="SECONDS", type=float, default=20.0,
                        help="how long the program may take until it listens [20]")
    parser.add_argument("--jobs", metavar="N", type=int, default=4, help="checks at the same time [4]")
    parser.add_argument("--list", action="store_true", help="say which checks there are, and end")
    parser.add_argument("--items", action="store_true", help="say which items of the course there are, and end")
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not (options.list or options.items):
        options.service, options.command = command_of(parser, options.words)
        options.checks = checks_of(parser, options.only)
        if min(options.patience, options.start, options.jobs) <= 0:
            parser.error("--patience, --start and --jobs are to be more than 0")
        if not os.path.exists("/proc/net/tcp"):
            parser.error("this needs Linux, and its /proc/net/tcp")
    return options


def command_of(parser, words):
    """(service or None, the words of the command)"""
    words = [*words]
    service = None
    if words and words[0] == "--":
        del words[0]
    if words and words[0] in ("echo", "upper"):
        service = words.pop(0)
        if words and words[0] == "--":
            del words[0]
    if len(words) == 1 and " " in words[0]:
        try:
            words = shlex.split(words[0])
        except ValueError as error:
            parser.error(str(error))
    if not words:
        parser.error("which program?")
    if not any("PORT" in word for word in words):
        parser.error("the command line of the server needs the word PORT, where its port number belongs")
    return service, words


def checks_of(parser, only):
    if only is None:
        return CHECKS
    names = only.split(",")
    known = {check.name: check for check in CHECKS}
    for name in names:
        if name not in known:
            parser.error("there is no check %s; there are %s" % (name, ", ".join(known)))
    return [known[name] for name in names]


def judge(check, trial):
    began = time.monotonic()
    outcome, sentence, items = report.OK, "", ()
    try:
        if check.name != "answers" and trial.problem():
            raise NotJudged("see answers")
        check.run(trial)
    except Fault as fault:
        outcome, sentence, items = report.FAULT, str(fault), fault.items
    except NotJudged as reason:
        outcome, sentence = report.NOT_JUDGED, str(reason)
    except NotListening as problem:
        outcome, sentence = report.FAULT, "We started it once more, and it did not listen: %s." % problem
    return report.Result(check, outcome, sentence, items, time.monotonic() - began)


def grade(options):
    trial = Trial(options.command, options.service, options.patience, options.start)
    say = print if not (options.json or options.brief) else lambda *words, **how: None
    say("%s: %s" % (trial.known.service or "neither echo nor upper", shlex.join(options.command)), flush=True)
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as workers:
        for result in workers.map(lambda check: judge(check, trial), options.checks):
            results.append(result)
            say(report.result_text(result), flush=True)
    observations = report.in_order(trial.observations)
    for observation in observations:
        say(report.observation_text(observation))
    if options.json:
        print(report.as_json(options.command, trial.known.service, results, observations))
    else:
        print(report.summary(results))
    return FAULTS if any(result.outcome == report.FAULT for result in results) else NO_FAULT


def main(arguments):
    options = parse(arguments)
    if options.list:
        for check in CHECKS:
            print("%-15s %s [%s]" % (check.name, check.title, " ".join(check.items)))
        return NO_FAULT
    if options.items:
        for item in catalogue.ITEMS:
            print(report.paragraph("%s: %s" % (report.item_text(item), item.sentence), "", "     "))
        return NO_FAULT
    try:
        return grade(options)
    except NotListening as problem:
        print("script/grade: %s" % problem, file=sys.stderr)
        return NOT_STARTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:
        traceback.print_exc()
        return OUR_OWN_FAULT
